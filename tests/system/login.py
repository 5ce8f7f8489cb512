"""Runs the real ringtick-login as the daemon does: a SOCK_SEQPACKET socket as its
descriptor 3.  The messages are written from src/auth/login_message.h."""

import ctypes
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time

from daemon import find_ringtickd, Line

LIMIT = 30  # seconds for an answer
CHECK, ACCOUNT = 1, 2
READY, FAILED, YES, NO, UNKNOWN = 1, 2, 3, 4, 5
REQUEST = struct.Struct("<QII128s512s64s")
ANSWER = struct.Struct("<QIII512s")


_libcrypt = ctypes.CDLL("libcrypt.so.1")
_libcrypt.crypt.restype = ctypes.c_char_p


def crypt(password, setting):
    """crypt(3); Python has none any more."""
    made = _libcrypt.crypt(password.encode(), setting.encode())
    assert made is not None and made.startswith(setting.encode()), setting
    return made.decode()


def find_login():
    return str(pathlib.Path(find_ringtickd()).with_name("ringtick-login"))


def children(pid):
    text = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text()
    return [int(one) for one in text.split()]


def is_gone(pid):
    """Whether no such process runs; a dead one may wait for a parent's look."""
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")")[-1].split()[
            0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def cpu_seconds(pid):
    """CPU time of a process; nanoseconds are in schedstat."""
    return int(pathlib.Path("/proc/%d/schedstat" % pid).read_text().split()[0]) / 1e9


def status_of(pid):
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines())


def remains(pid, secret):
    """Whether a secret is in the memory of a process; only root may look."""
    if os.geteuid() != 0:
        return False
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            begin, end = (int(one, 16) for one in place.split("-"))
            if not rights.startswith("rw"):
                continue
            memory.seek(begin)
            if secret in memory.read(end - begin):
                return True
    return False


def until(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


class Login:
    """One ringtick-login.  first is its first answer: (kind, users, text)."""

    def __init__(self, *arguments, stderr=subprocess.PIPE, wait=True, wrap=()):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(LIMIT)
        self.ids = 0
        self.lines = []
        with theirs:
            self.process = subprocess.Popen(
                ["bash", "-c", 'exec 3<&%d; exec "$@"' % theirs.fileno(), "-",
                 *wrap, find_login(), *map(str, arguments)],
                pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=stderr)
        self.pid = self.process.pid
        self._reader = None
        if self.process.stderr is not None:
            self._reader = threading.Thread(target=self._read_log, daemon=True)
            self._reader.start()
        if wait:
            self.wait_first()

    def wait_first(self):
        kind, _, users, text = self.answer()
        self.first, self.memory_kb = (kind, users, text), self.told_kb

    def _read_log(self):
        for line in self.process.stderr:
            self.lines.append(Line(line.decode().rstrip("\n")))

    def log(self, event, **fields):
        """The first line of the event, which is awaited."""
        found = []

        def look():
            found.extend(line for line in list(self.lines)
                         if line.matches(event, fields))
            return found
        until(look, "no %s %s in:\n%s" % (event, fields, self.text()))
        return found[0]

    def text(self):
        return "\n".join(line.text for line in self.lines)

    def workers(self):
        return children(self.pid)

    def wait_workers(self, cnt):
        until(lambda: len(self.workers()) == cnt, "%d workers" % cnt)
        return self.workers()

    def send(self, user, password=b"", kind=CHECK, peer=b"10.0.0.5:4711", long=0):
        """Returns the request's id."""
        self.ids += 1
        # not socket.send, which waits until three quarters of the buffer are free
        os.write(self.socket.fileno(),
                 REQUEST.pack(self.ids, kind, long, user, password, peer))
        return self.ids

    def answer(self):
        """(kind, id, users, text)"""
        packet = self.socket.recv(4096)
        assert len(packet) == ANSWER.size, packet
        about, kind, users, self.told_kb, text = ANSWER.unpack(packet)
        return kind, about, users, text.split(b"\0")[0].decode()

    def ask(self, user, password=b"", **how):
        """The answer to one request.  A worker that dies when it has answered is
        answered for once more: as the daemon, this awaits its id only."""
        about = self.send(user, password, **how)
        kind, got, users, text = self.answer()
        while got < about and kind == UNKNOWN:
            kind, got, users, text = self.answer()
        assert (got, users, text) == (about, 0, "")
        return kind

    def close(self):
        """Closes the daemon's end: all processes end."""
        workers = [] if self.process.poll() is not None else self.workers()
        self.socket.close()
        status = self.process.wait(LIMIT)
        if self._reader is not None:
            self._reader.join(LIMIT)
        assert all(is_gone(pid) for pid in workers), workers
        return status

    def abandon(self):
        """After a test that failed."""
        self.socket.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
