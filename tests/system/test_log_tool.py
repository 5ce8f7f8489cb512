"""ringtick log: every option, on journals made by the harness's own codec as
ringtickd, tick.q and a chained tickerplant write them."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import termios
import time

import daemon as daemon_module
import kdb
import pytest
from test_node import HERE, modules
from test_start import CUTTER, shim
from test_tools import begin, find_ringtick
from traffic import NAMES, published, quote, trade

HEADER = bytes.fromhex("ff01000000000000")
NOON = 12 * 3600 * 10**9
SECOND = 10**9
NULL = -(2**63)


def record(name, x):
    return kdb.encode(kdb.lst(kdb.sym("upd"), kdb.sym(name), x))


def row(first, ns=NOON):
    """trade, as tick.q logs what a feed sends row by row."""
    return kdb.lst(kdb.atom("n", ns), kdb.sym("IBM"), kdb.atom("f", 1.5),
                   kdb.atom("j", first))


def columns(first, rows=1, ns=NOON):
    """trade; size is first, first + 1, ..."""
    return kdb.lst(kdb.vec("n", [ns + i for i in range(rows)]),
                   kdb.syms(*["IBM"] * rows), kdb.vec("f", [1.5] * rows),
                   kdb.vec("j", range(first, first + rows)))


# Of every form; the third as a chained tickerplant logs.
RECORDS = [
    record("trade", columns(0, 2)),
    record("trade", row(2, NOON + SECOND)),
    record("quote", kdb.table("sym time bid", kdb.syms("a", "b", attr=4),
                              kdb.vec("p", [0, NULL]), kdb.vec("e", [0.1, 2.5]))),
    record("text", kdb.lst(kdb.atom("t", 43202000), kdb.text('say "hi"'), kdb.NIL)),
    record("pair", kdb.syms("x", "y")),
    record("trade", columns(3, 1, NOON + 3 * SECOND)),
]
OFFS = [len(HEADER) + sum(map(len, RECORDS[:i])) for i in range(len(RECORDS) + 1)]


@pytest.fixture
def journal(tmp_path):
    """journal(records, tail) writes one and is its path."""
    def make(records=None, tail=b"", name="sym2026.11.22"):
        path = tmp_path / name
        path.write_bytes(HEADER + b"".join(RECORDS if records is None else records)
                         + tail)
        return path
    return make


def log(*arguments, status=0, timeout=60, environment=None):
    """(stdout, stderr) of a run with that exit status."""
    done = subprocess.run(
        [find_ringtick(), "log", *map(str, arguments)], timeout=timeout,
        env=dict(os.environ, **(environment or {})),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    assert done.returncode == status, (done.returncode, done.stdout[-2000:], done.stderr)
    return done.stdout, done.stderr


def pairs(line):
    """The fields of a line of key=value."""
    return dict(field.split("=", 1) for field in line.split() if "=" in field)


def numbers(*arguments, **how):
    """Which records --json shows."""
    return [json.loads(line)["i"]
            for line in log("--json", *arguments, **how)[0].splitlines()]


# ---- reading ----


def test_rows(journal):
    """Protects people at a terminal: rows under headers, one for each change
    of the table, whatever form the record has."""
    shown, wrong = log(journal())
    assert wrong == ""
    blocks = [block.splitlines() for block in shown.strip().split("\n\n")]
    assert [block[0] for block in blocks] == ["trade", "quote", "text", "pair", "trade"]
    assert [line.split() for line in blocks[0][3:]] == [
        ["0D12:00:00.000000000", "IBM", "1.5", "0"],
        ["0D12:00:00.000000001", "IBM", "1.5", "1"],
        ["0D12:00:01.000000000", "IBM", "1.5", "2"]]
    assert blocks[1][1].split() == ["sym", "time", "bid"]
    assert blocks[1][4].split() == ["b", "0Np", "2.5"]
    assert blocks[2][3].split(None, 1) == ["12:00:02.000", r'"say \"hi\"" ::']


def test_json(journal):
    """Protects scripts: each line is a JSON value with all of the record."""
    shown, wrong = log("--json", journal())
    assert wrong == ""
    assert [json.loads(line) for line in shown.splitlines()] == [
        {"i": 0, "table": "trade", "rows": [["0D12:00:00.000000000", "IBM", 1.5, 0],
                                            ["0D12:00:00.000000001", "IBM", 1.5, 1]]},
        {"i": 1, "table": "trade", "rows": [["0D12:00:01.000000000", "IBM", 1.5, 2]]},
        {"i": 2, "table": "quote", "columns": ["sym", "time", "bid"],
         "rows": [["a", "2000.01.01D00:00:00.000000000", 0.1], ["b", None, 2.5]]},
        {"i": 3, "table": "text", "rows": [["12:00:02.000", 'say "hi"', None]]},
        {"i": 4, "table": "pair", "rows": [["x", "y"]]},
        {"i": 5, "table": "trade", "rows": [["0D12:00:03.000000000", "IBM", 1.5, 3]]},
    ]


def test_nested_as_deep_as_can_be(journal):
    """Protects the tool from what fits a record, and not the table that it is
    shown as: it is shown as a value."""
    records = []
    for depth in range(50, 62):  # of 64 levels; the record has some of its own
        deep = kdb.NIL
        for _ in range(depth):
            deep = kdb.lst(deep)
        records += [record("trade", kdb.lst(kdb.atom("n", NOON), kdb.lst(deep))),
                    record("trade", kdb.lst(kdb.vec("n", [NOON]), kdb.lst(deep)))]
    path = journal(records)
    assert "trade" in log(path)[0]
    rows = [json.loads(one) for one in log("--json", path)[0].splitlines()]
    assert [one["i"] for one in rows] == list(range(len(records)))
    assert all(one.get("rows") or one.get("value") for one in rows)


# (value, what JSON shows of it)
VALUES = [
    (kdb.atom("b", 1), True),
    (kdb.atom("g", bytes(16)), None),
    (kdb.atom("g", bytes(range(16))), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
    (kdb.atom("x", 171), 171),
    (kdb.atom("h", -(2**15)), None),
    (kdb.atom("i", 2**31 - 1), "0W"),
    (kdb.atom("j", 2**63 - 2), 2**63 - 2),
    (kdb.atom("j", -(2**63) + 1), "-0W"),
    (kdb.atom("e", 0.1), 0.1),
    (kdb.atom("f", 0.1 + 0.2), 0.1 + 0.2),
    (kdb.atom("f", 5e-324), 5e-324),
    (kdb.atom("f", float("nan")), None),
    (kdb.atom("f", float("-inf")), "-0w"),
    (kdb.atom("c", b'"'), '"'),
    (kdb.sym(""), ""),
    (kdb.sym('q"\\\x1b[0m\u00e9\u20ac\U0001f600'), 'q"\\\x1b[0m\u00e9\u20ac\U0001f600'),
    (kdb.sym(b"\xc0\xaf\xed\xa0\x80\xff"), "\u00c0\u00af\u00ed\u00a0\u0080\u00ff"),
    (kdb.text(b"\x00\x7f\xc2\x9b\n"), "\x00\x7f\x9b\n"),
    (kdb.atom("p", 0), "2000.01.01D00:00:00.000000000"),
    (kdb.atom("m", 322), "2026.11"),
    (kdb.atom("d", -(2**31)), None),
    (kdb.atom("d", 2**31 - 1), "0Wd"),
    (kdb.atom("z", 0.5), "2000.01.01T12:00:00.000"),
    (kdb.atom("z", float("nan")), None),
    (kdb.atom("u", 570), "09:30"),
    (kdb.atom("v", 3), "00:00:03"),
    (kdb.vec("j", [1, NULL]), [1, None]),
    (kdb.lst(), []),
    (kdb.lst(kdb.text("ab"), kdb.NIL), ["ab", None]),
    (kdb.Dict(kdb.syms("a", "b"), kdb.vec("j", [1, 2])), {"a": 1, "b": 2}),
    (kdb.Dict(kdb.syms("a"), kdb.lst(kdb.text("x"))), {"a": "x"}),
    (kdb.Dict(kdb.vec("j", [1]), kdb.vec("j", [2])), {"keys": [1], "values": [2]}),
    (kdb.table("a b", kdb.vec("j", [1, 2]), kdb.syms("x", "y")),
     {"columns": ["a", "b"], "rows": [[1, "x"], [2, "y"]]}),
    (kdb.Lambda(b"", kdb.text("{x}")), "{x}"),
]


def test_json_values(journal):
    """Protects readers of JSON from values that only kdb+ has: nulls are null,
    numbers keep their digits, and no byte breaks the text."""
    path = journal([record("t", kdb.lst(kdb.sym("row"), value))
                    for value, _ in VALUES])
    shown = subprocess.run([find_ringtick(), "log", "--json", str(path)],
                           stdout=subprocess.PIPE, check=True).stdout
    assert not any(byte < 32 and byte != 10 or byte == 127 for byte in shown)
    rows = [json.loads(line)["rows"][0][1] for line in shown.decode().splitlines()]
    for (value, wanted), got in zip(VALUES, rows, strict=True):
        assert got == wanted and type(got) is type(wanted), value


def test_not_rows(journal):
    """Protects against a reader that trusts the feed: what is no table is
    shown as the value it is."""
    ragged = kdb.lst(kdb.vec("n", [1, 2]), kdb.syms("a"))
    path = journal([record("r", ragged), record("r", kdb.atom("j", 1)),
                    record("r", kdb.lst()), record("r", columns(0, 0))])
    shown = [json.loads(line) for line in log("--json", path)[0].splitlines()]
    assert [one.get("value", "rows") for one in shown] == [
        [["0D00:00:00.000000001", "0D00:00:00.000000002"], ["a"]], 1, [], "rows"]
    assert shown[3]["rows"] == []
    assert log(path)[0].startswith("(`upd;`r;(0D00:00:00.000000001 ")


def test_atoms_in_columns(journal):
    """Protects against a wrong shape: tick.q logs an atom column as it came
    and publishes it as many times as there are rows."""
    x = kdb.lst(kdb.vec("n", [1, 2, 3]), kdb.sym("IBM"), kdb.atom("j", 7))
    shown = json.loads(log("--json", journal([record("t", x)]))[0])
    assert [one[1:] for one in shown["rows"]] == [["IBM", 7]] * 3


def test_count_and_tables(journal):
    path = journal()
    assert log("--count", path)[0] == "6\n"
    assert log("--count", "--table", "trade", path)[0] == "3\n"
    assert log("--count", "--table", "pair,trade", path)[0] == "4\n"
    assert log("--count", "--table", "tra", path)[0] == "0\n"
    found = [pairs(line) for line in log("--tables", path)[0].splitlines()]
    assert [one["table"] for one in found] == ["trade", "quote", "text", "pair"]
    assert found[0] == {
        "table": "trade", "records": "3", "rows": "4",
        "bytes": str(len(RECORDS[0]) + len(RECORDS[1]) + len(RECORDS[5])),
        "first": "0D12:00:00.000000000", "last": "0D12:00:03.000000000"}
    assert (found[1]["first"], found[1]["last"]) == (
        "2000.01.01D00:00:00.000000000", "0Np")
    assert (found[3]["rows"], found[3]["first"]) == ("1", "")


def test_ranges(journal):
    """Protects the records that --from and --to select: the range includes from and
    excludes to, for numbers and for times in columns of any type."""
    path = journal()
    assert numbers("--from", 2, path) == [2, 3, 4, 5]
    assert numbers("--from", 2, "--to", 4, path) == [2, 3]
    assert numbers("--to", 0, path) == [] and numbers("--from", 99, path) == []
    assert numbers("--from", "12:00:01", path) == [1, 3, 5]
    assert numbers("--from", "0D12:00:00.000000001", "--to", "12:00:02", path) == [1]
    assert numbers("--to", "12:00", path) == [2]
    assert numbers("--from", 1, "--to", "12:00:02", path) == [1, 2]
    assert numbers("--from", "12:00:01", "-t", "trade", path) == [1, 5]
    stamped = journal([record("t", kdb.lst(kdb.vec("p", [day * 86400 * SECOND + NOON])))
                       for day in (9821, 9822, 9823, -1)], name="stamped")
    assert numbers("--from", "2026.11.22", "--to", "2026.11.23D12:00", stamped) == [1]
    assert numbers("--from", "2026.11.22D12:00:00.000000001", stamped) == [2]
    assert numbers("--from", "12:00", "--to", "12:00:00.1", stamped) == [0, 1, 2, 3]
    said = log("--from", "2026.11.22", "--count", path, status=2)[1]
    assert "no date" in said


@pytest.mark.parametrize("limit", ["", "x", "9:3", "09:60", "12:00:00.", "-1", "D12:00",
                                   "2026.02.30", "2026.11.22X", "1D2", "12:00x",
                                   "12:00:00.1234567890", "99999999999999999999"])
def test_wrong_limits(journal, limit):
    assert limit in log("--from", limit, journal(), status=2)[1]


def test_other_writers(journal):
    """Protects the claim of compatibility: reference files, one written by q."""
    with open(kdb.vectors_path()) as file:
        vectors = {one["name"]: one for one in json.load(file)}
    wanted = {"log_2_records": (0, "2"), "log_empty": (0, "0"),
              "log_torq_real_2": (0, "2"), "log_truncated_tail": (1, "1")}
    for name, (status, count) in wanted.items():
        path = journal([], name=name)
        path.write_bytes(bytes.fromhex(vectors[name]["hex"]))
        assert log("--count", path, status=status)[0] == count + "\n"
        shown = log("--json", path, status=status)[0].splitlines()
        assert [json.loads(line)["i"] for line in shown] == list(range(int(count)))


# ---- verdicts ----


def verdict(path, status):
    shown, wrong = log("--verify", path, status=status)
    assert shown.startswith("verify ") and shown.count("\n") == 1
    return pairs(shown), wrong


def test_verify_whole(journal):
    found, wrong = verdict(journal(), 0)
    assert wrong == "" and float(found["gb_s"]) >= 0
    assert (found["result"], found["records"], found["bytes"], found["good_bytes"]) == (
        "whole", "6", str(OFFS[6]), str(OFFS[6]))


def test_cut_while_it_is_read(journal, tmp_path):
    """Protects the operator's time: the reason instead of a SIGBUS, and no
    verdict on what is no longer there."""
    path = journal(RECORDS * 1000)
    environment = shim(tmp_path, CUTTER, RINGTICK_TEST_CUT=str(path))
    shown, wrong = log("--verify", path, status=2, environment=environment)
    assert shown == "" and wrong.count("\n") == 1
    assert "%s: the file was cut while it was read" % path in wrong


@pytest.mark.parametrize("tail", [b"\0", bytes(4096), b"\xee" * 40, RECORDS[0][:-1],
                                  RECORDS[0][:3], RECORDS[0][:11]])
def test_verify_torn(journal, tail):
    """Protects the count after a crash: what is whole counts, a tail, or the
    zeros of a file system that lost the end, do not."""
    path = journal(tail=tail)
    found, wrong = verdict(path, 1)
    assert (found["result"], found["records"], found["good_bytes"]) == (
        "torn", "6", str(OFFS[6]))
    assert "--repair" in wrong and str(len(tail)) in wrong
    shown, wrong = log("--count", path, status=1)
    assert shown == "6\n" and "record 6" in wrong
    assert len(log("--json", path, status=1)[0].splitlines()) == 6


def test_verify_damaged(journal):
    """Protects from cutting off what is good: bad bytes in the middle are told
    from a torn end, with where they are."""
    path = journal()
    whole = path.read_bytes()
    for i in range(5):
        path.write_bytes(whole[:OFFS[i]] + b"\xff" + whole[OFFS[i] + 1:])
        found, wrong = verdict(path, 1)
        assert (found["result"], found["records"], found["good_bytes"],
                found["next_record"]) == ("damaged", str(i), str(OFFS[i]),
                                          str(OFFS[i + 1]))
        assert "record %d, at byte %d," % (i, OFFS[i]) in wrong
        # The commands that are told do what they promise.
        front, behind = path.parent / "front", path.parent / "behind"
        told = [command.replace("FILE", str(path))
                for command in re.findall("with `([^`]*)`", wrong)]
        assert len(told) == 2
        for command, name, path_out in zip(told, ("FRONT", "BEHIND"), (front, behind)):
            subprocess.run(["sh", "-c", command.replace(name, str(path_out))], check=True)
        assert log("--count", front)[0] == "%d\n" % i
        assert log("--count", behind)[0] == "%d\n" % (5 - i)


@pytest.mark.parametrize("content", [b"", HEADER[:7], b"\xff\x01\0\0\0\0\0\1",
                                     b"\xfe\x20" + bytes(20), b"trade,quote\n"])
def test_foreign(journal, content):
    path = journal()
    path.write_bytes(content)
    found, wrong = verdict(path, 1)
    assert found["result"] == "foreign" and "no journal" in wrong
    for option in ("--count", "--json", "--repair"):
        assert "no journal" in log(option, path, status=1)[1]
    assert path.read_bytes() == content


# ---- repair ----


def test_repair(journal):
    """Protects the tail: it is moved, not thrown away, under a name of its
    own; then the file is whole."""
    path = journal(tail=b"first")
    shown, _ = log("--repair", path)
    assert pairs(shown) == {"result": "cut", "records": "6", "bytes": str(OFFS[6]),
                            "tail_bytes": "5", "tail": "%s.torn.1" % path}
    assert path.read_bytes() == HEADER + b"".join(RECORDS)
    assert pathlib.Path("%s.torn.1" % path).read_bytes() == b"first"
    path.write_bytes(path.read_bytes() + RECORDS[1][:-1])
    assert pairs(log("--repair", path)[0])["tail"] == "%s.torn.2" % path
    assert pathlib.Path("%s.torn.2" % path).read_bytes() == RECORDS[1][:-1]
    assert pathlib.Path("%s.torn.1" % path).read_bytes() == b"first"
    assert pairs(log("--repair", path)[0])["result"] == "whole"
    assert verdict(path, 0)[0]["records"] == "6"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of another user")
def test_repair_beside_a_daemon_of_another_user(journal):
    """Protects a running daemon's file from a repair by another user: the kernel
    gives leases only to the owner of a file.  The file's lock decides then."""
    path = journal(tail=b"\0" * 3)
    os.chown(path, 12345, -1)
    before = path.read_bytes()
    repair = ["setpriv", "--bounding-set=-lease", find_ringtick(), "log", "--repair",
              str(path)]
    with open(path) as used:
        fcntl.flock(used, fcntl.LOCK_SH)
        done = subprocess.run(repair, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "open" in done.stderr, done
        assert path.read_bytes() == before
    done = subprocess.run(repair, capture_output=True, text=True, check=False)
    assert pairs(done.stdout)["result"] == "cut", done


def test_repair_refuses(journal):
    """Protects good records after damage, and a file that is being written."""
    path = journal()
    whole = path.read_bytes()
    path.write_bytes(whole[:OFFS[1]] + b"\xff" + whole[OFFS[1] + 1:])
    before = path.read_bytes()
    wrong = log("--repair", path, status=1)[1]
    assert "damaged" in wrong and "record 1, at byte %d" % OFFS[1] in wrong
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1
    path.write_bytes(whole + b"tail")
    with open(path, "ab"):
        assert "open" in log("--repair", path, status=2)[1]
    assert path.read_bytes() == whole + b"tail"
    log("--repair", path)


# ---- filter ----


def test_filter(journal, tmp_path):
    """Protects the copy: byte for byte the records of these tables, in order,
    and nothing overwritten."""
    path = journal()
    out = tmp_path / "less"
    shown, _ = log("--filter", "trade,pair", "--out", out, path)
    assert pairs(shown)["records"] == "4"
    assert out.read_bytes() == HEADER + b"".join(RECORDS[i] for i in (0, 1, 4, 5))
    assert verdict(out, 0)[0]["records"] == "4"
    before = out.read_bytes()
    assert "not overwritten" in " ".join(
        log("--filter", "quote", "--out", out, path, status=2)[1].split())
    assert "not overwritten" in " ".join(
        log("--filter", "quote", "--out", path, path, status=2)[1].split())
    assert out.read_bytes() == before
    umask = os.umask(0)
    log("--filter", "none", "--out", tmp_path / "empty", path)
    os.umask(umask)
    assert (tmp_path / "empty").read_bytes() == HEADER
    # as the daemon's own files: not for everybody
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o640
    log("--filter", "trade", "--from", 1, "--to", 5, "--out", tmp_path / "part", path)
    assert (tmp_path / "part").read_bytes() == HEADER + RECORDS[1]


def test_filter_of_torn(journal, tmp_path):
    """What is whole is copied, and that it was not all is told."""
    path = journal(tail=b"\0\0\0")
    wrong = log("--filter", "trade", "--out", tmp_path / "out", path, status=1)[1]
    assert "not whole" in " ".join(wrong.split())
    assert verdict(tmp_path / "out", 0)[0]["records"] == "3"


def test_filter_on_full_disk(journal):
    """Protects from half a copy: /dev/full has no room, and is not removed."""
    big = record("trade", columns(0, 100000))
    wrong = log("--filter", "trade", "--out", "/dev/full/x", journal([big]), status=2)[1]
    assert "/dev/full/x" in wrong


# ---- follow ----


@pytest.fixture
def follow(clients):
    """follow(path, ...) is a running --follow --json."""
    def run(path, *arguments):
        return begin(clients, "log", "--follow", "--json", *arguments, path)
    return run


def next_number(process):
    return json.loads(process.stdout.readline())["i"]


def cpu_ticks(process):
    fields = pathlib.Path("/proc/%d/stat" % process.pid).read_text().rsplit(")", 1)[1]
    return sum(map(int, fields.split()[11:13]))


def voluntary_switches(process):
    text = pathlib.Path("/proc/%d/status" % process.pid).read_text()
    return int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])


def test_follow(journal, follow):
    """Protects people who look on: a record is shown once it is whole, never
    before, though it comes byte by byte; SIGTERM is a good end."""
    path = journal(RECORDS[:1])
    process = follow(path)
    assert next_number(process) == 0
    with open(path, "ab", buffering=0) as file:
        file.write(RECORDS[1])
        assert next_number(process) == 1
        for byte in RECORDS[2][:-1]:
            file.write(bytes([byte]))
        file.write(RECORDS[2][-1:] + RECORDS[3] + RECORDS[4][:20])
        assert [next_number(process), next_number(process)] == [2, 3]
        file.write(RECORDS[4][20:])
        assert next_number(process) == 4
    process.send_signal(signal.SIGTERM)
    said, wrong = process.communicate(timeout=20)
    assert (process.returncode, said, wrong) == (0, "", "")


def test_follow_sleeps(journal, follow):
    """Protects the machine: while nothing is written, nothing runs."""
    process = follow(journal())
    for i in range(6):
        assert next_number(process) == i
    deadline = time.monotonic() + 20
    while pathlib.Path("/proc/%d/stat" % process.pid).read_text().rsplit(
            ")", 1)[1].split()[0] != "S":
        assert time.monotonic() < deadline
    before = cpu_ticks(process), voluntary_switches(process)
    time.sleep(1.5)
    assert (cpu_ticks(process), voluntary_switches(process)) == before


def test_follow_to(journal, follow):
    """--to ends it without a signal."""
    path = journal(RECORDS[:2])
    process = follow(path, "--to", 3)
    assert [next_number(process), next_number(process)] == [0, 1]
    with open(path, "ab") as file:
        file.write(RECORDS[2] + RECORDS[3])
    assert next_number(process) == 2
    assert process.communicate(timeout=20)[0] == "" and process.returncode == 0


def test_follow_many(journal, follow):
    """Protects from a lost place: the map is made longer many times."""
    path = journal([])
    process = follow(path, "--table", "trade")
    big = record("quote", quote(0, 200000))
    with open(path, "ab", buffering=0) as file:
        for i in range(12):
            file.write(big + record("trade", columns(i)))
            assert next_number(process) == 2 * i + 1


def test_follow_over_the_end_of_the_day(journal, follow):
    """Protects people who look on at midnight: the next day's file is made a minute
    before, and the day continues until that file has records; files of another
    name, or of an earlier day, are ignored."""
    path = journal(RECORDS[:1])
    journal(RECORDS, name="sym2026.11.21")
    journal(RECORDS, name="cat2026.11.23")
    process = follow(path, "--from", 0)
    assert next_number(process) == 0
    tomorrow = journal([], name="sym2026.11.23")
    append(path, RECORDS[1])
    assert next_number(process) == 1
    append(path, RECORDS[2])
    append(tomorrow, RECORDS[0])
    journal(RECORDS, name="sym2026.11.24")
    assert [next_number(process), next_number(process)] == [2, 0]
    assert [next_number(process) for i in RECORDS] == list(range(6))
    journal([], name="sym2026.11.25")  # begun, and the daemon was stopped
    monday = journal([], name="sym2026.11.26")
    append(tomorrow.with_name("sym2026.11.24"), RECORDS[0])
    assert next_number(process) == 6
    append(monday, RECORDS[0])
    assert next_number(process) == 0
    process.send_signal(signal.SIGTERM)
    said, wrong = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")
    assert re.findall("continuing with .*(sym.*)", wrong) == [
        "sym2026.11.23", "sym2026.11.24", "sym2026.11.26"]


def test_follow_over_a_torn_end(journal, follow):
    """Protects from the same after a crash: the rest of the day is told to be
    torn, the next one is shown, and the exit status is that of a torn file."""
    path = journal(RECORDS[:1], tail=RECORDS[1][:-1])
    process = follow(path)
    assert next_number(process) == 0
    path.rename(path.with_name("gone"))
    journal(RECORDS[:1], name="sym2026.11.25")
    assert next_number(process) == 0
    process.send_signal(signal.SIGTERM)
    said, wrong = process.communicate(timeout=20)
    assert (process.returncode, said) == (1, "") and "not whole" in wrong


def append(path, data):
    with open(path, "ab", buffering=0) as file:
        file.write(data)


def test_follow_ends(journal, follow):
    """Protects from waiting for a record that never comes: the file is cut,
    deleted, or continues with other bytes than a record."""
    cases = [
        (lambda path: os.truncate(path, OFFS[1]), 2, "cut"),
        (lambda path: path.unlink(), 2, "deleted"),
        (lambda path: append(path, bytes(20)), 1, "record 6"),
    ]
    for change, status, word in cases:
        path = journal()
        process = follow(path)
        for i in range(6):
            assert next_number(process) == i
        change(path)
        wrong = process.communicate(timeout=20)[1]
        assert process.returncode == status and word in wrong, (word, wrong)


def test_a_table_that_is_not_there(journal):
    """Protects from a mistyped name: nothing came of it, and that is said."""
    path = journal([record("trade", columns(0)), record("quote", quote(1))])
    for option in ("--count", "--json"):
        said = log(option, "-t", "trade,nosuch", path)[1]
        assert "nosuch" in said and "trade" not in said
    assert log("--count", "-t", "trade", path)[1] == ""


# ---- replay ----


def place(daemon):
    return "127.0.0.1:%d" % daemon.port


def frames(client, n):
    return [client.read_frame() for _ in range(n)]


def test_replay(start, connect, journal):
    """Protects a replayed day: every subscriber sees what tick.q would have
    published, in order, with the times of the journal; all forms of payload."""
    daemon = start()
    client = connect(daemon)
    client.subscribe()
    table = kdb.Table(kdb.syms(*NAMES["quote"].split()), quote(5, 2))
    path = journal([record("trade", columns(0, 3)), record("quote", table),
                    record("trade", row(3, NOON + 7)),
                    record("quote", quote(9))])
    _, said = log("--replay", place(daemon), path)
    assert pairs(said)["messages"] == "4" and pairs(said)["rows"] == "7"
    assert frames(client, 4) == [
        published("trade", columns(0, 3).items),
        published("quote", quote(5, 2).items),
        published("trade", columns(3, 1, NOON + 7).items[:1] + columns(3).items[1:]),
        published("quote", quote(9).items)]
    client.expect_silence()
    log("--replay", place(daemon), "--from", 1, "--table", "trade", path)
    assert frames(client, 1) == [published(
        "trade", columns(3, 1, NOON + 7).items[:1] + columns(3).items[1:])]
    client.expect_silence()


def test_replay_many(start, connect, journal):
    """Protects the end: 50,000 small records and some longer than the batch
    are all taken when it says so."""
    daemon = start({"slow": {"policy": "block"}, "ring": {"size": "4M"},
                    "streams": {"ring": "4M"}, "message": {"max": "1M"}})
    client = connect(daemon)
    long_at = {100, 40000}
    path = journal([record("trade", columns(i, 20000 if i in long_at else 1))
                    for i in range(50000)])
    client.subscribe()
    process = subprocess.Popen(
        [find_ringtick(), "log", "--replay", place(daemon), str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for i in range(50000):
        frame = client.read_frame()
        rows = 20000 if i in long_at else 1
        if rows > 1:
            assert frame == published("trade", columns(i, rows).items)
        assert int.from_bytes(frame[-8:], "little") == i + rows - 1
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0 and pairs(said)["messages"] == "50000"


@pytest.mark.parametrize("speed,least", [("1", 0.6), ("4", 0.15), ("0", 0)])
def test_replay_speed(start, connect, journal, speed, least):
    """Protects the gaps: by the time column, divided by --speed; what is late
    in the journal is not waited for."""
    daemon = start()
    client = connect(daemon)
    client.subscribe("trade")
    times = [0, 200, 400, 100, 600 if least else 60_000]  # ms
    path = journal([record("trade", columns(i, 1, NOON + ms * 10**6))
                    for i, ms in enumerate(times)])
    began = time.monotonic()
    log("--replay", place(daemon), "--speed", speed, path)
    took = time.monotonic() - began
    assert took >= least and (least or took < 30)
    assert [int.from_bytes(frame[-8:], "little") for frame in frames(client, 5)] == [
        0, 1, 2, 3, 4]


def test_replay_is_stopped(start, connect, journal):
    """Protects from half a message: SIGINT in a long gap ends at once, and the
    server has what was sent."""
    daemon = start()
    client = connect(daemon)
    client.subscribe("trade")
    path = journal([record("trade", columns(i, 1, NOON + i * 3600 * SECOND))
                    for i in range(3)])
    process = subprocess.Popen(
        [find_ringtick(), "log", "--replay", place(daemon), "--speed", "1", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert frames(client, 1) == [published("trade", columns(0).items)]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0 and pairs(said)["messages"] == "1"
    client.expect_silence()


def serve(sock, may_read):
    """As a tickerplant: answers the first request, then reads when it may, to the
    end. How many updates came, all of them whole."""
    while sock.recv(1) != b"\0":
        pass
    sock.sendall(b"\3")
    reader = kdb.FrameReader(sock)
    updates = 0
    with contextlib.suppress(kdb.Closed):
        while True:
            frame = reader.next()
            updates += len(frame) > 100  # else it asks whether all has come
            if frame[1] == kdb.SYNC:
                sock.sendall(kdb.frame(kdb.NIL, kdb.RESPONSE))
            if updates == 1:
                may_read()
    return updates


def wait_full(sock):
    """Until no more comes: the sender waits for room."""
    before, now = -1, 0
    while now == 0 or now != before:
        time.sleep(0.2)
        before, now = now, struct.unpack("i", fcntl.ioctl(
            sock, termios.FIONREAD, b"1234"))[0]


@pytest.mark.parametrize("tool", ["replay", "feed"])
def test_signal_while_the_server_takes_nothing(journal, tool):
    """Protects the server from half a message, and people from waiting for all of
    it: what was begun is sent, nothing after it, and the total says how much."""
    path = journal([record("trade", columns(0, 2000))] * 800)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        where = "127.0.0.1:%d" % server.getsockname()[1]
        process = subprocess.Popen(
            [find_ringtick(), *(["log", "--replay", where, str(path)] if tool == "replay"
                                else ["feed", "-p", where[10:], "--rate", "0",
                                      "--rows", "2000"])],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with server.accept()[0] as sock:
            sock.settimeout(20)

            def stop():
                wait_full(sock)
                process.send_signal(signal.SIGTERM)
            updates = serve(sock, stop)
        said = process.communicate(timeout=20)[1]
    total = said[said.index("total "):]
    assert process.returncode == 0, said
    assert int(pairs(total)["messages"]) == updates < 800


def test_replay_refused(start, connect, journal):
    """Protects from believing that it arrived: what is refused is counted and
    named, the first of each kind with the reason, and the others arrive."""
    daemon = start({"message": {"max": "64K"}})
    client = connect(daemon)
    client.subscribe()
    wrong = kdb.lst(kdb.vec("n", [NOON]), kdb.syms("a"), kdb.vec("j", [1]),
                    kdb.vec("j", [1]))
    path = journal([record("trade", columns(0)), record("trade", wrong),
                    record("nowhere", columns(0)), record("trade", columns(1)),
                    record("trade", wrong), record("trade", columns(2, 4000)),
                    record("trade", columns(3)), record("trade", columns(4, 4000)),
                    record("trade", wrong)])
    said = log("--replay", place(daemon), path, status=1)[1]
    assert "record 1, of table trade, is refused with 'type: trade.price" in said
    assert "record 2, of table nowhere, is refused with 'nowhere" in said
    assert "record 5, of table trade, is refused with 'limit" in said
    assert "3 records like record 1" in said and "2 records like record 5" in said
    assert pairs(said)["messages"] == "3" and pairs(said)["refused"] == "6"
    assert [f[-8] for f in frames(client, 3)] == [0, 1, 3]
    client.expect_silence()


def test_replay_shows_progress(start, journal):
    """Protects people who wait for the replay of a day: on a terminal, and nowhere
    else, one line shows the progress each second."""
    daemon = start()
    path = journal([record("trade", columns(0)), record("quote", quote(0)),
                    record("trade", columns(1, 1, NOON + 3 * SECOND // 2))])
    command = [find_ringtick(), "log", "--replay", place(daemon), "--speed", "1", path]
    terminal, theirs = os.openpty()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # EIO: no process has it open any more
            while more := os.read(terminal, 4096):
                said += more
        os.close(terminal)
        assert process.wait(timeout=20) == 0
    assert re.match(rb"(\r *\d+ %, 2 records, 0 refused )+\r\ntotal ", said), said
    share = int(said.split(b"%")[0])
    assert 0 < share < 100
    assert "%" not in log(*command[2:])[1]


def test_replay_speed_of_many_types(start, connect, journal):
    """Protects the gaps where tables have times of other types, and over
    midnight: each record's place in the file counts."""
    daemon = start({"schema": {"tables": [
        daemon_module.TRADE, {"name": "stamped", "columns": [
            "time timestamp", "sym symbol", "n long"]}]}})
    client = connect(daemon)
    client.subscribe()
    def stamped(ms):
        return record("stamped", kdb.lst(kdb.vec("p", [8000 * 24 * 3600 * SECOND
                                                       + ms * 10**6]),
                                         kdb.syms("a"), kdb.vec("j", [1])))
    midnight = 24 * 3600 * SECOND
    path = journal([record("trade", columns(0, 1, midnight - 200 * 10**6)),
                    stamped(0), stamped(300),
                    record("trade", columns(1, 1, 200 * 10**6)), stamped(400),
                    record("trade", columns(2, 1, 800 * 10**6))])
    began = time.monotonic()
    _, said = log("--replay", place(daemon), "--speed", 1, path)
    assert 1.0 <= time.monotonic() - began < 10
    assert pairs(said)["messages"] == "6"


def test_replay_without_server(journal):
    """Protects from looking for options that are not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for host in ("127.0.0.1", "[::1]", "::1"):
        said = log("--replay", "%s:%d" % (host, port), journal(), status=2)[1]
        assert str(port) in said and "--replay HOST:PORT" in said and "refused" in said
        assert " -h" not in said and " -p" not in said
    said = log("--replay", "localhost.invalid:1", "--replay", "::1:%d" % port, journal(),
               status=2)[1]
    assert "to ::1, port %d" % port in said  # the last one, and it alone
    for wrong in ("5010", ":5010", "host:", "host:0", "host:http"):
        assert "--replay" in log("--replay", wrong, journal(), status=2)[1]


# ---- usage ----


@pytest.mark.parametrize("arguments", [
    [], ["FILE", "FILE"], ["--nonsense", "FILE"], ["--json", "--count", "FILE"],
    ["--filter", "trade", "FILE"], ["--out", "x", "FILE"],
    ["--follow", "--verify", "FILE"], ["--follow", "--tables", "FILE"],
    ["--verify", "--from", "1", "FILE"], ["--repair", "--table", "trade", "FILE"],
    ["--filter", "trade", "--table", "quote", "--out", "x", "FILE"],
    ["--speed", "1", "FILE"], ["--replay", "h:1", "--speed", "-1", "FILE"],
    ["--replay", "h:1", "--speed", "nan", "FILE"], ["/nonexistent"], ["/tmp"],
    ["/dev/null"]])
def test_wrong_usage(journal, arguments):
    """Protects from doing something else than was meant: status 2, a sentence
    on stderr, nothing on stdout."""
    path = str(journal())
    shown, wrong = log(*[path if one == "FILE" else one for one in arguments], status=2)
    assert shown == "" and wrong.strip()


def test_help():
    shown, wrong = log("--help")
    assert wrong == ""
    for option in ("--json", "--count", "--tables", "--verify", "--repair", "--filter",
                   "--out", "--replay", "--speed", "--user", "--table", "--from", "--to",
                   "--follow"):
        assert option in shown


def test_output_is_lost(journal):
    """Protects scripts: what could not be written is no success."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([find_ringtick(), "log", str(journal())], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and "standard output" in done.stderr


# ---- a reader written by others ----


def test_node_q_agrees(journal):
    """Protects the claim that --json shows what is in the file: node-q's
    deserialiser sees the same."""
    path = modules()
    plain = [record("trade", columns(0, 3)), record("trade", row(3)),
             record("pair", kdb.syms("x", "y")),
             record("text", kdb.lst(kdb.sym("a"), kdb.text("b c"), kdb.atom("f", 0.25),
                                    kdb.atom("i", -5), kdb.atom("b", 1)))]
    done = subprocess.run(
        ["node", str(HERE / "decode.js")], check=True, stdout=subprocess.PIPE, text=True,
        env=dict(os.environ, NODE_PATH=str(path), TZ="UTC"),
        input="".join(kdb.frame(kdb.decode(one)).hex() + "\n" for one in plain))
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    ours = [json.loads(line) for line in log("--json", journal(plain))[0].splitlines()]
    assert len(theirs) == len(ours) == 4
    for (upd, name, x), one in zip(theirs, ours):
        assert (upd, name) == ("upd", one["table"])
        lists = [column if isinstance(column, list) else [column] for column in x]
        rows = [list(cells) for cells in zip(*lists)]
        assert len(rows) == len(one["rows"])
        for their_row, our_row in zip(rows, one["rows"]):
            for their, our in zip(their_row, our_row, strict=True):
                if isinstance(our, str) and our.startswith("0D"):
                    continue  # a Date there, cut to ms
                assert their == our
