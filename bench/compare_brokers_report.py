#!/usr/bin/env python3
"""Markdown tables, and with a folder plots (gnuplot, SVG), of the results of
bench/compare_brokers.py.

bench/compare_brokers_report.py RESULTS.jsonl [PLOTS_FOLDER]
bench/compare_brokers_report.py --published doc/performance.md FOLDER

The second form draws rate.svg from the first table of the document.

A figure is the median of the repetitions.  Ratios are of pairs in one repetition, their
median; after it the least and the greatest."""

import collections
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

is_published = sys.argv[1] == "--published"
rows = [] if is_published else [json.loads(line) for line in open(sys.argv[1])]
plots = pathlib.Path(sys.argv[-1]) if len(sys.argv) > 2 else None
ORDER = ["sqpoll", "direct", "sqpoll-spin", "direct-spin", "epoll", "epoll+31", "epoll-spin",
         "epoll-vmsplice", "redis", "redis-limited", "nats", "zeromq", "zeromq-hwm",
         "sqpoll+j", "direct+j", "epoll+j"]


def is_good(row):
    return "error" not in row and not row.get("stall") and not row.get("lost")


def size(n):
    return "%d B" % n if n < 1024 else "%d KiB" % (n // 1024)


def of(stage):
    return [row for row in rows if row.get("stage") == stage]


def names(found):
    have = {row["peer"] for row in found}
    return [name for name in ORDER if name in have]


def table(head, body):
    print("\n| " + " | ".join(head) + " |\n|---" + "|---:" * (len(head) - 1) + "|")
    for row in body:
        print("| " + " | ".join(str(field) for field in row) + " |")


def figure(value, digits=0):
    return "-" if value is None else "{:,.{}f}".format(value, digits)


def median(found, key):
    values = [row[key] for row in found if is_good(row) and row.get(key) is not None]
    return statistics.median(values) if values else None


def by(found, *keys):
    groups = collections.defaultdict(list)
    for row in found:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def ratio(found, key, peer, base):
    """Median of peer / base over repetitions, with the least and the greatest."""
    reps = by(found, "rep", "peer")
    values = []
    for rep in {row["rep"] for row in found}:
        one, other = median(reps[rep, peer], key), median(reps[rep, base], key)
        if one is not None and other:
            values.append(one / other)
    if not values:
        return "-"
    return "%.2f (%.2f..%.2f)" % (statistics.median(values), min(values), max(values))


def throughput(stage, title):
    found = of(stage)
    if not found:
        return
    print("\n## %s" % title)
    peers, cells = names(found), by(found, "size", "subs")
    for what, key, digits, scale in (
            ("Messages a second, to each subscriber", "mps", 0, 1),
            ("GB a second, all subscribers together", "gbps", 2, 1),
            ("CPU seconds of the daemon (with its kernel threads) per GB delivered", "bcpu_gb",
             3, 1),
            ("CPU seconds of daemon, feed and subscribers per GB delivered", "syscpu_gb", 3, 1),
            ("Greatest resident memory, MiB", "rss", 0, 1 / 1024)):
        for row in found:
            if "mbps" in row:
                row["gbps"] = row["mbps"] * row["subs"] / 1000
        print("\n### %s" % what)
        body = []
        for (n, subs), group in sorted(cells.items()):
            of_peer = by(group, "peer")
            line = [median(of_peer[peer,], key) for peer in peers]
            body.append(["%s x %d" % (size(n), subs)] +
                        [figure(v if v is None else v * scale, digits) for v in line])
        table(["update, subscribers"] + peers, body)
    pairs = [(peer, base) for peer, base in (
        ("sqpoll", "epoll"), ("direct", "epoll"), ("direct", "epoll+31"), ("sqpoll+j", "epoll+j"),
        ("direct+j", "epoll+j"), ("direct", "nats"), ("direct", "redis"), ("direct", "zeromq"))
        if peer in peers and base in peers]
    for what, key in (("Messages a second", "mps"), ("CPU per GB delivered", "bcpu_gb")):
        print("\n### %s as a ratio: median (least..greatest repetition)" % what)
        table(["update, subscribers"] + ["%s / %s" % pair for pair in pairs],
              [["%s x %d" % (size(n), subs)] + [ratio(group, key, *pair) for pair in pairs]
               for (n, subs), group in sorted(cells.items())])


def latency():
    found = of("latency")
    if not found:
        return
    print("\n## One-way latency of 100 B updates, microseconds\n\n"
          "From the time at which the schedule has a message to its receipt. CPU: cores that "
          "the daemon used.")
    body = []
    for (rate, subs, peer), group in sorted(
            by(found, "rate", "subs", "peer").items(),
            key=lambda one: (one[0][0], one[0][1], ORDER.index(one[0][2]))):
        body.append(["%d/s x %d" % (rate, subs), peer] +
                    [figure(median(group, key), 1) for key in ("p50", "p99", "p999", "max")] +
                    [figure(median(group, "bcpu_core"), 2)] +
                    [sum(1 for row in group if not is_good(row)) or ""])
    table(["rate, subscribers", "", "p50", "p99", "p99.9", "max", "CPU", "void"], body)


def slow():
    found, before = of("slow"), by(of("before"), "peer")
    if not found:
        return
    print("\n## One of four subscribers stops reading (1 KiB)\n")
    body = []
    for peer in names(found):
        group = by(found, "peer")[peer,]
        healthy, first = median(group, "mbps"), median(before[peer,], "mbps")
        body.append([peer, figure(first), figure(healthy),
                     "-" if not first or healthy is None else "%.2f" % (healthy / first),
                     figure(median(group, "maxgap_ms"), 1)] +
                    [figure((median(group, key) or 0) / 1024, 1) for key in ("rss0", "rss")] +
                    ["cut off" if any(row.get("closed") for row in group) else "kept"])
    table(["", "MB/s to each before", "after", "ratio", "longest gap, ms", "RSS before, MiB",
           "greatest", "the stopped one"], body)


def syscalls():
    found = of("syscalls")
    if not found:
        return
    print("\n## System calls per million updates of 100 B under load\n\nCounted by %s, all "
          "threads." % found[0]["by"])
    table(["", "x 1", "x 16"],
          [[peer] + [figure(median([row for row in found if row["peer"] == peer and
                                    row["subs"] == subs], "per_million"))
                     for subs in (1, 16)] for peer in names(found)])


# ---- plots ----

def plot(name, text):
    script = plots / (name + ".gnuplot")
    script.write_text("set terminal svg size 900,520 font 'sans,13' background 'white'\n"
                      "set output '%s.svg'\nset grid\nset key outside\n%s\n" % (name, text))
    subprocess.run(["gnuplot", script.name], cwd=plots, check=True)


def series(name, peers, points):
    """A file with one block for each peer; the plot command for all."""
    with open(plots / (name + ".dat"), "w") as file:
        for peer in peers:
            file.write("# %s\n" % peer)
            for x, y in points(peer):
                file.write("%s %s\n" % (x, y))
            file.write("\n\n")
    return "plot " + ", ".join("'%s.dat' index %d with linespoints title '%s'" % (name, i, peer)
                               for i, peer in enumerate(peers))


def draw():
    found = of("tput")
    for n in sorted({row["size"] for row in found}):
        for key, what in (("mps", "updates/s to each subscriber"),
                          ("bcpu_gb", "daemon CPU s per GB delivered")):
            group = [row for row in found if row["size"] == n]
            peers = names(group)

            def points(peer, group=group, key=key):
                for subs in sorted({row["subs"] for row in group}):
                    value = median([row for row in group if row["subs"] == subs and
                                    row["peer"] == peer], key)
                    if value:
                        yield subs, value
            name = "%s-%d" % (key, n)
            plot(name, "set logscale xy\nset title '%s'\nset xlabel 'subscribers'\n"
                 "set ylabel '%s'\n%s" % (size(n), what, series(name, peers, points)))
    found = [row for row in of("latency") if row["rate"] == 10000 and row["subs"] == 1]
    if found:
        def points(peer):
            group = [row for row in found if row["peer"] == peer and is_good(row)]
            for i in range(len(group[0]["q"]) if group else 0):
                percent = group[0]["q"][i][0]
                yield 1 / (1 - min(percent, 99.999) / 100), statistics.median(
                    row["q"][i][1] for row in group)
        plot("latency", "set logscale xy\nset title '100 B, 10,000/s, one subscriber'\n"
             "set xlabel 'percentile'\nset ylabel 'us'\n"
             "set xtics ('0' 1, '50' 2, '90' 10, '99' 100, '99.9' 1000, '99.99' 10000)\n" +
             series("latency", names(found), points))


def draw_published(document):
    """rate.svg: the first table of the document, a line for each of its columns."""
    lines = iter(open(document).read().splitlines())
    head = next(line for line in lines if line.startswith("| subscribers |"))
    peers = [name.strip() for name in head.strip("|").split("|")][1:]
    next(lines)
    cells = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells.append([float(cell) for cell in line.strip("|").split("|")])

    def points(peer):
        return [(row[0], row[1 + peers.index(peer)]) for row in cells]
    plot("rate", "set logscale xy\nset xtics (%s)\nset format y '%%.0s %%c'\n"
         "set title 'Updates of 100 B a second to each subscriber. Loopback, 2 cores.'\n"
         "set xlabel 'subscribers'\n%s" % (
             ", ".join("%d" % row[0] for row in cells), series("rate", peers, points)))
    for name in "rate.dat", "rate.gnuplot":
        (plots / name).unlink()


if is_published:
    draw_published(sys.argv[2])
    sys.exit()
end = (of("end") or [{}])[-1]
voids = sum(1 for row in rows if row.get("stage") not in ("end", "syscalls") and not is_good(row))
others = [row["other"] for row in rows if "other" in row]
print("Congestion control of all sockets: %s. %d cells, %d void; CPU that others took: median "
      "%.2f cores, greatest %.2f." % (end.get("cc"), len(rows), voids,
                                      statistics.median(others or [0]), max(others or [0])))
for row in rows:
    if "error" in row:
        print("\nvoid: %s %s %s x %s: %s" % (row["stage"], row["peer"], row.get("size"),
                                             row.get("subs"), row["error"]))
wrong = ["%s %s" % (row["peer"], size(row["size"])) for row in of("verify") if not row.get("ok")]
if of("verify"):
    print("\nEvery byte compared at 4 subscribers: %s." % (
        "all as published" if not wrong else "WRONG at " + ", ".join(wrong)))
throughput("tput", "Throughput")
throughput("journal", "Throughput, sustained: gigabytes of 1 KiB updates")
latency()
slow()
syscalls()
if plots:
    if shutil.which("gnuplot"):
        plots.mkdir(exist_ok=True)
        draw()
    else:
        print("skipped: gnuplot is not here", file=sys.stderr)
