"""Passwords by PAM: pam_userdb's users, in services of the test's own; asked by
ringtick-login alone, and by the daemon."""

import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import time

import kdb
import pytest
from daemon import QUOTE, TRADE, find_ringtickd, is_sanitized_build
from kdb import NIL
from login import (ACCOUNT, FAILED, NO, READY, UNKNOWN, YES, Login, children, crypt,
                   find_login, remains, until)
from traffic import published, trade

USERS = {"rdb": "dogs & cats", "feed": "p", "gone": "g", "slow": "s"}


@pytest.fixture
def folder(tmp_path):
    """Of services; users.db has the users, with plain passwords, and hashed.db
    with crypt(3)'s."""
    if shutil.which("db_load") is None:
        pytest.skip("db_load is not here: install db-util")
    hashes = {user: crypt(password, "$6$rounds=1000$salt")
              for user, password in USERS.items()}
    for name, users in (("users", USERS), ("hashed", hashes)):
        subprocess.run(["db_load", "-T", "-t", "hash", tmp_path / (name + ".db")],
                       input="".join("%s\n%s\n" % pair for pair in users.items()),
                       text=True, check=True)
    (tmp_path / "hosts").write_text("10.0.0.5\n::1\n")
    (tmp_path / "unix").write_text("unix\n")
    (tmp_path / "leavers").write_text("gone\n")
    return tmp_path


@pytest.fixture
def pam(folder):
    """pam("line", ...) runs ringtick-login with a service of these lines."""
    started = []

    def start(*lines, service="ringtick"):
        (folder / "ringtick").write_text(
            "".join(line.format(folder=folder) + "\n" for line in lines))
        started.append(Login("--pam", service, "--pam-folder", folder))
        if "built without PAM" in started[-1].first[2]:
            pytest.skip("built without PAM")
        return started[-1]
    yield start
    for one in started:
        one.abandon()


DB = "auth required pam_userdb.so db={folder}/users"
ALL = "account required pam_permit.so"


@pytest.mark.parametrize("db", [DB, "auth required pam_userdb.so db={folder}/hashed "
                                    "crypt=crypt"])
def test_users_of_a_database(pam, db):
    """Protects sites with PAM: the right password opens, all else does not."""
    one = pam(db, ALL)
    assert one.first == (READY, 0, "")
    for user, password in USERS.items():
        assert one.ask(user.encode(), password.encode()) == YES
        assert one.ask(user.encode(), password.encode() + b"x") == NO
        assert one.ask(user.encode(), b"") == NO
        assert one.ask(user.encode(), long=1) == NO
    for stranger in (b"", b"nobody", b"a\x07", b"rdb:p", b"x" * 127):
        assert one.ask(stranger, b"p") == NO
    assert one.log("login_refused", user="rdb", reason=lambda text: "PAM" in text)
    assert one.close() == 0
    assert "dogs" not in one.text()


def test_accounts(pam):
    """Protects against those who left: the account's part of the stack is asked
    at each login, and alone when the daemon asks whether a user may still come."""
    one = pam(DB, "account required pam_listfile.so onerr=fail item=user sense=deny "
                  "file={folder}/leavers")
    assert one.ask(b"rdb", b"dogs & cats") == YES
    assert one.ask(b"gone", b"g") == NO
    assert one.ask(b"rdb", kind=ACCOUNT) == YES
    assert one.ask(b"gone", kind=ACCOUNT) == NO
    assert one.close() == 0


def test_address(pam):
    """Protects rules by host: modules see the peer's address without its port, and
    none for a peer of this machine."""
    one = pam(DB, "account required pam_listfile.so onerr=fail item=rhost sense=allow "
                  "file={folder}/hosts")
    for peer, answer in ((b"10.0.0.5:5010", YES), (b"10.0.0.6:5010", NO),
                         (b"[::1]:5010", YES), (b"[::2]:5010", NO),
                         (b"[::ffff:10.0.0.5]:5010", YES), (b"10.0.0.5", YES)):
        assert one.ask(b"feed", b"p", peer=peer) == answer, peer
    assert one.close() == 0
    one = pam(DB, "account required pam_listfile.so onerr=fail item=rhost "
                  "sense=deny file={folder}/unix")
    assert one.ask(b"feed", b"p", peer=b"unix") == YES
    assert one.close() == 0


@pytest.mark.skipif(is_sanitized_build(), reason="sanitizers keep what is freed")
def test_nothing_remains(pam):
    """Protects passwords: libpam wipes its copies, and we ours."""
    one = pam(DB, ALL)
    for password in (b"what was typed", b"p"):
        one.ask(b"feed", password)
        for worker in one.workers():
            assert not remains(worker, b"what was")
    assert one.close() == 0


def test_failures_do_not_wait(pam):
    """Protects the other users: the delay that modules ask for after a failure
    holds no worker; the daemon delays the peer."""
    one = pam("auth optional pam_faildelay.so delay=60000000", DB, ALL)
    begin = time.monotonic()
    for _ in range(4):
        assert one.ask(b"feed", b"wrong") == NO
    assert time.monotonic() < begin + 20
    assert one.close() == 0


def test_the_stack_is_broken(pam):
    """Protects users from a trouble that is not theirs: it is told apart from a
    wrong password, and logged as an error."""
    for lines in (("auth required pam_userdb.so db={folder}/nowhere", ALL),
                  ("auth required pam_no_such_module.so", ALL)):
        one = pam(*lines)
        assert one.ask(b"feed", b"p") == UNKNOWN, lines
        line = one.log("login_unknown")
        assert (line["user"], line.level) == ("feed", 3)
        assert one.close() == 0


def test_no_service(pam, folder):
    """Protects the operator from PAM's own way: a service that is not there is not
    the service "other"."""
    for name in ("rintick", "", "../ringtick", "hosts/x"):
        one = pam(DB, ALL, service=name)
        assert one.first[0] == FAILED and '"%s"' % name in one.first[2], one.first
        assert one.close() == 78
    one = Login("--pam", "no-such-service-of-ringtick")
    assert one.first[0] == FAILED
    assert "make the file /etc/pam.d/no-such-service-of-ringtick" in one.first[2]
    assert one.close() == 78


# ---- through the daemon ----

SLOW = """#!/bin/sh
case $PAM_USER in
slow) echo >>{folder}/begun; read line <{folder}/gate ;;
esac
exit 0
"""


class Door:
    """A daemon that asks a service, whose user `slow` is checked until open()."""

    def __init__(self, folder, start, monkeypatch):
        self.folder, self.start = folder, start
        (folder / "leavers").write_text("nobody\n")
        self.script("slow", SLOW.format(folder=shlex.quote(str(folder))))
        (folder / "begun").touch()
        os.mkfifo(folder / "gate")
        self.gate, self.opened = os.open(folder / "gate", os.O_RDWR), 0
        (folder / "ringtick").write_text(
            "auth requisite pam_exec.so quiet {0}/slow\n{1}\n"
            "account requisite pam_exec.so quiet {0}/server\n"
            "account required pam_listfile.so onerr=fail item=user sense=deny "
            "file={0}/leavers\n".format(folder, DB.format(folder=folder)))
        self.script("server", "#!/bin/sh\n")
        # Beside the daemon is the program that it starts: here with this folder.
        (folder / "bin").mkdir()
        shutil.copy(find_ringtickd(), folder / "bin" / "ringtickd")
        self.script("bin/ringtick-login", "#!/bin/sh\nexec %s --pam-folder %s \"$@\"\n"
                    % (shlex.quote(find_login()), shlex.quote(str(folder))))
        monkeypatch.setenv("RINGTICKD", str(folder / "bin" / "ringtickd"))

    def script(self, name, text):
        """Also in the place of one that may be running."""
        new = self.folder / "script"
        new.write_text(text)
        new.chmod(0o755)
        new.replace(self.folder / name)

    def daemon(self, **auth):
        self.one = self.start({
            "schema": {"tables": [TRADE, QUOTE]}, "engine": {"mode": "direct"},
            "connections": {"handshake_timeout": "20s"},
            "auth": {"pam": "ringtick", "rights": [{"user": "rdb", "roles": "admin"}],
                     **auth}})
        return self.one

    def helper(self):
        """The process that looks after the workers."""
        tasks = pathlib.Path("/proc/%d/task" % self.one.pid)
        text = " ".join((task / "children").read_text() for task in tasks.iterdir())
        return int(text)

    def say(self, creds):
        sock = kdb.dial(self.one.port)
        sock.sendall(creds.encode() + b"\x03\0")
        return sock

    def answer(self, creds):
        with self.say(creds) as sock:
            return sock.recv(16)

    def begun(self):
        """How many checks that last have begun."""
        return (self.folder / "begun").stat().st_size

    def begins(self):
        """A client whose check lasts, when it has begun."""
        begun = self.begun()
        sock = self.say("slow:s")
        until(lambda: self.begun() == begun + 1, "it has begun")
        return sock

    def open(self):
        """Ends all checks that last, each of which takes one byte."""
        cnt = self.begun()
        os.write(self.gate, b"\n" * (cnt - self.opened))
        self.opened = cnt


@pytest.fixture
def door(folder, start, monkeypatch):
    one = Login("--pam", "ringtick")
    one.close()
    if "built without PAM" in one.first[2]:
        pytest.skip("built without PAM")
    found = Door(folder, start, monkeypatch)
    yield found
    found.open()
    os.close(found.gate)


def test_the_daemon_asks(door, connect):
    """Protects sites with PAM: the daemon lets in whom the service lets in, tells the
    others nothing, and after a reload ends who has left."""
    daemon = door.daemon()
    assert door.answer("rdb:dogs & cats") == b"\x03"
    for creds in ("rdb:dogs", "rdb", "nobody:p", ":p", "feed:" + "p" * 600):
        assert door.answer(creds) == b"", creds
    refused = {(line["user"], line["reason"]) for line in daemon.logged("disconnect")}
    assert {("rdb", "login"), ("nobody", "login"), ("feed", "login")} <= refused
    boss = connect(daemon, creds=b"rdb:dogs & cats\x03")
    gone = connect(daemon, creds=b"gone:g\x03")
    feed = connect(daemon, creds=b"feed:p\x03")
    (door.folder / "leavers").write_text("gone\n")
    # while a server that is asked is away nobody goes; then those do who must
    door.script("server", "#!/bin/sh\nexit 1\n")
    after = daemon.mark()
    assert boss.sync(".ringtick.reload[]") == NIL
    daemon.wait_log("login_unknown", after=after)
    assert gone.sync(".u.d").value
    door.script("server", "#!/bin/sh\n")
    daemon.wait_log("disconnect", user="gone", reason="user_gone")
    assert feed.update("trade", trade(1, 1)) == NIL
    assert door.answer("gone:g") == b""
    assert "dogs" not in daemon.tail(1000)


def test_a_slow_service(door, connect):
    """Protects all from a server that PAM waits for: while one check lasts others are
    let in, and while all workers are held those who are connected notice nothing."""
    daemon = door.daemon()
    sub = connect(daemon, creds=b"rdb:dogs & cats\x03")
    sub.subscribe()
    feed = connect(daemon, creds=b"feed:p\x03")
    slow = [door.begins()]
    assert door.answer("feed:p") == b"\x03"
    slow.append(door.begins())
    waiting = door.say("feed:p")
    for turn in range(3):
        assert feed.update("trade", trade(turn, 1)) == NIL
        assert sub.read_frame() == published("trade", trade(turn, 1).items)
    door.open()
    for sock in slow + [waiting]:
        assert sock.recv(16) == b"\x03"
        sock.close()


def test_killed_while_it_checks(door):
    """Protects clients: a worker that dies is answered for, and without the whole
    program they are asked again when it is back."""
    daemon = door.daemon()
    with door.begins() as first:
        busy, = [pid for pid in children(door.helper()) if children(pid)]
        os.kill(busy, signal.SIGKILL)
        assert first.recv(16) == b""
    daemon.wait_log("disconnect", user="slow", reason="login_unknown")
    with door.begins() as second:
        os.kill(door.helper(), signal.SIGKILL)
        daemon.wait_log("login_gone")
        until(lambda: door.begun() == 3, "it is asked again")
        door.open()
        assert second.recv(16) == b"\x03"
