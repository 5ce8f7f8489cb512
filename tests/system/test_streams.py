"""Subscriptions to some of the tables: filtered streams, shared and limited."""

import kdb
import pytest
from kdb import NIL, Error, sym
from traffic import Account, Flood, Reader, Template, published, quote, trade, update

MANY = [{"name": "t%02d" % i, "columns": ["time timespan", "sym symbol", "n long"]}
        for i in range(20)]
COLUMNS = "time sym n"


def row(n):
    return kdb.lst(kdb.vec("n", [1]), kdb.syms("a"), kdb.vec("j", [n]))


def frame_of(name, n):
    return published(name, row(n).items, COLUMNS)


def test_each_gets_its_tables_in_the_common_order(start, connect, mode):
    """Protects selections: a subscriber to some tables sees exactly their
    updates, byte for byte as the one who sees all, in the same order."""
    daemon = start({"schema": {"tables": MANY}, "streams": {"max": 6},
                    "engine": {"mode": mode}})
    feed = connect(daemon)
    selections = [[""], ["t00"], ["t00"], ["t19"], ["t03", "t07"], ["t07", "t03"],
                  ["t%02d" % i for i in range(19)]]
    subs = []
    for tables in selections:
        sub = connect(daemon)
        for name in tables:
            assert not isinstance(sub.subscribe(name), Error), tables
        subs.append(sub)
    sent = []
    for n in range(3000):
        name = "t%02d" % (n * 7919 % 23 % 20)
        sent.append((name, frame_of(name, n)))
        feed.send(update(name, row(n)))
    feed.sync("")
    for tables, sub in zip(selections, subs):
        for name, expected in sent:
            if tables == [""] or name in tables:
                assert sub.read_frame() == expected
        sub.expect_silence()


def test_streams_run_out(start, connect):
    """Protects memory: distinct selections are limited, one more is refused
    with 'streams and disturbs no one; equal ones share a stream; a stream without
    readers is free again."""
    daemon = start({"schema": {"tables": MANY}, "streams": {"max": 2}})
    feed = connect(daemon)
    first, second = connect(daemon), connect(daemon)
    assert first.subscribe("t00").items[0] == sym("t00")
    assert second.subscribe("t01").items[0] == sym("t01")
    third = connect(daemon)
    assert third.subscribe("t02") == Error(b"streams")
    third.async_(kdb.q(sym(".u.sub"), sym("t03"), sym("")))
    third.expect_silence()
    assert third.subscribe("t00").items[0] == sym("t00")  # shared
    everything = connect(daemon)
    assert len(everything.subscribe("")) == len(MANY)  # needs none

    def check(expected):
        for n, name in enumerate(("t00", "t01", "t02")):
            assert feed.update(name, row(n)) == NIL
        for sub, names in expected.items():
            for name in names:
                assert sub.read_frame() == frame_of(name, int(name[1:]))
            sub.expect_silence()
    check({first: ["t00"], second: ["t01"], third: ["t00"],
           everything: ["t00", "t01", "t02"]})

    second.close()
    daemon.wait_log("disconnect", peer=second.name)
    fourth = connect(daemon)
    assert fourth.subscribe("t02").items[0] == sym("t02")
    check({first: ["t00"], third: ["t00"], fourth: ["t02"],
           everything: ["t00", "t01", "t02"]})
    # A shared one stays until its last reader has gone.
    first.close()
    daemon.wait_log("disconnect", peer=first.name)
    fifth = connect(daemon)
    assert fifth.subscribe("t01") == Error(b"streams")
    third.close()
    daemon.wait_log("disconnect", peer=third.name)
    assert fifth.subscribe("t01").items[0] == sym("t01")
    check({fourth: ["t02"], fifth: ["t01"], everything: ["t00", "t01", "t02"]})


def test_no_streams_at_all(start, connect):
    """Protects the setting streams.max = 0: everything or nothing."""
    daemon = start({"streams": {"max": 0}})
    client = connect(daemon)
    assert client.subscribe("trade") == Error(b"streams")
    assert len(client.subscribe("")) == 2


def test_changing_the_selection_loses_nothing(start, connect, mode):
    """Protects a subscriber that adds a table while updates fly: what it had
    continues without gap or double across each change (invariant 4)."""
    daemon = start({"engine": {"mode": mode}, "slow": {"policy": "block"}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe("trade")
    flood = Flood(feed, Template(1), limit=20000)
    account = Account(1)
    expected_quote = len(published("quote", quote(0).items))
    changes = 0
    while account.next < 20000:
        got = sub.reader.next()
        if got[1] == kdb.RESPONSE or len(got) == expected_quote:
            continue
        account(got)
        if account.next % 1000 == 500:
            name = ("quote", "", "trade")[changes % 3]
            sub.send(kdb.frame(kdb.q(sym(".u.sub"), sym(name), sym("")), kdb.SYNC))
            changes += 1
    assert flood.finish() == 20000 and account.gaps == [] and changes >= 10
    assert account.received == 20000


@pytest.mark.parametrize("policy", ["disconnect", "skip", "block"])
def test_a_slow_reader_of_a_filtered_stream(start, connect, policy, mode):
    """Protects the main stream and its readers from the laggard of a filtered
    one: the policy applies to it alone, the others get everything."""
    daemon = start({"ring": {"size": "1M"}, "streams": {"ring": "256K"},
                    "message": {"max": "32K"},
                    "connections": {"send_buffer": "256K", "receive_buffer": "32K"},
                    "slow": {"policy": "block", "block_limit": "400ms"},
                    "auth": {"rights": [{"user": "lazy", "policy": policy}]},
                    "engine": {"mode": mode}})
    feed = connect(daemon)
    lazy = connect(daemon, user="lazy", receive_buffer=8192)
    lazy.subscribe("trade")
    fast = connect(daemon, user="fast")
    fast.subscribe("")
    other = connect(daemon, user="fast")
    other.subscribe("trade")
    limit = 6000
    readers = [Reader(one, Account(100, last=limit - 1)) for one in (fast, other)]
    Flood(feed, Template(100), limit=limit).finish()
    for reader in readers:
        reader.finish()
        assert reader.ended == "done" and reader.on_frame.gaps == []
        assert reader.on_frame.received == limit
    if policy == "skip":
        line = [one for one in daemon.consumers() if one["user"] == "lazy"][0]
        assert line.number("skips") >= 1
    else:
        daemon.wait_log("disconnect", user="lazy",
                        reason={"disconnect": "slow",
                                "block": "slow_block"}[policy])


def test_joining_a_stream_that_is_behind(start, connect, mode):
    """Protects invariants 4 and 5 if a filtered stream lags because a slow reader
    holds it: a client that joins it gets nothing older than its request, and an
    answer to the slow one comes after every update accepted before."""
    daemon = start({"streams": {"ring": "256K"}, "ring": {"size": "4M"},
                    "connections": {"send_buffer": "256K", "receive_buffer": "64K"},
                    "slow": {"policy": "block", "block_limit": "30s"},
                    "engine": {"mode": mode}})
    lazy = connect(daemon, user="lazy", receive_buffer=65536)
    lazy.subscribe("trade")
    each = 5000  # of 4 feeds: one turn takes more from them than the ring has left
    floods = [Flood(connect(daemon), Template(20, symbol="feed%d" % i), limit=each)
              for i in range(4)]
    daemon.wait_log("consumer", user="lazy", state="holding")
    accepted = daemon.summary().number("in_records")
    assert daemon.summary().number("in_records") == accepted < 4 * each
    lazy.send(kdb.frame(sym("q"), kdb.SYNC))
    late = connect(daemon)
    late.send(kdb.frame(kdb.q(sym(".u.sub"), sym("trade"), sym("")), kdb.SYNC))
    last = published("trade", trade(1).items)
    everything, rest, answers = [], [], []

    def into(frames):
        def take(frame):
            if frame[1] == kdb.RESPONSE:
                answers.append((len(frames), kdb.decode(frame[8:])))
                return False
            frames.append(hash(frame))
            return frame == last
        return take
    reader = Reader(lazy, into(everything))
    assert late.reader.next()[1] == kdb.RESPONSE
    follower = Reader(late, into(rest))
    for flood in floods:
        flood.finish()
        assert flood.client.sync("") == NIL
    assert connect(daemon).update("trade", trade(1)) == NIL
    reader.finish()
    follower.finish()
    assert len(everything) == 4 * each + 1
    (place, answer), = answers
    assert answer == Error(b"q") and place >= accepted
    assert rest == everything[-len(rest):] and len(rest) <= 4 * each + 1 - accepted
