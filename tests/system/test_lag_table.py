""".ringtick.lag[]: the consumers as a table, and whether its figures are true."""

import fcntl
import resource
import struct
import termios
import time

import journal
import kdb
import pytest
from kdb import NIL, Error, Symbols, Vector, lst, sym, syms
from spill import WINDOW, settings, wait_stuck
from test_node import script  # noqa: F401  a fixture
from traffic import published, quote, sizes_of, trade, update

NAMES = {"consumer": 6, "user": 11, "peer": 11, "tls": 11, "certificate": 11, "tables": 0,
         "state": 11, "policy": 11}
FIGURES = ("lagBytes lagRecords lagMs ringPct kernelBytes sentBytes highBytes skips "
           "skipped spills journalRecords journalMs").split()
TEXT = ".ringtick.lag[]"


def values_of(column):
    """Python values of a column; tables as tuples of names."""
    if isinstance(column, Symbols):
        return [one.decode() for one in column.items]
    if isinstance(column, Vector):
        return column.values
    for cell in column.items:
        assert isinstance(cell, Symbols)
    return [tuple(one.decode() for one in cell.items) for cell in column.items]


def rows_of(table):
    """A whole table, its columns as promised; each row as a dictionary."""
    assert isinstance(table, kdb.Table), table
    names = [one.decode() for one in table.names.items]
    assert names == [*NAMES, *FIGURES]
    types = [11 if isinstance(one, Symbols) else 0 if isinstance(one, kdb.List)
             else one.type for one in table.columns.items]
    assert types == [*NAMES.values(), *[7] * len(FIGURES)]
    columns = [values_of(one) for one in table.columns.items]
    return [dict(zip(names, row)) for row in zip(*columns, strict=True)]


def lag(asker):
    return rows_of(asker.sync(TEXT))


def row_of(asker, user):
    found, = [row for row in lag(asker) if row["user"] == user]
    return found


def await_row(asker, user, predicate):
    """The first row of a user for which the predicate is true."""
    deadline = time.monotonic() + 20
    while True:
        row = row_of(asker, user)
        if predicate(row):
            return row
        assert time.monotonic() < deadline, row
        time.sleep(0.01)


# ---- the table ----


@pytest.mark.parametrize("has_journal", [False, True])
def test_table(start, connect, folder, has_journal):
    """Protects q users' selects: names, types and order of the columns, also when
    there is no consumer; a row for each in the order of connecting."""
    daemon = start(journal.settings(folder) if has_journal else None)
    asker = connect(daemon, user="asker")
    assert lag(asker) == []
    clients = []
    for user, table in (("all", ""), ("none", None), ("one", "trade"),
                        ("other", "quote")):
        client = connect(daemon, user=user)
        if table is not None:
            client.subscribe(table)
            clients.append((user, client, table))
    rows = lag(asker)
    assert [row["user"] for row in rows] == ["all", "one", "other"]
    for row, (user, client, table) in zip(rows, clients):
        reply = kdb.frame(client.subscribe(table), kdb.RESPONSE)
        assert {name: row[name] for name in NAMES if name != "consumer"} == {
            "user": user, "peer": client.name, "tls": "", "certificate": "",
            "state": "live", "policy": "spill" if has_journal else "disconnect",
            "tables": (table,) if table else ("quote", "trade")}
        figures = dict.fromkeys(FIGURES, 0)
        figures["sentBytes"] = 1 + len(reply)
        row["kernelBytes"] = 0  # an acknowledgement may be on its way
        assert {name: row[name] for name in FIGURES} == figures
    line, *_ = daemon.consumers()
    assert line.number("consumer") == rows[0]["consumer"]
    clients[1][1].close()
    daemon.wait_log("disconnect", user="one")
    assert [row["user"] for row in lag(asker)] == ["all", "other"]


def test_ways_to_ask(start, connect):
    """Protects clients that ask differently: as text, in a list with other things,
    as a list with the name, from a big-endian machine, or asynchronously."""
    daemon = start()
    asker = connect(daemon, user="asker")
    asker.subscribe("quote")
    for asked in (TEXT, ".ringtick.lag[::]", lst(sym(".ringtick.lag"), NIL),
                  lst(kdb.text(".ringtick.lag"), NIL)):
        assert [row["user"] for row in rows_of(asker.sync(asked))] == ["asker"]
    both = asker.sync("(.u.t;.ringtick.lag[])")
    assert both.items[0] == syms("quote", "trade", attr=1)
    assert len(rows_of(both.items[1])) == 1
    asked = lst(sym(".ringtick.lag"), NIL)
    assert len(rows_of(asker.sync(asked, big=True))) == 1
    assert asker.sync(".ringtick.lag[1;2]") == Error(b"rank")
    assert asker.sync(".ringtick.lag") == Error(b"nyi")
    asker.async_(TEXT)
    asker.expect_silence()


def test_node_q_reads_it(start, connect, script):  # noqa: F811
    """Protects users of other clients: node-q makes rows of it."""
    daemon = start()
    client = connect(daemon, user="one")
    client.subscribe("trade")
    row, = script("ask.js", daemon.port, TEXT).finish()[0]
    assert list(row) == [*NAMES, *FIGURES]
    assert (row["user"], row["peer"], row["tables"], row["state"]) == (
        "one", client.name, ["trade"], "live")
    assert (row["lagBytes"], row["sentBytes"]) == (
        0, 1 + len(kdb.frame(client.subscribe("trade"), kdb.RESPONSE)))


# ---- figures ----


ROWS = 400  # an update of 12 or 18 KB


class Published:
    """What consumers of a table ("" for all) were to get, and when."""

    def __init__(self, feed):
        self.feed, self.frames, self.times = feed, [], []

    def publish(self, count):
        for _ in range(count):
            n = len(self.frames)
            name, make = (("trade", trade), ("quote", quote))[n % 2]
            self.times.append(time.monotonic())
            assert self.feed.update(name, make(n, ROWS)) == NIL
            self.frames.append(published(name, make(n, ROWS).items))

    def of(self, table, first=0):
        """(time before it was sent, frame) of each."""
        return [pair for pair in zip(self.times[first:], self.frames[first:])
                if table in ("", journal.table_of(pair[1]).decode())]


def received(client):
    """Bytes that the kernel has for a client."""
    return struct.unpack("i", fcntl.ioctl(client.sock, termios.FIONREAD, bytes(4)))[0]


def assert_true(asker, user, client, pairs, base, has_read=0):
    """The row of a consumer that does not read is what it has and has not
    received of these, after base bytes; which row."""
    asked = time.monotonic()
    row = await_row(asker, user, lambda row: row["sentBytes"] - row["kernelBytes"] ==
                    base + has_read + received(client))
    sent = row["sentBytes"] - base
    ends, total = [], 0
    for at, frame in pairs:
        total += len(frame)
        ends.append((total, at))
    assert row["lagBytes"] == total - sent
    lacks = [at for end, at in ends if end > sent]
    assert row["lagRecords"] == len(lacks)
    assert row["highBytes"] >= row["lagBytes"]
    if not lacks:
        assert row["lagMs"] == 0
        return row
    # Known to 10 ms in the ring; in the journal to the second, for the first one in
    # the send buffer; never younger.
    slack, buffered = (1000, 256 << 10) if row["state"] == "catching_up" else (10, 0)
    newest = (asked - min(lacks[1:2] + [asked])) * 1000
    first = min(at for end, at in ends if end > sent - buffered)
    oldest = (time.monotonic() - first) * 1000 + slack
    assert newest - 1 <= row["lagMs"] <= oldest + 1
    return row


@pytest.mark.parametrize("mode,after", [("sqpoll", "ring"), ("direct", "journal")])
@pytest.mark.parametrize("table", ["", "trade"])
@pytest.mark.parametrize("state", ["live", "catching_up"])
def test_who_stopped(start, connect, folder, mode, after, table, state):
    """Protects the operator's picture of a client that does not read: bytes and
    updates that it has and has not, in the ring and in the journal, and the age of
    the oldest; when it reads again all of it goes down to nothing."""
    daemon = start(settings(folder, mode, after=after))
    asker, feed = connect(daemon), Published(connect(daemon))
    client = connect(daemon, user="slow", receive_buffer=WINDOW)
    client.subscribe(table)
    base = row_of(asker, "slow")["sentBytes"]
    feed.publish(56 if state == "live" else 250)
    wait_stuck(daemon, "slow")
    row = assert_true(asker, "slow", client, feed.of(table), base)
    # who is in the ring is slow too where an update has waited for a second
    assert row["state"] in (("live", "slow") if state == "live" else (state,))
    assert row["spills"] == int(state != "live")
    ring = (512 if table else 1024) << 10
    if state == "live":
        assert row["ringPct"] == row["lagBytes"] * 100 // ring
        assert row["journalRecords"] == row["journalMs"] == 0
    else:
        assert row["ringPct"] == 0 and row["highBytes"] >= ring // 2
    assert row["skips"] == row["skipped"] == 0
    pairs = feed.of(table)
    for n, (_, frame) in enumerate(pairs[: len(pairs) // 3]):
        assert client.read_frame() == frame, n
    has_read = sum(len(frame) for _, frame in pairs[: len(pairs) // 3])
    wait_stuck(daemon, "slow")
    has_read += client.reader.torn
    assert_true(asker, "slow", client, pairs, base, has_read)
    for _, frame in pairs[len(pairs) // 3:]:
        assert client.read_frame() == frame
    row = await_row(asker, "slow", lambda row: row["state"] == "live")
    total = sum(len(frame) for _, frame in pairs)
    assert (row["lagBytes"], row["lagRecords"], row["lagMs"], row["sentBytes"]) == (
        0, 0, 0, base + total)
    assert (row["journalRecords"] > 0) == (state != "live")
    assert row["journalRecords"] < len(pairs)
    row = await_row(asker, "slow", lambda row: row["kernelBytes"] == 0)
    assert row["ringPct"] == 0


@pytest.mark.parametrize("when", ["this run", "before"])
def test_who_joined_late(start, connect, folder, when):
    """Protects the same for a joiner: what it lacks begins with the record that it
    asked for."""
    daemon = start(settings(folder))
    feed = Published(connect(daemon))
    feed.publish(250)
    if when == "before":
        feed.feed.close()
        daemon.stop()
        daemon = start(settings(folder))
        feed.feed = connect(daemon)
    asker = connect(daemon)
    client = connect(daemon, user="late", receive_buffer=WINDOW)
    reply = client.sync(".ringtick.subfrom[`;`;33]")
    base = 1 + len(kdb.frame(reply, kdb.RESPONSE))
    feed.publish(20)
    wait_stuck(daemon, "late")
    if when == "before":  # bytes of the file, which has no names in each record
        row = row_of(asker, "late")
        ends = [sum(len(one) for one in feed.frames[33 : n + 1])
                for n in range(33, len(feed.frames))]
        assert row["lagRecords"] == sum(
            end > row["sentBytes"] - base for end in ends)
        assert 0 <= ends[-1] - row["sentBytes"] + base - row["lagBytes"] < 200 * 270
        # since the last write before the start; files have the time of a tick
        written = (time.monotonic() - feed.times[249]) * 1000
        assert 0 < row["lagMs"] <= written + 11
    else:
        # with the reply the reader may have taken updates out of the kernel
        row = assert_true(asker, "late", client, feed.of("", 33), base,
                          client.reader.torn)
    assert (row["state"], row["spills"]) == ("catching_up", 0)
    for frame in feed.frames[33:]:
        assert client.read_frame() == frame
    row = await_row(asker, "late", lambda row: row["state"] == "live")
    assert (row["lagBytes"], row["lagRecords"], row["spills"]) == (0, 0, 0)
    assert 200 < row["journalRecords"] <= 237


def test_updates_from_the_journal(start, connect, folder):
    """Protects journalRecords: a consumer that can never go back to a ring has got
    all its records from the journal."""
    daemon = start(settings(folder, changes={"streams": {"max": 0}}))
    asker, feed = connect(daemon), Published(connect(daemon))
    began = time.monotonic()
    feed.publish(40)
    client = connect(daemon, user="late")
    reply = client.sync(".ringtick.subfrom[`quote;`;7]")
    for more in (0, 30):
        feed.publish(more)
        for _, frame in feed.of("quote", 7)[17 if more else 0:]:
            assert client.read_frame() == frame
        pairs = feed.of("quote", 7)
        row = row_of(asker, "late")
        assert row["journalRecords"] == len(pairs)
        assert row["sentBytes"] == 1 + len(kdb.frame(reply, kdb.RESPONSE)) + sum(
            len(frame) for _, frame in pairs)
        assert (row["state"], row["lagBytes"], row["lagRecords"]) == (
            "catching_up", 0, 0)
        assert 0 <= row["journalMs"] <= (time.monotonic() - began) * 1000


@pytest.mark.parametrize("state", ["live", "catching_up"])
def test_a_reply_that_waits(start, connect, folder, mode, state):
    """Protects the figures of a consumer that asks while it is stuck: its old
    subscription ends with the request, the new one begins after it; the reply is
    among the bytes that it lacks, and no update."""
    daemon = start(settings(folder, mode))
    asker, feed = connect(daemon), Published(connect(daemon))
    client = connect(daemon, user="slow", receive_buffer=WINDOW)
    client.subscribe()
    base = row_of(asker, "slow")["sentBytes"]
    feed.publish(50 if state == "live" else 250)
    wait_stuck(daemon, "slow")
    assert_true(asker, "slow", client, feed.of(""), base)
    seen = len(feed.frames)
    client.send(kdb.frame(".ringtick.subfrom[`trade;`;0]", kdb.SYNC))
    daemon.wait_log("subscribe", user="slow", tables="trade")
    feed.publish(6)
    row = row_of(asker, "slow")
    # Of what is to come, what is not trade's is not known yet.
    wanted = feed.frames[:seen] + feed.frames
    assert row["lagRecords"] == len(wanted) - sum(
        sum(map(len, wanted[: n + 1])) <= row["sentBytes"] - base
        for n in range(len(wanted)))
    for frame in feed.frames[:seen]:
        assert client.reader.next() == frame
    reply = client.reader.next()
    assert reply[1] == kdb.RESPONSE
    assert row["lagBytes"] == (sum(map(len, wanted)) + len(reply) + base
                               - row["sentBytes"])
    for _, frame in feed.of("trade"):
        assert client.read_frame() == frame
    row = await_row(asker, "slow", lambda row: row["lagBytes"] == 0)
    assert (row["lagRecords"], row["tables"]) == (0, ("trade",))


def test_who_was_skipped(start, connect, mode):
    """Protects the count of lost records: those that the client did not get."""
    daemon = start({"engine": {"mode": mode}, "slow": {"policy": "skip"},
                    "ring": {"size": "1M"}, "streams": {"ring": "512K"},
                    "message": {"max": "128K"},
                    "connections": {"send_buffer": "128K"}})
    asker, feed = connect(daemon), connect(daemon)
    client = connect(daemon, user="slow", receive_buffer=WINDOW)
    client.subscribe("trade")
    for n in range(400):
        assert feed.update("trade", trade(n * ROWS, ROWS)) == NIL
    row = await_row(asker, "slow", lambda row: row["skips"] > 0)
    assert (row["policy"], row["spills"]) == ("skip", 0)
    for n in range(400, 404):
        assert feed.update("trade", trade(n * ROWS, ROWS)) == NIL
    got = []
    while not got or got[-1] < 403:
        got.append(sizes_of(client.read_frame(), ROWS)[0] // ROWS)
    row = row_of(asker, "slow")
    assert got == sorted(got) and row["skipped"] == 404 - len(got)
    assert (row["lagBytes"], row["lagRecords"]) == (0, 0)


# ---- many ----


MANY = 200
WIDE = {"connections": {"max": MANY + 20, "receive_buffer": "64K"},
        "message": {"buffers": 2}, "streams": {"ring": "1M"}}


def test_many_consumers(start, connect, mode):
    """Protects the whole table where there are more consumers than fit a normal
    reply: again and again, and after some have left."""
    daemon = start({"engine": {"mode": mode}, **WIDE})
    asker = connect(daemon)
    clients = [connect(daemon, user="user%03d" % n) for n in range(MANY)]
    for n, client in enumerate(clients):
        client.subscribe(("", "trade", "quote")[n % 3])
    for _ in range(5):  # more often than there are buffers
        rows = lag(asker)
        asker.async_(TEXT)
        assert isinstance(asker.sync("(%s;.ringtick.nothing)" % TEXT), Error)
    assert [row["user"] for row in rows] == ["user%03d" % n for n in range(MANY)]
    assert [row["peer"] for row in rows] == [one.name for one in clients]
    assert [row["tables"] for row in rows] == [
        (("quote", "trade"), ("trade",), ("quote",))[n % 3] for n in range(MANY)]
    assert len({row["consumer"] for row in rows}) == MANY
    for client in clients[::3]:
        client.close()
    daemon.wait_status(lambda status: status["consumers"] == str(MANY - 67))
    assert [row["user"] for row in lag(asker)] == [
        "user%03d" % n for n in range(MANY) if n % 3]
    answers = [kdb.frame(TEXT, kdb.SYNC)] * 3
    asker.send(b"".join(answers))
    for _ in answers:
        assert len(rows_of(kdb.decode(asker.read_response()[8:]))) == MANY - 67


def test_more_than_the_kernel_is_asked_for(start, connect):
    """Protects the operator of very many consumers: all three tables are told,
    not 'limit, and only the kernel's figures end with the 1000th."""
    many = 1300
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    daemon = start({"connections": {"max": many + 20, "receive_buffer": "16K"},
                    "ring": {"size": "4M"}, "streams": {"ring": "4M", "max": 4},
                    "message": {"max": "1M"}})
    asker = connect(daemon)
    clients = [connect(daemon) for _ in range(many)]
    for client in clients:
        client.send(kdb.frame(".u.sub[`;`]", kdb.SYNC))
    for client in clients:
        client.read_response()
    rows = lag(asker)
    assert [row["kernelBytes"] == -(1 << 63) for row in rows] == [
        n >= 1000 for n in range(many)]
    assert not isinstance(asker.sync("(.u.w;.z.W)"), Error)


def test_answer_waits_for_a_buffer(start, connect, mode):
    """Protects the order of answers where a long message holds all buffers that an
    address may have: the table waits, others are answered, and no buffer is lost
    with a client that goes away."""
    daemon = start({"engine": {"mode": mode}, **WIDE, "ring": {"size": "32M"},
                    "streams": {"ring": "32M"}})
    clients = [connect(daemon) for _ in range(100)]
    for client in clients:
        client.subscribe()
    feed = connect(daemon)
    # who holds a buffer for nothing is cut after a second, and one more for each MiB
    whole = update("trade", trade(0, 200000), kdb.SYNC)
    feed.send(whole[:-1])
    askers = [connect(daemon) for _ in range(3)]
    waits = daemon.summary().number("buffer_waits")
    for asker in askers:
        asker.send(kdb.frame(TEXT, kdb.SYNC) + kdb.frame(".u.d", kdb.SYNC))
    daemon.wait_log("report", buffer_waits=str(waits + 3))
    askers[1].close()
    assert connect(daemon).sync(".u.d").type == 14
    feed.send(whole[-1:])
    assert kdb.decode(feed.read_response()[8:]) == NIL
    for asker in (askers[0], askers[2]):
        assert len(rows_of(kdb.decode(asker.read_response()[8:]))) == 100
        assert kdb.decode(asker.read_response()[8:]).type == 14
    for _ in range(5):
        assert len(lag(askers[0])) == 100


def test_longer_than_a_message(start, connect):
    """Protects from an answer that no client could take: a table that is longer
    than message.max is 'limit, and the connection stays."""
    tables = [{"name": "t%02d%s" % (n, "x" * 60), "columns": ["time timespan",
                                                             "sym symbol"]}
              for n in range(40)]
    daemon = start({"schema": {"tables": tables}, "message": {"max": "64K"}})
    asker = connect(daemon)
    clients = [connect(daemon) for _ in range(30)]
    for client in clients:
        client.subscribe()
    assert asker.sync(TEXT) == Error(b"limit")
    assert asker.sync("(.u.d;%s)" % TEXT) == Error(b"limit")
    for client in clients[10:]:
        client.close()
    daemon.wait_status(lambda status: status["consumers"] == "10")
    assert [len(row["tables"]) for row in lag(asker)] == [40] * 10


def test_who_asks_and_does_not_read(start, connect, mode):
    """Protects the buffers of message.buffers: a long answer that is not read holds
    one for message.timeout only, and feeds with long messages continue."""
    daemon = start({"engine": {"mode": mode},
                    "message": {"buffers": 2, "timeout": "300ms"},
                    "connections": {"send_buffer": "16K", "receive_buffer": "4096"}})
    for n in range(100):
        connect(daemon, user="subscriber%d" % n).subscribe()
    question = kdb.frame(kdb.text(".ringtick.lag[]"), kdb.SYNC)
    for n in range(2):
        connect(daemon, user="deaf%d" % n, receive_buffer=4096).send(question * 60)
    for n in range(2):
        line = daemon.wait_log("disconnect", user="deaf%d" % n)
        assert line["reason"] == "reply_timeout"
    assert connect(daemon).update("trade", trade(0, 400)) == NIL
