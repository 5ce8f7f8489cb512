"""Every request that real clients of a kdb+ tickerplant are known to send,
letter for letter (doc/notes/clients.md), and the bytes that answer it."""

import socket

import journal
import kdb
import pytest
from filters import filtered
from kdb import (NIL, Dict, Error, Lambda, Table, atom, lst, q, sym, syms, text,
                 vec)
from traffic import published, quote, trade

EMPTY = {
    "trade": Table(syms("time", "sym", "price", "size"),
                   lst(vec("n", []), syms(attr=4), vec("f", []), vec("j", []))),
    "quote": Table(syms("time", "sym", "bid", "ask", "bsize", "asize"),
                   lst(vec("n", []), syms(attr=4), vec("f", []), vec("f", []),
                       vec("j", []), vec("j", []))),
}
TRADE, QUOTE = (lst(sym(name), EMPTY[name]) for name in ("trade", "quote"))
BOTH = lst(QUOTE, TRADE)
TABLES = ("trade", "quote")
UPDATES = {"trade": trade(5), "quote": quote(6)}


def source(string, context=b""):
    return Lambda(context, text(string))


class Seen:
    """What the daemon says of itself, which replies repeat."""

    def __init__(self, client, path=None, records=0):
        self.i = atom("j", records) if path else NIL
        self.L = sym(":%s" % path) if path else NIL
        self.iL = lst(self.i, self.L)
        self.d = client.sync(".u.d")
        assert isinstance(self.d, kdb.Atom)


@pytest.fixture(params=["journal", "no journal"])
def world(request, start, connect, tmp_path):
    """(daemon, feed, Seen): with a journal of three records, or without."""
    if request.param == "no journal":
        daemon = start()
        feed = connect(daemon)
        return daemon, feed, Seen(feed)
    folder = tmp_path / "journal"
    folder.mkdir()
    daemon = start(journal.settings(folder))
    feed = connect(daemon)
    for i in range(3):
        assert feed.update("trade", trade(i)) == NIL
    path = journal.path_of(folder, feed.sync(".u.d").value)
    return daemon, feed, Seen(feed, path, 3)


def check(world, connect, asked, reply, tables):
    """The reply, byte for byte, in both byte orders; then each table's next
    update comes exactly once, and no other.  Asked asynchronously the same,
    without a reply."""
    daemon, feed, seen = world
    value = reply(seen) if callable(reply) else reply
    for how in ({}, {"big": True}, {"kind": kdb.ASYNC}):
        client = connect(daemon)
        if how.get("kind") == kdb.ASYNC:
            client.send(kdb.frame(asked, **how))
            client.expect_silence()
        else:
            answer = client.ask_raw(kdb.frame(asked, kdb.SYNC, **how))
            assert answer == kdb.frame(value, kdb.RESPONSE), kdb.decode(answer[8:])
        for name, data in UPDATES.items():
            assert feed.update(name, data) == NIL
            if name in tables:
                assert client.read_frame() == published(name, data.items)
        client.expect_silence()
        client.close()
        if seen.i != NIL:
            # these updates are in the file too
            seen.i = atom("j", seen.i.value + 2)
            seen.iL = lst(seen.i, seen.L)
            value = reply(seen) if callable(reply) else reply


TORQ_STEP_3 = ("{`schemalist`logfilelist`rowcounts`date!(.u.sub\\:[x;y];enlist(.u`i`L);"
               "(.u `icounts);(.u `d))}")
TORQ_OLD = "{(.u.sub\\:[x;y];(.u`i`L);(.u `icounts);(.u `d))}"


def torq(pairs):
    return lambda seen: Dict(
        syms("schemalist", "logfilelist", "rowcounts", "date"),
        lst(pairs, lst(seen.iL), NIL, seen.d))


# name: (the object, the reply or what makes it, the tables subscribed to)
REQUESTS = {
    "r.q": (text("(.u.sub[`;`];`.u `i`L)"), lambda s: lst(BOTH, s.iL), TABLES),
    "r.q, bare": (text("(.u.sub[`;`];.u `i`L)"), lambda s: lst(BOTH, s.iL), TABLES),
    "chainedtick.q": (text(".u.sub[`;`]"), BOTH, TABLES),
    "chainedr.q": (
        text("(.u.sub[`;`];$[`m in key`.u;(`.u `m)\"`.u `i`L\";`.u `i`L])"),
        lambda s: lst(BOTH, s.iL), TABLES),
    "clog.q": (
        q(source("{[t;s] (.u.sub[t;s];$[`m in key`.u;(`.u `m)\"`.u `i`L\";"
                 "`.u `i`L])}"), sym("trade"), sym("")),
        lambda s: lst(TRADE, s.iL), ("trade",)),
    "clog.q, all": (
        q(source("{[t;s] (.u.sub[t;s];$[`m in key`.u;(`.u `m)\"`.u `i`L\";"
                 "`.u `i`L])}"), sym(""), sym("")),
        lambda s: lst(BOTH, s.iL), TABLES),
    "c.q": (lst(text(".u.sub"), sym(""), sym("")), BOTH, TABLES),
    "c.q, one": (lst(text(".u.sub"), sym("trade"), sym("")), TRADE, ("trade",)),
    "KX, RTE": (text("(.u.sub[`trade;`];.u `i`L)"), lambda s: lst(TRADE, s.iL),
                ("trade",)),
    "KX, position": (text(".u `i`L"), lambda s: s.iL, ()),
    "cookbook": (q(sym(".u.sub"), sym(""), sym("")), BOTH, TABLES),
    "cookbook, one": (q(sym(".u.sub"), sym("trade"), sym("")), TRADE, ("trade",)),
    "mgkdb": (
        lst(source("{(.u.i;.u.L;.u.sub[;`] each x)}"), syms("trade", "quote")),
        lambda s: lst(s.i, s.L, lst(TRADE, QUOTE)) if s.i != NIL else Error(b".u.i"),
        lambda s: TABLES if s.i != NIL else ()),
    "TorQ, step 1": (
        lst(source("{@[value;`tptype;`standard]}", b"sub"), sym("")),
        sym("standard"), ()),
    "TorQ, step 2": (lst(source("{key `.u.w}", b"sub"), sym("")),
                     syms("quote", "trade"), ()),
    "TorQ, step 3": (
        lst(source(TORQ_STEP_3, b"sub"), syms("quote", "trade"), sym("")),
        torq(lst(QUOTE, TRADE)), TABLES),
    "TorQ, step 3, one": (
        lst(source(TORQ_STEP_3, b"sub"), syms("trade"), sym("")),
        torq(lst(TRADE)), ("trade",)),
    "TorQ, old": (
        lst(source(TORQ_OLD, b"sub"), syms("quote", "trade"), sym("")),
        lambda s: lst(BOTH, s.iL, NIL, s.d), TABLES),
    "TorQ, no names on a list": (
        q(sym("subdetails"), syms("trade"), sym("")), Error(b"subdetails"), ()),
    "TorQ, ctp": (text(".u.d"), lambda s: s.d, ()),
    "TorQ, attributes": (
        lst(source("{.proc.getattributes[]}"), NIL), Error(b".proc.getattributes"), ()),
    "TorQ, heartbeat": (text("1b"), atom("b", 1), ()),
    "TorQ, monitor": (
        q(sym(".ps.subscribe"), sym("heartbeat"), sym("")), Error(b".ps.subscribe"), ()),
    "KDB-X": (lst(sym(".u.subdetails"), syms("trade"), sym("")),
              Error(b".u.subdetails"), ()),
    "exxeleron, protocols": (text(".sl.getSubProtocols[]"),
                             Error(b".sl.getSubProtocols"), ()),
    "exxeleron": (text("(.u.sub'[`trade`quote;`];`.u `i`L)"),
                  lambda s: lst(lst(TRADE, QUOTE), s.iL), TABLES),
    "exxeleron, one": (text("(.u.sub'[`trade;`];`.u `i`L)"),
                       lambda s: lst(TRADE, s.iL), ("trade",)),
    "PyKX RTP": (
        lst(text("{(.u.sub[;`]each x;`.u `i`L)}"), syms("trade", "quote")),
        lambda s: lst(lst(TRADE, QUOTE), s.iL), TABLES),
    "PyKX RTP, all": (
        lst(text("{(.u.sub[;`]each x;`.u `i`L)}"), sym("")),
        lambda s: lst(BOTH, s.iL), TABLES),
    "PyKX": (lst(text("{.u.sub[x;y]}"), sym("trade"), sym("")), TRADE, ("trade",)),
    "PyKX, by name": (lst(text(".u.sub"), sym("trade"), sym("")), TRADE, ("trade",)),
    "qPython": (lst(text(".u.sub"), sym("trade"), sym("")), TRADE, ("trade",)),
    "Java": (text(".u.sub[`trade;`]"), TRADE, ("trade",)),
    "C#": (text(".u.sub[`quote;`]"), QUOTE, ("quote",)),
    "wild, each": (text("(.u.sub[;`]each `trade`quote;`.u `i`L)"),
                   lambda s: lst(lst(TRADE, QUOTE), s.iL), TABLES),
    "wild, two": (text("((.u.sub[`trade;`];.u.sub[`quote;`]);`.u `i`L)"),
                  lambda s: lst(lst(TRADE, QUOTE), s.iL), TABLES),
    "wild, variables": (
        text("(.u.sub[`trade;`];(.u.i;.u.L))"),
        lambda s: lst(TRADE, s.iL) if s.i != NIL else Error(b".u.i"),
        lambda s: ("trade",) if s.i != NIL else ()),
    "wild, .u.t": (
        lst(source("{((.u.sub[;`] each .u.t); `.u `i`L)}"), NIL),
        lambda s: lst(BOTH, s.iL), TABLES),
    "wild, parameters": (
        lst(source("{[t;s](.u.sub[t;s];`.u `i`L)}"), sym("trade"), sym("")),
        lambda s: lst(TRADE, s.iL), ("trade",)),
    "wild, lambda each": (text("({.u.sub[x;`]}each `trade`quote)"),
                          lst(TRADE, QUOTE), TABLES),
    "wild, position": (text("(`.u `i`L)"), lambda s: s.iL, ()),
    "wild, file": (text(".u.L"), lambda s: s.L if s.i != NIL else Error(b".u.L"), ()),
    "wild, statements": (text(".u.sub[`trade;`];.u.sub[`quote;`]"), QUOTE, TABLES),
    "wild, path": (
        text("(.u.sub[`trade;`]; (.u.i;`$\":/opt/kx/tp_log_dir/\",last \"/\" vs "
             "string[.u.L]))"),
        lambda s: lst(TRADE, lst(s.i, sym(b":/opt/kx/tp_log_dir/" +
                                          s.L.text.rsplit(b"/", 1)[1])))
        if s.i != NIL else Error(b".u.i"),
        lambda s: ("trade",) if s.i != NIL else ()),
    "infix": (text("`trade`quote .u.sub\\:`"), lst(TRADE, QUOTE), TABLES),
    "a chaser": (text(""), NIL, ()),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_request_of_a_client(world, connect, name):
    """Protects every unmodified client: what it sends is understood, and the
    answer is the bytes that tick.q would have sent."""
    asked, reply, tables = REQUESTS[name]
    check(world, connect, asked, reply,
          tables(world[2]) if callable(tables) else tables)


# ---- with filters ----

SOME = ("MSFT.O", "IBM.N")
FILTERED = {
    "c.q": (lst(text(".u.sub"), sym(""), syms(*SOME)), BOTH,
            {"trade": SOME, "quote": SOME}),
    "KX, RTE": (lst(text(".u.sub"), sym("trade"), syms(*SOME)), TRADE, {"trade": SOME}),
    "KX, RTE, text": (text("(.u.sub[`trade;`MSFT.O`IBM.N];.u `i`L)"),
                      lambda s: lst(TRADE, s.iL), {"trade": SOME}),
    "KX, RTE, one": (lst(sym(".u.sub"), sym("trade"), syms("IBM.N")), TRADE,
                     {"trade": ("IBM.N",)}),
    "C#": (text(".u.sub[`trade;`MSFT.O`IBM.N]"), TRADE, {"trade": SOME}),
    "Java": (lst(text(".u.sub"), sym("trade"), sym("MSFT.O")), TRADE,
             {"trade": ("MSFT.O",)}),
    "Java, an array of an empty string": (
        lst(text(".u.sub"), sym("trade"), syms("")), TRADE, {"trade": ("",)}),
    "TorQ, step 3": (
        lst(source(TORQ_STEP_3, b"sub"), syms("quote", "trade"), syms(*SOME)),
        torq(lst(QUOTE, TRADE)), {"trade": SOME, "quote": SOME}),
    "PyKX": (lst(text("{.u.sub[x;y]}"), sym("trade"), syms(*SOME)), TRADE,
             {"trade": SOME}),
    "wild, add": (text(".u.sub[`trade;`];.u.add[`quote;`]"), QUOTE,
                  {"trade": "", "quote": ""}),
    "cookbook, add": (text(".u.sub[`trade;`MSFT.O];.u.add[`trade;`IBM.N`MSFT.O]"), TRADE,
                      {"trade": SOME}),
    "add to all": (text(".u.sub[`trade;`];.u.add[`trade;`IBM.N]"), TRADE,
                   {"trade": ("IBM.N", "")}),
    "nothing": (lst(text(".u.sub"), sym("trade"), lst()), TRADE, {"trade": ()}),
}


def mixed(make):
    """An update of five rows, of several symbols."""
    columns = list(make(9, 5).items)
    columns[1] = syms("MSFT.O", "A", "IBM.N", "", "MSFT.O")
    return lst(*columns)


@pytest.mark.parametrize("name", FILTERED)
def test_request_with_a_filter(world, connect, name):
    """Protects unmodified clients that want some symbols: the reply is that of
    any subscription, and exactly these rows come."""
    daemon, feed, seen = world
    asked, reply, filters = FILTERED[name]
    client = connect(daemon)
    answer = client.ask_raw(kdb.frame(asked, kdb.SYNC))
    assert answer == kdb.frame(reply(seen) if callable(reply) else reply, kdb.RESPONSE)
    for table, make in (("trade", trade), ("quote", quote)):
        assert feed.update(table, mixed(make)) == NIL
        wanted = filtered(table, mixed(make), filters[table]) if table in filters else None
        if wanted is not None:
            assert client.read_frame() == wanted
    client.expect_silence()


@pytest.mark.parametrize("choice", ["type", "mgkdb"])
def test_a_list_of_tables(start, connect, tmp_path, choice):
    """Protects mgkdb's tpmux, with compatibility.sub_list = "mgkdb": .u.sub of a
    list answers (.u.i;.u.L;schemas); as it is, it is 'type, as in tick.q."""
    asked = lst(sym(".u.sub"), syms("trade", "quote"), sym(""))
    compatible = {"compatibility": {"sub_list": choice}}
    daemon = start(journal.settings(tmp_path, compatible))
    client, feed = connect(daemon), connect(daemon)
    for i in range(3):
        assert feed.update("trade", trade(i)) == NIL
    if choice == "type":
        assert client.sync(asked) == Error(b"type")
        return
    path = journal.path_of(tmp_path, feed.sync(".u.d").value)
    schemas = lst(TRADE, QUOTE)
    assert client.sync(asked) == lst(atom("j", 3), sym(":%s" % path), schemas)
    for name, data in UPDATES.items():
        assert feed.update(name, data) == NIL
        assert client.read_frame() == published(name, data.items)
    assert client.sync(lst(sym(".u.sub"), sym("trade"), sym(""))) == TRADE
    assert client.sync(lst(sym(".u.sub"), syms("trade", "foo"), sym(""))) == Error(b"foo")
    without = connect(start(compatible))
    assert without.sync(asked) == lst(NIL, NIL, schemas)


def test_torq_servers(world, connect):
    """Protects the connection of TorQ's processes: the details of a process
    that is not TorQ's own, whose port must be a number."""
    daemon, _, _ = world
    asked = source("{$[`getdetails in key`.servers;.servers.getdetails[];(.z.f;.z.h;"
                   "system\"p\";`;`;$[`getattributes in key`.proc;"
                   ".proc.getattributes[];()!()])]}")
    reply = lst(sym("ringtickd"), sym(socket.gethostname()), atom("i", daemon.port),
                sym(""), sym(""), Dict(lst(), lst()))
    assert connect(daemon).ask_raw(kdb.frame(lst(asked, sym("")), kdb.SYNC)) == \
        kdb.frame(reply, kdb.RESPONSE)


def test_tables(start, connect):
    """Protects people and monitors that look around: the tables, their columns
    and types, and that a tickerplant without -t holds no rows."""
    client = connect(start())
    for asked in ("tables[]", "tables`.", "tables `.", ".u.t"):
        assert client.sync(asked) == syms("quote", "trade", attr=1), asked
    for asked in ("key .u.w", "key`.u.w"):
        assert client.sync(asked) == syms("quote", "trade"), asked
    assert client.sync("tables`.u") == syms()
    assert client.sync(sym("trade")) == client.sync("trade") == EMPTY["trade"]
    assert client.sync("count trade") == atom("j", 0)
    assert client.sync("count each (trade;quote)") == vec("j", [0, 0])
    assert client.sync("cols trade") == client.sync("cols`trade") == \
        syms("time", "sym", "price", "size")
    assert client.sync("trade`sym") == syms(attr=4)
    meta = Dict(
        Table(syms("c"), lst(syms("time", "sym", "price", "size"))),
        Table(syms("t", "f", "a"), lst(
            text("nsfj"), syms("", "", "", ""), syms("", "g", "", ""))))
    assert client.sync("meta trade") == client.sync("meta`trade") == meta
    assert client.sync("meta foo") == Error(b"foo")
    assert client.sync("count .u.w") == atom("j", 2)
    assert client.sync("count .z.W") == atom("j", 1)
    assert client.sync("(sum;count)@\\:/:(.z.W)") == Dict(
        client.sync("key .z.W"), lst(vec("j", [0, 1])))
    assert client.sync("sum `a`b!1 2") == atom("j", 3)


def test_the_process(start, connect):
    """Protects monitors: the process names itself, and says what time it is."""
    daemon = start()
    client = connect(daemon, user="mia")
    kinds = {"D": "d", "d": "d", "P": "p", "p": "p", "N": "n", "n": "n", "T": "t",
             "t": "t", "K": "f", "k": "d", "i": "i", "w": "i"}
    for name, kind in kinds.items():
        found = client.sync(".z." + name)
        assert isinstance(found, kdb.Atom) and found.type == kdb.TYPE_OF[kind], name
    assert client.sync(".z.i") == atom("i", daemon.pid)
    assert client.sync(".z.h") == sym(socket.gethostname())
    assert client.sync(".z.f") == sym("ringtickd")
    assert client.sync(".z.u") == sym("mia")
    assert client.sync("system\"p\"") == client.sync("\\p") == \
        atom("i", daemon.port)
    assert client.sync("system\"ls\"") == client.sync("\\ls") == Error(b"access")
    assert client.sync(".z.K") == atom("f", 4.0)
    # the zone of the tests is UTC
    moments = client.sync("(.z.P;.z.p)")
    assert moments.values[0] == moments.values[1]
    moment, span, milli = client.sync("(.z.p;.z.n;.z.t)").items
    day = 86400 * 10**9
    assert moment.value % day == span.value
    assert span.value // 10**6 == milli.value
    assert client.sync(".z.d").value == moment.value // day


@pytest.mark.parametrize("asked, error", [
    ("(.u.sub[`;`];foo)", b"foo"), ("{foo}[]", b"foo"), (".u.sub[;`]", b"nyi"),
    (".u.sub", b"nyi"), (".u.sub[`trade]", b"rank"), ("a:1", b"nyi"),
    (".u.t:1", b"nyi"), ("{x x}{x x}", b"stack"), ("(" * 100, b"limit"),
    ("1;" * 20000, b"limit"), ("`a+`b", b"nyi"), ("1 2 3`a", b"type"),
    (".u.sub'[`trade`quote;```]", b"length"), ("@[.u.sub[;`];`foo]", b"foo"),
    ("{x in x}{x,x,x,x}{x,x,x,x}{x,x,x,x}{x,x,x,x}{x,x,x,x}{x,x,x,x}1 2", b"limit"),
])
def test_errors(start, connect, asked, error):
    """Protects readers of errors, and the daemon from requests without end: each is
    answered at once, and the next one is served."""
    client = connect(start())
    assert client.sync(asked) == Error(error)
    assert client.sync("") == NIL


def test_a_trapped_error_takes_its_subscription_back(start, connect):
    """Protects against half a subscription: a call that failed within a trap
    changed nothing, a call before it keeps its effect."""
    daemon = start()
    feed, client = connect(daemon), connect(daemon)
    assert client.sync("@[.u.sub[;`];`foo;`none]") == sym("none")
    assert client.sync("@[{.u.sub[`trade;`];foo};1;`none]") == sym("none")
    for data in (trade(1), trade(2)):
        assert feed.update("trade", data) == NIL
    client.expect_silence()
    assert client.sync("(.u.sub[`quote;`];@[{.u.sub[`trade;`];foo};1;{x}])") == \
        lst(QUOTE, text("foo"))
    assert feed.update("trade", trade(3)) == NIL
    assert feed.update("quote", quote(4)) == NIL
    assert client.read_frame() == published("quote", quote(4).items)
    client.expect_silence()


def test_updates_in_expressions(start, connect):
    """Protects people who publish by hand: a text or a lambda can, once."""
    daemon = start()
    feed, client = connect(daemon), connect(daemon)
    client.subscribe("trade")
    data = lst(vec("n", [1]), syms("A"), vec("f", [1.5]), vec("j", [7]))
    row = lst(atom("n", 1), sym("A"), atom("f", 1.5), atom("j", 7))
    for asked in (
            lst(source("{[t;x] .u.upd[t;x]}"), sym("trade"), row),
            lst(text("{.u.upd[x;y]}"), sym("trade"), data),
            lst(text(".u.upd[`trade]"), row)):
        if asked.items[0] == text(".u.upd[`trade]"):
            assert feed.sync(asked) == Error(b"rank")
            continue
        assert feed.sync(asked) == NIL
        assert client.read_frame() == published("trade", data.items)
    assert feed.sync(lst(text(".u.upd[`trade;]"), row)) == NIL
    assert client.read_frame() == published("trade", data.items)
    client.expect_silence()


def test_large_arguments_are_not_copied(start, connect):
    """Protects the work area: a value from a client may be larger than the area,
    and is passed on, counted and returned without a copy."""
    daemon = start({"ring": {"size": "16M"}, "message": {"max": "4M"},
                    "streams": {"max": 0}})
    client = connect(daemon)
    big = vec("j", range(400000))
    assert client.sync(lst(source("{count x}"), big)) == atom("j", 400000)
    assert client.sync(lst(source("{x}"), big)) == big
    assert client.sync(lst(source("{last x}"), vec("j", range(1000)))) == \
        atom("j", 999)
