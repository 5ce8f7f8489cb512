"""ringtick feed and ringtick sub, the tools for people without q."""

import contextlib
import os
import pathlib
import random
import select
import signal
import socket
import subprocess
import threading
import time
import types

import journal
import kdb
import pytest
from daemon import Line, Raw, merged
from spill import wait_level
from traffic import quote, trade

SCHEMA = pathlib.Path(__file__).parents[2] / "etc" / "sym.q"


def find_ringtick():
    named = os.environ.get("RINGTICK")
    for place in [named] if named else ["ringtick", "../ringtick", "../../ringtick"]:
        path = pathlib.Path(place).resolve()
        if path.is_file():
            return str(path)
    pytest.fail("ringtick is not here; set RINGTICK=/path/to/ringtick")


def begin(clients, *command):
    """ringtick COMMAND ...: a running process, which ends with the test."""
    process = subprocess.Popen(
        [find_ringtick(), *map(str, command)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end():
        if process.poll() is None:
            process.kill()
        process.communicate()
    clients.callback(end)
    return process


@pytest.fixture
def tool(clients):
    """tool("sub", daemon, ...) is the running process."""
    def run(command, daemon, *arguments):
        return begin(clients, command, "-p", daemon.port, *arguments)
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


@pytest.mark.parametrize("begin", [(), ("--from", "0")])
def test_sub_filters(plant, tool, connect, tmp_path, begin):
    """Protects people who look for one symbol: only its rows, live and out of the
    journal."""
    daemon = plant(journal={"directory": str(tmp_path)})
    feed = connect(daemon)
    sub = tool("sub", daemon, "--user", "eyes", "-t", "trade", "--symbols", "A-1,B-2", "--print",
               "--count", 2, *begin)
    daemon.wait_log("subscribe", user="eyes")
    for n, symbol in enumerate(("OTHER", "A-1", "ANOTHER", "B-2")):
        feed.update("trade", trade(41 + n, 1, symbol))
    said = finish(sub)
    assert "A-1" in said and "B-2" in said and "OTHER" not in said, said
    assert finish(tool("sub", daemon, "--check", "--symbols", "A"), 2)


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


def test_feed_is_stopped_by_a_signal(tool):
    """Protects scripts: what was begun is waited for briefly; that the server has not
    taken it is a sentence of its own and status 2, as is a signal before that."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = types.SimpleNamespace(port=server.getsockname()[1])
        for is_told in (None, False, True):  # None: not even that it may come in
            feed = tool("feed", place, "--sync")
            with server.accept()[0] as sock:
                sock.settimeout(20)
                while sock.recv(1) != b"\0":
                    pass
                if is_told is not None:
                    sock.sendall(b"\3")
                    reader = kdb.FrameReader(sock)
                    reader.next()
                feed.send_signal(signal.SIGTERM)
                if is_told:
                    answer = kdb.frame(kdb.NIL, kdb.RESPONSE)
                    with contextlib.suppress(kdb.Closed, OSError):  # it has gone
                        while True:
                            sock.sendall(answer)
                            reader.next()
                said = finish(feed, 0 if is_told else 2, timeout=20)
            assert "Interrupted" not in said
            assert ("ended by a signal" in said) == (not is_told), said


def test_feed_says_that_nothing_is_taken(tool):
    """Protects from guessing when the server, or the network, has stopped: the
    sentence says where to look."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = types.SimpleNamespace(port=server.getsockname()[1])
        feed = tool("feed", place, "--seconds", 1, "--rate", 0, "--size", "1M")
        with server.accept()[0] as sock:
            while sock.recv(1) != b"\0":
                pass
            sock.sendall(b"\3")
            kdb.FrameReader(sock).next()
            sock.sendall(kdb.frame(kdb.NIL, kdb.RESPONSE))
            said = finish(feed, 2)
    assert "takes no more messages" in said and "event=journal_failing" in said


# ---- from the past, and again ----


@pytest.fixture
def keeper(plant, folder):
    """A daemon with a journal; keeper(port=N) is the next one of it."""
    def begin(port=0, **changes):
        return plant(**journal.settings(
            folder, merged({"listen": {"port": port}}, changes)))
    return begin


def publish(feed, first, count):
    """A number of updates of each table, in turn, numbered from `first` on."""
    for n in range(first, first + count):
        assert feed.update("trade", trade(n)) == kdb.NIL
        assert feed.update("quote", quote(n)) == kdb.NIL


class Said(threading.Thread):
    """What a tool writes on stderr, line by line as it comes."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.lines = process, []
        self.news = threading.Condition()
        self.start()

    def run(self):
        for line in self.process.stderr:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()

    def wait_for(self, words, times=1):
        with self.news:
            assert self.news.wait_for(
                lambda: sum(words in line for line in self.lines) >= times, 20), (
                    words, self.lines)

    def finish(self, status=0):
        """Its exit status is this; all that it said, on stdout too."""
        self.process.wait(60)
        self.join(20)
        said = self.process.stdout.read() + "".join(self.lines)
        assert self.process.returncode == status, said
        return said


def shaken(server):
    """The tool that connects to it, its handshake done; and what reads its frames."""
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock = server.accept()[0]
    sock.settimeout(20)
    while sock.recv(1) != b"\0":
        pass
    sock.sendall(b"\3")
    return sock, kdb.FrameReader(sock)


ANSWER = kdb.frame(kdb.NIL, kdb.RESPONSE)


@pytest.mark.parametrize("how", ["reads on", "reads no more", "second signal"])
def test_feed_is_stopped_in_the_midst(tool, how):
    """Protects the server from half a message, and scripts from a feed that hangs:
    stopped while the server reads nothing, it continues for a moment; then, or at
    a second signal at once, it says what it waits for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = types.SimpleNamespace(port=server.getsockname()[1])
        feed = tool("feed", place, "--size", "64K")
        said = Said(feed)
        sock, reader = shaken(server)
        with sock:
            reader.next()
            sock.sendall(ANSWER)  # to the first, which is synchronous
            said.wait_for("messages=0 ")  # in a second: it is stuck
            began = time.monotonic()
            feed.send_signal(signal.SIGTERM)
            if how == "reads on":
                count = 1
                while (frame := reader.next())[1] != kdb.SYNC:
                    assert kdb.decode_frame(frame)[0] == kdb.ASYNC
                    count += 1
                sock.sendall(ANSWER)
                said.finish(0)
                assert "messages=%d " % count in said.lines[-1]
                return
            if how == "second signal":
                time.sleep(0.3)  # two at once are one
                feed.send_signal(signal.SIGTERM)
            said.finish(2)
            is_early = time.monotonic() - began < 2  # what is given to the end
            assert is_early == (how == "second signal")
    assert "the server takes no more messages" in said.lines[-1]


def test_feed_is_stopped_in_a_long_request(tool):
    """Protects the answer to what was begun: the rest of a long synchronous update
    follows after a signal, once and whole, and its answer counts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = types.SimpleNamespace(port=server.getsockname()[1])
        feed = tool("feed", place, "--sync", "--size", "8M")
        sock, reader = shaken(server)
        with sock:
            reader.fill(64 << 10)  # and no more: it is in the midst
            feed.send_signal(signal.SIGTERM)
            frame = reader.next()
            sock.sendall(ANSWER)
            assert reader.next() == kdb.frame("", kdb.SYNC)
            sock.sendall(ANSWER)
            sizes = kdb.decode_frame(frame)[1].items[2].items[-1].values
            assert list(sizes) == list(range(len(sizes)))
            assert "total" in (said := finish(feed)) and "messages=1 " in said


def test_sub_from_the_past(keeper, tool, connect):
    """Protects sub --from: all of the day from that record on, then what comes;
    of all tables and of some."""
    daemon = keeper()
    feed = connect(daemon)
    publish(feed, 0, 100)
    subs = [tool("sub", daemon, "--user", user, "--check", *arguments)
            for user, *arguments in (
                ("all", "--from", 0, "--count", 300),
                ("late", "--from", 150, "--count", 150),
                ("trade", "--from", 0, "-t", "trade", "--count", 150),
                ("both", "--from", 151, "-t", "trade,quote", "--count", 149),
                ("now", "--from", 200, "--count", 100))]
    for user in ("all", "late", "trade", "both", "now"):
        daemon.wait_log("subscribe", user=user)
    publish(feed, 100, 50)
    for sub in subs:
        assert "missing=0 doubled=0" in finish(sub)
    assert "'range" in finish(tool("sub", daemon, "--from", 301), 2)
    assert "'nowhere" in finish(tool("sub", daemon, "--from", 0, "-t", "nowhere"), 2)


@pytest.mark.parametrize("tables", ["", "trade", "trade,quote"])
def test_sub_reconnects_to_a_new_daemon(keeper, tool, connect, tables):
    """Protects sub --reconnect: the daemon is stopped and started again twice,
    then a day ends, and no message is lost or doubled."""
    daemon = keeper()
    count = 400 if tables == "trade" else 800
    sub = tool("sub", daemon, "--user", "again", "--check", "--reconnect",
               "--count", count, *(["-t", tables] if tables else []))
    said = Said(sub)
    daemon.wait_log("subscribe", user="again")
    for turn in range(4):
        feed = connect(daemon)
        publish(feed, 100 * turn, 50)
        if turn == 3:
            assert feed.sync(".u.endofday[]") == kdb.NIL
        publish(feed, 100 * turn + 50, 50)
        feed.close()
        if turn % 2 == 0:
            port = daemon.port
            daemon.stop()
            daemon = keeper(port)
            said.wait_for("connected again", turn // 2 + 1)
    text = said.finish()
    assert text.count("result=good") == (1 if tables == "trade" else 2)
    assert "ends=1" in text


class Proxy(threading.Thread):
    """Passes one connection after the other on to a daemon, and cuts each after
    a number of bytes."""

    def __init__(self, daemon, limits):
        super().__init__(daemon=True)
        self.to, self.limits = daemon.port, limits
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.cuts = 0
        self.start()

    def run(self):
        for limit in self.limits:
            client, _ = self.listening.accept()
            with client, socket.create_connection(("127.0.0.1", self.to)) as server:
                self.cuts += self.pass_on(client, server, limit)

    @staticmethod
    def pass_on(client, server, limit):
        other, left = {client: server, server: client}, limit
        while left > 0:
            for one in select.select([client, server], [], [])[0]:
                try:
                    data = one.recv(min(left, 4096) if one is server else 4096)
                    other[one].sendall(data)
                except ConnectionError:
                    return False
                if not data:
                    return False
                left -= len(data) if one is server else 0
        return True


@pytest.mark.parametrize("tables", ["trade,quote", "trade"])
def test_sub_reconnects_after_cuts(keeper, tool, connect, tables):
    """Protects the same against cuts anywhere in a frame, in the handshake and
    in responses, while updates come and a day ends."""
    daemon = keeper()
    feed = connect(daemon)
    publish(feed, 0, 20)
    generator = random.Random(2)
    limits = [600 + generator.randrange(4000) for _ in range(8)]
    limits[3:3] = [1, 20, 60, 150]
    proxy = Proxy(daemon, limits + [1 << 40])
    count = 700 if tables == "trade" else 1400
    sub = tool("sub", proxy, "--check", "--reconnect", "--from", 0, "-t", tables,
               "--count", count)
    publish(feed, 20, 330)
    assert feed.sync(".u.endofday[]") == kdb.NIL
    publish(feed, 350, 350)
    text = finish(sub)
    assert proxy.cuts == len(limits)
    assert "ends=1" in text
    assert text.count("result=good") == len(tables.split(","))


def lose_records(folder, keep):
    """The machine has crashed: the file has only its first records."""
    path = journal.path_now(folder)
    os.truncate(path, journal.File(path).ends[keep - 1])


@pytest.mark.parametrize("tables,keep,word", [
    ("trade,quote", 15, "'epoch"), ("trade", 8, "'epoch"), ("trade", 12, "reason=epoch")])
def test_sub_ends_where_a_crash_took_what_it_has(keeper, tool, connect, folder,
                                                 tables, keep, word):
    """Protects from a stream that would not fit what came before: a sentence
    and status 2; at once, or when the journal was read."""
    daemon = keeper()
    feed = connect(daemon)
    publish(feed, 0, 10)
    sub = tool("sub", daemon, "--user", "again", "--reconnect", "--from", 0,
               "-t", tables)
    daemon.wait_log("subscribe", user="again")
    wait_level(daemon, "again")
    port = daemon.port
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.process.wait()
    daemon.stopped = True
    lose_records(folder, keep)
    daemon = keeper(port)
    if word == "reason=epoch":
        daemon.wait_log("disconnect", user="again", reason="epoch")
        publish(connect(daemon), 10, 10)
    text = finish(sub, 2)
    assert word in text and "crash" in text
    assert ("subscription is refused" in text) == (word == "'epoch")


def test_sub_ends_where_the_settings_have_changed(keeper, tool, connect):
    """Protects from a loop of connections: that what it has cannot be told any more
    is a sentence that says what to do, and status 2."""
    daemon = keeper()
    publish(connect(daemon), 0, 5)
    sub = tool("sub", daemon, "--user", "again", "--reconnect", "--from", 0)
    daemon.wait_log("subscribe", user="again")
    wait_level(daemon, "again")
    daemon.stop()
    keeper(daemon.port, message={"max": "32K"})
    said = finish(sub, 2)
    assert "'schema: the server's schema or settings have changed" in said
    assert "--from 0" in said


def test_feed_goes_on_after_a_restart(plant, tool):
    """Protects a feed from a restart of the server: it connects again, continues,
    and names the rows that may not have arrived."""
    first = plant()
    feed = tool("feed", first, "--reconnect", "-t", "trade,quote", "--rate", 2000,
                "--count", 6000)
    first.wait_log("report", in_records=lambda n: int(n) > 500)
    first.stop()
    before = first.logged("report")[-1].number("in_records")
    second = plant(listen={"port": first.port})
    said = finish(feed)
    after = second.summary().number("in_records")
    total = Line(said.splitlines()[-1])
    uncertain = int(total["uncertain"])
    assert "connected again" in said and int(total["messages"]) == 6000
    assert before > 500 and 6000 - uncertain <= before + after <= 6000
    named = [Line(line) for line in said.splitlines() if line.startswith("uncertain ")]
    assert uncertain == sum(int(one["last"]) - int(one["first"]) + 1 for one in named)
    assert {one["table"] for one in named} <= {"trade", "quote"}


def test_sub_count_that_did_not_come(plant, tool):
    """Protects a script that waits for messages: fewer than it asked for is not
    success."""
    daemon = plant()
    said = finish(tool("sub", daemon, "--count", 5, "--seconds", 1), status=1)
    assert "0 of 5 messages came" in said


def test_sizes_have_units(plant, tool):
    """Protects from guessing: bytes are written as in the configuration."""
    daemon = plant()
    finish(tool("feed", daemon, "--size", "4K", "--count", 1))
    summary = daemon.summary()
    assert 3000 < summary.number("in_bytes") < 8000
    for wrong in ("4X", "K", "4KK", "99999999999G", "4k"):
        finish(tool("feed", daemon, "--size", wrong), status=2)


# ---- command lines ----


@pytest.mark.parametrize("tool, tables", [
    ("feed", ["feed", "client_options"]), ("sub", ["sub", "client_options"]),
    ("log", ["log"])])
def test_options(tool, tables):
    """Protects people: `--help` has every row of the tool's table of options, a
    wrong command line ends with status 2 and says what to do, and help that
    cannot be written is no success."""
    def run(*arguments, out=subprocess.PIPE):
        return subprocess.run([find_ringtick(), tool, *arguments], stdout=out,
                              stderr=subprocess.PIPE, text=True)

    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    source = pathlib.Path(__file__).parents[2] / "src" / "tools"
    for table in tables:
        for row in (source / (table + ".def")).read_text().splitlines():
            if row.startswith("OPTION("):
                assert "--" + row[7:].split(",")[0] in shown.stdout, row
    for wrong in (["--nonsense"], ["--user"], ["one", "two"]):
        done = run(*wrong)
        assert (done.returncode, done.stdout) == (2, ""), wrong
        assert "ringtick %s: " % tool in done.stderr
        assert "ringtick %s --help" % tool in done.stderr
    with open("/dev/full", "w") as full:
        done = run("--help", out=full)
    assert done.returncode == 2 and "standard output" in done.stderr


def test_numbers():
    """Protects from half a value: what is no number from end to end, or is out of
    its range, is refused with the range."""
    for option, wrong in (("--rate", "1x"), ("--rate", "-1"), ("--rows", "0"),
                          ("--size", "1X"), ("--size", "0K"), ("--size", "20G"),
                          ("--count", ""), ("--port", "65536"), ("--seconds", "1.5")):
        done = subprocess.run([find_ringtick(), "feed", option, wrong],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stdout) == (2, ""), (option, wrong)
        assert "ringtick feed: %s: " % option in done.stderr and " to " in done.stderr
        assert '"%s"' % wrong in done.stderr
