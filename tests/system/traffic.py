"""Updates with running numbers, and readers that check them.

The size column of trade has a number that grows by one per row, so a subscriber's
stream itself shows which rows are missing, doubled or out of order.
"""

import array
import hashlib
import struct
import threading
import time

import kdb

NAMES = {"trade": "time sym price size",
         "quote": "time sym bid ask bsize asize"}


def published(name, columns, names=None):
    """The frame that tick.q in zero-latency mode sends for these columns."""
    names = kdb.syms(*(names or NAMES[name]).split())
    value = kdb.Table(names, kdb.List(tuple(columns)))
    return kdb.frame(kdb.List((kdb.sym("upd"), kdb.sym(name), value)))


def trade(first=0, rows=1, symbol="IBM"):
    """Columns of trade; size is first, first + 1, ..."""
    return kdb.lst(
        kdb.vec("n", [34200000000000] * rows), kdb.syms(*[symbol] * rows),
        kdb.vec("f", [100.5] * rows), kdb.vec("j", range(first, first + rows)))


def quote(first=0, rows=1, symbol="IBM"):
    """Columns of quote; asize is first, first + 1, ..."""
    return kdb.lst(
        kdb.vec("n", [34200000000000] * rows), kdb.syms(*[symbol] * rows),
        kdb.vec("f", [1.5] * rows), kdb.vec("f", [2.5] * rows),
        kdb.vec("j", [7] * rows), kdb.vec("j", range(first, first + rows)))


def update(name, data, kind=kdb.ASYNC, fn=".u.upd", **how):
    return kdb.frame(kdb.List((kdb.sym(fn), kdb.sym(name), data)), kind, **how)


class Template:
    """Updates of trade with so many rows, made quickly: only the sizes differ."""

    def __init__(self, rows, symbol="IBM", kind=kdb.ASYNC):
        self.rows = rows
        whole = update("trade", trade(0, rows, symbol), kind)
        self.head = whole[: len(whole) - 8 * rows]

    def make(self, first):
        sizes = array.array("q", range(first, first + self.rows))
        return self.head + sizes.tobytes()


def sizes_of(frame, rows):
    """(first, last) of the last column of a published frame of `rows` rows."""
    return (struct.unpack_from("<q", frame, len(frame) - 8 * rows)[0],
            struct.unpack_from("<q", frame, len(frame) - 8)[0])


class Reader(threading.Thread):
    """Reads a subscriber's frames in a thread and calls on_frame(bytes) for each, until
    it returns True or the connection ends (.ended then says how). pace is bytes per
    second, 0 for as fast as possible."""

    def __init__(self, client, on_frame, pace=0, piece=1 << 18):
        super().__init__(daemon=True)
        self.client = client
        self.on_frame = on_frame
        self.pace = pace
        self.ended = None
        self.frames = 0
        self.bytes = 0
        self.failure = None
        client.reader.piece = piece
        self.start()

    def run(self):
        began = time.monotonic()
        try:
            while True:
                got = self.client.read_frame()
                self.frames += 1
                self.bytes += len(got)
                if self.on_frame(got):
                    self.ended = "done"
                    return
                ahead = 0
                if self.pace:
                    ahead = self.bytes / self.pace - (time.monotonic() - began)
                if ahead > 0.01:
                    time.sleep(ahead)
        except kdb.Closed as closed:
            self.ended = closed.how
        except Exception as failure:  # a failed assertion of on_frame too
            self.failure = failure
            self.ended = "failed"

    def finish(self, timeout=60):
        self.join(timeout)
        if self.failure:
            raise self.failure
        assert self.ended, "reader is still reading after %ss" % timeout
        return self


class Account:
    """on_frame for a Template's stream: notes the rows that arrived and the jumps."""

    def __init__(self, rows, last=None):
        self.rows = rows
        self.length = len(published("trade", trade(0, rows).items))
        self.next = 0
        self.last = last  # the first size of the last update, or None
        self.gaps = []  # (first missing update, how many)
        self.received = 0
        self.digest = hashlib.sha256()

    def __call__(self, frame):
        assert len(frame) == self.length, "not a whole update: %s" % frame[:80].hex()
        first, last = sizes_of(frame, self.rows)
        assert last == first + self.rows - 1 and first % self.rows == 0
        idx = first // self.rows
        assert idx >= self.next, "update %d after %d" % (idx, self.next - 1)
        if idx > self.next:
            self.gaps.append((self.next, idx - self.next))
        self.next = idx + 1
        self.received += 1
        self.digest.update(frame)
        return self.last is not None and idx >= self.last

    @property
    def missing(self):
        return sum(n for _, n in self.gaps)


class Flood(threading.Thread):
    """Publishes a Template's updates as fast as the daemon takes them, until
    halt() or until `limit` updates are sent."""

    def __init__(self, client, template, limit=None, first=0):
        super().__init__(daemon=True)
        self.client = client
        self.template = template
        self.limit = limit
        self.sent = first  # updates, from 0
        self.failure = None
        self._halt = threading.Event()
        self.start()

    def run(self):
        try:
            while not self._halt.is_set():
                if self.limit is not None and self.sent >= self.limit:
                    return
                self.client.send(self.template.make(self.sent * self.template.rows))
                self.sent += 1
        except Exception as failure:
            self.failure = failure

    def halt(self, timeout=30):
        self._halt.set()
        return self.finish(timeout)

    def finish(self, timeout=60):
        self.join(timeout)
        if self.failure:
            raise self.failure
        assert not self.is_alive(), "publisher is stuck at update %d" % self.sent
        return self.sent
