"""The journal in trouble: full disks, files and directories that go away.

Nothing that was accepted may be lost, and the log must say what is wrong when it
begins and when it ends."""

import os
import resource
import shutil
import signal
import threading

import daemon as daemon_module
import journal
import kdb
import pytest
from daemon import merged
from kdb import NIL
from late import rejoin
from traffic import Flood, Reader, Template, published, quote, trade, update

ROWS = 20


def settings(directory, changes=None, **how):
    """With frequent reports: they are the news that some tests wait for."""
    return merged({"log": {"report": "100ms"}},
                  journal.settings(directory, changes, **how))


LENGTH = len(journal.record("trade", trade(0, ROWS)))


@pytest.fixture
def disk(tmp_path):
    """A file system of 1 MiB that fills."""
    made = journal.SmallDisk(tmp_path / "disk", 1 << 20)
    yield made
    made.close()


class Limit:
    """A disk that is full for one process: RLIMIT_FSIZE; needs no root."""

    def __init__(self, daemon):
        self.daemon = daemon

    def set(self, size):
        hard = resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE, (size, hard))

    def lift(self):
        self.set(resource.RLIM_INFINITY)


class Keeper:
    """on_frame: keeps the records, and wakes a test that waits for a number of
    them; of a reply, keeps the count in it."""

    def __init__(self, wanted):
        self.records, self.wanted = [], wanted
        self.i = None
        self.news = threading.Condition()

    def __call__(self, frame):
        if frame[1] == kdb.RESPONSE:
            assert self.i is None and not self.records
            self.i = kdb.decode_frame(frame)[1].items[1].items[0].value
            return False
        with self.news:
            self.records.append(journal.record_of(frame))
            self.news.notify()
            return len(self.records) == self.wanted

    def wait_for(self, records):
        with self.news:
            assert self.news.wait_for(lambda: len(self.records) == records, 20)


def at_rest(path):
    """The file between two tries to write: whole records.  A try itself may be
    seen half done, but not the state between them."""
    torn = 0
    for _ in range(40):
        found = journal.File(path)
        if not found.torn:
            return found
        torn += 1
    raise AssertionError("always a torn tail, of %d bytes" % len(found.torn))


def number_of(record):
    """Of the update that Template made."""
    return int.from_bytes(record[-8 * ROWS : -8 * ROWS + 8], "little") // ROWS


def assert_two_feeds(records, each):
    """The updates of two floods, each once, in the order of each flood."""
    numbers = [number_of(one) for one in records]
    first = [n for n in numbers if n < 1_000_000]
    second = [n for n in numbers if n >= 1_000_000]
    assert first == list(range(each))
    assert second == list(range(1_000_000, 1_000_000 + each))


EACH = 6000  # two feeds: 8 MB of records, more than disk, staging and ring


def two_floods(connect, daemon):
    template = Template(ROWS)
    return [Flood(connect(daemon), template, first + EACH, first=first)
            for first in (0, 1_000_000)]


def finish(*floods):
    """Until all of their updates are accepted."""
    for one in floods:
        one.finish()
        assert one.client.sync("") is not None


def wait_held(daemon):
    """Until no update is taken in any more; the report that shows it."""
    before = daemon.summary()
    while True:
        now = daemon.summary()
        assert now.number("ring_pct") <= 100
        if now["in_records"] == before["in_records"]:
            return now
        before = now


@pytest.mark.parametrize("mode,after,sync", [
    ("sqpoll", "ring", "none"), ("direct", "ring", "batch"),
    ("sqpoll", "journal", "none"), ("direct", "sync", "batch")])
def test_disk_full(disk, start, connect, mode, after, sync):
    """Protects the day from a full disk: what was accepted waits in memory, feeds
    wait when that is full, the log says so once; when there is space every record
    comes into the file once, in order, and subscribers have the same."""
    daemon = start(settings(disk.path, {
        "engine": {"mode": mode}, "slow": {"policy": "block"}}, sync=sync,
        after=after))
    path = journal.path_now(disk.path)
    sub, other = connect(daemon), connect(daemon)
    assert journal.join(sub) == (0, path)
    reader = Reader(sub, Keeper(2 * EACH))
    floods = two_floods(connect, daemon)
    failing = daemon.wait_log("journal_failing")
    assert failing.level == 3 and failing["operation"] == "write"
    assert "No space left" in failing["error"] and failing["file"] == str(path)
    slow = daemon.wait_log("journal_slow")
    assert slow.level == 4
    # systemd is told at once, and how much room there is
    assert daemon.wait_status(lambda status: "journal" in status)["journal"] in (
        "failing", "slow")
    assert daemon.summary().number("journal_free_mb") <= 1
    # feeds are held, not before the ring is full
    held = wait_held(daemon)
    accepted = held.number("in_records")
    assert accepted < 2 * EACH and held.number("journal_lag_bytes") > 900_000
    for _ in range(3):
        found = at_rest(path)
        assert journal.count_and_path(other) == (len(found), path)
        daemon.summary()
    assert daemon.summary().number("journal_records") == len(found)
    reader.on_frame.wait_for(accepted if after == "ring" else len(found))
    before_file = found.records
    assert len(daemon.logged("journal_failing")) == 1
    assert len(daemon.logged("journal_slow")) == 1
    assert not daemon.logged("journal_mended")
    disk.resize(64 << 20)
    mended = daemon.wait_log("journal_mended")
    assert mended.level == 5 and mended.number("failures") > 1
    finish(*floods)
    reader.finish()
    daemon.wait_log("journal_kept_up")
    daemon.wait_status(lambda status: "journal" not in status)
    daemon.wait_log("report", journal_free_mb=lambda mb: mb.isdigit() and int(mb) > 50)
    assert other.update("quote", quote(1)) == NIL
    records = journal.read(path).records
    assert records[:-1] == reader.on_frame.records
    assert records[: len(before_file)] == before_file
    assert_two_feeds(records[:-1], EACH)
    assert journal.count_and_path(other) == (2 * EACH + 1, path)


@pytest.mark.parametrize("mode,after,ring", [
    ("sqpoll", "journal", "128K"), ("direct", "journal", "1M"),
    ("sqpoll", "ring", "1M")])
def test_disk_full_and_nobody_listens(disk, start, connect, mode, after, ring):
    """Protects the daemon's bounds where no subscriber holds the ring: much more
    than the ring waits to be written, and who joins then gets all."""
    daemon = start(settings(disk.path, {
        "engine": {"mode": mode}, "slow": {"policy": "block"},
        "ring": {"size": ring}, "streams": {"max": 0},
        "connections": {"receive_buffer": "16K"}}, after=after))
    path = journal.path_now(disk.path)
    floods = two_floods(connect, daemon)
    daemon.wait_log("journal_failing")
    wait_held(daemon)
    sub = connect(daemon, timeout=60)
    sub.send(kdb.frame(journal.JOIN, kdb.SYNC))
    daemon.wait_log("subscribe")
    disk.resize(64 << 20)
    daemon.wait_log("journal_mended")
    i, _ = kdb.decode(sub.read_response()[8:]).items[1].items
    assert not sub.inbox
    reader = Reader(sub, Keeper(2 * EACH - i.value))
    finish(*floods)
    assert connect(daemon).update("quote", quote(1)) == NIL
    if reader.on_frame.wanted > 0:
        reader.finish()
    records = journal.read(path).records
    assert_two_feeds(records[:-1], EACH)
    assert records[i.value : 2 * EACH] == reader.on_frame.records[: 2 * EACH - i.value]


@pytest.mark.parametrize("ring", ["64K", "256K"])
def test_small_ring_and_nobody_listens(start, connect, folder, mode, ring):
    """Protects small rings under publish.after = journal: the journal may hold
    more than a ring's length that is not visible yet."""
    daemon = start(settings(folder, {
        "engine": {"mode": mode}, "ring": {"size": ring}, "streams": {"max": 0},
        "connections": {"receive_buffer": "16K"}},
        after="journal"))
    finish(*two_floods(connect, daemon))
    client = connect(daemon)
    assert client.update("quote", quote(1)) == NIL
    i, path = journal.count_and_path(client)
    assert i == 2 * EACH + 1
    assert_two_feeds(journal.read(path).records[:-1], EACH)


@pytest.mark.parametrize("ring", ["1M", "8M"])
def test_nobody_leaves_for_the_journal(disk, start, connect, ring):
    """Protects subscribers that keep up from policy "disconnect": when the disk
    has made all wait and is mended, much becomes visible at once, and they get
    it."""
    daemon = start(settings(disk.path, {
        "slow": {"policy": "disconnect"}, "ring": {"size": ring},
        "streams": {"ring": ring}}, after="journal"))
    path = journal.path_now(disk.path)
    readers = []
    for asked in (journal.JOIN, journal.JOIN, journal.JOIN_TRADE):
        sub = connect(daemon)
        journal.join(sub, asked)
        readers.append(Reader(sub, Keeper(None)))
    total = 6000 if ring == "1M" else 18000
    flood = Flood(connect(daemon), Template(ROWS), total)
    daemon.wait_log("journal_failing")
    wait_held(daemon)
    disk.resize(64 << 20)
    finish(flood)
    assert not daemon.logged("disconnect"), "a subscriber left for the journal"
    for one in readers:
        one.on_frame.wait_for(total)
        assert one.on_frame.records == journal.read(path).records


@pytest.mark.parametrize("policy", ["disconnect", "skip", "block"])
def test_joining_while_the_disk_is_full(disk, start, connect, policy):
    """Protects subscribers from the disk: one that joins now is answered at once,
    with the count of records that can be replayed, and then gets all later ones,
    now or when the journal moves again; no consumer is called slow."""
    daemon = start(settings(disk.path, {
        "slow": {"policy": policy}, "ring": {"size": "1M"},
        "streams": {"ring": "1M"}}))
    path = journal.path_now(disk.path)
    feed, total = connect(daemon), EACH * 2
    filler = Flood(feed, Template(ROWS), 3000)
    daemon.wait_log("journal_failing")
    filler.finish()
    daemon.wait_log("report", in_records=3000)
    readers = []
    for asked in (journal.JOIN, journal.JOIN_TRADE, journal.JOIN):
        sub = connect(daemon)
        i, told = journal.join(sub, asked)
        assert told == path and i == len(at_rest(path)) < 3000
        readers.append((i, Reader(sub, Keeper(None))))
    flood = Flood(connect(daemon), Template(ROWS), total, first=3000)
    wait_held(daemon)
    assert not daemon.logged("disconnect"), "a subscriber left for the journal"
    disk.resize(64 << 20)
    finish(flood)
    for i, one in readers:
        one.on_frame.wait_for(total - i)
        assert one.on_frame.records == journal.read(path).records[i:]
    assert not daemon.logged("disconnect") and not daemon.logged("skip")


def test_answers_while_the_journal_stands_still(start, connect, folder, mode):
    """Protects subscribers: no reply is kept back by a journal that does not move.
    Plain .u.sub is answered; a promise that cannot be made is an error that says
    why; a client that waited already when the trouble began soon gets that error,
    too, and so does one that has more than is written, or it is disconnected if
    that is found while reading."""
    daemon = start(settings(folder, {"engine": {"mode": mode}}))
    limit = Limit(daemon)
    feed, held, plain, late, again, ahead = (connect(daemon) for _ in range(6))
    no_journal = kdb.Error(b"journal")
    assert feed.update("trade", trade(0, ROWS)) == NIL
    limit.set(8 + LENGTH + LENGTH // 2)
    # both in one turn: the subscription waits for a write that will fail
    daemon.pause()
    feed.send(update("trade", trade(ROWS, ROWS)))
    held.send(kdb.frame(journal.JOIN, kdb.SYNC))
    daemon.resume()
    daemon.wait_log("journal_failing")
    assert isinstance(plain.subscribe("trade"), kdb.List)
    assert journal.join(late)[0] == 1
    assert late.subscribe("quote") == no_journal
    assert again.sync(kdb.q(kdb.sym(".ringtick.subfrom"), kdb.sym(""), kdb.sym(""),
                            kdb.atom("j", 2))) == no_journal
    now = again.sync(".ringtick.epoch").value, again.sync(".u.d").value
    for claim in (0, 2), (1, 1):
        assert rejoin(again, now + claim) == no_journal
    assert isinstance(rejoin(ahead, now + (0, 1), kdb.sym("quote")), kdb.List)
    daemon.wait_log("disconnect", reason="journal", peer=ahead.name)
    answer = kdb.decode(held.read_response()[8:])
    if not isinstance(answer, kdb.List):  # else it was served before the update came
        assert answer == no_journal
        daemon.wait_log("disconnect", reason="journal", peer=held.name)
    limit.lift()
    daemon.wait_log("journal_mended")
    for sub in (plain, late):
        assert sub.read_frame() == published("trade", trade(ROWS, ROWS).items)


@pytest.mark.parametrize("mode", ["sqpoll", "direct"])
def test_stop_with_a_full_disk_and_a_reserve(disk, start, connect, mode):
    """Protects accepted records: the space that was kept back for a stop takes all
    of them, and the next start finds them, after a clean stop."""
    disk.resize(16 << 20)
    changes = {"engine": {"mode": mode}}
    daemon = start(settings(disk.path, changes))
    path, reserve = journal.path_now(disk.path), disk.path / "sym.reserve"
    assert reserve.stat().st_blocks * 512 >= (1 << 20) + (4 << 20)
    disk.fill(leave=300_000)
    flood = Flood(connect(daemon), Template(ROWS), 2500)
    flood.finish()
    daemon.wait_log("journal_failing")
    accepted = daemon.wait_log("report", in_records=2500).number("in_records")
    assert len(at_rest(path)) < accepted
    daemon.stop()
    assert daemon.wait_log("journal_reserve_used")["file"] == str(reserve)
    assert not daemon.logged("journal_lost") and not reserve.exists()
    assert len(journal.read(path)) == accepted
    # full again: the next start says that it has none, and goes on
    disk.fill(leave=65536)
    again = start(settings(disk.path, changes))
    assert "No space" in again.wait_log("journal_no_reserve")["error"]
    assert again.wait_log("journal")["last_stop"] == "clean"
    assert journal.count_and_path(connect(again)) == (accepted, path)


@pytest.mark.parametrize("mode", ["sqpoll", "direct"])
def test_stop_with_a_full_disk_beside_a_flood(disk, start, connect, mode):
    """Protects the promise of the reserve: what is kept back is enough for what was
    accepted before the stop, so a feed that waits for room is not read any more."""
    disk.resize(16 << 20)
    daemon = start(settings(disk.path, {
        "engine": {"mode": mode}, "ring": {"size": "1M"}}))
    path = journal.path_now(disk.path)
    disk.fill(leave=300_000)
    flood = Flood(connect(daemon), Template(ROWS), 100_000)
    daemon.wait_log("journal_failing")
    accepted = wait_held(daemon).number("in_records")
    daemon.stop()
    assert daemon.wait_log("stop").number("in_records") == accepted
    assert not daemon.logged("journal_lost") and daemon.logged("unread")
    assert len(journal.read(path)) == accepted
    flood.join(20)


def test_stop_with_a_full_disk_and_no_file(disk, start, connect):
    """Protects a day whose file was deleted while the disk is full: at a stop the
    reserve makes room for the copy, which is all there is of the day."""
    disk.resize(16 << 20)
    daemon = start(settings(disk.path))
    client = connect(daemon)
    for n in range(20):
        assert client.update("trade", trade(n)) == NIL
    disk.fill()
    journal.path_now(disk.path).unlink()
    disk.fill()
    failing = daemon.wait_log("journal_failing", operation="bring back")
    assert "do not kill it" in failing["hint"]
    client.close()
    daemon.stop(status=1)
    daemon.wait_log("journal_reserve_used")
    copy = daemon.wait_log("journal_unnamed")["copy"]
    assert len(journal.read(copy)) == 20


def test_stop_with_a_full_disk(disk, start, connect):
    """Protects the operator from silence: if no space was kept back, the log names
    the number of records that could not be written before the end, the exit status
    says it too, and so does the next start."""
    daemon = start(settings(disk.path, {"stop": {"timeout": "700ms"}},
                            reserve=False))
    path = journal.path_now(disk.path)
    feed = connect(daemon)
    flood = Flood(feed, Template(ROWS), 2500)
    flood.finish()
    daemon.wait_log("journal_failing")
    daemon.wait_log("report", in_records=2500)
    daemon.signal(signal.SIGTERM)
    daemon.stop(status=75)
    found = journal.read(path)
    lost = daemon.wait_log("journal_lost")
    assert lost.level == 3
    assert lost.number("first_record") == len(found)
    assert lost.number("records") == 2500 - len(found)
    disk.resize(8 << 20)
    again = start(settings(disk.path))
    line = again.wait_log("journal")
    assert (line["last_stop"], line.number("epoch")) == ("unclean", 1)
    assert journal.count_and_path(connect(again)) == (len(found), path)


def test_size_limit_of_the_process(start, connect, folder, mode):
    """Protects the daemon from SIGXFSZ, and lets this be tested without root: a
    file that may not grow is trouble like a full disk, and ends as that does."""
    daemon = start(settings(folder, {"engine": {"mode": mode}}))
    path = journal.path_now(folder)
    limit = Limit(daemon)
    feed, other = connect(daemon), connect(daemon)
    assert feed.update("trade", trade(0, ROWS)) == NIL
    limit.set(8 + LENGTH * 10 + LENGTH // 2)
    flood = Flood(feed, Template(ROWS), 500, first=1)
    failing = daemon.wait_log("journal_failing")
    assert "too large" in failing["error"] and "LimitFSIZE" in failing["hint"]
    flood.finish()
    daemon.summary()
    assert 1 <= len(at_rest(path)) == journal.count_and_path(other)[0] <= 10
    limit.lift()
    daemon.wait_log("journal_mended")
    assert feed.update("trade", trade(ROWS * 500, ROWS)) == NIL
    assert [number_of(one) for one in journal.read(path).records] == list(range(501))


def test_disk_full_at_the_start(disk, tmp_path):
    """Protects the operator's time: a start without room for the header says so."""
    with open(disk.path / "ballast", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        settings(disk.path))
    done = daemon_module.run("-c", config, timeout=20)
    assert done.returncode == 75 and "No space left" in done.stderr


# ---- files that go away ----


@pytest.mark.parametrize("mode,after,sync", [
    ("sqpoll", "ring", "none"), ("direct", "sync", "batch")])
def test_file_deleted(start, connect, folder, mode, after, sync):
    """Protects the day from rm: the file comes back under its name, complete, as
    long as the daemon has it open; under load, more than once, with its lock."""
    daemon = start(settings(folder, {
        "engine": {"mode": mode}, "slow": {"policy": "block"}}, after=after,
        sync=sync))
    path = journal.path_now(folder)
    sub, feed, other = (connect(daemon) for _ in range(3))
    journal.join(sub)
    reader = Reader(sub, Keeper(None))
    template, sent = Template(ROWS, kind=kdb.SYNC), 0
    for _ in range(2):
        mark = daemon.mark()
        path.unlink()
        while not daemon.logged("journal_brought_back", after=mark):
            assert feed.ask(template.make(sent * ROWS)) == NIL
            sent += 1
        line = daemon.wait_log("journal_brought_back", after=mark)
        assert line.level == 3 and line["file"] == str(path)
        assert journal.count_and_path(other) == (sent, path)
    assert feed.ask(template.make(sent * ROWS)) == NIL
    records = journal.read(path).records
    assert [number_of(one) for one in records] == list(range(sent + 1))
    reader.on_frame.wait_for(sent + 1)
    assert reader.on_frame.records == records
    number = other.sync(".u.l").value
    assert os.readlink("/proc/%d/fd/%d" % (daemon.pid, number)) == str(path)
    done = daemon_module.run("-c", daemon.config, "-p", "0", timeout=20)
    assert done.returncode == 1 and "in use" in done.stderr


def test_file_moved(start, connect, folder):
    """Protects from `mv sym2026.11.23 elsewhere`: the file gets its name too, so
    that late joiners find what .u.L names; nothing is copied."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    moved = folder / "moved"
    for n in range(100):
        assert client.update("trade", trade(n)) == NIL
    path.rename(moved)
    line = daemon.wait_log("journal_brought_back")
    assert line.level == 3 and line["file"] == str(path)
    for n in range(100, 200):
        assert client.update("trade", trade(n)) == NIL
    assert path.samefile(moved)
    assert journal.read(path).records == [
        journal.record("trade", trade(n)) for n in range(200)]


def test_file_deleted_just_before_the_end_of_day(start, connect, folder):
    """Protects the whole day: also when the file goes away in the second before
    it is closed, it is there afterwards."""
    daemon = start(settings(folder))
    client = connect(daemon)
    for n in range(100):
        assert client.update("trade", trade(n)) == NIL
    i, path = journal.count_and_path(client)
    before = path.read_bytes()
    path.unlink()
    assert client.sync(".u.endofday[]") == NIL
    assert journal.count_and_path(client)[0] == 0
    assert path.read_bytes() == before and i == 100
    daemon.wait_log("journal_brought_back")


def test_file_deleted_just_before_the_stop(start, connect, folder):
    """The same for SIGTERM."""
    daemon = start(settings(folder))
    client = connect(daemon)
    for n in range(100):
        assert client.update("trade", trade(n)) == NIL
    path = journal.path_now(folder)
    before = path.read_bytes()
    path.unlink()
    client.close()
    daemon.stop()
    assert path.read_bytes() == before


def test_directory_deleted(start, connect, folder):
    """Protects the day from `rm -r`: updates continue, and when the directory
    exists again, so does the file, complete."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    assert client.update("trade", trade(0)) == NIL
    # in one step, since the daemon makes its lock anew where the folder is left
    shutil.rmtree(folder.rename(folder.with_name("gone")))
    failing = daemon.wait_log("journal_failing")
    assert "No such file" in failing["error"]
    for n in range(1, 4):
        client.send(update("trade", trade(n)))
        assert client.sync("3") == kdb.atom("j", 3), "it is written on"
        daemon.summary()
    assert len(daemon.logged("journal_failing")) == 1
    assert not daemon.logged("journal_mended")
    folder.mkdir()
    daemon.wait_log("journal_brought_back")
    daemon.wait_log("journal_mended")
    assert journal.read(path).records == [
        journal.record("trade", trade(n)) for n in range(4)]
    assert journal.count_and_path(client) == (4, path)


# ---- the end of the day in trouble ----


def spoil_gone(folder, path):
    shutil.move(folder, str(folder) + ".away")


def spoil_foreign(folder, path):
    path.write_bytes(b"not a journal")


def mend_gone(folder, path, what):
    shutil.move(str(folder) + ".away", folder)


def mend_foreign(folder, path, what):
    path.unlink()


@pytest.mark.parametrize("spoil,mend,after", [
    (spoil_gone, mend_gone, "ring"), (spoil_foreign, mend_foreign, "journal")],
    ids=["no directory", "foreign file"])
def test_next_file_cannot_be_opened(start, connect, folder, spoil, mend, after):
    """Protects the night: when the next day's file cannot be opened, the old one is
    complete, updates of the new day wait in memory, the log says why, but not all
    the time, clients that ask for .u.i get an error; then everything continues."""
    daemon = start(settings(folder, after=after))
    client, sub, asker = connect(daemon), connect(daemon), connect(daemon)
    old = journal.path_now(folder)
    day = client.sync(".u.d").value
    new = journal.path_of(folder, day + 1)
    journal.join(sub)
    assert client.update("trade", trade(0)) == NIL
    what = spoil(folder, new)
    client.async_(kdb.text(".u.endofday[]"))
    for n in range(1, 6):
        client.send(update("trade", trade(n)))
    failed = daemon.wait_log("journal_roll_failed")
    assert failed.level == 3 and failed["why"]
    assert asker.sync("(.u.i;.u.L)") == kdb.Error(b"journal")
    for _ in range(6):  # three tries, at least
        daemon.summary()
    assert len(daemon.logged("journal_roll_failed")) <= 2, "said all the time"
    assert len(daemon.logged("journal_failing")) <= 1
    mend(folder, new, what)
    line = daemon.wait_log("journal_rolled")
    assert (line["old"], line["new"]) == (str(old), str(new))
    daemon.wait_log("journal_mended")
    assert client.update("trade", trade(6)) == NIL
    assert journal.count_and_path(asker) == (6, new)
    assert journal.read(old).records == [journal.record("trade", trade(0))]
    assert journal.read(new).records == [
        journal.record("trade", trade(n)) for n in range(1, 7)]
    frames = [published("trade", trade(n).items) for n in range(7)]
    assert [sub.read_frame() for _ in range(8)] == [
        frames[0], journal.end_frame(day), *frames[1:]]


@pytest.mark.usefixtures("many_days")
def test_disk_full_at_the_end_of_day(disk, start, connect, mode):
    """Protects both days when the disk is full over midnight: the old file gets
    its last records, then the new one its own."""
    daemon = start(settings(disk.path, {
        "engine": {"mode": mode}, "slow": {"policy": "block"}}))
    client, sub = connect(daemon), connect(daemon)
    day = client.sync(".u.d").value
    journal.join(sub)
    Flood(client, Template(ROWS), 2000).finish()
    daemon.wait_log("journal_failing")
    client.async_(kdb.text(".u.endofday[]"))
    Flood(client, Template(ROWS), 2500, first=2000).finish()
    client.async_(kdb.text(".u.endofday[]"))
    Flood(client, Template(ROWS), 2600, first=2500).finish()
    frames = [sub.read_frame() for _ in range(2602)]
    assert (frames[2000], frames[2501]) == (
        journal.end_frame(day), journal.end_frame(day + 1))
    assert not daemon.logged("journal_rolled")
    disk.resize(64 << 20)
    assert client.update("trade", trade(2600 * ROWS, ROWS)) == NIL
    assert journal.count_and_path(client) == (
        101, journal.path_of(disk.path, day + 2))
    counts = [[number_of(one) for one in
               journal.read(journal.path_of(disk.path, day + n)).records]
              for n in range(3)]
    assert counts == [list(range(2000)), list(range(2000, 2500)),
                      list(range(2500, 2601))]
