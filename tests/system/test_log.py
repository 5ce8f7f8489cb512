"""The log: every line in the agreed form, every counter true."""

import errno
import fcntl
import os
import re
import signal
import socket

import journal
import kdb
import pytest
from daemon import F_SETPIPE_SZ
from kdb import NIL, Error
from test_commands import without_call
from traffic import Account, Flood, Reader, Template, published, quote, trade

CONSUMER_KEYS = ["event", "consumer", "user", "peer", "tls", "certificate",
                 "tables", "state", "policy", "lag_bytes", "lag_records", "lag_ms",
                 "ring_pct", "kernel_bytes", "sent_bytes", "high_bytes", "skips", "skipped"]
REPORT_KEYS = {"event", "in_records", "in_rows", "in_bytes", "out_bytes", "rejected",
               "ring_pct", "consumers", "slow", "feeds", "connections"}
LINE = re.compile(r'<[3-6]>event=\w+( [\w.]+=("[^"]*"|[^\s"=]\S*))*')


def test_lines_have_one_form(start, connect):
    """Protects programs that parse the log: each line is a priority and logfmt,
    with event= first; the start says what will be used."""
    daemon = start()
    client = connect(daemon)
    client.subscribe()
    client.sync("foo")
    client.update("trade", kdb.lst(kdb.NIL))
    bad = connect(daemon)
    bad.send(b"\2" * 20)
    kdb.drain(bad.sock)
    daemon.consumers()
    for event in ("start", "memory", "selftest", "listening", "ready", "connect",
                  "subscribe", "disconnect", "consumer", "report"):
        daemon.wait_log(event)
    for line in daemon.lines:
        assert LINE.fullmatch(line.text), line.text
    assert daemon.wait_log("selftest")["result"] == "ok"
    assert daemon.wait_log("listening").number("port") == daemon.port
    events = [line["event"] for line in daemon.lines]
    assert events.index("selftest") < events.index("listening") < events.index("ready")


def test_subscribe_line(start, connect):
    """Protects the operator's view: who subscribed to what."""
    daemon = start()
    client = connect(daemon, user="rdb")
    client.subscribe("trade")
    line = daemon.wait_log("subscribe", user="rdb", peer=client.name, tables="trade")
    client.subscribe("quote")
    daemon.wait_log("subscribe", after=daemon.index(line) + 1, user="rdb",
                    tables="quote,trade")


def test_signal_prints_all_consumers(start, connect):
    """Protects SIGUSR1: each consumer once, with all its fields; those who are
    not subscribed are none."""
    daemon = start()
    subs = [connect(daemon, user="sub%d" % i) for i in range(5)]
    feed = connect(daemon, user="feed")
    for i, sub in enumerate(subs):
        sub.subscribe("trade" if i % 2 else "")
    feed.update("trade", trade(1))
    for sub in subs:
        sub.read_frame()
    consumers, summary = daemon.consumers(), daemon.summary()
    assert sorted(line["user"] for line in consumers) == [
        "sub%d" % i for i in range(5)]
    for line in consumers:
        assert [key for key in line if key in CONSUMER_KEYS] == CONSUMER_KEYS
        assert line["state"] == "live" and line["policy"] == "disconnect"
        assert line.number("lag_bytes") == 0 and line.number("lag_records") == 0
    assert REPORT_KEYS <= set(summary)
    assert summary.number("consumers") == 5 and summary.number("connections") == 6
    assert summary.number("slow") == 0


def test_counters_are_true(start, connect, mode):
    """Protects the numbers: records, rows and bytes in and out, refused updates,
    requests and errors are exactly what the clients did and received."""
    daemon = start({"engine": {"mode": mode}})
    feed, everything, some = (connect(daemon) for _ in range(3))
    everything.subscribe()
    some.subscribe("quote")
    received = {everything: 0, some: 0}
    in_bytes = rows = 0
    for n in range(50):
        for name, x in (("trade", trade(n, 1 + n)), ("quote", quote(n, 2))):
            assert feed.update(name, x) == NIL
            frame = published(name, x.items)
            in_bytes, rows = in_bytes + len(frame), rows + len(x.items[0])
            for sub in (everything, some):
                if sub is everything or name == "quote":
                    assert sub.read_frame() == frame
                    received[sub] += len(frame)
    for _ in range(3):
        assert isinstance(feed.update("trade", kdb.lst()), Error)
        assert isinstance(feed.update("nothing", trade(1)), Error)
    assert isinstance(feed.sync("foo"), Error)
    bad = connect(daemon)
    bad.send(b"\1\0\0\0\x0a\0\0\0\x70\0")
    kdb.drain(bad.sock)
    daemon.wait_log("disconnect", reason="bad_frame")
    consumers, summary = daemon.consumers(), daemon.summary()
    assert summary.number("in_records") == 100
    assert summary.number("in_rows") == rows
    assert summary.number("in_bytes") == in_bytes
    assert summary.number("rejected") == 6
    assert summary.number("bad_frames") == 1
    assert summary.number("request_errors") == 1
    assert summary.number("connects") == 4 and summary.number("disconnects") == 1
    for sub in (everything, some):
        line = [one for one in consumers if one["peer"] == sub.name][0]
        assert line.number("lag_bytes") == 0
        # what it was sent besides the stream: its answers
        assert 0 <= line.number("sent_bytes") - received[sub] < 1000
    assert summary.number("out_bytes") >= sum(received.values())


def test_report_interval(start, connect):
    """Protects log.report: the summary comes by itself, and with it the
    counters of those who are slow, and only of those."""
    daemon = start({"log": {"report": "200ms"}, "ring": {"size": "4M"},
                    "connections": {"send_buffer": "256K"},
                    "slow": {"policy": "block", "block_limit": "30s"}})
    feed = connect(daemon, user="feed")
    lazy = connect(daemon, user="lazy", receive_buffer=65536)
    lazy.subscribe()
    fast = connect(daemon, user="fast")
    fast.subscribe()
    first = daemon.wait_log("report")
    daemon.wait_log("report", after=daemon.index(first) + 1)
    assert not daemon.logged("consumer")
    template, account = Template(400), Account(400, last=799)
    # most of the way to the mark in step with the fast one: it is never so far
    # behind, whenever it gets a CPU
    for n in range(240):
        feed.send(template.make(n * 400))
        account(fast.read_frame())
    reader = Reader(fast, account)
    flood = Flood(feed, template, limit=800, first=240)
    slow = daemon.wait_log("consumer", user="lazy", state=lambda s: s != "live")
    assert slow.number("lag_bytes") > 1 << 20 and slow.number("ring_pct") >= 75
    assert slow.number("lag_records") > 50
    mark = daemon.index(slow) + 1
    again = daemon.wait_log("consumer", after=mark, user="lazy")
    assert again.number("lag_ms") >= slow.number("lag_ms")
    assert daemon.wait_log("report", after=mark).number("slow") == 1
    assert not daemon.logged("consumer", user="fast")
    other = Reader(lazy, Account(400, last=799))
    flood.finish()
    reader.finish()
    other.finish()
    back = daemon.wait_log("consumer", after=mark, user="lazy", state="live")
    assert back.number("high_bytes") > 1 << 20
    daemon.wait_log("report", after=daemon.index(back) + 1, slow="0")


def test_only_the_slowest_are_named(start, connect, folder):
    """Protects the log from thousands of slow consumers: a limited number of lines,
    and of the others their number and total lag."""
    daemon = start(journal.settings(folder, {
        "log": {"report": "100ms", "report_consumers": 1},
        "connections": {"send_buffer": "16K"}}))
    feed, template = connect(daemon), Template(400, kind=kdb.SYNC)
    for user in ("one", "two", "three"):
        connect(daemon, user=user, receive_buffer=4096).subscribe()
    for n in range(150):
        feed.ask_raw(template.make(n * 400))
    daemon.wait_log("report", slow="3")
    mark = daemon.mark()
    others = daemon.wait_log("more_slow_consumers", after=mark, consumers="2")
    named = daemon.lines[daemon.index(others) - 1]
    assert named["event"] == "consumer"
    lag = others.number("lag_bytes")
    assert 0 < lag <= 2 * named.number("lag_bytes")


def test_refused_updates_do_not_flood_the_log(start, connect):
    """Protects the disk from a feed that is wrong all the time: the log is
    rate-limited, the counter is not."""
    daemon = start()
    feed = connect(daemon)
    for _ in range(5000):
        feed.async_(kdb.lst(kdb.sym(".u.upd"), kdb.sym("trade"), kdb.lst()))
    feed.expect_silence()
    summary = daemon.summary()
    assert summary.number("rejected") == 5000
    told = daemon.logged("rejected")
    assert 1 <= len(told) < 20 and len(daemon.lines) < 60
    assert all("length" in line["error"] for line in told)


def test_a_loop_does_not_flood_the_log(start, connect):
    """Protects the disk from a scanner and from a client that connects in a
    loop: a limited number of lines, then a sum; the lines of others are there, and
    so is the end of each logged connection."""
    daemon = start({"connections": {"max": 64}})
    for _ in range(300):
        kdb.Client(daemon.port, creds=b"looper:pw\x03").close()
        with socket.create_connection(("127.0.0.1", daemon.port)) as scanner:
            scanner.sendall(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03")
            kdb.drain(scanner)
    connect(daemon, user="rdb")
    daemon.wait_log("connect", user="rdb")

    def all_told(event, **fields):
        written = daemon.logged(event, **fields)
        fields = {"reason": fields.get("reason", "-"), "user": fields.get("user", "-"),
                  "address": "127.0.0.1"}
        # two kinds of line can share a sum, which says so
        sums = [line for line in daemon.logged("lines_held", of=event)
                if line["others"] == "yes" or line.matches("lines_held", fields)]
        many = len(written) + sum(line.number("lines") for line in sums)
        return written if many >= 300 else None
    told = daemon._await(lambda: all_told("connect", user="looper"), 20, "a sum")
    daemon._await(lambda: all_told("disconnect", reason="http"), 20, "a sum")
    assert 64 <= len(told) < 150
    gone = {line["peer"] for line in daemon.logged("disconnect", user="looper")}
    assert {line["peer"] for line in told} <= gone
    assert daemon.summary().number("lines_held") > 300


def test_many_addresses_do_not_flood_the_log(start, connect):
    """Protects the disk from a scanner that has many addresses: a limited number of
    lines of each kind in all, then a sum with the number of addresses.  It does not
    hide who publishes."""
    daemon = start({"connections": {"max": 64}})
    with connect(daemon, user="feed") as feed:
        feed.update("trade", trade(1))
    addresses = ["127.%d.%d.7" % (1 + n // 200, 1 + n % 200) for n in range(1200)]
    for address in addresses:
        kdb.Client(daemon.port, creds=b"looper:pw\x03", source=address).close()
    mark = daemon.mark()
    connect(daemon, user="feed")
    daemon.wait_log("connect", after=mark, user="feed")

    def told():
        sums = daemon.logged("lines_held", of="connect")
        written = daemon.logged("connect", user="looper")
        held = sum(line.number("lines") for line in sums)
        return (sums, len(written)) if len(written) + held >= 1200 else None
    sums, written = daemon._await(told, 20, "a sum")
    assert 64 <= written < 800 and len(sums) < 10
    many = sum(line.number("addresses") for line in sums)
    assert 0.9 < many / (1200 - written) < 1.1
    assert all(line["others"] == "yes" for line in sums)


def made_by_another_user():
    """How to start a daemon whose stderr is a pipe that it may not open again,
    as a pipe of another user is."""
    powers = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    return {"wrap": powers if os.geteuid() == 0 else [],
            "preexec": lambda: os.fchmod(2, 0)}


def of_an_old_kernel():
    """The same where a write that does not wait is not known of pipes: before 6.4."""
    how = made_by_another_user()
    pwritev2 = {"x86_64": 328}.get(os.uname().machine, 287)

    def preexec():
        os.fchmod(2, 0)
        without_call(pwritev2, errno.EOPNOTSUPP)()
    return dict(how, preexec=preexec)


@pytest.mark.parametrize("how", [dict, made_by_another_user, of_an_old_kernel])
def test_the_log_never_blocks(start, connect, how):
    """Protects the one thread from a reader of the log that hangs: lines are lost,
    not time, and afterwards the log says how many."""
    daemon = start(**how())
    fcntl.fcntl(daemon.process.stderr, F_SETPIPE_SZ, 4096)
    client = connect(daemon)
    daemon.log_is_read.clear()
    for _ in range(60):
        daemon.signal(signal.SIGUSR1)
        kdb.Client(daemon.port).close()
    assert client.sync("") == NIL
    daemon.log_is_read.set()
    found = daemon._await(
        lambda: next((line for line in daemon.lines if "log_lines_lost" in line), None),
        20, "log_lines_lost")
    assert 0 < found.number("log_lines_lost") < 700
    client.close()
    daemon.wait_log("report", after=daemon.mark(), connections="0")


def test_status_has_counts(start, connect):
    """Protects `systemctl status`: the port first, then how many consumers and
    feeds there are."""
    daemon = start({"log": {"report": "100ms"}})
    assert list(daemon.status)[0] == "port"
    assert daemon.status["consumers"] == "0" and daemon.status["feeds"] == "0"
    sub, feed = connect(daemon), connect(daemon)
    sub.subscribe()
    feed.update("trade", trade(1))
    daemon.wait_status(lambda s: s["consumers"] == "1" and s["feeds"] == "1")
    assert daemon.status.number("port") == daemon.port
