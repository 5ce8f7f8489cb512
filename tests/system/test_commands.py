"""ringtickd's command line, and every way in which it refuses to start."""

import ctypes
import errno
import os
import pathlib
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

import daemon as daemon_module
import kdb
import pytest
from daemon import DEFAULTS, MODES, QUOTE, TRADE, Raw, libconfig, merged, run, write_config
from test_tools import find_ringtick
from traffic import Flood, Reader, Template


def test_version_and_help():
    """Protects package scripts and people: both go to stdout, status 0; the help
    has every setting of config/options.def."""
    version = run("--version")
    assert version.returncode == 0 and version.stderr == ""
    assert version.stdout.startswith("ringtickd ") and version.stdout.count("\n") == 1
    shown = run("--help")
    assert shown.returncode == 0 and shown.stderr == ""
    source = pathlib.Path(__file__).parents[2] / "src" / "config/options.def"
    for row in source.read_text().splitlines():
        if row.startswith("OPTION("):
            name = row.split(",")[2].strip()
            assert name in shown.stdout, name
    for option in ("-c", "--check", "--self-test", "-p", "--version"):
        assert option in shown.stdout


@pytest.mark.parametrize("arguments", [[], ["--nonsense"], ["-c"], ["-p", "5010"],
                                       ["-c", "x", "-p", "99999"],
                                       ["-c", "x", "-p", "abc"], ["-c", "x", "extra"]])
def test_wrong_usage(arguments):
    """Protects against a daemon that starts with something else than was
    meant: status not 0, a sentence on stderr, nothing on stdout."""
    done = run(*arguments)
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr.strip()


def test_check_accepts(tmp_path):
    """Protects deployments: --check is silent about nothing wrong, status 0,
    and starts nothing (the port is taken here)."""
    taken = socket.create_server(("127.0.0.1", 0))
    config = write_config(tmp_path / "good.conf",
                          {"listen": {"port": taken.getsockname()[1]}})
    done = run("-c", config, "--check")
    assert done.returncode == 0, done.stderr
    taken.close()


def test_check_accepts_schema_files(tmp_path):
    """Protects users of an unmodified sym.q: named in both ways, its path
    relative to the configuration, not to where the daemon is started."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "sym.q").write_text(
        "trade:([]time:`timespan$();sym:`g#`symbol$();price:`float$())\n"
        "quote:([]time:`timespan$();sym:`g#`symbol$();bid:`float$();ask:`float$())\n")
    for value in ("sub/sym.q", {"file": "sub/sym.q", "check": "shape"}):
        config = write_config(tmp_path / "good.conf", {"schema": None})
        config.write_text(config.read_text()
                          + libconfig({"schema": value}))
        done = run("-c", config, "--check", cwd="/")
        assert done.returncode == 0, done.stderr


BAD_FILES = {
    # what is wrong: (changes, words that the one line must have)
    "size": ({"ring": {"size": "64X"}}, ["ring.size", "64X", "power of two"]),
    "no power of two": ({"ring": {"size": "3M"}}, ["ring.size", "power of two"]),
    "size too small": ({"ring": {"size": "4K"}}, ["ring.size", "64K"]),
    "size too large": ({"ring": {"size": "1G"}}, ["ring.size", "512M"]),
    "time": ({"log": {"report": "10 parsecs"}}, ["log.report", "10 parsecs"]),
    "number for time": ({"log": {"report": 10}}, ["log.report"]),
    "port": ({"listen": {"port": 70000}}, ["listen.port", "70000", "65535"]),
    "negative": ({"connections": {"max": -1}}, ["connections.max", "-1"]),
    "text for a number": ({"connections": {"max": "many"}}, ["connections.max"]),
    "number for text": ({"listen": {"address": 5}}, ["listen.address"]),
    "choice": ({"slow": {"policy": "pour"}},
               ["slow.policy", "spill", "disconnect", "skip", "block"]),
    "mode": ({"engine": {"mode": "fast"}}, ["engine.mode", "sqpoll", "direct"]),
    "flag": ({"listen": {"unix_socket": "yes"}}, ["listen.unix_socket", "true", "false"]),
    "unknown setting": ({"ring": {"sice": "1M"}}, ["ring.sice"]),
    "unknown group": ({"rings": {"size": "1M"}}, ["rings"]),
    "group is no group": ({"ring": "1M"}, ["ring"]),
    "marks": ({"slow": {"leave_percent": 50, "return_percent": 60}},
              ["slow.return_percent"]),
    "message too long for the ring": ({"message": {"max": "1M"},
                                       "ring": {"size": "1M"}}, ["message.max"]),
    "zone": ({"day": {"zone": "Mars"}}, ["day.zone", "Mars"]),
    "user with a colon": (
        {"auth": {"rights": [{"user": "a:b", "policy": "skip"}]}}, ["a:b", "colon"]),
    "NUL in a text": ({"auth": {"rights": Raw('({ user = "a\\x00b"; policy = "skip"; })')}},
                      ["a\\x00b", "NUL"]),
    "user too long": ({"auth": {"rights": [{"user": "a" * 128, "policy": "skip"}]}},
                      ["auth.rights", "127"]),
    "right without user": ({"auth": {"rights": [{"ask": True}]}}, ["auth.rights"]),
    "user with a wrong policy": (
        {"auth": {"rights": [{"user": "a", "policy": "maybe"}]}}, ["maybe"]),
    "no schema": ({"schema": None}, ["schema"]),
    "no tables": ({"schema": {"tables": []}}, ["schema"]),
    "column type": ({"schema": {"tables": [
        {"name": "t", "columns": ["time timespan", "sym symbol", "x flaot"]}]}},
        ["flaot"]),
    "first column": ({"schema": {"tables": [
        {"name": "t", "columns": ["sym symbol", "time timespan"]}]}}, ["time"]),
    "type of time": ({"schema": {"tables": [
        {"name": "t", "columns": ["time float", "sym symbol"]}]}}, ["time"]),
    "doubled table": ({"schema": {"tables": [TRADE, TRADE]}}, ["trade"]),
    "doubled column": ({"schema": {"tables": [
        {"name": "t", "columns": ["time timespan", "sym symbol", "a long",
                                  "a long"]}]}}, ["a"]),
    "file and tables": ({"schema": {"file": "sym.q"}}, ["schema"]),
    "missing schema file": ({"schema": Raw('{ file = "nowhere.q"; }')}, ["nowhere.q"]),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_check_names_the_mistake(tmp_path, what):
    """Protects the operator who edits the configuration: one line with the file,
    the line, the setting, and the allowed values; status 78; and the same without
    --check, so that a bad file never runs."""
    changes, words = BAD_FILES[what]
    config = write_config(tmp_path / "bad.conf", changes)
    for extra in (["--check"], []):
        done = run("-c", config, *extra)
        assert done.returncode == 78, done.stderr
        said = done.stderr.rstrip("\n")
        assert "\n" not in said and str(config) in said, said
        for word in words:
            assert word in said, said


def test_check_names_the_line(tmp_path):
    """Protects the same for long files: the line is that of the mistake."""
    config = tmp_path / "bad.conf"
    config.write_text('# a comment\nlisten = { port = 0; };\n\nring = {\n'
                      '  size = "64X";\n};\n')
    done = run("-c", config, "--check")
    assert done.returncode == 78 and "%s:5:" % config in done.stderr
    config.write_text('listen = { port = 0; };\nring = {\n  size = \n};\n')
    done = run("-c", config, "--check")
    assert done.returncode == 78 and str(config) in done.stderr
    assert ":3" in done.stderr or ":4" in done.stderr


def test_schema_file_mistake_has_line_and_column(tmp_path):
    """Protects schema authors: FILE:LINE:COLUMN of what cannot be read."""
    (tmp_path / "sym.q").write_text(
        "/ a comment\n\ntrade:([]time:`timespan$();sym:`symbol$();x:`flaot$())\n")
    config = write_config(tmp_path / "c.conf", {"schema": None})
    config.write_text(config.read_text() + 'schema = "sym.q";\n')
    done = run("-c", config, "--check")
    assert done.returncode == 78 and "sym.q:3:" in done.stderr, done.stderr


def test_missing_file(tmp_path):
    """Protects against a start on defaults when the file does not exist."""
    done = run("-c", tmp_path / "none.conf")
    assert done.returncode == 78 and "none.conf" in done.stderr


def test_self_test_alone(tmp_path):
    """Protects the ring's double view: the straddle test passes at many
    offsets in both modes, and listens nowhere (the port is taken here)."""
    taken = socket.create_server(("127.0.0.1", 0))
    config = write_config(tmp_path / "c.conf",
                          {"listen": {"port": taken.getsockname()[1]}})
    done = run("-c", config, "--self-test")
    taken.close()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "sqpoll" in said and "direct" in said and "ok" in said


def test_self_test_at_every_start(start):
    """Protects the same at each start, in the mode that will be used."""
    for mode in ("sqpoll", "direct"):
        daemon = start({"engine": {"mode": mode}})
        assert daemon.wait_log("selftest")["result"] == "ok"


def test_memory_is_told(start, connect, mode):
    """Protects capacity planning (invariant 7): the sum told at start is that of its
    parts, and covers what is used with all connections at work and the rings
    written over."""
    daemon = start({"engine": {"mode": mode}, "slow": {"policy": "block"},
                    "connections": {"max": 16, "receive_buffer": "64K"},
                    "ring": {"size": "4M"}, "streams": {"max": 3, "ring": "2M"},
                    "message": {"buffers": 5, "max": "256K"}})
    line = daemon.wait_log("memory")
    kb = {key[:-3]: line.number(key) for key in line if key.endswith("_kb")}
    assert kb.pop("locked") == 2 * kb["ring"] == 8192
    assert kb["streams_max"] == 3 * 2048 and kb["receive_max"] == 16 * 64
    assert kb["buffers_max"] == 5 * 256 and kb["catchup_max"] == 16 * 256
    del kb["kernel_sockets_max"]
    total = kb.pop("total_max")
    assert 0 <= total - sum(kb.values()) < len(kb)  # each is rounded down
    told = total << 10
    bare = daemon.memory("RssAnon")
    subs = [connect(daemon) for _ in range(8)]
    for i, sub in enumerate(subs):
        sub.subscribe("trade" if i % 2 else "")
    feeds = [connect(daemon) for _ in range(7)]
    readers = [Reader(sub, lambda frame: False) for sub in subs]
    floods = [Flood(feed, Template(500), limit=400) for feed in feeds]
    for flood in floods:
        flood.finish()
    assert feeds[0].sync("") == kdb.NIL
    # a ring is mapped twice, and counted twice by RssShmem
    used = daemon.memory("RssAnon") - bare + daemon.memory("RssShmem") // 2
    assert used < told, (used, told)
    for reader in readers:
        assert not reader.failure


def one_line(done, status):
    assert done.returncode == status, (done.returncode, done.stderr)
    rows = [row for row in done.stderr.splitlines()
            if not row.startswith(("<6>", "<5>"))]
    assert len(rows) == 1, done.stderr
    return rows[0]


def test_port_in_use(tmp_path):
    """Protects the operator: which port, and the command that shows who has
    it."""
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    config = write_config(tmp_path / "c.conf")
    said = one_line(run("-c", config, "-p", port), 1)
    taken.close()
    assert str(port) in said and ("ss " in said or "lsof" in said), said


def test_unix_name_in_use(tmp_path):
    """Protects clients on this host from reaching another process: the abstract
    name of the port must be ours."""
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    squatter = socket.socket(socket.AF_UNIX)
    squatter.bind(b"\0/tmp/kx.%d" % port)
    squatter.listen()
    said = one_line(run("-c", write_config(tmp_path / "c.conf"), "-p", port), 1)
    squatter.close()
    assert "kx.%d" % port in said, said


def test_address_that_is_not_ours(tmp_path):
    """Protects the same for an address of another host."""
    for address, status in (("192.0.2.1", 1), ("not an address", 78)):
        config = write_config(tmp_path / "c.conf", {"listen": {"address": address}})
        assert address in one_line(run("-c", config), status)


@pytest.fixture
def public_dir():
    """A directory that another user can read, with the daemon in it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ringtick-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("mode", ["sqpoll", "direct"])
def test_memlock_too_low(public_dir, mode, monkeypatch):
    """Protects the first start as a normal user: a ring that does not fit into
    RLIMIT_MEMLOCK is refused in one line that names the limit and the command;
    with a normal user's 8 MiB the 2 MiB ring of ./demo.sh starts."""
    shutil.copy(daemon_module.find_ringtickd(), public_dir / "ringtickd")
    (public_dir / "ringtickd").chmod(0o755)
    monkeypatch.setenv("RINGTICKD", str(public_dir / "ringtickd"))
    config = write_config(public_dir / "c.conf",
                          {"ring": {"size": "2M"}, "engine": {"mode": mode}})
    config.chmod(0o644)
    user = []
    if os.geteuid() == 0:
        # One user each: the kernel gives a user's locked memory back only some
        # time after the process that had it has ended.
        uid = {"sqpoll": 65533, "direct": 65534}[mode]
        user = ["setpriv", "--reuid=%d" % uid, "--regid=65534", "--clear-groups"]
    low = ["prlimit", "--memlock=2097152:2097152", *user]
    said = one_line(run("-c", config, wrap=low, cwd="/"), 75)
    assert "memlock" in said.lower() and any(
        command in said for command in ("ulimit -l", "prlimit", "LimitMEMLOCK")), said
    if os.geteuid() != 0:
        return  # this user's other daemons count against the limit
    enough = ["prlimit", "--memlock=8388608:8388608", *user]
    one = daemon_module.Daemon(public_dir, {"ring": {"size": "2M"},
                                            "engine": {"mode": mode}}, wrap=enough)
    try:
        one.stop()
    finally:
        one.abandon()


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


IO_URING_SETUP, IO_URING_ENTER, IO_URING_REGISTER = 425, 426, 427


def without_call(number, error, second=None):
    """For preexec: a seccomp filter that fails a system call with `error`; only
    where its second argument is that one, if one is given."""
    rows = [(0x20, 0, 0, 0),  # load the number of the system call
            (0x15, 0, 1, number),
            (0x06, 0, 0, 0x00050000 | error),  # SECCOMP_RET_ERRNO
            (0x06, 0, 0, 0x7FFF0000)]  # SECCOMP_RET_ALLOW
    if second is not None:
        rows[1:2] = [(0x15, 0, 3, number), (0x20, 0, 0, 24), (0x15, 0, 1, second)]
    code = b"".join(struct.pack("HBBI", *row) for row in rows)
    libc = ctypes.CDLL(None)

    def apply():
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        libc.prctl(22, 2, ctypes.byref(_Filter(len(rows), code)), 0, 0)  # PR_SET_SECCOMP
    return apply


REGISTER_BUFFERS = 0


@pytest.mark.parametrize("mode,call", [
    ("direct", (IO_URING_SETUP, errno.ENOMEM)),
    ("sqpoll", (IO_URING_REGISTER, errno.ENOMEM, REGISTER_BUFFERS))])
def test_no_memory_where_locking_is_free(tmp_path, mode, call):
    """Protects from advice that the unit has taken already: where memory may be
    locked without a limit, it is the memory itself that is missing."""
    unlimited = (resource.RLIM_INFINITY,) * 2
    if os.geteuid() != 0 and resource.getrlimit(resource.RLIMIT_MEMLOCK) != unlimited:
        pytest.skip("this user's locked memory has a limit")
    config = write_config(tmp_path / "c.conf", {"engine": {"mode": mode}})
    said = one_line(run("-c", config, preexec_fn=without_call(*call)), 75)
    assert "MemoryMax=" in said
    assert "MEMLOCK" not in said and "ulimit" not in said


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS, errno.EACCES])
def test_no_io_uring(tmp_path, error):
    """Protects operators in a container or on a hardened host: one line says that
    io_uring is forbidden or missing, what forbids it, and what to change."""
    done = run("-c", write_config(tmp_path / "c.conf"),
               preexec_fn=without_call(IO_URING_SETUP, error))
    said = one_line(done, 78)
    assert "io_uring" in said
    if error == errno.ENOSYS:
        assert "kernel" in said
    else:
        assert "seccomp" in said or "io_uring_disabled" in said, said


@pytest.mark.parametrize("mode", MODES)
def test_each_call_of_io_uring(tmp_path, mode):
    """Protects the reader of doc/security.md: of the three calls each is needed, and
    the line names the one that is missing."""
    config = write_config(tmp_path / "c.conf", {"engine": {"mode": mode}})
    for number, name in ((IO_URING_SETUP, "io_uring_setup"),
                         (IO_URING_ENTER, "io_uring_enter"),
                         (IO_URING_REGISTER, "io_uring_register")):
        done = run("-c", config, preexec_fn=without_call(number, errno.EPERM))
        assert "ringtickd: %s is not permitted" % name in one_line(done, 78)


def test_socket_activation(start, connect):
    """Protects ringtick.socket: a listening socket handed over by systemd is
    used, and STATUS tells its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    # What systemd does between fork and exec: descriptor 3, and whose it is.
    script = ("import os, sys; os.dup2(int(sys.argv[1]), 3, inheritable=True); "
              "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
              "os.execv(sys.argv[2], sys.argv[2:])")
    daemon = start({"listen": {"port": 1, "unix_socket": False}},
                   wrap=[sys.executable, "-c", script, str(listening.fileno())],
                   pass_fds=[listening.fileno()])
    assert daemon.port == listening.getsockname()[1]
    listening.close()
    assert connect(daemon).sync("") == kdb.NIL


def test_ipv6(start):
    """Protects hosts without IPv4: an IPv6 address is an address."""
    try:
        probe = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    probe.close()
    daemon = start({"listen": {"address": "::1"}})
    with socket.create_connection(("::1", daemon.port), timeout=10) as sock:
        sock.sendall(b"six:pw\x03\0")
        assert sock.recv(16) == b"\x03"
        assert "::1" in daemon.wait_log("connect", user="six")["peer"]
    for host in ("::1", "[::1]"):
        subprocess.run([find_ringtick(), "feed", "-h", host, "-p", str(daemon.port),
                        "--count", "1"], check=True, stderr=subprocess.DEVNULL)
    assert daemon.summary().number("in_records") == 2


def test_watchdog(start, connect):
    """Protects against a hang that is not noticed: with WatchdogSec= the daemon
    says WATCHDOG=1 twice in that time, idle too, and not with each turn."""
    began = time.monotonic()
    daemon = start({"log": {"report": "1h"}}, environment={"WATCHDOG_USEC": "400000"})
    times = []

    def look():
        while len(times) < daemon.notes.count("WATCHDOG=1"):
            times.append(time.monotonic())
        return True if len(times) >= 6 else None
    daemon._await(look, 20, "six WATCHDOG=1")
    # Each may be late on a busy machine, but not all of them.
    assert min(b - a for a, b in zip(times, times[1:])) < 0.36
    client = connect(daemon)
    for _ in range(200):
        assert client.sync("") == kdb.NIL
    spent = time.monotonic() - began
    assert daemon.notes.count("WATCHDOG=1") <= spent / 0.2 + 1


def test_defaults_of_the_tests_are_valid(tmp_path):
    """Protects the tests: their own configuration has what it says."""
    assert merged(DEFAULTS, {"ring": {"size": "2M"}})["listen"]["port"] == 0
    assert QUOTE["name"] in libconfig(DEFAULTS)
