"""ringtick feed and ringtick sub, the tools for people without q."""

import os
import pathlib
import subprocess

import kdb
import pytest
from daemon import Raw
from traffic import trade

SCHEMA = pathlib.Path(__file__).parents[2] / "etc" / "sym.q"


def find_ringtick():
    named = os.environ.get("RINGTICK")
    for place in [named] if named else ["ringtick", "../ringtick", "../../ringtick"]:
        path = pathlib.Path(place).resolve()
        if path.is_file():
            return str(path)
    pytest.fail("ringtick is not here; set RINGTICK=/path/to/ringtick")


@pytest.fixture
def tool(clients):
    """tool("sub", daemon, ...) is the running process."""
    def run(command, daemon, *arguments):
        process = subprocess.Popen(
            [find_ringtick(), command, "-p", str(daemon.port),
             *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate()
        clients.callback(end)
        return process
    return run


def finish(process, status=0, timeout=60):
    said, wrong = process.communicate(timeout=timeout)
    assert process.returncode == status, (process.returncode, said[-2000:], wrong)
    return said + wrong


@pytest.fixture
def plant(start):
    def begin(**changes):
        return start({"schema": Raw('{ file = "%s"; }' % SCHEMA), **changes})
    return begin


@pytest.mark.parametrize("host", ["127.0.0.1", "unix"])
def test_feed_and_sub_check_each_other(plant, tool, host, mode):
    """Protects the tools and the daemon by each other: 60,000 messages of two
    feeds at full speed, no number missing or doubled, on TCP and unix."""
    daemon = plant(engine={"mode": mode}, slow={"policy": "block"})
    subs = [tool("sub", daemon, "-h", host, "--user", "check%d" % i, "--check",
                 "--count", 60000) for i in range(2)]
    for i in range(2):
        daemon.wait_log("subscribe", user="check%d" % i)
    feeds = [tool("feed", daemon, "-h", host, "-t", "trade,quote", "--rate", 0,
                  "--rows", 1 + i, "--count", 30000, "--id", i) for i in range(2)]
    for feed in feeds:
        finish(feed)
    for sub in subs:
        finish(sub)
    summary = daemon.summary()
    assert summary.number("in_records") == 60000
    assert summary.number("in_rows") == 90000


def test_sub_sees_a_gap_and_a_double(plant, tool, connect):
    """Protects the check itself: it fails when a number is missing, and when
    one comes twice."""
    daemon = plant()
    feed = connect(daemon)
    for turn, numbers in enumerate(((0, 1, 3), (0, 1, 1), (0, 1, 2))):
        sub = tool("sub", daemon, "--user", "turn%d" % turn, "-t", "trade", "--check",
                   "--count", 3)
        daemon.wait_log("subscribe", user="turn%d" % turn)
        for n in numbers:
            assert feed.update("trade", trade(n)) == kdb.NIL
        finish(sub, status=0 if numbers == (0, 1, 2) else 1)


def test_sub_prints_rows(plant, tool, connect):
    """Protects people who look at the stream: rows as a table."""
    daemon = plant()
    feed = connect(daemon)
    sub = tool("sub", daemon, "--user", "eyes", "--print", "--count", 1)
    daemon.wait_log("subscribe", user="eyes")
    feed.update("trade", trade(41, 2, "VOD.L"))
    said = finish(sub)
    for word in ("trade", "time", "price", "VOD.L", "100.5", "41", "42", "09:30:00"):
        assert word in said, said


def test_tools_say_what_is_wrong(plant, tool):
    """Protects scripts: status 2 and a sentence for a wrong option, a table
    that is not there, a server that is not there or goes away."""
    daemon = plant()
    for command, *arguments in (["feed", "--nonsense"], ["sub", "--count", "x"],
                                ["sub", "-t", "nowhere"], ["feed", "-t", "nowhere"]):
        assert len(finish(tool(command, daemon, *arguments), 2)) > 10
    sub = tool("sub", daemon, "--user", "last", "--rates")
    daemon.wait_log("subscribe", user="last")
    daemon.stop()
    assert len(finish(sub, 2)) > 10
    assert len(finish(tool("sub", daemon), 2)) > 10
