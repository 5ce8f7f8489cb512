"""Slow consumers: they harm themselves only, and memory does not grow."""

import random
import socket
import struct
import threading
import time

import kdb
import pytest
from kdb import NIL
from traffic import (Account, Flood, Reader, Template, published, sizes_of, trade,
                     update)

ROWS = 400  # an update of about 12 KB
# A send buffer below a few of loopback's 64 KiB segments would make each of
# them wait for a delayed acknowledgement: 1 MB/s for any reader.
SMALL = {"ring": {"size": "4M"}, "message": {"max": "64K"},
         "connections": {"send_buffer": "256K"}}
MEMORY_SLACK = 2 << 20


def small(mode, users=(), **slow):
    return {**SMALL, "engine": {"mode": mode}, "slow": slow, "auth": {"rights": list(users)}}


def users(**policies):
    return [{"user": user, "policy": policy} for user, policy in policies.items()]


def consumer_of(daemon, user):
    found = [line for line in daemon.consumers() if line["user"] == user]
    assert len(found) == 1, (user, found)
    return found[0]


def finish_with(feed, sent, reader, rows=ROWS):
    """Publishes single further updates until the reader has caught up with the
    last one; the number of all that were sent.  A laggard may be moved past
    any single update, but not past one that comes when it has no lag."""
    template = Template(rows, kind=kdb.SYNC)
    for _ in range(100):
        reader.on_frame.last = sent
        assert feed.ask_raw(template.make(sent * rows))[8:] == b"\x65\0"
        sent += 1
        reader.join(0.3)
        if not reader.is_alive():
            break
    reader.finish(1)
    return sent


def test_disconnect(start, connect, mode):
    """Protects the others by the policy disconnect: a consumer that never reads is
    disconnected when its lag passes the mark, named in the log; the fast one gets
    all."""
    daemon = start(small(mode, policy="disconnect", users=users(fast="block")))
    feed = connect(daemon)
    lazy = connect(daemon, user="lazy", receive_buffer=8192)
    lazy.subscribe()
    fast = connect(daemon, user="fast")
    fast.subscribe()
    reader = Reader(fast, Account(ROWS, last=999))
    Flood(feed, Template(ROWS), limit=1000).finish()
    reader.finish()
    assert reader.on_frame.gaps == [] and reader.on_frame.received == 1000
    line = daemon.wait_log("disconnect", user="lazy", reason="slow")
    assert line["peer"] == lazy.name
    # What it still gets is whole messages in order, but for the last.
    account = Account(ROWS)
    rest = Reader(lazy, account).finish()
    assert rest.ended in ("fin", "rst") and account.gaps == []
    assert account.received < 1000


def test_skip_counts_exactly(start, connect, mode):
    """Protects the policy skip: the laggard misses whole messages only, and
    exactly as many as the log says."""
    daemon = start(small(mode, policy="disconnect",
                         users=users(lazy="skip", fast="block")))
    feed = connect(daemon)
    lazy = connect(daemon, user="lazy", receive_buffer=65536)
    lazy.subscribe()
    fast = connect(daemon, user="fast")
    fast.subscribe()
    quick = Reader(fast, Account(ROWS, last=1999))
    Flood(feed, Template(ROWS), limit=2000).finish()
    quick.finish()
    assert quick.on_frame.gaps == []
    slow = Reader(lazy, Account(ROWS))  # only now does it begin to read
    sent = finish_with(feed, 2000, slow)
    line = consumer_of(daemon, "lazy")
    account = slow.on_frame
    assert account.missing > 0 and account.received + account.missing == sent
    assert line.number("skipped") == account.missing
    assert line.number("skips") >= len(account.gaps) >= 1
    assert daemon.summary().number("skipped_records") == account.missing


def test_skip_again_and_again(start, connect, mode):
    """Protects the same over many skips, with a reader that stops and goes and
    updates of many sizes: only whole frames, order kept, account exact."""
    daemon = start({**small(mode, policy="skip"),
                    "ring": {"size": "256K"}, "message": {"max": "16K"},
                    "streams": {"ring": "256K"},
                    "connections": {"send_buffer": "128K", "receive_buffer": "16K"}})
    feed, lazy = connect(daemon), connect(daemon, user="lazy", receive_buffer=65536)
    lazy.subscribe()
    rng = random.Random(7)
    halt, done = threading.Event(), threading.Event()
    numbers = {"sent": 0, "failure": None}

    def publish():
        """As fast as it goes; when halted, now and then until done: who has
        just been moved past all that came has to see an end."""
        try:
            while not done.wait(0.2 if halt.is_set() else 0):
                n = numbers["sent"]
                data = trade(n << 20, 1 + n * 37 % 300)
                if halt.is_set():
                    assert feed.update("trade", data) == NIL
                else:
                    feed.send(update("trade", data))
                numbers["sent"] = n + 1
        except Exception as failure:
            numbers["failure"] = failure
    sender = threading.Thread(target=publish, daemon=True)
    sender.start()
    received, following = 0, 0

    def take():
        nonlocal received, following
        got = kdb.decode_frame(lazy.read_frame())[1]
        sizes = got.items[2].columns.items[3].values
        n = sizes[0] >> 20
        assert len(sizes) == 1 + n * 37 % 300 and sizes[-1] == (n << 20) + len(sizes) - 1
        assert n >= following
        received, following = received + 1, n + 1
    began = time.monotonic()
    while time.monotonic() - began < 3:
        for _ in range(rng.randrange(1, 60)):
            take()
        halt.wait(rng.random() * 0.1)  # the pause of a slow reader
    halt.set()
    target = numbers["sent"] + 1  # the one that is being sent may be skipped
    while following <= target and numbers["failure"] is None:
        take()
    done.set()
    sender.join(30)
    assert not sender.is_alive() and numbers["failure"] is None, numbers
    last = numbers["sent"]
    while following < last:
        take()
    line = consumer_of(daemon, "lazy")
    assert line.number("skips") >= 3
    assert received + line.number("skipped") == last


def test_block_loses_nothing(start, connect, mode):
    """Protects the policy block: a reader that rests holds the feeds, not
    longer than its limit, and afterwards nothing is missing."""
    daemon = start(small(mode, policy="block", block_limit="30s"))
    feed, lazy = connect(daemon), connect(daemon, user="lazy", receive_buffer=65536)
    lazy.subscribe()
    limit = 6000  # far more than the kernel holds for a feed that is not read
    flood = Flood(feed, Template(ROWS), limit=limit)
    daemon.wait_log("consumer", user="lazy", state="holding")
    held = daemon.summary().number("in_records")
    assert daemon.summary().number("in_records") == held
    flood.join(1.0)
    assert flood.is_alive(), "the feed was not held"
    # Other requests, also of feeds that do not publish, are answered.
    other = connect(daemon)
    assert other.sync("") == NIL
    assert other.subscribe("trade").items[0] == kdb.sym("trade")
    other.close()
    reader = Reader(lazy, Account(ROWS, last=limit - 1))
    flood.finish()
    reader.finish()
    assert reader.on_frame.gaps == [] and reader.on_frame.received == limit
    assert consumer_of(daemon, "lazy").number("skipped") == 0


def test_a_held_feed_goes_away(start, connect, mode):
    """Protects the same when the feed does not wait for the end: what it had
    sent whole is published once there is room, and no connection is left."""
    daemon = start(small(mode, policy="block", block_limit="30s"))
    feed, lazy = connect(daemon, user="feed"), connect(daemon, receive_buffer=65536)
    lazy.subscribe()
    flood = Flood(feed, Template(ROWS), limit=500)
    daemon.wait_log("consumer", state="holding")
    flood.finish()  # into the kernel's buffers
    feed.close()
    Reader(lazy, Account(ROWS, last=499)).finish()
    daemon.wait_log("disconnect", user="feed", reason="peer_closed")


def test_held_until_the_return_mark(start, connect):
    """Protects feeds from flapping: who holds them does so until its lag is below
    the return mark, not only below the mark at which that began."""
    daemon = start(small("direct", policy="block", block_limit="30s"))
    feed, lazy = connect(daemon), connect(daemon, user="lazy", receive_buffer=65536)
    lazy.subscribe()
    flood = Flood(feed, Template(ROWS), limit=320)  # little more
    held = daemon.wait_log("consumer", state="holding")
    assert held.number("lag_bytes") > (4 << 20) * 0.75
    reader = Reader(lazy, Account(ROWS, last=319), pace=3 << 20, piece=1 << 15)
    while (line := consumer_of(daemon, "lazy"))["state"] == "holding":
        between = line.number("lag_bytes")
    assert line.number("lag_bytes") < (4 << 20) * 0.6
    assert (4 << 20) * 0.5 < between < held.number("lag_bytes")
    flood.finish()
    reader.finish()


@pytest.mark.parametrize("policy", ["skip", "block"])
def test_requests_of_a_slow_consumer(start, connect, policy, mode):
    """Protects invariant 4 where it is hardest: a consumer that does not read
    asks, adds a table, and asks again.  When it reads, every answer comes
    once, in order, between whole frames, and the account is exact."""
    daemon = start(small(mode, policy=policy, block_limit="30s"))
    feed, lazy = connect(daemon), connect(daemon, user="lazy", receive_buffer=65536)
    lazy.subscribe("trade")
    flood = Flood(feed, Template(ROWS))
    if policy == "skip":
        daemon.wait_log("skip", user="lazy")
    else:
        daemon.wait_log("consumer", user="lazy", state="holding")
    asked = [kdb.sym("q1"), kdb.text(".u.sub[`quote;`]"), kdb.sym("q2"), kdb.text(""),
             kdb.text(".u.sub[`trade;`]"), kdb.sym("q3")]
    for one in asked:
        lazy.send(kdb.frame(one, kdb.SYNC))
    flood.join(0.5)  # continues meanwhile, as far as the policy lets it
    account, answers = Account(ROWS), []
    while len(answers) < len(asked):
        got = lazy.reader.next()
        if got[1] == kdb.RESPONSE:
            answers.append(kdb.decode(got[8:]))
        else:
            account(got)
    assert answers[0] == kdb.Error(b"q1") and answers[2] == kdb.Error(b"q2")
    assert answers[1].items[0] == kdb.sym("quote") and answers[3] == NIL
    assert answers[4].items[0] == kdb.sym("trade") and answers[5] == kdb.Error(b"q3")
    reader = Reader(lazy, account)
    sent = flood.halt()
    sent = finish_with(feed, sent, reader)
    assert account.received + account.missing == sent
    assert consumer_of(daemon, "lazy").number("skipped") == account.missing
    assert policy == "skip" or account.missing == 0


def test_skip_without_a_buffer(start, connect, mode):
    """Protects the ring when a laggard must leave in the middle of a long message
    and its share of the buffers for the rest of it is used up: it is cut off,
    with the reason, and its lag does not hold the others."""
    rows = 30000
    daemon = start({**small(mode, policy="block", users=users(lazy="skip")),
                    "streams": {"ring": "4M"}, "message": {"buffers": 2},
                    "connections": {"send_buffer": "128K", "receive_buffer": "16K"}})
    feed, fast = connect(daemon, unix=True), connect(daemon, user="fast")
    feed.update("trade", trade(0))  # who has published does not wait for the stuck one
    stuck = connect(daemon, user="stuck")
    stuck.send(update("trade", trade(0, rows))[:30000])
    fast.subscribe()
    lazy = connect(daemon, user="lazy", receive_buffer=8192)
    lazy.subscribe()
    reader = Reader(fast, Account(rows, last=29))
    Flood(feed, Template(rows), limit=30).finish()
    reader.finish()
    assert reader.on_frame.gaps == [] and reader.on_frame.received == 30
    daemon.wait_log("disconnect", user="lazy", reason="no_buffer")


def test_block_has_a_limit(start, connect, mode):
    """Protects feeds from a dead consumer with policy block: it is cut off
    after block_limit, and they continue."""
    daemon = start(small(mode, policy="block", block_limit="500ms"))
    feed = connect(daemon)
    lazy = connect(daemon, user="lazy", receive_buffer=8192)
    lazy.subscribe()
    fast = connect(daemon, user="fast")
    fast.subscribe()
    reader = Reader(fast, Account(ROWS, last=1499))
    Flood(feed, Template(ROWS), limit=1500).finish()
    reader.finish()
    assert reader.on_frame.gaps == []
    daemon.wait_log("disconnect", user="lazy", reason="slow_block")


def test_slow_ones_beside_a_fast_one(start, connect, mode):
    """Protects invariant 7, the point of it all: with a subscriber that never
    reads, one at 1 MB/s and one that is fast, while a publisher runs at full
    speed, the daemon's memory stays flat, the fast one gets every update in
    order, and the slow one's gaps are whole messages, counted exactly."""
    daemon = start({**small(mode, policy="disconnect",
                            users=users(fast="block", slow="skip", never="skip"))})
    feed = connect(daemon)
    never = connect(daemon, user="never", receive_buffer=8192)
    cut = connect(daemon, user="cut", receive_buffer=8192)
    slow = connect(daemon, user="slow", receive_buffer=65536)
    fast = connect(daemon, user="fast")
    for one in (never, cut, slow, fast):
        one.subscribe()
    quick = Reader(fast, Account(ROWS))
    paced = Reader(slow, Account(ROWS), pace=1 << 20, piece=1 << 15)
    flood = Flood(feed, Template(ROWS))

    daemon.wait_log("disconnect", user="cut", reason="slow")
    warm = threading.Event()
    warm.wait(1.0)  # several laps of the ring: every page of it is touched
    before = {key: daemon.memory(key) for key in ("VmRSS", "RssAnon")}
    updates = flood.sent
    most = dict(before)
    for _ in range(8):
        warm.wait(0.25)
        for key in most:
            most[key] = max(most[key], daemon.memory(key))
    rate = (flood.sent - updates) * quick.on_frame.length / 2.0
    sent = flood.halt()
    print("\n%s: %d MB/s to the fast one; RSS %d KiB, grew by %d KiB" % (
        mode, rate / 1e6, before["VmRSS"] >> 10,
        (most["VmRSS"] - before["VmRSS"]) >> 10))
    for key in most:
        assert most[key] - before[key] <= MEMORY_SLACK, (key, before, most)
    assert rate > 3e6, "a slow consumer slows the fast one: %d B/s" % rate
    paced.pace = 0
    sent = finish_with(feed, sent, paced)
    quick.on_frame.last = sent
    assert feed.ask_raw(Template(ROWS, kind=kdb.SYNC).make(sent * ROWS))[8:] == b"\x65\0"
    sent += 1
    quick.finish()
    assert quick.on_frame.gaps == [] and quick.on_frame.received == sent
    line = consumer_of(daemon, "slow")
    account = paced.on_frame
    assert account.missing > 0
    assert line.number("skipped") == account.missing
    assert consumer_of(daemon, "never").number("skips") > 1
    assert consumer_of(daemon, "fast").number("skipped") == 0


def reset(client):
    """Closes by RST, as a killed host's peer looks."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()


def test_reconnect_storm(start, connect, mode):
    """Protects slots, cursors and descriptors: 300 subscribers come and vanish
    in the middle of a frame, by FIN or RST, while updates fly; the steady one
    misses nothing and no consumer is left."""
    daemon = start({**SMALL, "connections": {"max": 64, "send_buffer": "256K"},
                    "engine": {"mode": mode}, "slow": {"policy": "block",
                                                       "block_limit": "5s"}})
    feed, steady = connect(daemon), connect(daemon, user="steady")
    steady.subscribe()
    reader = Reader(steady, Account(ROWS))
    flood = Flood(feed, Template(ROWS))
    rng = random.Random(3)
    for turn in range(300):
        one = connect(daemon, user="storm", receive_buffer=8192)
        one.send(kdb.frame(".u.sub[`;`]" if turn % 3 else ".u.sub[`trade;`]",
                           kdb.SYNC))
        one.reader.next()
        one.sock.recv(rng.randrange(1, 30000))
        if turn % 2:
            reset(one)
        else:
            one.close()
        if turn % 20 == 19:  # lets the closing catch up with the storm
            mark = daemon.mark()
            daemon.wait_log("report", after=mark, connections="2")
    sent = flood.halt()
    reader.on_frame.last = sent
    feed.send(Template(ROWS).make(sent * ROWS))
    reader.finish()
    assert reader.on_frame.gaps == [] and reader.on_frame.received == sent + 1
    steady.close()
    feed.close()
    daemon.wait_all_gone()
    last = daemon.summary()
    assert daemon.consumers() == [] and last.number("consumers") == 0
    assert last.number("connects") == last.number("disconnects") == 302


def test_two_updates_in_one_text(start, connect, mode):
    """Protects order and account when a request of two updates meets a full
    ring: no half of it is done twice, none overtakes, and one that could not
    be done is counted as rejected, not lost without a word."""
    columns = ["time timespan", "sym symbol", "ex symbol", "note symbol"]
    daemon = start({"ring": {"size": "64K"}, "streams": {"ring": "64K"},
                    "schema": {"tables": [{"name": "ref", "columns": columns}]},
                    "connections": {"send_buffer": "64K", "receive_buffer": "16K"},
                    "slow": {"policy": "block", "block_limit": "30s"},
                    "engine": {"mode": mode}})
    feed, lazy = connect(daemon), connect(daemon, receive_buffer=4096)
    if feed.sync(".u.upd[`ref;`a`b`c]") != NIL:
        pytest.skip("updates as text are not taken at all")
    lazy.subscribe()
    turns = 4000

    def publish():
        for n in range(turns):
            feed.async_(kdb.text(".u.upd[`ref;`a%d`x`y];.u.upd[`ref;`b%d`%s`z]"
                                 % (n, n, "l" * (n % 97))))
        while not feed.update("ref", kdb.syms("end", "x", "y")) == NIL:
            pass
    sender = threading.Thread(target=publish)
    sender.start()
    expected = [name % n for n in range(turns) for name in ("a%d", "b%d")] + ["end"]
    place = {name: i for i, name in enumerate(expected)}
    seen = []
    pause = threading.Event()
    while not seen or seen[-1] < len(expected) - 1:
        got = kdb.decode_frame(lazy.read_frame())[1]
        here = place[got.items[2].columns.items[1].items[0].decode()]
        assert not seen or here > seen[-1], "done twice, or overtaken"
        seen.append(here)
        if len(seen) % 500 == 0:
            pause.wait(0.05)  # the ring fills up meanwhile
    sender.join(30)
    lazy.expect_silence()
    lost = len(expected) - len(seen)
    assert daemon.summary().number("rejected") == lost


def test_sizes_helper():
    """Protects the account itself: it sees a gap, a double and a torn frame."""
    frames = [published("trade", trade(n * 3, 3).items) for n in range(5)]
    account = Account(3, last=4)
    assert not account(frames[0])
    assert account(frames[4]) and account.gaps == [(1, 3)] and account.missing == 3
    assert sizes_of(frames[2], 3) == (6, 8)
    for wrong in (frames[4], frames[4][:-1], frames[1]):
        with pytest.raises(AssertionError):
            account(wrong)
