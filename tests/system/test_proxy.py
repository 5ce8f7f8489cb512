"""The header of PROXY protocol v2, which a TLS terminator sends: address, TLS and the
name of the client's certificate."""

import ipaddress
import socket
import struct

import kdb
import pytest
from daemon import TRADE


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ROLES = [{"role": "feed", "publish": "*"}]


def part(kind, data):
    return bytes([kind]) + struct.pack(">H", len(data)) + data


def tls(name=None, version=b"TLSv1.3", flags=7, verify=0):
    data = bytes([flags]) + struct.pack(">I", verify)
    data += part(0x21, version) if version else b""
    data += part(0x22, name) if name is not None else b""
    return part(0x20, data)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def header(address="192.0.2.7", port=4711, parts=b"", command=0x21, family=None, crc=None):
    at = ipaddress.ip_address(address)
    end = ipaddress.ip_address("203.0.113.1" if at.version == 4 else "2001:db8::1")
    body = at.packed + end.packed + struct.pack(">HH", port, 5010) + parts
    if crc is not None:
        body += part(3, b"\0\0\0\0")
    if family is None:
        family = 0x11 if at.version == 4 else 0x21
    whole = SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body
    if crc is not None:
        whole = whole[:-4] + struct.pack(">I", crc32c(whole) ^ crc)
    return whole


@pytest.fixture
def daemon(start, mode):
    return start({
        "engine": {"mode": mode}, "schema": {"tables": [TRADE]},
        "listen": {"proxy": True, "networks": ["192.0.2.0/24", "2001:db8::/32"]},
        "auth": {"open": True, "roles": ROLES,
                 "rights": [{"user": "feed", "roles": "feed"}]}})


def talk(daemon, head, hello=b"u:pw\x03\0", piece=None):
    """What is answered to these bytes, sent in pieces; the socket stays open."""
    sock = socket.create_connection(("127.0.0.1", daemon.port), timeout=20)
    data = head + hello
    for at in range(0, len(data), piece or len(data)):
        sock.sendall(data[at:at + (piece or len(data))])
    return sock, sock.recv(16)


def test_who_is_told(daemon):
    """Protects the log, the networks and the lag table behind a terminator: the client's
    address counts, however the header is cut."""
    mark = daemon.mark()
    heads = {
        "192.0.2.7:4711": header(),
        "[2001:db8::7]:4711": header("2001:db8::7"),
        "192.0.2.8:4711": header("192.0.2.8", parts=tls()),
        "192.0.2.9:4711": header("192.0.2.9", parts=tls(b"feed") + part(0xee, b"x" * 900)),
        "192.0.2.10:4711": header("192.0.2.10", crc=0),
    }
    for peer, head in heads.items():
        for piece in (None, 1, 13, len(head), len(head) + 1):
            sock, reply = talk(daemon, head, piece=piece)
            assert reply == b"\x03", (peer, piece)
            sock.close()
            daemon.wait_log("connect", after=mark, peer=peer)
            mark = daemon.mark()
    sock, reply = talk(daemon, header("192.0.2.11", parts=tls()))
    assert daemon.wait_log("connect", peer="192.0.2.11:4711")["tls"] == "TLSv1.3"
    sock.close()
    sock, reply = talk(daemon, header("10.0.0.1"))
    assert reply == b""
    assert daemon.wait_log("disconnect", reason="network")["peer"] == "10.0.0.1:4711"
    sock.close()


BAD = {
    "none": b"u:pw\x03\0" * 4,
    "version 1": b"PROXY TCP4 192.0.2.7 203.0.113.1 4711 5010\r\n",
    "version 3": header(command=0x31),
    "command": header(command=0x22),
    "family unix": header(family=0x31),
    "datagrams": header(family=0x12),
    "no family": header(family=0x00),
    "short address": SIGNATURE + b"\x21\x11\0\x0b" + bytes(11),
    "IPv6 too short": SIGNATURE + b"\x21\x21\0\x0c" + bytes(12),
    "part too long": header(parts=b"\xee\0\x05abc"),
    "part without length": header(parts=b"\xee\0"),
    "TLS too short": header(parts=part(0x20, b"\x01\0\0\0")),
    "TLS's part too long": header(parts=part(0x20, b"\x01\0\0\0\0\x22\0\x09feed")),
    "TLS twice": header(parts=tls() + tls()),
    "name with NUL": header(parts=tls(b"fe\0ed")),
    "long name": header(parts=tls(b"f" * 128)),
    "long version": header(parts=tls(version=b"v" * 16)),
    "checksum": header(crc=1),
    "too long": SIGNATURE + b"\x21\x11\xff\xff" + bytes(4096),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


def test_malformed(daemon):
    """Protects from whoever is no terminator, and from a broken one: the connection
    ends with a reason, and nothing else."""
    for name, head in BAD.items():
        mark = daemon.mark()
        sock, reply = talk(daemon, head)
        assert reply == b"", name
        assert daemon.wait_log("disconnect", after=mark)["reason"] == "bad_proxy", name
        sock.close()
    sock = socket.create_connection(("127.0.0.1", daemon.port), timeout=20)
    for byte in SIGNATURE[:-1]:
        sock.sendall(bytes([byte]))
    sock.sendall(b"x")
    assert sock.recv(1) == b""
    sock.close()


def test_header_longer_than_the_buffer(start):
    """Protects the daemon where message.max is short: a header that does not fit is
    refused, one that does is not."""
    daemon = start({
        "schema": {"tables": [{"name": "t", "columns": ["time n", "sym s"]}]},
        "message": {"max": "1K"}, "listen": {"proxy": True}, "auth": {"open": True}})
    sock, reply = talk(daemon, header(parts=part(0xee, bytes(2000))))
    assert reply == b""
    line = daemon.wait_log("disconnect")
    assert line["reason"] == "bad_proxy" and "message.max" in line["why"]
    sock.close()
    sock, reply = talk(daemon, header(parts=part(0xee, bytes(960))), piece=1000)
    assert reply == b"\x03"
    sock.close()


def test_the_terminator_itself(start):
    """Protects a terminator's health checks: they come from itself, without address."""
    daemon = start({"listen": {"proxy": True, "networks": ["127.0.0.1"]},
                    "auth": {"open": True}})
    local = SIGNATURE + b"\x20\x00\0\0"
    sock, reply = talk(daemon, local)
    assert reply == b"\x03"
    assert daemon.wait_log("connect", user="u")["peer"].startswith("127.0.0.1:")
    sock.close()


def test_certificates_and_passwords(start, tmp_path, connect):
    """Protects who is known by a certificate: no password is wanted, and a reload does
    not look for the name among those that have one; on other listeners it is wanted."""
    users = tmp_path / "users"
    users.write_text("boss:b\n")
    users.chmod(0o600)
    daemon = start({
        "schema": {"tables": [TRADE]}, "listen": [{"proxy": True, "port": 0}, {"port": 0}],
        "auth": {"certificate": True, "users": str(users),
                 "rights": [{"user": "boss", "roles": "admin"}]}})
    certified, reply = talk(daemon, header(parts=tls(b"feed")))
    assert reply == b"\x03"
    plain = [line.number("port") for line in daemon.logged("listening")][1]
    for creds, answer in ((b"feed:x", b""), (b"boss:b", b"\x03")):
        with socket.create_connection(("127.0.0.1", plain), timeout=20) as sock:
            sock.sendall(creds + b"\x03\0")
            assert sock.recv(4) == answer
            if answer:
                sock.sendall(kdb.frame(".ringtick.reload[]", kdb.SYNC))
                frames = kdb.FrameReader(sock)
                assert kdb.decode(frames.next()[kdb.HEADER:]) == kdb.NIL
                # the questions about who is connected are answered by then
                sock.sendall(kdb.frame(".ringtick.reload[]", kdb.SYNC))
                assert kdb.decode(frames.next()[kdb.HEADER:]) == kdb.NIL
    certified.sendall(kdb.frame("", kdb.SYNC))
    assert kdb.FrameReader(certified).next()
    certified.close()


def test_certificates(start):
    """Protects names that come with a certificate: the terminator has verified it, and
    told the name; whatever else was claimed does not count."""
    daemon = start({
        "schema": {"tables": [TRADE]},
        "listen": [{"proxy": True, "port": 0}, {"port": 0}],
        "auth": {"certificate": True, "role": "none", "roles": ROLES,
                 "rights": [{"user": "feed", "roles": "feed"}]}})
    for refused in (tls(), tls(b""), tls(b"feed", verify=18), tls(b"feed", flags=1), b"",
                    part(0x22, b"feed")):
        mark = daemon.mark()
        sock, reply = talk(daemon, header(parts=refused), b"feed:pw\x03\0")
        assert reply == b""
        assert daemon.wait_log("disconnect", after=mark)["reason"] == "certificate"
        sock.close()
    for claimed, name in ((b"x", b"feed"), (b"feed", b"other"), (b"", b"feed")):
        mark = daemon.mark()
        sock, reply = talk(daemon, header(parts=tls(name)), claimed + b":pw\x03\0")
        assert reply == b"\x03"
        line = daemon.wait_log("connect", after=mark, user=name.decode())
        assert line["certificate"] == name.decode()
        sock.sendall(kdb.frame(kdb.q(kdb.sym(".u.upd"), kdb.sym("trade"), kdb.lst()),
                               kdb.SYNC))
        answer = kdb.decode(kdb.FrameReader(sock).next()[kdb.HEADER:])
        assert (answer == kdb.Error(b"access")) == (name != b"feed"), answer
        sock.close()
    # without a terminator there is no certificate: the handshake's name counts
    plain = [line.number("port") for line in daemon.logged("listening")][1]
    with socket.create_connection(("127.0.0.1", plain), timeout=20) as sock:
        sock.sendall(b"feed:pw\x03\0")
        assert sock.recv(4) == b"\x03"


def test_a_certificate_is_no_office(start):
    """Protects the day's end from whoever has a certificate: without a row of its own it
    does not administer."""
    daemon = start({"listen": {"proxy": True}, "auth": {"certificate": True}})
    sock, reply = talk(daemon, header(parts=tls(b"feed")))
    assert reply == b"\x03"
    sock.sendall(kdb.frame(".ringtick.reload[]", kdb.SYNC))
    answer = kdb.decode(kdb.FrameReader(sock).next()[kdb.HEADER:])
    assert answer == kdb.Error(b"access")
    sock.close()
