"""What people and monitors ask a running tickerplant: who is subscribed, what
waits, what the tables are."""

import kdb
from filters import ask
from kdb import Dict, atom, lst, sym, syms, vec
from spill import WINDOW, wait_stuck
from traffic import Template


def handle(client):
    """Its number, which the daemon chose."""
    return client.sync(".z.w")


NAMES = syms("quote", "trade")


def test_subscribers(start, connect):
    """Protects .u.w: by table the handle and filter of each who is subscribed, `
    for all."""
    daemon = start()
    a, b, c = (connect(daemon) for _ in range(3))
    assert a.sync(".u.w") == Dict(NAMES, lst(lst(), lst()))
    a.subscribe()
    b.sync(ask("trade", ("IBM",)))
    c.sync(ask("quote", ()))
    hands = [handle(one) for one in (a, b, c)]
    assert len({one.value for one in hands}) == 3 and hands[0].type == 6
    assert a.sync(".u.w") == Dict(NAMES, lst(
        lst(lst(hands[0], sym("")), lst(hands[2], syms())),
        lst(lst(hands[0], sym("")), lst(hands[1], syms("IBM")))))
    assert a.sync(".u.w`quote") == lst(lst(hands[0], sym("")), lst(hands[2], syms()))
    assert a.sync("count .u.w`trade") == atom("j", 2)
    b.sync(lst(sym(".u.del"), sym("trade"), hands[1]))
    c.close()
    daemon.wait_log("disconnect", peer=c.name)
    assert a.sync(".u.w") == Dict(NAMES, lst(
        lst(lst(hands[0], sym(""))), lst(lst(hands[0], sym("")))))
    assert b.sync(lst(sym(".u.del"), sym("trade"), hands[0])) == kdb.Error(b"access")


def test_del_takes_the_table_away(start, connect, mode):
    """Protects .u.del of one's own handle: nothing of that table comes any more,
    the others go on."""
    daemon = start({"engine": {"mode": mode}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()
    template = Template(1)
    feed.send(template.make(1))
    feed.sync("")
    assert sub.read_frame()
    assert sub.sync(".u.del[`trade;.z.w]") == kdb.NIL
    feed.send(template.make(2))
    feed.sync("")
    sub.expect_silence()
    assert sub.sync(".u.del[`quote;.z.w]") == kdb.NIL
    assert sub.sync(".u.del[`foo;.z.w]") == kdb.Error(b"foo")
    daemon.wait_log("subscribe", peer=sub.name, tables="-")


def test_queues(start, connect):
    """Protects .z.W, by which monitors find who is slow: the bytes that wait for
    each handle."""
    daemon = start({"ring": {"size": "4M"}, "connections": {"send_buffer": "64K"}})
    feed, slow = connect(daemon), connect(daemon, user="slow", receive_buffer=WINDOW)
    number = handle(slow)
    assert feed.sync(".z.W") == Dict(
        kdb.Vector(6, handle(feed).raw + number.raw), vec("j", [0, 0]))
    slow.subscribe()
    feed.send(Template(1000).make(0) * 60)
    feed.sync("")
    lag = wait_stuck(daemon, "slow").number("lag_bytes")
    found = feed.sync(".z.W")
    assert found.values.values[1] == lag > 0
    assert feed.sync("sum .z.W") == atom("j", lag)
