"""TLS in front: hitch and haproxy as doc/tls.md sets them up, with real certificates."""

import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile

import kdb
import pytest
from daemon import MODES, QUOTE, TRADE
from kdb import NIL, Error
from terminator import HOST, Authority, Terminator, find, vanish
from test_node import modules, script  # noqa: F401  a fixture
from test_proxy import header, tls
from traffic import published, trade, update

ROLES = [{"role": "feed", "publish": "*"}, {"role": "rdb", "subscribe": "*", "ask": True}]
RIGHTS = [{"user": "feed", "roles": "feed"}, {"user": "rdb", "roles": "rdb"}]
KINDS = ["hitch", "haproxy"]
# each terminator in one mode of the engine
IN_MODE = [(kind, MODES[i % len(MODES)]) for i, kind in enumerate(KINDS)]
LONG = 1500  # rows: 42 KB, more than a record of TLS and a buffer of haproxy


def there(program):
    try:
        find(program)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def authority():
    """In a folder that a terminator reaches, which may run as nobody."""
    there("openssl")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o755)
        yield Authority(folder)


@pytest.fixture
def terminator(authority, clients):
    """terminator(kind, daemon, ...) runs one in front of the daemon's socket file."""
    def start_one(kind, verify="none"):
        there(kind)
        one = Terminator(kind, authority, authority.sign(HOST), authority.path("tls"), verify)
        clients.callback(one.kill)
        return one
    return start_one


@pytest.fixture
def behind(start, authority):
    """behind(...) is a daemon with a port of its own, and the socket file."""
    def start_one(mode="direct", auth=None, **changes):
        return start({
            "engine": {"mode": mode}, "schema": {"tables": [TRADE, QUOTE]},
            "listen": [{"port": 0}, {"address": "", "unix_path": str(authority.path("tls")),
                                     "unix_mode": "0666", "proxy": True}],
            "auth": {"roles": ROLES, "rights": RIGHTS, "role": "none", **(auth or {})},
            **changes})
    return start_one


@pytest.fixture
def passwords(tmp_path):
    users = tmp_path / "users"
    users.write_text("feed:secret\nrdb:secret\nnode:secret\n")
    users.chmod(0o600)
    return {"users": str(users)}


@pytest.fixture
def shake(clients):
    """shake(terminator, context, user) is a client through TLS, closed after the test."""
    def shake_one(one, context, user, password="secret"):
        client = one.client(context, user, password)
        clients.callback(client.close)
        return client
    return shake_one


# By an alert, or by an end that overtakes it: then the client's bytes meet a closed socket.
REFUSED = (ssl.SSLError, ConnectionError)


def refusal(one, context, data=b"x:y\x03\0"):
    """What comes for these bytes through TLS: an end, or an alert of TLS."""
    try:
        with one.dial(context) as sock:
            sock.sendall(data)
            return sock.recv(16)
    except (ssl.SSLError, ConnectionError) as error:
        return type(error)


@pytest.mark.parametrize("kind, mode", IN_MODE)
def test_passwords_through_tls(behind, terminator, authority, passwords, shake, connect, kind,
                               mode):
    """Protects what TLS carries: login, subscription and updates, long ones too, arrive
    byte for byte; the log and the lag table know address and version of the client."""
    daemon = behind(mode, passwords)
    one = terminator(kind)
    trusting = authority.client()
    rdb = shake(one, trusting, "rdb")
    feed = shake(one, authority.client(version=ssl.TLSVersion.TLSv1_2), "feed")
    for client, user, version in ((rdb, "rdb", "TLSv1.3"), (feed, "feed", "TLSv1.2")):
        line = daemon.wait_log("connect", user=user)
        assert (line["peer"], line["tls"]) == (client.name, version)
        assert line["certificate"] == "-"
    rdb.subscribe("trade")
    for first, rows in ((0, 1), (1, LONG), (1 + LONG, 3)):
        assert feed.update("trade", trade(first, rows)) == NIL
        assert rdb.read_frame() == published("trade", trade(first, rows).items)
    assert feed.subscribe("trade") == Error(b"access")
    assert daemon.consumers()[0]["tls"] == "TLSv1.3"
    table = rdb.sync(".ringtick.lag[]")
    row = dict(zip(table.names.items, table.columns.items))
    assert row[b"tls"].items == (b"TLSv1.3",) and row[b"certificate"].items == (b"",)
    assert row[b"peer"].items == (rdb.name.encode(),)
    # q's way to say goodbye
    rdb.sock.unwrap().close()
    assert daemon.wait_log("disconnect", user="rdb")["reason"] == "peer_closed"
    assert refusal(one, trusting, b"rdb:wrong\x03\0") == b""
    daemon.wait_log("disconnect", user="rdb", reason="login")
    # another client than Python's
    done = subprocess.run(
        ["openssl", "s_client", "-quiet", "-connect", "127.0.0.1:%d" % one.port, "-CAfile",
         authority.pem, "-verify_return_error", "-verify_hostname", HOST],
        input=b"feed:secret\x03\0" + kdb.frame(".u.d", kdb.SYNC) + kdb.frame("exit", 9),
        capture_output=True, timeout=30)
    assert done.stdout[:2] == b"\x03\x01" and done.stdout[3:4] != b"", done
    # who trusts another authority does not talk to it
    stranger = Authority(authority.folder, "stranger")
    assert refusal(one, stranger.client()) == ssl.SSLCertVerificationError


@pytest.mark.parametrize("mode", MODES[-1:])
def test_certificates_are_users(behind, terminator, authority, shake, mode):
    """Protects names that haproxy tells: who has a good certificate is who it says,
    whatever the handshake says; without one, or with one of a stranger, nobody is let
    in."""
    daemon = behind(mode, {"certificate": True})
    one = terminator("haproxy", verify="optional")
    feed = shake(one, authority.client(authority.sign("feed")), "rdb")
    rdb = shake(one, authority.client(authority.sign("rdb")), "", "")
    other = shake(one, authority.client(authority.sign("x" * 64)), "feed")
    rdb.subscribe("trade")
    assert feed.update("trade", trade(0, 1)) == NIL
    assert rdb.read_frame() == published("trade", trade(0, 1).items)
    assert other.update("trade", trade(0, 1)) == feed.sync(".ringtick.lag[]") == Error(
        b"access")
    table = rdb.sync(".ringtick.lag[]")
    row = dict(zip(table.names.items, table.columns.items))
    assert row[b"user"].items == row[b"certificate"].items == (b"rdb",)
    assert daemon.consumers()[0]["certificate"] == "rdb"
    accepted = daemon.summary().number("connects")
    assert refusal(one, authority.client(), b"feed:x\x03\0") == b""
    assert daemon.wait_log("disconnect", reason="certificate")["peer"] != "-"
    stranger = Authority(authority.folder, "stranger")
    posing = authority.client(stranger.sign("feed"))
    assert issubclass(refusal(one, posing), REFUSED)
    # no TLS at all
    with kdb.dial(one.port) as sock:
        sock.sendall(b"feed:x\x03\0" + bytes(100))
        assert kdb.drain(sock)[0][:1] != b"\x03"
    assert daemon.summary().number("connects") == accepted + 1


def test_certificates_with_hitch(behind, terminator, authority, shake, passwords):
    """Protects sites with hitch, which tells no names: it keeps out who has no good
    certificate, and passwords say who it is; names are never guessed."""
    daemon = behind("direct", passwords)
    one = terminator("hitch", verify="required")
    good = authority.client(authority.sign("rdb"))
    shake(one, good, "feed")
    assert daemon.wait_log("connect", user="feed")["certificate"] == "-"
    stranger = Authority(authority.folder, "stranger")
    for context in (authority.client(), authority.client(stranger.sign("rdb"))):
        assert issubclass(refusal(one, context), REFUSED)
    assert len(daemon.logged("connect")) == 1
    one.kill()
    daemon.stop()
    named = behind("direct", {"certificate": True})
    one = terminator("hitch", verify="required")
    assert refusal(one, good, b"rdb:x\x03\0") == b""
    named.wait_log("disconnect", reason="certificate")


@pytest.mark.parametrize("kind, mode", IN_MODE)
def test_either_end_dies(behind, terminator, authority, shake, connect, passwords, kind, mode):
    """Protects the others when a terminator is killed, and clients when the daemon is:
    each end is seen at once, the next start takes them again."""
    daemon = behind(mode, passwords)
    trusting = authority.client()
    plain = connect(daemon, creds=b"rdb:secret\x03")
    plain.subscribe("trade")
    for turn in range(2):
        one = terminator(kind)
        rdb, feed = (shake(one, trusting, user) for user in ("rdb", "feed"))
        rdb.subscribe("trade")
        assert feed.update("trade", trade(turn, 1)) == NIL
        for client in (plain, rdb):
            assert client.read_frame() == published("trade", trade(turn, 1).items)
        feed.send(update("trade", trade(9, LONG))[:-1000])
        mark = daemon.mark()
        one.kill()
        ended = {daemon.wait_log("disconnect", after=mark, peer=client.name)["reason"]
                 for client in (rdb, feed)}
        assert ended <= {"peer_closed", "peer_reset"}
    one = terminator(kind)
    rdb = shake(one, trusting, "rdb")
    daemon.signal(signal.SIGKILL)
    daemon.abandon()
    with pytest.raises(kdb.Closed):
        rdb.read_frame()
    assert refusal(one, trusting, b"rdb:secret\x03\0") != b"\x03"
    behind(mode, passwords)
    assert isinstance(shake(one, trusting, "rdb").subscribe("trade"), kdb.List)


def test_half_open(behind, terminator, authority, shake, passwords):
    """Protects from clients that stop half-way: before TLS the daemon does not see
    them; before the handshake its own limit ends them; and who has vanished is cut off
    by haproxy's tcp-ut, with data under way."""
    daemon = behind("direct", passwords, connections={"handshake_timeout": "300ms"})
    one = terminator("haproxy")
    with kdb.dial(one.port), one.dial(authority.client()) as silent:
        assert silent.recv(1) == b""
        line = daemon.wait_log("disconnect", reason="handshake_timeout")
        assert line["peer"] == "%s:%d" % silent.getsockname()
        assert daemon.summary().number("connects") == 1
    rdb, feed = (shake(one, authority.client(), user) for user in ("rdb", "feed"))
    rdb.subscribe("trade")
    vanish(rdb.sock)
    assert feed.update("trade", trade(0, 1)) == NIL
    line = daemon.wait_log("disconnect", peer=rdb.name)
    assert line["reason"] in ("peer_closed", "peer_reset")
    assert feed.update("trade", trade(1, 1)) == NIL


def test_spoofed_headers(behind, terminator, authority):
    """Protects addresses and names: a header is believed from a terminator only, not from
    a client on a port without proxy, nor from one inside its TLS."""
    daemon = behind("direct", {"certificate": True})
    one = terminator("haproxy", verify="optional")
    spoofed = header(parts=tls(b"feed")) + b"feed:x\x03\0"
    with kdb.dial(daemon.port) as sock:
        sock.sendall(spoofed)
        assert kdb.drain(sock)[0] == b""
    line = daemon.wait_log("disconnect")
    assert (line["reason"], line["peer"][:10]) == ("http", "127.0.0.1:")
    assert "PROXY" in line["why"]
    mark = daemon.mark()
    assert refusal(one, authority.client(authority.sign("rdb")), spoofed) == b""
    line = daemon.wait_log("disconnect", after=mark)
    assert line["reason"] == "http" and line["user"] == "-"
    assert daemon.logged("connect") == []


def test_node_q_through_tls(behind, terminator, authority, passwords, monkeypatch,
                            script):  # noqa: F811
    """Protects clients of other makers: node-q subscribes and publishes over TLS."""
    modules()
    daemon = behind("direct", {**passwords, "role": "all"})
    one = terminator("hitch")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(authority.pem))
    monkeypatch.setenv("RINGTICK_NODE_TLS", "1")
    subscriber = script("subscribe.js", one.port, "sync", "trade", 4)
    assert subscriber.next()["event"] == "subscribed"
    answers = script("publish.js", one.port, 3).finish()
    assert answers[0] == {"event": "bulk", "error": None, "reply": None}
    subscriber.abandon()
    assert daemon.wait_log("connect", user="node")["tls"] == "TLSv1.3"
