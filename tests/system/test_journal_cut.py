"""Torn ends of a journal and damage: the daemon and ringtick log tell them apart
alike, whatever the cells contain."""

import subprocess

import journal
import kdb
from kdb import NIL, atom, lst, sym, syms, text, vec
from test_log_tool import log, pairs
from traffic import published

ANY = {"name": "ev", "columns": ["time timespan", "sym symbol", "any list"]}
NAMES = "time sym any"


def settings(folder):
    return journal.settings(folder, {"schema": {"tables": [ANY]}})


def columns(*cells):
    return lst(vec("n", [1] * len(cells)), syms(*["a"] * len(cells)), lst(*cells))


def a_record(*cells):
    return journal.record("ev", columns(*cells))


NESTED = kdb.table("a b", vec("i", [1, 2]), kdb.table("c", vec("i", [3, 4])))


def test_cut_record_of_records(start, connect, folder):
    """Protects the start after a crash in the middle of an update that carries
    captured records: it is torn, not damaged, for the daemon and the tool."""
    path = journal.path_now(folder)
    whole = [a_record(text("one")), a_record(text("two"))]
    captured = b"".join(whole * 2)
    for number, last, cut in (
            (1, a_record(text(captured)), len(captured) - len(whole[0]) - 20),
            (2, a_record(*[text(whole[0])] * 1001), 1001 * 70)):
        journal.write(path, *whole, last[:cut])
        found = pairs(log("--verify", path, status=1)[0])
        assert (found["result"], found["records"]) == ("torn", "2")
        copy = folder.parent / ("copy%d" % number)
        copy.write_bytes(path.read_bytes())
        assert pairs(log("--repair", copy)[0])["tail_bytes"] == str(cut)
        assert copy.read_bytes() == journal.HEADER + b"".join(whole)

        daemon = start(settings(folder))
        line = daemon.wait_log("journal_torn", cut_bytes=cut)
        with open(line["side_file"], "rb") as side:
            assert side.read() == last[:cut]
        assert journal.count_and_path(connect(daemon)) == (2, path)
        assert path.read_bytes() == copy.read_bytes()
        daemon.stop()


def test_damaged_count(start, connect, folder):
    """Protects the records after a damaged count that reaches past the end, as the
    count of a torn record does: the start and the tool say how many whole records
    go to the side file, and their commands bring them back."""
    path = journal.path_now(folder)
    records = [a_record(text("record %d" % n)) for n in range(5)]
    bad = records[1].replace(b"\x0a\0\x08\0\0\0", b"\x0a\0\x08\0\x01\0")
    assert bad != records[1]
    journal.write(path, records[0], bad, *records[2:])
    shown, wrong = log("--verify", path, status=1)
    assert pairs(shown)["result"] == "torn" and " 3 whole records" in wrong
    copy = folder.parent / "copy"
    copy.write_bytes(path.read_bytes())
    shown, wrong = log("--repair", copy)
    assert pairs(shown)["records"] == "1" and " 3 whole records" in wrong
    daemon = start(settings(folder))
    line = daemon.wait_log("journal_torn_records", records=3, at_byte=len(bad))
    assert line.level == 3
    for said in wrong, line["hint"]:
        command = "(" + said.split("(head")[1].split(">BEHIND")[0].join(("head", ""))
        behind = subprocess.run(command, shell=True, stdout=subprocess.PIPE, check=True)
        assert behind.stdout == journal.HEADER + b"".join(records[2:])
    saved = folder.parent / "BEHIND"
    saved.write_bytes(behind.stdout)
    log("--replay", "127.0.0.1:%d" % daemon.port, saved)
    assert journal.count_and_path(connect(daemon)) == (4, path)


def test_tables_in_cells(start, connect, folder):
    """Protects data that q takes: a table whose column is a table is an update,
    is a record, and is sent to subscribers; after a restart too."""
    path = journal.path_now(folder)
    daemon = start(settings(folder))
    sub, feed = connect(daemon), connect(daemon)
    sub.subscribe()
    assert feed.update("ev", columns(NESTED)) == NIL
    row = lst(atom("n", 1), sym("a"), kdb.table("t", kdb.table("u", NESTED)))
    assert feed.update("ev", row) == NIL
    frames = [published("ev", columns(NESTED).items, NAMES),
              published("ev", columns(row.items[2]).items, NAMES)]
    assert [sub.read_frame() for _ in frames] == frames
    sub.close()
    feed.close()
    daemon.stop()

    assert len(journal.read(path)) == 2
    shown, wrong = log("--verify", path)
    assert pairs(shown)["result"] == "whole" and wrong == ""
    assert "3 4" in log(path)[0] and '"rows":[[3],[4]]' in log("--json", path)[0]
    daemon = start(settings(folder))
    assert journal.count_and_path(connect(daemon)) == (2, path)
    late = connect(daemon)
    late.sync(".ringtick.subfrom[`ev;`;0]")
    assert [late.read_frame() for _ in frames] == frames


def test_unknown_is_kept(start, connect, folder):
    """Protects objects in a journal of q that the checker does not know: a record
    whose lengths add up is counted, reported and left where it is."""
    path = journal.path_now(folder)
    odd = a_record(NESTED).replace(b"\x06\0\2\0\0\0\3\0\0\0", b"\x06\7\2\0\0\0\3\0\0\0")
    good = a_record(text("good"))
    content = journal.HEADER + good + odd + good + odd
    path.write_bytes(content)
    shown, wrong = log("--verify", path)
    found = pairs(shown)
    assert (found["result"], found["records"], found["unknown_records"],
            found["unknown_first"]) == ("whole", "4", "2", "1")
    assert "the first is record 1 (the attribute is unknown)" in wrong
    assert pairs(log("--repair", path)[0])["result"] == "whole"
    assert "record 3," in log(path)[0] and '"unknown":' in log("--json", path)[0]

    daemon = start(settings(folder))
    line = daemon.wait_log("journal_unknown", records=2, first_record=1)
    assert line["why"] == "the attribute is unknown"
    feed = connect(daemon)
    assert feed.update("ev", columns(text("new"))) == NIL
    assert journal.count_and_path(feed) == (5, path)
    assert path.read_bytes() == content + a_record(text("new"))
    late = connect(daemon)
    late.sync(".ringtick.subfrom[`ev;`;0]")
    assert [late.read_frame() for _ in range(3)] == [
        published("ev", columns(text(one)).items, NAMES)
        for one in ("good", "good", "new")]
    # a replay says what it leaves out
    log("--replay", "127.0.0.1:%d" % daemon.port, path, status=1)
