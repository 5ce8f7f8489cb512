"""The thread is everybody's: what one client has to do stands behind the others,
and what one request may cost ends."""

import select

import kdb
from kdb import text
from traffic import published, trade

# A list of 128, eight times looked up in itself: nearly as much as one may ask.
DEAR = "{(%s)}%s1 2" % (";".join(["x in x"] * 8), "{x,x}" * 6)
ASYNC_DEAR = kdb.frame(text(DEAR), kdb.ASYNC)
HEAP_CNT = 800


def has_answer(client):
    return bool(select.select([client.sock], [], [], 0)[0])


def test_a_heap_of_requests(start, connect, mode):
    """Protects a feed and a subscriber from clients that send a receive buffer
    full of dear requests in one go: those wait for their turns, all others
    are served meanwhile."""
    daemon = start({"engine": {"mode": mode}})
    feed, sub = connect(daemon), connect(daemon)
    hogs = [connect(daemon) for _ in range(2)]
    sub.subscribe()
    for hog in hogs:
        hog.send(ASYNC_DEAR * HEAP_CNT + kdb.frame(text(".u.d"), kdb.SYNC))
    for n in range(10):
        assert feed.update("trade", trade(n)) == kdb.NIL
        assert sub.read_frame() == published("trade", trade(n).items)
    assert not any(has_answer(hog) for hog in hogs), "all was done in between"
    for hog in hogs:  # nothing is lost, and the order is kept
        assert kdb.decode(hog.read_response()[8:]).value > 0
    assert daemon.summary().number("turn_waits") >= HEAP_CNT


def test_turns_and_the_end_of_a_client(start, connect, mode):
    """Protects the queue of those who go on in the next turn: whoever leaves it,
    by closing or by sending rubbish, leaves the others in it."""
    daemon = start({"engine": {"mode": mode}})
    hogs = [connect(daemon) for _ in range(4)]
    for hog in hogs[:3]:
        hog.send(ASYNC_DEAR * 100)
    hogs[3].send(ASYNC_DEAR * 20 + bytes(8))
    hogs[0].close()
    hogs[1].close()
    assert connect(daemon).sync(".u.d").value > 0
    daemon.wait_log("disconnect", reason="bad_frame")
    hogs[2].send(kdb.frame(text(".u.d"), kdb.SYNC))
    assert kdb.decode(hogs[2].read_response()[8:]).value > 0
