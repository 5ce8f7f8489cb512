"""Slow subscribers for the tests of policy spill: whole byte streams, hashed, to
be compared with each other's."""

import hashlib
import random
import select
import signal
import threading
import time

import journal
import kdb
from daemon import MODES, merged
from traffic import quote, trade, update

SMALL = {"ring": {"size": "1M"}, "streams": {"ring": "512K"},
         "message": {"max": "128K"}, "log": {"report": "100ms"},
         "connections": {"send_buffer": "128K"}}
WINDOW = 65536  # SO_RCVBUF of who is to be slow


def settings(folder, mode=MODES[0], changes=None, **how):
    """A small ring with a journal; `how` as in journal.settings."""
    return journal.settings(
        folder, merged(merged(SMALL, {"engine": {"mode": mode}}), changes or {}),
        **how)


# ---- what is published ----


class Mix:
    """Updates of trade and quote, of random sizes, ready to be sent; at(n) is
    the same for the same seed."""

    def __init__(self, seed, rows=(1, 1, 3, 40, 400, 2000), tables=("trade", "quote"),
                 **how):
        self.random = random.Random(seed)
        make = {"trade": trade, "quote": quote}
        self.updates = [update(name, make[name](seed * 1000 + i, n, "S%d" % i), **how)
                        for i, n in enumerate(rows) for name in tables]

    def block(self, size):
        """Updates of about so many bytes."""
        out, have = [], 0
        while have < size:
            out.append(self.random.choice(self.updates))
            have += len(out[-1])
        return b"".join(out)


def publish(feed, *blocks):
    """Sends the updates, and waits until all are accepted."""
    for one in blocks:
        feed.send(one)
    feed.sync(".u.d")


# ---- readers ----


class Stream(threading.Thread):
    """All bytes that a client gets from now on, hashed.  stop() and go() for one
    that is slow; keep=True for one whose bytes are wanted."""

    def __init__(self, client, piece=1 << 18, keep=False):
        super().__init__(daemon=True)
        assert not client.inbox
        self.sock, self.piece = client.sock, piece
        self.digest, self.total = hashlib.sha256(), 0
        self.data = bytearray() if keep else None
        self.failure, self.halted = None, False
        self.pause = None  # stops by itself at this many bytes
        self.news = threading.Condition()
        self.may = threading.Event()
        self.may.set()
        self.take(bytes(client.reader.buffer[client.reader.at:]))
        self.start()

    def take(self, data):
        self.digest.update(data)
        if self.data is not None:
            self.data += data
        with self.news:
            self.total += len(data)
            if self.pause is not None and self.total >= self.pause:
                self.stop()
            self.news.notify_all()

    def stop(self):
        self.may.clear()

    def go(self):
        self.pause = None
        self.may.set()

    def step(self, size):
        """Reads so many bytes more, and at most one recv beyond them."""
        self.pause = self.total + size
        self.may.set()
        self.wait_for(self.pause)

    def run(self):
        try:
            while not self.halted:
                if not self.may.wait(0.05):
                    continue
                if not select.select([self.sock], [], [], 0.05)[0]:
                    continue
                data = self.sock.recv(self.piece)
                assert data, "the stream has ended"
                self.take(data)
        except Exception as failure:
            with self.news:
                self.failure = failure
                self.news.notify_all()

    def wait_for(self, total, timeout=60):
        with self.news:
            self.news.wait_for(lambda: self.total >= total or self.failure, timeout)
        assert self.failure is None, repr(self.failure)
        assert self.total >= total, "%d of %d bytes" % (self.total, total)

    def halt(self):
        self.halted = True
        self.join(20)
        assert self.failure is None, repr(self.failure)

    def finish(self, total, timeout=60):
        """The hash of exactly so many bytes."""
        self.wait_for(total, timeout)
        self.halt()
        assert self.total == total
        return self.digest.hexdigest()


def frames_of(data):
    """Whole frames, and the bytes after them."""
    at, found = 0, []
    while len(data) - at >= kdb.HEADER:
        length = kdb.frame_length(bytes(data[at : at + kdb.HEADER]))
        if len(data) - at < length:
            break
        found.append(bytes(data[at : at + length]))
        at += length
    return found, bytes(data[at:])


# ---- what the daemon reports about them ----


def lines_of(daemon):
    """The newest line of each user after SIGUSR1."""
    mark = daemon.mark()
    daemon.signal(signal.SIGUSR1)
    closing = daemon.index(daemon.wait_log("consumers", after=mark))
    return {line["user"]: line for line in daemon.lines[mark:closing]
            if line.get("event") == "consumer"}


def line_of(daemon, user):
    return lines_of(daemon)[user]


def wait_line(daemon, user, predicate, what="it"):
    """Sends SIGUSR1 again and again until a consumer's line satisfies predicate."""
    deadline = time.monotonic() + 30
    while True:
        line = line_of(daemon, user)
        if predicate(line):
            return line
        assert time.monotonic() < deadline, "never %s: %s" % (what, line.text)
        time.sleep(0.02)


def wait_state(daemon, user, state):
    return wait_line(daemon, user, lambda line: line["state"] == state, state)


def publish_until_behind(daemon, feed, users, more):
    """Publishes blocks of updates, which more() makes, until none of the users,
    who do not read, is in the ring any longer: how much the kernel takes for each
    before differs from run to run.  Returns the updates."""
    updates = []
    deadline = time.monotonic() + 30
    while True:
        some = more()
        publish(feed, b"".join(update(*one) for one in some))
        updates += some
        lines = lines_of(daemon)
        if all(lines[user]["state"] == "catching_up" for user in users):
            return updates
        assert time.monotonic() < deadline, [lines[user].text for user in users]


def wait_stuck(daemon, user):
    """Waits until a consumer that does not read gets no more bytes; returns its
    line."""
    seen, before = 0, None
    while seen < 5:
        line = line_of(daemon, user)
        seen = seen + 1 if line["sent_bytes"] == before else 0
        before = line["sent_bytes"]
        time.sleep(0.02)
    return line


def wait_level(daemon, user):
    """Waits until a consumer has been sent everything; returns its line."""
    return wait_line(daemon, user, lambda line: line["lag_bytes"] == "0", "level")


class Subscriber:
    """A user that has subscribed, with the Stream of its bytes."""

    def __init__(self, connect, daemon, user, table="", window=0, stream=True, **how):
        self.daemon, self.user = daemon, user
        self.client = connect(daemon, user=user, receive_buffer=window, timeout=60)
        self.client.subscribe(table)
        self.base = line_of(daemon, user).number("sent_bytes")
        self.stream = Stream(self.client, **how) if stream else None

    def stop(self):
        self.stream.stop()

    def go(self):
        self.stream.go()

    def finish(self):
        """The hash of all bytes that it was sent, once it has everything."""
        line = wait_level(self.daemon, self.user)
        assert line.number("lag_records") == 0, line.text
        return self.stream.finish(line.number("sent_bytes") - self.base)


def assert_same(*subscribers):
    """Asserts that all of them got the same bytes; returns how many."""
    hashes = {one.user: one.finish() for one in subscribers}
    assert len(set(hashes.values())) == 1, hashes
    return subscribers[0].stream.total
