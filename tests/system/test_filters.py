"""Filters by symbol: each subscriber has the rows that it asked for, and pays for
no others; the filter is shared by all who ask for the same."""

import bisect
import os
import random
import select
import signal
import threading
import time

import journal
import kdb
import pytest
from daemon import QUOTE, TRADE
from filters import (Market, ask, filtered, join_filtered, table_of, wanted_frames)
from kdb import NIL, Error, atom, lst, sym, syms, vec
from spill import (WINDOW, Stream, frames_of, line_of, publish, publish_until_behind,
                   settings, wait_level, wait_state, wait_stuck)
from traffic import NAMES, Reader, published, quote, trade, update

# RINGTICK_JOINS=1500 makes a long test of it.
JOINS = int(os.environ.get("RINGTICK_JOINS", "30"))
METER = {"name": "meter", "columns": ["time timespan", "sym long", "value float"]}


def rows_of(*symbols):
    """Columns of trade."""
    n = len(symbols)
    return lst(vec("n", range(n)), syms(*symbols), vec("f", [1.5] * n), vec("j", range(n)))


# ---- what a filter is ----

MIXED = ("IBM", "A", "", "IBM", "AAPL")
FORMS = [
    ("all", sym(""), (0, 1, 2, 3, 4)),
    ("atom", sym("IBM"), (0, 3)),
    ("vector", syms("A", "AAPL"), (1, 4)),
    ("one", syms("A"), (1,)),
    ("twice the same", syms("A", "A"), (1,)),
    ("enlist `: the null symbol", syms(""), (2,)),
    ("nobody has it", syms("XYZ"), ()),
    ("a prefix", syms("I", "IB", "IBMM"), ()),
    ("no symbol", syms(), ()),
    ("()", lst(), ()),
    ("an empty vector of another type", vec("j", []), ()),
    ("long", syms("x" * 234), ()),
]


@pytest.mark.parametrize("wanted,rows", [one[1:] for one in FORMS],
                         ids=[one[0] for one in FORMS])
def test_forms(start, connect, mode, wanted, rows):
    """Protects each form of a filter (tick-contract.md 2.2): the reply is that of
    any subscription, and the rows that come are those of q."""
    daemon = start({"engine": {"mode": mode}})
    feed, sub, plain = connect(daemon), connect(daemon), connect(daemon)
    assert (sub.sync(lst(sym(".u.sub"), sym("trade"), wanted)) ==
            plain.subscribe("trade"))
    columns = rows_of(*MIXED)
    assert feed.update("trade", columns) == NIL
    assert feed.update("quote", quote(5)) == NIL
    if len(rows) == len(MIXED):
        assert sub.read_frame() == published("trade", columns.items)
    elif rows:
        picked = lst(vec("n", rows), syms(*[MIXED[i] for i in rows]),
                     vec("f", [1.5] * len(rows)), vec("j", rows))
        assert sub.read_frame() == published("trade", picked.items)
    sub.expect_silence()
    # who gets nothing still gets the end of the day
    day = feed.sync(".u.d").value
    assert feed.sync(".u.endofday[]") == NIL
    assert sub.read_frame() == journal.end_frame(day)


BAD = [
    (kdb.text("IBM"), b"type"), (atom("j", 1), b"type"), (vec("f", [1.0]), b"type"),
    (lst(sym("IBM"), kdb.text("A")), b"type"), (lst(lst()), b"type"), (NIL, b"type"),
    (syms("x" * 235), b"length"),
]


@pytest.mark.parametrize("wanted,error", BAD)
def test_what_can_never_match_is_refused(start, connect, wanted, error):
    """Protects every update of a table from a filter that would fail on it, as in
    tick.q: it is refused when it is asked for, and what was there stays."""
    daemon = start()
    feed, sub = connect(daemon), connect(daemon)
    assert sub.sync(lst(sym(".u.sub"), sym("trade"), wanted)) == Error(error)
    sub.sync(ask("trade", ("A",)))
    for function in (".u.sub", ".u.add"):
        assert sub.sync(lst(sym(function), sym("trade"), wanted)) == Error(error)
        assert sub.sync(lst(sym(function), sym("quote"), wanted)) == Error(error)
    assert feed.update("trade", rows_of("A", "B")) == NIL
    assert feed.update("quote", quote(1)) == NIL
    assert sub.read_frame() == filtered("trade", rows_of("A", "B"), ("A",))
    sub.expect_silence()


def test_numbers_as_symbols(start, connect, mode):
    """Protects tables whose sym is no symbol (the KX cookbook's meters): the
    filter is a vector of its type, and .u.add adds to it."""
    daemon = start({"schema": {"tables": [METER, TRADE]}, "engine": {"mode": mode}})
    feed, sub = connect(daemon), connect(daemon)

    def values(*numbers):
        return lst(vec("n", [1] * len(numbers)), vec("j", numbers),
                   vec("f", [0.5] * len(numbers)))

    def comes(*numbers):
        assert sub.read_frame() == published("meter", values(*numbers).items,
                                             "time sym value")
    assert sub.sync(lst(sym(".u.sub"), sym("meter"), vec("j", range(10)))).items[0] == sym("meter")
    assert feed.update("meter", values(3, 30, 9, 10)) == NIL
    comes(3, 9)
    assert sub.sync(lst(sym(".u.add"), sym("meter"), vec("j", [20, 30]))).items[0] == sym("meter")
    assert feed.update("meter", values(3, 30, 10)) == NIL
    comes(3, 30)
    assert sub.sync(ask("meter", ("A",))) == Error(b"type")
    assert sub.sync(ask("", ("A",))) == Error(b"type")  # meter has no such
    assert sub.sync(ask("meter")).items[0] == sym("meter")
    assert feed.update("meter", values(10)) == NIL
    comes(10)
    sub.expect_silence()


# ---- changing it ----


def test_sub_replaces_and_add_unites(start, connect, mode):
    """Protects .u.sub and .u.add (tick-contract.md 2.2, 2.3): sub replaces the
    filter of its table and leaves the others, add is union, also with the filter
    ` of who has all, and del takes the table away."""
    daemon = start({"engine": {"mode": mode}})
    feed, sub = connect(daemon), connect(daemon)
    everything = rows_of("A", "B", "C", "")

    def comes(*wanted, quotes=False):
        assert feed.update("trade", everything) == NIL
        assert feed.update("quote", quote(1)) == NIL
        if wanted:
            assert sub.read_frame() == filtered(
                "trade", everything, "" if wanted == ("all",) else wanted)
        if quotes:
            assert sub.read_frame() == published("quote", quote(1).items)
        sub.expect_silence()

    def change(function, wanted, table="trade"):
        reply = sub.sync(ask(table, wanted, function))
        assert reply.items[0] == sym(table)

    comes()
    change(".u.add", ("A",))
    comes("A")
    change(".u.add", ("B", "A"))
    comes("A", "B")
    change(".u.sub", ("C",))
    comes("C")
    change(".u.add", "")
    comes("C", "")  # ` as one more symbol, as q's union has it
    change(".u.sub", "")
    comes("all")
    change(".u.add", ("B",))
    comes("", "B")
    change(".u.sub", "", table="quote")
    comes("", "B", quotes=True)
    change(".u.sub", ("A",))
    comes("A", quotes=True)
    assert sub.sync(ask("nowhere", ("A",), ".u.add")) == Error(b"nowhere")
    sub.sync(ask("", ("B",)))
    comes("B")
    sub.sync(ask("", ""))
    comes("all", quotes=True)


def test_whoever_asks_for_the_same_shares(start, connect):
    """Protects memory and work: equal selections, in whatever order they were
    made, have one stream; it is free again when its last reader is gone; one
    selection too many is refused."""
    daemon = start({"streams": {"max": 2}})
    feed, subs = connect(daemon), [connect(daemon) for _ in range(4)]
    subs[0].sync(ask("trade", ("A", "B")))
    subs[1].sync(ask("trade", ("B", "A", "B")))
    subs[2].sync(ask("trade", ("A",)))
    subs[2].sync(ask("trade", ("B",), ".u.add"))
    for n in range(3):
        line = daemon.wait_log("subscribe", peer=subs[n].name, tables="trade[2]")
        assert line["stream"] == "1", line.text
    assert subs[3].sync(ask("quote")).items[0] == sym("quote")
    assert subs[3].sync(ask("quote", ("A",))) == Error(b"streams")
    for one in subs[:3]:
        one.close()
        daemon.wait_log("disconnect", peer=one.name)
    assert subs[3].sync(ask("quote", ("A",))).items[0] == sym("quote")
    assert feed.update("quote", quote(1, 2, "A")) == NIL
    assert subs[3].read_frame() == published("quote", quote(1, 2, "A").items)


def test_streams_for_others(start, connect):
    """Protects clients from another address that takes all streams: the last eighth
    is for addresses that have begun fewer than two, one and another to change to;
    a client can always share an existing stream."""
    daemon = start({"streams": {"max": 24}})
    def begin(user, n, source):
        made = connect(daemon, user=user, source=source)
        return made, made.sync(ask("trade", ("%s%d" % (user, n),)))
    hogs = [begin("hog", n, "127.0.0.2") for n in range(26)]
    assert [reply == Error(b"streams") for _, reply in hogs] == 21 * [False] + 5 * [True]
    assert begin("hog", 0, "127.0.0.2")[1].items[0] == sym("trade")
    one, reply = begin("a", 0, "127.0.0.1")
    assert reply.items[0] == sym("trade")
    assert one.sync(ask("quote")).items[0] == sym("quote")
    assert begin("b", 0, "127.0.0.1")[1].items[0] == sym("trade")
    assert begin("c", 0, "127.0.0.1")[1] == Error(b"streams")
    assert begin("d", 0, "127.0.0.3")[1].items[0] == sym("trade")


def test_symbols_run_out(start, connect):
    """Protects memory: streams.symbols at once, one more is 'symbols and changes
    nothing; they are free again when the last client with them is gone."""
    daemon = start({"streams": {"symbols": 64, "max": 8}})
    feed, first, second = connect(daemon), connect(daemon), connect(daemon)
    first.sync(ask("trade", ["S%d" % n for n in range(60)]))
    assert second.sync(ask("trade", ["T%d" % n for n in range(4)])).items[0] == sym("trade")
    assert second.sync(ask("trade", ["U%d" % n for n in range(5)])) == Error(b"symbols")
    assert second.sync(ask("quote", ("S1",))) == Error(b"symbols")  # of another table
    assert second.sync(ask("trade", ("S1",), ".u.add")).items[0] == sym("trade")
    assert feed.update("trade", rows_of("S1", "T3", "U1")) == NIL
    assert second.read_frame() == filtered("trade", rows_of("S1", "T3", "U1"), ("S1", "T3"))
    for turn in range(30):
        first.close()
        daemon.wait_log("disconnect", peer=first.name)
        first = connect(daemon)
        assert first.sync(ask("trade", ["V%d.%d" % (turn, n) for n in range(59)])
                          ).items[0] == sym("trade")


# ---- what comes ----


def test_rows_that_come(start, connect, mode):
    """Protects filtered streams against a model: many selections over one feed's
    random updates; the rows, their order and the bytes are those of q's select."""
    daemon = start({"engine": {"mode": mode}, "streams": {"max": 30}, "ring": {"size": "4M"}})
    feed, market, rng = connect(daemon), Market(3), random.Random(5)
    subs = []
    for n in range(25):
        tables = rng.choice((["trade"], ["quote"], ["trade", "quote"]))
        filters = {name: "" if rng.random() < 0.2 else
                   rng.sample(market.symbols, rng.randrange(4)) for name in tables}
        sub = connect(daemon)
        for name, wanted in filters.items():
            assert sub.sync(ask(name, wanted)).items[0] == sym(name)
        subs.append((sub, filters))
    updates = [market.next() for _ in range(600)]
    feed.send(b"".join(update(name, columns) for name, columns in updates))
    feed.sync("")
    for sub, filters in subs:
        for wanted in wanted_frames(updates, filters):
            assert sub.read_frame() == wanted
        sub.expect_silence()


ALL_TYPES = ["time timespan", "sym symbol", "b boolean", "g guid", "x byte", "h short",
             "i int", "j long", "e real", "f float", "c char", "s symbol", "p timestamp",
             "m month", "d date", "z datetime", "n timespan", "u minute", "v second",
             "t time", "text string", "any list"]


def test_columns_of_all_types(start, connect):
    """Protects the bytes of each type, attributes (which go, as in q), strings,
    and lists, which become vectors where one type is left."""
    daemon = start({"schema": {"tables": [{"name": "t", "columns": ALL_TYPES}]}})
    names = " ".join(one.split()[0] for one in ALL_TYPES)
    feed, subs = connect(daemon), {}
    for wanted in ("A", "B", "C", "AB"):
        subs[wanted] = connect(daemon)
        subs[wanted].sync(ask("t", list(wanted)))
    n = 4
    fixed = [vec("b", [1, 0, 1, 1]), kdb.Vector(2, bytes(range(64)))]
    fixed += [kdb.Vector(kdb_type, bytes(range(width * n)), attr=1 if kdb_type == 7 else 0)
              for kdb_type, width in ((4, 1), (5, 2), (6, 4), (7, 8), (8, 4), (9, 8), (10, 1))]
    fixed += [syms("x", "", "yy", "z")]
    fixed += [kdb.Vector(kdb_type, bytes(range(width * n))) for kdb_type, width in
              ((12, 8), (13, 4), (14, 4), (15, 8), (16, 8), (17, 4), (18, 4), (19, 4))]
    text = lst(kdb.text("one"), kdb.text(""), kdb.text("three"), kdb.text("4"))
    anything = lst(atom("j", 1), sym("s"), atom("j", 3), vec("j", [4, 5]))
    columns = lst(vec("n", range(n)), syms("A", "B", "A", "C", attr=0), *fixed, text, anything)
    assert feed.update("t", columns) == NIL
    collapsed = {"A": vec("j", [1, 3]), "B": syms("s"), "C": lst(vec("j", [4, 5])),
                 "AB": lst(atom("j", 1), sym("s"), atom("j", 3))}
    for wanted, sub in subs.items():
        frame = kdb.decode_frame(sub.read_frame())[1]
        expected = kdb.decode_frame(filtered("t", lst(*columns.items[:-1], lst(*[NIL] * n)),
                                             list(wanted), names))[1]
        got = frame.items[2].columns.items
        assert got[:-2] == expected.items[2].columns.items[:-2]
        assert got[-1] == collapsed[wanted], wanted
        sub.expect_silence()


def test_many_selections_of_many_symbols(start, connect):
    """Protects large installations: hundreds of selections over thousands of
    symbols, within the memory that was printed at the start, and each gets its
    own."""
    many, symbols = 300, ["S%04d" % n for n in range(4000)]
    daemon = start({"connections": {"max": 400, "receive_buffer": "4K"},
                    "streams": {"max": many * 8 // 7 + 1, "ring": "64K"}, "ring": {"size": "1M"},
                    "message": {"max": "16K"}})
    rng, feed = random.Random(1), connect(daemon)
    subs, who = [], {}
    for n in range(many):
        wanted = rng.sample(symbols, 200)
        sub = connect(daemon)
        assert sub.sync(ask("trade", wanted)).items[0] == sym("trade")
        subs.append(sub)
        for one in wanted:
            who.setdefault(one, []).append(n)
    owed = [[] for _ in range(many)]
    for n in range(40):
        picked = rng.sample(symbols, 50)
        columns = rows_of(*picked)
        assert feed.update("trade", columns) == NIL
        for one in {k for name in picked for k in who.get(name, ())}:
            owed[one].append([name for name in picked if one in who.get(name, ())])
    for n, sub in enumerate(subs):
        for names in owed[n]:
            frame = kdb.decode_frame(sub.read_frame())[1]
            assert [one.decode() for one in frame.items[2].columns.items[1].items] == names
        sub.expect_silence()
    most = daemon.wait_log("memory").number("total_max_kb") * 1024
    assert daemon.is_sanitized() or daemon.memory("VmRSS") < most + (16 << 20)


def test_long_update_is_sent_when_nothing_follows(start, connect, mode):
    """Protects a long update from lying in its stream until the next one comes: it
    is picked in several turns, and sent in the one that has made it whole."""
    letters = [chr(ord("A") + i) for i in range(16)]
    daemon = start({"engine": {"mode": mode}, "ring": {"size": "32M"},
                    "streams": {"ring": "32M", "max": 4}, "message": {"max": "8M"},
                    "schema": {"tables": [{"name": "narrow",
                                           "columns": ["time timespan", "sym symbol"]}]}})
    feed, sub = connect(daemon, user="feed"), connect(daemon, user="sub")
    assert not isinstance(sub.sync(ask("narrow", letters[1:])), Error)
    feed.send(update("narrow", lst(syms(*letters * 40000))))
    got = kdb.decode_frame(sub.read_frame())[1].items[2].columns.items[1]
    assert got == syms(*letters[1:] * 40000)


# ---- at full speed ----


class Pump(threading.Thread):
    """Publishes random updates until halted; keeps what it sent."""

    def __init__(self, feed, market, pause=0.0):
        super().__init__(daemon=True)
        self.feed, self.market, self.pause = feed, market, pause
        self.halted, self.failure, self.sent = threading.Event(), None, []
        self.start()

    def run(self):
        try:
            while not self.halted.is_set():
                some = [self.market.next() for _ in range(40)]
                self.feed.send(b"".join(update(*one) for one in some))
                self.feed.sync("")
                self.sent += some
                time.sleep(self.pause)
        except Exception as failure:
            self.failure = failure

    def halt(self):
        self.halted.set()
        self.join(30)
        assert self.failure is None, self.failure
        return self.sent


@pytest.mark.parametrize("first,second", [("", ""), (("IBM", "A"), ("AAPL",)), ("", ("A",))])
def test_one_table_and_then_another_under_load(start, connect, mode, first, second):
    """Protects the usual case, .u.sub of trade and then of quote on one handle
    while updates flow: of each table all rows from its reply on, none twice."""
    daemon = start({"engine": {"mode": mode}, "streams": {"max": 30},
                    "slow": {"policy": "block", "block_limit": "30s"}})
    pump = Pump(connect(daemon), Market(9), 0.001)
    clients = []
    for turn in range(JOINS):
        sub = connect(daemon)
        seen, replies = [], 0
        for name, wanted in (("trade", first), ("quote", second)):
            sub.send(kdb.frame(ask(name, wanted), kdb.SYNC))
        while replies < 2 or len(seen) < 40:
            frame = sub.reader.next()
            if frame[1] == kdb.RESPONSE:
                replies += 1
                seen.append(None)
            else:
                seen.append(frame)
        clients.append(seen)
        sub.close()
    sent = pump.halt()
    frames = {}
    for stage in ({"trade": first}, {"trade": first, "quote": second}):
        frames[len(stage)] = wanted_frames(sent, stage)
    for seen in clients:
        replied = [n for n, one in enumerate(seen) if one is None]
        assert seen[0] is None
        for which, (n, end) in enumerate(zip(replied, [replied[1], len(seen)])):
            part = seen[n + 1 : end]
            if part:
                at = frames[which + 1].index(part[0])
                assert frames[which + 1][at : at + len(part)] == part
        # from one to the other nothing is missing
        trades = [one for one in seen if one is not None and table_of(one) == "trade"]
        at = frames[1].index(trades[0])
        assert frames[1][at : at + len(trades)] == trades
        quotes = [one for one in seen if one is not None and table_of(one) == "quote"]
        alone = wanted_frames(sent, {"quote": second})
        at = alone.index(quotes[0]) if quotes else 0
        assert alone[at : at + len(quotes)] == quotes


# ---- slow ones ----


def subscriber(connect, daemon, user, filters, window=0):
    """(Stream, the sent_bytes it began with) of who has {table: symbols}."""
    client = connect(daemon, user=user, receive_buffer=window, timeout=60)
    for name, wanted in filters.items():
        assert not isinstance(client.sync(ask(name, wanted)), Error)
    base = line_of(daemon, user).number("sent_bytes")
    return Stream(client, keep=True), base


@pytest.mark.parametrize("after", ["ring", "journal"])
@pytest.mark.usefixtures("many_days")
def test_slow_and_filtered(start, connect, folder, mode, after):
    """Protects the bytes of a filtered subscriber that leaves the ring and comes
    back, with long messages, and the ends of days: they are those of a fast one,
    and of the model."""
    daemon = start(settings(folder, mode, {
        "ring": {"size": "1M"}, "streams": {"ring": "256K", "max": 8},
        "connections": {"send_buffer": "64K"}, "message": {"max": "64K"}}, after=after))
    filters = [{"trade": ("IBM", "AAPL")}, {"trade": "", "quote": ("A", "")},
               {"quote": ("AB",)}]
    fast = [subscriber(connect, daemon, "fast%d" % n, one) for n, one in enumerate(filters)]
    slow = [subscriber(connect, daemon, "slow%d" % n, one, WINDOW)
            for n, one in enumerate(filters)]
    feed, market = connect(daemon), Market(11, rows=(1, 3, 40, 400, 1000))
    updates, ends = [], []
    for turn in range(3):
        for stream, _ in slow[turn % 2:]:
            stream.stop()
        updates += publish_until_behind(
            daemon, feed, ["slow%d" % n for n in range(turn % 2, 2)],
            lambda: market.block(4_000_000))
        ends.append((len(updates), feed.sync(".u.d").value))
        assert feed.sync(".u.endofday[]") == NIL
        some = market.block(300_000)
        publish(feed, b"".join(update(*one) for one in some))
        updates += some
        for stream, _ in slow:
            stream.go()
        for n in range(3):
            wait_state(daemon, "slow%d" % n, "live")
    for n, one in enumerate(filters):
        expected, at = [], 0
        for end, day in ends:
            expected += wanted_frames(updates[at:end], one) + [journal.end_frame(day)]
            at = end
        expected = b"".join(expected + wanted_frames(updates[at:], one))
        for who, (stream, base) in (("fast", fast[n]), ("slow", slow[n])):
            line = wait_level(daemon, "%s%d" % (who, n))
            assert line["lag_records"] == "0"
            stream.finish(line.number("sent_bytes") - base)
            assert bytes(stream.data) == expected, (who, n)
    assert daemon.summary().number("spills") >= 3


def test_joining_late_with_a_filter(start, connect, folder, mode):
    """Protects .ringtick.subfrom and .rejoin with symbols: the rows that there
    were, from record i on, then those that come, one stream."""
    daemon = start(settings(folder, mode, {"streams": {"max": 8}}))
    feed, market = connect(daemon), Market(4, rows=(1, 5, 50))
    updates = [market.next() for _ in range(1500)]
    publish(feed, b"".join(update(*one) for one in updates))
    asked = [(i, {name: wanted}) for i in (0, 1, 700, 1500)
             for name, wanted in (("trade", ("IBM",)), ("quote", ("A", "AB")), ("trade", ()))]
    subs = []
    for i, filters in asked:
        sub = connect(daemon)
        assert join_filtered(sub, i, filters).items[0] == sym(next(iter(filters)))
        subs.append(sub)
    more = [market.next() for _ in range(300)]
    publish(feed, b"".join(update(*one) for one in more))
    for (i, filters), sub in zip(asked, subs):
        for wanted in wanted_frames((updates + more)[i:], filters):
            assert sub.read_frame() == wanted
        sub.expect_silence()
    # after the first three of them
    sub, filters = connect(daemon), {"trade": ("IBM",)}
    reply = sub.sync(lst(sym(".ringtick.rejoin"), sym("trade"), syms("IBM"),
                         lst(atom("j", 0), atom("d", feed.sync(".u.d").value),
                             atom("j", 700), atom("j", 3))))
    assert reply.items[0] == sym("trade")
    for wanted in wanted_frames((updates + more)[700:], filters)[3:]:
        assert sub.read_frame() == wanted
    sub.expect_silence()


def test_long_and_filtered_out_of_the_journal(start, connect, folder, mode):
    """Protects messages longer than a read, if few or most of their rows are wanted:
    for several clients at once, in records of this run and of others in another
    form, beside clients that do not read, and clients that leave."""
    long = lst(vec("n", range(50000)), syms(*(["A"] * 30000 + ["B"] * 19999 + ["C"])),
               vec("f", [1.5] * 50000), vec("j", range(50000)))
    updates = [("trade", rows_of("A", "C")), ("trade", long), ("trade", rows_of("C", "A")),
               ("trade", long), ("trade", rows_of("B"))] * 2
    journal.write(journal.path_now(folder), *[
        journal.record(name, kdb.table(NAMES["trade"], *columns.items))
        for name, columns in updates[:5]])
    daemon = start(settings(folder, mode, {
        "ring": {"size": "8M"}, "streams": {"ring": "8M", "max": 16},
        "slow": {"return_percent": 5}, "message": {"max": "2M"}}))
    feed = connect(daemon)
    publish(feed, b"".join(update(*one) for one in updates[5:]))

    def join(*wanted, **how):
        sub = connect(daemon, **how)
        assert join_filtered(sub, 0, {"trade": wanted}).items[0] == sym("trade")
        return sub, b"".join(wanted_frames(updates, {"trade": wanted}))
    stuck = join("A", "B", user="stuck", receive_buffer=WINDOW)
    wait_stuck(daemon, "stuck")
    join("A", "C", receive_buffer=WINDOW)[0].close()
    joined = [join(*wanted) for wanted in
              (("A",), ("C",), ("B", "C"), ("X",), ("A", "B", "C")) * 2]
    streams = [(Stream(sub, keep=True), wanted) for sub, wanted in [*joined, stuck]]
    for stream, wanted in streams:
        stream.wait_for(len(wanted))
        stream.halt()
        assert stream.data == wanted


def test_skipping_and_filtered(start, connect, mode):
    """Protects policy skip of filtered subscribers: whole messages only, in order,
    and the count is of those that would have come."""
    daemon = start({"engine": {"mode": mode}, "ring": {"size": "1M"},
                    "streams": {"max": 4, "ring": "256K"}, "message": {"max": "32K"},
                    "connections": {"send_buffer": "64K"}, "slow": {"policy": "skip"}})
    feed, market = connect(daemon), Market(2, rows=(1, 30, 300))
    sub = connect(daemon, user="lazy", receive_buffer=WINDOW)
    sub.sync(ask("trade", ("IBM", "A")))
    updates = [market.next() for _ in range(3000)]
    publish(feed, *[update(*one) for one in updates])
    daemon.wait_log("skip", user="lazy")
    last = lst(vec("n", [1]), syms("IBM"), vec("f", [2.5]), vec("j", [-1]))
    expected, got = wanted_frames(updates, {"trade": ("IBM", "A")}), []
    stop = published("trade", last.items)
    while not got or got[-1] != stop:
        feed.sync(kdb.List((sym(".u.upd"), sym("trade"), last)))
        expected.append(stop)
        sub.sock.settimeout(0.2)
        try:
            while True:
                got.append(sub.read_frame())
        except TimeoutError:
            pass
    at = 0
    for one in got:
        at = expected.index(one, at) + 1
    line = line_of(daemon, "lazy")
    assert line.number("skipped") == len(expected) - len(got)


class Changer(threading.Thread):
    """A slow subscriber that changes its filters at random moments; segments are
    the request, and the frames that came after its reply."""

    def __init__(self, client, seed, symbols):
        super().__init__(daemon=True)
        self.client, self.random, self.symbols = client, random.Random(seed), symbols
        self.filters, self.segments, self.failure, self.is_over = {}, [({}, [])], None, False
        self.start()

    def run(self):
        try:
            while not self.is_over:
                self.change()
                for _ in range(self.random.randrange(1, 120)):
                    if self.is_over:
                        return
                    self.take(self.client.reader.next())
                time.sleep(self.random.random() / 20)
        except Exception as failure:
            if not self.is_over:  # else its connection was closed under it
                self.failure = failure

    def take(self, frame):
        if frame[1] == kdb.RESPONSE:
            value = kdb.decode(frame[8:])
            assert not isinstance(value, Error), value
            self.segments.append((self.asked, []))
            return False
        self.segments[-1][1].append(frame)
        return True

    def change(self):
        name = self.random.choice(("trade", "quote"))
        wanted = "" if self.random.random() < 0.2 else tuple(
            self.random.sample(self.symbols, self.random.randrange(1, 4)))
        self.asked = {**self.segments[-1][0], name: wanted}
        self.client.send(kdb.frame(ask(name, wanted), kdb.SYNC))
        while self.take(self.client.reader.next()):
            pass


def check_segments(segments, updates):
    """Each segment's frames are those of its filters over a range of the updates,
    and the ranges follow each other without a gap."""
    starts = [columns.items[-1].values[0] for _, columns in updates]
    symbols = [{one.decode() for one in columns.items[1].items} for _, columns in updates]

    def wants(n, filters):
        name = updates[n][0]
        return name in filters and (filters[name] == "" or
                                    not symbols[n].isdisjoint(filters[name]))

    def next_wanted(n, filters):
        while n < len(updates) and not wants(n, filters):
            n += 1
        return n
    # The segment begins with one of these; the first, wherever the feed was.
    low, high = 0, len(updates)
    for which, (filters, frames) in enumerate(segments):
        for k, frame in enumerate(frames):
            numbers = kdb.decode_frame(frame)[1].items[2].columns.items[-1].values
            n = bisect.bisect_right(starts, numbers[0]) - 1
            assert frame == filtered(*updates[n], filters[updates[n][0]]), (which, k)
            if k == 0:
                before = [m for m in range(low, n) if wants(m, filters)]
                begin = max(low, before[-1] + 1 if before else 0)
                assert begin <= min(high, n), (which, low, high, n, before)
            else:
                assert n == next_wanted(low, filters), (which, k)
            low = n + 1
            high = low
        high = next_wanted(high, filters) if frames or which else high


def test_filters_change_while_slow(start, connect, folder, mode):
    """Protects filters that change while their consumer is in the ring, on its way
    out, on the journal, and on its way back: at one point of the order each."""
    daemon = start(settings(folder, mode, {
        "ring": {"size": "256K"}, "streams": {"ring": "128K", "max": 20},
        "message": {"max": "32K"}, "connections": {"send_buffer": "64K"}}))
    market = Market(21, rows=(1, 5, 60, 300))
    changers = [Changer(connect(daemon, user="c%d" % n, receive_buffer=16384, timeout=60),
                        n, market.symbols) for n in range(4)]
    pump = Pump(connect(daemon), market, 0.002)
    daemon.wait_log("report", timeout=60, spills=lambda n: int(n) >= 3)
    deadline = time.monotonic() + 60
    while sum(len(one.segments) for one in changers) <= 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sent = pump.halt()
    for one in changers:
        one.is_over = True
        one.client.close()
    for one in changers:
        one.join(30)
        assert one.failure is None and not one.is_alive(), repr(one.failure)
        check_segments(one.segments, sent)


# ---- what is shown ----


def test_the_log_tells_of_filters(start, connect):
    """Protects the operator's view: how many symbols a consumer filters by."""
    daemon = start()
    sub = connect(daemon, user="u")
    sub.sync(ask("trade", ("A", "B", "C")))
    assert daemon.wait_log("subscribe")["tables"] == "trade[3]"
    sub.sync(ask("quote"))
    sub.sync(ask("trade", ()))
    assert line_of(daemon, "u")["tables"] == "quote,trade[0]"
    assert frames_of(b"") == ([], b"")


def test_half_a_request(start, connect):
    """Protects a subscription from a request that fails after it has filtered."""
    daemon = start({"schema": {"tables": [TRADE, QUOTE]}})
    feed, sub = connect(daemon), connect(daemon)
    sub.sync(ask("trade", ("A",)))
    assert sub.sync("(.u.sub[`trade;`B];.u.sub[`foo;`])") == Error(b"foo")
    assert sub.sync("(.u.sub[`trade;`B];.u.sub[`trade;1])") == Error(b"type")
    assert feed.update("trade", rows_of("A", "B")) == NIL
    assert sub.read_frame() == filtered("trade", rows_of("A", "B"), ("A",))
    sub.sync("(.u.sub[`trade;`B];.u.sub[`quote;`])")
    assert feed.update("trade", rows_of("A", "B")) == NIL
    assert feed.update("quote", quote(1)) == NIL
    assert sub.read_frame() == filtered("trade", rows_of("A", "B"), ("B",))
    assert sub.read_frame() == published("quote", quote(1).items)
    assert feed.update("trade", trade(1)) == NIL
    sub.expect_silence()


def test_a_trap_takes_a_filter_back(start, connect):
    """Protects the selection from the half of a request that failed and was
    trapped: filters and tables are as before it, also one trap in another."""
    daemon = start({"streams": {"max": 8}})
    feed, sub = connect(daemon), connect(daemon)
    everything = rows_of("A", "B", "C")

    def comes(request, *wanted):
        reply = sub.sync(request)
        assert not isinstance(reply, Error), reply
        assert feed.update("trade", everything) == NIL
        assert sub.read_frame() == filtered("trade", everything, wanted)
        sub.expect_silence()
    fail = "{.u.sub[`trade;x];.u.sub[`foo;`]}"
    comes("(.u.sub[`trade;`A];@[%s;`B;0])" % fail, "A")
    comes("(@[%s;`B;0];.u.add[`trade;`C])" % fail, "A", "C")
    comes("@[{.u.add[`trade;x]};`B;0]", "A", "B", "C")
    comes("(.u.sub[`trade;`C];@[{@[%s;`A;.u.sub[`trade;`B]];.u.sub[`foo;`]};`;0])" % fail, "C")
    comes("@[{@[%s;`A;0];.u.add[`trade;`B]};`;0]" % fail, "B", "C")
    deep = "0"
    for _ in range(10):
        deep = "@[{%s};`;0]" % deep
    assert sub.sync(deep) == Error(b"stack")


# ---- a long update ----

NARROW = {"name": "narrow", "columns": ["time timespan", "sym symbol"]}
LETTERS = [chr(ord("A") + i) for i in range(16)]
ROWS_OF_EACH = 40_000


NARROW_SETTINGS = {"engine": {"mode": "direct"}, "schema": {"tables": [NARROW]},
                   "ring": {"size": "32M"}, "message": {"max": "8M"},
                   "streams": {"max": 20, "ring": "32M"}}


def one_of_each_letter(connect, daemon):
    """Subscribers, and an update with a number of rows for each."""
    subscribers = [connect(daemon) for _ in LETTERS]
    for one, letter in zip(subscribers, LETTERS):
        one.sync(lst(sym(".u.sub"), sym("narrow"), sym(letter)))
    return subscribers, update("narrow", lst(syms(*LETTERS * ROWS_OF_EACH)))


@pytest.mark.parametrize("interval", ["0s", "10ms"])
def test_others_come_between_selections(start, connect, interval):
    """Protects invariant 11: what a long update costs for each selection is paid in
    turns of its own, so others are served before the last one has its rows."""
    daemon = start(dict(NARROW_SETTINGS, publish={"interval": interval}))
    subscribers, long = one_of_each_letter(connect, daemon)
    feed, other = connect(daemon), connect(daemon)
    between = 0
    for _ in range(2):
        feed.send(long)
    feed.send(update("narrow", lst(syms("A", "P"))))
    waiting = [one.sock for one in subscribers]
    while True:
        other.sync(kdb.text(".u.d"))
        has_come = select.select(waiting, [], [], 0)[0]
        if len(has_come) == len(waiting):
            break
        between += len(has_come) > 0
    for one, letter in zip(subscribers, LETTERS):
        for rows in [ROWS_OF_EACH] * 2 + [1] * (letter in "AP"):
            column = one.read().items[2].columns.items[1]
            assert column.items == (letter.encode(),) * rows
    assert between >= 2


@pytest.mark.parametrize("kind", [kdb.SYNC, kdb.ASYNC])
def test_publishing_and_another_selection(start, connect, kind):
    """Protects a request that publishes and then subscribes, while others do not have
    a long update yet: what came before it, its own update too, is of the selection
    before, and what comes later of the new one."""
    daemon = start(NARROW_SETTINGS)
    long = one_of_each_letter(connect, daemon)[1]
    feed, client, gone = connect(daemon), connect(daemon), connect(daemon)
    ask = kdb.text("{.u.upd[`narrow;x];.u.sub[`narrow;y]}")
    client.sync(lst(sym(".u.sub"), sym("narrow"), sym("A")))

    def counts(frames):
        columns = [kdb.decode(one[kdb.HEADER:]).items[2].columns.items[1].items
                   for one in frames]
        return [[column.count(letter) for letter in (b"A", b"P")] for column in columns]
    feed.send(long + kdb.frame("", kdb.SYNC))
    feed.read_response()
    gone.send(kdb.frame(lst(ask, lst(syms("A", "P")), sym("P")), kind))
    client.send(kdb.frame(lst(ask, lst(syms("A", "A", "P")), sym("P")), kind))
    gone.close()
    if kind == kdb.SYNC:
        assert not isinstance(kdb.decode(client.read_response()[kdb.HEADER:]), Error)
    client.sync("")
    assert counts(client.inbox) == [[ROWS_OF_EACH, 0], [1, 0], [2, 0]]
    client.inbox.clear()
    feed.update("narrow", lst(syms("A", "P", "P")))
    client.sync("")
    assert counts(client.inbox) == [[0, 2]]


def test_stop_between_selections(start, connect, folder):
    """Protects the last updates of the day: a stop while some have a long update and
    others do not, and more updates come after it, loses no row of any of them."""
    daemon = start(journal.settings(folder, NARROW_SETTINGS))
    subscribers, long = one_of_each_letter(connect, daemon)
    feed, news, sent = connect(daemon), threading.Event(), 0
    frames = [[] for _ in LETTERS]
    readers = [Reader(one, lambda frame, own=own: own.append(frame) or news.set())
               for one, own in zip(subscribers, frames)]
    behind = update("narrow", lst(syms(*LETTERS * 4000))) + update(
        "narrow", lst(syms("A", "P")))
    has_all = [0]
    while min(has_all) == sent:
        if sent > 0:
            feed.sync("")
        sent += 1
        news.clear()
        feed.send(long + behind)
        assert news.wait(20)
        daemon.pause()
        has_all = [sum(len(frame) > 9 * ROWS_OF_EACH for frame in own) for own in frames]
        if min(has_all) < sent:
            daemon.signal(signal.SIGTERM)
        daemon.resume()
    for reader, own, letter in zip(readers, frames, LETTERS):
        reader.finish()
        assert reader.ended == "fin" and reader.client.reader.torn == 0
        wanted = [ROWS_OF_EACH, 4000] + [1] * (letter in "AP")
        assert [kdb.decode(frame[kdb.HEADER:]).items[2].columns.items[1].items
                for frame in own] == [(letter.encode(),) * rows for rows in wanted * sent]
    daemon.stop()
    assert not daemon.logged("unread") and not daemon.logged("journal_lost")
    assert len(journal.read(journal.path_now(folder))) == 3 * sent
