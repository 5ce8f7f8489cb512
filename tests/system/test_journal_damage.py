"""The journal's file is cut, or overwritten, while the daemon has it open."""

import signal
import time

import journal
import kdb
import pytest
from kdb import NIL
from traffic import trade, update


def settings(folder, changes=None, **how):
    return journal.settings(folder, dict({"log": {"report": "100ms"}}, **(changes or {})),
                            **how)


def records(first, last):
    return [journal.record("trade", trade(n)) for n in range(first, last)]


def cut_all(path):
    path.write_bytes(b"")  # truncates in place, as `truncate -s 0` does


def cut_half(path):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)


def copy_over(path):
    with open(path, "r+b") as file:
        file.truncate(0)
        file.write(b"somebody else's")


def copy_journal_over(path):
    """Whole records, as long as those that were there: but others."""
    with open(path, "r+b") as file:
        file.truncate(0)
        file.write(journal.HEADER + b"".join(records(1000, 1003)))


def append(path):
    with open(path, "ab") as file:
        file.write(b"what does not belong here" * 10)


@pytest.mark.parametrize("damage", [
    cut_all, cut_half, copy_over, copy_journal_over, append])
@pytest.mark.parametrize("after", ["ring", "journal"])
def test_file_cut(start, connect, folder, damage, after):
    """Protects the day: records that were cut off are written once more out of the
    ring, in their place, and that is logged; no consumer is disconnected, q can
    replay the file, and the next start takes it."""
    daemon = start(settings(folder, after=after))
    client, sub = connect(daemon), connect(daemon)
    journal.join(sub)
    path = journal.path_now(folder)
    for n in range(100):
        assert client.update("trade", trade(n)) == NIL
    daemon.summary()  # all of it was seen to be there
    damage(path)
    assert client.update("trade", trade(100)) == NIL
    line = daemon.wait_log("journal_cut")
    assert line.level == 3 and line["lost_records"] == "0" and line["epoch"] == "0"
    assert client.update("trade", trade(101)) == NIL
    assert journal.count_and_path(client) == (102, path)
    assert journal.read(path).records == records(0, 102)
    for n in range(102):
        assert journal.record_of(sub.read_frame()) == records(n, n + 1)[0]
    client.close()
    sub.close()
    daemon.stop()
    again = start(settings(folder))
    assert journal.count_and_path(connect(again)) == (102, path)


@pytest.mark.parametrize("damage", [cut_all, copy_journal_over])
def test_records_are_lost(start, connect, folder, damage):
    """Protects claims when the ring no longer has the records that were cut off:
    the file continues with the ones left, .u.i counts them, the log names the lost
    ones, and a client that had other records in their place is refused."""
    daemon = start(settings(folder))
    client = connect(daemon)
    for n in range(10):
        assert client.update("trade", trade(n)) == NIL
    client.close()
    daemon.stop()
    daemon = start(settings(folder))
    client, sub = connect(daemon), connect(daemon)
    path = journal.path_now(folder)
    for n in range(10, 20):
        assert client.update("trade", trade(n)) == NIL
    daemon.summary()
    damage(path)
    line = daemon.wait_log("journal_cut")
    assert (line["kept_records"], line["lost_records"]) == ("0", "10")
    assert int(line["epoch"]) == 1
    assert client.update("trade", trade(20)) == NIL
    assert journal.count_and_path(client) == (11, path)
    assert journal.read(path).records == records(10, 21)
    i, _ = journal.join(sub)
    assert i == 11
    assert client.update("trade", trade(21)) == NIL
    assert journal.record_of(sub.read_frame()) == records(21, 22)[0]
    client.close()
    sub.close()
    daemon.stop()
    again = start(settings(folder))
    assert again.wait_log("journal")["last_stop"] == "clean"
    assert journal.count_and_path(connect(again)) == (12, path)


def test_written_to_after_it_was_mended(start, connect, folder):
    """Protects the day from `command >JOURNAL`, which cuts the file at once and
    writes to it when it has something to say: that does not change its size."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    for n in range(100):
        assert client.update("trade", trade(n)) == NIL
    with open(path, "r+b", buffering=0) as file:
        file.truncate(0)
        daemon.wait_log("journal_cut")
        mark = daemon.mark()
        file.write(b"what somebody else has to say")
    line = daemon.wait_log("journal_cut", after=mark)
    assert line["lost_records"] == "0" and line["epoch"] == "0"
    assert client.update("trade", trade(100)) == NIL
    assert journal.count_and_path(client) == (101, path)
    assert journal.read(path).records == records(0, 101)


def test_join_while_it_is_written_again(start, connect, folder):
    """Protects a client that subscribes when the end of a damaged file is being
    written and synced once more: what others have seen already, it is told to
    replay."""
    daemon = start(settings(folder, sync="interval", after="sync",
                            sync_interval="1s"))
    client, sub = connect(daemon), connect(daemon)
    path = journal.path_now(folder)
    client.send(b"".join(update("trade", trade(n)) for n in range(100)))
    assert client.update("trade", trade(100)) == NIL
    cut_half(path)
    assert daemon.wait_log("journal_cut")["lost_records"] == "0"
    assert journal.join(sub) == (101, path)
    assert journal.read(path).records == records(0, 101)
    assert client.update("trade", trade(101)) == NIL
    assert journal.record_of(sub.read_frame()) == records(101, 102)[0]


def test_cut_again_after_a_loss(start, connect, folder):
    """Protects what memory has when the file has lost records before, and the ring
    keeps only the last ones: a second cut loses nothing more."""
    path = journal.path_now(folder)
    journal.write(path, *records(1000, 1010))
    daemon = start(settings(folder, {"ring": {"size": "64K"}}))
    client = connect(daemon)
    sent = [trade(n, 200) for n in range(20)]
    for columns in sent:
        assert client.update("trade", columns) == NIL
    mark = daemon.mark()
    for lost in "10", "0":
        cut_all(path)
        assert daemon.wait_log("journal_cut", after=mark)["lost_records"] == lost
        mark = daemon.mark()
    assert client.update("trade", trade(20)) == NIL
    assert journal.read(path).records == [
        journal.record("trade", columns) for columns in [*sent, trade(20)]]


def test_copied_over_after_it_was_mended(start, connect, folder):
    """Protects accepted records from a slow `cp` of an older copy: its second half
    comes when new records are in the place of the lost ones, and its records are as
    long as they are."""
    path = journal.path_now(folder)
    journal.write(path, *records(1000, 1020))
    copy = path.read_bytes()
    half = len(journal.HEADER) + 10 * len(records(0, 1)[0])
    daemon = start(settings(folder))
    client = connect(daemon)
    with open(path, "r+b", buffering=0) as file:
        file.truncate(half)
        assert daemon.wait_log("journal_cut")["lost_records"] == "10"
        for n in range(5):
            assert client.update("trade", trade(n)) == NIL
            daemon.summary()  # by then the file was looked at
        mark = daemon.mark()
        file.seek(half)
        file.write(copy[half:])
    assert daemon.wait_log("journal_cut", after=mark)["lost_records"] == "0"
    assert client.update("trade", trade(5)) == NIL
    assert journal.read(path).records == records(1000, 1010) + records(0, 6)


@pytest.mark.parametrize("damage", [cut_all, cut_half, append])
def test_file_cut_and_deleted(start, connect, folder, damage):
    """Protects the day from both at once: a file that was cut before it was deleted
    comes back with the records left in it, and then the others; the day ends."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    for n in range(100):
        assert client.update("trade", trade(n)) == NIL
    damage(path)
    path.unlink()
    assert client.update("trade", trade(100)) == NIL
    daemon.wait_log("journal_brought_back", how="copied")
    assert daemon.wait_log("journal_cut")["lost_records"] == "0"
    assert client.update("trade", trade(101)) == NIL
    assert client.sync(".u.endofday[]") == NIL
    daemon.wait_log("journal_rolled")
    assert journal.read(path).records == records(0, 102)


@pytest.mark.parametrize("left", [0, 3000, 12_500])
def test_file_cut_while_the_disk_is_full(tmp_path, start, connect, left):
    """Protects the day from a cut that makes room on the disk: the remains of a
    failed write are not cut off where that would put zeros, or other records, in
    the place of the records that are gone."""
    disk = journal.SmallDisk(tmp_path / "disk", 8 << 20)
    try:
        daemon = start(settings(disk.path, {"journal": {"reserve": False}}))
        client = connect(daemon)
        path = journal.path_now(disk.path)
        for n in range(200):
            assert client.update("trade", trade(n)) == NIL
        disk.fill()
        for n in range(200, 1000):
            client.async_(kdb.lst(kdb.sym(".u.upd"), kdb.sym("trade"), trade(n)))
        mark = daemon.mark()
        daemon.wait_log("journal_failing")
        daemon.wait_log("report", after=mark, in_records=1000)
        with open(path, "r+b") as file:
            file.truncate(left)
        for _ in range(10):  # of some tries to write
            daemon.summary()
        disk.resize(32 << 20)
        assert daemon.wait_log("journal_cut", after=mark)["lost_records"] == "0"
        daemon.wait_log("journal_mended", after=mark)
        assert client.update("trade", trade(1000)) == NIL
        assert journal.count_and_path(client) == (1001, path)
        assert journal.read(path).records == records(0, 1001)
        client.close()
        daemon.stop()
    finally:
        disk.close()


@pytest.mark.parametrize("is_deleted", [False, True])
def test_file_cut_before_a_stop(start, connect, folder, is_deleted):
    """Protects accepted records from a stop before the next look at the file: it
    ends when the file is whole, and cleanly."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    for n in range(100):
        assert client.update("trade", trade(n)) == NIL
    cut_half(path)
    if is_deleted:
        path.unlink()
    client.close()
    daemon.stop()
    assert len(daemon.logged("journal_cut", lost_records=0)) == 1
    assert journal.read(path).records == records(0, 100)
    again = start(settings(folder))
    assert again.wait_log("journal")["last_stop"] == "clean"


@pytest.mark.parametrize("content", [
    b"what somebody else has to say", journal.HEADER + b"".join(records(1000, 1003))],
    ids=["text", "records"])
def test_written_to_before_a_stop(start, connect, folder, content):
    """Protects the next start from `command >JOURNAL` and a slow `cp` right before a
    stop: a file that was mended is read once more before it is closed."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    for n in range(100):
        assert client.update("trade", trade(n)) == NIL
    client.close()
    with open(path, "r+b", buffering=0) as file:
        file.truncate(0)
        daemon.wait_log("journal_cut")
        file.write(content)
    mark = daemon.mark()
    daemon.stop()
    assert daemon.logged("journal_cut", after=mark, lost_records=0)
    assert journal.read(path).records == records(0, 100)
    again = start(settings(folder))
    assert again.wait_log("journal")["last_stop"] == "clean"


def test_cuts_are_seen_at_once(start, connect, folder, mode):
    """Protects the next start: a cut in the middle of a record is mended with the
    next batch, and not up to a second later: a crash before that would leave a
    damaged file."""
    daemon = start(settings(folder, {"engine": {"mode": mode}}, after="journal"))
    client = connect(daemon)
    path = journal.path_now(folder)
    for n in range(5):
        assert client.update("trade", trade(n)) == NIL
    mark, took = daemon.mark(), []
    for n in range(5, 20):
        began = time.monotonic()
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size - 7)
        assert client.update("trade", trade(n)) == NIL
        daemon.wait_log("journal_cut", after=mark, lost_records=0)
        mark = daemon.mark()
        took.append(time.monotonic() - began)
    # with one look each second each would have to wait for it
    assert sorted(took)[len(took) // 2] < 0.5
    assert client.update("trade", trade(20)) == NIL
    daemon.signal(signal.SIGKILL)
    daemon.process.wait()
    daemon.abandon()
    client.close()
    again = start(settings(folder))
    assert journal.count_and_path(connect(again)) == (21, path)
    assert journal.read(path).records == records(0, 21)


def test_file_cut_under_a_reader(start, connect, folder, mode):
    """Protects a late joiner from records other than those that it lacks: records
    that it reads from a file that was cut are not sent, and it stays connected; it
    gets all records when the file is whole again."""
    daemon = start(settings(folder, {"engine": {"mode": mode},
                                     "slow": {"return_percent": 5}}))
    feed = connect(daemon)
    path = journal.path_now(folder)
    for n in range(1000):
        feed.send(update("trade", trade(n)))
    assert feed.sync(".u.d").type == 14
    sub = connect(daemon)
    assert journal.join(sub)[0] == 1000  # they can be read now
    sub.close()
    count = 1000
    # with nothing after it, and with records of the same length in the place
    for more in (0, 0, 1, 1, 10, 10):
        with open(path, "r+b") as file:
            file.truncate(8 + (path.stat().st_size - 8) // count * 500)
        for n in range(count, count + more):
            feed.send(update("trade", trade(n)))
        count += more
        late = connect(daemon)
        late.sync(".ringtick.subfrom[`trade;`;0]")
        for n in range(count):
            assert journal.record_of(late.read_frame()) == records(n, n + 1)[0]
        late.close()
        feed.sync("")
    assert not daemon.logged("journal_unreadable")


def test_epoch_cannot_be_stored(start, connect, folder):
    """Protects claims from two epochs with one number: the new epoch is stored as
    soon as possible, and the failure is logged once until then; a stop that cannot
    store that it was clean was not a clean one."""
    path, block = journal.path_now(folder), folder / "sym.epoch.new"
    journal.write(path, *records(0, 1))
    daemon = start(settings(folder))
    client = connect(daemon)
    block.mkdir()
    cut_all(path)
    line = daemon.wait_log("journal_cut")
    assert line["lost_records"] == "1"
    assert daemon.wait_log("epoch_not_stored").level == 4
    assert client.update("trade", trade(1)) == NIL
    block.rmdir()
    stored = "epoch %s open" % line["epoch"]
    for _ in range(100):
        if stored in (folder / "sym.epoch").read_text():
            break
        daemon.summary()
    else:
        pytest.fail("the epoch is not stored")
    assert len(daemon.logged("epoch_not_stored")) == 1
    client.close()
    daemon.signal(signal.SIGKILL)
    daemon.process.wait()
    daemon.abandon()
    for n in range(2):
        daemon = start(settings(folder))
        began = daemon.wait_log("journal")
        assert began["last_stop"] == "unclean"
        assert began.number("epoch") == line.number("epoch") + n + 1
        block.mkdir()
        daemon.stop()
        assert "Is a directory" in daemon.wait_log("epoch_not_stored")["error"]
        block.rmdir()
