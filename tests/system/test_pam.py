"""ringtick-login with PAM: pam_userdb's users, in services of the test's own."""

import shutil
import subprocess
import time

import pytest
from daemon import is_sanitized_build
from login import (ACCOUNT, FAILED, NO, READY, UNKNOWN, YES, Login, crypt, remains)

USERS = {"rdb": "dogs & cats", "feed": "p", "gone": "g"}


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
