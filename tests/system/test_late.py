"""Joining late over the wire: .ringtick.subfrom, .ringtick.rejoin.

RINGTICK_JOINS=500 makes a long test of those that join at random."""

import os
import random
import select
import signal
import socket
import struct
import threading
import time

import journal
import kdb
import pytest
from kdb import NIL, Error, atom, lst, sym, syms, vec
from spill import (WINDOW, Mix, Stream, Subscriber, frames_of, line_of, settings,
                   wait_level, wait_state, wait_stuck)
from traffic import published, quote, trade, update

JOINS = int(os.environ.get("RINGTICK_JOINS", "36"))  # of each parameter
# Little is in a ring, so that most comes from the journal.
TIGHT = {"ring": {"size": "256K"}, "streams": {"ring": "256K"},
         "message": {"max": "64K"}}
MODES = [("sqpoll", "ring", "none"), ("direct", "ring", "none"),
         ("sqpoll", "journal", "none"), ("direct", "journal", "none"),
         ("sqpoll", "sync", "batch"), ("direct", "sync", "batch")]


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "journal"
    found.mkdir()
    return found


# ---- asking ----


def subfrom(client, i, tables=sym(""), kind="j"):
    return client.sync(kdb.lst(
        sym(".ringtick.subfrom"), tables, sym(""), atom(kind, i)))


def rejoin(client, claim, tables=sym("")):
    epoch, day, i, n = claim
    return client.sync(kdb.lst(
        sym(".ringtick.rejoin"), tables, sym(""),
        lst(atom("j", epoch), atom("d", day), atom("j", i), atom("j", n))))


def end_day(client):
    assert client.sync(".u.endofday[]") == NIL


# ---- what was published ----


def is_of(table, frame):
    """Of a table, "" for all; marks are of everybody."""
    return b".u.end" in frame[:32] or table in ("", journal.table_of(frame).decode())


class Pair:
    """Updates of trade and quote in turn, one sync update each; frames is what
    a subscriber of all is to get, the ends of days included."""

    def __init__(self, client, rows=1):
        self.client, self.rows, self.frames = client, rows, []

    def publish(self, count):
        for _ in range(count):
            n = len(self.frames)
            name, make = (("trade", trade), ("quote", quote))[n % 2]
            assert self.client.update(name, make(n, self.rows)) == NIL
            self.frames.append(published(name, make(n, self.rows).items))

    def end_day(self):
        day = self.client.sync(".u.d").value
        end_day(self.client)
        self.frames.append(journal.end_frame(day))

    def of(self, table, first=0):
        return [one for one in self.frames[first:] if is_of(table, one)]


def read_exactly(client, frames):
    """The next messages are these."""
    for n, wanted in enumerate(frames):
        assert client.read_frame() == wanted, "message %d of %d" % (n, len(frames))


class Whole:
    """The streams of all tables and of each, made from what one subscriber of
    all has got; where in them each record number stands."""

    def __init__(self, data):
        self.frames, torn = frames_of(data)
        assert torn == b""
        self.streams = {name: bytearray() for name in ("", "trade", "quote")}
        self.starts = {name: [] for name in self.streams}
        for frame in self.frames:
            for name, stream in self.streams.items():
                self.starts[name].append(len(stream))
                if is_of(name, frame):
                    stream += frame

    def from_record(self, table, i):
        starts = self.starts[table]
        at = starts[i] if i < len(starts) else len(self.streams[table])
        return memoryview(self.streams[table])[at:]

    def assert_is_the_journal(self, folder, first_day):
        """Record by record, day by day."""
        days = [[]]
        for frame in self.frames:
            if b".u.end" in frame[:32]:
                assert frame == journal.end_frame(first_day + len(days) - 1)
                days.append([])
            else:
                days[-1].append(journal.record_of(frame))
        for n, records in enumerate(days):
            path = journal.path_of(folder, first_day + n)
            assert journal.read(path).records == records


class Feeder(threading.Thread):
    """Publishes a mix, about 3 MB a second, until halt()."""

    def __init__(self, client, seed):
        super().__init__(daemon=True)
        self.client, self.mix = client, Mix(seed, rows=(1, 1, 2, 3, 10, 60, 300))
        self.halted, self.failure = threading.Event(), None
        self.start()

    def run(self):
        try:
            while not self.halted.wait(0.005):
                self.client.send(self.mix.block(15_000))
        except Exception as failure:
            self.failure = failure

    def halt(self):
        self.halted.set()
        self.join(20)
        assert self.failure is None, repr(self.failure)
        assert self.client.update("trade", trade(0)) == NIL  # all can be seen


def vanish(client):
    """Ends with a reset."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                           struct.pack("ii", 1, 0))
    client.sock.close()


# ---- subfrom ----


@pytest.mark.parametrize("after", ["ring", "journal", "sync"])
def test_subfrom(start, connect, folder, mode, after):
    """Protects late joiners without the journal's files: from record i on, all
    of it once, from the past into the live stream; the reply is .u.sub's."""
    daemon = start(journal.settings(folder, {"engine": {"mode": mode}}, after=after,
                                    sync="batch"))
    feed = Pair(connect(daemon))
    feed.publish(100)
    clients = []
    wanted = {table: connect(daemon).subscribe(table)
              for table in ("", "trade", "quote")}
    for i in (0, 1, 37, 99, 100):
        for table in wanted:
            client = connect(daemon)
            assert subfrom(client, i, sym(table), "ij"[i % 2]) == wanted[table]
            clients.append((client, table, i))
    for tables, reply in ((syms("trade"), lst(wanted["trade"])),
                          (syms("quote", "trade"), lst(wanted["quote"], wanted["trade"])),
                          (syms("trade", "trade"), lst(wanted["trade"], wanted["trade"])),
                          (syms("quote", ""), lst(wanted["quote"], wanted[""]))):
        client = connect(daemon)
        assert subfrom(client, 10, tables) == reply
        clients.append((client, "trade" if set(tables.items) == {b"trade"} else "", 10))
    feed.publish(100)
    for client, table, i in clients:
        read_exactly(client, feed.of(table, i))
        client.expect_silence()


def test_subfrom_as_text(start, connect, folder):
    """Protects r.q: the subscription and the count and path that belong to it,
    asked for in one text; and requests that nobody waits for."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    feed.publish(10)
    path = journal.path_now(folder)
    day = feed.client.sync(".u.d")
    clients = []
    for asked, table in (("(.ringtick.subfrom[`;`;4];.u `i`L)", ""),
                         ("(.ringtick.subfrom[`trade;`;4];.u `i`L)", "trade"),
                         ("(.ringtick.subfrom[`trade`quote;`;4];.u `i`L)", "")):
        client = connect(daemon)
        reply, counted = client.sync(asked).items
        assert counted.items == (atom("j", 10), sym(":%s" % path))
        assert isinstance(reply, kdb.List)
        clients.append((client, table))
    client = connect(daemon)
    assert client.sync("(.ringtick.epoch;.u.d;.u.i;.ringtick.subfrom[`quote;`;4])"
                       ).items[:3] == (atom("j", 0), day, atom("j", 10))
    clients.append((client, "quote"))
    client = connect(daemon)
    client.async_(".ringtick.subfrom[`;`;4]")
    clients.append((client, ""))
    daemon.wait_log("subscribe", peer=client.name, stream="journal")
    feed.publish(10)
    for client, table in clients:
        read_exactly(client, feed.of(table, 4))
        client.expect_silence()


BAD = [  # (what, arguments, error)
    ("no such record", ("", "", atom("j", 11)), b"range"),
    ("far beyond", ("", "", atom("j", (1 << 63) - 1)), b"range"),
    ("negative", ("", "", atom("j", -1)), b"type"),
    ("null", ("", "", atom("j", -(1 << 63))), b"type"),
    ("int null", ("", "", atom("i", -(1 << 31))), b"type"),
    ("short", ("", "", atom("h", 1)), b"type"),
    ("vector", ("", "", vec("j", [1])), b"type"),
    ("symbol", ("", "", sym("1")), b"type"),
    ("nil", ("", "", NIL), b"type"),
    ("no such table", ("nowhere", "", atom("j", 0)), b"nowhere"),
    ("one that is not there", (syms("trade", "nowhere"), "", atom("j", 0)), b"nowhere"),
    ("a long name", (syms("trade", "x" * 300), "", atom("j", 0)), b"length"),
    ("no table", (syms(), "", atom("j", 0)), b"length"),
    ("general list", (lst(sym("trade"), sym("quote")), "", atom("j", 0)), b"type"),
    ("text", (kdb.text("trade"), "", atom("j", 0)), b"type"),
    ("filter", ("trade", "IBM", atom("j", 0)),
     b"symbol filters are not supported: use ` for all"),
    ("few", ("trade", ""), b"rank"),
    ("many", ("trade", "", atom("j", 0), NIL), b"rank"),
]


@pytest.mark.parametrize("state", ["nothing", "trade"])
def test_subfrom_refused(start, connect, folder, state):
    """Protects a subscription from a refused request: it goes on as it was, and
    can be added to; where there is none, there is none."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    feed.publish(10)
    client = connect(daemon)
    if state == "trade":
        client.subscribe("trade")
    for what, arguments, error in BAD:
        asked = [sym(one) if isinstance(one, str) else one for one in arguments]
        reply = client.sync(lst(sym(".ringtick.subfrom"), *asked))
        assert reply == Error(error), what
    feed.publish(2)
    read_exactly(client, feed.of(state, 10))
    client.expect_silence()
    client.subscribe("quote")
    feed.publish(2)
    read_exactly(client, feed.frames[12:] if state == "trade" else feed.of("quote", 12))
    client.expect_silence()


def test_without_a_journal(start, connect):
    """Protects from a promise that nobody can keep: without a journal there are
    no such names."""
    client = connect(start())
    assert subfrom(client, 0) == Error(b".ringtick.subfrom")
    assert rejoin(client, (0, 1, 0, 0)) == Error(b".ringtick.rejoin")
    assert client.sync(".ringtick.epoch") == Error(b".ringtick.epoch")


class Joiner(threading.Thread):
    """Joins `count` times at random records while others publish; keeps, of each,
    (table, record, bytes). Most read on into the live stream, some vanish in the
    middle, the last one stays."""

    def __init__(self, daemon, seed, count):
        super().__init__(daemon=True)
        self.port, self.count = daemon.port, count
        self.random = random.Random(seed)
        self.joined, self.failure, self.client, self.stream = [], None, None, None
        self.start()

    def run(self):
        try:
            for left in reversed(range(self.count)):
                self.join_once(left == 0)
        except Exception as failure:
            self.failure = failure

    def join_once(self, stays):
        dice, client = self.random, kdb.Client(self.port, timeout=60)
        now = client.sync("(.u.sub[`trade;`];.u.i)").items[1].value
        i = dice.choice((0, now, max(0, now - dice.randrange(300)),
                         dice.randrange(now + 1)))
        table = dice.choice(("", "trade", "quote"))
        reply, counted = client.sync(
            "(.ringtick.subfrom[`%s;`;%d];.u `i`L)" % (table, i)).items
        assert isinstance(reply, kdb.List) and counted.items[0].value >= now
        client.inbox.clear()  # of the subscription before
        if stays:
            self.joined.append((table, i, None))
            self.client, self.stream = client, Stream(client, keep=True)
            return
        wanted = counted.items[0].value - i
        frames = wanted // (2 if table else 1) + dice.randrange(150)
        if dice.random() < 0.2:
            frames = dice.randrange(frames + 1)
        data = b"".join([client.read_frame() for _ in range(frames)])
        self.joined.append((table, i, data))
        dice.choice((vanish, kdb.Client.close))(client)

    def finish(self):
        self.join(60)
        assert self.failure is None and not self.is_alive(), repr(self.failure)


@pytest.mark.parametrize("mode,after,sync", MODES)
def test_joining_under_load(start, connect, folder, mode, after, sync):
    """Protects every joiner of a busy day: whatever the moment, the record and
    the tables, its stream is the records from there on, each once, in order."""
    daemon = start(settings(folder, mode, TIGHT, after=after, sync=sync))
    reference = Subscriber(connect, daemon, "all", keep=True)
    day = connect(daemon).sync(".u.d").value
    feeders = [Feeder(connect(daemon), seed) for seed in (1, 2)]
    joiners = [Joiner(daemon, seed, JOINS // 3) for seed in range(3)]
    for one in joiners:
        one.finish()
    for one in feeders:
        one.halt()
    reference.finish()
    whole = Whole(reference.stream.data)
    whole.assert_is_the_journal(folder, day)
    for joiner in joiners:
        for table, i, data in joiner.joined:
            wanted = whole.from_record(table, i)
            if data is None:
                joiner.stream.wait_for(len(wanted))
                joiner.stream.halt()
                data = joiner.stream.data
                assert len(data) == len(wanted)
            assert wanted[: len(data)] == data, (table, i, len(data))
        joiner.client.close()


# ---- files from before ----


@pytest.mark.parametrize("stop", ["clean", "kill"])
def test_records_of_earlier_runs(start, connect, folder, mode, stop):
    """Protects joiners after a restart in the middle of the day: what earlier
    runs wrote and what this one does is one sequence of records."""
    frames, rng = [], random.Random(4)
    for turn in range(4):
        daemon = start(settings(folder, mode))
        feed = Pair(connect(daemon), 20)
        feed.frames = frames
        clients = []
        for i in sorted({0, len(frames), *(rng.randrange(len(frames) + 1)
                                           for _ in range(4))}):
            for table in ("", "trade", "quote"):
                client = connect(daemon)
                subfrom(client, i, sym(table))
                clients.append((client, table, i))
        feed.publish(400)
        for client, table, i in clients:
            read_exactly(client, feed.of(table, i))
            client.close()
        feed.client.close()
        if stop == "clean":
            daemon.stop()
        else:
            daemon.signal(signal.SIGKILL)
            daemon.abandon()


TIME = 34200000000000
COLUMNS = (vec("n", [TIME, TIME + 1]), syms("A", "B"), vec("f", [1.5, 2.5]),
           vec("j", [3, 4]))
ROW = (atom("n", TIME), sym("IBM"), atom("f", 1.5), atom("j", 7))
NAMES = "time sym price size"

FORMS = {  # what others log as an update of trade
    "columns": lst(*COLUMNS),
    "row": lst(*ROW),
    "table": kdb.table(NAMES, *COLUMNS),
    "an atom among columns": lst(*COLUMNS[:2], atom("f", 1.0), COLUMNS[3]),
    "attributes": lst(vec("n", [TIME, TIME + 1], 1), syms("A", "B", attr=2),
                      *COLUMNS[2:]),
    "many": trade(1, 900),
    "none": trade(1, 0),
    "a column too few": lst(*COLUMNS[:2]),
    "a column too many": lst(*COLUMNS, vec("j", [1, 2])),
    "columns of unequal lengths": lst(*COLUMNS[:3], vec("j", [1])),
    "another type": lst(*COLUMNS[:3], vec("f", [1.0, 2.0])),
    "other names": kdb.table("time sym price volume", *COLUMNS),
    "other order": kdb.table("sym time price size", COLUMNS[1], COLUMNS[0],
                             *COLUMNS[2:]),
}


def frames_of_forms(daemon, connect):
    """What subscribers get of each form when it comes from a feed; None: it is
    refused, or nothing."""
    feed, sub, found = connect(daemon), connect(daemon), {}
    sub.subscribe()
    for name, data in FORMS.items():
        answer = feed.update("trade", data)
        assert answer == NIL or isinstance(answer, Error)
        sub.send(kdb.frame(".u.d", kdb.SYNC))
        frame = sub.reader.next()
        found[name] = None if frame[1] == kdb.RESPONSE else frame
        if found[name] is not None:
            assert sub.reader.next()[1] == kdb.RESPONSE
    feed.close()
    sub.close()
    return found


def other_records(rng, count, frames):
    """(record, its frame or None), in every form, of tables that are not there
    too."""
    for _ in range(count):
        name = rng.choice(list(FORMS))
        table = rng.choice(("trade", "trade", "trade", "nowhere", "trades"))
        yield journal.record(table, FORMS[name]), (
            frames[name] if table == "trade" else None)


def test_files_of_others(start, connect, folder, mode):
    """Protects the move from tick.q in the middle of a day: rows, tables and
    columns that others logged come as they would have come from a feed; what is
    not of the schema has a number and nothing else."""
    frames = frames_of_forms(start(), connect)
    assert [name for name in FORMS if frames[name] is not None] == [
        "columns", "row", "table", "an atom among columns", "attributes", "many"]
    rng = random.Random(6)
    records = [(journal.record("trade", data), frames[name])
               for name, data in FORMS.items()]
    records += other_records(rng, 2000, frames)
    journal.write(journal.path_now(folder), *[one for one, _ in records])
    daemon = start(settings(folder, mode))
    feed = connect(daemon)
    assert feed.sync(".u.i").value == len(records)
    expected = [frame for _, frame in records]
    numbers = [0, *range(20), len(records) - 1, len(records),
               *(rng.randrange(len(records)) for _ in range(10))]
    clients = []
    for i in numbers:
        client = connect(daemon)
        subfrom(client, i, rng.choice((sym(""), sym("trade"), syms("trade", "quote"))))
        clients.append((client, i))
    for n in range(500):
        assert feed.update("trade", trade(n, 100)) == NIL
        expected.append(published("trade", trade(n, 100).items))
    for client, i in clients:
        read_exactly(client, [one for one in expected[i:] if one is not None])
        client.expect_silence()
    client = connect(daemon)
    assert subfrom(client, 0, sym("quote")) == connect(daemon).subscribe("quote")
    assert feed.update("quote", quote(1)) == NIL
    read_exactly(client, [published("quote", quote(1).items)])


LONG = {"ring": {"size": "8M"}, "streams": {"ring": "8M"},
        "message": {"max": "2M", "buffers": 2}}


def test_long_records(start, connect, folder, mode):
    """Protects records that are longer than a read and than a joiner's buffer,
    of this run and of others; and those of a joiner from one that does not read."""
    sizes = [1, 40000, 3, 4500, 4700, 9400, 70000, 2]
    frames = [published("trade", trade(n, n).items) for n in sizes]
    journal.write(journal.path_now(folder),
                  *[journal.record("trade", trade(n, n)) for n in sizes])
    daemon = start(settings(folder, mode, LONG))
    feed = connect(daemon)
    clients = []
    for i in range(len(frames) + 1):
        client = connect(daemon, receive_buffer=WINDOW)
        subfrom(client, i, sym("trade" if i % 2 else ""))
        clients.append((client, i))
    for n in sizes:
        feed.send(update("trade", trade(n, n)))
        frames.append(published("trade", trade(n, n).items))
    feed.sync("")
    for i in (len(frames) - 7, len(frames) - 2):
        client = connect(daemon)
        subfrom(client, i)
        clients.append((client, i))
    for client, i in clients:
        read_exactly(client, frames[i:])
        client.expect_silence()


LONG_ROWS = kdb.table(NAMES, *trade(5, 30000).items)


def test_long_records_of_others(start, connect, folder, mode):
    """Protects long records that must be written anew to become a frame."""
    journal.write(journal.path_now(folder), journal.record("trade", LONG_ROWS),
                  journal.record("nowhere", LONG_ROWS),
                  journal.record("trade", trade(1)))
    daemon = start(settings(folder, mode, LONG))
    frames = [published("trade", trade(5, 30000).items),
              published("trade", trade(1).items)]
    clients = []
    for n in range(8):
        client = connect(daemon, receive_buffer=WINDOW)
        subfrom(client, n % 2, sym("trade" if n < 4 else ""))
        clients.append((Stream(client, keep=True), b"".join(frames[n % 2:])))
    for stream, wanted in clients:
        stream.wait_for(len(wanted))
        stream.halt()
        assert stream.data == wanted


def test_long_records_of_others_for_stuck_joiners(start, connect, folder, mode):
    """Protects feeds and other joiners from joiners that stop in such a record:
    they may not keep the buffers that all others need."""
    journal.write(journal.path_now(folder), journal.record("trade", LONG_ROWS))
    daemon = start(settings(folder, mode, LONG))
    for n in range(LONG["message"]["buffers"]):
        stuck = connect(daemon, user="stuck%d" % n, receive_buffer=WINDOW)
        subfrom(stuck, 0)
        wait_stuck(daemon, "stuck%d" % n)
    feed = connect(daemon, timeout=3)
    assert feed.update("trade", trade(1, 9000)) == NIL
    other = connect(daemon, timeout=3)
    subfrom(other, 0)
    read_exactly(other, [published("trade", trade(5, 30000).items),
                         published("trade", trade(1, 9000).items)])


def test_record_of_others_beyond_message_max(start, connect, folder):
    """Protects joiners of a day that began with a longer message.max: a record
    that no subscriber could be sent is nobody's, as one of another schema is."""
    path = journal.path_now(folder)
    journal.write(path, journal.record("trade", trade(1)),
                  journal.record("trade", trade(2, 10000)),
                  journal.record("trade", trade(3)))
    daemon = start(settings(folder))  # message.max is 128K
    client = connect(daemon)
    subfrom(client, 0)
    read_exactly(client, [published("trade", trade(n).items) for n in (1, 3)])


# ---- at which moment ----


@pytest.mark.parametrize("mode,table", [("sqpoll", ""), ("direct", "trade")])
def test_end_of_day_while_catching_up(start, connect, folder, mode, table):
    """Protects who joins late and slowly: the ends of days stand where they
    stood, and the records of the next days follow."""
    daemon = start(settings(folder, mode))
    feed = Pair(connect(daemon), 400)
    feed.publish(100)
    slow = connect(daemon, user="slow", receive_buffer=WINDOW)
    subfrom(slow, 11, sym(table))
    for _ in range(3):
        feed.publish(150)
        feed.end_day()
    feed.end_day()
    feed.publish(150)
    assert line_of(daemon, "slow")["state"] == "catching_up"
    late = connect(daemon)
    subfrom(late, 50, sym(table))  # of the running day
    read_exactly(slow, feed.of(table, 11))
    read_exactly(late, feed.of(table, len(feed.frames) - 100))
    wait_state(daemon, "slow", "live")
    feed.publish(2)
    for client in (slow, late):
        read_exactly(client, feed.of(table, len(feed.frames) - 2))
        client.expect_silence()


@pytest.mark.parametrize("after,sync", [("ring", "none"), ("sync", "batch")])
def test_joining_around_the_end_of_day(start, connect, folder, mode, after, sync):
    """Protects RDBs that start at midnight: record 0 is of the day in .u.d."""
    daemon = start(settings(folder, mode, after=after, sync=sync))
    feed = Pair(connect(daemon))
    first_day = feed.client.sync(".u.d").value
    starts, joined = [0], []
    for turn in range(12):
        feed.publish(turn % 3)
        feed.client.send(b"".join(update("trade", trade(n)) for n in range(turn)))
        feed.frames += [published("trade", trade(n).items) for n in range(turn)]
        feed.client.send(kdb.frame(".u.endofday[]", kdb.SYNC))
        client = connect(daemon)
        reply = client.sync("(.ringtick.subfrom[`;`;0];.u.d)")
        assert feed.client.read_response()[8:] == kdb.encode(NIL)
        feed.frames.append(journal.end_frame(first_day + turn))
        starts.append(len(feed.frames))
        joined.append((client, reply.items[1].value))
    feed.publish(3)
    for client, day in joined:
        read_exactly(client, feed.frames[starts[day - first_day]:])
        client.expect_silence()


@pytest.mark.parametrize("first,second", [("trade", "quote"), ("trade", ""),
                                          ("", "trade"), ("", "")])
def test_taking_the_place_of_a_subscription(start, connect, folder, first, second):
    """Protects who asks again: what it was subscribed to ends with the reply,
    then comes what was asked for, from there on."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    client = connect(daemon)
    client.subscribe(first)
    for i in (3, 0, 40, 60):
        feed.publish(20)
        have = len(client.inbox)
        assert isinstance(subfrom(client, i, sym(second)), kdb.List)
        old = first if i == 3 else second
        read_exactly(client, feed.of(old, len(feed.frames) - 20)[have:])
        feed.publish(20)
        read_exactly(client, feed.of(second, i))
        client.expect_silence()


@pytest.mark.parametrize("kind", [kdb.SYNC, kdb.ASYNC])
@pytest.mark.parametrize("first", ["stuck in the ring", "catching up", "late"])
def test_asking_again_while_behind(start, connect, folder, kind, first):
    """Protects a slow subscriber that asks for the past: all that was visible
    before its request, the reply, then records from i on; the figures are of what
    it lacks."""
    daemon = start(settings(folder))
    feed = Pair(connect(daemon), 400)
    client = connect(daemon, user="slow", receive_buffer=WINDOW)
    if first == "late":
        feed.publish(100)
        subfrom(client, 5)
        before = 5
    else:
        client.subscribe()
        before = 0
    feed.publish(60 if first == "stuck in the ring" else 250)
    line = wait_stuck(daemon, "slow")
    assert line["state"] == ("live" if "ring" in first else "catching_up"), line.text
    mark, seen = daemon.mark(), len(feed.frames)
    request = lst(sym(".ringtick.subfrom"), sym("trade"), sym(""), atom("j", 21))
    client.send(kdb.frame(request, kind))
    daemon.wait_log("subscribe", after=mark, user="slow", tables="trade")
    feed.publish(250)
    for wanted in feed.frames[before:seen]:
        assert client.reader.next() == wanted
    if kind == kdb.SYNC:
        assert client.reader.next()[1] == kdb.RESPONSE
    read_exactly(client, feed.of("trade", 21))
    line = wait_level(daemon, "slow")
    assert line["lag_records"] == "0", line.text
    client.expect_silence()


def test_no_stream_left(start, connect, folder, mode):
    """Protects joiners where all filtered streams are taken: who cannot come back
    to a ring is served from the journal, at once, for as long as it likes."""
    daemon = start(settings(folder, mode, {"streams": {"max": 0}}))
    feed = Pair(connect(daemon), 300)
    feed.publish(300)
    client = connect(daemon, user="late")
    assert connect(daemon).subscribe("quote") == Error(b"streams")
    subfrom(client, 10, sym("quote"))
    read_exactly(client, feed.of("quote", 10))
    for n in range(300, 310):
        feed.publish(2)
        read_exactly(client, feed.of("quote", len(feed.frames) - 2))
    line = line_of(daemon, "late")
    assert (line["state"], line["lag_bytes"]) == ("catching_up", "0"), line.text
    assert client.sync(".u.i").value == 320


# ---- rejoin ----


class Wanderer(threading.Thread):
    """Loses its connection at random bytes, and goes on behind what it has."""

    def __init__(self, daemon, seed, table, day):
        super().__init__(daemon=True)
        self.port, self.table = daemon.port, table
        self.random = random.Random(seed)
        self.frames, self.breaks = [], 0
        self.claim = (0, day, 0, 0)
        self.tables = {"": sym(""), "both": syms("quote", "trade")}.get(
            table, sym(table))
        self.wanted, self.failure = None, None
        self.news = threading.Condition()
        self.start()

    def run(self):
        try:
            while self.wanted is None or len(self.frames) < self.wanted:
                self.go_on()
                self.breaks += 1
        except Exception as failure:
            self.failure = failure

    def go_on(self):
        client = kdb.Client(self.port, timeout=60)
        reply = rejoin(client, self.claim, self.tables)
        assert isinstance(reply, kdb.List), (reply, self.claim)
        data = b"".join(client.inbox) + bytes(client.reader.buffer[client.reader.at:])
        goal = self.random.choice((0, 30, 1000, 50_000, 500_000, 2_000_000))
        goal = self.random.randrange(goal + 1)
        while len(data) < goal and select.select([client.sock], [], [], 0.05)[0]:
            piece = client.sock.recv(65536)
            assert piece, "the daemon closed: %s" % (self.claim,)
            data += piece
        self.apply(frames_of(data[:goal])[0])
        self.random.choice((vanish, vanish, kdb.Client.close))(client)

    def apply(self, frames):
        epoch, day, i, n = self.claim
        for one in frames:
            if b".u.end" in one[:32]:
                day, i, n = day + 1, 0, 0
            else:
                n += 1
        if self.table in ("", "both") and self.random.random() < 0.5:
            i, n = i + n, 0
        with self.news:
            self.claim = (epoch, day, i, n)
            self.frames += frames
            self.news.notify_all()

    def wait_for_day(self, day):
        with self.news:
            assert self.news.wait_for(
                lambda: self.claim[1] >= day or self.failure, 60)
        assert self.failure is None, repr(self.failure)

    def finish(self, wanted):
        self.wanted = wanted
        self.join(60)
        assert self.failure is None and not self.is_alive(), repr(self.failure)


@pytest.mark.parametrize("mode,after,sync", [
    ("sqpoll", "ring", "none"), ("direct", "journal", "none"),
    ("sqpoll", "sync", "batch"), ("direct", "ring", "none")])
def test_broken_connections(start, connect, folder, mode, after, sync):
    """Protects the RDB on a bad network: whatever it had got when its connection
    broke, that and the rest is everything, once; over ends of days."""
    daemon = start(settings(folder, mode, TIGHT, after=after, sync=sync))
    reference = Subscriber(connect, daemon, "all", keep=True)
    first_day = connect(daemon).sync(".u.d").value
    wanderers = [Wanderer(daemon, n, table, first_day)
                 for n, table in enumerate(("", "trade", "quote", "both"))]
    feeders = [Feeder(connect(daemon), seed) for seed in (1, 2)]
    for n in range(2):
        time.sleep(0.25)  # of traffic
        end_day(feeders[0].client)
        for one in wanderers:
            one.wait_for_day(first_day + n + 1)
    for one in feeders:
        one.halt()
    reference.finish()
    whole = Whole(reference.stream.data)
    whole.assert_is_the_journal(folder, first_day)
    for one in wanderers:
        table = "" if one.table == "both" else one.table
        one.finish(sum(is_of(table, frame) for frame in whole.frames))
        assert b"".join(one.frames) == whole.streams[table], one.table
    print("\n%d messages, %s connections" % (
        len(whole.frames), "+".join(str(one.breaks) for one in wanderers)))


def test_the_day_before(start, connect, folder, mode):
    """Protects who lost its connection around midnight: the day before is still
    known, with its end; older ones are 'day; so are days to come."""
    daemon = start(settings(folder, mode))
    feed = Pair(connect(daemon), 50)
    day = feed.client.sync(".u.d").value
    days = [0]
    for n in range(3):
        feed.publish(40)
        feed.end_day()
        days.append(len(feed.frames))
    feed.publish(40)
    late = connect(daemon, user="late")
    while rejoin(late, (0, day + 1, 0, 0)) != Error(b"day"):
        feed.publish(2)
    for other in (day, day + 1, day + 4, day + 5, 0, -5, -(1 << 31)):
        assert rejoin(late, (0, other, 0, 0)) == Error(b"day")
    records = [40] * 3 + [len(feed.frames) - days[3]]
    late.close()
    clients = []
    for n in (2, 3):
        for i, got in ((0, 0), (0, records[n]), (records[n], 0), (7, 20), (20, 1)):
            client = connect(daemon)
            assert isinstance(rejoin(client, (0, day + n, i, got)), kdb.List)
            clients.append((client, "", feed.frames[days[n] + i + got:]))
        for i, got in ((0, 0), (7, 5), (0, records[n] // 2)):
            client = connect(daemon)
            assert isinstance(rejoin(client, (0, day + n, i, got), sym("quote")),
                              kdb.List)
            wanted = [one for one in feed.of("quote", days[n] + i)]
            clients.append((client, "quote", wanted[got:]))
        client = connect(daemon)
        assert rejoin(client, (0, day + n, 0, records[n] + 1)) == Error(b"epoch")
        assert rejoin(client, (0, day + n, records[n] + 1, 0)) == Error(b"epoch")
        assert rejoin(client, (0, day + n, records[n], 1)) == Error(b"epoch")
    count = len(feed.frames)
    feed.publish(10)
    for client, table, wanted in clients:
        more = [one for one in feed.frames[count:] if is_of(table, one)]
        read_exactly(client, wanted + more)
        client.expect_silence()


def test_figures_over_the_end_of_day(start, connect, folder):
    """Protects the account of who rejoins in the day before: what it lacks is of
    both days."""
    daemon = start(settings(folder))
    feed = Pair(connect(daemon), 400)
    day = feed.client.sync(".u.d").value
    feed.publish(80)
    feed.end_day()
    feed.publish(150)
    slow = connect(daemon, user="slow", receive_buffer=WINDOW)
    rejoin(slow, (0, day, 50, 10))
    wait_state(daemon, "slow", "catching_up")
    line = wait_stuck(daemon, "slow")
    wanted = feed.frames[60:]
    sent = line.number("sent_bytes") - 1 - len(
        kdb.frame(connect(daemon).subscribe(), kdb.RESPONSE))
    ends, at = [], 0
    for one in wanted:
        at += len(one)
        ends.append((at, b".u.end" not in one[:32]))
    assert line.number("lag_bytes") == at - sent
    assert line.number("lag_records") == sum(
        is_record for end, is_record in ends if end > sent)
    read_exactly(slow, wanted)
    line = wait_level(daemon, "slow")
    assert line["lag_records"] == "0", line.text


def test_claims_of_the_wrong_type(start, connect, folder):
    """Protects from claims that are none."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    feed.publish(4)
    day = feed.client.sync(".u.d").value
    good = [atom("j", 0), atom("d", day), atom("j", 1), atom("j", 2)]
    client = connect(daemon)
    for at in range(4):
        for bad in (sym("x"), NIL, atom("j", -1), atom("f", 1.0), vec("j", [1]),
                    lst(), kdb.text(""), atom("h", 1), atom("p", 1), syms()):
            claim = good[:at] + [bad] + good[at + 1:]
            asked = lst(sym(".ringtick.rejoin"), sym(""), sym(""), lst(*claim))
            assert client.sync(asked) == Error(b"type"), (at, bad)
    for claim in (lst(*good[:3]), lst(*good, atom("j", 0)), lst(), NIL, atom("j", 1),
                  vec("j", [0, day, 0, 0]), good[0], kdb.text("claim")):
        asked = lst(sym(".ringtick.rejoin"), sym(""), sym(""), claim)
        assert client.sync(asked) == Error(b"type"), claim
    most = atom("j", (1 << 63) - 1)
    asked = lst(sym(".ringtick.rejoin"), sym(""), sym(""), lst(*good[:2], most, most))
    assert client.sync(asked) == Error(b"epoch")
    assert rejoin(client, (0, day, 0, 0), sym("nowhere")) == Error(b"nowhere")
    assert rejoin(client, (0, day, 0, 0), syms()) == Error(b"length")
    assert client.sync(lst(sym(".ringtick.rejoin"), sym(""), sym(""))) == Error(b"rank")
    asked = lst(sym(".ringtick.rejoin"), sym(""), sym(""), lst(
        atom("i", 0), atom("d", day), atom("i", 1), atom("i", 2)))
    assert isinstance(client.sync(asked), kdb.List)
    read_exactly(client, feed.frames[3:])
    client.expect_silence()


def claims(feed, table):
    """(i, n) and what is to come, of every place in one day."""
    for first in (0, 3):
        frames = feed.of(table, first)
        for n in range(len(frames) + 1):
            yield first, n, frames[n:]


def test_clean_restart(start, connect, folder, mode):
    """Protects the RDB from an upgrade of the daemon: after a clean stop the epoch
    is the same, and it goes on behind what it has."""
    feed = None
    for turn in range(3):
        daemon = start(settings(folder, mode))
        frames = feed.frames if feed else []
        feed = Pair(connect(daemon))
        feed.frames = frames
        assert feed.client.sync(".ringtick.epoch") == atom("j", 0)
        day = feed.client.sync(".u.d").value
        clients = []
        for table in ("", "trade", "quote"):
            for i, n, wanted in claims(feed, table) if turn else ():
                client = connect(daemon)
                assert isinstance(rejoin(client, (0, day, i, n), sym(table)), kdb.List)
                clients.append((client, table, wanted))
        count = len(feed.frames)
        feed.publish(8)
        for client, table, wanted in clients:
            read_exactly(client, wanted + feed.of(table, count))
            client.close()
        feed.client.close()
        daemon.stop()


def kill(daemon, path, keep):
    """kill -9; then the file has only so many records and half of another."""
    daemon.signal(signal.SIGKILL)
    daemon.abandon()
    file = journal.File(path)
    end = file.ends[keep - 1] if keep else len(journal.HEADER)
    torn = (file.ends + [file.ends[-1] + 30])[keep] - end
    with open(path, "r+b") as out:
        out.truncate(end + torn // 2)


def assert_lost(daemon, connect, claim, table):
    """It is accepted, and when it turns out that it cannot be met, ended."""
    client, mark = connect(daemon), daemon.mark()
    reply = rejoin(client, claim, sym(table))
    if reply == Error(b"epoch"):
        return "error"
    assert isinstance(reply, kdb.List)
    daemon.wait_log("disconnect", after=mark, peer=client.name, reason="epoch")
    assert kdb.drain(client.sock)[0] == b"" and not client.inbox
    return "end"


def test_epochs(start, connect, folder, mode):
    """Protects from a silent difference after a crash that took records: who has
    them is refused or cut off, whatever came since and whichever crash it was; who
    does not have them goes on."""
    path, frames, lived, how = journal.path_now(folder), [], [], set()
    for epoch in range(4):
        daemon = start(settings(folder, mode, after="ring"))
        feed = Pair(connect(daemon))
        feed.frames = frames
        assert feed.client.sync(".ringtick.epoch") == atom("j", epoch)
        assert feed.client.sync(".u.i").value == len(frames)
        day = feed.client.sync(".u.d").value
        for more in (0, 30):  # nothing new yet, and more than what was lost
            feed.publish(more)
            sure = [min([kept for kept, _ in lived[n:]] + [len(frames)])
                    for n in range(epoch + 1)]
            for n, (_, old) in enumerate(lived):
                clients = []
                for table in ("", "trade", "quote"):
                    mine = [one for one in old if is_of(table, one)]
                    still = [one for one in old[:sure[n]] if is_of(table, one)]
                    assert len(still) < len(mine)
                    for got in (len(still) + 1, len(mine)):
                        how.add(assert_lost(daemon, connect, (n, day, 0, got), table))
                    client = connect(daemon)
                    reply = rejoin(client, (n, day, 0, len(still)), sym(table))
                    assert isinstance(reply, kdb.List), (epoch, n, reply)
                    clients.append((client, feed.of(table)[len(still):]))
                client = connect(daemon)
                assert rejoin(client, (n, day, sure[n] + 1, 0)) == Error(b"epoch")
                assert rejoin(client, (n, day, 0, sure[n] + 1)) == Error(b"epoch")
                assert isinstance(rejoin(client, (n, day, sure[n], 0)), kdb.List)
                clients.append((client, frames[sure[n]:]))
                for one, wanted in clients:
                    read_exactly(one, wanted)
                    one.expect_silence()
                    one.close()
        client = connect(daemon)
        assert rejoin(client, (epoch + 1, day, 0, 1)) == Error(b"epoch")
        client.close()
        feed.client.close()
        kept = len(frames) - (14, 3, 25)[epoch % 3]
        kill(daemon, path, kept)
        lived.append((kept, list(frames)))
        del frames[kept:]
    assert how == {"error", "end"}


def test_crash_without_loss(start, connect, folder, mode):
    """Protects who has got nothing that was lost: with publish.after = journal a
    crash of the daemon takes nothing that was seen, and everybody goes on."""
    daemon = start(settings(folder, mode, after="journal"))
    feed = Pair(connect(daemon))
    day = feed.client.sync(".u.d").value
    client = connect(daemon)
    subfrom(client, 0, sym("trade"))
    feed.publish(21)
    read_exactly(client, feed.of("trade"))
    client.close()
    feed.client.close()
    daemon.signal(signal.SIGKILL)
    daemon.abandon()
    daemon = start(settings(folder, mode, after="journal"))
    client = connect(daemon)
    assert isinstance(rejoin(client, (0, day, 0, 11), sym("trade")), kdb.List)
    feed.client = connect(daemon)
    feed.publish(21)
    read_exactly(client, feed.of("trade", 21))
    client.expect_silence()
    assert rejoin(connect(daemon), (0, day, 0, 22)) == Error(b"epoch")
    assert isinstance(rejoin(connect(daemon), (1, day, 0, 22)), kdb.List)


def test_crash_in_another_day(start, connect, folder, mode):
    """Protects who was away while days ended and the daemon crashed: of a day that
    began before a crash that it has not seen, nothing is sure."""
    daemon = start(settings(folder, mode))
    feed = Pair(connect(daemon))
    day = feed.client.sync(".u.d").value
    feed.publish(10)
    feed.end_day()
    feed.publish(10)
    feed.client.close()
    daemon.signal(signal.SIGKILL)
    daemon.abandon()
    daemon = start(settings(folder, mode))  # in the file of the clock's day again
    feed = Pair(connect(daemon))
    client = connect(daemon)
    assert rejoin(client, (0, day + 1, 0, 5)) == Error(b"day")
    assert isinstance(rejoin(client, (0, day, 0, 10)), kdb.List)
    feed.end_day()  # and on in the file of the next
    assert rejoin(connect(daemon), (0, day + 1, 0, 5)) == Error(b"epoch")
    assert isinstance(rejoin(connect(daemon), (1, day + 1, 0, 5)), kdb.List)
    feed.publish(1)
    read_exactly(client, feed.frames)
