"""Policy spill: a slow consumer leaves the ring, is served from the journal and
comes back; its socket never notices."""

import hashlib
import random
import select
import threading
import time

import journal
import kdb
import pytest
from kdb import NIL
from traffic import Flood, Template, quote, trade, update

ROWS = 400  # an update of about 12 KB


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "journal"
    found.mkdir()
    return found


def settings(folder, mode, **more):
    changes = {"ring": {"size": "1M"}, "streams": {"ring": "1M"},
               "message": {"max": "128K"}, "engine": {"mode": mode},
               "connections": {"send_buffer": "256K"}}
    for group, values in more.pop("changes", {}).items():
        changes[group] = {**changes.get(group, {}), **values}
    return journal.settings(folder, changes, **more)


class Stream(threading.Thread):
    """All bytes that a client gets, hashed; until `wanted` bytes or the end.
    between(total) is called after each piece: to be slow, to wait."""

    def __init__(self, client, between=lambda total: None, piece=1 << 18):
        super().__init__(daemon=True)
        self.sock, self.between, self.piece = client.sock, between, piece
        self.digest = hashlib.sha256()
        self.total = 0
        self.wanted = None
        self.failure = None
        self.news = threading.Condition()
        self.take(bytes(client.reader.buffer[client.reader.at:]))
        self.start()

    def take(self, data):
        self.digest.update(data)
        with self.news:
            self.total += len(data)
            self.news.notify_all()

    def run(self):
        try:
            while self.wanted is None or self.total < self.wanted:
                if not select.select([self.sock], [], [], 0.05)[0]:
                    continue
                data = self.sock.recv(self.piece)
                if not data:
                    raise AssertionError("the stream has ended")
                self.take(data)
                self.between(self.total)
        except Exception as failure:
            self.failure = failure
            with self.news:
                self.news.notify_all()

    def finish(self, wanted, timeout=60):
        """The hash of exactly so many bytes."""
        self.wanted = wanted
        self.join(timeout)
        assert self.failure is None, self.failure
        assert not self.is_alive(), "%d of %d bytes" % (self.total, wanted)
        assert self.total == wanted
        return self.digest.hexdigest()


def lag_of(daemon, user):
    found = [line for line in daemon.consumers() if line["user"] == user]
    assert len(found) == 1, (user, found)
    return found[0]


def all_sent(daemon, user, base):
    """Waits until the daemon has sent everything to a consumer: how many bytes,
    besides the first `base`."""
    for _ in range(600):
        line = lag_of(daemon, user)
        if line.number("lag_bytes") == 0:
            return line.number("sent_bytes") - base
        time.sleep(0.05)
    raise AssertionError("it never caught up: %s" % line.text)


def test_stop_and_go(start, connect, folder, mode):
    """Protects the whole promise: a subscriber that stops again and again gets the
    byte stream of the fast one, over hand-overs, tables, and ends of days."""
    daemon = start(settings(folder, mode))
    rng = random.Random(3)
    go = threading.Event()
    go.set()
    slow, fast = connect(daemon, user="slow"), connect(daemon, user="fast")
    slow.subscribe()
    fast.subscribe()
    base = lag_of(daemon, "fast").number("sent_bytes")
    one, two = Stream(fast), Stream(slow, lambda total: go.wait())
    feeds = [connect(daemon) for _ in range(2)]
    user = connect(daemon)
    sent = 0
    for turn in range(12):
        go.clear()
        floods = [Flood(feed, Template(ROWS, symbol="S%d" % turn), first=sent,
                        limit=sent + 300) for feed in feeds]
        for flood in floods:
            flood.finish()
        sent += 300
        user.update("quote", quote(turn, 5))
        if turn % 4 == 3:
            assert user.sync(".u.endofday[]") == NIL
        go.set()
        if turn % 2:
            time.sleep(rng.random() / 4)
    wanted = all_sent(daemon, "fast", base)
    assert one.finish(wanted) == two.finish(wanted)
    line = lag_of(daemon, "slow")
    assert line.number("spills") >= 3, line.text
    assert line.number("lag_bytes") == 0 and line.number("lag_records") == 0
    assert not daemon.logged("disconnect")
