"""A bystander: one feed and one subscriber that behave, in a process of their own.

The feed publishes a synchronous update of the table `pulse` every few ms, the
subscriber reads at once, and both are timed: until the answer, and until the
update has arrived.  Every 16th update is longer than a receive buffer.

On a busy machine a thread waits for a CPU, which is not the daemon's fault.  So
the time of a round trip is counted without the time that the daemon's threads
and this process have waited in a run queue (/proc/PID/task/TID/schedstat).
"""

import gc
import json
import os
import select
import struct
import subprocess
import sys
import time

import kdb

BOUND_MS = 20  # the longest gap may be so much longer than undisturbed

PULSE = {"name": "pulse", "columns": ["time timespan", "sym symbol", "n long"]}
ADDRESS = "127.0.0.2"  # who misbehaves is at another one
PERIOD_S = 0.002
LONG_EVERY = 16
LONG_ROWS = 1500
RECEIVE_BUFFER = "16K"  # what the daemon must have, so that these are long
STUCK_S = 10  # a round trip that takes longer is not waited for


class Stretch(dict):
    """What a stretch was like: trips, and in ms longest, p99 (both less the run
    queues) and longest_raw; failure is a sentence or None."""

    def __getattr__(self, name):
        return self[name]

    def __str__(self):
        return ("longest %(longest).1f ms, p99 %(p99).1f ms, with the run queues "
                "%(longest_raw).1f ms, %(trips)d round trips" % self
                + (", %s" % self.failure if self.failure else ""))


class Bystander:
    """stretch() ends a stretch, tells it, and begins the next one."""

    def __init__(self, daemon):
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), str(daemon.port),
             str(daemon.pid)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._read()  # it is connected

    def _read(self):
        row = self.process.stdout.readline()
        assert row, "the bystander has ended"
        return json.loads(row)

    def stretch(self, trips=1):
        """The stretch up to now, once it has this many round trips, or those that
        it has after 2 s; a trip that began before the call is waited for."""
        self.process.stdin.write("trips %d\n" % trips)
        return Stretch(self._read())

    def wants_answers(self, wants):
        """Whether the updates are synchronous from now on.  An answer promises
        that the update is in the journal: who harms that may delay it."""
        self.process.stdin.write("answers %d\n" % wants)
        self._read()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


# ---- the process ----


class RunQueues:
    """How long this thread and those of a process have waited for a CPU, in ns.
    The threads of its io_uring come and go."""

    def __init__(self, pid):
        self.tasks = "/proc/%d/task/" % pid
        self.files = {"": open("/proc/thread-self/schedstat", "rb", buffering=0)}

    def look(self):
        waited = {}
        for task in ["", *os.listdir(self.tasks)]:
            try:
                if task not in self.files:
                    self.files[task] = open(self.tasks + task + "/schedstat", "rb",
                                            buffering=0)
                row = os.pread(self.files[task].fileno(), 64, 0)
                waited[task] = int(row.split()[1])
            except OSError:  # it has just ended
                self.files.pop(task, None)
        return waited

    def since(self, before):
        """The wait since a look."""
        return sum(max(0, ns - before.get(task, 0))
                   for task, ns in self.look().items())


class Pulse:
    def __init__(self, port, pid):
        self.queues = RunQueues(pid)
        self.feed = kdb.Client(port, b"pulse:pw\x03", source=ADDRESS)
        self.reader = kdb.Client(port, b"pulse:pw\x03", source=ADDRESS)
        self.reader.subscribe("pulse")
        self.n = 0
        self.short, self.long = self._head(1), self._head(LONG_ROWS)
        self.failure = None
        self.wants_answers = True
        self.begin()

    @staticmethod
    def _head(rows):
        columns = kdb.lst(kdb.vec("n", [0] * rows), kdb.syms(*["A"] * rows),
                          kdb.vec("j", [0] * rows))
        whole = kdb.frame(kdb.lst(kdb.sym(".u.upd"), kdb.sym("pulse"), columns),
                          kdb.SYNC)
        return whole[: len(whole) - 8]  # the last row's n comes after it

    def begin(self):
        self.trips, self.raw = [], []

    def is_over(self, trips, until):
        return self.failure or len(self.trips) >= trips or time.monotonic() > until

    def trip(self):
        """One update, until it is answered and has arrived."""
        number, self.n = self.n, self.n + 1
        head = self.long if number % LONG_EVERY == LONG_EVERY - 1 else self.short
        waited = self.queues.look()
        began = time.perf_counter_ns()
        kind = bytes([kdb.SYNC if self.wants_answers else kdb.ASYNC])
        self.feed.send(head[:1] + kind + head[2:] + struct.pack("<q", number))
        for client, what in ((self.feed, "answer"), (self.reader, "update")):
            if client is self.feed and not self.wants_answers:
                continue
            client.sock.settimeout(
                max(0.01, STUCK_S - (time.perf_counter_ns() - began) / 1e9))
            try:
                while True:
                    frame = client.reader.next()
                    if b".u.end" not in frame[:32]:
                        break
            except TimeoutError:
                self.failure = "no %s for %d s" % (what, STUCK_S)
                break
            except kdb.Closed as closed:
                self.failure = "closed (%s) before the %s" % (closed.how, what)
                break
            if client is self.feed and frame[8:] != b"\x65\0":
                self.failure = "the answer is %s" % frame[:64].hex()
            if client is self.reader and struct.unpack("<q", frame[-8:])[0] != number:
                self.failure = "update %d came in place of %d" % (
                    struct.unpack("<q", frame[-8:])[0], number)
        raw = time.perf_counter_ns() - began
        self.raw.append(raw)
        self.trips.append(max(0, raw - self.queues.since(waited)))

    def tell(self):
        order, raw = sorted(self.trips or [0]), self.raw or [0]
        print(json.dumps({
            "trips": len(self.trips), "failure": self.failure,
            "longest": order[-1] / 1e6, "longest_raw": max(raw) / 1e6,
            "p99": order[(len(order) - 1) * 99 // 100] / 1e6}), flush=True)
        self.begin()


def main(port, pid):
    gc.disable()
    pulse = Pulse(port, pid)
    print("{}", flush=True)
    while True:
        if pulse.failure is None:
            pulse.trip()
        pause = 1 if pulse.failure else PERIOD_S
        if select.select([sys.stdin], [], [], pause)[0]:
            row = sys.stdin.readline().split()
            if not row:
                return
            if row[0] == "answers":
                pulse.wants_answers = row[1] == "1"
                print("{}", flush=True)
                continue
            until = time.monotonic() + 2
            while not pulse.is_over(int(row[1]), until):
                time.sleep(PERIOD_S)
                pulse.trip()
            pulse.tell()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
