"""The journal over the end of days: where one file ends and the next begins, the
answers to clients, and clocks that jump."""

import threading
import time

import journal
import kdb
import pytest
from kdb import NIL
from traffic import Flood, Template, published, quote, trade

ROWS = 5


class Days(threading.Thread):
    """The records of one subscriber, by day: [(records, date of the .u.end), ...],
    the running day's records last; until a number of records and ends in all."""

    def __init__(self, client, wanted, ends):
        super().__init__(daemon=True)
        self.client, self.wanted, self.ends = client, wanted, ends
        self.ended, self.running, self.failure = [], [], None
        self.got = 0
        self.news = threading.Condition()
        self.start()

    def run(self):
        try:
            while self.got < self.wanted or len(self.ended) < self.ends:
                frame = self.client.read_frame()
                if frame[8:14] == b"\0\0\3\0\0\0":
                    self.running.append(journal.record_of(frame))
                    with self.news:
                        self.got += 1
                        self.news.notify()
                else:
                    mark = kdb.decode_frame(frame)[1]
                    assert mark.items[0] == kdb.sym(".u.end")
                    self.ended.append((self.running, mark.items[1].value))
                    self.running = []
        except Exception as failure:
            self.failure = failure

    def wait_for(self, records):
        with self.news:
            assert self.news.wait_for(lambda: self.got >= records, 20)

    def finish(self):
        self.join(60)
        assert self.failure is None and not self.is_alive(), self.failure
        return self


@pytest.mark.parametrize("after,sync", [("ring", "none"), ("journal", "none"),
                                        ("sync", "batch"), ("ring", "interval")])
@pytest.mark.usefixtures("many_days")
def test_end_of_day_under_load(start, connect, folder, mode, after, sync):
    """Protects history: (`.u.end;day) is at one place in all streams; the file of
    the day has exactly the records before it, the next file those after it; .u.i
    and .u.L are of the new file as soon as the end is answered."""
    daemon = start(journal.settings(folder, {
        "engine": {"mode": mode}, "slow": {"policy": "block"},
        "ring": {"size": "2M"}, "streams": {"ring": "2M"}}, sync=sync, after=after))
    subs = [connect(daemon) for _ in range(4)]
    for one, asked in zip(subs, (journal.JOIN, journal.JOIN_TRADE, journal.JOIN,
                                 journal.JOIN_QUOTE)):
        journal.join(one, asked)
    each, feeds_cnt = 4000, 3
    total = each * feeds_cnt
    user = connect(daemon)
    day = user.sync(".u.d").value
    days = [Days(one, total, 3) for one in subs[:3]]
    floods = [Flood(connect(daemon), Template(ROWS), n * 1_000_000 + each,
                    first=n * 1_000_000) for n in range(feeds_cnt)]
    moments = []
    for n in range(3):
        days[0].wait_for(n * total // 6)
        assert user.sync(".u.endofday[]") == NIL
        i, path = journal.count_and_path(user)
        moments.append((i, path))
        assert path == journal.path_of(folder, day + n + 1)
    for one in floods:
        one.finish()
        one.client.sync("")
    days = [one.finish() for one in days]
    assert user.update("quote", quote(1)) == NIL
    files = [journal.read(journal.path_of(folder, day + n)) for n in range(4)]
    assert sum(len(one) for one in files) == total + 1
    quotes = [files[3].records.pop()]
    for one in days:
        assert [date for _, date in one.ended] == [day, day + 1, day + 2]
        assert [found for found, _ in one.ended] + [one.running] == [
            file.records for file in files]
    marks = [subs[3].read_frame() for _ in range(3)]
    assert marks == [journal.end_frame(day + n) for n in range(3)]
    assert journal.record_of(subs[3].read_frame()) == quotes[0]
    assert journal.count_and_path(user) == (len(files[3]) + 1, files[3].path)
    for n, (i, _) in enumerate(moments):
        assert i <= len(files[n + 1].records)
    rolls = daemon.logged("journal_rolled")
    assert [(one["old"], one.number("records"), one["new"]) for one in rolls] == [
        (str(files[n].path), len(files[n]), str(files[n + 1].path)) for n in range(3)]


@pytest.mark.usefixtures("many_days")
def test_joining_around_the_end_of_day(start, connect, folder, mode):
    """Protects RDBs that start at midnight: whatever the moment, the file named in
    the reply and the count in it are of one day, and the stream continues there."""
    daemon = start(journal.settings(folder, {"engine": {"mode": mode}}))
    feed, user = connect(daemon), connect(daemon)
    day = user.sync(".u.d").value
    stop = threading.Event()
    failures, seen = [], []

    def join():
        try:
            while not stop.is_set():
                with kdb.Client(daemon.port) as client:
                    i, path = journal.join(client)
                    frame = client.read_frame()
                    while frame[8:14] != b"\0\0\3\0\0\0":
                        path, i = None, 0  # the day ended at once
                        frame = client.read_frame()
                    if path is not None:
                        seen.append((i, path, journal.record_of(frame)))
        except kdb.Closed:
            pass
        except Exception as failure:
            failures.append(failure)
    joiners = [threading.Thread(target=join) for _ in range(3)]
    for one in joiners:
        one.start()
    turns = 40
    for n in range(turns):
        for m in range(20):
            assert feed.update("trade", trade(n * 100 + m)) == NIL
        assert user.sync(".u.endofday[]") == NIL
        feed.async_(kdb.lst(kdb.sym(".u.upd"), kdb.sym("trade"), trade(n * 100 + 50)))
    stop.set()
    while any(one.is_alive() for one in joiners):
        assert feed.update("trade", trade(turns * 100)) == NIL
    assert not failures, failures
    assert user.sync(".u.d").value == day + turns
    files = {}
    for i, path, record in seen:
        file = files.setdefault(path, journal.read(path))
        assert file.records[i] == record, (i, path)
    print("\n%d joins on %d days" % (len(seen), len(files)))
    assert len(seen) > 20 and len(files) > 5


@pytest.mark.parametrize("after", ["ring", "journal"])
@pytest.mark.usefixtures("many_days")
def test_filtered_subscribers_hear_the_end_at_once(start, connect, folder, after):
    """Protects RDBs of some tables: their .u.end comes when the day ends, not when
    something else happens."""
    daemon = start(journal.settings(folder, {"log": {"report": "1h"}}, after=after))
    client, sub = connect(daemon), connect(daemon)
    sub.subscribe("trade")
    day = client.sync(".u.d").value
    took = []
    for n in range(5):
        began = time.monotonic()
        client.async_(kdb.text(".u.endofday[]"))
        assert sub.read_frame() == journal.end_frame(day + n)
        took.append(time.monotonic() - began)
    # what wakes the daemon besides comes each second
    assert sorted(took)[2] < 0.5


@pytest.mark.usefixtures("many_days")
def test_next_file_exists(start, connect, folder):
    """Protects a day whose file was begun by hand (or by a manual end of day
    before): its records are kept and counted, and .u.i continues from there."""
    daemon = start(journal.settings(folder))
    client = connect(daemon)
    day = client.sync(".u.d").value
    before = [journal.record("trade", trade(n, 2)) for n in range(4)]
    torn = journal.record("quote", quote(9))[:-1]
    journal.write(journal.path_of(folder, day + 1), *before)
    journal.write(journal.path_of(folder, day + 2), *before, torn)
    for n in (1, 2):
        path = journal.path_of(folder, day + n)
        assert client.update("trade", trade(100)) == NIL
        assert client.sync(".u.endofday[]") == NIL
        sub = connect(daemon)
        assert journal.join(sub) == (4, path)
        assert client.update("trade", trade(200 + n)) == NIL
        assert journal.record_of(sub.read_frame()) == journal.record(
            "trade", trade(200 + n))
        assert journal.count_and_path(client) == (5, path)
        assert journal.File(path).records[:5] == [
            *before, journal.record("trade", trade(200 + n))]
        assert journal.count_and_path(client) == (5, path)
    assert daemon.wait_log("journal_torn").number("cut_bytes") == len(torn)
    assert len(journal.read(journal.path_of(folder, day + 1))) == 6


@pytest.mark.usefixtures("many_days")
def test_days_without_an_update(start, connect, folder):
    """Protects weekends: a day without updates is a file of 8 bytes."""
    daemon = start(journal.settings(folder))
    client = connect(daemon)
    day = client.sync(".u.d").value
    for _ in range(4):
        assert client.sync(".u.endofday[]") == NIL
    assert client.update("trade", trade(1)) == NIL
    contents = [journal.path_of(folder, day + n).read_bytes() for n in range(5)]
    assert contents == [journal.HEADER] * 4 + [
        journal.HEADER + journal.record("trade", trade(1))]
    assert len(daemon.logged("journal_rolled")) == 4


# ---- the clock ----


def test_midnight(start, connect, folder, clock, mode):
    """Protects the night: when the date changes, the file does, once; the first
    update of the new day is in the new file; if the clock steps back, nothing
    changes, and the day is not ended again."""
    daemon = start(journal.settings(folder, {"engine": {"mode": mode}}),
                   environment=clock.environment())
    client, sub = connect(daemon), connect(daemon)
    day = client.sync(".u.d").value
    journal.join(sub)
    wanted = [[] for _ in range(3)]

    def put(file, size):
        assert client.update("trade", trade(size)) == NIL
        wanted[file].append(journal.record("trade", trade(size)))
    put(0, 1)
    clock.set_days(1)
    put(1, 2)  # the update itself finds the day over
    assert client.sync(".u.d").value == day + 1
    clock.set_days(0)
    put(1, 3)
    clock.set_days(-2)
    put(1, 4)
    clock.set_days(1)
    put(1, 5)
    mark = daemon.mark()
    clock.set_days(2)
    daemon.wait_log("end_of_day", after=mark)  # nothing comes: the timer finds it
    daemon.wait_log("journal_rolled", after=mark)
    put(2, 6)
    assert [journal.read(journal.path_of(folder, day + n)).records
            for n in range(3)] == wanted
    frames = [sub.read_frame() for _ in range(8)]
    assert [frames[1], frames[6]] == [journal.end_frame(day), journal.end_frame(day + 1)]
    assert len(daemon.logged("journal_rolled")) == 2
    assert sorted(one.name for one in folder.iterdir()) == sorted(
        ["sym.epoch", "sym.lock", "sym.reserve"]
        + [journal.path_of(folder, day + n).name for n in range(3)])


def test_next_file_is_ready(start, connect, folder, clock):
    """Protects midnight: shortly before it the next day's file is open, and is the
    one that the day then gets."""
    daemon = start(journal.settings(folder, {"day": {"zone": "utc"}}),
                   environment=clock.environment())
    client = connect(daemon)
    day = client.sync(".u.d").value
    path = journal.path_of(folder, day + 1)
    clock.set_before_the_end(day, 30)
    assert daemon.wait_log("journal_next")["file"] == str(path)
    assert journal.read(path).records == []
    inode = path.stat().st_ino
    assert client.update("trade", trade(1)) == NIL
    clock.set_before_the_end(day, -1)
    assert client.update("trade", trade(2)) == NIL
    assert journal.count_and_path(client) == (1, path)
    assert path.stat().st_ino == inode
    assert [journal.read(journal.path_of(folder, day + n)).records
            for n in range(2)] == [
        [journal.record("trade", trade(n))] for n in (1, 2)]


def test_next_file_cannot_be_made_ready(start, connect, folder, clock):
    """An error in the file is logged while there is time to mend it."""
    daemon = start(journal.settings(folder, {"day": {"zone": "utc"}}),
                   environment=clock.environment())
    client = connect(daemon)
    day = client.sync(".u.d").value
    path = journal.path_of(folder, day + 1)
    path.write_bytes(b"no journal")
    clock.set_before_the_end(day, 30)
    line = daemon.wait_log("journal_next_failed")
    assert line.level == 3 and str(path) in line["why"]
    path.unlink()
    clock.set_before_the_end(day, -1)
    assert client.update("trade", trade(1)) == NIL
    assert journal.count_and_path(client) == (1, path)


def test_days_late(start, connect, folder, clock):
    """Protects the service from tick.q's `more than one day?`: after a jump of
    days (a machine that slept) the day ends once, with a warning, and the next
    file is today's."""
    daemon = start(journal.settings(folder), environment=clock.environment())
    client, sub = connect(daemon), connect(daemon)
    day = client.sync(".u.d").value
    journal.join(sub)
    assert client.update("trade", trade(1)) == NIL
    clock.set_days(5)
    assert client.update("trade", trade(2)) == NIL
    assert journal.count_and_path(client) == (1, journal.path_of(folder, day + 5))
    line = daemon.wait_log("days_skipped")
    assert line.level == 4 and line["days"] == "4"
    assert [sub.read_frame() for _ in range(3)] == [
        published("trade", trade(1).items), journal.end_frame(day),
        published("trade", trade(2).items)]
    assert not journal.path_of(folder, day + 1).exists()
    assert [journal.read(journal.path_of(folder, day + n)).records for n in (0, 5)] == [
        [journal.record("trade", trade(1))], [journal.record("trade", trade(2))]]


@pytest.mark.parametrize("days", [1, 6])
def test_restart_on_another_day(start, connect, folder, clock, days):
    """Protects the files of other days: a later start opens its own day's file,
    and the old file keeps every byte."""
    daemon = start(journal.settings(folder), environment=clock.environment())
    client = connect(daemon)
    day = client.sync(".u.d").value
    assert client.update("trade", trade(1)) == NIL
    client.close()
    daemon.stop()
    before = journal.path_of(folder, day).read_bytes()
    clock.set_days(days)
    daemon = start(journal.settings(folder), environment=clock.environment())
    client = connect(daemon)
    assert journal.count_and_path(client) == (0, journal.path_of(folder, day + days))
    assert client.update("trade", trade(2)) == NIL
    assert journal.path_of(folder, day).read_bytes() == before
    assert daemon.wait_log("journal")["last_stop"] == "clean"
