#!/usr/bin/env python3
"""The cells of bench/compare_brokers.sh: peers take turns, results go to a file of JSON
lines.

A peer is started once and stays, pinned to core 0 (with --free: to none); the load
generator runs on core 1.  A peer that spins is started for its own cell only."""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SIZES, SUBS = (100, 1024, 16384, 262144), (1, 4, 16, 64)
SCHEMA = """schema = { tables = (
	{ name = "trade"; columns = ( "time timestamp", "sym symbol g", "price float",
		"size long", "cond symbol" ); } ); };
"""

parser = argparse.ArgumentParser()
parser.add_argument("--build", required=True, help="where the programs are")
parser.add_argument("--out", required=True, help="file of JSON lines")
parser.add_argument("--scratch", default="/tmp", help="the journals' place")
parser.add_argument("--stages", default="verify,tput,journal,latency,slow,calls")
parser.add_argument("--quick", action="store_true")
parser.add_argument("--free", action="store_true", help="pin no process")
parser.add_argument("--reps", type=int)
parser.add_argument("--secs", type=float)
parser.add_argument("--peers", default="")
parser.add_argument("--also", default="",
                    help="peers that the stages leave out: epoll-vmsplice")
parser.add_argument("--sizes", default="")
parser.add_argument("--subs", default="")
parser.add_argument("--set", action="append", default=[],
                    help="a setting for every ringtick: engine.span_max='\"256K\"'")
parser.add_argument("--ringtickd", help="another daemon than that of the build")
parser.add_argument("--limit", type=float, default=1140, help="seconds in all")
A = parser.parse_args()
BUILD = pathlib.Path(A.build).resolve()
RINGTICKD = A.ringtickd or str(BUILD / "ringtickd")
BEGAN = time.monotonic()
scratch = pathlib.Path(tempfile.mkdtemp(prefix="ringtick-bench.", dir=A.scratch))
congestion = open("/proc/sys/net/ipv4/tcp_congestion_control").read().strip()
out = open(A.out, "a", buffering=1)


# ---- peers ----

class Peer:
    def __init__(self, name, protocol, argv, spins=False, ready=None, needs=None):
        self.name, self.protocol, self.argv = name, protocol, argv
        self.spins, self.needs = spins, needs
        self.process = self.port = None

    def start(self):
        self.stop()
        self.port = free_ports()
        self.process = subprocess.Popen(
            self.argv(self), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(scratch / (self.name + ".log"), "w"), cwd=scratch,
            preexec_fn=None if A.free else lambda: os.sched_setaffinity(0, {0}))
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("%s does not start:\n%s" % (self.name, (
                        scratch / (self.name + ".log")).read_text()[-2000:]))
                time.sleep(0.02)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        for path in scratch.glob(self.name + ".journal*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def free_ports():
    """A port that is free, and so is the next (for the publisher of ZeroMQ)."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                pass


def ringtick(mode, journal=False, spins=False, **settings):
    def argv(peer):
        changes = dict(settings, **{"engine.mode": '"%s"' % mode})
        changes.update(one.split("=", 1) for one in A.set)
        if journal:
            folder = scratch / (peer.name + ".journal")
            folder.mkdir()
            changes["journal.directory"] = '"%s"' % folder
        if spins:
            changes.update({"engine.spin": '"10s"', "engine.sq_idle": '"10s"'})
        groups = {"listen": {"port": peer.port}}
        for name, value in changes.items():
            group, key = name.split(".")
            groups.setdefault(group, {})[key] = value
        path = scratch / (peer.name + ".conf")
        path.write_text(SCHEMA + "".join(
            "%s = { %s };\n" % (group, " ".join("%s = %s;" % row for row in rows.items()))
            for group, rows in groups.items()))
        return [RINGTICKD, "-c", str(path)]
    return argv


def relay(*options, journal=False):
    def argv(peer):
        to = ["-j", str(scratch / (peer.name + ".journal"))]
        return [str(BUILD / "bench/plain_relay"), "-p", str(peer.port), *options,
                *(to if journal else [])]
    return argv


def redis(*limit):
    return lambda peer: [
        "redis-server", "--port", str(peer.port), "--bind", "127.0.0.1", "--save", "",
        "--appendonly", "no", "--dir", str(scratch), *limit]


UNLIMITED = ("--client-output-buffer-limit", "pubsub 0 0 0")
PEERS = {peer.name: peer for peer in (
    Peer("sqpoll", "ringtick", ringtick("sqpoll")),
    Peer("direct", "ringtick", ringtick("direct")),
    Peer("epoll", "kdb", relay()),
    # As many bytes to each subscriber as of ringtick, whose table is longer.
    Peer("epoll+31", "kdb", relay()),
    Peer("redis", "redis", redis(*UNLIMITED), needs="redis-server"),
    Peer("nats", "nats", lambda peer: ["nats-server", "-a", "127.0.0.1", "-p", str(peer.port)],
         needs="nats-server"),
    Peer("zeromq", "zmtp", lambda peer: [str(BUILD / "bench/zeromq_proxy"), str(peer.port + 1),
                                         str(peer.port), "0"],
         needs=str(BUILD / "bench/zeromq_proxy")),
    Peer("sqpoll+j", "ringtick", ringtick("sqpoll", journal=True)),
    Peer("direct+j", "ringtick", ringtick("direct", journal=True)),
    Peer("epoll+j", "kdb", relay(journal=True)),
    Peer("sqpoll-spin", "ringtick", ringtick("sqpoll", spins=True), spins=True),
    Peer("direct-spin", "ringtick", ringtick("direct", spins=True), spins=True),
    Peer("epoll-spin", "kdb", relay("-b"), spins=True),
    Peer("epoll-vmsplice", "kdb", relay("-v")),
    # As a user starts it: with the limit that cuts slow readers off.
    Peer("redis-limited", "redis", redis(), needs="redis-server"),
    Peer("zeromq-hwm", "zmtp", lambda peer: [str(BUILD / "bench/zeromq_proxy"), str(peer.port + 1),
                                             str(peer.port), "1000"],
         needs=str(BUILD / "bench/zeromq_proxy")),
)}
missing = set()


def peers(names):
    """The peers of these names that are here and wanted; says once which are not here."""
    wanted = [name for name in A.peers.split(",") if name]
    also = [name for name in A.also.split(",") if name]
    found = []
    for name in names + [name for name in also if name not in names]:
        peer = PEERS[name]
        if wanted and name not in wanted + also:
            continue
        if peer.needs and not shutil.which(peer.needs):
            if peer.needs not in missing:
                print("skipped: %s is not here" % peer.needs, file=sys.stderr)
            missing.add(peer.needs)
            continue
        found.append(peer)
    return found


# ---- cells ----

def is_over():
    return time.monotonic() - BEGAN > A.limit


def busy_ticks():
    row = [int(n) for n in open("/proc/stat").readline().split()[1:8]]
    return row[0] + row[1] + row[2] + row[5] + row[6]


waited = 0.0


def gate():
    """Waits, for a while in all, until the rest of the machine is quiet."""
    global waited
    limit = 5 if A.quick else 60
    while waited < limit and not any(p.spins and p.process for p in PEERS.values()):
        before = busy_ticks()
        time.sleep(0.05)
        waited += 0.05
        if busy_ticks() - before <= 2:
            return


def cell(stage, peer, rep, **options):
    """Runs the load generator against a peer; a result that fails is void."""
    gate()
    if peer.process is None or peer.process.poll() is not None:
        peer.start()
    argv = [str(BUILD / "bench/load_generator"), "-proto", peer.protocol, "-port", str(peer.port),
            "-bpid", str(peer.process.pid)]
    argv += ["-cpu", "-1", "-bcore", "-1"] if A.free else ["-cpu", "1"]
    if peer.protocol == "zmtp":
        argv += ["-pport", str(peer.port + 1)]
    sent = dict(options)
    if peer.name == "epoll+31":
        sent["size"] += 31
    for key, value in sent.items():
        argv += ["-" + key, str(value)]
    ended = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           cwd=scratch)
    try:
        result = json.loads(ended.stdout)
    except ValueError:
        result = {"error": (ended.stderr or ended.stdout).strip()[-200:],
                  "size": options["size"], "subs": options["subs"]}
    result["size"] = options["size"]
    result.update(stage=stage, peer=peer.name, rep=rep, cc=congestion, free=A.free,
                  **{key: value for key, value in options.items()
                     if key in ("rate", "secs")})
    out.write(json.dumps(result) + "\n")
    if (peer.spins and stage != "calls") or "error" in result or result.get("stall") or result.get("lost"):
        peer.stop()
    if stage == "slow" or result.get("rss", 0) > 1500000:
        peer.stop()
    print("%6.1f %-8s %-14s %7d x%-3d %s" % (
        time.monotonic() - BEGAN, stage, peer.name, result["size"], result["subs"],
        result.get("error") or " ".join(
            "%s=%s" % (key, result[key]) for key in
            ("rate", "mps", "mbps", "bcpu_gb", "syscpu_gb", "p50", "p99", "p999", "maxgap_ms",
             "rss", "lost", "stall", "ok", "other") if key in result)), file=sys.stderr)
    return result


def numbers(text, default):
    return tuple(int(n) for n in text.split(",")) if text else default


def alternate(stage, names, cells, reps, **options):
    found = peers(names)
    for rep in range(A.reps or reps):
        for one in cells:
            order = list(found)
            random.Random(repr((rep, one))).shuffle(order)
            for peer in order:
                if peer.name == "epoll+31" and one["size"] != 100:
                    continue
                if is_over():
                    print("out of time in %s" % stage, file=sys.stderr)
                    return
                cell(stage, peer, rep, **one, **options)
    for peer in found:
        peer.stop()


def verify():
    names = ["sqpoll", "direct", "sqpoll+j", "direct+j", "epoll", "epoll+j", "redis", "nats",
             "zeromq"]
    sizes = (100, 16384) if A.quick else SIZES
    alternate("verify", names, [{"size": size} for size in numbers(A.sizes, sizes)], 1,
              mode="verify", subs=4)


def tput():
    names = ["sqpoll", "direct", "epoll", "epoll+31", "redis", "nats", "zeromq", "sqpoll+j",
             "direct+j", "epoll+j"]
    sizes, subs = (SIZES, SUBS) if not A.quick else ((100, 16384), (1, 4))
    if A.quick and not A.peers:
        names = ["sqpoll", "direct", "epoll", "epoll+31", "nats", "direct+j", "epoll+j"]
    alternate("tput", names,
              [{"size": size, "subs": n} for size in numbers(A.sizes, sizes)
               for n in numbers(A.subs, subs)],
              2 if A.quick else 3, mode="tput", secs=A.secs or (0.3 if A.quick else 0.4))


def journal():
    """Much more than the page cache takes in without slowing anybody down."""
    alternate("journal", ["direct+j", "sqpoll+j", "epoll+j", "direct", "epoll"],
              [{"size": 1024, "subs": 1}], 1 if A.quick else 3, mode="tput",
              secs=1 if A.quick else 4, capmb=16384)


def latency():
    names = ["sqpoll", "direct", "sqpoll-spin", "direct-spin", "epoll", "epoll-spin", "redis",
             "nats", "zeromq"]
    if A.quick and not A.peers:
        names = ["sqpoll", "direct", "direct-spin", "epoll", "epoll-spin"]
    if os.cpu_count() < 4:
        # Three threads that spin on two CPUs wait for each other's time slices.
        print("skipped: sqpoll-spin has not enough CPUs here", file=sys.stderr)
        names.remove("sqpoll-spin") if "sqpoll-spin" in names else None
    rates = (10000,) if A.quick else (1000, 10000, 100000)
    alternate("latency", names,
              [{"rate": rate, "subs": n} for rate in rates
               for n in ((1,) if A.quick else (1, 4))],
              1 if A.quick else 3, mode="lat", size=100, secs=0.8)


def slow():
    names = ["sqpoll", "direct", "direct+j", "epoll", "redis-limited", "zeromq-hwm", "nats"]
    if A.quick:
        names = ["direct", "epoll"]
    for mode in ("tput", "slow"):
        alternate("before" if mode == "tput" else "slow", names, [{"size": 1024, "subs": 4}],
                  1 if A.quick else 2, mode=mode, secs=1 if A.quick else 2, capmb=2048)


# ---- system calls ----

def counted(peer, **options):
    """System calls of the peer's threads during a cell, by perf, else by strace.
    A process that is watched by perf runs as fast as without."""
    if peer.process is None:
        peer.start()
    pid, report = str(peer.process.pid), str(scratch / "calls")
    if shutil.which("perf"):
        argv = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", pid, "-o", report]
    elif shutil.which("strace"):
        argv = ["strace", "-f", "-c", "-U", "calls,name", "-o", report, "-p", pid]
    else:
        print("skipped: neither perf nor strace is here", file=sys.stderr)
        return
    watcher = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.2)
    result = cell("calls", peer, 0, mode="tput", **options)
    watcher.send_signal(signal.SIGINT)
    watcher.wait()
    text = open(report).read()
    if argv[0] == "perf":
        found = re.search(r"^(\d+),", text, re.M)
        calls = int(found.group(1)) if found else None
    else:
        found = re.search(r"(\d+) total", text)
        calls = int(found.group(1)) if found else 0
    if calls is not None and result.get("msgs"):
        out.write(json.dumps({"stage": "syscalls", "peer": peer.name, "size": result["size"],
                              "subs": result["subs"], "by": argv[0], "calls": calls,
                              "msgs": result["msgs"],
                              "per_million": calls / result["msgs"] * 1e6}) + "\n")


def calls():
    names = ["sqpoll", "sqpoll-spin", "direct", "direct+j", "epoll", "redis", "nats", "zeromq"]
    if A.quick:
        names = ["sqpoll", "sqpoll-spin", "direct", "epoll"]
    for peer in peers(names):
        for subs in (1,) if A.quick else (1, 16):
            if not is_over():
                counted(peer, size=100, subs=subs, secs=0.6)
        peer.stop()


try:
    for stage in A.stages.split(","):
        {"verify": verify, "tput": tput, "journal": journal, "latency": latency,
         "slow": slow, "calls": calls}[stage]()
finally:
    for one in PEERS.values():
        one.stop()
    shutil.rmtree(scratch, ignore_errors=True)
    out.write(json.dumps({"stage": "end", "seconds": round(time.monotonic() - BEGAN),
                          "waited": round(waited), "missing": sorted(missing),
                          "cc": congestion}) + "\n")
