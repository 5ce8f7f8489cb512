"""Batches, as tick.q -t: publish.interval gathers the rows of each table into one
message; the log has each update as it came."""

import time

import journal
import kdb
import pytest
from daemon import QUOTE, TRADE
from filters import Market, ask, pick
from kdb import NIL, Error, atom, lst, sym, syms, vec
from spill import (WINDOW, Stream, frames_of, line_of, publish, publish_until_behind,
                   settings, wait_level, wait_state)
from traffic import NAMES, Reader, published, quote, trade, update

LONG = "1h"  # no tick of the clock comes in a test


def batched(folder, mode, interval, changes=None, **how):
    return settings(folder, mode, {"publish": {"interval": interval}, **(changes or {})}, **how)


def joined(columns):
    """The columns of several updates, one after the other."""
    out = []
    for parts in zip(*[one.items for one in columns]):
        if isinstance(parts[0], kdb.Symbols):
            out.append(kdb.Symbols(tuple(s for one in parts for s in one.items)))
        elif isinstance(parts[0], kdb.Vector):
            out.append(kdb.Vector(parts[0].type, b"".join(one.raw for one in parts)))
        else:
            out.append(kdb.List(tuple(s for one in parts for s in one.items)))
    return out


def batch_of(updates, filters, names=NAMES):
    """The messages that one batch of updates is to {table: symbols or ""}."""
    found = []
    for name in sorted(filters):
        columns = [one for which, one in updates if which == name]
        if not columns:
            continue
        all_of = joined(columns)
        if filters[name] == "":
            all_of[1] = kdb.Symbols(all_of[1].items, attr=4)
        else:
            wanted = {one.encode() for one in filters[name]}
            rows = [i for i, one in enumerate(all_of[1].items) if one in wanted]
            if not rows:
                continue
            all_of = [pick(one, rows) for one in all_of]
        found.append(published(name, all_of, names.get(name)))
    return found


ALL = {"trade": "", "quote": ""}


def rows_of(frames):
    """{table: the numbers in the last column of all its rows}, in order."""
    found = {}
    for one in frames:
        if b".u.end" in one[:32]:
            continue
        table = kdb.decode_frame(one)[1]
        found.setdefault(table.items[1].text.decode(), []).extend(
            table.items[2].columns.items[-1].values)
    return found


# ---- what a batch is ----


def test_one_message_of_each_table(start, connect, mode):
    """Protects the batch: all rows of a table in one message, tables in the order
    of their names, g# on sym for who has all, filters applied, each in its
    order; nothing comes before its time, and nothing where there is nothing."""
    daemon = start({"engine": {"mode": mode}, "publish": {"interval": "300ms"},
                    "streams": {"max": 8}})
    feed, market = connect(daemon), Market(1)
    asked = [ALL, {"trade": ""}, {"quote": ("A", "IBM")}, {"trade": ("A",), "quote": ""},
             {"trade": ()}]
    subs = []
    for filters in asked:
        sub = connect(daemon)
        for name, wanted in filters.items():
            assert sub.sync(ask(name, wanted)).items[0] == sym(name)
        subs.append(sub)
    for turn in range(3):
        updates = [market.next() for _ in range(100)]
        publish(feed, b"".join(update(*one) for one in updates))
        got = [[sub.read_frame() for _ in batch_of(updates, filters)]
               for filters, sub in zip(asked, subs)]
        if any(frames != batch_of(updates, filters) for frames, filters in zip(got, asked)):
            # a tick fell into the middle: then all rows, in two batches
            for filters, sub, frames in zip(asked, subs, got):
                have = rows_of(frames)
                while have != rows_of(batch_of(updates, filters)):
                    frames.append(sub.read_frame())
                    have = rows_of(frames)
        for sub in subs:
            sub.expect_silence()


@pytest.mark.usefixtures("many_days")
def test_nothing_before_its_time(start, connect, mode):
    """Protects the interval: with an hour of it updates wait, and the end of the
    day lets them go, in order: batch, .u.end, the next day's."""
    daemon = start({"engine": {"mode": mode}, "publish": {"interval": LONG}})
    feed, sub, market = connect(daemon), connect(daemon), Market(2)
    sub.subscribe()
    day = feed.sync(".u.d").value
    for n in range(3):
        updates = [market.next() for _ in range(50)]
        publish(feed, b"".join(update(*one) for one in updates))
        sub.expect_silence()
        assert feed.sync(".u.endofday[]") == NIL
        for wanted in batch_of(updates, ALL):
            assert sub.read_frame() == wanted
        assert sub.read_frame() == journal.end_frame(day + n)
        sub.expect_silence()


def test_counts_and_joiners(start, connect, folder, mode):
    """Protects .u.i and .u.j (tick-contract.md section 4): i counts the published
    records, j the logged ones; a client that joins replays i, and gets the rest."""
    daemon = start(batched(folder, mode, LONG))
    feed, early = connect(daemon), connect(daemon)
    early.subscribe()
    for n in range(5):
        assert feed.update("trade", trade(n)) == NIL
    assert (feed.sync(".u.i"), feed.sync(".u.j")) == (atom("j", 0), atom("j", 5))
    joiner = connect(daemon)
    i, path = journal.join(joiner)
    assert i == 0
    assert feed.sync(".u.endofday[]") == NIL
    five = batch_of([("trade", trade(n)) for n in range(5)], ALL)
    for sub in (early, joiner):
        assert [sub.read_frame()] == five
        assert b".u.end" in sub.read_frame()
    for n in range(5, 8):
        assert feed.update("trade", trade(n)) == NIL
    assert (feed.sync(".u.i"), feed.sync(".u.j")) == (atom("j", 0), atom("j", 3))
    assert journal.read(path).records == [
        journal.record("trade", trade(n)) for n in range(5)]


def test_joining_under_load(start, connect, folder, mode):
    """Protects clients that join at random moments: replay and stream are every
    record once, in order, whatever ticks meanwhile."""
    daemon = start(batched(folder, mode, "3ms", {"slow": {"policy": "block"}}))
    feed, subs, total = connect(daemon), [], 4000
    for n in range(total):
        feed.send(update("trade", trade(n)))
        if n % 40 == 0:
            sub = connect(daemon)
            i, path = journal.join(sub)
            subs.append((i, sub))
    feed.sync("")
    records = journal.read(path).records
    assert records == [journal.record("trade", trade(n)) for n in range(total)]
    for i, sub in subs:
        have = []
        while len(have) < total - i:
            have += rows_of([sub.read_frame()])["trade"]
        assert have == list(range(i, total))


def test_types_are_checked(start, connect):
    """Protects the batch from what insert would refuse, whatever schema.check
    says."""
    daemon = start({"schema": {"check": "shape", "tables": [TRADE, QUOTE]},
                    "publish": {"interval": LONG}})
    feed = connect(daemon)
    wrong = lst(vec("n", [1]), syms("A"), vec("j", [1]), vec("j", [1]))
    assert feed.update("trade", wrong).word() == b"type"
    assert feed.update("trade", trade(1)) == NIL


@pytest.mark.usefixtures("many_days")
def test_untyped_columns_meet(start, connect, mode):
    """Protects columns without a type: what is of one type stays a vector, what
    is of several becomes a list."""
    table = {"name": "t", "columns": ["time timespan", "sym symbol", "x list", "s string"]}
    daemon = start({"engine": {"mode": mode}, "schema": {"tables": [table]},
                    "publish": {"interval": LONG}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()

    def row(x, s):
        return lst(vec("n", [1]), syms("a"), x, s)
    assert feed.update("t", row(vec("j", [1]), lst(kdb.text("ab")))) == NIL
    assert feed.update("t", row(vec("j", [2]), lst(kdb.text("")))) == NIL
    feed.sync(".u.endofday[]")
    got = kdb.decode_frame(sub.read_frame())[1].items[2].columns.items
    assert got[2] == vec("j", [1, 2]) and got[3] == lst(kdb.text("ab"), kdb.text(""))
    sub.read_frame()
    assert feed.update("t", row(vec("j", [1]), lst(kdb.text("ab")))) == NIL
    assert feed.update("t", row(syms("s"), lst(kdb.text("c d")))) == NIL
    feed.sync(".u.endofday[]")
    got = kdb.decode_frame(sub.read_frame())[1].items[2].columns.items
    assert got[2] == lst(atom("j", 1), sym("s"))


def test_a_long_batch_is_split(start, connect, mode):
    """Protects message.max, and a ring that would be full before the time: what is
    too much goes out in several batches, at once."""
    daemon = start({"engine": {"mode": mode}, "publish": {"interval": LONG},
                    "ring": {"size": "1M"}, "streams": {"ring": "256K"},
                    "message": {"max": "64K"}, "slow": {"policy": "block"}})
    feed, sub, market = connect(daemon), connect(daemon), Market(6, rows=(1, 10, 300))
    sub.subscribe()
    frames = []

    def take(frame):
        frames.append(frame)
        return b".u.end" in frame[:32]
    reader = Reader(sub, take)
    updates = [market.next() for _ in range(1000)]
    publish(feed, b"".join(update(*one) for one in updates))
    assert feed.sync(".u.endofday[]") == NIL
    reader.finish()
    assert all(len(one) <= 65536 for one in frames)
    assert rows_of(frames) == rows_of([published(n, c.items) for n, c in updates])
    assert len(frames) < 150


# ---- slow ones ----


@pytest.mark.parametrize("after", ["ring", "journal"])
@pytest.mark.parametrize("interval", ["1ms", "20ms"])
def test_slow_ones_lose_nothing(start, connect, folder, mode, after, interval):
    """Protects slow consumers of batches: they leave between two batches, get the
    rest from the journal, and each row once, in the order of its table."""
    daemon = start(batched(folder, mode, interval, {
        "ring": {"size": "1M"}, "streams": {"ring": "256K", "max": 8},
        "connections": {"send_buffer": "64K"}, "message": {"max": "64K"}}, after=after))
    asked = [ALL, {"trade": ("IBM", "A")}]
    subs = []
    for n, filters in enumerate(asked):
        for who, window in (("fast", 0), ("slow", WINDOW)):
            client = connect(daemon, user="%s%d" % (who, n), receive_buffer=window, timeout=60)
            for name, wanted in filters.items():
                client.sync(ask(name, wanted))
            base = line_of(daemon, "%s%d" % (who, n)).number("sent_bytes")
            subs.append(("%s%d" % (who, n), filters, Stream(client, keep=True), base))
    feed, market = connect(daemon), Market(8, rows=(1, 3, 40, 400))
    updates, days = [], 0
    for turn in range(3):
        for name, _, stream, _ in subs:
            if name.startswith("slow"):
                stream.stop()
        updates += publish_until_behind(daemon, feed, ("slow0", "slow1"),
                                        lambda: market.block(5_000_000))
        if turn == 1:
            assert feed.sync(".u.endofday[]") == NIL
            days += 1
        for name, _, stream, _ in subs:
            stream.go()
        for name in ("slow0", "slow1"):
            wait_state(daemon, name, "live")
        some = [market.next() for _ in range(200)]
        publish(feed, b"".join(update(*one) for one in some))
        updates += some
    for name, filters, stream, base in subs:
        wanted = rows_of([published(n, c.items) for n, c in updates if n in filters]
                         if filters is ALL else
                         [one for one in batch_of(updates, filters)])
        deadline = time.monotonic() + 30
        while True:
            line = wait_level(daemon, name)
            total = line.number("sent_bytes") - base
            stream.wait_for(total)
            frames, torn = frames_of(stream.data[:total])
            if rows_of(frames) == wanted:
                break
            assert time.monotonic() < deadline, name
        assert torn == b"" and line["lag_records"] == "0"
        assert sum(b".u.end" in one[:32] for one in frames) == days
    assert daemon.summary().number("spills") >= 4


def test_skip_and_disconnect_in_batches(start, connect, mode):
    """Protects the other policies: whole messages, in order."""
    daemon = start({"engine": {"mode": mode}, "publish": {"interval": "1ms"},
                    "ring": {"size": "1M"}, "streams": {"ring": "256K"},
                    "message": {"max": "32K"}, "connections": {"send_buffer": "64K"},
                    "slow": {"policy": "skip"},
                    "auth": {"rights": [{"user": "gone", "policy": "disconnect"}]}})
    feed, market = connect(daemon), Market(2, rows=(30, 300))
    lazy = connect(daemon, user="lazy", receive_buffer=WINDOW)
    gone = connect(daemon, user="gone", receive_buffer=WINDOW)
    lazy.subscribe()
    gone.subscribe()
    updates = [market.next() for _ in range(1000)]
    publish(feed, *[update(*one) for one in updates])
    daemon.wait_log("skip", user="lazy")
    daemon.wait_log("disconnect", user="gone", reason="slow")
    last = trade(1 << 40)
    frames = []
    lazy.sock.settimeout(0.2)
    while True:
        feed.update("trade", last)
        try:
            while True:
                frames.append(lazy.read_frame())
        except TimeoutError:
            pass
        if frames and 1 << 40 in rows_of(frames[-1:]).get("trade", ()):
            break
    rows = rows_of([one for one in frames])
    for name, numbers in rows.items():
        numbers = [n for n in numbers if n < 1 << 40]
        assert numbers == sorted(set(numbers)), name


def test_subfrom_in_batches(start, connect, folder, mode):
    """Protects clients that join late over the connection: each row once; and says
    that there is no rejoining, since a client cannot count updates."""
    daemon = start(batched(folder, mode, "5ms"))
    feed, market = connect(daemon), Market(3)
    updates = [market.next() for _ in range(500)]
    publish(feed, b"".join(update(*one) for one in updates))
    sub = connect(daemon)
    i = feed.sync(".u.i").value
    assert i <= 500
    assert sub.sync(lst(sym(".ringtick.subfrom"), sym(""), sym(""), atom("j", 0))).items
    more = [market.next() for _ in range(500)]
    publish(feed, b"".join(update(*one) for one in more))
    wanted = rows_of([published(n, c.items) for n, c in updates + more])
    have, messages = {}, 0
    while have != wanted:
        messages += 1
        for name, numbers in rows_of([sub.read_frame()]).items():
            have.setdefault(name, []).extend(numbers)
    assert messages < 500  # of 1000 updates: those of the journal are merged too
    claim = lst(atom("j", 0), atom("d", 1), atom("j", 0), atom("j", 0))
    assert sub.sync(lst(sym(".ringtick.rejoin"), sym(""), sym(""), claim)) == Error(b"nyi")


def test_stopping_loses_no_batch(start, connect, mode):
    """Protects updates that wait for their time when the daemon is stopped."""
    daemon = start({"engine": {"mode": mode}, "publish": {"interval": LONG}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()
    publish(feed, update("trade", trade(1, 5)), update("quote", quote(1, 5)))
    daemon.stop()
    assert rows_of([sub.read_frame(), sub.read_frame()]) == {
        "quote": [1, 2, 3, 4, 5], "trade": [1, 2, 3, 4, 5]}
