"""The journal seen from outside: its file, read with the harness's own codec.

Nothing here knows the C code: what a record is comes from wire.md section 5 and
tick-contract.md section 3.
"""

import datetime
import os
import pathlib
import shutil
import struct
import subprocess
import time

import kdb
import pytest
from daemon import merged
from traffic import NAMES, published, quote, trade

HEADER = bytes.fromhex("ff01000000000000")

JOIN = "(.u.sub[`;`];.u `i`L)"
JOIN_TRADE = "(.u.sub[`trade;`];.u `i`L)"
JOIN_QUOTE = "(.u.sub[`quote;`];.u `i`L)"


# ---- the daemon's settings ----


def noon_zone():
    """An offset at which it is about noon, so that no test meets an end of the day
    unasked."""
    ahead = 12 - time.gmtime().tm_hour
    return "%s%02d:00" % ("-" if ahead < 0 else "+", abs(ahead))


def settings(directory, changes=None, sync=None, after=None, **journal):
    """Changes for start(): a journal in this directory."""
    journal["directory"] = str(directory)
    if sync is not None:
        journal["sync"] = sync
    base = {"journal": journal, "day": {"zone": noon_zone()}}
    if after is not None:
        base["publish"] = {"after": after}
    return merged(base, changes or {})


def date_text(day):
    date = datetime.date(2000, 1, 1) + datetime.timedelta(days=day)
    return date.strftime("%Y.%m.%d")


def path_of(directory, day, name="sym"):
    return pathlib.Path(os.path.realpath(directory)) / (name + date_text(day))


def local_day(zone):
    """The date in a zone of noon_zone's form."""
    hours, minutes = zone[1:].split(":")
    ahead = (int(hours) * 60 + int(minutes)) * 60
    now = time.time() + (ahead if zone[0] == "+" else -ahead)
    return int(now // 86400) - 10957


def path_now(directory):
    """The name of today's file of a daemon with settings(directory)."""
    return path_of(directory, local_day(noon_zone()))


# ---- records ----


def record(name, columns):
    """The record of an update with these columns."""
    return kdb.encode(kdb.lst(kdb.sym("upd"), kdb.sym(name), columns))


def _lengths(name, columns):
    whole = published(name, columns.items)
    head = record(name, kdb.lst())[:-6]
    return head, len(whole) - len(kdb.encode(columns))


_KNOWN = {b"trade": _lengths("trade", trade(0)), b"quote": _lengths("quote", quote(0))}


def table_of(frame):
    """The table's name in a published frame."""
    return frame[20 : frame.index(b"\0", 20)]


def record_of(frame):
    """The record that belongs to a published frame: the same columns, without
    the names around them."""
    head, columns_at = _KNOWN[table_of(frame)]
    return head + frame[columns_at:]


def end_frame(day):
    return kdb.frame(kdb.lst(kdb.sym(".u.end"), kdb.atom("d", day)))


class File:
    """A journal file: its records as bytes, the end of each, and the bytes after the
    last whole one (.torn; b"" in a file at rest)."""

    def __init__(self, path, at=len(HEADER), data=None):
        self.path = pathlib.Path(path)
        self.data = self.path.read_bytes() if data is None else data
        assert self.data[: len(HEADER)] == HEADER, (
            "no journal: %s" % self.data[:16].hex())
        self.records, self.tables, self.ends = [], [], []
        decoder = kdb._Decoder(self.data, False)
        end = len(self.data)
        while at < end:
            decoder.at = at
            try:
                value = decoder.get()
            except kdb.Malformed:
                break
            if not _is_update(value):
                break
            self.records.append(self.data[at : decoder.at])
            self.tables.append(value.items[1].text)
            self.ends.append(decoder.at)
            at = decoder.at
        self.good_bytes = at
        self.torn = self.data[at:]

    def __len__(self):
        return len(self.records)

    def whole(self):
        assert self.torn == b"", "%d records, then %d bytes that are none: %s" % (
            len(self), len(self.torn), self.torn[:40].hex())
        return self


def _is_update(value):
    return (isinstance(value, kdb.List) and len(value) == 3
            and value.items[0] == kdb.sym("upd")
            and isinstance(value.items[1], kdb.Symbol)
            and isinstance(value.items[2], (kdb.List, kdb.Table)))


def read(path):
    """A journal at rest: whole records and nothing else."""
    return File(path).whole()


def write(path, *records):
    path.write_bytes(HEADER + b"".join(records))
    return path


def vector(name):
    """One of the reference files in vectors.json, as bytes."""
    import json
    with open(kdb.vectors_path()) as file:
        return next(bytes.fromhex(v["hex"]) for v in json.load(file)
                    if v["name"] == name)


# ---- replies of the daemon ----


def count_and_path(client):
    """(.u.i, the path in .u.L), from the same moment."""
    i, handle = client.sync("(.u.i;.u.L)").items
    assert i.type == 7 and handle.text.startswith(b":/")
    return i.value, pathlib.Path(handle.text[1:].decode())


def join(client, asked=JOIN):
    """Subscribes as r.q does; returns .u.i and the path in .u.L from the reply."""
    reply = client.sync(asked)
    assert isinstance(reply, kdb.List), reply
    i, handle = reply.items[1].items
    return i.value, pathlib.Path(handle.text[1:].decode())


# ---- disks that fill, and a clock that jumps ----


class SmallDisk:
    """A tmpfs of a given size in bytes, which this process can fill and enlarge."""

    def __init__(self, path, size):
        self.path = pathlib.Path(path)
        self.path.mkdir()
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=%d" % size, "tmpfs", str(path)],
            stderr=subprocess.PIPE, text=True)
        if made.returncode != 0:
            pytest.skip("cannot mount a tmpfs: " + made.stderr.strip())

    def resize(self, size):
        subprocess.run(["mount", "-o", "remount,size=%d" % size, str(self.path)],
                       check=True)

    def free(self):
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave=0):
        """Fills it until only so many bytes are free."""
        with open(self.path / "ballast", "ab", buffering=0) as file:
            while self.free() > leave:
                file.write(bytes(min(4096, self.free() - leave)))

    def close(self):
        subprocess.run(["umount", "-l", str(self.path)], check=True)


_SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long long *ahead_s;
static int follows_ends;


__attribute__((constructor)) static void
open_clock(void)
{
	int fd = open(getenv("RINGTICK_TEST_CLOCK"), O_RDWR | O_CLOEXEC);

	ahead_s = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	follows_ends = getenv("RINGTICK_TEST_ENDS") != NULL;
	close(fd);
}

/* A day that was ended by hand is over: the line says that it was. */
ssize_t
write(int fd, const void *at, size_t len)
{
	if (follows_ends && memmem(at, len, "event=end_of_day ", 17) != NULL)
		*ahead_s += 86400;
	return syscall(SYS_write, fd, at, len);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int res = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME && ahead_s != NULL && ahead_s != MAP_FAILED)
		ts->tv_sec += *ahead_s;
	return res;
}
"""


class Clock:
    """A wall clock for daemons that can be set while they run; or, for many ends of
    days by hand, one that moves on by a day with each."""

    def __init__(self, directory):
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("there is no C compiler to make a clock with")
        source, self.library = directory / "clock.c", directory / "clock.so"
        self.file = directory / "clock"
        source.write_text(_SHIM)
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(self.library),
                        str(source)], check=True)
        self.file.write_bytes(bytes(8))

    def environment(self, follows_ends=False):
        return {**({"RINGTICK_TEST_ENDS": "1"} if follows_ends else {}),
                "LD_PRELOAD": str(self.library),
                "RINGTICK_TEST_CLOCK": str(self.file),
                "ASAN_OPTIONS": "verify_asan_link_order=0:" +
                os.environ.get("ASAN_OPTIONS", "")}

    def set_ahead(self, seconds):
        """Sets the clock so many seconds ahead of (or behind) the true time."""
        with open(self.file, "r+b") as file:
            file.write(struct.pack("<q", seconds))

    def set_before_the_end(self, day, seconds):
        """Sets the clock so many seconds before the end in UTC of a day (since
        2000.01.01); negative: after it."""
        end = (day + 1 + 10957) * 86400
        self.set_ahead(round(end - seconds - time.time()))

    def set_days(self, days):
        self.set_ahead(days * 86400)
