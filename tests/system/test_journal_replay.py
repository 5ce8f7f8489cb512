"""Replay and stream: together every record, once, in order (invariant 5), and
what publish.after promises about the file."""

import array
import bisect
import os
import random
import threading
import time

import journal
import kdb
import pytest
from kdb import NIL
from traffic import Flood, Template, quote, trade, update

SECONDS = float(os.environ.get("RINGTICK_JOIN_SECONDS", "2.2"))
RECORDS_MAX = int(SECONDS * 40_000)  # they are all decoded afterwards


class Feed(threading.Thread):
    """Updates of both tables, each unlike any other, in groups of random length
    that end with a sync one: full load, but no feed gets ahead without limit."""

    def __init__(self, client, number):
        super().__init__(daemon=True)
        self.client, self.number = client, number
        self.random = random.Random(number)
        self.sent = 0
        self.failure = None
        self.halt = threading.Event()
        symbol = "feed%d" % number
        self.heads = [self._head(name, make, rows, symbol, kind)
                      for name, make in (("trade", trade), ("quote", quote))
                      for rows in (1, 2, 9)
                      for kind in (kdb.ASYNC, kdb.SYNC)]
        self.start()

    @staticmethod
    def _head(name, make, rows, symbol, kind):
        whole = update(name, make(0, rows, symbol), kind)
        return rows, whole[: len(whole) - 8 * rows]

    def make(self, kind):
        rows, head = self.heads[self.random.randrange(6) * 2 + kind]
        self.sent += 1
        first = self.sent * 16
        return head + array.array("q", range(first, first + rows)).tobytes()

    def run(self):
        try:
            while not self.halt.is_set():
                group = [self.make(kdb.ASYNC)
                         for _ in range(self.random.choice((0, 1, 5, 40)))]
                group.append(self.make(kdb.SYNC))
                assert self.client.ask(b"".join(group)) == NIL
        except Exception as failure:
            self.failure = failure


class Part:
    """What one subscription of a handle got: from record i of the file on, the
    tables wanted; until record `until`, if another subscription followed."""

    def __init__(self, i, tables, size):
        self.i, self.tables, self.size = i, tables, size
        self.until = None
        self.records = []


BOTH = frozenset((b"trade", b"quote"))
TRADE, QUOTE = frozenset((b"trade",)), frozenset((b"quote",))

# Requests one after the other on one handle, with what it has from then on.
WAYS = [
    [(journal.JOIN, BOTH)],
    [(journal.JOIN_TRADE, TRADE)],
    [(journal.JOIN_QUOTE, QUOTE)],
    [(journal.JOIN_TRADE, TRADE), (journal.JOIN_QUOTE, BOTH)],
    [(journal.JOIN_QUOTE, QUOTE), (journal.JOIN_TRADE, BOTH)],
    [(journal.JOIN, BOTH), (journal.JOIN, BOTH)],
    [(journal.JOIN_QUOTE, QUOTE), (journal.JOIN, BOTH)],
    [(journal.JOIN_TRADE, TRADE), (journal.JOIN_TRADE, TRADE),
     (journal.JOIN_QUOTE, BOTH), (journal.JOIN, BOTH)],
    [("(.u.i;.u.L;.u.sub[`;`])", BOTH)],
]


def ask(client, asked, path):
    reply = client.sync(asked)
    assert isinstance(reply, kdb.List), reply
    if asked.startswith("(.u.i"):
        i, handle = reply.items[:2]
    else:
        i, handle = reply.items[1].items
    assert handle.text == b":%s" % os.fsencode(path)
    return i.value


def one_join(client, way, path, keep):
    """The parts of one handle's life; keep: frames to read after each reply."""
    parts = []
    for asked, tables in way:
        i = ask(client, asked, path)
        if parts:  # what came before the reply belongs to the part before
            parts[-1].records += [journal.record_of(one) for one in client.inbox]
            parts[-1].until = i
            client.inbox.clear()
        part = Part(i, tables, os.stat(path).st_size)
        parts.append(part)
        assert not client.inbox
        for _ in range(keep):
            part.records.append(journal.record_of(client.read_frame()))
    return parts


class Joiner(threading.Thread):
    """Joins, reads a little, leaves, joins again, until told to stop."""

    def __init__(self, daemon, path, number):
        super().__init__(daemon=True)
        self.daemon_, self.path = daemon, path
        self.random = random.Random(1000 + number)
        self.joins = []
        self.failure = None
        self.halt = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.halt.is_set():
                way = self.random.choice(WAYS)
                with kdb.Client(self.daemon_.port,
                                unix=self.random.random() < 0.5) as client:
                    self.joins.append(one_join(
                        client, way, self.path, self.random.choice((1, 2, 20))))
        except Exception as failure:
            self.failure = failure


class Recorder(threading.Thread):
    """Keeps all that one handle gets, up to the answer to end()."""

    def __init__(self, client, part):
        super().__init__(daemon=True)
        self.client, self.part = client, part
        self.news = threading.Condition()
        self.failure = None
        self.start()

    def run(self):
        try:
            while True:
                frame = self.client.read_frame()
                if frame[1] == kdb.RESPONSE:
                    return
                with self.news:
                    self.part.records.append(journal.record_of(frame))
                    self.news.notify()
        except Exception as failure:
            self.failure = failure

    def wait_for(self, records):
        with self.news:
            assert self.news.wait_for(
                lambda: len(self.part.records) >= records or self.failure, 30)

    def end(self):
        """A chaser: its answer comes after every accepted update."""
        self.client.send(kdb.frame("", kdb.SYNC))
        self.join(30)
        assert self.failure is None and not self.is_alive(), self.failure


class Check:
    """Holds parts against the whole file."""

    def __init__(self, file):
        self.file = file
        self.of = {tables: [n for n, name in enumerate(file.tables) if name in tables]
                   for tables in (BOTH, TRADE, QUOTE)}

    def __call__(self, part, is_complete=False):
        where = self.of[part.tables]
        first = bisect.bisect_left(where, part.i)
        if part.until is not None:
            wanted = where[first : bisect.bisect_left(where, part.until)]
        elif is_complete:
            wanted = where[first:]
        else:
            wanted = where[first : first + len(part.records)]
        assert part.records == [self.file.records[n] for n in wanted], (
            "joined at record %d (%d bytes then) with %s: got %d records, wanted %d" % (
                part.i, part.size, sorted(part.tables), len(part.records),
                len(wanted)))
        # what has to be replayed was in the file when the reply came
        end = self.file.ends[part.i - 1] if part.i else len(journal.HEADER)
        assert end <= part.size, "record %d is not in the file yet" % (part.i - 1)


@pytest.mark.parametrize("after,sync", [("ring", "none"), ("journal", "none"),
                                        ("sync", "batch")])
def test_replay_and_stream_are_all(start, connect, folder, mode, after, sync):
    """Protects every RDB's restart: at whatever moment under full load a handle
    subscribes, adds a table, or subscribes again, the first .u.i records of the
    file and then its stream are all records once, in order, and the first .u.i
    are readable when the reply comes."""
    daemon = start(journal.settings(folder, {
        "engine": {"mode": mode}, "ring": {"size": "4M"}, "streams": {"ring": "4M"},
        "slow": {"policy": "block"}, "connections": {"max": 64}},
        sync=sync, after=after))
    path = journal.path_now(folder)
    witnesses = []
    for way in WAYS[:3]:
        client = connect(daemon)
        part = one_join(client, way, path, 0)[0]
        assert part.i == 0
        witnesses.append(Recorder(client, part))
    feeds = [Feed(connect(daemon, unix=n % 2 == 1), n) for n in range(4)]
    joiners = [Joiner(daemon, path, n) for n in range(3)]
    late = []
    deadline = time.monotonic() + SECONDS
    while (time.monotonic() < deadline and
           sum(one.sent for one in feeds) < RECORDS_MAX):
        # these stay to the end
        client = connect(daemon)
        part = one_join(client, random.choice(WAYS[:3]), path, 0)[0]
        late.append(Recorder(client, part))
        late[-1].wait_for(1)
        joiners[0].join(SECONDS / 10)
    for one in joiners:
        one.halt.set()
    for one in joiners:
        one.join(20)
    for one in feeds:
        one.halt.set()
    for one in feeds:
        one.join(30)
    for one in (*feeds, *joiners):
        assert one.failure is None and not one.is_alive(), one.failure
    last, _ = journal.count_and_path(connect(daemon))
    assert last == sum(one.sent for one in feeds)
    check = Check(journal.read(path))
    assert len(check.file) == last
    for one in (*witnesses, *late):
        one.end()
        check(one.part, is_complete=True)
    joins = [join for one in joiners for join in one.joins]
    for join in joins:
        for part in join:
            check(part)
    print("\n%d records, %d handles joined %d times" % (
        last, len(joins), sum(len(join) for join in joins)))
    assert len(joins) > 20  # of a busy machine too


# ---- no client is told of a record that is not in the file ----


@pytest.mark.parametrize("mode,after,sync,tables", [
    ("sqpoll", "journal", "none", journal.JOIN),
    ("direct", "journal", "none", journal.JOIN_TRADE),
    ("direct", "sync", "batch", journal.JOIN),
    ("sqpoll", "sync", "batch", journal.JOIN_TRADE)])
def test_never_ahead_of_the_file(start, connect, folder, mode, after, sync, tables):
    """Protects publish.after: at the moment a byte of record n reaches a
    subscriber, the whole record is in the file already."""
    daemon = start(journal.settings(folder, {
        "engine": {"mode": mode}, "slow": {"policy": "block"},
        "ring": {"size": "2M"}, "streams": {"ring": "2M"}}, sync=sync, after=after))
    path = journal.path_now(folder)
    sub = connect(daemon)
    assert journal.join(sub, tables) == (0, path)
    template = Template(3)
    length = len(journal.record("trade", trade(0, 3)))
    floods = [Flood(connect(daemon), template, n + 12_000, first=n)
              for n in range(2)]
    reader, frames, bursts, tight = sub.reader, 0, 0, 0
    with open(path, "rb") as file:
        while frames < 24_000:
            got = sub.sock.recv(1 << 16)
            size = os.fstat(file.fileno()).st_size
            assert got, "closed"
            bursts += 1
            reader.buffer += got
            while reader.torn >= 8 and reader.torn >= kdb.frame_length(
                    reader.buffer[reader.at : reader.at + 8]):
                frame = reader.next()
                frames += 1
            begun = frames + (reader.torn > 0)
            assert size >= len(journal.HEADER) + begun * length, (
                "record %d is seen and not in the file" % (begun - 1))
            tight += size < len(journal.HEADER) + (begun + 200) * length
            at = len(journal.HEADER) + (frames - 1) * length
            if frames and bursts % 8 == 0:
                assert os.pread(file.fileno(), length, at) == journal.record_of(frame)
    for one in floods:
        one.finish()
    assert len(journal.read(path)) == 24_000
    print("\n%d bursts, in %d the file was less than 200 records ahead" % (
        bursts, tight))
    assert tight > 0, "nothing was close: this test would not see an error"


@pytest.mark.parametrize("after", ["ring", "journal"])
def test_answered_is_in_the_file(start, connect, folder, mode, after):
    """Protects feeds that wait for an answer: then their record is in the file,
    after everything that others have sent meanwhile."""
    daemon = start(journal.settings(folder, {
        "engine": {"mode": mode}, "slow": {"policy": "block"}}, after=after))
    path = journal.path_now(folder)
    flood = Flood(connect(daemon), Template(5), 300_000)
    feed = connect(daemon)
    with open(path, "rb") as file:
        at = 0
        for n in range(400):
            data = quote(n, 1 + n % 3)
            assert feed.update("quote", data) == NIL
            end = os.fstat(file.fileno()).st_size
            new = os.pread(file.fileno(), end - at, at)
            assert journal.record("quote", data) in new, n
            at = max(0, end - 400)  # a record is shorter
    sent = flood.halt()
    assert sent > 400
    assert feed.sync("") is not None
