"""A file system that hangs holds up only the clients that wait for the journal."""

import signal
import time

import hanging
import journal
import kdb
import pytest
from kdb import NIL
from traffic import published, trade, update


@pytest.fixture
def disk(tmp_path):
    made = hanging.HangingDisk(tmp_path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _goes_on(disk, start):
    """Before the daemon is ended: while the disk hangs no process can end."""
    yield
    disk.go_on()


def slowest_of(feed, sub, numbers):
    """The longest time that one of these updates takes to a subscriber, one after
    the other, and that an answer takes which does not need the journal."""
    slowest = 0
    for n in numbers:
        began = time.monotonic()
        feed.send(update("trade", trade(n)))
        assert sub.read_frame() == published("trade", trade(n).items)
        assert sub.sync(".u.d").type == 14
        slowest = max(slowest, time.monotonic() - began)
    return slowest


def test_hanging_disk(disk, start, connect, clock, mode):
    """Protects all clients from a disk that hangs: the look at the file, the
    opening of the next day's file, and the writes and syncs at the end of the day
    hang one after the other; updates and answers continue, and when the disk works
    again, every record gets into the files."""
    daemon = start(journal.settings(disk.path, {
        "engine": {"mode": mode}, "log": {"report": "1h"},
        "day": {"zone": "utc"}}, sync="interval", sync_interval="100ms"),
        environment=clock.environment())
    feed, sub = connect(daemon), connect(daemon)
    day = feed.sync(".u.d").value
    sub.subscribe()
    slowest = slowest_of(feed, sub, range(5))
    disk.hang("stat")
    assert disk.hanging() == "stat"
    slowest = max(slowest, slowest_of(feed, sub, range(5, 25)))
    disk.go_on()
    disk.hang("open")
    clock.set_before_the_end(day, 30)
    feed.sync("")
    assert disk.hanging() == "open"
    slowest = max(slowest, slowest_of(feed, sub, range(25, 45)))
    # the day ends, and its file cannot
    clock.set_before_the_end(day, -1)
    feed.send(update("trade", trade(45)))
    assert sub.read_frame() == journal.end_frame(day)
    assert sub.read_frame() == published("trade", trade(45).items)
    slowest = max(slowest, slowest_of(feed, sub, range(46, 66)))
    assert not daemon.logged("journal_rolled")
    disk.hang("sync", "write", "release")
    disk.go_on()
    daemon.wait_log("journal_rolled")
    disk.hang("sync")
    slowest = max(slowest, slowest_of(feed, sub, range(66, 80)))
    assert disk.hanging() == "sync"
    slowest = max(slowest, slowest_of(feed, sub, range(80, 90)))
    disk.go_on()
    print("\nslowest: %.1f ms" % (slowest * 1000))
    assert slowest < 5
    assert feed.update("trade", trade(90)) == NIL
    records = [journal.record("trade", trade(n)) for n in range(91)]
    assert journal.read(journal.path_of(disk.path, day)).records == records[:45]
    assert journal.read(journal.path_of(disk.path, day + 1)).records == records[45:]


def test_asking_while_a_sync_hangs(disk, start, connect):
    """Protects a client that publishes and asks from waiting for a disk that hangs
    with all records written: a question about records that are not safe yet is an
    error."""
    daemon = start(journal.settings(disk.path, sync="batch"))
    feed = connect(daemon)
    assert feed.update("trade", trade(0)) == NIL
    disk.hang("sync")
    feed.send(update("trade", trade(1)))
    assert feed.sync("") == kdb.Error(b"journal")
    disk.go_on()
    assert feed.update("trade", trade(2)) == NIL
    assert feed.sync("3") == kdb.atom("j", 3)


@pytest.mark.parametrize("what", ["write", "stat"])
def test_stop_while_the_disk_hangs(disk, start, connect, what):
    """Protects the operator who stops the service: within stop.timeout ports and
    connections are closed, the log names the records that are not written, and
    STATUS says what the process waits for; it ends when the disk works again."""
    daemon = start(journal.settings(disk.path, {"stop": {"timeout": "1s"}}))
    client = connect(daemon)
    assert client.update("trade", trade(0)) == NIL
    disk.hang(what)
    client.send(update("trade", trade(1)))
    assert disk.hanging() == what
    daemon.signal(signal.SIGTERM)
    began = time.monotonic()
    with pytest.raises((kdb.Closed, ConnectionError)):
        while True:
            client.read_frame()
    daemon.wait_log("journal_hangs")
    assert time.monotonic() - began < 5
    daemon._await(lambda: True if any("hangs" in one for one in daemon.notes)
                  else None, 10, "STATUS")
    with pytest.raises(ConnectionRefusedError):
        kdb.Client(daemon.port)
    assert len(daemon.logged("journal_lost", records=1)) == (what == "write")
    assert ("last look at the journal" in daemon.logged("stop_cut")[0]["hint"]) == (
        what == "stat")
    disk.go_on()
    daemon.stop(75 if what == "write" else 1)


def test_stop_that_is_paused(disk, start, connect):
    """Protects a stop from a pause, of the process or the machine, during its last
    work on the files: that time does not count as the disk's."""
    daemon = start(journal.settings(disk.path, {"stop": {"timeout": "1s"}}))
    client = connect(daemon)
    assert client.update("trade", trade(0)) == NIL
    client.close()
    disk.hang("sync")
    daemon.signal(signal.SIGTERM)
    assert disk.hanging() == "sync"
    daemon.signal(signal.SIGSTOP)  # not pause(): a thread hangs in fdatasync
    time.sleep(1.5)  # longer than stop.timeout
    daemon.signal(signal.SIGCONT)
    disk.go_on()
    daemon.stop()
    assert not daemon.logged("journal_hangs")


def test_opening_hangs_behind_a_full_ring(disk, start, connect):
    """Protects the CPU while the next day's file is opened: the records in the ring
    that wait for it are not walked through in each turn."""
    daemon = start(journal.settings(disk.path, {
        "engine": {"mode": "direct"}, "log": {"report": "1h"},
        "ring": {"size": "32M"}}))
    feed, other = connect(daemon), connect(daemon)
    feed.update("trade", trade(0))
    disk.hang("open")
    feed.async_(kdb.text(".u.endofday[]"))
    block = update("trade", trade(1)) * 1000
    for _ in range(150):
        feed.send(block)
    daemon.wait_log("end_of_day")
    assert disk.hanging() == "open"
    other.sync(".u.d")
    began = daemon.cpu_seconds(daemon.pid)
    for _ in range(300):
        other.sync(".u.d")
    used = daemon.cpu_seconds(daemon.pid) - began
    disk.go_on()
    daemon.wait_log("journal_rolled")
    assert used < 0.3


def test_next_file_cannot_be_synced(disk, start, connect):
    """Protects the days after a short trouble of the disk: a next file that could
    not be brought to the disk is made anew, so that nothing in it is in doubt and
    a later start does not refuse it."""
    daemon = start(journal.settings(disk.path, sync="batch"))
    feed = connect(daemon)
    assert feed.update("trade", trade(0)) == NIL
    disk.fail_sync()
    feed.send(kdb.frame(".u.endofday[]", kdb.SYNC))
    daemon.wait_log("journal_failing", operation="roll")
    assert disk.has_failed()
    disk.go_on()
    daemon.wait_log("journal_mended")
    feed.read_response()
    assert feed.update("trade", trade(1)) == NIL
    assert not list(disk.below.glob("*.unsynced"))
    _, path = journal.count_and_path(feed)
    daemon.stop()
    assert journal.read(path).records == [journal.record("trade", trade(1))]


def test_a_sync_fails(disk, start, connect, mode):
    """Protects accepted records: no success after a failed fdatasync is believed. The
    daemon ends with status 74, what was not on the disk gets no answer, and the next
    start writes it anew."""
    daemon = start(journal.settings(disk.path, {"engine": {"mode": mode}}, sync="batch"))
    feed = connect(daemon)
    assert feed.update("trade", trade(0)) == NIL
    _, path = journal.count_and_path(feed)
    safe = path.stat().st_size
    disk.fail_sync()
    feed.send(update("trade", trade(1), kdb.SYNC))
    assert daemon.process.wait(20) == 74
    with pytest.raises(kdb.Closed):
        feed.read_response()
    line = daemon.wait_log("journal_unsynced")
    assert line.number("from_byte") == safe and line.number("from_record") == 1
    disk.go_on()
    daemon.stop(74)
    # fusepy has no O_DIRECT, with which it is read back
    again = start(journal.settings(disk.below, sync="batch"))
    assert again.wait_log("journal_rewritten").number("from_byte") == safe
    count, path = journal.count_and_path(connect(again))
    assert count == 2
    assert journal.read(path).records == [
        journal.record("trade", trade(n)) for n in range(2)]


@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_hang_is_told(disk, start, connect, call):
    """Protects the operator from silence: a disk that hangs is in the log and in
    STATUS after about a second, however little waits for it, and so is its end."""
    daemon = start(journal.settings(disk.path, sync="batch"))
    feed = connect(daemon)
    assert feed.update("trade", trade(0)) == NIL
    disk.hang(call)
    feed.send(update("trade", trade(1)))
    assert disk.hanging() == call
    slow = daemon.wait_log("journal_slow")
    assert slow.number("ring_pct") <= 1 and slow.number("seconds") >= 1
    disk.go_on()
    daemon.wait_log("journal_kept_up")
    assert feed.update("trade", trade(2)) == NIL
    assert len(daemon.logged("journal_slow")) == 1


JOURNAL = kdb.Error(b"journal")


def has_recovered(daemon, mark):
    """Waits until the log and STATUS say that nothing hangs any more."""
    daemon.wait_log("journal_kept_up", after=mark)
    daemon.wait_status(lambda status: "journal" not in status)


def test_the_next_file_hangs(disk, start, connect):
    """Protects who asks between two days while the next day's file hangs in open:
    the log and STATUS say so, and whoever waits for the file, or asks for it later,
    gets an error after about a second and not after message.timeout; the answer
    when it is there."""
    daemon = start(journal.settings(disk.path, {"log": {"report": "1h"}}))
    feed, *waiting = (connect(daemon) for _ in range(6))
    assert feed.update("trade", trade(0)) == NIL
    disk.hang("open")
    feed.async_(kdb.text(".u.endofday[]"))
    daemon.wait_log("end_of_day")
    asked = [".u.i", ".u.L", journal.JOIN, ".u.sub[`trade;`]",
             ".ringtick.subfrom[`;`;0]"]
    began = time.monotonic()
    for client, what in zip(waiting, asked):
        client.send(kdb.frame(what, kdb.SYNC))
    feed.send(update("trade", trade(1)))
    for client in waiting:
        assert kdb.decode(client.read_response()[8:]) == JOURNAL
    assert time.monotonic() - began < 8
    assert daemon.wait_log("journal_slow")["operation"] == "open the next file"
    daemon.wait_status(lambda status: status.get("journal") == "slow")
    began = time.monotonic()
    assert waiting[0].sync(".u.i") == waiting[1].sync(journal.JOIN) == JOURNAL
    assert feed.sync("3") == JOURNAL
    assert time.monotonic() - began < 1
    assert isinstance(connect(daemon).subscribe("trade"), kdb.List)
    mark = daemon.mark()
    disk.go_on()
    daemon.wait_log("journal_rolled")
    has_recovered(daemon, mark)
    assert feed.update("trade", trade(2)) == NIL
    assert waiting[0].sync(".u.i") == kdb.atom("j", 2)
    assert len(daemon.logged("journal_slow")) == 1


def test_nothing_waits_for_what_hangs(disk, start, connect, clock):
    """Protects the operator from a surprise at midnight: a file system that hangs
    is told also while nothing waits for it yet."""
    daemon = start(journal.settings(disk.path, {
        "log": {"report": "1h"}, "day": {"zone": "utc"}}),
        environment=clock.environment())
    feed = connect(daemon)
    day = feed.sync(".u.d").value
    disk.hang("open")
    clock.set_before_the_end(day, 30)
    assert feed.update("trade", trade(0)) == NIL
    line = daemon.wait_log("journal_slow")
    assert line["operation"] == "open the next file"
    daemon.wait_status(lambda status: status.get("journal") == "slow")
    assert feed.update("trade", trade(1)) == NIL
    assert feed.sync(".u.i") == kdb.atom("j", 2)
    disk.go_on()
    has_recovered(daemon, daemon.index(line))
    clock.set_before_the_end(day, -1)
    assert feed.update("trade", trade(2)) == NIL
    assert feed.sync(".u.i") == kdb.atom("j", 1)


def test_bringing_back_hangs(disk, start, connect):
    """The same while a file that was moved gets its name back."""
    daemon = start(journal.settings(disk.path, {"log": {"report": "1h"}}))
    feed, asker, sub = connect(daemon), connect(daemon), connect(daemon)
    assert feed.update("trade", trade(0)) == NIL
    _, path = journal.count_and_path(asker)
    sub.subscribe()
    disk.hang("link")
    path.rename(disk.path / "moved")
    assert disk.hanging() == "link"
    began = time.monotonic()
    assert asker.sync(".u.i") == JOURNAL
    assert time.monotonic() - began < 8
    feed.send(update("trade", trade(1)))
    assert sub.read_frame() == published("trade", trade(1).items)
    line = daemon.wait_log("journal_slow")
    assert line["operation"] == "give the file its name"
    disk.go_on()
    daemon.wait_log("journal_brought_back", how="linked")
    has_recovered(daemon, daemon.index(line))
    assert feed.sync("3") == kdb.atom("j", 3)
    assert journal.count_and_path(asker) == (2, path)
