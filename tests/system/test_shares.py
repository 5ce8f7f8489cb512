"""Limits of an address and of a user: who is over one is refused, told where the
protocol can, and counted; everybody else notices nothing."""

import struct

import kdb
import misbehaviour
import pytest
from bystander import Bystander
from daemon import merged
from kdb import NIL, Error
from test_reload import reload
from traffic import trade, update

LONG = 12000  # rows, more than a receive buffer


@pytest.fixture
def plant(start, clients):
    """plant(settings) is a daemon with a bystander, who must not notice anything."""
    def begin(changes):
        daemon = start(merged(misbehaviour.SETTINGS, changes))
        bystander = Bystander(daemon)

        def end():
            stretch = bystander.stretch(20)
            bystander.close()
            assert stretch.failure is None, stretch
        clients.callback(end)
        return daemon
    return begin


def rights(*rows, **auth):
    return {"auth": {"rights": list(rows), **auth}}


def is_let_in(connect, daemon, user="user", **how):
    """The client, or None where it was refused."""
    try:
        return connect(daemon, user=user, **how)
    except (kdb.Closed, ConnectionError):
        return None


def test_connections_of_an_address(plant, connect):
    """Protects connections from one address that takes them all; a unix socket counts
    by uid, and a place that is given back is given out again."""
    limit = {"connections": {"max": 64, "per_address": 5}}
    daemon = plant(limit)
    inside = [connect(daemon, user="u%d" % i) for i in range(4)]
    silent = kdb.dial(daemon.port)  # counts before it says who it is
    assert is_let_in(connect, daemon) is None
    line = daemon.wait_log("disconnect", reason="over_address")
    assert "per_address" in line["why"]
    assert connect(daemon, source="127.0.0.3").sync("") == NIL
    by_unix = [connect(daemon, unix=True) for _ in range(5)]
    assert is_let_in(connect, daemon, unix=True) is None
    silent.close()
    daemon.wait_log("disconnect", reason="peer_closed")
    again = connect(daemon)
    assert daemon.summary().number("over_address") == 2
    # With a new limit those inside stay.
    reload(daemon, merged(misbehaviour.SETTINGS, merged(
        limit, {"listen": {"port": 0}, "connections": {"per_address": 6}})), result="ok")
    last = connect(daemon)
    assert is_let_in(connect, daemon) is None
    for one in (*inside, *by_unix, again, last):
        assert one.sync("") == NIL


def test_address_behind_a_terminator(plant, connect):
    """Protects the same where a TLS terminator tells the address."""
    daemon = plant({"listen": [{"address": "127.0.0.1", "port": 0},
                               {"address": "127.0.0.1", "port": 0, "proxy": True,
                                "unix_socket": False}],
                    "auth": {"open": True},
                    "connections": {"per_address": 2}})
    port = [line for line in daemon.logged("listening") if line["proxy"] == "yes"]
    port = port[0].number("port")

    def come(address):
        sock = kdb.dial(port)
        body = bytes(map(int, address.split("."))) + bytes(4) + struct.pack(">HH", 1, 2)
        sock.sendall(b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", len(body)) + body
                     + b"u:pw\x03\0")
        return sock, sock.recv(1)
    socks = []
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        sock, got = come(address)
        assert got == b"\x03", address
        socks.append(sock)
    sock, got = come("192.0.2.1")
    assert got == b""
    daemon.wait_log("disconnect", reason="over_address",
                    peer=lambda text: text.startswith("192.0.2.1:"))
    for one in (sock, *socks):
        one.close()


def test_connections_of_a_user(plant, connect):
    """Protects connections from one user at many addresses; each user of a role has a
    limit to itself, and one who may not come is not told from one who is wrong."""
    daemon = plant(rights({"user": "many", "connections": 3},
                          {"user": "one", "roles": "guest"},
                          {"user": "two", "roles": "guest"},
                          roles=[{"role": "guest", "connections": 1, "subscribe": "*"}]))
    inside = [connect(daemon, user="many", source="127.0.0.%d" % (i + 3))
              for i in range(3)]
    assert is_let_in(connect, daemon, "many") is None
    line = daemon.wait_log("disconnect", reason="over_user", user="many")
    assert "auth.rights" in line["why"]
    sock = kdb.dial(daemon.port)
    sock.sendall(b"many:pw\x03\0")
    assert kdb.drain(sock) == (b"", "fin")
    sock.close()
    guests = [connect(daemon, user=user) for user in ("one", "two")]
    for user in ("one", "two"):
        assert is_let_in(connect, daemon, user) is None
    inside.pop().close()
    daemon.wait_log("disconnect", reason="peer_closed", user="many")
    inside.append(connect(daemon, user="many"))
    for _ in range(20):
        guests[0].close()
        guests[0] = again(connect, daemon, "one")
    assert daemon.summary().number("over_user") >= 3
    for one in inside + guests:
        assert one.sync("") == NIL


def again(connect, daemon, user):
    """A client whose other connection was closed just now."""
    while True:
        made = is_let_in(connect, daemon, user)
        if made is not None:
            return made


def test_places_of_those_who_may_publish(plant, connect):
    """Protects feeds from subscribers that take all connections: the last eighth is
    for users who may publish, and those that say nothing take none of the places
    of subscribers."""
    daemon = plant({"connections": {"max": 32, "handshake_timeout": "1m"},
                    **rights({"user": "gui", "subscribe": "*"})})
    silent = [kdb.dial(daemon.port) for _ in range(24)]
    inside = []
    while len(inside) < 32 - 2 - 4:
        made = is_let_in(connect, daemon, "gui")
        if made is not None:
            inside.append(made)
    assert not daemon.logged("disconnect", reason="kept")
    for sock in silent:
        sock.close()
    assert is_let_in(connect, daemon, "gui") is None
    daemon.wait_log("disconnect", reason="kept", user="gui")
    feeds = [connect(daemon, user="feed") for _ in range(4)]
    assert feeds[3].update("trade", trade(0)) == NIL
    for one in inside:
        assert one.sync("") == NIL


def test_requests_a_second(plant, connect, mode):
    """Protects the thread from a user who asks in a loop, on however many connections,
    and with new ones: it is told; updates are no requests."""
    daemon = plant({"engine": {"mode": mode}, **rights({"user": "gui", "requests": 5})})
    gui, other, feed = (connect(daemon, user=user) for user in ("gui", "gui", "other"))
    told = [one.sync(".u.d") for one in (gui, other) * 10]
    assert all(reply != Error(b"requests") for reply in told[:5])
    assert told[-1] == Error(b"requests")
    assert 8 <= told.count(Error(b"requests")) <= 15
    gui.close()
    new = connect(daemon, user="gui")
    assert [new.sync(".u.d") for _ in range(5)].count(Error(b"requests")) >= 2
    for n in range(20):
        assert new.update("trade", trade(n, 1)) == NIL
    new.async_(kdb.text("1+1"))
    line = daemon.wait_log("request_failed", user="gui")
    assert line["error"] == "requests"
    for _ in range(20):
        assert feed.sync(".u.d") != Error(b"requests")
    while new.sync(".u.d") == Error(b"requests"):
        pass
    assert daemon.summary().number("over_requests") >= 10


def test_symbols_of_a_connection(plant, connect):
    """Protects streams.symbols from one subscriber: it is told, and keeps what it
    had."""
    daemon = plant(rights({"user": "gui", "symbols": 3}))
    gui, feed = connect(daemon, user="gui"), connect(daemon, user="feed")
    assert gui.sync(".u.sub[`trade;`A`B]") != Error(b"symbols")
    assert gui.sync(".u.sub[`trade;`A`B`C`D]") == Error(b"symbols")
    assert gui.sync(".u.add[`trade;`C`D]") == Error(b"symbols")
    assert gui.sync(".u.add[`trade;`B`C]") != Error(b"symbols")
    # of all tables together
    assert gui.sync(".u.sub[`quote;`A]") == Error(b"symbols")
    daemon.wait_log("request_failed", user="gui", error="symbols")
    assert feed.sync(".u.sub[`trade;`A`B`C`D]") != Error(b"symbols")
    assert daemon.summary().number("over_symbols") == 3
    rows = kdb.lst(kdb.vec("n", [0, 0]), kdb.syms("C", "D"), kdb.vec("f", [1.0] * 2),
                   kdb.vec("j", [1, 2]))
    assert feed.update("trade", rows) == NIL
    assert gui.read().items[2].columns.items[-1].values == [1]


def test_buffers_of_a_user(plant, connect):
    """Protects message.buffers from a user who may have one, and lets another have
    more than half."""
    daemon = plant({"message": {"buffers": 6},
                    **rights({"user": "gui", "buffers": 1},
                             {"user": "bulk", "buffers": 4})})
    long = update("trade", trade(0, LONG), kind=kdb.SYNC)
    first, second, other = (connect(daemon, user=user) for user in ("gui", "gui", "other"))
    first.send(long[:100000])
    daemon.summary()
    second.send(long)
    while daemon.summary().number("buffer_waits") < 1:
        pass
    assert other.ask(long) == NIL
    first.send(long[100000:])
    for one in (first, second):
        assert one.read_response()[8:] == b"\x65\0"
    bulk = [connect(daemon, user="bulk") for _ in range(4)]
    for one in bulk:
        one.send(long[:100000])
    assert daemon.summary().number("buffer_waits") == 1
    for one in bulk:
        one.send(long[100000:])
        assert one.read_response()[8:] == b"\x65\0"


def timers(port):
    """Of the TCP connections of this port: kind and time of the timer, in s."""
    found = []
    with open("/proc/net/tcp") as rows:
        for row in list(rows)[1:]:
            fields = row.split()
            if fields[1].endswith(":%04X" % port) and fields[3] == "01":
                kind, when = fields[5].split(":")
                found.append((int(kind, 16), int(when, 16) / 100))
    return found


def test_peers_that_are_gone(plant, connect):
    """Protects places from peers whose machine has gone without a word: the kernel
    asks those that are idle within a minute, and connections.tcp_user_timeout ends one
    to which nothing can be delivered."""
    daemon = plant({"connections": {"tcp_user_timeout": "300ms"},
                    "slow": {"policy": "skip"}})
    idle = connect(daemon, user="idle")
    assert any(kind == 2 and 50 < when <= 60 for kind, when in timers(daemon.port))
    deaf = connect(daemon, user="deaf", receive_buffer=4096)
    deaf.subscribe()
    feed = connect(daemon, user="feed")
    for n in range(20):
        assert feed.update("trade", trade(n * LONG, LONG)) == NIL
    line = daemon.wait_log("disconnect", user="deaf")
    assert line["reason"] == "peer_reset" and "timed out" in line["why"]
    assert idle.sync("") == NIL
