"""All clients share one thread: a client that has used its part waits for the
others, and the cost of one request has a limit."""


import kdb
from kdb import text
from traffic import published, trade, update

# A list of 128, eight times looked up in itself: nearly as much as one may ask.
DEAR = "{(%s)}%s1 2" % (";".join(["x in x"] * 8), "{x,x}" * 6)
ASYNC_DEAR = kdb.frame(text(DEAR), kdb.ASYNC)
HEAP_CNT = 2000  # what fits into a receive buffer of 256K


def test_a_heap_of_requests(start, connect, mode):
    """Protects a feed and a subscriber from clients that send a receive buffer
    full of expensive requests in one go: those wait for their turns, all others
    are served meanwhile.  An update after each heap shows in the stream when the
    heap was done; if a heap is done as it is received, there are no ten round
    trips in between.  A test that had no CPU meanwhile tries again."""
    daemon = start({"engine": {"mode": mode},
                    "connections": {"receive_buffer": "256K"}})
    feed, sub = connect(daemon), connect(daemon)
    hogs = [connect(daemon) for _ in range(2)]
    sub.subscribe()
    done = published("trade", trade(-1).items)
    for heaps in range(1, 21):
        for hog in hogs:
            hog.send(ASYNC_DEAR * HEAP_CNT + update("trade", trade(-1)))
        served = []
        for n in range(10):
            assert feed.update("trade", trade(n)) == kdb.NIL
            served.append(sub.read_frame())
        while len(served) < 10 + len(hogs):
            served.append(sub.read_frame())
        if done not in served[:10]:
            break
    assert served == [*(published("trade", trade(n).items) for n in range(10)),
                      done, done], "all was done in between"
    for hog in hogs:  # nothing is lost
        assert hog.sync(".u.d").value > 0
    assert daemon.summary().number("turn_waits") >= heaps * HEAP_CNT


def test_turns_and_the_end_of_a_client(start, connect, mode):
    """Protects the queue of clients that continue in the next turn: a client that
    leaves it, by closing or by sending rubbish, leaves the others in it."""
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


def test_dear_where_every_turn_is_full(start, connect):
    """Protects a client with one expensive request from many that fill every turn
    with cheap ones: its request does not wait until they have nothing more to do."""
    daemon = start({"engine": {"mode": "direct"},
                    "connections": {"receive_buffer": "256K"}})
    sub, one = connect(daemon), connect(daemon)
    sub.subscribe()
    hogs = [connect(daemon) for _ in range(24)]
    heap = kdb.frame(text("(1;2;3;4)"), kdb.ASYNC) * 4000
    daemon.pause()
    for n, hog in enumerate(hogs, 1):
        hog.send(heap + update("trade", trade(n)))
    one.send(ASYNC_DEAR + update("trade", trade(0)))
    daemon.resume()
    served = [sub.read_frame() for _ in range(1 + len(hogs))]
    assert served[0] == published("trade", trade(0).items)
