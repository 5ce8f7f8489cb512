"""The end: SIGTERM drains what is in flight and exits 0."""

import signal
import socket
import time

import kdb
from kdb import NIL
from test_budget import ASYNC_DEAR
from traffic import Account, Flood, Reader, Template, published, trade, update


def test_stop_drains(start, connect, mode):
    """Protects the last updates of the day: what was accepted before SIGTERM
    reaches every subscriber that reads, whole, then FIN, then exit status 0."""
    daemon = start({"ring": {"size": "4M"}, "connections": {"send_buffer": "256K"},
                    "engine": {"mode": mode}})
    feed = connect(daemon)
    subs = [connect(daemon, receive_buffer=65536) for _ in range(3)]
    for sub in subs:
        sub.subscribe()
    template = Template(400, kind=kdb.SYNC)
    for n in range(100):
        assert feed.ask_raw(template.make(n * 400))[8:] == b"\x65\0"
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("stopping")
    readers = [Reader(sub, Account(400)) for sub in subs]
    for reader in readers:
        reader.finish()
        assert reader.ended == "fin" and reader.client.reader.torn == 0
        assert reader.on_frame.received == 100 and reader.on_frame.gaps == []
    daemon.stop()
    assert "STOPPING=1" in daemon.notes


def test_stop_reads_what_has_arrived(start, connect, mode):
    """Protects the last updates of a feed that does not wait for answers: what
    the kernel had received when the signal came is accepted and published."""
    daemon = start({"engine": {"mode": mode}, "connections": {"receive_buffer": "4K"},
                    "ring": {"size": "4M"}})
    feed, sub = connect(daemon, user="feed"), connect(daemon)
    sub.subscribe()
    template = Template(10)
    daemon.pause()
    for n in range(300):
        feed.send(template.make(n * 10))
    daemon.signal(signal.SIGTERM)
    daemon.resume()
    reader = Reader(sub, Account(10))
    reader.finish()
    assert reader.ended == "fin" and reader.on_frame.received == 300
    daemon.stop()
    assert not daemon.logged("unread")


def test_stop_gives_every_update_its_turn(start, connect):
    """Protects who is served last: an update that waits for its turn after dear
    requests when the signal comes is accepted."""
    daemon = start()
    feed = connect(daemon)
    daemon.pause()
    feed.send(ASYNC_DEAR * 20 + update("trade", trade(1)))
    daemon.signal(signal.SIGTERM)
    daemon.resume()
    assert kdb.drain(feed.sock) == (b"", "fin")
    daemon.stop()
    assert daemon.wait_log("stop")["in_records"] == "1"
    assert not daemon.logged("stop_cut") and not daemon.logged("unread")


def test_stop_ends_no_answer(start, connect):
    """Protects who has asked before the signal, and reads slowly: the answer arrives
    whole."""
    daemon = start({"connections": {"send_buffer": "16K"}, "ring": {"size": "4M"},
                    "streams": {"ring": "4M"}, "message": {"max": "1M"}})
    asker = connect(daemon, receive_buffer=4096)
    asker.send(kdb.frame(kdb.text('"%s"' % ("a" * 400000)), kdb.SYNC))
    assert asker.sock.recv(1, socket.MSG_PEEK)
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("stopping")
    assert len(asker.read_response()) == 8 + 6 + 400000
    assert kdb.drain(asker.sock) == (b"", "fin")
    daemon.stop()
    assert not daemon.logged("stop_cut")


def test_stop_says_what_was_left(start, connect, mode):
    """Protects a feed's owner who has to send again: for each feed, the log says
    what had arrived and was not accepted, to the byte, also what was being received
    at the end."""
    for _ in range(5):
        daemon = start({"stop": {"timeout": 0}, "engine": {"mode": mode},
                        "connections": {"receive_buffer": "4K"}})
        feed = connect(daemon, user="feed")
        daemon.pause()
        one = Template(10).make(0)
        feed.send(one * 150)  # fits into any window
        daemon.signal(signal.SIGTERM)
        daemon.resume()
        line = daemon.wait_log("unread", user="feed", peer=feed.name)
        taken = daemon.wait_log("stop").number("in_records") * len(one)
        assert line.number("unread_bytes") == 150 * len(one) - taken > 10000
        daemon.stop()


def test_stop_under_load(start, connect, mode):
    """Protects frames from being torn by the end: a publisher at full speed is
    cut somewhere, the subscriber has a whole prefix of what it sent."""
    daemon = start({"engine": {"mode": mode}, "slow": {"policy": "block"}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()
    reader = Reader(sub, Account(100))
    flood = Flood(feed, Template(100))
    while reader.on_frame.received < 500:
        reader.join(0.02)
        assert not reader.ended, reader.failure
    daemon.signal(signal.SIGTERM)
    reader.finish()
    assert reader.ended == "fin" and reader.client.reader.torn == 0
    assert reader.on_frame.gaps == [] and reader.on_frame.received >= 500
    daemon.stop()
    assert not daemon.logged("stop_cut")
    flood._halt.set()
    flood.join(10)
    assert not flood.is_alive()


def test_stop_does_not_wait_for_ever(start, connect, mode):
    """Protects a restart from one dead subscriber: after stop.timeout the
    connections are cut, and it is still exit status 0; a second signal changes
    nothing."""
    daemon = start({"stop": {"timeout": "700ms"}, "ring": {"size": "2M"},
                    "connections": {"send_buffer": "16K"},
                    "engine": {"mode": mode}})
    lazy, feed = connect(daemon, receive_buffer=4096), connect(daemon)
    lazy.subscribe()
    template = Template(400, kind=kdb.SYNC)
    for n in range(60):
        assert feed.ask_raw(template.make(n * 400))[8:] == b"\x65\0"
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("stopping")
    while daemon.process.poll() is None and time.monotonic() - began < 5:
        daemon.signal(signal.SIGTERM)
        time.sleep(0.1)
    daemon.stop()
    assert 0.5 < time.monotonic() - began < 5
    assert len(daemon.logged("stopping")) == 1


def test_stop_when_idle_is_immediate(start, connect, mode):
    """Protects `systemctl restart`: nothing in flight, nothing to wait for."""
    daemon = start({"stop": {"timeout": "1h"}, "engine": {"mode": mode}})
    clients = [connect(daemon) for _ in range(5)]
    clients[0].subscribe()
    assert clients[1].update("trade", trade(1)) == NIL
    assert clients[0].read_frame() == published("trade", trade(1).items)
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 20
    for one in clients:
        assert kdb.drain(one.sock)[0] == b""


def test_interrupt_is_a_stop_too(start, connect):
    """Protects people who run it on a terminal: Ctrl-C ends it as well."""
    daemon = start()
    connect(daemon)
    daemon.signal(signal.SIGINT)
    daemon.stop()


def test_no_newcomers_while_stopping(start, connect):
    """Protects the drain from new work: a client that comes now is not let in."""
    daemon = start({"stop": {"timeout": "2s"}, "ring": {"size": "2M"},
                    "connections": {"send_buffer": "16K"}})
    lazy, feed = connect(daemon, receive_buffer=4096), connect(daemon)
    lazy.subscribe()
    template = Template(400, kind=kdb.SYNC)
    for n in range(60):
        feed.ask_raw(template.make(n * 400))
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("stopping")
    try:
        late = kdb.Client(daemon.port, timeout=5)
    except (kdb.Closed, OSError):
        late = None
    assert late is None
    daemon.stop()
