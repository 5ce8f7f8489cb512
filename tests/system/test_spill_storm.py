"""Policy spill under attack: crowds that catch up at once, stop, crawl and vanish
at every moment, against publishers at full speed; memory stays where it was.

RINGTICK_SPILL_CROWD=100 and RINGTICK_SPILL_MB=4000 make long tests of it."""

import hashlib
import os
import random
import socket
import struct
import threading
import time

import kdb
import pytest
from journal import table_of
from spill import (WINDOW, Mix, Subscriber, assert_same, lines_of, publish, settings,
                   wait_level, wait_state, wait_stuck)
from traffic import quote, trade, update

CROWD = int(os.environ.get("RINGTICK_SPILL_CROWD", "30"))
MEGABYTES = int(os.environ.get("RINGTICK_SPILL_MB", "24"))
BUFFER = 256 << 10  # of each that catches up: CATCHUP_BUFFER_BYTES
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a RST


# ---- a crowd ----


class Member:
    """One subscriber of a crowd: what it got, and when it reads again."""

    def __init__(self, client, user, fate):
        self.sock, self.user, self.fate = client.sock, user, fate
        self.digest, self.total, self.next = hashlib.sha256(), 0, 0.0
        self.is_gone = False

    def read(self, size):
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return 0
        assert data, "%s: the stream has ended" % self.user
        self.digest.update(data)
        self.total += len(data)
        return len(data)

    def vanish(self, is_reset):
        if is_reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self.sock.close()
        self.is_gone = True


class Crowd(threading.Thread):
    """Reads for all members, each in its way, until all that are to stay have
    `wanted` bytes.  Fates: "stop" (and go), "crawl" (a few bytes at a time for a
    while), "never", "vanish" (by FIN or RST, at a random moment)."""

    def __init__(self, members, seed):
        super().__init__(daemon=True)
        self.members, self.random = members, random.Random(seed)
        self.wanted, self.failure, self.is_calm = None, None, False
        for one in members:
            one.sock.setblocking(False)
        self.start()

    def run(self):
        try:
            while not self.is_over():
                self.turn(time.monotonic())
        except Exception as failure:
            self.failure = failure

    def is_over(self):
        return self.wanted is not None and all(
            one.is_gone or one.fate == "never" or one.total >= self.wanted
            for one in self.members)

    def turn(self, now):
        busy = 0
        for one in self.members:
            if one.is_gone or one.fate == "never":
                continue
            if self.is_calm and one.fate != "vanish":
                busy += one.read(1 << 18)
            elif one.next <= now:
                busy += self.step(one, now)
        if busy == 0:
            time.sleep(0.002)

    def step(self, one, now):
        roll = self.random.random()
        if one.fate == "vanish" and (self.is_calm or roll < 0.02):
            one.vanish(self.random.random() < 0.6)
            return 1
        if roll < 0.03:
            one.next = now + self.random.random()
        if one.fate == "crawl" and roll < 0.9:
            return sum(one.read(self.random.randrange(1, 8)) for _ in range(50))
        return one.read(self.random.choice((100, 4096, 1 << 16, 1 << 18)))

    def finish(self, wanted):
        self.is_calm, self.wanted = True, wanted
        self.join(60 + wanted * len(self.members) / 1e8)
        assert self.failure is None, repr(self.failure)
        assert not self.is_alive(), [
            (one.user, one.total, wanted) for one in self.members if not one.is_gone]


class Prefixes:
    """The hash of each beginning of the bytes of a fast one."""

    def __init__(self, data):
        self.data, self.known = data, {}

    def check(self, members):
        at, digest = 0, hashlib.sha256()
        view = memoryview(self.data)
        for one in sorted(members, key=lambda one: one.total):
            digest.update(view[at : one.total])
            at = one.total
            assert one.digest.digest() == digest.digest(), (one.user, one.total)


FATES = ("stop", "crawl", "vanish", "never", "stop", "vanish")


@pytest.mark.parametrize("mode,after,table", [
    ("sqpoll", "ring", ""), ("direct", "ring", "trade"),
    ("direct", "journal", "")])
def test_a_crowd(start, connect, folder, mode, after, table):
    """Protects all clients from each other: subscribers stop, crawl, never read and
    vanish in every state, all at once; each stream is that of the fast one, the
    publishers continue, and no consumer or file is left over."""
    daemon = start(settings(folder, mode, {
        "connections": {"max": 200}, "ring": {"size": "4M"},
        "streams": {"ring": "2M"}, "message": {"max": "512K"}}, after=after))
    fast = Subscriber(connect, daemon, "fast", table, keep=True)
    members = []
    for n in range(CROWD):
        client = connect(daemon, user="c%d" % n, receive_buffer=WINDOW)
        client.subscribe(table)
        members.append(Member(client, "c%d" % n, FATES[n % len(FATES)]))
    crowd = Crowd(members, 1)
    mix = Mix(12, rows=(1, 3, 40, 400, 2000, 9000))
    feeds = [connect(daemon) for _ in range(2)]
    blocks = 12
    for n in range(blocks):
        publish(feeds[n % 2], mix.block(MEGABYTES * 500_000 // blocks))
        if n == blocks // 2:
            assert feeds[0].sync(".u.endofday[]") == kdb.NIL
    line = wait_level(daemon, "fast")
    crowd.finish(line.number("sent_bytes") - fast.base)
    fast.finish()
    Prefixes(fast.stream.data).check(members)
    gone = [one.user for one in members if one.is_gone]
    assert gone
    for user in gone:
        found = daemon.wait_log("disconnect", user=user)
        assert found["reason"] in ("peer_closed", "peer_reset"), found.text
    for one in members:
        if not one.is_gone and one.fate != "never":
            assert one.total == fast.stream.total
            assert wait_level(daemon, one.user)["state"] == "live"
    assert daemon.summary().number("spills") >= CROWD / 2
    assert all(line["user"] in gone for line in daemon.logged("disconnect"))


# ---- vanishing, at known moments ----


@pytest.mark.parametrize("is_reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("when", ["leaving", "behind", "with a request"])
def test_vanishing(start, connect, folder, mode, is_reset, when):
    """Protects from leaks of vanished consumers: their places in the ring or the
    file, and their buffers, are free at once, and no other client notices."""
    daemon = start(settings(folder, mode, {"message": {"max": "128K"}}))
    fast, feed, mix = Subscriber(connect, daemon, "fast"), connect(daemon), Mix(3)
    for n in range(12):
        user = "gone%d" % n
        client = connect(daemon, user=user, receive_buffer=WINDOW)
        client.subscribe(("", "trade")[n % 2])
        if when == "leaving":  # somewhere on its way to the leave mark
            publish(feed, mix.block(700_000))
            feed.send(mix.block(300_000))
        else:
            publish(feed, mix.block(3_000_000))
            wait_state(daemon, user, "catching_up")
            if when == "with a request":
                client.send(kdb.frame(".u.d", kdb.SYNC))
                client.send(kdb.frame(".u.t", kdb.SYNC) + b"\1\0")
        if n % 3:
            client.sock.recv(100_000)
        if is_reset:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        client.sock.close()
        line = daemon.wait_log("disconnect", user=user)
        assert line["reason"] in ("peer_closed", "peer_reset"), line.text
        feed.sync(".u.d")
    fast.finish()


# ---- requests at any moment ----


class Asker(threading.Thread):
    """A subscriber of trade that stops and goes, asks for this and that, adds
    quote one day, and checks the order of all that it gets.  The updates of both
    tables have one numbering; even ones are trade's."""

    def __init__(self, client, seed, accepted):
        super().__init__(daemon=True)
        self.client, self.random, self.accepted = client, random.Random(seed), accepted
        self.has_quote = self.is_asked_for_quote = False
        self.last, self.asked_at, self.replies = -1, None, 0
        self.ended, self.failure = None, None
        client.subscribe("trade")
        self.start()

    def run(self):
        try:
            while self.last != self.ended:
                self.frame(self.client.reader.next())
                if self.asked_at is None and self.random.random() < 0.1:
                    self.ask()
                if self.random.random() < 0.005:
                    time.sleep(self.random.random() / 5)
        except Exception as failure:
            self.failure = failure

    def ask(self):
        self.asked_at = self.accepted()
        self.is_asked_for_quote = self.random.random() < 0.1
        self.client.send(kdb.frame(
            kdb.q(kdb.sym(".u.sub"), kdb.sym("quote"), kdb.sym(""))
            if self.is_asked_for_quote else
            self.random.choice((".u.d", ".u.t", ".u.nothing", ".u.i")), kdb.SYNC))

    def frame(self, frame):
        if frame[1] == kdb.RESPONSE:
            # after every update that was accepted before the request
            nearest = self.asked_at if self.is_settled else self.asked_at // 2 * 2
            assert self.asked_at < 0 or self.last >= nearest, (self.last, nearest)
            self.has_quote |= self.is_asked_for_quote
            self.asked_at, self.is_asked_for_quote = None, False
            self.replies += 1
            return
        number = int.from_bytes(frame[-8:], "little")
        step = number - self.last
        assert step == 1 or (step == 2 and self.last % 2 == 0 and
                             (not self.has_quote or not self.is_settled)), (
            number, self.last, self.has_quote)
        self.is_settled = self.has_quote
        self.last = number

    is_settled = False  # an update came since quote was added


def test_requests_at_random(start, connect, folder, mode):
    """Protects the order of responses and updates, and the point at which a table
    is added, at every moment of leaving, catching up and coming back."""
    daemon = start(settings(folder, mode, {
        "ring": {"size": "256K"}, "streams": {"ring": "128K"},
        "message": {"max": "32K"}, "connections": {"send_buffer": "64K"}}))
    feed, number = connect(daemon), -1
    askers = [Asker(connect(daemon, user="asker%d" % n, receive_buffer=16384,
                            timeout=60), n, lambda: number) for n in range(8)]
    heads = [update(name, make(0, 100), kdb.ASYNC)[:-800]
             for name, make in (("trade", trade), ("quote", quote))]
    for n in range(MEGABYTES * 160):
        feed.send(heads[n % 2] + n.to_bytes(8, "little") * 100)
        if n % 16 == 15:
            feed.sync("")
            number = n
        if n % 512 == 511:  # most come back
            for line in lines_of(daemon).values():
                assert line.number("lag_bytes") <= n * 4000, line.text
            time.sleep(0.2)
    for one in askers:  # before it can come
        one.ended = n + 1
    feed.send(heads[0] + (n + 1).to_bytes(8, "little") * 100)
    for one in askers:
        one.join(60)
        assert one.failure is None, (one.client.name, repr(one.failure))
        assert not one.is_alive(), (one.last, one.ended)
    assert sum(one.replies for one in askers) > 5 * len(askers)
    assert daemon.summary().number("spills") >= len(askers) / 2
    for n in range(len(askers)):
        line = wait_level(daemon, "asker%d" % n)
        assert line["lag_records"] == "0"
    assert not [line for line in daemon.logged("disconnect")]


@pytest.mark.parametrize("table", ["", "trade"])
def test_responses_that_nobody_reads(start, connect, folder, mode, table):
    """Protects the frames of a client that asks and asks, and does not read: it
    leaves the ring in the middle of a response, whose rest comes first."""
    daemon = start(settings(folder, mode))
    slow = connect(daemon, user="slow", receive_buffer=WINDOW, timeout=60)
    slow.subscribe(table)
    feed, count = connect(daemon), 2000
    request = kdb.frame("(%s)" % ";".join([".u.t"] * 20), kdb.SYNC)
    response = len(slow.ask_raw(request))
    sender = threading.Thread(target=slow.send, args=(request * count,))
    sender.start()
    wait_stuck(daemon, "slow")
    for name, make in (("quote", quote), ("trade", trade)):
        publish(feed, *[update(name, make(n, 100)) for n in range(900)])
    wait_state(daemon, "slow", "catching_up")
    assert wait_stuck(daemon, "slow").number("sent_bytes") < response * count
    seen = {"quote": 0, "trade": 0}
    responses = 0
    while responses < count or seen["trade"] < 900:
        frame = slow.reader.next()
        if frame[1] == kdb.RESPONSE:
            responses += 1
            assert len(frame) == response
            continue
        name = table_of(frame).decode()
        assert int.from_bytes(frame[-800:-792], "little") == seen[name]
        seen[name] += 1
    assert seen["quote"] == (0 if table else 900)
    sender.join()
    assert wait_level(daemon, "slow")["lag_records"] == "0"


# ---- long messages ----


def test_long_messages_of_many_stuck_ones(start, connect, folder, mode):
    """Protects feeds, and consumers that move, from those that are stuck in the
    middle of a message longer than a read: there may be more of them than
    message.buffers."""
    daemon = start(settings(folder, mode, {
        "ring": {"size": "4M"}, "streams": {"ring": "4M"},
        "message": {"max": "1M", "buffers": 2}}))
    rows = 900_000 // 28
    feed, long = connect(daemon), update("trade", trade(0, rows))
    stuck = [Subscriber(connect, daemon, "stuck%d" % n, "", WINDOW) for n in range(4)]
    slow = Subscriber(connect, daemon, "slow", "", WINDOW)
    fast = Subscriber(connect, daemon, "fast")
    for one in [*stuck, slow]:
        one.stop()
    publish(feed, *[long] * 8)
    for one in [*stuck, slow]:
        wait_state(daemon, one.user, "catching_up")
    for one in stuck:  # into the next message, and no further
        one.stream.step(1_000_000)
    publish(feed, *[long] * 4)
    slow.go()
    assert_same(slow, fast)


# ---- memory ----


def test_memory_is_flat(start, connect, folder, mode):
    """Protects the machine: who never reads, and who is stuck on the journal, cost
    a buffer each and no more however much goes by; and it is given back."""
    # who comes and goes would have a buffer now and none then
    daemon = start(settings(folder, mode, {
        "connections": {"max": 16},
        "auth": {"rights": [{"user": "fast", "policy": "block"}]}}))
    feed, mix = connect(daemon), Mix(7)
    fast = Subscriber(connect, daemon, "fast")
    busy, idle = [], []
    for turn in range(3):  # the first two have used every slot once
        stuck = ["stuck%d.%d" % (turn, n) for n in range(12)]
        clients = [connect(daemon, user=user, receive_buffer=WINDOW)
                   for user in stuck]
        for n, one in enumerate(clients):
            one.subscribe(("", "trade", "quote")[n % 3])
        publish(feed, mix.block(5_000_000))
        for n, user in enumerate(stuck):
            wait_state(daemon, user, "catching_up")
            if n % 2:  # it moves a little
                clients[n].sock.recv(WINDOW)
        for _ in range(5):
            publish(feed, mix.block(MEGABYTES * 1_000_000 // 15))
            busy.append(memory_of(daemon))
        mark = daemon.mark()
        for one in clients:
            one.close()
        daemon.wait_log("report", after=mark, connections="2")
        idle.append(memory_of(daemon))
    fast.finish()
    for key in ("VmLck", "VmPin"):
        assert len({one[key] for one in busy + idle}) == 1, key
    if not daemon.is_sanitized():  # its shadow memory grows
        least, most = extent(idle[1:])
        assert most <= least * 1.01, idle
        # how much of its buffer one has touched depends on when it was read for
        assert extent(busy)[1] <= most * 1.01 + len(stuck) * BUFFER, (busy, idle)


def memory_of(daemon):
    return {key: daemon.memory(key) for key in ("VmRSS", "VmLck", "VmPin")}


def extent(sizes):
    """The least and the most resident."""
    rss = [one["VmRSS"] for one in sizes]
    return min(rss), max(rss)
