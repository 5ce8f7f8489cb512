"""ringtick-login, which checks passwords for the daemon: every kind of hash, what
goes wrong, and that nothing of it stays behind."""

import fcntl
import hashlib
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest
from daemon import is_sanitized_build
from login import (ACCOUNT, CHECK, FAILED, NO, READY, REQUEST, UNKNOWN, YES,
                   Login, cpu_seconds, crypt, find_login, is_gone, remains,
                   status_of, until)

SECRET = "seven Geese/77"
# setting of crypt(3): cheap, but for DEAR
SALTS = {
    "yescrypt": "$y$j75$gPLvnfbXGK5wk5aQ3pWh4.",
    "gost-yescrypt": "$gy$j75$gPLvnfbXGK5wk5aQ3pWh4.",
    "bcrypt": "$2b$04$abcdefghijklmnopqrstuu",
    "sha512": "$6$saltsalt",
    "sha512-rounds": "$6$rounds=1500$saltsalt",
    "sha256": "$5$saltsalt",
    "md5crypt": "$1$saltsalt",
}
DEAR = "$y$jCT$gPLvnfbXGK5wk5aQ3pWh4."  # a tenth of a second or more


def hashed(salt, password=SECRET):
    return crypt(password, salt)




@pytest.fixture
def login(tmp_path):
    """login("line", ...) runs ringtick-login with a users file of these lines."""
    started = []

    def start(*lines, arguments=(), raw=None, path=None, **how):
        if path is None:
            path = tmp_path / "users"
            path.write_bytes(raw if raw is not None else
                             "".join("%s\n" % line for line in lines).encode())
            path.chmod(0o640)
        started.append(Login("--users", path, *arguments, **how))
        return started[-1]
    yield start
    for one in started:
        one.abandon()


# ---- passwords ----


@pytest.mark.parametrize("kinds", [["yescrypt", "bcrypt", "sha512", "md5crypt"],
                                   ["gost-yescrypt", "sha512-rounds", "sha256"]])
def test_every_kind(login, kinds):
    """Protects who comes in: with each way in which a password can be in the file
    the right one opens and all others do not."""
    lines = ["%s:%s" % (kind, hashed(SALTS[kind])) for kind in kinds]
    lines += ["plain:%s" % SECRET, "rdb:a:b",
              "md5:%s" % hashlib.md5(SECRET.encode()).hexdigest(),
              "sha1:%s" % hashlib.sha1(SECRET.encode()).hexdigest().upper()]
    one = login(*lines)
    assert one.first == (READY, len(lines), "")
    about = one.log("login_ready")
    assert about["crypt"] == about["kinds"] == str(len(kinds))
    assert (about["plain"], about["md5"], about["sha1"]) == ("2", "1", "1")
    for user in kinds + ["plain", "md5", "sha1"]:
        user = user.encode()
        assert one.ask(user, SECRET.encode()) == YES, user
        for wrong in (b"", b"x", SECRET.encode() + b"7", SECRET.encode()[:-1],
                      SECRET.lower().encode(), hashed(SALTS["sha512"]).encode()):
            assert one.ask(user, wrong) == NO, (user, wrong)
        assert one.ask(user, kind=ACCOUNT) == YES
    assert one.ask(b"rdb", b"a:b") == YES
    assert one.ask(b"rdb", b"a") == NO
    for stranger in (b"", b"Plain", b"plain ", b"plai", b"plain:x", b"\x01", b"\xff" * 127):
        assert one.ask(stranger, SECRET.encode()) == NO, stranger
        assert one.ask(stranger, kind=ACCOUNT) == NO
    assert one.close() == 0
    assert SECRET not in one.text() and "seven" not in one.text()


def test_the_hash_is_no_password(login):
    """Protects against who has read the file: what is written there opens nothing."""
    md5 = hashlib.md5(SECRET.encode()).hexdigest()
    yescrypt = hashed(SALTS["yescrypt"])
    one = login("a:%s" % md5, "b:%s" % yescrypt)
    assert one.ask(b"a", md5.encode()) == NO
    assert one.ask(b"b", yescrypt.encode()) == NO
    assert one.close() == 0


@pytest.mark.skipif(is_sanitized_build(), reason="sanitizers keep what is freed")
def test_nothing_remains(login):
    """Protects passwords: after a check they are nowhere in memory, but for those
    of the file; root can look."""
    one = login("plain:x", *("%s:%s" % (kind, hashed(SALTS[kind], "x"))
                             for kind in ("yescrypt", "sha512", "bcrypt")),
                "of-the-file:as it is", arguments=("--workers", 1))
    worker, = one.wait_workers(1)
    for user in (b"plain", b"yescrypt", b"sha512", b"bcrypt", b"nobody"):
        assert one.ask(user, b"what was typed") == NO
    assert os.geteuid() != 0 or remains(worker, b"as it is")
    assert not remains(worker, b"what was") and not remains(worker, b"was typed")
    assert not remains(one.pid, b"what was")
    assert one.close() == 0


def test_long_passwords(login):
    """Protects the limit: 511 bytes are a password, and a longer one, which the
    daemon announces without its bytes, is wrong and no trouble."""
    longest = "p" * 511
    one = login("a:%s" % longest, "b:%s" % hashed(SALTS["yescrypt"], longest),
                "c:%s" % hashed(SALTS["sha512"], "x"))
    for user in (b"a", b"b"):
        assert one.ask(user, longest.encode()) == YES
        assert one.ask(user, longest.encode()[:-1]) == NO
        assert one.ask(user, long=1) == NO
    assert one.ask(b"c", longest.encode()) == NO
    assert one.log("login_refused")["user"] == "a"
    assert one.close() == 0


def test_time_tells_nothing(login):
    """Protects the names of users: a login that fails costs the same CPU time for
    a user with a dear hash, one with a cheap one, and one that is not there."""
    one = login("dear:%s" % hashed("$y$j9T$gPLvnfbXGK5wk5aQ3pWh4."),
                "cheap:%s" % hashed("$6$saltsalt"), "plain:x",
                "md5:%s" % hashlib.md5(b"x").hexdigest(),
                "sha1:%s" % hashlib.sha1(b"x").hexdigest(),
                arguments=("--workers", 1))
    worker, = one.wait_workers(1)
    spent = {}
    for user in (b"dear", b"cheap", b"plain", b"md5", b"sha1", b"nobody", b""):
        assert one.ask(user, b"wrong") == NO  # warm
        before = cpu_seconds(worker)
        for _ in range(3):
            assert one.ask(user, b"wrong") == NO
        spent[user] = cpu_seconds(worker) - before
    assert max(spent.values()) < 1.6 * min(spent.values()), spent
    assert one.close() == 0


# ---- the file ----

MD5CRYPT = "$1$saltsalt$UsKvB41C4SMxkhwIhOm3q1"
BAD = {
    # what is wrong: (bytes of the file, words of the message)
    "empty": (b"", ["users:1: there is no user", "ringtick passwd"]),
    "empty line": (b"a:x\n\nb:y\n", [":2: the line is empty"]),
    "empty line at the end": (b"a:x\n\n", [":2: the line is empty"]),
    "no colon": (b"a:x\nbob\n", [":2: there is no colon"]),
    "no name": (b":x\n", [":1: the name is empty"]),
    "no password": (b"a:\n", [":1: the password is empty"]),
    "comment": (b"# users: of all\n", [":1: the name begins with '#'"]),
    "long name": (b"a" * 128 + b":x\n", [":1: the name is longer than 127 bytes"]),
    "long password": (b"a:" + b"x" * 512, [":1: the password is longer than 511"]),
    "control": (b"a\x07b:x\n", [":1: the name has a control character"]),
    "NUL": (b"a:x\0y\n", [":1: the password has a control character"]),
    "CRLF": (b"a:x\r\nb:y\r\n", [":1: the password ends with a carriage return"]),
    "space": (b"a :x\n", [":1: the name begins or ends with a space"]),
    "space in front": (b"a: x\n", [":1: the password begins or ends with a space"]),
    "twice": (b"a:x\nb:y\na:x\n", [':3: the user "a" is on line 1 already']),
    "two in a line": (b"a:xb:%s\n" % MD5CRYPT.encode(),
                      [":1: the password has another user's line at its end"]),
    "locked": (b"a:!\n", [":1: the password looks like that of a locked user"]),
    "locked hash": (b"a:!$y$j75$a$b\n", [":1: the password looks like that of a lock"]),
    "unknown method": (b"a:$apr1$abc$def\n", [":1: the password is hashed by a method"]),
    "half a hash": (b"a:$6$salt$abc\n", [":1: the password is not a whole hash"]),
    "line of shadow": ("a:%s:19000:0:9:7:::\n" % MD5CRYPT).encode(),
    "fifth kind": "\n".join(
        "u%d:%s" % (i, hashed("$5$rounds=%d$salt" % (1000 + i)))
        for i in range(5)).encode(),
    "too many": (b"".join(b"u%d:x\n" % i for i in range(100001)),
                 [":100001: this is one user more than 100000"]),
    "too long": (b"a:x\n" * ((1 << 20) + 1), ["is longer than 4 MiB"]),
}
BAD["line of shadow"] = (BAD["line of shadow"], [":1: the password is not a whole hash"])
BAD["fifth kind"] = (BAD["fifth kind"], [":5: the password's hash is of a fifth kind"])


def test_bad_files(login, tmp_path):
    """Protects the operator: a file with a mistake is refused whole, with the place
    and the reason, and without a password in the message."""
    for name, (raw, words) in BAD.items():
        one = login(raw=raw)
        kind, users, text = one.first
        assert (kind, users) == (FAILED, 0), name
        assert all(word in text for word in words), (name, text)
        assert str(tmp_path) in text
        assert one.close() == 78, name
    for path, words in ((tmp_path, "is not a file"), (tmp_path / "none", "No such file")):
        one = login(path=path)
        assert one.first[0] == FAILED and words in one.first[2]
        assert one.close() == 78
    # no writer ever comes: it is not waited for
    os.mkfifo(tmp_path / "fifo")
    one = login(path=tmp_path / "fifo")
    assert one.first[0] == FAILED and "is not a file" in one.first[2]
    one.close()


@pytest.mark.skipif(is_sanitized_build(), reason="sanitizers have no limit of memory")
def test_absurd_costs(login):
    """Protects the start: hashes that this machine cannot make are refused with
    their line before anybody waits for one."""
    one = login("a:x", "b:$y$jFT$gPLvnfbXGK5wk5aQ3pWh4.$" + "a" * 43)
    assert one.first[0] == FAILED
    assert ":2: the password's hash cannot be made (" in one.first[2]
    one.close()


@pytest.mark.skipif(is_sanitized_build(), reason="sanitizers have no limit of memory")
def test_memory(login):
    """Protects the machine's memory: as much is told as all processes may take, which
    the dearest hash decides, and none can take more."""
    for salt, least, most in ((SALTS["sha512"], 0, 12), (DEAR, 128, 144)):
        one = login("cheap:x", "a:%s" % hashed(salt, "y"))
        share = one.memory_kb // 3
        assert least << 10 < share < most << 10
        assert one.log("login_ready")["memory_kb"] == str(share)
        processes = [one.pid, *one.wait_workers(2)]
        for _ in [one.send(b"nobody", b"wrong") for _ in range(4)]:
            assert one.answer()[0] == NO
        for pid in processes:
            assert int(status_of(pid)["VmPeak"].split()[0]) <= share
            limits = pathlib.Path("/proc/%d/limits" % pid).read_text()
            assert re.search(r"Max address space +%d +%d " % (share << 10, share << 10),
                             limits)
        assert one.close() == 0


def test_endless_hash(login):
    """Protects the start again: a hash that takes too long is given up, with its
    line; here the alarm rings early."""
    one = login("a:x", "b:$6$rounds=99999999$salt$" + "a" * 86, wait=False)
    until(lambda: cpu_seconds(one.pid) > 0.1, "it has begun")
    os.kill(one.pid, signal.SIGALRM)
    one.wait_first()
    assert one.first[0] == FAILED
    assert ":2: a check of this hash takes more than 20 s" in one.first[2]
    assert one.close() == 78


def test_many_users(login):
    """Protects firms: the most users that there can be are read and found."""
    one = login(*("user%d:pass%d" % (i, i) for i in range(100000)))
    assert one.first == (READY, 100000, "")
    for i in (0, 1, 50000, 99999):
        assert one.ask(b"user%d" % i, b"pass%d" % i) == YES
        assert one.ask(b"user%d" % i, b"pass") == NO
    assert one.close() == 0


def test_file_open_to_all(login, tmp_path):
    """Protects passwords: a file that everybody can read is warned of."""
    path = tmp_path / "users"
    path.write_text("a:x\n")
    path.chmod(0o644)
    one = login(path=path)
    assert one.first[0] == READY
    assert one.log("users_file_open")["mode"] == "0644"
    one.close()


# ---- the processes ----


def test_requests_fit(login):
    """Protects the daemon's thread: as many requests as it may have outstanding can
    be sent while nobody reads, and be answered while it does not read."""
    one = login("a:x", "b:%s" % hashed(SALTS["yescrypt"]))
    workers = one.wait_workers(2)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
        until(lambda: status_of(pid)["State"].startswith("T"), "it has stopped")
    for i in range(64):  # the socket is non-blocking: one too many is an error
        one.send(b"a", b"x" if i % 2 else b"y", peer=b"p" * 63)
    unread = struct.unpack("i", fcntl.ioctl(one.socket, termios.TIOCOUTQ, b"    "))[0]
    assert unread > 64 * REQUEST.size
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    until(lambda: fcntl.ioctl(one.socket, termios.TIOCOUTQ, b"    ") == bytes(4),
          "all have been read, though no answer has")
    answers = [one.answer() for _ in range(64)]
    assert sorted(about for _, about, _, _ in answers) == list(range(1, 65))
    assert all(kind == (NO if about % 2 else YES) for kind, about, _, _ in answers)
    assert one.close() == 0


def test_answers_overtake(login):
    """Protects those with cheap hashes: they do not queue behind a dear one."""
    one = login("dear:%s" % hashed(DEAR, "y"), "plain:x")
    slow = one.send(b"dear", b"wrong")
    quick = one.send(b"plain", b"x")
    assert one.answer()[:2] == (YES, quick)
    assert one.answer()[:2] == (NO, slow)
    assert one.close() == 0


def busy(one):
    """Gives both workers something dear to do."""
    workers = one.wait_workers(2)
    before = {pid: cpu_seconds(pid) for pid in workers}
    ids = [one.send(b"dear", b"wrong") for _ in workers]
    until(lambda: all(cpu_seconds(pid) > before[pid] + 0.03 for pid in workers),
          "both have begun")
    return workers, ids


def test_worker_dies(login):
    """Protects clients from a worker's death: what it was at is answered, another
    takes its place, and the log says so; not more than one start a second."""
    one = login("dear:%s" % hashed(DEAR, "y"), "plain:x")
    workers, ids = busy(one)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    answers = [one.answer() for _ in ids]
    assert sorted(answers) == [(UNKNOWN, about, 0, "") for about in ids]
    assert one.ask(b"plain", b"x") == YES
    assert one.log("login_worker_died", pid=workers[0])["signal"] == "9"
    again = one.wait_workers(2)
    assert not set(again) & set(workers)
    # those that die at once
    begin, cnt = time.monotonic(), 0
    while time.monotonic() < begin + 1.5:
        for pid in one.workers():
            if pid not in workers:
                os.kill(pid, signal.SIGKILL)
                workers.append(pid)
                cnt += 1
        time.sleep(0.01)
    assert cnt <= 6
    assert one.ask(b"plain", b"x") == YES
    assert one.close() == 0


def test_check_without_end(login):
    """Protects clients from a server that PAM asks and that hangs: when the time is
    over the answer is that there is none; here the alarm rings early."""
    one = login("dear:%s" % hashed(DEAR, "y"))
    workers, ids = busy(one)
    os.kill(workers[0], signal.SIGALRM)
    answers = sorted(one.answer()[:2] for _ in ids)
    assert sorted(kind for kind, _ in answers) == [NO, UNKNOWN]
    assert one.log("login_worker_died", pid=workers[0])["signal"] == "14"
    assert one.close() == 0


def test_end_while_busy(login):
    """Protects the machine: when the daemon goes, no process stays, not even one
    that is in the middle of a hash."""
    one = login("dear:%s" % hashed(DEAR, "y"))
    busy(one)
    for _ in range(62):
        one.send(b"dear", b"wrong")  # some seconds for two CPUs
    begin = time.monotonic()
    assert one.close() == 0
    assert time.monotonic() < begin + 4
    assert "login_worker_died" not in one.text()


def test_parent_dies(login):
    """Protects the machine again: without the process that looks after them the
    workers end, and the daemon sees that its socket is closed."""
    one = login("a:x")
    workers = one.wait_workers(2)
    one.process.kill()
    one.process.wait()
    until(lambda: all(map(is_gone, workers)), "workers end")
    assert one.socket.recv(4096) == b""


def test_signals_of_a_stop(login):
    """Protects those who log in while a unit is stopped: signals to all processes
    do not end the program before the daemon."""
    one = login("a:x")
    workers = one.wait_workers(2)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        for pid in [one.pid] + workers:
            os.kill(pid, number)
    assert one.ask(b"a", b"x") == YES
    assert one.workers() == workers
    assert one.close() == 0


def test_strange_requests(login):
    """Protects against a mistake of ours: what is no request is not answered, and
    the next one is."""
    one = login("a:x", arguments=("--workers", 1))
    good = (77, CHECK, 0, b"a", b"x", b"unix")
    whole = REQUEST.pack(*good)
    for strange in (b"x", whole[:-1], whole + b"\0", whole * 3,
                    REQUEST.pack(77, 0, *good[2:]), REQUEST.pack(77, 3, *good[2:]),
                    REQUEST.pack(77, CHECK, 2, *good[3:]),
                    REQUEST.pack(77, CHECK, 1, *good[3:]),
                    REQUEST.pack(77, ACCOUNT, *good[2:]),
                    REQUEST.pack(77, CHECK, 0, b"a" * 128, b"x", b"unix"),
                    REQUEST.pack(77, CHECK, 0, b"a", b"x" * 512, b"unix"),
                    REQUEST.pack(77, CHECK, 0, b"a", b"x", b"u" * 64)):
        one.socket.send(strange)
    assert one.ask(b"a", b"x") == YES
    assert one.log("login_strange_request")["bytes"] == "1"
    assert one.close() == 0


def test_log(login):
    """Protects the reader of the log: who was refused and from where, in a form
    that a name cannot break; a line a second."""
    one = login("a:x", arguments=("--workers", 1))
    for _ in range(20):
        assert one.ask(b'evil" event=x\x07', b"a secret", peer=b"[::1]:80") == NO
    line = one.log("login_refused")
    assert (line["user"], line["peer"]) == ("evil??event?x?", "[::1]:80")
    assert line["reason"] == "no such user" and line.level == 5
    assert one.close() == 0
    assert one.text().count("login_refused") <= 3
    assert "secret" not in one.text()


def test_log_on_a_terminal(login):
    """Protects the filter of system calls: the time of day, which a terminal gets
    in front of each line, needs none that it does not have."""
    ours, theirs = pty.openpty()
    one = login("a:x", stderr=theirs)
    os.close(theirs)
    assert one.ask(b"a", b"y") == NO
    shown = b""
    while b"login_refused" not in shown:
        shown += os.read(ours, 4096)
    assert one.ask(b"a", b"x") == YES
    assert one.close() == 0
    os.close(ours)


@pytest.mark.skipif(is_sanitized_build(), reason="sanitizers need more")
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
def test_filter_in_the_unit(login, tmp_path):
    """Protects the service: the filter is there too where the unit's own refuses
    the system call that is made for it.  And a check has an end."""
    one = login("a:x", arguments=("--workers", 1), wrap=(
        "strace", "-D", "-f", "-o", str(tmp_path / "calls"), "-e", "trace=seccomp,alarm",
        "-e", "inject=seccomp:error=EPERM"))
    worker, = one.wait_workers(1)
    assert one.ask(b"a", b"x") == YES
    if "Operation not supported" in one.text():
        pytest.skip("built without seccomp")
    assert status_of(worker)["Seccomp"] == "2"
    calls = (tmp_path / "calls").read_text()
    assert calls.index("alarm(60)") < calls.rindex("alarm(0)")
    assert one.close() == 0
    assert "login_no_filter" not in one.text()


@pytest.mark.skipif(is_sanitized_build(), reason="sanitizers need more")
def test_sandbox(login):
    """Protects the machine from a fault in a hash: a worker can open nothing, gets
    no rights, leaves no core, and has few system calls."""
    one = login("a:x")
    for pid in one.wait_workers(2):
        assert one.ask(b"a", b"x") == YES
        until(lambda: status_of(pid)["Seccomp"] == "2"
              or "Operation not supported" in one.text(), "the filter")
        assert status_of(pid)["NoNewPrivs"] == "1"
        limits = pathlib.Path("/proc/%d/limits" % pid).read_text().splitlines()
        limits = {line[:25].strip(): line[25:].split()[:2] for line in limits}
        assert limits["Max core file size"] == ["0", "0"]
        assert limits["Max open files"] == ["1", "1"]
        try:
            names = os.listdir("/proc/%d/fd" % pid)
        except PermissionError:  # it cannot be looked into, but by root
            assert os.geteuid() != 0
        else:
            assert os.geteuid() == 0
            assert set(names) <= {"0", "1", "2", "3", "4"}
    assert one.close() == 0


def test_started_by_hand():
    """Protects the curious: without the daemon's socket the program says what it
    is; and mistakes in its command line are mistakes."""
    done = subprocess.run([find_login(), "--users", "x"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 78 and "started by ringtickd" in done.stderr
    for wrong in ([], ["--users", "x", "--pam", "y"], ["--users", "x", "more"],
                  ["--users", "x", "--workers", "0"], ["--users", "x", "--workers", "17"],
                  ["--users", "x", "--workers", "2x"]):
        done = subprocess.run([find_login(), *wrong], capture_output=True,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 78 and done.stderr and not done.stdout
