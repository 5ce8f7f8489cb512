"""ringtick as a service of systemd: what an operator types, and what he looks at."""

import json
import pathlib
import re
import subprocess
import time

import kdb
from daemon import Line, merged, write_config
from journal import noon_zone

NAME = "ringtick.service"
LIMIT = 20  # seconds for whatever is awaited
DROP_INS = pathlib.Path("/etc/systemd/system")

# A container may not raise the limit of locked memory, 8 MiB for all processes of a user,
# those in other containers too: a ring takes twice its size of that.
# What subscribers have seen is in the file, so that they can always rejoin.
SETTINGS = {
    "schema": "sym.q",
    "ring": {"size": "1M"},
    "streams": {"max": 2, "ring": "256K"},
    "journal": {"directory": "/var/lib/ringtick"},
    "publish": {"after": "journal"},
    "day": {"zone": noon_zone()},
    "log": {"report": "1s"},
}


def run(*command, fails=False, **how):
    """What a command prints, both streams; it must succeed, or fail, or
    may do either (None)."""
    done = subprocess.run([str(word) for word in command], text=True, timeout=60,
                          stdin=None if "input" in how else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how)
    assert fails is None or (done.returncode != 0) == fails, (
        "`%s` was expected to %s, and exited with %d:\n%s" % (
            " ".join(map(str, command)), "fail" if fails else "succeed", done.returncode,
            done.stdout))
    return done.stdout


def systemctl(*words, **how):
    return run("systemctl", *words, **how)


def until(look, expected, limit=LIMIT):
    """The first true result of look(), which is asked again and again."""
    deadline = time.monotonic() + limit
    while not (found := look()):
        assert time.monotonic() < deadline, "expected within %d s: %s; found: %s" % (
            limit, expected() if callable(expected) else expected, found)
        time.sleep(0.05)
    return found


def show(name, unit=NAME):
    return systemctl("show", "--value", "--property", name, unit).strip()


def is_now(unit=NAME, **wanted):
    """Asserts properties of a unit."""
    found = {name: show(name, unit) for name in wanted}
    assert found == {name: str(value) for name, value in wanted.items()}, (
        "expected of %s: %s; it has %s" % (unit, wanted, found))


def wait_for(unit=NAME, limit=LIMIT, **wanted):
    """Awaits properties of a unit."""
    wanted = {name: str(value) for name, value in wanted.items()}
    found = {}

    def look():
        found.update({name: show(name, unit) for name in wanted})
        return found == wanted
    until(look, lambda: "%s of %s, which has %s" % (wanted, unit, found), limit)


def wait_up(limit=LIMIT):
    wait_for(ActiveState="active", SubState="running", limit=limit)


def pid():
    return int(show("MainPID"))


def status_text():
    """The text that `systemctl status` shows, as a log line."""
    found = re.search(r'^ +Status: "(.*)"$', run(
        "sh", "-c", "systemctl --no-pager --full status %s || :" % NAME), re.M)
    return Line(found.group(1) if found else "")


def wait_status(text, limit=LIMIT):
    until(lambda: text in status_text().text,
          lambda: "%r in the status of `systemctl status`, which is %r" % (
              text, status_text().text), limit)


# ---- its configuration ----


def command_line():
    """Program and configuration file, as the unit has them."""
    words = re.search(r"argv\[\]=(.*?) ;", show("ExecStart")).group(1).split()
    return pathlib.Path(words[0]), pathlib.Path(words[words.index("-c") + 1])


def configure(changes=None):
    """Writes the configuration: SETTINGS with these changes."""
    write_config(command_line()[1], merged(SETTINGS, changes or {}), base={})


def drop_in(text, unit=NAME):
    """What `systemctl edit` does; "" takes it away."""
    folder = DROP_INS / (unit + ".d")
    folder.mkdir(exist_ok=True)
    (folder / "override.conf").write_text(text)
    if not text:
        (folder / "override.conf").unlink()
        folder.rmdir()
    systemctl("daemon-reload")


# ---- its log ----


def log(*options):
    return run("journalctl", "--no-pager", "--quiet", "--unit", NAME, *options)


def mark():
    """The present end of the log."""
    run("journalctl", "--sync")
    return json.loads(log("--lines=1", "--output=json"))["__CURSOR"]


def log_after(after):
    return log("--output=cat", *(["--after-cursor", after] if after else []))


def logged(after, event, **fields):
    """The lines after a mark (None: all) with this event and these fields."""
    return [line for line in map(Line, log_after(after).split("\n"))
            if line.matches(event, fields)]


def wait_log(after, event, limit=LIMIT, **fields):
    return until(lambda: logged(after, event, **fields),
                 lambda: "event=%s %s in the log, which has:\n%s" % (
                     event, fields, log_after(after)), limit)[0]


def wait_text(after, text, limit=LIMIT):
    """Awaits a line of systemd about the service, or any other."""
    until(lambda: text in log_after(after), lambda: "%r in the log, which has:\n%s" % (
        text, log_after(after)), limit)


# ---- its clients ----


def client(user="root", password="", **how):
    return kdb.Client(5010, creds=b"%s:%s\x03" % (user.encode(), password.encode()), **how)


def is_refused(user, password):
    try:
        client(user, password).close()
    except kdb.Closed:
        return True
    return False
