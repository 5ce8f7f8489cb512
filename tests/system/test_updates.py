"""What feeds send, and the exact frames that subscribers get for it."""

import datetime

import kdb
import pytest
from daemon import QUOTE, TRADE
from kdb import NIL, Error, atom, lst, q, sym, syms, text, vec
from traffic import NAMES, published, quote, sizes_of, trade, update

T0, T1 = 34200000000000, 34200000000001
ZOO_TYPES = ("boolean guid byte short int long real float char symbol timestamp "
             "month date datetime timespan minute second time").split()
TABLES = [
    TRADE, QUOTE,
    {"name": "news", "columns": ["time timespan", "sym symbol g", "text string"]},
    {"name": "ev", "columns": ["time timespan", "sym symbol", "any list"]},
    {"name": "ref", "columns": ["time timespan", "sym symbol", "ex symbol",
                                "ccy symbol"]},
    {"name": "stamped", "columns": ["time timestamp", "sym symbol", "n long"]},
    {"name": "timed", "columns": ["time time", "sym symbol", "n long"]},
    {"name": "zoo", "columns": ["time timespan", "sym symbol"]
     + ["c_%s %s" % (name, name) for name in ZOO_TYPES]},
]
COLUMNS = {t["name"]: " ".join(c.split()[0] for c in t["columns"]) for t in TABLES}
GUID = bytes(range(16))
ZOO_CELLS = [atom("b", 1), kdb.Atom(2, GUID), atom("x", 0xAB), atom("h", -2),
             atom("i", -3), atom("j", -4), atom("e", 1.5), atom("f", -2.25),
             atom("c", b"z"), sym("q"), atom("p", 10**18), atom("m", 322),
             atom("d", 9822), atom("z", 9822.5), atom("n", T1), atom("u", 570),
             atom("v", 34200), atom("t", 34200001)]


def vector_of(cell, n=1):
    """n times an atom, as a column."""
    if isinstance(cell, kdb.Symbol):
        return kdb.Symbols((cell.text,) * n)
    return kdb.Vector(cell.type, cell.raw * n)


@pytest.fixture
def plant(start, connect):
    """A daemon with all tables, its feed, and a subscriber to everything."""
    class Plant:
        def __init__(self, **changes):
            changes.setdefault("schema", {"tables": TABLES})
            changes["schema"].setdefault("tables", TABLES)
            self.daemon = start(changes)
            self.connect = connect
            self.feed = connect(self.daemon, user="feed")
            self.sub = connect(self.daemon, user="sub")
            reply = self.sub.subscribe()
            assert len(reply) == len(changes["schema"]["tables"])

        def expect(self, name, *columns):
            """The next frame is exactly this update."""
            assert self.sub.read_frame() == published(name, columns, COLUMNS[name])

        def expect_nothing(self):
            self.feed.update("trade", trade(999))
            self.expect("trade", *trade(999).items)
            self.sub.expect_silence()
    return Plant


# x, and the columns that are published for it
GOOD = {
    "bulk": ("trade", trade(5, 3), trade(5, 3).items),
    "bulk of one": ("trade", trade(5, 1), trade(5, 1).items),
    "bulk with attributes": (
        "trade",
        lst(vec("n", [T0, T1], 1), syms("a", "b", attr=4), vec("f", [1, 2]),
            vec("j", [1, 2], 2)),
        (vec("n", [T0, T1], 1), syms("a", "b", attr=4), vec("f", [1, 2]),
         vec("j", [1, 2], 2))),
    "row": ("trade", lst(atom("n", T0), sym("IBM"), atom("f", 100.5), atom("j", 100)),
            (vec("n", [T0]), syms("IBM"), vec("f", [100.5]), vec("j", [100]))),
    "row of every type": (
        "zoo", lst(atom("n", T0), sym("s"), *ZOO_CELLS),
        (vec("n", [T0]), syms("s"), *map(vector_of, ZOO_CELLS))),
    "bulk of every type": (
        "zoo", lst(vec("n", [T0, T1]), syms("s", "t"),
                   *[vector_of(cell, 2) for cell in ZOO_CELLS]),
        (vec("n", [T0, T1]), syms("s", "t"),
         *[vector_of(cell, 2) for cell in ZOO_CELLS])),
    "atoms of every type extended": (
        "zoo", lst(vec("n", [T0, T1, T0]), sym("s"), *ZOO_CELLS),
        (vec("n", [T0, T1, T0]), syms("s", "s", "s"),
         *[vector_of(cell, 3) for cell in ZOO_CELLS])),
    "one atom extended": (
        "trade", lst(vec("n", [T0, T1]), syms("a", "b"), atom("f", 1.5),
                     vec("j", [1, 2])),
        (vec("n", [T0, T1]), syms("a", "b"), vec("f", [1.5, 1.5]), vec("j", [1, 2]))),
    "strings": (
        "news", lst(vec("n", [T0, T0]), syms("a", "b"), lst(text("up"), text("x"))),
        (vec("n", [T0, T0]), syms("a", "b"), lst(text("up"), text("x")))),
    "strings and char atoms": (
        "news", lst(vec("n", [T0, T0]), syms("a", "b"), lst(text("up"),
                                                            atom("c", b"x"))),
        (vec("n", [T0, T0]), syms("a", "b"), lst(text("up"), text("x")))),
    "strings of one char, a char vector on the wire": (
        "news", lst(vec("n", [T0, T0]), syms("a", "b"), text("xy")),
        (vec("n", [T0, T0]), syms("a", "b"), lst(text("x"), text("y")))),
    "a char extended to strings": (
        "news", lst(vec("n", [T0, T0]), syms("a", "b"), atom("c", b"x")),
        (vec("n", [T0, T0]), syms("a", "b"), lst(text("x"), text("x")))),
    "empty strings": (
        "news", lst(vec("n", [T0]), syms("a"), lst(text(""))),
        (vec("n", [T0]), syms("a"), lst(text("")))),
    "row with a string": (
        "news", lst(atom("n", T0), sym("IBM"), text("hello")),
        (vec("n", [T0]), syms("IBM"), lst(text("hello")))),
    "mixed column": (
        "ev", lst(vec("n", [T0, T0]), syms("a", "b"), lst(atom("j", 1),
                                                          atom("c", b"x"))),
        (vec("n", [T0, T0]), syms("a", "b"), lst(atom("j", 1), atom("c", b"x")))),
    "row with a nested list": (
        "ev", lst(atom("n", T0), sym("a"), lst(atom("j", 1), text("abc"))),
        (vec("n", [T0]), syms("a"), lst(lst(atom("j", 1), text("abc"))))),
    "timestamp": (
        "stamped", lst(vec("p", [5, 6]), syms("a", "b"), vec("j", [1, 2])),
        (vec("p", [5, 6]), syms("a", "b"), vec("j", [1, 2]))),
    "timestamp row": (
        "stamped", lst(atom("p", 5), sym("a"), atom("j", 1)),
        (vec("p", [5]), syms("a"), vec("j", [1]))),
    "time": (
        "timed", lst(vec("t", [5, 6]), syms("a", "b"), vec("j", [1, 2])),
        (vec("t", [5, 6]), syms("a", "b"), vec("j", [1, 2]))),
    "symbols with odd bytes": (
        "trade",
        lst(vec("n", [T0] * 3), kdb.Symbols((b"", b"a b=\"\n", b"\xff\xc3\xa9")),
            vec("f", [1, 2, 3]), vec("j", [1, 2, 3])),
        (vec("n", [T0] * 3), kdb.Symbols((b"", b"a b=\"\n", b"\xff\xc3\xa9")),
         vec("f", [1, 2, 3]), vec("j", [1, 2, 3]))),
    "nulls and infinities": (
        "trade",
        lst(vec("n", [-2**63, 2**63 - 1]), syms("", ""),
            kdb.Vector(9, bytes.fromhex("000000000000f8ff000000000000f87f")),
            vec("j", [-2**63, -2**63 + 1])),
        (vec("n", [-2**63, 2**63 - 1]), syms("", ""),
         kdb.Vector(9, bytes.fromhex("000000000000f8ff000000000000f87f")),
         vec("j", [-2**63, -2**63 + 1]))),
    "table": ("trade", kdb.Table(syms(*NAMES["trade"].split()), trade(5, 3)),
              trade(5, 3).items),
    "table with strings": (
        "news", kdb.table("time sym text", vec("n", [T0]), syms("a"), lst(text("z"))),
        (vec("n", [T0]), syms("a"), lst(text("z")))),
}


def test_good_updates_byte_for_byte(plant):
    """Protects subscribers: each form of an update, sync and async, with the
    function's name as symbol or text, `.u.upd` or `upd`, little- and
    big-endian, plain and compressed, with 4- and 8-byte counts, comes out as
    the one frame that tick.q would send."""
    p = plant()
    for form, (name, x, columns) in GOOD.items():
        frames = []
        for fn in (sym(".u.upd"), text(".u.upd"), sym("upd"), text("upd")):
            frames.append(dict(fn=fn))
        frames += [dict(big=True), dict(wide=True), dict(zip=1), dict(zip=2),
                   dict(big=True, zip=1), dict(big=True, wide=True)]
        for how in frames:
            how = dict(how)
            fn, packed = how.pop("fn", sym(".u.upd")), how.pop("zip", 0)
            asked = kdb.lst(fn, sym(name), x)
            for kind in (kdb.SYNC, kdb.ASYNC):
                data = kdb.frame(asked, kind, **how)
                if packed:
                    data = kdb.compress(data, force=True, flag=packed)
                p.feed.send(data)
                if kind == kdb.SYNC:
                    assert p.feed.reader.next().hex() == "010200000a0000006500", form
                got = p.sub.read_frame()
                assert got == published(name, columns, COLUMNS[name]), (form, how)
        p.feed.expect_silence()


def test_good_updates_again_and_again(plant):
    """Protects subscribers: an update that is like one before, from another feed
    and among others in one packet, comes out as the first one did."""
    p = plant()
    block, expected = b"", []
    for _, (name, x, columns) in GOOD.items():
        block += kdb.frame(kdb.lst(sym(".u.upd"), sym(name), x), kdb.ASYNC)
        expected.append(published(name, columns, COLUMNS[name]))
    other = p.connect(p.daemon, user="other")
    for feed in (p.feed, other):
        feed.send(3 * block)
        for frame in 3 * expected:
            assert p.sub.read_frame() == frame


def test_who_only_repeats_is_a_feed(plant):
    """Protects operators: a feed is counted as one, and its updates are, although
    another has sent the same before."""
    p = plant(log={"report": "100ms"})
    other = p.connect(p.daemon, user="other")
    p.feed.send(update("trade", trade(1)))
    p.expect("trade", *trade(1).items)
    for n in range(2, 7):
        other.send(update("trade", trade(n)))
        p.expect("trade", *trade(n).items)
    p.daemon.wait_log("report", feeds="2", in_records="6", in_rows="6")
    other.close()
    p.daemon.wait_log("disconnect", user="other", in_records="5")


def since_2000(now):
    return now - datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)


def stamp(letter):
    """What a time column of this type says now, in UTC."""
    delta = since_2000(datetime.datetime.now(datetime.timezone.utc))
    whole = (delta.days * 86400 + delta.seconds) * 10**9 + delta.microseconds * 1000
    return {"p": whole, "n": whole % (86400 * 10**9),
            "t": whole // 10**6 % 86400000}[letter]


# the table, x without a time, the columns after the time, the time's type
UNTIMED = {
    "bulk": ("trade", lst(syms("a", "b"), vec("f", [1, 2]), vec("j", [3, 4])),
             (syms("a", "b"), vec("f", [1, 2]), vec("j", [3, 4])), "n"),
    "row": ("trade", lst(sym("a"), atom("f", 1.0), atom("j", 3)),
            (syms("a"), vec("f", [1]), vec("j", [3])), "n"),
    "row with a string": ("news", lst(sym("a"), text("hello")),
                          (syms("a"), lst(text("hello"))), "n"),
    "bare vector": ("ref", syms("IBM", "NYSE", "USD"),
                    (syms("IBM"), syms("NYSE"), syms("USD")), "n"),
    "atoms extended": ("trade", lst(syms("a", "b"), atom("f", 1.0), vec("j", [3, 4])),
                       (syms("a", "b"), vec("f", [1, 1]), vec("j", [3, 4])), "n"),
    "strings": ("news", lst(syms("a", "b"), lst(text("x"), text("yz"))),
                (syms("a", "b"), lst(text("x"), text("yz"))), "n"),
    "timestamp bulk": ("stamped", lst(syms("a", "b"), vec("j", [3, 4])),
                       (syms("a", "b"), vec("j", [3, 4])), "p"),
    "timestamp row": ("stamped", lst(sym("a"), atom("j", 3)),
                      (syms("a"), vec("j", [3])), "p"),
    "time bulk": ("timed", lst(syms("a", "b"), vec("j", [3, 4])),
                  (syms("a", "b"), vec("j", [3, 4])), "t"),
    "time row": ("timed", lst(sym("a"), atom("j", 3)), (syms("a"), vec("j", [3])), "t"),
    "table": ("trade", kdb.table("sym price size", syms("a"), vec("f", [1]),
                                 vec("j", [3])),
              (syms("a"), vec("f", [1]), vec("j", [3])), "n"),
}


@pytest.mark.parametrize("form", UNTIMED)
def test_missing_time_is_added(plant, form):
    """Protects feeds without a clock: the time column is put in front, in its
    own type, one value for all rows, the wall clock's; the rest is exact."""
    p = plant()
    name, x, columns, letter = UNTIMED[form]
    for _ in range(2):
        low = stamp(letter)
        assert p.feed.update(name, x) == NIL
        high = stamp(letter)
        got = p.sub.read_frame()
        added = kdb.decode_frame(got)[1].items[2].columns.items[0]
        assert added.type == kdb.TYPE_OF[letter] and added.attr == 0
        assert got == published(name, (added, *columns), COLUMNS[name])
        assert len(set(added.values)) == 1
        if low <= high:  # else midnight has just passed
            # the daemon's clock is that of its turn, in whole microseconds
            slack = 20 if letter == "t" else 20 * 10**6
            assert low - slack <= added.values[0] <= high + slack


BAD = {
    "too many columns": ("trade", lst(*trade(1).items, vec("j", [1])), b"length"),
    "too few columns": ("trade", lst(vec("n", [T0]), syms("a")), b"length"),
    "too many cells": ("trade", lst(atom("n", T0), sym("a"), atom("f", 1.0),
                                    atom("j", 1), atom("j", 1)), b"length"),
    "no columns": ("trade", lst(), b"length"),
    "ragged": ("trade", lst(vec("n", [T0, T0]), syms("a"), vec("f", [1]),
                            vec("j", [1])), b"length"),
    "ragged at the end": ("trade", lst(vec("n", [T0]), syms("a"), vec("f", [1]),
                                       vec("j", [1, 2])), b"length"),
    "ragged and untimed": ("trade", lst(syms("a", "b"), vec("f", [1]), vec("j", [1])),
                           b"length"),
    "wrong type": ("trade", lst(vec("n", [T0]), syms("a"), vec("j", [1]),
                                vec("j", [1])), b"type"),
    "wrong type of an atom": ("trade", lst(atom("n", T0), sym("a"), atom("e", 1.0),
                                           atom("j", 1)), b"type"),
    "wrong type of an extended atom": (
        "trade", lst(vec("n", [T0]), syms("a"), atom("j", 1), vec("j", [1])), b"type"),
    # tick.q takes what is no timespan for data without a time
    "timestamps for timespans": (
        "trade", lst(vec("p", [T0]), syms("a"), vec("f", [1]), vec("j", [1])),
        b"length"),
    "a list for floats": (
        "trade", lst(vec("n", [T0]), syms("a"), lst(atom("f", 1.0)), vec("j", [1])),
        b"type"),
    "longs for strings": ("news", lst(vec("n", [T0]), syms("a"), vec("j", [1])),
                          b"type"),
    "a symbol among strings": (
        "news", lst(vec("n", [T0, T0]), syms("a", "b"), lst(text("x"), sym("y"))),
        b"type"),
    "a vector in a row": ("trade", lst(atom("n", T0), sym("a"), vec("f", [1, 2]),
                                       atom("j", 1)), b"type"),
    "table with a wrong type": (
        "trade", kdb.Table(syms(*NAMES["trade"].split()),
                           lst(vec("n", [T0]), syms("a"), vec("j", [1]),
                               vec("j", [1]))), b"type"),
    "unknown table": ("foo", trade(1), b"foo"),
}


@pytest.mark.parametrize("form", BAD)
def test_bad_updates_publish_nothing(plant, form):
    """Protects subscribers from what does not fit the schema: an error of
    tick.q's name for a sync update, silence for an async one, nothing
    published, nothing broken, and it is counted."""
    p = plant()
    name, x, error = BAD[form]
    for fn in (".u.upd", "upd"):
        assert p.feed.update(name, x, fn).word() == error
    p.feed.send(update(name, x))
    p.feed.send(update(name, x, big=True))
    p.expect_nothing()
    p.feed.expect_silence()
    summary = p.daemon.summary()
    assert summary.number("rejected") == 4 and summary.number("in_records") == 1


WHY = {
    "type: trade.price: float wanted, long came": lst(
        vec("n", [T0]), syms("a"), vec("j", [1]), vec("j", [1])),
    "type: trade.price: float atom wanted, real atom came": lst(
        atom("n", T0), sym("a"), atom("e", 1.0), atom("j", 1)),
    "type: trade.price: float atom wanted, float vector came": lst(
        atom("n", T0), sym("a"), vec("f", [1, 2]), atom("j", 1)),
    "length: trade.size: 1 rows wanted, 2 came": lst(
        vec("n", [T0]), syms("a"), vec("f", [1]), vec("j", [1, 2])),
    "length: trade: 4 columns wanted, 2 came": lst(vec("n", [T0]), syms("a")),
    "length: trade: 4 columns wanted, none came": lst(),
    "length: trade: 3 columns wanted after the time (timespan), 4 came, the first "
    "timestamp": lst(vec("p", [T0]), syms("a"), vec("f", [1]), vec("j", [1])),
    "type: trade: columns wanted, a function or (::) came": NIL,
    "type: trade: columns or cells wanted, the first is a function or (::)": lst(NIL, NIL),
    "mismatch: trade.sym: column wanted, a came": kdb.table(
        "a b", vec("j", [1]), vec("j", [1])),
    "mismatch: trade.price: column wanted, size came": kdb.table(
        "time sym size price", *trade(1).items),
    "mismatch: trade.size: column wanted, none came": kdb.table(
        "time sym price", *trade(1).items[:3]),
    "mismatch: trade: 4 columns wanted, also venue came": kdb.table(
        "time sym price size venue", *trade(1).items, syms("a")),
}


def test_a_refusal_says_what_is_wrong(plant):
    """Protects the author of a feed from guessing: the error and the log name the
    table, the column, the type that came and the type that is wanted."""
    p = plant()
    for why, x in WHY.items():
        assert p.feed.update("trade", x) == Error(why.encode())
    assert p.feed.update("news", lst(vec("n", [T0, T0]), syms("a", "b"), lst(
        text("a"), atom("j", 1)))) == Error(b"type: news.text: string wanted, long atom came in row 1")
    silent = kdb.Client(p.daemon.port, creds=b"silent:pw\x03")
    silent.send(update("trade", WHY["length: trade.size: 1 rows wanted, 2 came"]))
    p.daemon.wait_log("rejected", user="silent", table="trade",
                      error="length: trade.size: 1 rows wanted, 2 came", rejected="1")
    silent.close()
    silent = kdb.Client(p.daemon.port, creds=b"texts:pw\x03")
    silent.async_(lst(sym(".u.upd"), text("trade"), trade(1)))
    p.daemon.wait_log("rejected", user="texts", table="trade",
                      error="type: table: symbol wanted, char vector came")
    silent.close()
    p.expect_nothing()


def test_an_error_that_nobody_is_told_is_logged(plant):
    """Protects a feed that misspells its function from losing everything in
    silence: its name, what it asked for and the error are in the log, with how
    many there were; others' asynchronous errors too."""
    p = plant()
    asked = {
        "(.u.updd;trade;list)": (lst(text(".u.updd"), sym("trade"), trade(1)), ".u.updd"),
        "(.u.sub;nosuch;)": (lst(sym(".u.sub"), sym("nosuch"), sym("")), "nosuch"),
        "(insert;trade;list)": (lst(sym("insert"), sym("trade"), trade(1)), "insert"),
        "nonsense": (text("nonsense"), "nonsense"),
    }
    for i, (said, (request, error)) in enumerate(asked.items()):
        user = "wrong%d" % i
        client = kdb.Client(p.daemon.port, creds=b"%s:pw\x03" % user.encode())
        mark = p.daemon.mark()
        for _ in range(500):
            client.async_(request)
        client.expect_silence()
        line = p.daemon.wait_log("request_failed", user=user)
        assert line["asked"] == said and line["error"] == error
        assert line["peer"] == client.name and line.level == 4
        client.close()
        gone = p.daemon.wait_log("disconnect", user=user)
        assert gone.number("failed") == 500 and gone.number("rejected") == 0
        assert len(p.daemon.logged("request_failed", after=mark)) < 20
    assert p.daemon.summary().number("request_errors") == 2000


def test_each_fault_is_logged_once(plant):
    """Protects who looks for the second of two faults from finding only the first,
    which comes first in every second: each has a line, and no more than some do."""
    p = plant()
    with kdb.Client(p.daemon.port, creds=b"two:pw\x03") as client:
        for n in range(300):
            client.async_(lst(text(".u.updd"), sym("trade"), trade(1)))
            client.async_(lst(sym("f%d" % min(n, 50)), sym("trade"), trade(1)))
            client.async_(lst(sym(".u.upd"), sym("trade"), lst()))
            client.async_(lst(sym(".u.upd"), sym("nosuch"), trade(1)))
        client.expect_silence()
        p.daemon.wait_log("request_failed", user="two", error=".u.updd")
        p.daemon.wait_log("request_failed", user="two", error="f0", failed="2")
        p.daemon.wait_log("rejected", user="two", table="trade")
        p.daemon.wait_log("rejected", user="two", table="nosuch", rejected="2")
    gone = p.daemon.wait_log("disconnect", user="two")
    assert gone.number("failed") == 600 and gone.number("rejected") == 600
    assert len(p.daemon.logged("request_failed", user="two")) < 20
    assert len(p.daemon.logged("rejected", user="two")) < 12


def test_strange_updates_harm_nobody(plant):
    """Protects the daemon from well-formed updates that make no sense: an
    error (which one is not promised) or nothing, and nothing published."""
    p = plant()
    strange = [
        NIL, atom("j", 1), sym("a"), text("abc"), text(""), vec("j", []), syms(),
        kdb.Dict(syms("a"), vec("j", [1])),
        kdb.Dict(kdb.table("time", vec("n", [T0])), kdb.table("sym", syms("a"))),
        kdb.table("a b c d", *trade(1).items),
        kdb.table("time sym size price", *trade(1).items),
        kdb.table("time sym price size more", *trade(1).items, vec("j", [1])),
        lst(NIL, NIL, NIL, NIL), lst(lst(), lst(), lst(), lst(atom("j", 1))),
        lst(*[kdb.table("a", vec("j", [1]))] * 4),
        lst(*[kdb.Lambda(b"", text("{x}"))] * 4),
        lst(trade(1), trade(1), trade(1), trade(1)),
    ]
    for x in strange:
        assert isinstance(p.feed.update("trade", x), Error), x
        p.feed.send(update("trade", x))
    for t in (sym(""), text("trade"), syms("trade", "quote"), NIL, atom("j", 1), lst()):
        for kind in (kdb.SYNC, kdb.ASYNC):
            data = kdb.frame(lst(sym(".u.upd"), t, trade(1)), kind)
            p.feed.send(data)
            if kind == kdb.SYNC:
                assert isinstance(kdb.decode(p.feed.read_response()[8:]), Error), t
    p.expect_nothing()


def test_empty_bulk_counts_for_nothing(plant):
    """Protects subscribers from frames without rows: accepted, not published,
    with and without time, as columns and as a table."""
    p = plant()
    empty = trade(0, 0)
    for x in (empty, lst(*empty.items[1:]),
              kdb.Table(syms(*NAMES["trade"].split()), empty)):
        assert p.feed.update("trade", x) == NIL
        p.feed.send(update("trade", x))
    assert p.feed.update("news", lst(vec("n", []), syms(), lst())) == NIL
    p.expect_nothing()


def test_text_updates(plant):
    """Protects people at a prompt: an update as text is done, or refused with an
    error and then nothing of it is published."""
    p = plant()
    assert p.feed.sync(".u.upd[`ref;`IBM`NYSE`USD]") == NIL
    assert p.sub.read().items[2].columns.items[1:] == (
        syms("IBM"), syms("NYSE"), syms("USD"))
    assert p.feed.sync(".u.upd[`ref;`IBM`NYSE]").word() == b"length"
    p.expect_nothing()


def test_shape_leaves_types_alone(plant):
    """Protects users of check = "shape": as in tick.q the types are the
    subscribers' business, counts and lengths are not."""
    p = plant(schema={"check": "shape"})
    wrong = lst(vec("n", [T0]), syms("a"), vec("j", [1]), vec("h", [1]))
    assert p.feed.update("trade", wrong) == NIL
    p.expect("trade", *wrong.items)
    row = lst(atom("n", T0), sym("a"), vec("f", [1, 2]), text("abc"))
    assert p.feed.update("trade", row) == NIL
    p.expect("trade", vec("n", [T0]), syms("a"), lst(vec("f", [1, 2])),
             lst(text("abc")))
    for form in ("too many columns", "too few columns", "ragged", "ragged at the end",
                 "unknown table"):
        name, x, error = BAD[form]
        assert p.feed.update(name, x).word() == error, form
    p.expect_nothing()


def test_sizes_of_updates(plant):
    """Protects the way through each buffer: updates from one row to the longest
    message (256 KiB here) arrive whole and exact, in order, when sent plain,
    compressed, and torn into pieces."""
    p = plant(streams={"max": 0})
    rows = [1, 2, 10, 100, 1000, 2000, 2047, 2048, 2049, 4000, 8000, 9000]
    for n in rows:
        x = trade(n, n)
        p.feed.send(update("trade", x))
        p.expect("trade", *x.items)
        x = lst(*x.items[1:])
        p.feed.send(kdb.compress(update("trade", x)))
        got = p.sub.read_frame()
        assert sizes_of(got, n) == (n, 2 * n - 1)
        added = kdb.decode_frame(got)[1].items[2].columns.items[0]
        assert got == published("trade", (added, *x.items))
    for n in rows:
        x = quote(n, 1 + n % 3000)
        data = update("quote", x)
        for at in range(0, len(data), 9973):
            p.feed.send(data[at : at + 9973])
            p.sub.send(kdb.frame("", kdb.SYNC))
            assert p.sub.read_response()
        p.expect("quote", *x.items)


def test_longest_message_exactly(start, connect):
    """Protects message.max, which bounds what is published: a frame of exactly
    this many bytes passes, one byte more does not, whether it came with that length
    or got it by inflation, a time column or a row."""
    limit = 65536
    news = [t for t in TABLES if t["name"] == "news"]
    daemon = start({"schema": {"tables": news}, "message": {"max": "64K"}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()

    def x_for(length, row, timed):
        base = len(published("news", (vec("n", [T0]), syms("a"), lst(text(""))),
                             COLUMNS["news"]))
        cell = text("y" * (length - base))
        if row:
            return q(*([atom("n", T0)] if timed else []), sym("a"), cell)
        return lst(*([vec("n", [T0])] if timed else []), syms("a"), lst(cell))

    for row in (False, True):
        for timed in (True, False):
            for packed in (False, True):
                for over in (0, 1):
                    data = update("news", x_for(limit + over, row, timed), kdb.SYNC)
                    if packed:
                        data = kdb.compress(data)
                    if over and not packed and len(data) > limit:
                        continue  # closes the connection: test_limits.py
                    try:
                        reply = kdb.decode(feed.ask_raw(data)[8:])
                    except kdb.Closed:
                        reply, feed = None, connect(daemon)
                    what = (row, timed, packed, over)
                    assert (reply == NIL) == (not over), what
                    if not over:
                        assert len(sub.read_frame()) == limit, what
                    sub.expect_silence()


def test_frames_of_the_contract(start, connect):
    """Protects the golden bytes of tick-contract.md 7, in to out."""
    daemon = start({"schema": {"tables": [
        {"name": "trade", "columns": ["time timespan", "sym symbol",
                                      "price float"]}]}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe("trade")
    x = bytes.fromhex("0000030000001000010000000100000000000000"
                      "0b000100000041000900010000000000"
                      "00000000f83f")
    feed.send(bytes.fromhex("010000004b0000000000030000000a00060000002e752e757064"
                            "f5747261646500") + x)
    assert sub.read_frame() == bytes.fromhex(
        "010000005c000000000003000000f575706400f57472616465006200630b00030000007469"
        "6d650073796d00707269636500") + x


def test_zone_of_the_stamp(start, connect):
    """Protects users in other zones: day.zone shifts what is stamped."""
    found = {}
    for zone in ("utc", "+09:00", "-02:30"):
        daemon = start({"day": {"zone": zone}})
        feed, sub = connect(daemon), connect(daemon)
        sub.subscribe()
        feed.update("trade", lst(sym("a"), atom("f", 1.0), atom("j", 1)))
        found[zone] = sub.read().items[2].columns.items[0].values[0]
    day = 86400 * 10**9
    for zone, hours in (("+09:00", 9), ("-02:30", -2.5)):
        ahead = (found[zone] - found["utc"] - int(hours * 3600 * 10**9)) % day
        assert min(ahead, day - ahead) < 60 * 10**9, zone
