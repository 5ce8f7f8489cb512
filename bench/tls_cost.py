#!/usr/bin/env python3
"""What TLS in front costs one subscriber.

bench/tls_cost.py BUILD_DIR [ROUNDS (5)]

Ways: `plain` (TCP to ringtick), `haproxy without TLS` (the hop alone), `hitch` and
`haproxy` (TLS 1.3, set up as the tests of doc/tls.md do it, over the socket file).  The
feed is `ringtick feed`, over plain TCP; the subscriber is this process, Python's ssl over
the system's OpenSSL, which decrypts and looks at nothing.  The ways take turns in each
round; figures are medians, and ratios of medians to plain.  Throughput: the feed as fast as
policy "block" lets it.  Latency: 500 updates of 100 B a second, from the time that they
were due.  CPU: of all processes of the terminator, for each GB that it passed on: of these
figures the one that other work on the machine spoils least.  A minute; needs hitch,
haproxy and openssl."""

import datetime
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
BUILD = pathlib.Path(sys.argv[1]).resolve()
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
os.environ["RINGTICKD"] = str(BUILD / "ringtickd")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/system"))

import kdb  # noqa: E402
import terminator  # noqa: E402
from daemon import Daemon  # noqa: E402

SECONDS = 1.5  # of each measurement
PIECE = 1 << 18
SIZES = (100, 16384)
WAYS = ("plain", "haproxy without TLS", "hitch", "haproxy")
CONFIG = {
    "schema": None, "ring": {"size": "16M"}, "connections": None, "streams": None,
    "engine": None, "log": None, "slow": {"policy": "block", "block_limit": "60s"},
    "auth": {"open": True}}


class WithoutTls(terminator.Terminator):
    """haproxy for the hop alone."""

    def dial(self, context):
        return kdb.dial(self.port)


def start_terminator(way, authority, pem):
    if way == "plain":
        return None
    if way != "haproxy without TLS":
        return terminator.Terminator(way, authority, pem, authority.path("tls"))
    with_tls = terminator.haproxy_cfg
    terminator.haproxy_cfg = lambda one: with_tls(one).replace("ssl crt %s" % pem, "")
    try:
        return WithoutTls("haproxy", authority, pem, authority.path("tls"))
    finally:
        terminator.haproxy_cfg = with_tls


def cpu_seconds(front):
    pids = [front.process.pid, *terminator.children(front.process.pid)]
    fields = [pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
              for pid in pids]
    return sum(int(row[11]) + int(row[12]) for row in fields) / os.sysconf("SC_CLK_TCK")


def feed(daemon, *options):
    return subprocess.Popen(
        [BUILD / "ringtick", "feed", "-p", str(daemon.port), *map(str, options)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def subscribe(daemon, front, authority):
    if front is None:
        client = kdb.Client(daemon.port)
    else:
        client = front.client(authority.client(), "user")
    client.subscribe("trade")
    return client


def throughput(daemon, front, authority, size):
    """(MB/s, CPU seconds a GB)"""
    client = subscribe(daemon, front, authority)
    feeding = feed(daemon, "--size", size, "--rate", 0)
    buffer, got = bytearray(PIECE), 0
    client.sock.recv_into(buffer)
    begin, cpu = time.monotonic(), front and cpu_seconds(front)
    while time.monotonic() < begin + SECONDS:
        got += client.sock.recv_into(buffer)
    took = time.monotonic() - begin
    cpu = cpu_seconds(front) - cpu if front else 0
    feeding.kill()
    feeding.wait()
    client.close()
    return got / took / 1e6, cpu / (got / 1e9)


def latency(daemon, front, authority):
    """The median in microseconds."""
    client = subscribe(daemon, front, authority)
    feeding = feed(daemon, "--size", 100, "--rate", 500, "--stamp",
                   "--count", int(500 * SECONDS))
    found = []
    for _ in range(int(500 * SECONDS)):
        frame = client.read_frame()
        now = datetime.datetime.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        due_ns, = struct.unpack_from("<q", frame, frame.index(b"\x10\0", kdb.HEADER) + 6)
        found.append((now - midnight).total_seconds() * 1e6 - due_ns / 1e3)
    feeding.wait()
    client.close()
    return statistics.median(found)


def measure(way, daemon, authority, pem, results):
    front = start_terminator(way, authority, pem)
    try:
        for size in SIZES:
            mb_s, cpu = throughput(daemon, front, authority, size)
            results[way, size, "rate"].append(mb_s)
            results[way, size, "cpu"].append(cpu)
        results[way, "p50"].append(latency(daemon, front, authority))
    finally:
        if front:
            front.kill()


def show(results):
    middle = {key: statistics.median(values) for key, values in results.items()}
    print("| way | 100 B, MB/s | to plain | 16 KiB, MB/s | to plain | p50, µs | to plain "
          "| CPU s a GB, 100 B | 16 KiB |\n" + "|---" * 9 + "|")
    for way in WAYS:
        cells = []
        for size in SIZES:
            rate = middle[way, size, "rate"]
            cells += ["%.0f" % rate, "%.2f" % (rate / middle["plain", size, "rate"])]
        p50 = middle[way, "p50"]
        cells += ["%.0f" % p50, "%.2f" % (p50 / middle["plain", "p50"])]
        cells += ["%.2f" % middle[way, size, "cpu"] for size in SIZES]
        print("| %s | %s |" % (way, " | ".join(cells)))


def main():
    results = {}
    for way in WAYS:
        results.update({(way, size, what): [] for size in SIZES for what in ("rate", "cpu")})
        results[way, "p50"] = []
    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
    print("Linux %s, %d CPUs, load before: %s, rounds: %d. On a machine that does other "
          "work read the ratios.\n" % (os.uname().release, os.cpu_count(), load, ROUNDS))
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # hitch runs as nobody
        authority = terminator.Authority(folder)
        pem = authority.sign(terminator.HOST)
        listen = [{"port": 0}, {"address": "", "unix_path": str(authority.path("tls")),
                                "unix_mode": "0666", "proxy": True}]
        schema = str(pathlib.Path(__file__).resolve().parents[1] / "etc/sym.q")
        daemon = Daemon(folder, {**CONFIG, "listen": listen, "schema": schema})
        try:
            for _ in range(ROUNDS):
                for way in WAYS:
                    measure(way, daemon, authority, pem, results)
            daemon.stop()
        finally:
            daemon.abandon()
    show(results)


main()
