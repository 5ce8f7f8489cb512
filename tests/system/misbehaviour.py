"""What a client, a file or the reader of the log may do, one function each.

A row begins its misbehaviour, calls scene.hold(), during which the bystander's
clock runs, and then says how the misbehaver was hurt.  What a row opens through
the scene is closed after it.  grows are the counters that it makes grow; of the
others in STILL none may."""

import collections
import contextlib
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

import journal
import kdb
import pytest
from bystander import PULSE, RECEIVE_BUFFER
from daemon import QUOTE, TRADE
from kdb import ASYNC, NIL, SYNC, Error, atom, frame, lst, sym
from late import vanish
from traffic import Template, trade, update

Row = collections.namedtuple("Row", "run grows only own answers")
ROWS = {}

STILL = ("rejected", "bad_frames", "turned_away", "slow_disconnects", "skips",
         "skipped_records", "spills")

MESSAGE_MAX = 2 << 20
CONNECTIONS = 64

USERS = [{"user": name, "policy": name}
         for name in ("spill", "skip", "disconnect", "block")]

SETTINGS = {
    "schema": {"tables": [TRADE, QUOTE, PULSE]},
    "connections": {"max": CONNECTIONS, "receive_buffer": RECEIVE_BUFFER,
                    "send_buffer": "128K", "handshake_timeout": "2s"},
    "ring": {"size": "8M"}, "streams": {"ring": "8M", "max": 8},
    "message": {"max": MESSAGE_MAX, "timeout": "2s"},
    "slow": {"block_limit": "5ms"}, "auth": {"rights": USERS},
    "log": {"report": "100ms"},
}


def row(*grows, only=None, own=None, answers=True):
    """only="journal": needs a journal.  own: a daemon of its own, with these
    further arguments of Daemon, settings, and prepare(folder) before it.  answers: whether
    an update is answered beside a journal too, which is when it is in there."""
    def add(function):
        ROWS[function.__name__] = Row(function, grows, only, own, answers)
        return function
    return add


class Scene:
    """Where a row plays: its daemon, its clients, its threads."""

    def __init__(self, daemon, bystander, folder, has_grown):
        self.daemon, self.bystander, self.folder = daemon, bystander, folder
        self.has_grown = has_grown  # for wait_log("report")
        self.is_on = True
        self.stretch = None
        self.clients = contextlib.ExitStack()
        self.threads, self.failures, self.has_round = [], [], threading.Event()

    def dial(self, **how):
        sock = kdb.dial(self.daemon.port, **how)
        self.clients.callback(sock.close)
        return sock

    def client(self, user="evil", **how):
        made = kdb.Client(self.daemon.port, creds=b"%s:pw\x03" % user.encode(), **how)
        self.clients.callback(made.close)
        return made

    def again_and_again(self, step):
        """step() in a thread until the row is over; the daemon may end the
        misbehaver's connection, and then that is over too."""
        def run():
            try:
                while self.is_on:
                    step()
                    self.has_round.set()
            except (kdb.Closed, OSError):
                pass
            except Exception as failure:
                self.failures.append(failure)
        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()

    def flood(self, data, user="evil"):
        """The same bytes again and again on one connection; what comes back is
        not read."""
        client = self.client(user, timeout=0.5)
        # what the kernel keeps of it is still to be served when the row is over
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.again_and_again(lambda: client.send(data))
        return client

    def feed(self, data):
        """The same updates again and again, as fast as they are taken, with a
        question after each lot: so the wait is not for the journal's disk."""
        client = self.client()
        data += frame("", SYNC)
        self.again_and_again(lambda: client.ask(data))

    def hold(self, trips=60):
        """Until it shows in the counters, and the bystander has had this many round
        trips beside it."""
        if self.has_grown:
            self.daemon.wait_log("report", after=self.daemon.mark(), **self.has_grown)
        self.stretch = self.bystander.stretch(trips)

    def hold_and_count(self):
        """What is done again and again was done to its end."""
        self.hold()
        assert self.has_round.wait(20)

    def close(self):
        self.is_on = False
        self.clients.close()
        for thread in self.threads:
            thread.join(timeout=20)
            assert not thread.is_alive()
        for failure in self.failures:
            raise failure


def many(data, size=256 << 10):
    return data * (size // len(data) + 1)


# ---- connections and frames ----


@row()
def silent_connections(scene):
    for _ in range(40):
        scene.dial()
    scene.hold()


@row()
def handshakes_byte_by_byte(scene):
    socks = [scene.dial() for _ in range(20)]

    def step():
        for sock in socks:
            sock.send(b"x")
    scene.again_and_again(step)
    scene.hold()


@row()
def half_headers(scene):
    """More than there are buffers claim a long message and send no more."""
    for _ in range(6):
        scene.client().send(struct.pack("<BBBBI", 1, ASYNC, 0, 0, 400_000))
    scene.hold()


@row()
def half_messages(scene):
    whole = Template(10_000).make(0)
    for _ in range(6):
        scene.client().send(whole[: 100_000])
    scene.hold()


@row()
def long_messages_byte_by_byte(scene):
    whole = Template(10_000).make(0)
    clients = [scene.client() for _ in range(6)]
    for client in clients:
        client.send(whole[: 40_000])
    position = 40_000

    def step():
        nonlocal position
        for client in clients:
            client.send(whole[position : position + 1])
        position += 1
    scene.again_and_again(step)
    scene.hold()


@row()
def updates_byte_by_byte(scene):
    whole = update("trade", trade(0))
    clients = [scene.client() for _ in range(4)]

    def step():
        for i in range(len(whole)):
            for client in clients:
                client.send(whole[i : i + 1])
    scene.again_and_again(step)
    scene.hold()


@row("bad_frames")
def garbage(scene):
    def step():
        with kdb.Client(scene.daemon.port, creds=b"evil:pw\x03") as client:
            client.send(os.urandom(64))
            kdb.drain(client.sock)
    scene.again_and_again(step)
    scene.hold_and_count()


@row()
def http_requests(scene):
    def step():
        sock = kdb.dial(scene.daemon.port)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        kdb.drain(sock)
        sock.close()
    scene.again_and_again(step)
    scene.hold_and_count()


@row()
def too_long(scene):
    def step():
        with kdb.Client(scene.daemon.port, creds=b"evil:pw\x03") as client:
            client.send(struct.pack("<BBBBI", 1, ASYNC, 0, 0, 1 << 30) + bytes(1000))
            kdb.drain(client.sock)
    scene.again_and_again(step)
    scene.hold_and_count()


@row()
def reconnects(scene):
    def step():
        kdb.Client(scene.daemon.port, creds=b"evil:pw\x03").close()
    scene.again_and_again(step)
    scene.hold()


@row()
def resets(scene):
    def step():
        client = kdb.Client(scene.daemon.port, creds=b"evil:pw\x03")
        client.send(many(frame(".u.w"), 4096))
        vanish(client)
    scene.again_and_again(step)
    scene.hold()


@row("turned_away")
def too_many_connections(scene):
    for _ in range(CONNECTIONS - 2):
        scene.client()

    def step():
        kdb.drain(sock := kdb.dial(scene.daemon.port))
        sock.close()
    scene.again_and_again(step)
    scene.hold()


@row()
def half_closed(scene):
    """Asks much, says that it will say no more, and reads nothing."""
    for _ in range(8):
        client = scene.client(receive_buffer=4096)
        client.send(many(frame("tables[]", SYNC), 8192))
        client.sock.shutdown(socket.SHUT_WR)
    scene.hold()


# ---- requests ----


# Two lists of 2048 items that have no item in common.
# Some ms, in one receive buffer.
DEAR = "1 " * 8000
COMPARING = '(%s"ab")in(%s"cd")' % ("{x,x}" * 10, "{x,x}" * 10)


@row()
def comparing_much(scene):
    scene.client().send(many(frame(COMPARING)))
    scene.hold()


@row()
def comparing_much_and_waiting(scene):
    asks_in_a_loop(scene, COMPARING)


@row()
def dear_requests_of_strangers(scene):
    """Clients that have not asked before, and each ask one expensive thing."""
    data = frame(DEAR, SYNC)

    def step():
        clients = [kdb.Client(scene.daemon.port, creds=b"evil:pw\x03")
                   for _ in range(25)]
        try:
            for client in clients:
                client.send(data)
            for client in clients:
                client.read_response()
        finally:
            for client in clients:
                client.close()
    scene.again_and_again(step)
    scene.hold_and_count()


@row()
def dear_requests_at_once(scene):
    """Each asks one dear thing, long after the last one."""
    clients = [scene.client() for _ in range(50)]
    data = frame(DEAR, SYNC)
    for client in clients:
        client.send(data)
    scene.hold()


def asks_in_a_loop(scene, text, user="evil"):
    client = scene.client(user)
    data = frame(text, SYNC)
    scene.again_and_again(lambda: client.ask(data))
    scene.hold()
    return client


@row()
def many_numbers(scene):
    asks_in_a_loop(scene, "1 " * 900_000)


@row()
def many_symbols(scene):
    asks_in_a_loop(scene, "`a" * 900_000)


@row()
def many_backticks(scene):
    asks_in_a_loop(scene, "`" * 1_900_000)


@row()
def many_escapes(scene):
    asks_in_a_loop(scene, '"' + "\\n" * 900_000 + '"')


@row()
def many_parentheses(scene):
    asks_in_a_loop(scene, "(" * 1_900_000)


@row()
def many_semicolons(scene):
    asks_in_a_loop(scene, ";" * 1_900_000)


@row()
def tiny_objects(scene):
    client = scene.client()
    data = frame(lst(*[atom("b", True)] * 300_000, *[sym("")] * 300_000), SYNC)
    scene.again_and_again(lambda: client.ask(data))
    scene.hold_and_count()


@row()
def too_many_objects(scene):
    """What is refused when some ten ms of it have been looked at."""
    body = struct.pack("<BBI", 0, 0, 30_000) + (b"\x6a" * 60 + b"\x65\0") * 30_000
    data = struct.pack("<BBBBI", 1, SYNC, 0, 0, 8 + len(body)) + body

    def step():
        with kdb.Client(scene.daemon.port, creds=b"evil:pw\x03") as client:
            assert client.ask(data) == Error(b"limit")
    scene.again_and_again(step)
    scene.hold_and_count()


@row()
def strings_of_numbers(scene):
    client = scene.client()
    data = frame(lst(kdb.text("string"), kdb.vec("j", range(200_000))), SYNC)
    scene.again_and_again(lambda: client.ask(data))
    scene.hold()


@row()
def nested_calls(scene):
    scene.flood(many(frame("{x x}[{x x}]")))
    scene.hold()


def _asked(text):
    def run(scene):
        scene.flood(many(frame(text)))
        scene.hold()
    return run


for _name, _text in {
        "subscribers_asked": ".u.w", "queues_asked": ".z.W", "tables_asked": "tables[]",
        "schemas_asked": "meta trade", "texts_in_error": "nosuch[1;2;3]"}.items():
    _run = _asked(_text)
    _run.__name__ = _name
    row()(_run)


@row()
def lags_asked(scene):
    """The figures of every consumer, again and again."""
    for _ in range(30):
        scene.client().subscribe("quote")
    scene.flood(many(frame(lst(kdb.text(".ringtick.lag"), NIL))))
    scene.hold()


@row()
def answers_unread(scene):
    for _ in range(6):
        scene.flood(many(frame("(tables[];.u.w;meta trade;meta quote)", SYNC)))
    scene.hold()


@row()
def subscribing_again_and_again(scene):
    client = scene.client()

    def step():
        for text in (".u.sub[`;`]", ".u.sub[`trade;`A`B]", ".u.add[`quote;`C]",
                     ".u.del[`trade;.z.w]"):
            client.sync(text)
    scene.again_and_again(step)
    scene.hold()


@row()
def every_selection(scene):
    """More selections than there are streams, on connections that read nothing."""
    clients = [scene.client() for _ in range(20)]
    answers = [one.sync(".u.sub[`trade;`A%d]" % n) for n, one in enumerate(clients)]
    assert sum(isinstance(one, Error) for one in answers) > 0
    scene.feed(many(update("trade", trade(0, 1, "B"))))
    scene.hold()


@row()
def long_filters(scene):
    client = scene.client()
    requests = [kdb.frame(lst(sym(".u.sub"), sym("trade"), kdb.syms(
        *("s%d_%d" % (n, i) for i in range(16_384)))), SYNC) for n in range(2)]

    def step():
        for one in requests:
            client.ask(one)
    scene.again_and_again(step)
    scene.hold()


# ---- updates ----


@row("rejected")
def refused_updates(scene):
    """A feed that has not followed a change of the schema."""
    scene.feed(many(update("trade", lst(*trade(0).items[:3]))))
    scene.hold()


@row("rejected")
def refused_long_updates(scene):
    columns = trade(0, 20_000).items
    scene.feed(update("trade", lst(*columns[:2], columns[3], columns[3])))
    scene.hold()


@row("rejected")
def unknown_tables(scene):
    scene.feed(many(update("nosuch", trade(0))))
    scene.hold()


@row()
def unknown_functions(scene):
    scene.feed(many(update("trade", trade(0), fn=".u.updd")))
    scene.hold()


@row()
def short_updates(scene):
    scene.feed(many(update("trade", trade(0))))
    scene.hold()


@row()
def short_updates_big_endian(scene):
    scene.feed(many(update("trade", trade(0), big=True)))
    scene.hold()


@row()
def long_updates_big_endian(scene):
    scene.feed(update("trade", trade(0, 40_000), big=True))
    scene.hold()


@row()
def long_updates(scene):
    scene.feed(update("trade", trade(0, 60_000)))
    scene.hold()


@row("rejected")
def nested_cells(scene):
    cells = lst(*[kdb.text("")] * 50_000)
    columns = trade(0, 50_000).items
    scene.feed(update("trade", lst(*columns[:3], cells)))
    scene.hold()


@row()
def compressed_bombs(scene):
    columns = [kdb.vec(letter, bytes(8 * 50_000)) for letter in "nfj"]
    names = kdb.syms(*["A"] * 50_000)
    whole = update("trade", lst(columns[0], names, columns[1], columns[2]))
    data = kdb.compress(whole, force=True)
    assert len(data) < len(whole) / 50
    scene.feed(data * 2)
    scene.hold()


# ---- subscribers that do not read ----


def _never_reads(policy):
    def run(scene):
        for _ in range(5):
            scene.client(policy, receive_buffer=4096).subscribe("trade")
        scene.feed(Template(4000).make(0))
        scene.hold()
    run.__name__ = "never_reads_" + policy
    return run


row("slow_disconnects")(_never_reads("disconnect"))
row("skips", "skipped_records")(_never_reads("skip"))
row("slow_disconnects")(_never_reads("block"))
row("spills", only="journal")(_never_reads("spill"))


@row("skips", "skipped_records")
def stops_and_goes(scene):
    readers = [scene.client("skip", receive_buffer=4096) for _ in range(5)]
    for one in readers:
        one.subscribe("trade")
    scene.feed(Template(4000).make(0))

    def step():
        for one in readers:
            one.sock.recv(100_000)
        time.sleep(0.1)  # it stops
    scene.again_and_again(step)
    scene.hold(200)


# ---- joining late ----


@row(only="journal")
def all_of_the_day(scene):
    feed = scene.client()
    for _ in range(100):
        feed.async_(lst(sym(".u.upd"), sym("trade"), trade(0, 1000)))
    assert feed.sync("") == NIL
    for _ in range(4):
        scene.flood(many(frame(lst(sym(".ringtick.subfrom"), sym("trade"), sym(""),
                                   atom("j", 0)), SYNC), 4096))
    scene.hold()


@row(only="journal")
def false_claims(scene):
    client = scene.client()
    day = client.sync(".u.d").value
    requests = [frame(lst(sym(".ringtick.rejoin"), sym(table), sym(""),
                          lst(atom("j", epoch), atom("d", day + days),
                              atom("j", i), atom("j", n))), SYNC)
                for epoch, days, i, n, table in (
                    (7, 0, 0, 0, ""), (0, 0, 1 << 60, 1, "trade"),
                    (0, 0, 0, 1 << 60, ""), (0, 400, 0, 0, ""), (0, -400, 0, 0, ""),
                    (0, 0, 1 << 62, 1 << 62, ""))]

    def step():
        for one in requests:
            assert isinstance(client.ask(one), Error)
    scene.again_and_again(step)
    scene.hold()


# ---- the day ----


@row(own={}, answers=False)
def days_ended_in_a_loop(scene):
    """A day that ends early is noted on the disk before its successor's file."""
    scene.flood(many(frame(".u.endofday[]"), 16 << 10))
    scene.hold()


@row(only="journal", own={}, answers=False)
def next_day_impossible(scene):
    """A folder has the name of the next day's file; updates flow as they
    should, and then one client asks for .u.i."""
    client = scene.client()
    in_the_way = journal.path_of(scene.folder, client.sync(".u.d").value + 1)
    in_the_way.mkdir()
    scene.clients.callback(in_the_way.rmdir)
    mark = scene.daemon.mark()
    client.send(frame(".u.endofday[]"))
    scene.daemon.wait_log("journal_roll_failed", after=mark)
    client.send(frame(".u.i", SYNC))
    scene.hold()


@row(only="journal", own={}, answers=False)
def folder_read_only(scene):
    """The disk is read-only when the next day's file is to be made; then one client
    asks for .u.i."""
    def mount(*how):
        done = subprocess.run([*how, str(scene.folder)], stderr=subprocess.PIPE)
        return done.returncode == 0
    if not mount("mount", "--bind", str(scene.folder)):
        pytest.skip("cannot mount")
    scene.clients.callback(mount, "umount", "-l")
    assert mount("mount", "-o", "remount,bind,ro")
    client = scene.client()
    mark = scene.daemon.mark()
    client.send(frame(".u.endofday[]"))
    line = scene.daemon.wait_log("journal_roll_failed", after=mark)
    assert "Read-only file system" in line.text
    client.send(frame(".u.i", SYNC))
    scene.hold()


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (70, 70))


@row("turned_away", only="journal", own={"preexec": few_descriptors}, answers=False)
def no_descriptor_at_the_end_of_day(scene):
    """Clients that do nothing have every connection that the limit allows; a day that
    ends early is noted on the disk."""
    client = scene.client()
    with contextlib.suppress(kdb.Closed, ConnectionError):
        while True:
            scene.client()
    mark = scene.daemon.mark()
    client.send(frame(".u.endofday[]"))
    scene.daemon.wait_log("journal_rolled", after=mark)
    scene.hold()


# ---- files ----


def long_file(folder, days=0, size=60_000_000):
    """A good journal of today, or of `days` days later; it takes 50 ms to check."""
    day = journal.local_day(journal.noon_zone()) + days
    one = journal.record("trade", trade(0)) * 1000
    journal.write(journal.path_of(folder, day), *[one] * (size // len(one)))


@row(only="journal", own={}, answers=False)
def next_day_is_long(scene):
    """The next day's file is there already, and all of it must be checked."""
    mark = scene.daemon.mark()
    long_file(scene.folder, 1)
    scene.client().send(frame(".u.endofday[]"))
    scene.daemon.wait_log("journal_rolled", after=mark)
    scene.hold()


def _file_row(how, **own):
    def run(scene):
        path = journal.path_now(scene.folder)
        how(scene, path)
        scene.hold(200)
    run.__name__ = "journal_" + how.__name__
    # until the file is whole on the disk again there is no answer
    row(only="journal", own=own, answers=False)(run)


@_file_row
def moved(scene, path):
    path.rename(path.with_name("elsewhere"))


@_file_row
def deleted(scene, path):
    path.unlink()


def very_long_file(folder):
    """When it is closed without a name, the kernel takes 100 ms to free it."""
    long_file(folder, size=300_000_000)


@row(only="journal", own={"prepare": very_long_file}, answers=False)
def long_journal_deleted(scene):
    """It is copied, and the copy takes its place; a look later it is closed."""
    mark = scene.daemon.mark()
    journal.path_now(scene.folder).unlink()
    scene.daemon.wait_log("journal_brought_back", after=mark)
    scene.hold(600)


@_file_row
def truncated(scene, path):
    os.truncate(path, 0)


@_file_row
def replaced(scene, path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.rename(path)


@_file_row
def folder_moved(scene, path):
    path.parent.rename(path.parent.with_name("gone"))


# ---- the operator ----


@row()
def counters_asked(scene):
    """SIGUSR1 in a loop."""
    for _ in range(30):
        scene.client().subscribe("quote")
    scene.again_and_again(lambda: os.kill(scene.daemon.pid, signal.SIGUSR1))
    scene.hold()


@row()
def log_unread(scene):
    """The reader of the log is stuck, and much is logged."""
    scene.daemon.log_is_read.clear()
    scene.clients.callback(scene.daemon.log_is_read.set)
    for _ in range(30):
        scene.client().subscribe("quote")

    def step():
        os.kill(scene.daemon.pid, signal.SIGUSR1)
        kdb.Client(scene.daemon.port, creds=b"evil:pw\x03").close()
    scene.again_and_again(step)
    scene.hold(300)


@row()
def notes_unread(scene):
    """systemd is stuck, and has room for no STATUS more."""
    scene.daemon.notes_are_read.clear()
    scene.clients.callback(scene.daemon.notes_are_read.set)
    scene.daemon.fill_notes()
    for _ in range(2):
        scene.daemon.wait_log("report", after=scene.daemon.mark())
    scene.hold(120)
