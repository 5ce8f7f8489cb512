"""Users with passwords: who is let in, what a stranger learns, and what happens when
the program that checks passwords is busy, ends, or is changed."""

import os
import select
import shutil
import signal
import socket
import subprocess
import time

import kdb
import pytest
from daemon import (QUOTE, TRADE, find_ringtickd, is_sanitized_build, merged,
                    write_config)
from kdb import NIL, Error
from login import children as children_of, remains, status_of, until
from test_proxy import header, talk
from test_tools import find_ringtick
from traffic import published, trade


CLEAR = "feed:secret\nrdb:s3:cr\xe9t\nboss:b\n"
# of "secret": MD5 and SHA-1, as kdb+ has them
MD5 = "5ebe2294ecd0e0f08eab7690d2a6ee69"
SHA1 = "e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4"


def hashed(name, password):
    """A line as `ringtick passwd` makes it."""
    done = subprocess.run([find_ringtick(), "passwd", name], input=password + "\n",
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    path.write_bytes(CLEAR.encode("latin1"))
    path.chmod(0o600)
    return path


def settings(users, mode="direct", **auth):
    return {"engine": {"mode": mode}, "schema": {"tables": [TRADE, QUOTE]},
            "connections": {"handshake_timeout": "20s"},
            "auth": {"users": str(users), "rights": [{"user": "boss", "roles": "admin"}],
                     **auth}}


def login(daemon, creds, unix=False):
    """What is answered."""
    sock = kdb.dial(daemon.port, unix=unix)
    with sock:
        sock.sendall(creds + b"\x03\0")
        return sock.recv(16)


def test_who_is_let_in(start, users, mode):
    """Protects the door: the right password and no other, over each socket, of each
    kind of hash; what is answered to a stranger is nothing, whoever he says he is."""
    users.write_text("feed:secret\nmd5:%s\nsha1:%s\n" % (MD5, SHA1) + hashed("y", "secret"))
    daemon = start(settings(users, mode))
    share = daemon.wait_log("login_ready").number("memory_kb")
    assert daemon.wait_log("memory").number("login_max_kb") == 2 * 3 * share
    for user in (b"feed", b"md5", b"sha1", b"y"):
        for unix in (False, True):
            assert login(daemon, user + b":secret", unix) == b"\x03", user
    bad = [b"feed:Secret", b"feed:secre", b"feed:secrets", b"feed:", b"feed", b"",
           b":secret", b"nobody:secret", b"md5:" + MD5.encode(), b"y:Guess", b"feed:" + b"x" * 600]
    for creds in bad:
        assert login(daemon, creds) == b"", creds
    reasons = {(line["user"], line["reason"]) for line in daemon.logged("disconnect")
               if line["reason"] != "peer_closed"}
    assert {reason for _, reason in reasons} <= {"login", "login_barred"}
    assert daemon.summary().number("login_failures") >= len(bad) - 3
    text = "\n".join(line.text for line in daemon.lines)
    assert "secret" not in text and "Secret" not in text and "Guess" not in text


def test_requests_right_after_the_handshake(start, users, connect):
    """Protects clients that do not wait for the reply: their requests are handled when
    the password is checked, and not at all if it is wrong."""
    daemon = start(settings(users))
    rest = kdb.frame(kdb.q(kdb.sym(".u.upd"), kdb.sym("trade"), trade(7, 1)), kdb.SYNC)
    sub = connect(daemon, creds=b"rdb:s3:cr\xe9t\x03")
    sub.subscribe()
    for creds, taken in ((b"feed:wrong", False), (b"feed:secret", True)):
        sock = kdb.dial(daemon.port)
        sock.sendall(creds + b"\x03\0" + rest)
        assert (sock.recv(1) == b"\x03") == taken
        if taken:
            assert sub.read_frame() == published("trade", trade(7, 1).items)
        sock.close()
    sub.expect_silence()


def test_failures_are_slowed_down(start, users):
    """Protects from guessing: after some failures a user is not even checked from that
    address, for a while, be there one or not; another user from there is, and so is
    this one later."""
    daemon = start(settings(users))
    for user in (b"stranger", b"feed"):
        for _ in range(3):
            assert login(daemon, user + b":guess") == b""
        mark = daemon.mark()
        assert login(daemon, user + b":secret") == b""
        daemon.wait_log("disconnect", after=mark, reason="login_barred",
                        user=user.decode())
    assert login(daemon, b"boss:b") == b"\x03"
    deadline = time.monotonic() + 20
    while login(daemon, b"feed:secret") != b"\x03":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_many_names_from_one_address(start, users):
    """Protects from guessing among names that are made up: they do not wash away the
    failures, and after some dozens nobody is checked from that address."""
    daemon = start(settings(users))
    tries = 0
    while not daemon.logged("disconnect", reason="login_barred",
                            user=lambda name: name.startswith("x")):
        creds = b"x%d:guess" % tries if tries % 8 else b"feed:guess"
        assert login(daemon, creds) == b""
        tries += 1
        assert tries < 1000
    assert login(daemon, b"boss:b") == b""
    daemon.wait_log("disconnect", user="boss", reason="login_barred")
    assert login(daemon, b"boss:b", unix=True) == b"\x03"


def test_guesses_at_once(start, users):
    """Protects from guesses that all come before the first answer, and newcomers
    at other addresses from waiting behind them."""
    users.write_text("feed:secret\n" + hashed("y", "secret"))
    daemon = start(merged(settings(users), {"connections": {"max": 256}}))
    guesses = [kdb.dial(daemon.port, source="127.0.0.2") for _ in range(100)]
    for n, sock in enumerate(guesses):
        sock.sendall(b"feed:guess%d\x03\0" % n)
    guesses[0].recv(16)
    for user in (b"feed", b"y"):
        assert login(daemon, user + b":secret") == b"\x03"
    refused = [sock for sock in guesses if select.select([sock], [], [], 0)[0]]
    assert len(refused) <= 24 and daemon.summary().number("login_failures") <= 24
    for sock in guesses:
        sock.close()


def test_a_network_of_ipv6_is_one_address(start, users):
    """Protects from guessing by a machine that has every address of its network: they
    count as one."""
    daemon = start(merged(settings(users), {"listen": {"proxy": True}}))
    for n, reason in enumerate(["login", "login", "login", "login_barred"]):
        mark = daemon.mark()
        sock, reply = talk(daemon, header("2001:db8::%d" % n), b"feed:guess\x03\0")
        assert reply == b""
        sock.close()
        assert daemon.wait_log("disconnect", after=mark)["reason"] == reason
    sock, reply = talk(daemon, header("2001:db8:0:1::"), b"feed:guess\x03\0")
    sock.close()
    assert daemon.wait_log("disconnect", peer="[2001:db8:0:1::]:4711")["reason"] == "login"


def test_users_change(start, users, connect):
    """Protects the operator's reload: a user who is removed is cut off, a new one is
    let in, the others notice nothing; a broken file changes nothing."""
    daemon = start(settings(users))
    feed = connect(daemon, creds=b"feed:secret\x03")
    rdb = connect(daemon, creds=b"rdb:s3:cr\xe9t\x03")
    boss = connect(daemon, creds=b"boss:b\x03")
    rdb.subscribe()
    users.write_text("boss:b\nrdb:new\nlate:l\n")
    assert boss.sync(".ringtick.reload[]") == NIL
    daemon.wait_log("disconnect", user="feed", reason="user_gone")
    late = connect(daemon, creds=b"late:l\x03")
    assert late.update("trade", trade(1, 1)) == NIL
    assert rdb.read_frame() == published("trade", trade(1, 1).items)
    assert login(daemon, b"feed:secret") == b""
    users.write_text("boss:b\nboss:c\n")
    assert isinstance(boss.sync(".ringtick.reload[]"), Error)
    assert "boss" in daemon.wait_log("reload", result="failed")["error"]
    assert login(daemon, b"late:l") == b"\x03"
    write_config(daemon.config, merged(settings(users), {"auth": {"users": ""}}))
    users.unlink()
    assert boss.sync(".ringtick.reload[]") == NIL
    assert login(daemon, b"anybody:x") == b"\x03"
    assert rdb.sync("") == NIL and late.sync("") == NIL


def test_who_came_in_without(start, users, connect, mode):
    """Protects the rights of a name: who took it while no password was needed is sent
    away by the reload that asks for one, whoever it says it is; who had given one
    stays."""
    base = settings(users, mode)
    daemon = start(base)
    rdb = connect(daemon, creds=b"rdb:s3:cr\xe9t\x03")
    rdb.subscribe()
    write_config(daemon.config, merged(base, {"auth": {"users": ""}}))
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("reload", result="ok")
    thieves = [connect(daemon, creds=b"boss:b\x03"), connect(daemon, creds=b"feed\x03")]
    assert thieves[0].sync(".ringtick.reload[]") == NIL
    write_config(daemon.config, base)
    mark = daemon.mark()
    daemon.signal(signal.SIGHUP)
    for thief in thieves:
        with pytest.raises(kdb.Closed):
            thief.read_frame()
    gone = [daemon.wait_log("disconnect", after=mark, reason="not_shown", user=user)
            for user in ("boss", "feed")]
    assert len(gone) == 2
    feed = connect(daemon, creds=b"feed:secret\x03")
    assert feed.update("trade", trade(1, 1)) == NIL
    assert rdb.read_frame() == published("trade", trade(1, 1).items)


def children(daemon):
    """The processes of ringtick-login."""
    with open("/proc/%d/task/%d/children" % (daemon.pid, daemon.pid)) as file:
        found = file.read().split()
    for task in os.listdir("/proc/%d/task" % daemon.pid):
        with open("/proc/%d/task/%s/children" % (daemon.pid, task)) as file:
            found += file.read().split()
    return sorted({int(pid) for pid in found})


def test_the_checker_ends(start, users, connect):
    """Protects the market from the door: without ringtick-login nobody new comes in,
    those who are there notice nothing, and it comes back by itself; who waits is then
    checked."""
    daemon = start(settings(users))
    feed = connect(daemon, creds=b"feed:secret\x03")
    for turn in range(3):
        mark = daemon.mark()
        for pid in children(daemon):
            os.kill(pid, signal.SIGKILL)
        daemon.wait_log("login_gone", after=mark)
        assert feed.update("trade", trade(turn, 1)) == NIL
        assert login(daemon, b"rdb:s3:cr\xe9t") == b"\x03"
    assert len(children(daemon)) == 1


def test_many_at_once(start, users, connect):
    """Protects a reconnect storm, and who behaves beside strangers: all are answered,
    strangers do not keep the others waiting for long."""
    users.write_text("feed:secret\n" + hashed("y", "secret"))
    daemon = start(merged(settings(users), {"connections": {"max": 256}}))
    strangers = []
    for n in range(60):
        sock = kdb.dial(daemon.port, source="127.0.0.%d" % (2 + n % 2))
        sock.sendall(b"x%d:guess\x03\0" % n)
        strangers.append(sock)
    for user in (b"feed", b"y"):
        assert login(daemon, user + b":secret") == b"\x03"
    storm = []
    for n in range(100):
        sock = kdb.dial(daemon.port)
        sock.sendall(b"feed:secret\x03\0")
        storm.append(sock)
    for sock in storm:
        assert sock.recv(16) == b"\x03"
    for sock in strangers + storm:
        sock.close()


def pause(pids):
    """Returns when all have stopped."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        until(lambda: status_of(pid)["State"].startswith("T"), "it has stopped")


def test_gone_while_it_is_checked(start, users, connect):
    """Protects slots: a client that goes, or is late, while its password is checked."""
    users.write_text("boss:b\n" + hashed("y", "secret"))
    daemon = start(merged(settings(users), {"connections": {"handshake_timeout": "1s"}}))
    for _ in range(5):
        sock = kdb.dial(daemon.port)
        sock.sendall(b"y:secret\x03\0")
        sock.close()
    stopped = [*workers_of(daemon), *children(daemon)]
    pause(stopped)
    late, gone = kdb.dial(daemon.port), kdb.dial(daemon.port)
    for sock in (late, gone):
        sock.sendall(b"boss:b\x03\0")
    gone.close()
    assert late.recv(16) == b""
    daemon.wait_log("disconnect", user="boss", reason="login_unknown")
    daemon.wait_log("disconnect", user="boss", reason=lambda why: why.startswith("peer_"))
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    late.close()
    # Each try has a second, which a busy machine may use up.
    until(lambda: login(daemon, b"boss:b") == b"\x03", "it is let in")


def workers_of(daemon):
    """Those of ringtick-login, when they have begun."""
    one, = children(daemon)
    until(lambda: len(children_of(one)) == 2, "two workers")
    return children_of(one)


@pytest.mark.skipif(is_sanitized_build(), reason="sanitizers keep what is freed")
def test_nothing_remains(start, users):
    """Protects passwords: the daemon has one as long as it is checked, and then no
    more, be it right or wrong, was the client there or not; root can look."""
    users.write_text("feed:rather secret\n" + hashed("y", "not that one"))
    daemon = start(settings(users))
    workers = workers_of(daemon)
    for creds, gone in ((b"feed:rather secret", False), (b"y:what was typed", False),
                        (b"x:by a stranger", False), (b"z:who has left", True)):
        secret = creds.split(b":")[1]
        pause(workers)
        sock = kdb.dial(daemon.port)
        sock.sendall(creds + b"\x03\0")
        if os.geteuid() == 0:
            until(lambda: remains(daemon.pid, secret), "it has come")
        if gone:
            sock.close()
            daemon.wait_log("disconnect", reason=lambda why: why.startswith("peer_"))
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        assert gone or sock.recv(16) == (b"\x03" if creds.startswith(b"feed") else b"")
        assert not remains(daemon.pid, secret), creds
        sock.close()


MISTAKES = {
    "no file": (None, ["users", "No such file"]),
    "no colon": ("feed\n", [":1", "colon"]),
    "twice": ("feed:a\nfeed:b\n", [":2", "feed"]),
    "empty": ("", ["users"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(start, users, name):
    """Protects the start: with a users file that cannot be used nobody is let in, and
    the line says what is wrong with it, never a password."""
    text, wanted = MISTAKES[name]
    if text is None:
        users.unlink()
    else:
        users.write_text(text)
    with pytest.raises(AssertionError) as failure:
        start(settings(users))
    for word in wanted:
        assert word in str(failure.value)


SLOW_LOGIN = """#!/usr/bin/python3
import os, socket, struct
end = socket.socket(fileno=3)
if os.path.exists(%r):
    open(%r).close()
end.send(struct.pack("<QIII512x", 0, 1, 1, 0))
while request := end.recv(1024):
    number, kind = struct.unpack_from("<QI", request)
    if kind == 1 and %r in (request[16:20], b""):
        end.send(struct.pack("<QIII512x", number, 3, 0, 0))
"""


@pytest.fixture
def slow_login(tmp_path, monkeypatch):
    """slow_login(...) has daemons use the program above, which is ready when a FIFO has
    been opened, if there is one, lets in this user, or everybody, and answers nothing
    else."""
    def use(user=b"", fifo=""):
        program = tmp_path / "bin" / "ringtickd"
        program.parent.mkdir()
        shutil.copy(find_ringtickd(), program)
        (program.parent / "ringtick-login").write_text(
            SLOW_LOGIN % (str(fifo), str(fifo), user))
        (program.parent / "ringtick-login").chmod(0o755)
        monkeypatch.setenv("RINGTICKD", str(program))
    return use


def test_strangers_make_place(start, users, connect, clients, slow_login):
    """Protects places from whoever says passwords on all connections: those whose turn
    has not come make place for others, as the silent ones do."""
    slow_login(b"feed")
    daemon = start(merged(settings(users), {"connections": {"max": 32}}))
    for n in range(40):
        sock = socket.create_connection(("127.0.0.1", daemon.port), timeout=20,
                                        source_address=("127.0.0.2", 0))
        clients.callback(sock.close)
        sock.sendall(b"stranger%d:x\x03\0" % n)
    inside, limit = [], time.monotonic() + 10
    while len(inside) < 10:
        try:
            inside.append(connect(daemon, creds=b"feed:secret\x03"))
        except (kdb.Closed, ConnectionError):
            assert time.monotonic() < limit, "nobody is let in"
    daemon.wait_log("disconnect", reason="handshake_timeout",
                    user=lambda name: name.startswith("stranger"))
    for one in inside:
        assert one.sync("") == NIL
    assert not daemon.logged("disconnect", user="feed", reason="handshake_timeout")


def test_accounts_that_are_not_answered(start, users, connect, slow_login):
    """Protects the daemon from a slow ringtick-login (here one that never says whether
    a user is still there): reloads ask again, and it may end meanwhile."""
    slow_login()
    daemon = start(settings(users))
    boss = connect(daemon, creds=b"boss:b\x03")
    for turn in range(3):
        assert boss.sync(".ringtick.reload[]") == NIL
    mark = daemon.mark()
    for pid in children(daemon):
        os.kill(pid, signal.SIGKILL)
    daemon.wait_log("login_gone", after=mark)
    assert login(daemon, b"feed:x") == b"\x03"
    assert boss.sync("") == NIL
