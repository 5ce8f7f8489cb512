"""One total order (invariant 6)."""

import hashlib
import threading

import kdb
import pytest
from traffic import published, quote, trade, update


@pytest.mark.parametrize("caps", [{}, {"span_max": "4K", "in_flight_max": "64K"}],
                         ids=["usual", "small caps"])
def test_many_feeds_one_order(start, connect, mode, caps):
    """Protects the one promise that makes replicas equal: 4 publishers at full
    speed, 8 subscribers, and all 8 see the same bytes in the same order, every
    update once, each publisher's in the order it sent them."""
    daemon = start({"engine": {"mode": mode, **caps}, "slow": {"policy": "block"}})
    each, feeds_cnt, subs_cnt = 2500, 4, 8
    subs = [connect(daemon, unix=i % 4 == 3) for i in range(subs_cnt)]
    for sub in subs:
        sub.subscribe()
    feeds = [connect(daemon, unix=i % 2 == 1) for i in range(feeds_cnt)]

    def publish(i):
        for n in range(each):
            make, name = ((trade, "trade"), (quote, "quote"))[n * (i + 3) % 5 % 2]
            data = update(name, make(n, 1 + n * (i + 1) % 13, "feed%d" % i),
                          big=n % 7 == 3)
            if n % 11 == 5:
                data = kdb.compress(data, force=True)
            feeds[i].send(data)

    digests, counts = [None] * subs_cnt, [0] * subs_cnt
    orders = [[] for _ in range(feeds_cnt)]
    failures = []

    def collect(i):
        try:
            digest = hashlib.sha256()
            for _ in range(feeds_cnt * each):
                got = subs[i].read_frame()
                digest.update(got)
                counts[i] += 1
                if i == 0:
                    columns = kdb.decode_frame(got)[1].items[2].columns.items
                    feed = int(columns[1].items[0][4:])
                    orders[feed].append(columns[-1].values[0])
            digests[i] = digest.hexdigest()
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=publish, args=(i,)) for i in range(feeds_cnt)]
    threads += [threading.Thread(target=collect, args=(i,)) for i in range(subs_cnt)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    assert not failures and counts == [feeds_cnt * each] * subs_cnt, (failures, counts)
    assert len(set(digests)) == 1 and digests[0] is not None
    assert orders == [list(range(each))] * feeds_cnt
    for sub in subs:
        sub.expect_silence()


def test_order_across_the_seam(start, connect, mode):
    """Protects the ring's seam: with the smallest ring, tens of laps of messages
    of all lengths arrive as they were sent, byte for byte."""
    daemon = start({"ring": {"size": "64K"}, "streams": {"ring": "64K"},
                    "connections": {"receive_buffer": "16K"},
                    "engine": {"mode": mode}, "slow": {"policy": "block"}})
    feed, sub, some = connect(daemon), connect(daemon), connect(daemon, unix=True)
    sub.subscribe()
    some.subscribe("quote")
    turns = 3000

    def publish():
        for n in range(turns):
            feed.send(update("trade", trade(n, n * n % 97)))
            feed.send(update("quote", quote(n, 1 + n % 211)))
    sender = threading.Thread(target=publish)
    sender.start()
    failures = []

    def filtered():
        try:
            for n in range(turns):
                assert some.read_frame() == published(
                    "quote", quote(n, 1 + n % 211).items), n
        except Exception as failure:
            failures.append(failure)
    other = threading.Thread(target=filtered)
    other.start()
    for n in range(turns):
        if n * n % 97:
            assert sub.read_frame() == published("trade", trade(n, n * n % 97).items), n
        assert sub.read_frame() == published("quote", quote(n, 1 + n % 211).items), n
    sender.join(60)
    other.join(60)
    assert not failures, failures
    sub.expect_silence()
