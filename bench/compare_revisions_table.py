#!/usr/bin/env python3
"""The table of bench/compare_revisions.sh: compare_revisions_table.py
FOLDER ROUNDS NAME1 NAME2."""

import json
import os
import statistics
import sys

folder, rounds, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
worse = False


def row(what, values, bound, is_rate=False, digits=3, is_mean=False):
    """values: a pair of figures for each round.  A mean is called when its middle half
    lies on one side, a single cell when all of that is beyond the bound."""
    global worse
    ratios = sorted(after / before for before, after in values if before and after)
    if not ratios:
        return
    quarter = len(ratios) // 4
    least, greatest = ratios[quarter], ratios[-1 - quarter]
    middle, verdict = statistics.median(ratios), ""
    if is_mean:
        is_called = abs(middle - 1) > bound and (least > 1 or greatest < 1)
    else:
        is_called = least > 1 + bound or greatest < 1 - bound
    if is_called:
        is_worse = (greatest < 1) == is_rate
        verdict = "**worse**" if is_worse else "better"
        worse = worse or is_worse
    before, after = (statistics.median(pair[i] for pair in values) for i in (0, 1))
    print("| %s | %s | %s | %.3f | %.3f..%.3f | %s |" % (
        what, "{:,.{}f}".format(before, digits), "{:,.{}f}".format(after, digits),
        middle, least, greatest, verdict))


def instructions(n):
    path = "%s/instructions.%d" % (folder, n)
    if not os.path.exists(path):
        return {}
    return {name: int(count) for name, count in (line.split() for line in open(path))}


def cells(n, k):
    found = {}
    for line in open("%s/cells.%d.%d" % (folder, n, k)):
        one = json.loads(line)
        if one.get("stage") == "tput" and "error" not in one and not one.get("stall"):
            found[one["peer"], one["size"], one["subs"]] = one
    return found


print("| | %s | %s | ratio | spread | |\n|---|---:|---:|---:|---:|---|" % tuple(names))
one, other = instructions(0), instructions(1)
for form in one:
    if form in other:
        row("instructions, %s" % form, [(one[form], other[form])], 0.02, digits=0)
pairs = [(cells(0, k), cells(1, k)) for k in range(rounds)]


def of_all(peers, figure):
    """For each round the geometric mean of the cells that both have."""
    found = []
    for a, b in pairs:
        keys = [key for key in a if key in b and key[0] in peers]
        if keys:
            found.append([statistics.geometric_mean(side[key][figure] for key in keys)
                          for side in (a, b)])
    return found


# Noise that hits one cell is small in the mean of many; a disk's is not.
peers = sorted({key[0] for key in pairs[0][0]})
no_journal = [peer for peer in peers if not peer.endswith("+j")]
for label, group in [("without journal", no_journal)] + [(one, [one]) for one in peers]:
    row("**CPU s/GB, %s**" % label, of_all(group, "bcpu_gb"), 0.05, is_mean=True)
    row("**updates/s, %s**" % label, of_all(group, "mps"), 0.10, True, 0, is_mean=True)
for key in sorted(pairs[0][0]):
    both = [(a[key], b[key]) for a, b in pairs if key in a and key in b]
    label = "%s, %d B x %d" % key
    row("CPU s/GB, " + label, [(a["bcpu_gb"], b["bcpu_gb"]) for a, b in both], 0.05)
    row("updates/s, " + label, [(a["mps"], b["mps"]) for a, b in both], 0.10, True, 0)
sys.exit(1 if worse else 0)
