"""Joining late over the wire: .ringtick.subfrom.

RINGTICK_JOINS=500 makes a long test of those that join at random."""

import os
import random
import signal
import threading

import journal
import kdb
import pytest
from kdb import NIL, Error, atom, lst, sym, syms, vec
from late import TIGHT, Feeder, Pair, Whole, read_exactly, rejoin, subfrom, vanish
from spill import (WINDOW, Stream, Subscriber, line_of, settings, wait_level,
                   wait_state, wait_stuck)
from traffic import published, quote, trade, update

JOINS = int(os.environ.get("RINGTICK_JOINS", "36"))  # of each parameter
MODES = [("sqpoll", "ring", "none"), ("direct", "ring", "none"),
         ("sqpoll", "journal", "none"), ("direct", "journal", "none"),
         ("sqpoll", "sync", "batch"), ("direct", "sync", "batch")]


@pytest.mark.parametrize("after", ["ring", "journal", "sync"])
def test_subfrom(start, connect, folder, mode, after):
    """Protects late joiners without the journal's files: from record i on, each
    record once, from the past into the live stream; the reply is .u.sub's."""
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
    asked for in one text; and asynchronous requests."""
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
    ("few", ("trade", ""), b"rank"),
    ("many", ("trade", "", atom("j", 0), NIL), b"rank"),
]


@pytest.mark.parametrize("state", ["nothing", "trade"])
def test_subfrom_refused(start, connect, folder, state):
    """Protects a subscription from a refused request: it continues as it was, and
    can be added to; without one, none begins."""
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
    """Protects from a promise that cannot be kept: without a journal there are no
    such names."""
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
    """Protects joiners of a day that began with a longer message.max: a record that
    is too long for subscribers is left out, as one of another schema is."""
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
@pytest.mark.usefixtures("many_days")
def test_end_of_day_while_catching_up(start, connect, folder, mode, table):
    """Protects clients that join late and read slowly: the ends of days come at
    their places, and the records of the next days follow."""
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
@pytest.mark.usefixtures("many_days")
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
    """Protects a client that asks again: its old subscription ends with the reply,
    and the new one begins there."""
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
    # 50: with nothing sent yet it is below the leave mark
    feed.publish(50 if first == "stuck in the ring" else 250)
    line = wait_stuck(daemon, "slow")
    # "slow" is who is in the ring and has not read for a while
    assert line["state"] in (("live", "slow") if "ring" in first else ("catching_up",)), (
        line.text)
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
    """Protects joiners if all filtered streams are taken: a consumer that cannot
    come back to a ring is served from the journal, without delay or limit."""
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


def test_more_tables_than_there_are(start, connect, folder):
    """Protects the thread from a request that names tables without end."""
    daemon = start(settings(folder))
    client = connect(daemon)
    assert subfrom(client, 0, kdb.syms("trade", "quote", "trade")) == kdb.Error(b"length")
    assert subfrom(client, 0, kdb.syms(*[""] * 5000)) == kdb.Error(b"length")
