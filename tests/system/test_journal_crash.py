"""kill -9 at random moments: afterwards the file, the next start and the
subscribers agree.

RINGTICK_KILLS=500 makes a long test of it."""

import array
import os
import random
import re
import signal
import struct
import threading
import time

import journal
import kdb
import pytest
from kdb import NIL
from traffic import trade, update

KILLS = int(os.environ.get("RINGTICK_KILLS", "72"))


class Feed(threading.Thread):
    """Updates of one row to 3000, numbered, until the connection breaks."""

    def __init__(self, client, first, seed):
        super().__init__(daemon=True)
        self.client, self.number = client, first
        self.random = random.Random(seed)
        self.answered = first  # this and what is before it was answered
        self.heads = {}
        for rows in (1, 1, 3, 40, 3000):
            whole = update("trade", trade(0, rows), kdb.SYNC)
            self.heads[rows] = whole[: len(whole) - 8 * rows]
        self.start()

    def make(self, kind):
        rows = self.random.choice((1, 1, 1, 3, 3, 40, 3000))
        self.number += 1
        head = bytearray(self.heads[rows])
        head[1] = kind
        return bytes(head) + array.array("q", [self.number] * rows).tobytes()

    def run(self):
        try:
            while True:
                block = b"".join(self.make(kdb.ASYNC)
                                 for _ in range(self.random.randrange(20)))
                data = block + self.make(kdb.SYNC)
                assert self.client.ask(data) == NIL
                self.answered = self.number
        except (kdb.Closed, OSError):
            pass


class Collector(threading.Thread):
    """All whole frames of a subscriber, also those that are read after the
    daemon's death."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client = client
        self.records = []
        self.news = threading.Condition()
        self.start()

    def run(self):
        try:
            while True:
                one = journal.record_of(self.client.read_frame())
                with self.news:
                    self.records.append(one)
                    self.news.notify()
        except (kdb.Closed, OSError):
            pass

    def wait_for(self, count):
        with self.news:
            assert self.news.wait_for(lambda: len(self.records) >= count, 20)


def number_of(record):
    return struct.unpack("<q", record[-8:])[0]


@pytest.mark.parametrize("after,sync", [("ring", "none"), ("journal", "none"),
                                        ("sync", "batch")])
def test_kill_9(start, connect, folder, mode, after, sync):
    """Protects the journal's promise: after a SIGKILL at any moment the file is
    whole records (and at most a torn tail, which the next start cuts away and
    says so), .u.i counts them, every answered update is in it, and with
    publish.after = journal or sync so is every record that a subscriber had
    received; the epoch grows by one each time."""
    dice = random.Random("%s %s" % (mode, after))
    path = journal.path_now(folder)
    settings = journal.settings(folder, {
        "engine": {"mode": mode}, "slow": {"policy": "block"},
        "ring": {"size": "1M"}, "message": {"max": "256K"},
        "streams": {"max": 0}}, sync=sync, after=after)
    total, at, tails, held_back = 0, len(journal.HEADER), 0, 0
    for turn in range(max(2, KILLS // 6)):
        daemon = start(settings)
        line = daemon.wait_log("journal")
        assert line.number("epoch") == turn
        assert line["last_stop"] == ("unclean" if turn else "clean")
        sub = connect(daemon)
        assert journal.join(sub) == (total, path)
        collector = Collector(sub)
        feeds = [Feed(connect(daemon), (turn * 2 + n) << 32, dice.random())
                 for n in range(2)]
        collector.wait_for(dice.choice((0, 1, 30, 200)))
        time.sleep(dice.random() * 0.02)  # a random moment is what is tested
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        for one in (*feeds, collector):
            one.join(20)
            assert not one.is_alive()
        daemon.abandon()
        for one in (sub, *(feed.client for feed in feeds)):
            one.close()

        file = journal.File(path, at=at)
        tails += file.torn != b""
        new = file.records
        both = min(len(new), len(collector.records))
        assert collector.records[:both] == new[:both]
        if after != "ring":
            assert len(collector.records) <= len(new), "seen, and not in the file"
        held_back += len(new) - len(collector.records)
        for feed in feeds:
            base = feed.number >> 32
            mine = [n for n in map(number_of, new) if n >> 32 == base]
            assert mine == list(range((base << 32) + 1, (base << 32) + 1 + len(mine)))
            assert (base << 32) + len(mine) >= feed.answered, "answered, and lost"
        total, at = total + len(new), file.good_bytes
    daemon = start(settings)
    client = connect(daemon)
    assert journal.count_and_path(client) == (total, path)
    assert len(journal.read(path)) == total
    assert len(list(folder.glob("*.torn.*"))) == tails
    client.close()
    daemon.stop()
    for _ in range(2):  # clean stops leave the epoch as it is
        daemon = start(settings)
        line = daemon.wait_log("journal")
        assert line.number("epoch") == turn + 1
        daemon.stop()
    assert line["last_stop"] == "clean"
    print("\n%d kills, %d records, %d torn tails, %d records not yet seen" % (
        turn + 1, total, tails, held_back))
