"""Every limit: what happens at it, and that it is over when it is over."""

import resource
import socket
import threading
import time

import journal
import kdb
import pytest
from kdb import NIL, Error
from traffic import Template, published, trade, update


def attempt(daemon):
    """A client, or None if it was turned away."""
    try:
        return kdb.Client(daemon.port)
    except (kdb.Closed, ConnectionError):
        return None


def test_connections_max(start, connect, mode):
    """Protects the daemon's arithmetic: connections.max fit, one more is turned
    away with a log line, those inside do not notice, and a place that is given
    back is given out again."""
    daemon = start({"connections": {"max": 4}, "engine": {"mode": mode}})
    inside = [connect(daemon) for _ in range(4)]
    for _ in range(3):
        assert attempt(daemon) is None
    daemon.wait_log("turned_away", reason="full")
    for one in inside:
        assert one.sync("") == NIL
    inside[2].close()
    daemon.wait_log("disconnect", peer=inside[2].name)
    assert connect(daemon).sync("") == NIL
    assert attempt(daemon) is None


def test_a_place_is_kept_for_a_feed(start, connect):
    """Protects the feeds from a client that takes all connections: a place is
    kept for each user and address that has published and is gone; as long as
    it is there, or if nobody has published, all places are for all."""
    daemon = start({"connections": {"max": 16}})
    def fill(user, n):
        made = []
        for _ in range(n):
            try:
                made.append(connect(daemon, user=user))
            except (kdb.Closed, ConnectionError):
                break
        return made
    hogs = fill("hog", 20)
    assert len(hogs) == 16
    hogs.pop().close()
    daemon.wait_log("disconnect", user="hog")
    feed = connect(daemon, user="feed")
    assert feed.update("trade", trade(1)) == NIL
    hogs.pop().close()
    daemon.wait_log("disconnect", after=daemon.index(daemon.wait_log(
        "disconnect", user="hog")) + 1, user="hog")
    assert len(fill("hog", 3)) == 1
    feed.close()
    daemon.wait_log("disconnect", user="feed")
    assert fill("hog", 1) == []
    daemon.wait_log("disconnect", reason="kept", user="hog")
    back = connect(daemon, user="feed")
    assert back.update("trade", trade(1)) == NIL


def test_full_of_silent_ones_frees_itself(start, connect):
    """Protects against a flood of half-open connections: the handshake's limit
    makes room again."""
    daemon = start({"connections": {"max": 4, "handshake_timeout": "500ms"}})
    silent = [kdb.dial(daemon.port) for _ in range(4)]
    for sock in silent:
        assert kdb.drain(sock) == (b"", "fin")
        sock.close()
    assert connect(daemon).sync("") == NIL


def test_silent_ones_make_place(start, connect, clients, mode):
    """Protects newcomers from a client that takes all connections, says nothing,
    and comes again when its time is over: the silent ones make place for them, and
    who said who it is stays."""
    daemon = start({"connections": {"max": 32, "handshake_timeout": "1m"},
                    "engine": {"mode": mode}})
    inside = [connect(daemon) for _ in range(3)]
    for _ in range(40):
        clients.callback(kdb.dial(daemon.port).close)
    limit = time.monotonic() + 10
    while len(inside) < 12:
        clients.callback(kdb.dial(daemon.port).close)
        try:
            inside.append(connect(daemon))
        except (kdb.Closed, ConnectionError):
            assert time.monotonic() < limit, "nobody is let in"
    daemon.wait_log("disconnect", reason="handshake_timeout",
                    why=lambda text: "wanted its place" in text)
    for one in inside:
        assert one.sync("") == NIL
    assert not daemon.logged("disconnect", user="user")


def test_refused_ones_make_place(start, connect, clients, mode):
    """Protects newcomers from clients that are refused, stay until they are cut off, and
    come again: they make place at once, so that the others are let in."""
    daemon = start({"connections": {"max": 32}, "engine": {"mode": mode}})

    def talk_nonsense():
        sock = kdb.dial(daemon.port)
        clients.callback(sock.close)
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return sock
    assert [kdb.drain(talk_nonsense()) for _ in range(32)][-1] == (b"", "fin")
    inside = []
    for _ in range(100):
        talk_nonsense()
        try:
            inside.append(connect(daemon))
        except (kdb.Closed, ConnectionError):
            pass
        if len(inside) == 9:
            break
    assert len(inside) == 9
    for one in inside:
        assert one.sync("") == NIL


def few_descriptors(n):
    """For preexec: n descriptors, and no way to raise the limit."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))


def test_descriptors_run_out(start, connect, mode):
    """Protects the CPU and the rest of the service when descriptors run out
    before connections.max is reached: accepting does not spin, those inside
    are served, and when descriptors are free again newcomers are let in."""
    daemon = start({"connections": {"max": 40}, "engine": {"mode": mode}},
                   preexec=few_descriptors(40))
    inside, subscriber = connect(daemon), connect(daemon)
    subscriber.subscribe()
    outside = [kdb.dial(daemon.port) for _ in range(60)]
    daemon.wait_log("accept_failed")
    assert inside.sync("") == NIL
    # How much it spins: nothing happens now, and it must cost nothing.
    # (SQPOLL's own thread looks for work for 20 ms after each piece.)
    spent = daemon.cpu_seconds()
    threading.Event().wait(1.5)
    spent = daemon.cpu_seconds() - spent
    assert spent < 0.4, "%.2f s of CPU in 1.5 s" % spent
    assert inside.update("trade", trade(1)) == NIL
    assert subscriber.read_frame() == published("trade", trade(1).items)
    assert daemon.summary().number("turned_away") >= 1
    for sock in outside:
        sock.close()
    # Those that waited in the backlog come in first, and go again.
    limit = time.monotonic() + 10
    inside = 0
    while inside < 20:
        assert time.monotonic() < limit, "newcomers are still turned away"
        try:
            assert connect(daemon).sync("") == NIL
            inside += 1
        except ConnectionError:
            pass


def test_descriptors_for_the_journal(start, connect, tmp_path, mode):
    """Protects the end of the day: however many idle clients there are under a
    low limit of descriptors, the journal gets the next day's file; at the latest
    when those who came beyond the limit have been turned away."""
    daemon = start(journal.settings(tmp_path, {
        "connections": {"max": 60}, "engine": {"mode": mode}}),
        preexec=few_descriptors(60))
    assert 10 < daemon.wait_log("few_connections").number("connections") < 60
    feed = connect(daemon)
    idle = [kdb.dial(daemon.port) for _ in range(120)]
    assert feed.update("trade", trade(1)) == NIL
    day = feed.sync(".u.d").value
    feed.async_(kdb.text(".u.endofday[]"))
    assert feed.update("trade", trade(2)) == NIL
    assert journal.count_and_path(feed) == (1, journal.path_of(tmp_path, day + 1))
    for sock in idle:
        sock.close()


def test_started_with_few_descriptors(start):
    """Protects operators with a low RLIMIT_NOFILE: if it is too low for
    connections.max, the daemon says so and how to raise it, and does not start."""
    daemon = start({"connections": {"max": 64}}, preexec=few_descriptors(24),
                   wait=False)
    assert daemon.process.wait(20) == 75
    daemon.stop(status=75)
    said = [line.text for line in daemon.lines if line.level == 3]
    assert len(said) == 1 and "ulimit -n" in said[0] and "LimitNOFILE" in said[0]


def header(length, kind=kdb.ASYNC):
    return bytes([1, kind, 0, 0]) + length.to_bytes(4, "little")


@pytest.mark.parametrize("kind", [kdb.ASYNC, kdb.SYNC])
def test_message_too_long(start, connect, kind):
    """Protects memory: a message that says it is longer than message.max ends
    its connection at its header, before any of it is taken."""
    daemon = start({"message": {"max": "64K"}})
    other = connect(daemon)
    for length in (65536 + 1, 65536 + 4096, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFF):
        mark = daemon.mark()
        client = connect(daemon)
        client.send(header(length, kind))
        got, how = kdb.drain(client.sock)
        assert how == "fin", length
        daemon.wait_log("disconnect", after=mark, reason="too_long")
        assert got == b"" or isinstance(kdb.decode(got[8:]), Error)
        client.close()
    assert other.sync("") == NIL


def test_long_message_must_arrive_in_time(start, connect):
    """Protects the few buffers for long messages: who began one and does not go
    on loses its connection; who merely waits for a buffer gets it then."""
    daemon = start({"message": {"max": "64K", "buffers": 2, "timeout": "700ms"},
                    "connections": {"receive_buffer": 4096}})
    data = update("trade", trade(0, 1500), kdb.SYNC)
    stuck = [connect(daemon) for _ in range(2)]
    for one in stuck:
        one.send(data[:20000])
    waiting = [connect(daemon) for _ in range(4)]
    for one in waiting:
        one.send(data)
    for one in waiting:
        assert one.read_response()[8:] == b"\x65\0"
    for one in stuck:
        assert kdb.drain(one.sock) == (b"", "fin")
    daemon.summary()  # the log has been read up to here
    assert len(daemon.logged("disconnect", reason="message_timeout")) == 2


def test_many_long_messages_share_the_buffers(start, connect, mode):
    """Protects fairness: with 12 feeds of long messages and two buffers for
    them, each gets its turn and nothing is lost or torn."""
    daemon = start({"message": {"max": "64K", "buffers": 2},
                    "connections": {"receive_buffer": 4096},
                    "slow": {"policy": "block"}, "engine": {"mode": mode}})
    sub = connect(daemon)
    sub.subscribe()
    feeds = [connect(daemon) for _ in range(12)]
    each, rows = 20, 1000

    def publish(i):
        template = Template(rows, kind=kdb.SYNC)
        for n in range(each):
            data = template.make((i * each + n) * rows)
            feeds[i].send(data[:9000])
            feeds[i].send(data[9000:])
        for n in range(each):
            assert feeds[i].read_response()[8:] == b"\x65\0"
    threads = [threading.Thread(target=publish, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    seen = set()
    for _ in range(12 * each):
        got = sub.read_frame()
        first = int.from_bytes(got[-8 * rows :][:8], "little")
        assert got == published("trade", trade(first, rows).items)
        seen.add(first // rows)
    assert seen == set(range(12 * each))
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_memory_does_not_follow_claims(start, connect):
    """Protects memory from headers that promise much: 60 connections that each
    announce the longest message cost no more than their buffers."""
    daemon = start({"ring": {"size": "64M"}, "connections": {"max": 64},
                    "streams": {"max": 0}})
    first = connect(daemon)
    first.sync("")
    before = daemon.memory("RssAnon")
    clients = [connect(daemon) for _ in range(60)]
    for one in clients:
        one.send(header(16 << 20) + b"\0" * 100)
    assert first.sync("") == NIL
    # receive_buffer (64K) of each, once touched, and the pooled ones' first page
    assert daemon.memory("RssAnon") - before < 60 * (64 << 10) + (2 << 20)


def test_half_closed_client(start, connect):
    """Protects one-shot scripts that send and close their side at once: what
    they sent whole is done."""
    daemon = start()
    sub = connect(daemon)
    sub.subscribe()
    feed = connect(daemon)
    feed.send(update("trade", trade(1)) + update("trade", trade(2)))
    feed.sock.shutdown(socket.SHUT_WR)
    assert kdb.drain(feed.sock) == (b"", "fin")
    for n in (1, 2):
        assert sub.read_frame() == published("trade", trade(n).items)
