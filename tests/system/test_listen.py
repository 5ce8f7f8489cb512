"""Where clients connect: several listeners, networks, roles, socket files, and who is
behind a unix socket."""

import fcntl
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import tempfile

import kdb
import pytest
from daemon import TRADE, find_ringtickd, write_config
from kdb import NIL, Error
from terminator import listening_ports
from test_proxy import header

ACCESS = Error(b"access")


def ports(daemon):
    """The ports in the order of the configuration."""
    return [line.number("port") for line in daemon.logged("listening")]


def dial(port, host="127.0.0.1", user="u"):
    """What is answered to the handshake."""
    with socket.create_connection((host, port), timeout=20) as sock:
        sock.sendall(b"%s:pw\x03\0" % user.encode())
        return sock.recv(16)


def test_several(start, mode):
    """Protects a second network, and a port for administrators: each listener has its
    own networks and roles, and one does not change the other."""
    daemon = start({
        "engine": {"mode": mode}, "schema": {"tables": [TRADE]},
        "listen": [
            {"address": "127.0.0.1", "port": 0, "networks": ["127.0.0.1"]},
            {"address": "127.0.0.1", "port": 0, "networks": ["10.0.0.0/8", "192.0.2.7"]},
            {"address": "127.0.0.1", "port": 0, "roles": ["admin", "feed"]}],
        "auth": {"roles": [{"role": "feed", "publish": "*"}], "role": "all",
                 "rights": [{"user": "feed", "roles": "feed"},
                            {"user": "boss", "roles": ["admin"]}]}})
    first, elsewhere, chosen = ports(daemon)
    assert dial(first) == b"\x03"
    assert dial(elsewhere) == b""
    daemon.wait_log("disconnect", reason="network")
    assert dial(chosen, user="feed") == dial(chosen, user="boss") == b"\x03"
    assert dial(chosen) == b""
    assert daemon.wait_log("disconnect", reason="role")["user"] == "u"
    assert dial(first) == b"\x03"
    for port in (first, chosen):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(kdb.unix_name(port))
            sock.sendall(b"feed:pw\x03\0")
            assert sock.recv(16) == b"\x03"


def ask_as(uid, port):
    """What a process of this user is answered to .u.endofday[], and .ringtick.lag[]."""
    program = ("import os, sys; os.setgid(%d); os.setuid(%d)\n"
               "sys.path.insert(0, %r); import kdb\n"
               "client = kdb.Client(%d, unix=True)\n"
               "print(client.sync('.u.endofday[]'), client.sync('.ringtick.lag[]') != "
               "kdb.Error(b'access'))" % (uid, uid, os.path.dirname(__file__), port))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          timeout=60)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.usefixtures("many_days")
def test_who_is_behind_the_abstract_socket(start):
    """Protects the end of the day from whoever is on the machine: an abstract socket
    has no permissions, so only root and the daemon's own user administer there."""
    daemon = start({"schema": {"tables": [TRADE]}})
    stranger = ask_as(65534, daemon.port)
    assert "access" in stranger.stdout and "True" in stranger.stdout, stranger
    assert daemon.wait_log("connect", peer="unix:65534")
    root = ask_as(0, daemon.port)
    assert "access" not in root.stdout and root.returncode == 0, root


@pytest.mark.parametrize("mode_text", ["0600", "0666"])
def test_socket_file(start, mode_text):
    """Protects access by the file system: the file has the mode and group asked for
    before anybody can connect, is made anew after a crash, and goes with the daemon."""
    folder = tempfile.TemporaryDirectory()  # a socket's path has 107 characters
    path = pathlib.Path(folder.name) / "socket"
    changes = {"listen": {"unix_path": str(path), "unix_mode": mode_text,
                          "unix_group": "nogroup" if os.geteuid() == 0 else ""}}
    for turn in range(2):
        daemon = start(changes)
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == int(mode_text, 8)
        assert stat.S_ISSOCK(found.st_mode)
        if os.geteuid() == 0:
            assert found.st_gid != 0
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"u:pw\x03\0")
            assert sock.recv(16) == b"\x03"
            sock.sendall(kdb.frame(".u.endofday[]" if turn else "1", kdb.SYNC))
            assert sock.recv(16)
        if turn == 0:
            daemon.signal(signal.SIGKILL)
            daemon.abandon()
            assert path.exists()
        else:
            daemon.stop()
            assert not path.exists()
    folder.cleanup()


def test_nothing_but_a_socket_file(start):
    """Protects from headers that anybody on the machine could make up: a listener can
    have a socket file and no port, and one with a header has no abstract socket."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tls")
        daemon = start({
            "listen": [{"address": "", "unix_path": path, "proxy": True},
                       {"port": 0, "proxy": True}, {"port": 0}],
            "auth": {"open": True}})
        lines = daemon.logged("listening")
        assert [(line["port"] == "0", line["address"], line["path"], line["unix"])
                for line in lines] == [(True, "", path, "no"),
                                       (False, "127.0.0.1", "-", "no"),
                                       (False, "127.0.0.1", "-", "yes")]
        _, proxied, plain = ports(daemon)
        assert daemon.port == proxied
        kdb.Client(plain, unix=True).close()
        with socket.socket(socket.AF_UNIX) as sock:
            with pytest.raises(ConnectionRefusedError):
                sock.connect(kdb.unix_name(proxied))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b"u:pw\x03\0" * 3)
            assert sock.recv(16) == b""
        assert daemon.wait_log("disconnect", reason="bad_proxy")
        assert sorted(listening_ports(daemon.pid)) == sorted((proxied, plain))


MISTAKES = {
    "no address": ({"listen": {"networks": ["10.0.0"]}}, ["listen.networks[0]", "address"]),
    "bits after": ({"listen": {"networks": ["10.0.0.1/8"]}}, ["10.0.0.1/8", "bits"]),
    "too many bits": ({"listen": {"networks": ["10.0.0.0/33"]}}, ["10.0.0.0/33"]),
    "no such role": ({"listen": {"roles": ["x"]}}, ["listen.roles[0]", "is not a role"]),
    "no list": ({"listen": {"networks": "10.0.0.0/8"}}, ["listen.networks", "list"]),
    "long path": ({"listen": {"unix_path": "a" * 100}}, ["listen.unix_path", "107"]),
    "mode": ({"listen": {"unix_path": "s", "unix_mode": "888"}}, ["listen.unix_mode"]),
    "mode of the second": ({"listen": [{"unix_mode": "0600"}, {"port": 1, "unix_mode": "999"}]},
                           ["listen.unix_mode", '"999"']),
    "no role at all": ({"listen": {"roles": []}}, ["listen.roles", "is empty"]),
    "24 sockets": ({"listen": [{"port": 5010 + n, "unix_path": "s%d" % n} for n in range(8)]},
                   ["listen", "24 sockets", "16"]),
    "no such group": ({"listen": {"unix_path": "s", "unix_group": "nosuch"}},
                      ["listen.unix_group", "nosuch", "no such group"]),
    "claimed certificates": (
        {"listen": {"address": "0.0.0.0", "proxy": True},
         "auth": {"certificate": True, "users": "u"}},
        ["0.0.0.0", "any certificate", "listen.unix_path"]),
    "nine": ({"listen": [{"port": 5010 + n} for n in range(9)]}, ["too many"]),
    "everybody": ({"listen": {"address": "0.0.0.0"}}, ["0.0.0.0", "auth.users", "auth.open"]),
    "nowhere": ({"listen": {"address": ""}}, ["listen.address", "unix_path"]),
    "a terminator's clients": ({"listen": {"proxy": True}},
                               ["listen.proxy", "auth.certificate", "auth.open"]),
    "the same, by a file": ({"listen": [{"port": 5010}, {"address": "", "unix_path": "s",
                                                         "proxy": True}]},
                            ["listen.proxy", "auth.users"]),
    "everybody, second": ({"listen": [{"port": 5010}, {"address": "::", "port": 5011}]},
                          ["::", "auth.open"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(tmp_path, name):
    """Protects the operator: a listener that cannot be, or that lets strangers in, is
    named before anything starts."""
    changes, wanted = MISTAKES[name]
    config = write_config(tmp_path / "c.conf", changes)
    done = subprocess.run([find_ringtickd(), "-c", str(config), "--check"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    for word in wanted:
        assert word in done.stderr


def test_open_to_all(start):
    """Protects from forgetting it: that everybody is let in is said at each start."""
    daemon = start({"listen": {"address": "0.0.0.0"}, "auth": {"open": True}})
    line = daemon.wait_log("open")
    assert line.level == 4 and line["role"] == "admin"
    assert dial(daemon.port) == b"\x03"


def test_one_port_of_two_addresses(start):
    """Protects the usual list: several addresses have one port, and the abstract socket
    of that port is the first one's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    daemon = start({"listen": [{"port": port},
                               {"address": "127.0.0.2", "port": port, "roles": ["all"]}]})
    assert [line["unix"] for line in daemon.logged("listening")] == ["yes", "no"]
    assert dial(port) == b"\x03" and dial(port, "127.0.0.2") == b""
    kdb.Client(port, unix=True).close()


PASS = """
import os, sys
numbers = sys.argv[1].split(",")
for n, number in enumerate(numbers):
    os.dup2(int(number), 3 + n, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def passed():
    """passed(sockets) are arguments with which the daemon gets them as from systemd."""
    numbers = []

    def arguments(*sockets):
        numbers.extend(fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in sockets)
        return {"wrap": [sys.executable, "-c", PASS, ",".join(map(str, numbers))],
                "pass_fds": numbers}
    yield arguments
    for number in numbers:
        os.close(number)


def listening(family, address):
    sock = socket.socket(family)
    sock.bind(address)
    sock.listen()
    return sock


def test_sockets_of_systemd(start, passed):
    """Protects the doors of ringtick.socket: each socket has the networks, roles and
    header of its own listener, by address, port, or path; the file stays systemd's."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tls")
        first = listening(socket.AF_INET, ("127.0.0.1", 0))
        port = first.getsockname()[1]
        sockets = [first, listening(socket.AF_INET, ("127.0.0.2", port)),
                   listening(socket.AF_UNIX, path),
                   listening(socket.AF_UNIX, kdb.unix_name(port))]
        daemon = start({"auth": {"open": True}, "listen": [
            {"address": "", "unix_path": path, "proxy": True},
            {"address": "127.0.0.2", "port": port, "networks": ["10.0.0.0/8"]},
            {"port": port}]}, **passed(*sockets))
        assert dial(port) == b"\x03" and dial(port, "127.0.0.2") == b""
        assert daemon.wait_log("disconnect", reason="network")
        kdb.Client(port, unix=True).close()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(header() + b"u:pw\x03\0")
            assert sock.recv(16) == b"\x03"
        assert daemon.wait_log("connect", peer="192.0.2.7:4711")
        daemon.stop()
        assert os.path.exists(path)
        for sock in sockets:
            sock.close()


def test_no_header_by_chance(tmp_path, passed):
    """Protects addresses and certificates: a socket of systemd that is not named in a
    file full of listen.proxy is refused, since anybody may reach it."""
    config = write_config(tmp_path / "c.conf", {
        "auth": {"open": True},
        "listen": {"address": "", "unix_path": str(tmp_path / "s")[-90:], "proxy": True}})
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as sock:
        how = passed(sock)
        done = subprocess.run([*how["wrap"], find_ringtickd(), "-c", str(config)],
                              pass_fds=how["pass_fds"], capture_output=True, text=True,
                              timeout=60)
    assert done.returncode == 78 and "proxy" in done.stderr and "ListenStream=" in done.stderr


def test_what_else_has_the_name(tmp_path):
    """Protects a file that has the socket's name by mistake, and the start from a program
    that listens there and accepts nothing: both stay, and are named."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "name"
        config = write_config(tmp_path / "c.conf", {"listen": {"unix_path": str(path)}})
        command = [find_ringtickd(), "-c", str(config)]
        path.write_text("market data")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "another file" in done.stderr, done
        assert path.read_text() == "market data"
        path.unlink()
        with listening(socket.AF_UNIX, str(path)) as busy:
            busy.listen(0)
            with socket.socket(socket.AF_UNIX) as first:
                first.connect(str(path))
                done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "somebody listens on it" in done.stderr
        assert path.exists()
