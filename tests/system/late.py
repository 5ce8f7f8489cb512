"""Joining late: the requests, updates published meanwhile, and whole streams to compare
with."""

import socket
import struct
import threading

import journal
import kdb
from kdb import NIL, atom, lst, sym
from spill import Mix, frames_of
from traffic import published, quote, trade

# A small ring, so that most records come from the journal.
TIGHT = {"ring": {"size": "256K"}, "streams": {"ring": "256K"},
         "message": {"max": "64K"}}


# ---- asking ----


def subfrom(client, i, tables=sym(""), kind="j"):
    return client.sync(kdb.lst(
        sym(".ringtick.subfrom"), tables, sym(""), atom(kind, i)))


def rejoin(client, claim, tables=sym("")):
    epoch, day, i, n = claim
    return client.sync(kdb.lst(
        sym(".ringtick.rejoin"), tables, sym(""),
        lst(atom("j", epoch), atom("d", day), atom("j", i), atom("j", n))))


def end_day(client):
    assert client.sync(".u.endofday[]") == NIL


# ---- published updates ----


def is_of(table, frame):
    """The frames of a table, "" for all; marks belong to every table."""
    return b".u.end" in frame[:32] or table in ("", journal.table_of(frame).decode())


class Pair:
    """Updates of trade and quote in turn, one sync update each; frames is what
    a subscriber of all is to get, the ends of days included."""

    def __init__(self, client, rows=1):
        self.client, self.rows, self.frames = client, rows, []

    def publish(self, count):
        for _ in range(count):
            n = len(self.frames)
            name, make = (("trade", trade), ("quote", quote))[n % 2]
            assert self.client.update(name, make(n, self.rows)) == NIL
            self.frames.append(published(name, make(n, self.rows).items))

    def end_day(self):
        day = self.client.sync(".u.d").value
        end_day(self.client)
        self.frames.append(journal.end_frame(day))

    def of(self, table, first=0):
        return [one for one in self.frames[first:] if is_of(table, one)]


def read_exactly(client, frames):
    """Asserts that these are the next messages."""
    for n, wanted in enumerate(frames):
        assert client.read_frame() == wanted, "message %d of %d" % (n, len(frames))


class Whole:
    """The streams of all tables and of each, made from the frames of one subscriber
    of all; the place of each record number in them."""

    def __init__(self, data):
        self.frames, torn = frames_of(data)
        assert torn == b""
        self.streams = {name: bytearray() for name in ("", "trade", "quote")}
        self.starts = {name: [] for name in self.streams}
        for frame in self.frames:
            for name, stream in self.streams.items():
                self.starts[name].append(len(stream))
                if is_of(name, frame):
                    stream += frame

    def from_record(self, table, i):
        starts = self.starts[table]
        at = starts[i] if i < len(starts) else len(self.streams[table])
        return memoryview(self.streams[table])[at:]

    def assert_is_the_journal(self, folder, first_day):
        """Record by record, day by day."""
        days = [[]]
        for frame in self.frames:
            if b".u.end" in frame[:32]:
                assert frame == journal.end_frame(first_day + len(days) - 1)
                days.append([])
            else:
                days[-1].append(journal.record_of(frame))
        for n, records in enumerate(days):
            path = journal.path_of(folder, first_day + n)
            assert journal.read(path).records == records


class Feeder(threading.Thread):
    """Publishes a mix, about 3 MB a second, until halt(); after 8 MB a trickle, so
    that on a slow machine those who catch up have an end before them."""

    BLOCK, BLOCKS = 15_000, 530

    def __init__(self, client, seed):
        super().__init__(daemon=True)
        self.client, self.mix = client, Mix(seed, rows=(1, 1, 2, 3, 10, 60, 300))
        self.halted, self.failure = threading.Event(), None
        self.start()

    def run(self):
        try:
            blocks = 0
            while not self.halted.wait(0.005 if blocks < self.BLOCKS else 0.2):
                self.client.send(self.mix.block(self.BLOCK))
                blocks += 1
        except Exception as failure:
            self.failure = failure

    def halt(self):
        self.halted.set()
        self.join(20)
        assert self.failure is None, repr(self.failure)
        assert self.client.update("trade", trade(0)) == NIL  # all can be seen


def vanish(client):
    """Closes the connection with a reset."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                           struct.pack("ii", 1, 0))
    client.sock.close()
