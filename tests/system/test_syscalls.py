"""Invariants 8 and 11: no system call on the way from recv to write, and none
that a disk can hold on the application's thread."""

import collections
import re
import shutil
import signal
import subprocess
import threading
import time

import journal
import pytest
from kdb import NIL
from traffic import published, trade, update

MESSAGES = 200_000
# In direct mode: 1,300 to 3,000 were counted; a loaded machine has shorter turns.
PER_MILLION_MAX = 10_000
CALL = re.compile(r"^(\d+\.\d+) (?:<\.\.\. )?(\w+)")


class Strace:
    """strace on one thread; what it called, with the time of each call."""

    def __init__(self, tid, path, *options):
        self.path = path
        self.process = subprocess.Popen(
            ["strace", "-ttt", *options, "-o", str(path), "-p", str(tid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()  # strace says when it is attached
        if "attached" not in said:
            self.process.kill()
            self.process.wait()
            pytest.skip("strace cannot attach here: " + said.strip())

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.process.stderr.close()
        calls = []
        for row in self.path.read_text().splitlines():
            found = CALL.match(row)
            if found:
                calls.append((float(found.group(1)), found.group(2)))
        return calls


def publish_all(feed, sub):
    """200,000 updates through; (time before the first, time after the last)."""
    block = b"".join(update("trade", trade(n)) for n in range(1000))
    length = len(published("trade", trade(0).items))
    expected = MESSAGES * length

    def publish():
        for _ in range(MESSAGES // 1000):
            feed.send(block)
    sender = threading.Thread(target=publish)
    got = 0
    buffer = bytearray(1 << 18)
    began = time.time()
    sender.start()
    while got < expected:
        n = sub.sock.recv_into(buffer)
        assert n, "closed after %d bytes" % got
        got += n
    ended = time.time()
    sender.join()
    assert got == expected
    return began, ended


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("engine", [
    {"mode": "sqpoll", "spin": "1s"}, {"mode": "auto", "spin": "auto"}],
    ids=["sqpoll", "auto"])
def test_no_system_calls_under_load(start, connect, tmp_path, engine):
    """Protects the whole point of SQPOLL: while 200,000 messages go from one
    feed to a subscriber, the application thread makes no system call at all.
    engine.spin keeps it awake between pieces, engine.sq_idle the kernel's
    thread.  With auto it is so too, where there are CPUs enough."""
    daemon = start({"engine": dict(engine, sq_idle="10s"),
                    "ring": {"size": "16M"}, "slow": {"policy": "block"},
                    "log": {"report": "1h"}})
    runs_as = daemon.wait_log("engine")
    if runs_as["mode"] != "sqpoll":
        pytest.skip("auto is direct here: " + runs_as["reason"])
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()
    trace = Strace(daemon.pid, tmp_path / "trace")
    # One message through it wakes both threads; from then on there is work.
    feed.send(update("trade", trade(1)))
    assert sub.read_frame() == published("trade", trade(1).items)
    began, ended = publish_all(feed, sub)
    calls = [name for at, name in trace.stop() if began <= at <= ended]
    print("\n%d messages in %.2f s; system calls of the application thread: %d %s" % (
        MESSAGES, ended - began, len(calls), dict(collections.Counter(calls))))
    assert calls == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_few_system_calls_in_direct_mode(start, connect, tmp_path):
    """Protects the other mode's promise, and shows that the trace sees calls:
    one io_uring_enter per turn and nothing else."""
    daemon = start({"engine": {"mode": "direct"}, "ring": {"size": "16M"},
                    "slow": {"policy": "block"}, "log": {"report": "1h"}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()
    trace = Strace(daemon.pid, tmp_path / "trace")
    began, ended = publish_all(feed, sub)
    calls = collections.Counter(
        name for at, name in trace.stop() if began <= at <= ended)
    per_million = sum(calls.values()) * 1_000_000 / MESSAGES
    print("\n%d messages in %.2f s; system calls: %s, %d per million" % (
        MESSAGES, ended - began, dict(calls), per_million))
    assert calls["io_uring_enter"] > 0
    assert sum(calls.values()) - calls["io_uring_enter"] <= 2
    assert per_million < PER_MILLION_MAX


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_file_work_on_the_thread(start, connect, tmp_path):
    """Protects all clients from the disk: while the journal is looked at, brought
    back, rolled onto a new file and onto one that exists with a torn tail, and
    synced, the application's thread makes no call that names a file of the journal
    or uses an open one."""
    folder = tmp_path / "journal"
    folder.mkdir()
    clock = journal.Clock(tmp_path)
    daemon = start(journal.settings(folder, {"engine": {"mode": "direct"}},
                                    sync="batch"), environment=clock.environment())
    feed = connect(daemon)
    day = feed.sync(".u.d").value
    journal.write(journal.path_of(folder, day + 2), *(
        [journal.record("trade", trade(n)) for n in range(1000)] + [b"\0"]))
    path = journal.path_of(folder, day)
    assert feed.update("trade", trade(0)) == NIL
    trace = Strace(daemon.pid, tmp_path / "trace", "-y")
    path.unlink()
    daemon.wait_log("journal_brought_back", how="copied")
    path.rename(folder / "moved")
    daemon.wait_log("journal_brought_back", how="linked")
    for n in range(1, 4):
        clock.set_days(n)
        assert feed.update("trade", trade(n)) == NIL
        assert journal.count_and_path(feed)[1] == journal.path_of(folder, day + n)
    assert daemon.logged("journal_torn")
    calls = trace.stop()
    assert any(name == "io_uring_enter" for _, name in calls)
    rows = [row for row in trace.path.read_text().splitlines()
            if str(folder) in row and " write(" not in row and " send" not in row]
    assert rows == []
