"""What the daemon and the tools find when they start: closed descriptors, early
signals, limits, refused calls, sockets that others made."""

import errno
import fcntl
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys

import journal
import pytest
from daemon import find_ringtickd, run, write_config
from kdb import NIL
from test_commands import IO_URING_ENTER, IO_URING_REGISTER, one_line, without_call
from test_tools import find_ringtick
from traffic import trade


def shim(directory, text, **environment):
    """For environment=: a library that replaces some functions of libc."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library, source = directory / "shim.so", directory / "shim.c"
    source.write_text(text)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)],
                   check=True)
    return dict(environment, LD_PRELOAD=str(library),
                ASAN_OPTIONS="verify_asan_link_order=0:"
                + os.environ.get("ASAN_OPTIONS", ""))


def closes(*numbers, before=lambda: None):
    """For preexec: these descriptors are not there."""
    def apply():
        before()
        for number in numbers:
            os.close(number)
    return apply


# ---- descriptors ----


def test_descriptors_are_closed(start, connect, folder):
    """Protects the journal: a caller that closes 0 to 2 must not make it, or a
    client's socket, the place where the log is written to."""
    # The harness awaits a start only as long as a process has the pipe.
    keep = os.open("/dev/null", os.O_RDONLY)
    daemon = start(journal.settings(folder), pass_fds=[keep],
                   preexec=closes(0, 1, 2, before=lambda: os.dup2(2, keep)))
    os.close(keep)
    assert [os.readlink("/proc/%d/fd/%d" % (daemon.pid, n)) for n in range(3)] == (
        ["/dev/null"] * 3)
    client = connect(daemon)
    assert client.update("trade", trade(0)) == NIL
    daemon.signal(signal.SIGUSR1)  # lines for the log
    assert client.update("trade", trade(1)) == NIL
    assert journal.count_and_path(client) == (2, journal.path_now(folder))
    assert len(journal.read(journal.path_now(folder))) == 2


@pytest.mark.parametrize("closed", [(0, 1, 2), (1,), (2,)])
def test_descriptors_of_tools_are_closed(tmp_path, closed):
    """Protects files that a tool opens from what it would print; and output that
    is lost is no success."""
    path, out = tmp_path / "sym2026.11.22", tmp_path / "out"
    content = journal.HEADER + journal.record("trade", trade(0))
    path.write_bytes(content)
    done = subprocess.run(
        [find_ringtick(), "log", "--filter", "trade", "--out", str(out), str(path)],
        timeout=20, preexec_fn=closes(*closed), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert done.returncode == (2 if 1 in closed else 0)
    assert ("standard output" in done.stderr) == (closed == (1,))
    assert out.read_bytes() == path.read_bytes() == content


# ---- signals ----


_EARLY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <getopt.h>
#include <signal.h>

int
getopt_long(int argc, char *const *argv, const char *text,
	    const struct option *options, int *idx)
{
	int (*next)(int, char *const *, const char *, const struct option *,
		    int *) = dlsym(RTLD_NEXT, "getopt_long");

	raise(SIGUSR1);
	raise(SIGHUP);
	return next(argc, argv, text, options, idx);
}
"""


def test_early_signals(start, connect, tmp_path):
    """Protects from signals that come too early, and from SIGHUP at any time: the
    configuration is read again, nothing ends, and the next start finds a clean stop."""
    daemon = start(environment=shim(tmp_path, _EARLY))
    daemon.wait_log("consumers")
    daemon.wait_log("reload")
    mark = daemon.mark()
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("reload", after=mark)
    assert connect(daemon).update("trade", trade(0)) == NIL


# ---- limits ----


def file_limit(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_limit_of_files(tmp_path):
    """Protects from an end without a word (SIGXFSZ): `ulimit -f` is named, by
    the daemon and by a tool that writes."""
    done = run("-c", write_config(tmp_path / "c.conf"), preexec_fn=file_limit(65536))
    assert "ulimit -f" in one_line(done, 78)
    done = run("-c", write_config(tmp_path / "c.conf", journal.settings(tmp_path)),
               preexec_fn=file_limit(1 << 20))
    assert "ulimit -f" in one_line(done, 78)
    path, out = tmp_path / "sym2026.11.22", tmp_path / "out"
    journal.write(path, *[journal.record("trade", trade(n, 100)) for n in range(10)])
    done = subprocess.run(
        [find_ringtick(), "log", "--filter", "trade", "--out", str(out), str(path)],
        timeout=20, preexec_fn=file_limit(4096), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and "File too large" in done.stderr
    assert not out.exists()


def test_refused_calls(tmp_path):
    """Protects operators in a container: the error names the refused system call,
    and does not blame a kernel that sends wrong bytes, or too large a ring."""
    for mode in ("direct", "sqpoll"):
        config = write_config(tmp_path / "c.conf", {"engine": {"mode": mode}})
        for number, name in ((IO_URING_ENTER, "io_uring_enter"),
                             (IO_URING_REGISTER, "io_uring_register"),
                             (319, "memfd_create")):
            said = one_line(run("-c", config, preexec_fn=without_call(
                number, errno.EPERM)), 78)
            assert name + " is not permitted" in said and "seccomp" in said


# ---- sockets ----


ACTIVATE = """
import os, sys
count = int(sys.argv[1])
for n in range(count):
    os.dup2(int(sys.argv[2]), 3 + n, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_too_many_activation_sockets(tmp_path):
    """Protects the clients of a seventeenth ListenStream=, which the daemon would
    never accept."""
    listening = socket.create_server(("127.0.0.1", 0))
    number = fcntl.fcntl(listening, fcntl.F_DUPFD, 100)
    said = one_line(run("-c", write_config(tmp_path / "c.conf"), wrap=[
        sys.executable, "-c", ACTIVATE, "17", str(number)], pass_fds=[number]), 78)
    assert "17 sockets" in said and "16" in said and "ListenStream=" in said
    os.close(number)
    listening.close()


def congestions(name):
    with open("/proc/sys/net/ipv4/tcp_%s_congestion_control" % name) as file:
        return file.read().split()


def test_congestion_is_tried(start, connect, tmp_path):
    """Protects every TCP client: a congestion control that the kernel refuses is
    told at the start, and one that it takes is that of accepted sockets."""
    config = write_config(tmp_path / "c.conf",
                          {"connections": {"congestion": "nosuch"}})
    for arguments in ([], ["--check"]):
        said = one_line(run("-c", config, *arguments), 78)
        assert 'connections.congestion "nosuch"' in said
        assert "reno" in said and "tcp_nosuch" in said
    barred = set(congestions("available")) - set(congestions("allowed"))
    if barred and os.geteuid() == 0:
        name = barred.pop()
        config = write_config(tmp_path / "c.conf",
                              {"connections": {"congestion": name}})
        said = one_line(run("-c", config, wrap=[
            "setpriv", "--bounding-set=-net_admin"]), 78)
        assert "not permitted" in said and " ".join(congestions("allowed")) in said
    if shutil.which("ss") is None:
        return
    name = "reno"
    daemon = start({"connections": {"congestion": name}})
    connect(daemon)
    shown = subprocess.run(["ss", "-tinH", "sport = :%d" % daemon.port], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    assert re.search(r"\b%s\b" % name, shown), shown


def test_bracketed_address(start, connect):
    """Protects users who write an IPv6 address in brackets, as before a port."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    daemon = start({"listen": {"address": "[::1]"}})
    with socket.create_connection(("::1", daemon.port)) as client:
        client.sendall(b"me\3\0")
        assert client.recv(1) == b"\3"


# ---- a file that is cut meanwhile ----


CUTTER = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t
pread(int fd, void *at, size_t len, off_t off)
{
	struct stat about;

	/* not the configuration, which is short */
	if (len > 4096 && fstat(fd, &about) == 0 && about.st_size > 4096 &&
	    getenv("RINGTICK_TEST_CUT") != NULL)
		(void)!truncate(getenv("RINGTICK_TEST_CUT"), 4096);
	return syscall(SYS_pread64, fd, at, len, off);
}
"""


def test_file_is_cut_while_it_is_checked(start, folder, tmp_path):
    """Protects the operator's time: the line says what has happened; the next
    start takes the file as it is by then."""
    path = journal.path_now(folder)
    journal.write(path, *[journal.record("trade", trade(n, 100)) for n in range(100)])
    settings = journal.settings(folder)
    environment = shim(tmp_path, CUTTER, RINGTICK_TEST_CUT=str(path))
    said = one_line(run("-c", write_config(tmp_path / "c.conf", settings),
                        environment=environment), 1)
    assert str(path) in said and "was cut while it was checked" in said
    daemon = start(settings)
    assert daemon.wait_log("journal_torn")["records"] == "1"


def test_full_disk_and_a_torn_tail(start, tmp_path):
    """Protects the operator's time, and the tail: without room for its copy
    nothing is cut, and what is missing is room, not a disk that fails."""
    disk = journal.SmallDisk(tmp_path / "disk", 1 << 20)
    try:
        settings = journal.settings(disk.path)
        path = journal.path_now(disk.path)
        journal.write(path, journal.record("trade", trade(0)),
                      journal.record("trade", trade(0, 9000))[:-1])
        content = path.read_bytes()
        with open(disk.path / "ballast", "wb", buffering=0) as file:
            while disk.free() > 65536:
                file.write(bytes(4096))
        said = one_line(run("-c", write_config(tmp_path / "c.conf", settings)), 75)
        assert "torn tail" in said and "No space left" in said
        assert path.read_bytes() == content and not list(disk.path.glob("*.torn.*"))
        os.remove(disk.path / "ballast")
        daemon = start(settings)
        assert daemon.wait_log("journal_torn")["records"] == "1"
        daemon.stop()
    finally:
        disk.close()


# ---- the time zone ----


def test_time_zone(start, tmp_path):
    """Protects the end of the day: a zone that the system does not know is no
    silent UTC, and the log says which one is in force."""
    changes = {"day": {"zone": "local"}}
    config = write_config(tmp_path / "c.conf", changes)
    for arguments in ([], ["--check"]):
        said = one_line(run("-c", config, *arguments,
                            environment={"TZ": "europe/zurich"}), 78)
        assert 'TZ="europe/zurich"' in said and "day.zone" in said
    for zone, offset, place in (("XYZ-05:30", "+05:30", changes),
                                ("Nowhere", "-03:00", {"day": {"zone": "-03:00"}})):
        line = start(place, environment={"TZ": zone}).wait_log("zone")
        assert line["offset"] == offset and line["date"].startswith("20")
        assert line["from"] == (zone if place is changes else "day.zone")


# ---- output that is lost ----


def test_output_on_a_full_disk(start, connect, tmp_path):
    """Protects scripts: a tool that could not write its output has not succeeded,
    and does not continue for ever."""
    config = write_config(tmp_path / "c.conf")
    with open("/dev/full", "w") as full:
        for command, status in (([find_ringtickd(), "-c", str(config), "--check"], 1),
                                ([find_ringtickd(), "--help"], 1),
                                ([find_ringtick(), "--help"], 2),
                                ([find_ringtick(), "sub", "--help"], 2)):
            done = subprocess.run(command, timeout=20, stdout=full,
                                  stderr=subprocess.PIPE, text=True)
            assert done.returncode == status, (command, done.stderr)
            assert "standard output" in done.stderr
        daemon = start()
        for option in ("--print", "--rates"):
            mark = daemon.mark()
            process = subprocess.Popen(
                [find_ringtick(), "sub", option, "--port", str(daemon.port)],
                stdout=full, stderr=subprocess.PIPE, text=True)
            daemon.wait_log("subscribe", after=mark)
            assert connect(daemon).update("trade", trade(0)) == NIL
            _, wrong = process.communicate(timeout=20)
            assert process.returncode == 2 and "standard output" in wrong


# ---- what the operator has named ----


def test_names_in_the_log(start, connect, tmp_path):
    """Protects readers of the log's fields: a path with a space, a quote or
    an = in it is one value."""
    folder = tmp_path / 'my "own" a=b'
    folder.mkdir()
    path = journal.path_now(folder)
    journal.write(path, journal.record("trade", trade(0)),
                  journal.record("trade", trade(0))[:-1])
    daemon = start(journal.settings(folder))
    shown = str(path).replace('"', '\\"')
    for event in ("journal_recovered", "journal_torn", "journal"):
        line = daemon.wait_log(event)
        assert line["file"] == shown and line.number("records") == 1
        assert line.get("side_file") in (None, shown + ".torn.1")
        assert set(line) & {"a", "b"} == set()
    assert daemon.wait_log("journal")["last_stop"] == "unknown"
    os.remove(path)
    assert daemon.wait_log("journal_brought_back")["file"] == shown
    connect(daemon).sync(".u.endofday[]")
    line = daemon.wait_log("journal_rolled")
    assert line["old"] == shown and line["new"].startswith(shown[:-10])
    assert set(line) & {"a", "b"} == set()


def test_files_are_not_for_everybody(start, connect, folder):
    """Protects the contents of the journal: whatever the umask, only the owner and
    the group can read its files."""
    path = journal.path_now(folder)
    journal.write(path, journal.record("trade", trade(0)),
                  journal.record("trade", trade(0))[:-1])
    path.chmod(0o640)
    daemon = start(journal.settings(folder), preexec=lambda: os.umask(0))
    assert connect(daemon).update("trade", trade(0)) == NIL
    connect(daemon).sync(".u.endofday[]")
    daemon.wait_log("journal_rolled")
    modes = {one.name: oct(one.stat().st_mode & 0o777) for one in folder.iterdir()}
    assert len(modes) > 4 and set(modes.values()) == {"0o640"}, modes


def test_huge_pages_or_not(start):
    """Protects the start where no huge pages are to be had: it says so, and how to
    get them, and runs."""
    daemon = start({"ring": {"huge_pages": True, "size": "2M"}})
    pages = daemon.wait_log("memory")["ring_pages"]
    hints = [line["hint"] for line in daemon.logged("no_huge_pages")]
    assert hints == ([] if pages == "huge" else ["sysctl vm.nr_hugepages=1"])


# ---- core dumps ----


def dumped_bytes(daemon):
    """Of the rings, as the kernel would write them."""
    total, size, is_ring = 0, 0, False
    with open("/proc/%d/smaps" % daemon.pid) as file:
        for row in file:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", row):
                is_ring = "memfd:ringtick-ring" in row
            elif row.startswith("Size:"):
                size = int(row.split()[1]) * 1024
            elif row.startswith("VmFlags:") and is_ring and "dd" not in row.split():
                total += size
    return total


@pytest.mark.parametrize("in_core", [True, False])
def test_core_has_the_data_once(start, folder, in_core):
    """Protects the disk and the data: a core has the main ring once, or not, and
    no copies of what is in it."""
    daemon = start(journal.settings(folder, {"ring": {"in_core": in_core}}))
    assert dumped_bytes(daemon) == (1 << 20 if in_core else 0)
