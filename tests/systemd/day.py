"""An operator's day with ringtick as a service, in a container that run.sh boots.

    day.py BUILD [STEP...]

All day a feed publishes numbered records, and a subscriber checks that it gets each
of them once.  Every step leaves the service as it found it: running, with SETTINGS.
"""

import os
import pathlib
import pwd
import re
import signal
import socket
import sys
import time
import traceback

import journal
import kdb
import service
from clients import Feed, Rdb
from service import (client, configure, drop_in, is_now, mark, run, show, systemctl, until, wait_for,
                     wait_log, wait_status, wait_up)
from traffic import trade, update

STEPS = []
STATE = pathlib.Path("/var/lib/ringtick")


def step(function):
    STEPS.append(function)
    return function


class Skipped(Exception):
    """A step that cannot be played here, and why."""


class Day:
    def __init__(self, build):
        self.build = build
        self.feed = self.rdb = None
        self.before = None

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
    return {os.path.join(folder, name)
            for top in ("/usr/local", "/etc", "/var/lib", "/run/ringtick")
            for folder, folders, names in os.walk(top) for name in folders + names}


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
    run("mount", "-t", "tmpfs", "-o", "size=24M,mode=750", "tmpfs", ensure(STATE))
    program, configuration = service.command_line()
    text = configuration.read_text()
    changed = text.replace('# size = "64M";', 'size = "2M";')
    assert changed != text, "expected the ring's size in " + str(configuration)
    configuration.write_text(changed)
    run(program, "-c", configuration, "--check")
    systemctl("enable", "--now", service.NAME)
    is_now(ActiveState="active", SubState="running", NRestarts=0, Result="success")
    wait_status("port=5010")
    process = pathlib.Path("/proc/%d/status" % service.pid()).read_text()
    user = pwd.getpwnam("ringtick")
    for wanted in (r"Uid:\t%d\t" % user.pw_uid, r"Gid:\t%d\t" % user.pw_gid, r"CapEff:\t0+\n",
                   r"NoNewPrivs:\t1", r"Seccomp:\t2"):
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
    in the next epoch."""
    drop_in("[Service]\nWatchdogSec=4\n")
    systemctl("restart", service.NAME)
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
    disk = ensure(pathlib.Path("/srv/tick"))
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
            systemctl("restart", "--no-block", service.NAME)
            wait_log(after, "stopping")
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


@step
def socket_activation(day):
    """ringtick.socket holds the port over a restart: nobody is refused, and what is sent
    while no daemon runs is not lost."""
    systemctl("stop", service.NAME)
    systemctl("enable", "--now", "ringtick.socket")
    systemctl("start", service.NAME)
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
            update("trade", trade(number + n)) for n in range(100)))
        assert early.recv(1) == b"\3"
    day.feed.go_on()
    day.rdb.go_on()
    day.all_is_well()
    client(unix=True).close()
    assert day.refused() == refused, "expected nobody to be refused, and %d were" % (
        day.refused() - refused)


@step
def upgrade(day):
    """Other programs are installed under load; the restart brings them, and nobody is
    refused."""
    systemctl("start", "ringtick.socket", service.NAME)
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


@step
def start_limit(day):
    """Clients knock while the configuration is wrong: systemd starts the daemon once a
    second, its socket does not fail, and the first who knocks after it was mended is let
    in.  And it may be restarted as often as somebody likes."""
    systemctl("start", "ringtick.socket")
    after = mark()
    configure({"ring": {"sise": "2M"}})
    systemctl("restart", service.NAME, fails=True)
    begin = time.monotonic()
    while time.monotonic() < begin + 5:
        kdb.dial(5010).close()
        time.sleep(0.02)
    seconds = time.monotonic() - begin
    is_now("ringtick.socket", ActiveState="active", Result="success")
    tries = service.log_after(after).count("did you mean ring.size?")
    assert 2 <= tries <= seconds + 2, "%d starts in %d s" % (tries, seconds)
    configure()
    day.all_is_well()
    systemctl("disable", "--now", "ringtick.socket")
    for _ in range(7):
        systemctl("restart", service.NAME)
    day.all_is_well()


# ---- ----


def main():
    day = Day(sys.argv[1])
    wanted = sys.argv[2:]
    unknown = set(wanted) - {one.__name__ for one in STEPS}
    assert not unknown, "no such steps: %s" % unknown
    passed = skipped = 0
    for one in STEPS:
        if wanted and one not in STEPS[:2] and one.__name__ not in wanted:
            continue
        begin = time.monotonic()
        try:
            one(day)
            passed, how = passed + 1, "ok"
        except Skipped as why:
            skipped, how = skipped + 1, "skipped: %s" % why
        except Exception:
            print("%-20s FAILED: %s\n%s" % (one.__name__, one.__doc__, traceback.format_exc()))
            print("---- %s ----\n%s" % (service.NAME, run(
                "sh", "-c", "systemctl --no-pager --full status %s; journalctl --no-pager "
                "--lines=150 | grep -v event=report" % service.NAME)))
            print("# PASS: %d\n# FAIL: 1\n# SKIP: %d" % (passed, skipped))
            sys.exit(1)
        print("%-20s %-8s %5.1f s" % (one.__name__, how, time.monotonic() - begin))
    print("# PASS: %d\n# FAIL: 0\n# SKIP: %d" % (passed, skipped))


if __name__ == "__main__":
    main()
