"""Runs the real ringtickd for a test.

The harness is the daemon's NOTIFY_SOCKET: READY=1 says when it listens, STATUS=port=N
says where. Its stderr is read line by line as logfmt. Both arrive in threads that wake
the waiting test, so nothing here sleeps or polls.
"""

import collections
import contextlib
import copy
import fcntl
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

READY_LIMIT = 20  # seconds
# of the engine: those that tests play in
MODES = os.environ.get("RINGTICK_MODES", "sqpoll direct").split()
F_SETPIPE_SZ = 1031

# The tables of tests/data/vectors.json, as both of its replies show them.
TRADE = {"name": "trade",
         "columns": ["time timespan", "sym symbol g", "price float", "size long"]}
QUOTE = {"name": "quote",
         "columns": ["time timespan", "sym symbol g", "bid float", "ask float",
                     "bsize long", "asize long"]}

DEFAULTS = {
    "listen": {"address": "127.0.0.1", "port": 0},
    "connections": {"max": 128},
    "ring": {"size": "1M"},
    "streams": {"max": 4, "ring": "256K"},
    "schema": {"tables": [TRADE, QUOTE]},
    "engine": {"sq_idle": "1ms"},  # its thread would take the CPU of other tests
    "log": {"report": "250ms"},
    "day": {"zone": "utc"},
}


def find_ringtickd():
    """The daemon under test: $RINGTICKD, or else the one in the build directory."""
    named = os.environ.get("RINGTICKD")
    places = [named] if named else ["ringtickd", "../ringtickd", "../../ringtickd"]
    for place in places:
        path = pathlib.Path(place).resolve()
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise FileNotFoundError(
        "ringtickd is not at %s; set RINGTICKD=/path/to/ringtickd, or run in "
        "the build directory" % " or ".join(places))


def is_sanitized_build():
    """Whether the daemon under test is built with sanitizers, which are slow."""
    return b"libasan" in pathlib.Path(find_ringtickd()).read_bytes()


# ---- configuration ----


class Raw(str):
    """A value that is written into the file unchanged."""


def merged(base, changes):
    """base with the settings of changes laid over it; None removes one."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def libconfig(value, depth=0):
    """A Python value in libconfig's notation."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
    if isinstance(value, (list, tuple)):
        return "( %s )" % ", ".join(libconfig(item, depth + 1) for item in value)
    inside = "".join(
        "%s%s = %s;\n" % ("  " * (depth + 1) if depth else "", key,
                          libconfig(item, depth + 1))
        for key, item in value.items())
    return inside if depth == 0 else "{\n%s%s}" % (inside, "  " * depth)


def write_config(path, changes=None, base=None):
    path.write_text(libconfig(merged(DEFAULTS if base is None else base,
                                     changes or {})))
    return path


# ---- log lines ----

_PRIORITY = re.compile(r"^<([0-7])>")
_PAIR = re.compile(r'([A-Za-z_][\w.]*)=("(?:[^"\\]|\\.)*"|\S*)')


class Line(dict):
    """One log line: its fields, with .level (None on foreign text) and .text."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        found = _PRIORITY.match(text)
        self.level = int(found.group(1)) if found else None
        for key, value in _PAIR.findall(text):
            self[key] = value[1:-1] if value.startswith('"') else value

    def number(self, key):
        return int(self[key])

    def matches(self, event, fields):
        if self.get("event") != event:
            return False
        for key, wanted in fields.items():
            have = self.get(key)
            if callable(wanted):
                if have is None or not wanted(have):
                    return False
            elif have != str(wanted):
                return False
        return True


# ---- the process ----


class Daemon:
    """One running ringtickd.  port is set once it is ready."""

    def __init__(self, directory, changes=None, wrap=(), preexec=None,
                 arguments=(), base=None, environment=None, pass_fds=(),
                 wait=True):
        self.directory = pathlib.Path(directory)
        self.config = write_config(self.directory / "ringtick.conf", changes, base)
        self.lines = []
        self.notes = []
        self.port = None
        self.status = {}
        self.fds_at_start = None
        self.stopped = False
        self.log_is_read, self.notes_are_read = threading.Event(), threading.Event()
        self.log_is_read.set()
        self.notes_are_read.set()
        self._news = threading.Condition()
        self._stderr_open, self._bytes_read = True, 0
        # abstract: tmp_path may be longer than a socket name can be
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify_name = "ringtick-test-%d-%s" % (os.getpid(), os.urandom(6).hex())
        self._notify.bind("\0" + self._notify_name)

        env = dict(os.environ, NOTIFY_SOCKET="@" + self._notify_name)
        for name in ("WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"):
            env.pop(name, None)
        env.update(environment or {})
        self.process = subprocess.Popen(
            [*wrap, find_ringtickd(), "-c", str(self.config), *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env=env, preexec_fn=preexec,
            pass_fds=pass_fds)
        self.pid = self.process.pid
        # The log never waits for its reader: a line that does not fit is lost.
        fcntl.fcntl(self.process.stderr, F_SETPIPE_SZ, 1 << 20)
        self._threads = [
            threading.Thread(target=self._read_stderr, daemon=True),
            threading.Thread(target=self._read_notes, daemon=True)]
        for thread in self._threads:
            thread.start()
        if wait:
            self.wait_ready()

    # threads

    def _read_stderr(self):
        torn, stderr = b"", self.process.stderr.fileno()
        arrival = select.poll()
        arrival.register(stderr, select.POLLIN)
        while self._stderr_open:
            arrival.poll()
            self.log_is_read.wait()
            # What is no longer in the pipe is in `lines` when the lock is free.
            with self._news:
                found = os.read(stderr, 1 << 16)
                *whole, torn = (torn + found).split(b"\n")
                self.lines += [Line(raw.decode(errors="replace")) for raw in whole]
                self._bytes_read += len(found)
                self._stderr_open = bool(found)
                self._news.notify_all()

    def _read_notes(self):
        while True:
            note = self._notify.recv(65536).decode()
            self.notes_are_read.wait()
            if note == "QUIT":
                return
            with self._news:
                for row in note.split("\n"):
                    if not row:
                        continue
                    self.notes.append(row)
                    if row.startswith("STATUS="):
                        self.status = Line(row[len("STATUS="):])
                self._news.notify_all()

    def fill_notes(self):
        """Leaves no room in the socket from which notes are read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling:
            filling.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    filling.sendto(b"\n", "\0" + self._notify_name)

    # waiting

    def _await(self, look, timeout, what):
        """Calls look() after every new line or status until it returns something."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                found = look()
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._stderr_open:
                    raise AssertionError(
                        "%s while waiting for %s; the log:\n%s" % (
                            "no news for %ss" % timeout if left <= 0
                            else "the daemon ended", what, self.tail()))
                self._news.wait(left)

    def wait_ready(self):
        self._await(lambda: True if "READY=1" in self.notes
                    and "port" in self.status else None,
                    READY_LIMIT, "READY=1 and STATUS=port=")
        self.port = self.status.number("port")
        self.fds_at_start = self.fds()

    def wait_log(self, event, after=0, timeout=20, **fields):
        """The first line from index `after` on with this event and these fields. A
        field is the value that the line must have, or a predicate on it."""
        seen = after

        def look():
            nonlocal seen
            while seen < len(self.lines):
                seen += 1
                if self.lines[seen - 1].matches(event, fields):
                    return self.lines[seen - 1]
            return None
        return self._await(look, timeout, "event=%s %s" % (event, fields))

    def wait_status(self, predicate, timeout=20):
        """Waits until the newest STATUS satisfies predicate(fields)."""
        return self._await(
            lambda: self.status if self.status and predicate(self.status) else None,
            timeout, "a STATUS")

    def _read_up(self):
        """Waits until all is read that the daemon has written up to now."""
        if not self._stderr_open:
            return
        waiting = fcntl.ioctl(self.process.stderr, termios.FIONREAD, bytes(4))
        end = self._bytes_read + struct.unpack("i", waiting)[0]
        self._news.wait_for(lambda: self._bytes_read >= end or not self._stderr_open
                            or not self.log_is_read.is_set())

    def mark(self):
        """The present end of the log, for wait_log(after=)."""
        with self._news:
            self._read_up()
            return len(self.lines)

    def logged(self, event, after=0, **fields):
        """What the log has now."""
        with self._news:
            self._read_up()
            return [line for line in self.lines[after:]
                    if line.matches(event, fields)]

    def tail(self, n=60):
        """The end of the log, for people; only the last of the summaries."""
        with self._news:
            reports = [line for line in self.lines if line.get("event") == "report"]
            kept = [line.text for line in self.lines
                    if line.get("event") != "report" or line is reports[-1]]
        return "\n".join(kept[-n:])

    # what the kernel knows about it

    def fds(self):
        """Targets of all its open file descriptors."""
        directory = "/proc/%d/fd" % self.pid
        found = []
        for name in os.listdir(directory):
            try:
                found.append(os.readlink("%s/%s" % (directory, name)))
            except FileNotFoundError:
                pass
        return found

    def memory(self, key="VmRSS"):
        """A value in bytes from /proc/PID/status."""
        with open("/proc/%d/status" % self.pid) as file:
            for row in file:
                if row.startswith(key + ":"):
                    return int(row.split()[1]) * 1024
        raise KeyError(key)

    def cpu_seconds(self, task=None):
        """CPU time of the process, or of one of its threads."""
        path = "/proc/%d/%sstat" % (self.pid, "task/%d/" % task if task else "")
        with open(path) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_sanitized(self):
        with open("/proc/%d/maps" % self.pid) as file:
            return "libasan" in file.read()

    # ending

    def signal(self, number):
        os.kill(self.pid, number)

    def pause(self):
        """Returns when every thread of the daemon has stopped: SIGSTOP alone returns
        while they may still run for a while on a busy machine."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self):
        self.signal(signal.SIGCONT)

    def index(self, line):
        """The index of this very line in the log."""
        with self._news:
            return next(i for i, one in enumerate(self.lines) if one is line)

    def consumers(self):
        """The lines that SIGUSR1 prints, one for every consumer."""
        mark = self.mark()
        self.signal(signal.SIGUSR1)
        closing = self.wait_log("consumers", after=mark)
        end = self.index(closing)
        # the list is in one piece; a report may have come before it
        found = self.lines[end - closing.number("consumers") : end]
        assert all(line.get("event") == "consumer" for line in found)
        return found

    def summary(self):
        """A report line written after this call (the first one may be older)."""
        first = self.wait_log("report", after=self.mark())
        return self.wait_log("report", after=self.index(first) + 1)

    def wait_all_gone(self, timeout=20):
        """Waits until the log has shown the end of every connection that it showed, or
        says that there is none (a line may be lost in a flood)."""
        def look():
            open_now = collections.Counter()
            for line in self.lines:
                if line.get("event") == "connect":
                    open_now[line["conn"]] += 1
                elif line.get("event") == "disconnect":
                    open_now[line["conn"]] -= 1
            if all(n <= 0 for n in open_now.values()):
                return True
            last = self.lines[-1]
            return True if last.get("connections") == "0" else None
        self._await(look, timeout, "the end of all connections")

    def _day_before(self, fds):
        """How many more descriptors than at the start are allowed, 0 or 1: a daemon
        that has rolled keeps the last day's file open for clients that rejoin."""
        rolled = self.logged("journal_rolled")
        if not rolled:
            return 0
        folder = os.path.dirname(rolled[0]["new"].replace('\\"', '"'))
        held = sum(os.path.dirname(name) == folder for name in fds)
        at_start = sum(os.path.dirname(name) == folder for name in self.fds_at_start)
        return min(held - at_start, 1)

    def assert_clean(self):
        """After all clients have gone, no descriptor of theirs may be left."""
        self.wait_all_gone()
        # The line is written when the connection is reaped; the kernel may
        # still be closing it, which no line tells.
        deadline = time.monotonic() + 5
        while True:
            now = self.fds()
            if len(now) <= len(self.fds_at_start) + self._day_before(now):
                return
            assert time.monotonic() < deadline, (
                "leaked descriptors: at start %s, now %s" % (
                    sorted(self.fds_at_start), sorted(now)))
            time.sleep(0.01)

    def assert_no_complaint(self):
        """No sanitizer report, no failed CHECK, no line without a level."""
        for line in self.lines:
            assert not re.search(
                r"Sanitizer|runtime error:|event=bug|Assertion|double free|corrupt",
                line.text), self.tail(200)

    def stop(self, status=0):
        """Sends SIGTERM; the daemon must end by itself with this exit status."""
        if self.stopped:
            return
        self.stopped = True
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self._join()
            raise AssertionError("SIGTERM did not end it; the log:\n" + self.tail())
        self._join()
        assert code == status, "exit status %s; the log:\n%s" % (code, self.tail())
        self.assert_no_complaint()

    def abandon(self):
        """Kills a daemon that a failed test has left."""
        if not self.stopped:
            self.stopped = True
            self.log_is_read.set()
            self.process.kill()
            self.process.wait()
            self._join()

    def _join(self):
        self._notify.sendto(b"QUIT", "\0" + self._notify_name)
        for thread in self._threads:
            thread.join(timeout=10)
        self._notify.close()
        self.process.stderr.close()


def run(*arguments, timeout=60, wrap=(), environment=None, **how):
    """A run of ringtickd that ends by itself; stdout and stderr as text."""
    env = dict(os.environ)
    env.pop("NOTIFY_SOCKET", None)
    env.update(environment or {})
    return subprocess.run(
        [*wrap, find_ringtickd(), *map(str, arguments)], timeout=timeout,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=env, **how)
