"""node-q, an independent client from npm, as publisher and as subscriber."""

import json
import os
import pathlib
import shutil
import subprocess
import threading

import pytest
from traffic import quote

HERE = pathlib.Path(__file__).parent / "node"


def modules():
    """Where node-q is: $NODE_PATH_RINGTICK, else beside the scripts."""
    named = os.environ.get("NODE_PATH_RINGTICK")
    path = pathlib.Path(named) if named else HERE / "node_modules"
    missing = None
    if shutil.which("node") is None:
        missing = "node is not installed"
    elif not (path / "node-q").is_dir():
        missing = "node-q is not in %s; run: npm install --prefix %s" % (path, HERE)
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip("NODE-Q IS NOT TESTED: " + missing)
    return path


class Script:
    """A running node script that prints one JSON object per line."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen(
            ["node", str(HERE / name), *map(str, arguments)],
            env=dict(os.environ, NODE_PATH=str(modules()), TZ="UTC"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.killer = threading.Timer(40, self.process.kill)
        self.killer.start()

    def next(self):
        row = self.process.stdout.readline()
        assert row, "%s ended: %s" % (self.process.args[1], self.process.stderr.read())
        return json.loads(row)

    def finish(self):
        rest = self.process.stdout.read()
        said = self.process.stderr.read()
        self.killer.cancel()
        assert self.process.wait(10) == 0, said
        self.process.stdout.close()
        self.process.stderr.close()
        return [json.loads(row) for row in rest.splitlines()]

    def abandon(self):
        self.killer.cancel()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def script(clients):
    def start_one(*arguments):
        one = Script(*arguments)
        clients.callback(one.abandon)
        return one
    return start_one


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("table", ["", "trade"])
def test_node_q_end_to_end(start, connect, script, how, table):
    """Protects users of other languages' clients: what node-q publishes, rows
    and bulk, node-q receives; an unknown table is an error with its name; the
    end of the day comes as it does from q."""
    modules()
    daemon = start()
    user = connect(daemon)
    n = 20
    subscriber = script("subscribe.js", daemon.port, how, table, n + 1)
    subscribed = subscriber.next()
    assert subscribed["event"] == "subscribed"
    if how == "sync":
        reply = subscribed["reply"] if table else subscribed["reply"][-1]
        assert reply[0] == "trade"
    publisher = script("publish.js", daemon.port, n)
    answers = publisher.finish()
    assert [one["event"] for one in answers] == ["bulk", "wrong", "closed"]
    assert answers[0]["error"] is None and answers[0]["reply"] is None
    assert answers[1]["error"] == "nowhere"
    if table:
        user.update("quote", quote(1))  # is not for it
    assert user.sync(".u.endofday[]").idx == 0
    events = subscriber.finish()
    updates = [one for one in events if one["event"] == "upd"]
    assert len(updates) == n + 1 and {one["table"] for one in updates} == {"trade"}
    for i in range(n):
        row, = updates[i]["rows"]
        assert (row["sym"], row["price"], row["size"]) == ("ROW", i + 0.5, i)
        assert row["time"] > 0
    assert [(row["sym"], row["price"], row["size"]) for row in updates[n]["rows"]] == [
        ("BULK", i + 0.25, i) for i in range(n)]
    assert [one["event"] for one in events[n + 1:]] == ["end", "closed"]
    assert events[n + 1]["message"][0] == ".u.end"


@pytest.mark.parametrize("how", ["sync", "async"])
def test_node_q_filters(start, connect, script, how):
    """Protects the same for some symbols: only their rows come."""
    modules()
    daemon = start()
    user, n = connect(daemon), 5
    subscriber = script("subscribe.js", daemon.port, how, "trade", 1, "BULK", "OTHER")
    assert subscriber.next()["event"] == "subscribed"
    script("publish.js", daemon.port, n).finish()
    assert user.sync(".u.endofday[]").idx == 0
    update, *rest = subscriber.finish()
    assert [row["sym"] for row in update["rows"]] == ["BULK"] * n
    assert [one["event"] for one in rest] == ["end", "closed"]


ASKED = {
    "tables[]": ["quote", "trade"],
    "cols trade": ["time", "sym", "price", "size"],
    "count trade": 0,
    ".u.t": ["quote", "trade"],
    "key .u.w": ["quote", "trade"],
    "type .z.p": -12,
    "{@[value;`tptype;`standard]}`": "standard",
    "(.u.sub[`trade;`A];.u `i`L)": [["trade", []], [None, None]],
    "1b": True,
}


@pytest.mark.parametrize("text", ASKED)
def test_node_q_asks(start, script, text):
    """Protects the usual questions of people and monitors, as node-q decodes the
    answers."""
    modules()
    reply, = script("ask.js", start().port, text).finish()
    assert reply == ASKED[text]
