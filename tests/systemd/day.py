"""An operator's day with ringtick as a service, in a container that run.sh boots.

    day.py BUILD [STEP...]

All day a feed publishes numbered records, and a subscriber checks that it gets each
of them once.  Every step leaves the service as it found it: running, with SETTINGS.
"""

import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import ssl
import sys
import time
import traceback

import journal
import kdb
import service
from clients import Feed, Rdb
from daemon import Raw
from kdb import NIL
from service import (client, configure, drop_in, is_now, mark, run, show, systemctl, until,
                     wait_log, wait_status, wait_up)
from traffic import trade, update

STEPS = []
ACCESS = kdb.Error(b"access")
STATE = pathlib.Path("/var/lib/ringtick")


def step(function):
    STEPS.append(function)
    return function


class Skipped(Exception):
    """A step that cannot be played here, and why."""


class Day:
    SAVED = pathlib.Path("/var/tmp/day")  # while the machine is restarted

    def __init__(self, build):
        self.build = build
        self.feed = self.rdb = None
        self.before = None  # what files there were
        self.records = 0
        self.how = {}  # each step went
        if self.SAVED.exists():
            saved = json.loads(self.SAVED.read_text())
            self.before, self.records = set(saved["before"]), saved["records"]
            self.how = saved["how"]

    def save(self):
        self.SAVED.write_text(json.dumps({
            "before": list(self.before), "records": self.records, "how": self.how}))

    def begin(self):
        self.feed, self.rdb = Feed("feed", "f"), Rdb("rdb", "r")

    def all_is_well(self, more=20):
        """New records arrive at the subscriber, which has missed none."""
        self.feed.look()
        self.rdb.wait_for(more)

    def refused(self):
        return self.feed.refused + self.rdb.refused

    def connects(self):
        return self.feed.connects, self.rdb.connects


# ---- the morning ----


def files():
    """All that was installed or made: files, and folders with the name."""
    return {os.path.join(folder, name)
            for top in ("/usr/local", "/etc", "/var/lib", "/run/ringtick")
            for folder, folders, names in os.walk(top)
            for name in names + [one for one in folders if "ringtick" in one]}


@step
def install(day):
    """`make install`, the user, and what systemd thinks of the units."""
    day.before = files()
    run("make", "-C", day.build, "install")
    run("systemd-sysusers")
    systemctl("daemon-reload")
    user = pwd.getpwnam("ringtick")
    assert user.pw_uid != 0 and user.pw_shell.endswith("nologin"), user
    for unit in ("ringtick.service", "ringtick.socket"):
        said = run("systemd-analyze", "verify", "--man=no", show("FragmentPath", unit))
        assert said == "", "`systemd-analyze verify` was expected to say nothing: " + said
    # in tenths
    run("systemd-analyze", "security", "--threshold=16", "--no-pager", service.NAME)


@step
def start(day):
    """The configuration as installed, but for the ring; ready, and as it promises."""
    program, configuration = service.command_line()
    text = configuration.read_text()
    changed = text.replace('# size = "64M";', 'size = "1M";')
    assert changed != text, "expected the ring's size in " + str(configuration)
    configuration.write_text(changed)
    systemctl("enable", "--now", service.NAME)
    run(program, "-c", configuration, "--check")
    is_now(ActiveState="active", SubState="running", NRestarts=0, Result="success",
           WatchdogUSec="30s")
    wait_status("port=5010")
    process = pathlib.Path("/proc/%d/status" % service.pid()).read_text()
    user = pwd.getpwnam("ringtick")
    for wanted in (r"Uid:\t%d\t" % user.pw_uid, r"Gid:\t%d\t" % user.pw_gid,
                   r"CapEff:\t0+\n", r"NoNewPrivs:\t1", r"Seccomp:\t2"):
        assert re.search(wanted, process), "expected %s in\n%s" % (wanted, process)
    assert (STATE.stat().st_uid, STATE.stat().st_mode & 0o777) == (user.pw_uid, 0o750)
    wait_log(None, "ready")
    said = service.log("--priority=err")
    assert said == "", "expected no errors in the log: " + said
    configure()
    systemctl("restart", service.NAME)
    day.begin()
    day.all_is_well()
    wait_status("consumers=1 feeds=1")


def ensure(folder):
    folder.mkdir(exist_ok=True, parents=True)
    return folder

# ---- troubles ----


@step
def watchdog(day):
    """A daemon that hangs is killed and started again; the subscriber rejoins by number,
    in the next epoch.  With the kernel's thread, which the sandbox lets it have."""
    drop_in("[Service]\nWatchdogSec=4\n")
    configure({"engine": {"mode": "sqpoll"}})
    after = mark()
    systemctl("restart", service.NAME)
    wait_log(after, "engine", mode="sqpoll")
    day.all_is_well()
    hangs, after, before = service.pid(), mark(), day.connects()
    epoch = service.client().sync(".ringtick.epoch").value
    os.kill(hangs, signal.SIGSTOP)
    until(lambda: service.pid() not in (0, hangs), "another process")
    wait_up()
    service.wait_text(after, "Watchdog timeout")
    day.all_is_well()
    assert service.client().sync(".ringtick.epoch").value == epoch + 1
    assert all(now > then for now, then in zip(day.connects(), before))
    drop_in("")
    configure()
    systemctl("restart", service.NAME)
    day.all_is_well()


@step
def wrong_configuration(day):
    """78: the status names the mistake, systemd does not try again, a start after it was
    mended brings everybody back."""
    after = mark()
    configure({"ring": {"sise": "2M"}})
    systemctl("restart", service.NAME, fails=True)
    is_now(ActiveState="failed", ExecMainStatus=78, NRestarts=0)
    service.wait_text(after, "did you mean ring.size?")
    configure()
    systemctl("start", service.NAME)
    day.all_is_well()


@step
def damaged_journal(day):
    """74: the journal is damaged in the middle; systemd does not try again."""
    systemctl("stop", service.NAME)
    path = journal.path_now(STATE)
    good = path.read_bytes()
    path.write_bytes(good[:1000] + b"\xff" * 20 + good[1020:])
    systemctl("start", service.NAME, fails=True)
    is_now(ActiveState="failed", ExecMainStatus=74, NRestarts=0)
    run("ringtick", "log", "--verify", path, fails=True)
    path.write_bytes(good)
    systemctl("start", service.NAME)
    day.all_is_well()


@step
def port_in_use(day):
    """1: systemd tries again until the port is free."""
    systemctl("stop", service.NAME)
    with socket.create_server(("127.0.0.1", 5010)):
        systemctl("start", service.NAME, fails=True)
        is_now(ActiveState="activating", SubState="auto-restart", ExecMainStatus=1)
        day.feed.pause()
        day.rdb.pause()
    day.feed.go_on()
    day.rdb.go_on()
    wait_up()
    day.all_is_well()


@step
def full_disk(day):
    """The journal moves to a small disk, which fills up: feeds wait, nothing is lost,
    and it goes on by itself when there is room, after a restart too."""
    disk = ensure(pathlib.Path("/srv/day-tick"))
    run("mount", "-t", "tmpfs", "-o", "size=16M,mode=750", "tmpfs", disk)
    systemctl("stop", service.NAME)
    run("cp", "-a", *STATE.iterdir(), disk)
    run("chown", "ringtick:ringtick", disk)
    drop_in("[Service]\nReadWritePaths=%s\n" % disk)
    configure({"journal": {"directory": str(disk)}})
    systemctl("start", service.NAME)
    day.all_is_well()
    for restarts in (False, True):
        after = mark()
        fill(disk / "rubbish")
        wait_log(after, "journal_failing")
        wait_status("journal=failing")
        if restarts:
            systemctl("restart", service.NAME)
            wait_log(after, "journal_reserve_used")
        (disk / "rubbish").unlink()
        if not restarts:
            wait_log(after, "journal_mended")
        day.all_is_well()
    systemctl("stop", service.NAME)
    run("cp", "-a", *disk.iterdir(), STATE)
    run("umount", disk)
    disk.rmdir()
    drop_in("")
    configure()
    systemctl("start", service.NAME)
    day.all_is_well()


def fill(path):
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


# ---- restarts that nobody notices ----


def hold_port():
    """systemd does not open the sockets while the daemon has them."""
    systemctl("stop", service.NAME)
    systemctl("start", "ringtick.socket")
    systemctl("start", service.NAME)


def give_port_back():
    systemctl("stop", "ringtick.socket")
    systemctl("restart", service.NAME)


@step
def socket_activation(day):
    """ringtick.socket holds the port over a restart: nobody is refused, and what is sent
    while no daemon runs is not lost."""
    systemctl("enable", "ringtick.socket")
    hold_port()
    day.all_is_well()
    refused = day.refused()
    systemctl("restart", service.NAME)
    day.all_is_well()
    day.feed.pause()
    day.rdb.pause()
    systemctl("stop", service.NAME)
    is_now(ActiveState="inactive", Result="success")
    number = len(journal.read(journal.path_now(STATE)))
    with kdb.dial(5010) as early:
        early.sendall(b"feed:f\3\0" + b"".join(
            update("trade", trade(number + n)) for n in range(100))
            + kdb.frame("", kdb.SYNC))
        assert early.recv(1) == b"\3"
        kdb.FrameReader(early).next()  # they are in the journal
    assert client().sync(".u.i").value == number + 100
    day.feed.go_on()
    day.rdb.go_on()
    day.all_is_well()
    client(unix=True).close()
    assert day.refused() == refused, "expected nobody to be refused, and %d were" % (
        day.refused() - refused)
    systemctl("disable", "ringtick.socket")
    give_port_back()
    day.all_is_well()


@step
def upgrade(day):
    """Other programs are installed under load; the restart brings them, and nobody is
    refused."""
    hold_port()
    day.all_is_well()
    refused, old = day.refused(), service.pid()
    run("make", "-C", day.build, "install")
    systemctl("daemon-reload")
    assert os.readlink("/proc/%d/exe" % old).endswith("(deleted)")
    day.all_is_well()
    assert service.pid() == old
    systemctl("restart", service.NAME)
    assert os.readlink("/proc/%d/exe" % service.pid()) == str(service.command_line()[0])
    day.all_is_well()
    assert day.refused() == refused, "expected nobody to be refused, and %d were" % (
        day.refused() - refused)
    give_port_back()
    day.all_is_well()


@step
def start_limit(day):
    """Clients knock while the configuration is wrong: systemd starts the daemon once a
    second, its socket does not fail, and the first who knocks after it was mended is let
    in.  And it may be restarted as often as somebody likes."""
    hold_port()
    after = mark()
    configure({"ring": {"sise": "2M"}})
    systemctl("restart", service.NAME, fails=True)
    begin = time.monotonic()
    while time.monotonic() < begin + 4:
        kdb.dial(5010).close()
        time.sleep(0.02)
    seconds = time.monotonic() - begin
    is_now("ringtick.socket", ActiveState="active", Result="success")
    tries = service.log_after(after).count("did you mean ring.size?")
    assert 2 <= tries <= seconds + 2, "%d starts in %d s" % (tries, seconds)
    configure()
    day.all_is_well()
    give_port_back()
    for _ in range(7):
        systemctl("restart", service.NAME)
    day.all_is_well()


# ---- who may come ----


def hashed(user, password):
    return run("ringtick", "passwd", user, input=password + "\n")


def write_users(names):
    """The users file: the password of each is the first letter of its name."""
    path = service.command_line()[1].with_name("users")
    path.write_text("".join(hashed(name, name[0]) for name in names))
    path.chmod(0o600)
    shutil.chown(path, "ringtick", "ringtick")


USERS = {"auth": {"users": "users", "rights": [{"user": "boss", "roles": "admin"}]}}


@step
def users_and_reload(day):
    """Passwords come by `systemctl reload`: who came in without one must show it.  A user
    who is removed is cut off, the others notice nothing; a broken file fails, and all
    stays as it was."""
    write_users(["feed", "rdb", "boss", "gone"])
    configure(USERS)
    after = mark()
    systemctl("reload", service.NAME)
    assert wait_log(after, "reload")["result"] == "ok"
    for user in ("feed", "rdb"):
        wait_log(after, "disconnect", user=user, reason="not_shown")
    day.all_is_well()
    connects = day.connects()
    assert service.is_refused("gone", "x") and service.is_refused("nobody", "n")
    gone, boss = client("gone", "g"), client("boss", "b")
    gone.subscribe()
    assert gone.sync(".ringtick.reload[]") == ACCESS and boss.sync("") == NIL

    write_users(["feed", "rdb", "boss"])
    systemctl("reload", service.NAME)
    wait_log(after, "disconnect", user="gone", reason="user_gone")
    assert service.is_refused("gone", "g")

    for broken in ("configuration", "users"):
        after = mark()
        if broken == "users":
            configure(USERS)
            write_users(["feed", "feed"])
        else:
            configure(dict(USERS, ring={"sise": "2M"}))
        systemctl("reload", service.NAME, fails=True)
        is_now(ActiveState="active", SubState="running")
        assert boss.sync("") == NIL
        client("rdb", "r").close()
        assert service.is_refused("nobody", "n")
        assert not service.logged(after, "reload"), "the daemon was not asked to read it"
    write_users(["feed", "rdb", "boss"])
    configure(USERS)
    systemctl("reload", service.NAME)
    assert boss.sync(".ringtick.reload[]") == NIL
    configure()
    systemctl("reload", service.NAME)
    until(lambda: not service.is_refused("nobody", "n"), "a daemon without passwords")
    day.all_is_well()
    assert day.connects() == connects, "nobody was expected to lose his connection"


@step
def passwords_after_a_restart(day):
    """The unit's sandbox lets ringtick-login check yescrypt hashes from the start on, and
    a stop ends it."""
    write_users(["feed", "rdb", "boss"])
    configure(USERS)
    after = mark()
    systemctl("restart", service.NAME)
    wait_log(after, "login_ready", users="3", crypt="3")
    day.all_is_well()
    assert service.is_refused("boss", "x")
    systemctl("kill", "-s", "USR1", service.NAME)
    wait_log(after, "consumers")
    client("boss", "b").close()
    assert not service.logged(after, "login_gone")
    configure()
    systemctl("restart", service.NAME)
    is_now(Result="success")
    day.all_is_well()


@step
def pam(day):
    """The site's own stack decides, inside the unit's sandbox: pam_userdb, and a module
    that writes, which needs ReadWritePaths=."""
    if shutil.which("db_load") is None:
        raise Skipped("db_load is not here: install db-util")
    database = service.command_line()[1].with_name("pam.db")
    run("db_load", "-T", "-t", "hash", database, input="feed\nf\nrdb\nr\nboss\nb\n")
    shutil.chown(database, "root", "ringtick")
    database.chmod(0o640)
    stack = pathlib.Path("/etc/pam.d/ringtick")
    lines = ("auth required pam_userdb.so db=%s\naccount required pam_permit.so\n"
             % database.with_suffix(""))
    stack.write_text(lines)
    configure({"auth": {"pam": "ringtick"}})
    systemctl("restart", service.NAME)
    day.all_is_well()
    client("boss", "b").close()
    assert service.is_refused("boss", "x") and service.is_refused("nobody", "n")

    folder = ensure(pathlib.Path("/srv/day-pam"))
    shutil.chown(folder, "ringtick")
    stack.write_text(lines + "auth required pam_exec.so /bin/touch %s/written\n" % folder)
    systemctl("restart", service.NAME)
    assert service.is_refused("boss", "b")
    drop_in("[Service]\nReadWritePaths=%s\n" % folder)
    systemctl("restart", service.NAME)
    client("boss", "b").close()
    day.all_is_well()

    drop_in("")
    configure()
    systemctl("restart", service.NAME)
    shutil.rmtree(folder)
    for path in (database, stack):
        path.unlink()
    day.all_is_well()


# ---- unix sockets ----


def as_user(user, wanted, request, path=None):
    """Asserts what a process of another user is answered, over the abstract socket or a
    file."""
    program = ("import socket, sys; import kdb\n"
               "path = %r\n"
               "sock = socket.socket(socket.AF_UNIX)\n"
               "sock.connect(path or kdb.unix_name(5010))\n"
               "print(kdb.Client(0, sock=sock, unix=True).sync(%r))" % (
                   path and str(path), request))
    said = run("runuser", "-u", user, "--", "env", "PYTHONPATH=" + os.environ["PYTHONPATH"],
               "python3", "-c", program, fails=None)
    assert said.strip().split("\n")[-1].startswith(str(wanted)), (
        "expected that %s is answered %s, and it is %s" % (user, wanted, said))


@step
def abstract_socket(day):
    """Who is behind the abstract socket is known under the unit, also if ringtick.socket
    opens it: only root and the daemon's user administer there."""
    run("useradd", "day-alice")
    for is_held in (False, True):
        if is_held:
            hold_port()
        after = mark()
        as_user("day-alice", ACCESS, ".ringtick.reload[]")
        wait_log(after, "connect", peer="unix:%d" % pwd.getpwnam("day-alice").pw_uid)
        for user in ("root", "ringtick"):
            as_user(user, NIL, ".ringtick.reload[]")
    give_port_back()
    run("userdel", "day-alice")
    day.all_is_well()


@step
def socket_file(day):
    """listen.unix_path in the unit's folder, for a group of which the daemon is a
    member, and for nobody else; and for any group, from ringtick.socket."""
    run("groupadd", "day-desk")
    run("useradd", "--groups", "day-desk", "day-alice")
    run("useradd", "day-bob")
    path = pathlib.Path("/run/ringtick/desk")
    drop_in("[Service]\nSupplementaryGroups=day-desk\n")
    configure({"listen": {"unix_path": str(path), "unix_group": "day-desk",
                          "unix_mode": "0660"}})
    systemctl("restart", service.NAME)
    assert (path.group(), path.stat().st_mode & 0o777) == ("day-desk", 0o660)
    as_user("day-alice", "Symbols", "tables[]", path)
    as_user("day-bob", "PermissionError", "tables[]", path)
    day.all_is_well()
    drop_in("")
    configure()
    systemctl("stop", service.NAME)
    assert not path.exists()

    path = pathlib.Path("/run/ringtick-desk")
    drop_in("[Socket]\nListenStream=%s\nSocketGroup=day-desk\nSocketMode=0660\n" % path,
            "ringtick.socket")
    hold_port()
    assert (path.group(), path.stat().st_mode & 0o777) == ("day-desk", 0o660)
    as_user("day-alice", "Symbols", "tables[]", path)
    as_user("day-bob", "PermissionError", "tables[]", path)
    systemctl("restart", service.NAME)
    as_user("day-alice", "Symbols", "tables[]", path)
    day.all_is_well()
    drop_in("", "ringtick.socket")
    give_port_back()
    for user in ("day-alice", "day-bob"):
        run("userdel", user)
    run("groupdel", "day-desk")
    day.all_is_well()


# ---- a terminator in front ----


def recipe(word):
    """The piece of doc/tls.md that has this in it."""
    text = (pathlib.Path(__file__).parents[2] / "doc/tls.md").read_text()
    return next(one for one in text.split("```")[1::2] if word in one)


def tls_client(folder, user, certificate=None):
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if certificate:
        context.load_cert_chain(*(folder / (certificate + end) for end in (".crt", ".key")))
    sock = context.wrap_socket(kdb.dial(5011), server_hostname="tick.example.com")
    return client(user, user[0], sock=sock)


@step
def terminators(day):
    """The recipes of doc/tls.md, letter for letter, with the units of hitch and haproxy:
    each finds the daemon again after a restart.  And with a socket file of
    ringtick.socket."""
    for program in ("hitch", "haproxy", "openssl"):
        if shutil.which(program) is None:
            raise Skipped(program + " is not here")
    folder = ensure(pathlib.Path("/etc/ringtick/tls"))
    for piece in (recipe("our CA"), recipe("feed1.csr")):
        run("bash", "-c", "umask 077; set -e\n" + piece, cwd=folder)
    listen = re.search(r"listen = (\(.*?\n\));", recipe("listen = ("), re.S).group(1)
    listen = listen.replace("10.0.0.0/8", "127.0.0.0/8")
    write_users(["feed", "rdb", "boss"])

    drop_in("[Service]\nSupplementaryGroups=_hitch\n")
    configure(dict(USERS, listen=Raw(listen)))
    systemctl("restart", service.NAME)
    hitch_conf = pathlib.Path("/etc/hitch/hitch.conf")
    hitch_conf.write_text(recipe("frontend ="))
    drop_in(recipe("After=ringtick.service"), "hitch.service")
    systemctl("start", "hitch.service")
    after = mark()
    for _ in range(2):
        until_tls(lambda: tls_client(folder, "boss"))
        wait_log(after, "connect", user="boss", tls="TLSv1.3", certificate="-")
        after = restart()
    day.all_is_well()
    systemctl("stop", "hitch.service")
    drop_in("", "hitch.service")
    hitch_conf.unlink()

    for unit, path, text in (
            (service.NAME, "/run/ringtick/tls", "[Service]\nSupplementaryGroups=haproxy\n"),
            ("ringtick.socket", "/run/ringtick-tls", "[Socket]\nSocketMode=0660\n"
             "SocketGroup=haproxy\nListenStream=/run/ringtick-tls\n")):
        drop_in(text, unit)
        configure({"listen": Raw(listen.replace("_hitch", "haproxy").replace(
            "/run/ringtick/tls", path)), "auth": {"users": "users", "certificate": True}})
        if unit == service.NAME:
            systemctl("restart", unit)
        else:
            hold_port()
        pathlib.Path("/etc/haproxy/haproxy.cfg").write_text(
            recipe("listen ringtick").replace("/run/ringtick/tls", path))
        systemctl("restart", "haproxy.service")
        after = mark()
        for _ in range(2):
            until_tls(lambda: tls_client(folder, "boss", "feed1"))
            wait_log(after, "connect", user="feed1", tls="TLSv1.3", certificate="feed1")
            after = restart()
        try:
            tls_client(folder, "boss").close()
            raise AssertionError("expected nobody to come in without a certificate")
        except (ssl.SSLError, kdb.Closed):
            pass
        drop_in("", unit)
    systemctl("stop", "haproxy.service")
    configure()
    give_port_back()
    shutil.rmtree(folder.parent)
    day.all_is_well()


def restart():
    systemctl("restart", service.NAME)
    return mark()


def until_tls(connect):
    """A terminator may need a moment."""
    def look():
        try:
            connect().close()
            return True
        except (OSError, kdb.Closed):
            return False
    until(look, "a connection with TLS")


# ---- the evening ----


@step
def switch_off(day):
    """The machine is restarted."""
    for one in (day.feed, day.rdb):
        one.finish()
    day.records = len(journal.read(journal.path_now(STATE)))
    day.how["switch_off"] = "ok"
    day.save()
    systemctl("reboot")
    time.sleep(service.LIMIT)  # systemd ends this process
    raise AssertionError("expected the machine to be restarted")


@step
def switch_on(day):
    """The service has come by itself, with all that it had."""
    wait_up()
    is_now(NRestarts=0, Result="success")
    day.begin()
    day.all_is_well(day.records + 20)


@step
def uninstall(day):
    """Nothing is left but what the operator made himself."""
    for one in (day.feed, day.rdb):
        one.finish()
    systemctl("disable", "--now", service.NAME)
    is_now(ActiveState="inactive", Result="success")
    run("make", "-C", day.build, "uninstall")
    systemctl("daemon-reload")
    configuration = pathlib.Path("/usr/local/etc/ringtick")
    shutil.rmtree(configuration, ignore_errors=True)
    shutil.rmtree(STATE)
    run("userdel", "ringtick")
    is_now(LoadState="not-found", ActiveState="inactive")
    is_now("ringtick.socket", LoadState="not-found", ActiveState="inactive")
    # useradd keeps the files that it changed as passwd- and so on
    left = {path for path in files() - day.before if not path.endswith("-")
            and not path.startswith(("/var/lib/systemd", "/var/lib/haproxy"))}
    assert not left, "expected nothing to be left, and there is %s" % sorted(left)


# ---- ----


def play(day, one):
    begin = time.monotonic()
    try:
        one(day)
        how = "ok"
    except Skipped as why:
        how = "skipped: %s" % why
    except Exception:
        how = "FAILED: %s\n%s---- %s ----\n%s" % (
            one.__doc__, traceback.format_exc(), service.NAME, run(
                "sh", "-c", "systemctl --no-pager --full status %s; journalctl --no-pager "
                "--lines=60 | grep -v event=report" % service.NAME, fails=None))
    print("%-26s %-8s %5.1f s" % (one.__name__, how, time.monotonic() - begin))
    day.how[one.__name__] = how


def main():
    day = Day(sys.argv[1])
    wanted = sys.argv[2:]
    unknown = set(wanted) - {one.__name__ for one in STEPS}
    assert not unknown, "no such steps: %s" % unknown
    for one in STEPS:
        if one.__name__ not in day.how and (
                not wanted or one in STEPS[:2] or one.__name__ in wanted):
            play(day, one)
            if day.how[one.__name__].startswith("FAILED"):
                break
    hows = [how.split(":")[0] for how in day.how.values()]
    print("# PASS: %d\n# FAIL: %d\n# SKIP: %d" % tuple(
        hows.count(how) for how in ("ok", "FAILED", "skipped")))
    sys.exit(hows.count("FAILED"))


if __name__ == "__main__":
    main()
