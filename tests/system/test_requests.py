"""What subscribers ask, in all the spellings that real clients use."""

import json
import threading

import kdb
import pytest
from daemon import QUOTE, TRADE
from kdb import NIL, Error, Lambda, lst, q, sym, syms, text
from traffic import Flood, Template, published, quote, trade

with open(kdb.vectors_path()) as _file:
    VECTORS = {v["name"]: bytes.fromhex(v["hex"]) for v in json.load(_file)}

SUB_ALL = VECTORS["reply_sub_all"]
SUB_TRADE = VECTORS["reply_sub_trade_g"]
NIL_REPLY = VECTORS["reply_nil"]


def body(frame):
    return frame[kdb.HEADER:]


def response(*bodies):
    """A response frame whose value is the list of these encoded objects."""
    inside = b"\0\0" + len(bodies).to_bytes(4, "little") + b"".join(bodies)
    return (b"\1\2\0\0" + (len(inside) + 8).to_bytes(4, "little") + inside)


NO_JOURNAL = bytes.fromhex("000002000000" "6500" "6500")  # (::;::)
RDB = response(body(SUB_ALL), NO_JOURNAL)
QUOTE_PAIR = body(SUB_ALL)[6 : len(body(SUB_ALL)) - len(body(SUB_TRADE))]
SUB_QUOTE = (b"\1\2\0\0" + (len(QUOTE_PAIR) + 8).to_bytes(4, "little") + QUOTE_PAIR)

BOTH = ("trade", "quote")
SUBSCRIPTIONS = {
    # name: (the object asked, the whole reply, what comes then)
    "text, all": (text(".u.sub[`;`]"), SUB_ALL, BOTH),
    "text, one": (text(".u.sub[`trade;`]"), SUB_TRADE, ("trade",)),
    "text, other": (text(".u.sub[`quote;`]"), SUB_QUOTE, ("quote",)),
    "text, spaces": (text(" .u.sub[ `trade ; ` ] "), SUB_TRADE, ("trade",)),
    "text, r.q": (text("(.u.sub[`;`];.u `i`L)"), RDB, BOTH),
    "text, r.q the other way": (text("(.u.sub[`;`];`.u `i`L)"), RDB, BOTH),
    "text, pair of one": (text("(.u.sub[`trade;`];.u `i`L)"),
                          response(body(SUB_TRADE), NO_JOURNAL), ("trade",)),
    "text, two statements": (text(".u.sub[`quote;`];.u.sub[`trade;`]"),
                             SUB_TRADE, BOTH),
    "text, nested": (text("((.u.sub[`quote;`];.u.sub[`trade;`]);.u `i`L)"),
                     RDB, BOTH),
    "vector, all": (q(sym(".u.sub"), sym(""), sym("")), SUB_ALL, BOTH),
    "vector, one": (q(sym(".u.sub"), sym("trade"), sym("")), SUB_TRADE, ("trade",)),
    "list, all": (lst(sym(".u.sub"), sym(""), sym("")), SUB_ALL, BOTH),
    "list, one": (lst(sym(".u.sub"), sym("trade"), sym("")), SUB_TRADE, ("trade",)),
    "text name, all": (lst(text(".u.sub"), sym(""), sym("")), SUB_ALL, BOTH),
    "text name, one": (lst(text(".u.sub"), sym("trade"), sym("")), SUB_TRADE,
                       ("trade",)),
}


def publish_both(feed, client, tables):
    """One update of each table; the client gets just those of `tables`."""
    assert feed.update("trade", trade(5)) == NIL
    assert feed.update("quote", quote(6)) == NIL
    if "trade" in tables:
        assert client.read_frame() == published("trade", trade(5).items)
    if "quote" in tables:
        assert client.read_frame() == published("quote", quote(6).items)
    client.expect_silence()


@pytest.mark.parametrize("form", SUBSCRIPTIONS)
def test_subscription_form(start, connect, form):
    """Protects unmodified clients: each spelling gets the exact bytes that
    tick.q replies with, in either byte order of the request, and then the
    stream; asked asynchronously (node-q, the C API) it gets no reply, and the
    first frame is an update."""
    daemon = start()
    asked, reply, tables = SUBSCRIPTIONS[form]
    feed = connect(daemon)
    for big in (False, True):
        client = connect(daemon)
        assert client.ask_raw(kdb.frame(asked, kdb.SYNC, big=big)) == reply
        publish_both(feed, client, tables)
        client.close()
        client = connect(daemon)
        client.send(kdb.frame(asked, kdb.ASYNC, big=big))
        # No message tells when an asynchronous request is done; a later request
        # on the same connection is answered after it.
        client.expect_silence()
        publish_both(feed, client, tables)


def test_vectors_of_requests(start, connect):
    """Protects the same with the frames captured from real clients."""
    daemon = start()
    expected = {
        "sub_str_all": SUB_ALL, "sub_str_tbl": SUB_TRADE, "sub_str_rdb": RDB,
        "sub_symvec_all": SUB_ALL, "sub_symvec_tbl": SUB_TRADE,
        "sub_strfn_all": SUB_ALL, "sub_strfn_tbl": SUB_TRADE,
        "sync_empty_string": NIL_REPLY,
    }
    for name, reply in expected.items():
        assert connect(daemon).ask_raw(VECTORS[name]) == reply, name


def test_one_table_tickerplant(start, connect):
    """Protects the rule that "all" is a list of pairs even if it is one."""
    daemon = start({"schema": {"tables": [TRADE]}})
    client = connect(daemon)
    assert client.ask_raw(VECTORS["sub_str_all"]) == VECTORS["reply_sub_all_onetable"]
    assert client.ask_raw(VECTORS["sub_str_rdb"]) == VECTORS["reply_rdb_nolog"]
    assert client.ask_raw(VECTORS["sub_str_tbl"]) == SUB_TRADE
    assert client.sync(".u.t") == syms("trade")


def test_tables_are_in_alphabetical_order(start, connect):
    """Protects the order of `.u.sub[`;`]`, which is not the schema's."""
    for tables in ([TRADE, QUOTE], [QUOTE, TRADE]):
        daemon = start({"schema": {"tables": tables}})
        assert connect(daemon).ask_raw(VECTORS["sub_str_all"]) == SUB_ALL


def test_unknown_table(start, connect):
    """Protects clients that look at the error's text: it is the table's name
    and nothing else, and an asynchronous request gets none."""
    daemon = start()
    client = connect(daemon)
    for asked in (text(".u.sub[`foo;`]"), q(sym(".u.sub"), sym("foo"), sym("")),
                  lst(text(".u.sub"), sym("foo"), sym(""))):
        reply = client.ask_raw(kdb.frame(asked, kdb.SYNC))
        assert reply == VECTORS["reply_error_tbl"]
        client.async_(asked)
        client.expect_silence()


def test_odd_table_names_in_errors(start, connect):
    """Protects the same for names that are no words: the error is the name,
    byte for byte."""
    daemon = start()
    client = connect(daemon)
    for name in (b"a b", b"x=\"y\"", "tr\u00e4de".encode(), b"t" * 100):
        assert client.subscribe(name) == Error(name)
        assert client.update(name, trade(1)) == Error(name)


@pytest.mark.parametrize("name", ["sub_str_tbl_syms", "sub_list_tbl_syms",
                                  "sub_strfn_tbl_syms", "sub_symvec_tbl_sym"])
def test_filters_in_each_form(start, connect, name):
    """Protects subscribers to some symbols, in each form of the request: they get
    the rows of these symbols and no others."""
    daemon = start()
    client, feed = connect(daemon), connect(daemon)
    assert client.ask_raw(VECTORS[name]) == SUB_TRADE
    wanted = [one for one in ("MSFT.O", "IBM.N") if one.encode() in VECTORS[name]]
    assert wanted
    for symbol in ("MSFT.O", "A", "IBM.N", ""):
        assert feed.update("trade", trade(1, 2, symbol)) == NIL
        if symbol in wanted:
            assert client.read_frame() == published("trade", trade(1, 2, symbol).items)
    client.expect_silence()


def test_a_refused_subscription_leaves_the_old_one(start, connect):
    """Protects a running subscriber from its own later mistake."""
    daemon = start()
    client, feed = connect(daemon), connect(daemon)
    client.subscribe("trade")
    assert client.sync(".u.sub[`trade;1]") == Error(b"type")
    assert client.subscribe("foo") == Error(b"foo")
    feed.update("trade", trade(1))
    assert client.read_frame() == published("trade", trade(1).items)


def test_resubscription_replaces(start, connect):
    """Protects against doubled updates: subscribing again to a table replaces
    its subscription, other tables stay (u.q: del, then add, per table)."""
    daemon = start()
    client, feed = connect(daemon), connect(daemon)

    for name, tables in (("trade", "trade"), ("trade", "trade"), ("quote", BOTH),
                         ("", BOTH), ("", BOTH), ("trade", BOTH)):
        client.subscribe(name)
        publish_both(feed, client, tables)


def test_variables(start, connect):
    """Protects monitors and RDBs that read .u's variables in any spelling."""
    daemon = start()
    client = connect(daemon)
    assert client.sync(".u `i`L") == client.sync("`.u `i`L") == lst(NIL, NIL)
    assert client.sync("(.u `i`L)") == lst(NIL, NIL)
    date = client.sync(".u.d")
    assert isinstance(date, kdb.Atom) and date.type == kdb.TYPE_OF["d"]
    assert client.sync(sym(".u.d")) == date
    tables = client.sync(".u.t")
    assert tables.items == (b"quote", b"trade") and tables.attr in (0, 1)
    assert client.sync(sym(".u.t")) == tables
    for name in (".u.i", ".u.L", ".u.l"):
        client.sync(name)  # an answer, whatever it is without a journal
    assert client.sync("") == NIL


LAMBDAS = [
    Lambda(b"", text("{(.u.i;.u.L;.u.sub[;`] each x)}")),
    Lambda(b"sub", text("{@[value;`tptype;`standard]}")),
]


def test_unknown_things_get_an_error(start, connect):
    """Protects the connection and the other clients from anything that the
    subset of q does not know: an error, and they continue."""
    daemon = start()
    client = connect(daemon)
    asked = [
        "foo", "foo[1;2]", ".foo.bar", ".u.nothing", ".u.nothing[`a;1]", "1+", "{x}",
        "{x}[1]", "((((((", "))))", "[", "]", "`", "\"", "\\", "a:1", "system\"ls\"",
        "\\ls", "exit 0", ".u.sub", ".u.sub[", ".u.sub[`trade", ".u.sub[`trade;`",
        ".u.sub[`trade;`;`;`]", "(" * 4000 + ")" * 4000, "x" * 50000, "\0\1\2",
        "é", ";" * 5000, ".u.sub[" * 3000, "`a" * 30000, "9" * 5000,
        NIL, sym("foo"), sym(""), syms(), syms("foo", "a"), lst(), lst(sym("foo"), NIL),
        lst(text("foo"), NIL), kdb.vec("j", [1, 2]), kdb.atom("j", 3),
        lst(kdb.atom("j", 1), sym("a")), lst(NIL, NIL), kdb.table("a", kdb.vec("j", [1])),
        kdb.Dict(syms("a"), kdb.vec("j", [1])), lst(lst(sym(".u.sub")), NIL),
        lst(LAMBDAS[0], syms("trade", "quote")), lst(LAMBDAS[1], sym("")), *LAMBDAS,
        lst(sym(".u.sub"), syms("trade", "quote"), sym("")),
        lst(sym(".u.sub"), text("trade"), sym("")),
        lst(sym(".u.sub"), kdb.atom("j", 1), sym("")),
        syms(".u.sub"), syms(".u.sub", "trade"), syms(".u.sub", "trade", "", "", ""),
        lst(sym(".u.upd")), lst(sym(".u.upd"), sym("trade")),
        kdb.Compound(104, (kdb.Primitive(102, 1), kdb.atom("j", 1))),
    ]
    for one in asked:
        value = text(one) if isinstance(one, str) else one
        client.sync(value)
        client.async_(value)
        client.expect_silence()
    assert client.ask_raw(VECTORS["sub_str_all"]) == SUB_ALL


@pytest.mark.parametrize("asked, error", [
    ("foo", b"foo"), ("foo[1]", b"foo"), (".foo.bar[`a]", b".foo.bar"),
    (sym("foo"), b"foo"), (lst(sym("foo"), NIL), b"foo"),
    (lst(text("foo"), NIL), b"foo"), (syms("foo", "bar"), b"foo"),
    (syms(".u.sub", "trade", "", ""), b"rank"),
    (".u.sub[`trade;`;`]", b"rank"),
    (lst(sym(".u.upd"), sym("trade"), NIL, NIL), b"rank"),
])
def test_error_texts(start, connect, asked, error):
    """Protects the readers of errors: errors have the names that q gives them."""
    daemon = start()
    client = connect(daemon)
    assert client.sync(asked) == Error(error)


@pytest.mark.parametrize("asked", [
    ".[.u.upd;(`trade;1);{x}]", "@[{.u.upd[`trade;x]};1;`e]", "@[.u.endofday;();{x}]",
    "@[{@[.u.endofday;();{x}]};0;{x}]", "@[.ringtick.reload;();{x}]",
    "@[{.[.u.sub;(`trade;`);0];.u.upd[`trade;x]};1;{x}]"])
@pytest.mark.usefixtures("many_days")
def test_what_waits_under_a_trap(start, connect, asked):
    """Protects the daemon: what a trapped call waits for, be it only its turn, is not
    taken back with the call's effects."""
    daemon = start()
    client = connect(daemon)
    assert client.sync(asked) is not None
    client.async_(asked)
    assert client.sync("") == NIL
    client.async_(lst(text("{.[.u.upd;(x;y);{x}]}"), sym("trade"), trade(1, 1)))
    sub = connect(daemon)
    sub.subscribe()
    assert client.sync(lst(text("{.[.u.upd;(x;y);{x}]}"), sym("trade"), trade(2, 1))) == NIL
    assert sub.read_frame() == published("trade", trade(2, 1).items)


def test_pipelined_requests_are_answered_in_order(start, connect, mode):
    """Protects clients that do not wait between requests: 20,000 of them get
    20,000 answers, each its own, in order."""
    daemon = start({"engine": {"mode": mode}})
    client = connect(daemon)
    n = 20000
    said = b"".join(kdb.frame(sym("name%d" % i), kdb.SYNC) for i in range(n))
    sender = threading.Thread(target=client.send, args=(said,))
    sender.start()
    for i in range(n):
        expected = kdb.frame(Error(b"name%d" % i), kdb.RESPONSE)
        assert client.reader.next() == expected
    sender.join()


def test_who_does_not_read_answers_is_not_read(start, connect):
    """Protects memory: a client that asks and never reads is held back by its
    own socket, while the others are served."""
    daemon = start({"connections": {"send_buffer": "16K"}})
    rude, other = connect(daemon, receive_buffer=4096), connect(daemon)
    before = daemon.memory("RssAnon")
    rude.sock.settimeout(2)
    said = kdb.frame(".u.sub[`;`]", kdb.SYNC) * 4000
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 200 << 20:
            sent += rude.sock.send(said)
    assert other.sync("") == NIL
    assert daemon.memory("RssAnon") - before < 2 << 20
    rude.sock.settimeout(20)
    # It is alive all the same: what it asked is answered as soon as it reads.
    assert rude.reader.next()[8:] == body(SUB_ALL)


def test_response_comes_before_the_first_update(start, connect, mode):
    """Protects clients that take the first frame for the answer (k() of the C
    API and of Java do): true even while a publisher runs at full speed; and
    the stream after it begins at an update and has no gap."""
    daemon = start({"engine": {"mode": mode}, "slow": {"policy": "block"}})
    flood = Flood(connect(daemon), Template(50))
    feed_length = len(published("trade", trade(0, 50).items))
    for turn in range(40):
        client = connect(daemon)
        client.send(kdb.frame(".u.sub[`;`]" if turn % 2 else ".u.sub[`trade;`]",
                              kdb.SYNC))
        assert client.reader.next() == (SUB_ALL if turn % 2 else SUB_TRADE)
        last = None
        for _ in range(50):
            got = client.reader.next()
            assert len(got) == feed_length
            size = int.from_bytes(got[-8:], "little")
            assert last is None or size == last + 50
            last = size
        client.close()
    flood.halt()


def test_requests_between_updates_keep_their_order(start, connect, mode):
    """Protects invariant 4: a reply comes after everything that was published
    before its request, and never inside a frame."""
    daemon = start({"engine": {"mode": mode}})
    client, feed = connect(daemon), connect(daemon)
    client.subscribe()
    for i in range(300):
        feed.update("trade", trade(i))
        client.send(kdb.frame(sym("q%d" % i), kdb.SYNC))
        assert client.reader.next() == published("trade", trade(i).items)
        assert client.reader.next() == kdb.frame(Error(b"q%d" % i), kdb.RESPONSE)
        if i % 50 == 0:
            assert client.ask_raw(VECTORS["sub_str_all"]) == SUB_ALL


def test_own_updates_come_back(start, connect):
    """Protects a client that publishes and subscribes on one connection: the
    answer comes first or the update, but both whole and once."""
    daemon = start()
    client = connect(daemon)
    client.subscribe()
    for i in range(100):
        assert client.update("trade", trade(i)) == NIL
        assert client.read_frame() == published("trade", trade(i).items)
    client.expect_silence()
