"""The handshake: credentials [capability] NUL, answered by one byte."""

import json
import socket
import time

import kdb
import pytest
from traffic import published, trade

with open(kdb.vectors_path()) as _file:
    VECTORS = {v["name"]: bytes.fromhex(v["hex"]) for v in json.load(_file)
               if v["kind"].startswith("handshake")
               and not v["kind"].endswith("reply")}
REFUSED = {"hs_http": "http", "hs_tls": "http"}
# q's text console shakes hands like a user without capability; it may be
# refused at once or at its first line of text, but never answered.
ACCEPTED = sorted(set(VECTORS) - set(REFUSED) - {"hs_qcon"})

CHASER = kdb.frame("", kdb.SYNC)
NIL_REPLY = bytes.fromhex("010200000a0000006500")


def expected_reply(hello):
    """min(capability, 3); a printable byte before the NUL is no capability."""
    nul = hello.index(0)
    last = hello[nul - 1] if nul else 0
    return bytes([min(last, 3) if 0 < last < 0x20 else 0])


def receive(sock, n):
    got = b""
    while len(got) < n:
        piece = sock.recv(n - len(got))
        assert piece, "closed after %r" % got
        got += piece
    return got


@pytest.fixture
def dial(clients):
    def dial_one(to, **how):
        sock = kdb.dial(to.port, **how)
        clients.callback(sock.close)
        return sock
    return dial_one


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_every_form_gets_exactly_one_byte(start, dial, unix):
    """Protects clients that expect one byte and then nothing: any credentials
    form is let in with min(capability, 3), on both kinds of socket."""
    daemon = start()
    for name in ACCEPTED:
        sock = dial(daemon, unix=unix)
        hello = VECTORS[name]
        sock.sendall(hello)
        assert receive(sock, 1) == expected_reply(hello), name
        reader = kdb.FrameReader(sock)
        if name == "hs_pipelined":
            assert isinstance(kdb.decode_frame(reader.next())[1], kdb.List)
        sock.sendall(CHASER)
        assert reader.next() == NIL_REPLY, name
        sock.close()


def test_split_at_every_point(start, dial, connect):
    """Protects against a handshake that must arrive in one segment: between
    the two pieces the daemon has provably seen the first."""
    daemon = start()
    other = connect(daemon)
    for name in ACCEPTED:
        hello = VECTORS[name]
        for cut in range(1, len(hello)):
            sock = dial(daemon)
            sock.sendall(hello[:cut])
            assert other.sync("") == kdb.NIL
            sock.sendall(hello[cut:] + CHASER)
            assert receive(sock, 1) == expected_reply(hello), (name, cut)
            reader = kdb.FrameReader(sock)
            if name == "hs_pipelined":
                reader.next()
            assert reader.next() == NIL_REPLY, (name, cut)
            sock.close()


def test_one_byte_per_segment(start, dial, connect):
    """Protects against a slow sender being taken for a hostile one."""
    daemon = start()
    other = connect(daemon)
    sock = dial(daemon)
    for byte in b"somebody:secret\x03\0" + CHASER:
        sock.sendall(bytes([byte]))
        other.sync("")
    assert receive(sock, 11) == b"\x03" + NIL_REPLY


def test_credentials_and_capabilities(start, dial):
    """Protects the rule for a missing colon or capability byte, one by one."""
    daemon = start()
    for creds in (b"", b":", b"u", b"u:", b":p", b"u:p", b"u:p:q",
                  "h\u00e9\u00e9:\u00fc".encode(), b"a b:c d"):
        for cap in (b"", b"\1", b"\2", b"\3", b"\5", b"\6"):
            sock = dial(daemon)
            sock.sendall(creds + cap + b"\0")
            assert receive(sock, 1) == expected_reply(creds + cap + b"\0")
            sock.sendall(CHASER)
            assert kdb.FrameReader(sock).next() == NIL_REPLY
            sock.close()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_foreign_protocols_are_refused_by_fin(start, dial, name):
    """Protects health checks, browsers and TLS clients from hanging: closed at
    once (the time limit here is an hour), by FIN, without a byte."""
    daemon = start({"connections": {"handshake_timeout": "1h"}})
    sock = dial(daemon)
    sock.sendall(VECTORS[name])
    assert kdb.drain(sock) == (b"", "fin")
    daemon.wait_log("disconnect", reason=REFUSED[name])


def test_more_foreign_protocols(start, dial):
    """Protects the same for other HTTP methods and for long requests that the daemon
    does not read to the end: that must not become a RST."""
    daemon = start({"connections": {"handshake_timeout": "1h"}})
    for hello in (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", b"POST /x HTTP/1.1\r\n", b"OPTIONS * HTTP/1.0\r\n\r\n",
                  b"HEAD / HTTP/1.1\r\n\r\n",
                  b"GET /" + b"a" * 50000 + b" HTTP/1.1\r\n\r\n"):
        sock = dial(daemon)
        sock.sendall(hello)
        assert kdb.drain(sock) == (b"", "fin"), hello[:20]
        sock.close()


def test_text_console_gets_no_answer(start, dial):
    """Protects the stream from q's legacy text console: its text is no kdb+
    message, so the connection is closed and nothing is evaluated."""
    daemon = start()
    sock = dial(daemon)
    sock.sendall(VECTORS["hs_qcon"])
    sock.sendall(b"1+1\0" + b"2+2\0" * 4)
    got, how = kdb.drain(sock)
    assert got in (b"", b"\0") and how == "fin"


def test_endless_credentials(start, dial):
    """Protects memory: credentials have a limit, past which it is a FIN."""
    daemon = start({"connections": {"receive_buffer": 4096,
                                    "handshake_timeout": "1h"}})
    sock = dial(daemon)
    sock.sendall(b"x" * 4097)
    assert kdb.drain(sock) == (b"", "fin")
    daemon.wait_log("disconnect", reason=lambda r: r in ("bad_handshake", "too_long"))


def test_long_credentials_are_fine(start, connect):
    """Protects users of tokens: some kilobytes are a legal password."""
    daemon = start()
    client = connect(daemon, creds=b"u:" + b"t" * 8000 + b"\x03")
    assert client.capability == 3 and client.sync("") == kdb.NIL


@pytest.mark.parametrize("said", [b"", b"us", b"user:pw\x03"])
def test_silence_is_timed_out(start, dial, connect, said, mode):
    """Protects slots from half-open clients; a client that has shaken hands stays."""
    daemon = start({"connections": {"handshake_timeout": "300ms"},
                    "engine": {"mode": mode}})
    other = connect(daemon)
    began = time.monotonic()
    sock = dial(daemon)
    sock.sendall(said)
    assert kdb.drain(sock) == (b"", "fin")
    took = time.monotonic() - began
    assert 0.25 < took < 5, took
    daemon.wait_log("disconnect", reason="handshake_timeout")
    assert other.sync("") == kdb.NIL


def test_a_trickle_does_not_extend_the_limit(start, dial, connect):
    """Protects the limit from a client that sends a byte now and then."""
    daemon = start({"connections": {"handshake_timeout": "400ms"}})
    other = connect(daemon)
    sock = dial(daemon, timeout=0.05)
    ended = None
    began = time.monotonic()
    while ended is None and time.monotonic() - began < 10:
        try:
            sock.sendall(b"x")
            ended = sock.recv(1)  # waits 50 ms, the pace of the trickle
        except socket.timeout:
            pass
        except ConnectionError:
            ended = b""
    assert ended == b"" and time.monotonic() - began < 5
    daemon.wait_log("disconnect", reason="handshake_timeout")
    assert other.sync("") == kdb.NIL


def test_gone_before_the_handshake(start, connect):
    """Protects against leaks when a peer leaves at any point of the handshake."""
    daemon = start()
    other = connect(daemon)
    for said in (b"", b"u", b"u:p\x03", b"u:p\x03\0"):
        for linger in (False, True):
            sock = kdb.dial(daemon.port)
            sock.sendall(said)
            if linger:  # close() is then a RST
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                b"\1\0\0\0\0\0\0\0")
            sock.close()
    assert other.sync("") == kdb.NIL


def test_first_messages_pipelined(start, dial, connect):
    """Protects clients that do not wait for the handshake's reply: what comes
    after the NUL is the first message, whole or cut."""
    daemon = start()
    other = connect(daemon)
    subscribe = kdb.frame(".u.sub[`trade;`]", kdb.SYNC)
    said = b"u:p\x03\0" + subscribe + CHASER
    for cut in (len(said), 5, 6, 9, 13, 14, len(said) - 1):
        sock = dial(daemon)
        sock.sendall(said[:cut])
        other.sync("")
        sock.sendall(said[cut:])
        assert receive(sock, 1) == b"\x03"
        reader = kdb.FrameReader(sock)
        assert kdb.decode_frame(reader.next())[1].items[0] == kdb.sym("trade")
        assert reader.next() == NIL_REPLY
        assert other.update("trade", trade(1)) == kdb.NIL
        assert reader.next() == published("trade", trade(1).items)
        sock.close()


def test_abstract_socket_name_is_exact(start, connect):
    """Protects unmodified clients on this host: q looks for the abstract name
    of exact length; and with listen.unix_socket = false it does not exist."""
    daemon = start()
    assert connect(daemon, unix=True).sync("") == kdb.NIL
    padded = socket.socket(socket.AF_UNIX)
    with pytest.raises(ConnectionRefusedError):
        padded.connect(kdb.unix_name(daemon.port).ljust(108, b"\0"))
    padded.close()
    without = start({"listen": {"unix_socket": False}})
    with pytest.raises(ConnectionRefusedError):
        kdb.dial(without.port, unix=True)
    assert connect(without).sync("") == kdb.NIL


def test_a_user_is_known_by_the_whole_name(start, connect):
    """Protects auth.rights: a name is compared as it came, and not as the log
    can show it; one that is longer than any the configuration takes is
    refused."""
    names = ["m\u00fcller", "x" * 64, "a?c", "y" * 63, "z" * 127]
    daemon = start({"slow": {"policy": "disconnect"}, "auth": {"rights": [
        {"user": name, "policy": "skip"} for name in names]}})
    strangers = ["m??ller", "a c", "y" * 64, "y" * 126]
    for user in names + strangers:
        mark = daemon.mark()
        client = connect(daemon, creds=user.encode() + b":pw\x03")
        assert client.sync(".z.u") == kdb.sym(user.encode())
        policy = daemon.wait_log("connect", after=mark)["policy"]
        assert policy == ("skip" if user in names else "disconnect"), user
    with socket.create_connection(("127.0.0.1", daemon.port)) as refused:
        refused.sendall(b"z" * 128 + b":pw\x03\0")
        assert kdb.drain(refused) == (b"", "fin")
    daemon.wait_log("disconnect", reason="bad_handshake", why=lambda w: "127" in w)


def test_user_and_peer_are_logged(start, connect, clients):
    """Protects the log: it says who it is, and a hostile user name cannot
    forge a field or a line."""
    daemon = start()
    client = connect(daemon, user="rdb")
    line = daemon.wait_log("connect", user="rdb", peer=client.name)
    client.close()
    daemon.wait_log("disconnect", conn=line["conn"], user="rdb",
                    reason="peer_closed")
    connect(daemon, creds=b"a b\nevent=\"forged\":pw\x03").close()
    found = daemon.wait_log("connect", after=daemon.index(line) + 1)
    assert found["user"].startswith("a?b?event?")
    assert not daemon.logged("forged")
