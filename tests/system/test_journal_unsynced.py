"""A start after an fdatasync that failed: no byte in doubt is believed, all are
written anew.  (The failure itself is tested in tests/unit/journal/test_journal.c,
since no disk fails here.)"""

import os
import signal
import time

import daemon as daemon_module
import journal
import kdb
import pytest
from kdb import NIL
from test_claims import kill
from test_start import shim
from traffic import trade

ROWS = 4


@pytest.fixture
def folder(tmp_path):
    """Where O_DIRECT works, as it does on a disk."""
    found = tmp_path / "journal"
    found.mkdir()
    probe = found / "probe"
    probe.touch()
    try:
        os.close(os.open(probe, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        pytest.skip("no O_DIRECT in %s" % found)
    probe.unlink()
    return found


def leave(folder, records, text=None):
    """What a daemon leaves whose fdatasync failed after five records."""
    path = journal.path_now(folder)
    path.write_bytes(journal.HEADER + b"".join(records))
    off = len(journal.HEADER) + sum(map(len, records[:5]))
    note = folder / "sym.unsynced"
    note.write_text("ringtick unsynced 1\n%d 5 %s\n" % (off, path.name)
                    if text is None else text)
    return path, note, off


def refused(tmp_path, folder, environment=None, *options, **how):
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        journal.settings(folder, **how))
    done = daemon_module.run("-c", config, *options, timeout=20,
                             environment=environment)
    assert done.returncode == 74, (done.returncode, done.stderr)
    return done.stderr.splitlines()[-1]


def test_written_anew(start, connect, folder):
    """Protects accepted records: those that only the kernel believes to be on the
    disk are written once more, and are all there."""
    records = [journal.record("trade", trade(n, ROWS)) for n in range(3000)]
    path, note, off = leave(folder, records)
    daemon = start(journal.settings(folder))
    line = daemon.wait_log("journal_rewritten")
    assert line["file"] == str(path) and line.number("from_byte") == off
    assert line.number("from_record") == 5
    assert line.number("bytes") == path.stat().st_size - off
    assert not note.exists()
    client = connect(daemon)
    assert journal.count_and_path(client) == (3000, path)
    assert journal.read(path).records == records
    client.close()
    daemon.stop()
    again = start(journal.settings(folder))
    assert not again.logged("journal_rewritten")


def test_lost_inside_a_record(tmp_path, start, folder):
    """Protects from records that are whole to the eye: a block of zeros in the
    part in doubt is shown to the operator first."""
    records = [journal.record("trade", trade(n, ROWS)) for n in range(5)]
    sizes = kdb.vec("j", [0] * 4096)
    times, names, prices, _ = trade(5, 4096).items
    records.append(journal.record("trade", kdb.lst(times, names, prices, sizes)))
    records.append(journal.record("trade", trade(6, ROWS)))
    path, note, _ = leave(folder, records)
    for _ in range(2):
        said = refused(tmp_path, folder)
        assert str(path) in said and "zeros" in said and str(note) in said
    note.unlink()
    start(journal.settings(folder))


def test_note_that_cannot_be_read(tmp_path, folder):
    """Protects from guessing: a note by a newer daemon, or half of one."""
    records = [journal.record("trade", trade(n, ROWS)) for n in range(9)]
    for text in ("", "ringtick unsynced 1\n", "ringtick unsynced 3\n8 0 sym\n",
                 "ringtick unsynced 1\n8 0 ../sym\n"):
        path, note, _ = leave(folder, records, text)
        said = refused(tmp_path, folder)
        assert str(note) in said and "cannot be read" in said


def test_file_moved_away(start, folder):
    """Protects the operator's way out: a file that was moved away is not missed."""
    records = [journal.record("trade", trade(n, ROWS)) for n in range(9)]
    path, note, _ = leave(folder, records)
    path.rename(folder / "aside")
    daemon = start(journal.settings(folder))
    assert daemon.wait_log("journal").number("records") == 0
    assert not note.exists()


# ---- a disk that fails at the opening ----


_FAILER = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
fails(int fd)
{
	char orders[4096], named[64], path[4096], pattern[64] = "";
	int at = open(getenv("RINGTICK_TEST_ORDERS"), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (at < 0)
		return 0;
	(void)!read(at, pattern, sizeof(pattern) - 1);
	close(at);
	snprintf(named, sizeof(named), "/proc/self/fd/%d", fd);
	n = readlink(named, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (fnmatch(pattern, path, 0) != 0)
		return 0;
	snprintf(orders, sizeof(orders), "%s.done",
		 getenv("RINGTICK_TEST_ORDERS"));
	at = open(orders, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)!write(at, "x", 1);
	close(at);
	errno = EIO;
	return 1;
}

int
fdatasync(int fd)
{
	return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}
"""


class FailingSyncs:
    """For environment=: from .fail(pattern) to .go_on(), each fsync and fdatasync of
    a file with such a path is EIO."""

    def __init__(self, directory):
        self.orders = directory / "orders"
        self.done = directory / "orders.done"
        self.environment = shim(directory, _FAILER,
                                RINGTICK_TEST_ORDERS=str(self.orders))

    def fail(self, pattern):
        self.orders.write_text(pattern)

    def go_on(self):
        self.orders.unlink()

    def times(self):
        return self.done.stat().st_size if self.done.exists() else 0

    def wait_for(self, times, timeout=20):
        deadline = time.monotonic() + timeout
        while self.times() < times:
            assert time.monotonic() < deadline, self.times()
            time.sleep(0.01)


@pytest.fixture
def syncs(tmp_path):
    return FailingSyncs(tmp_path)


def updates(start, connect, folder, first, last):
    """A run that takes these updates; returns the daemon and the journal."""
    daemon = start(journal.settings(folder, sync="batch"))
    client = connect(daemon)
    for n in range(first, last):
        assert client.update("trade", trade(n, ROWS)) == NIL
    path = journal.count_and_path(client)[1]
    client.close()
    return daemon, path


@pytest.mark.parametrize("sync", ["batch", "none"])
def test_opening_after_a_clean_stop(start, connect, tmp_path, folder, syncs, sync):
    """Protects a day that is on the disk: an opening that fails is no reason to doubt
    what the last stop had brought there."""
    daemon, path = updates(start, connect, folder, 0, 5)
    daemon.stop()
    content = path.read_bytes()
    syncs.fail("*" + path.name)
    for _ in range(2):
        said = refused(tmp_path, folder, syncs.environment, sync=sync)
        assert str(path) in said and "Input/output error" in said
        assert "nothing in it is in doubt" in said and "dmesg" in said
    assert not list(folder.glob("*.unsynced*"))
    assert path.read_bytes() == content
    syncs.go_on()
    again = start(journal.settings(folder))
    assert not again.logged("journal_rewritten")


def test_opening_after_a_crash(start, connect, tmp_path, folder, syncs):
    """Protects what an earlier run has brought to the disk from being written anew:
    only what came after it is in doubt, however often the start fails."""
    daemon, path = updates(start, connect, folder, 0, 5)
    daemon.stop()
    off = path.stat().st_size
    daemon, _ = updates(start, connect, folder, 5, 8)
    kill(daemon)
    note, text = folder / "sym.unsynced", "%d 5 %s\n" % (off, path.name)
    syncs.fail("*" + path.name)
    said = refused(tmp_path, folder, syncs.environment)
    assert "Input/output error" in said and "from byte %d" % off in said
    assert text in note.read_text()
    said = refused(tmp_path, folder, syncs.environment)
    assert text in note.read_text()
    syncs.go_on()
    line = start(journal.settings(folder)).wait_log("journal_rewritten")
    assert line.number("from_byte") == off and line.number("from_record") == 5
    assert not note.exists()


def test_opening_and_no_note(start, connect, tmp_path, folder, syncs):
    """Protects the operator: a doubt that could not be brought to the disk is named in
    the sentence that ends the start, and a start before the next crash knows it."""
    daemon, path = updates(start, connect, folder, 0, 5)
    kill(daemon)
    syncs.fail("*sym*")
    said = refused(tmp_path, folder, syncs.environment)
    assert "compare" in said and str(folder / "sym.unsynced") in said
    syncs.go_on()
    start(journal.settings(folder)).wait_log("journal_rewritten")


@pytest.mark.parametrize("which", ["*.torn.*", "*sym????.??.??"])
def test_torn_tail_on_a_failing_disk(tmp_path, folder, syncs, which):
    """Protects the tail and what is before it: the status says that the disk must be
    looked at, nothing is cut before its copy is safe, and a journal that could not be
    brought to the disk after the cut stays in doubt."""
    path = journal.path_now(folder)
    journal.write(path, *[journal.record("trade", trade(n)) for n in range(3)])
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    syncs.fail(which)
    said = refused(tmp_path, folder, syncs.environment)
    assert "Input/output error" in said and str(path) in said
    if "torn" in which:
        assert path.read_bytes() == content[:-1]
        assert not list(folder.glob("*.torn.*"))
    else:
        assert len(journal.read(path)) == 2
        assert "8 0 %s\n" % path.name in (folder / "sym.unsynced").read_text()


def test_next_file_in_doubt(start, connect, folder, syncs):
    """Protects the log and the records of a next day that were there already: while its
    file cannot be brought to the disk, it is told once why; then the part in doubt is
    written anew before the day continues in it."""
    syncs.fail("*nothing*")
    daemon = start(journal.settings(folder, sync="batch"),
                   environment=syncs.environment)
    feed = connect(daemon)
    assert feed.update("trade", trade(0)) == NIL
    day = feed.sync(".u.d").value
    path = journal.path_of(folder, day + 1)
    journal.write(path, *[journal.record("trade", trade(n)) for n in range(3)])
    syncs.fail("*sym*")
    feed.send(kdb.frame(".u.endofday[]", kdb.SYNC))
    failing = daemon.wait_log("journal_failing", operation="roll")
    assert failing["error"] == "Input/output error"
    note = folder / "sym.unsynced"
    syncs.wait_for(syncs.times() + 12)
    assert "8 0 %s\n" % path.name in note.read_text()
    # the note is safe only now, and that of the epoch's file
    counts = {event: len(daemon.logged(event)) for event in (
        "epoch_not_stored", "unsynced_not_noted", "journal_roll_failed",
        "journal_failing")}
    assert max(counts.values()) == 1, counts
    assert not any(one["file"] == str(path)
                   for one in daemon.logged("journal_recovered"))
    syncs.go_on()
    daemon.wait_log("journal_rewritten")
    daemon.wait_log("journal_mended")
    feed.read_response()
    assert feed.update("trade", trade(3)) == NIL
    assert not note.exists()
    daemon.stop()
    assert len(journal.read(path)) == 4


def test_check_tells_of_the_note(tmp_path, folder):
    """Protects a restart: --check says what a start will do about a doubt, and ends as
    the start would where that refuses; it changes nothing."""
    records = [journal.record("trade", trade(n, ROWS)) for n in range(9)]
    path, note, off = leave(folder, records)
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        journal.settings(folder))

    def check():
        before = path.read_bytes(), note.read_bytes()
        done = daemon_module.run("-c", config, "--check", timeout=20)
        assert (path.read_bytes(), note.read_bytes()) == before
        return done

    done = check()
    assert done.returncode == 0 and "good" in done.stdout
    assert "warning" in done.stderr and str(path) in done.stderr
    assert "from byte %d (record 5)" % off in done.stderr
    path.write_bytes(path.read_bytes() + bytes(8192) + records[0])
    done = check()
    assert done.returncode == 74 and "zeros" in done.stderr and not done.stdout
    aside = path.rename(folder / "aside")
    done = daemon_module.run("-c", config, "--check", timeout=20)
    assert done.returncode == 0 and "is gone" in done.stderr
    path.mkdir()
    done = daemon_module.run("-c", config, "--check", timeout=20)
    assert done.returncode == 78 and "Is a directory" in done.stderr
    path.rmdir()
    aside.rename(path)
    note.write_text("ringtick unsynced 3\n")
    done = check()
    assert done.returncode == 74 and "cannot be read" in done.stderr


def test_stopped_while_it_is_written_anew(start, folder):
    """Protects a long start from TimeoutStartSec=, and `systemctl stop` during it: the
    progress is told, and the part stays in doubt."""
    _, note, _ = leave(folder, [journal.record("trade", trade(n)) for n in range(9)])
    text = note.read_text()

    def be_stopped():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)

    daemon = start(journal.settings(folder), preexec=be_stopped, wait=False)
    assert daemon.process.wait(20) == 0
    daemon.stop()
    assert "EXTEND_TIMEOUT_USEC=60000000" in daemon.notes
    assert not daemon.logged("journal_rewritten") and note.read_text() == text


@pytest.mark.parametrize("is_both", [False, True])
def test_both_files_of_a_run_without_syncs(start, connect, folder, syncs, is_both):
    """Protects the day before: with journal.sync "none", too, a clean stop is one after
    which all is on the disk; what is not is noted, also if the running day is not."""
    daemon = start(journal.settings(folder, sync="none"), environment=syncs.environment)
    feed = connect(daemon)
    assert feed.update("trade", trade(0)) == NIL
    path = journal.count_and_path(feed)[1]
    feed.sync(".u.endofday[]")
    assert feed.update("trade", trade(1)) == NIL
    assert journal.count_and_path(feed)[1] != path
    feed.close()
    syncs.fail("*/sym2*" if is_both else "*" + path.name)
    daemon.stop(74)
    assert daemon.wait_log("journal_unsynced", file=path)
    assert "8 0 %s\n" % path.name in (folder / "sym.unsynced").read_text()
    assert "open" in (folder / "sym.epoch").read_text()


def test_all_files_of_a_run_without_syncs(start, connect, folder, syncs, clock):
    """Protects a day of which the stop knows nothing any more: it is brought to the
    disk when its file is closed, and what is not is noted."""
    both = {**clock.environment(follows_ends=True), **syncs.environment}
    both["LD_PRELOAD"] += ":" + clock.environment()["LD_PRELOAD"]
    daemon = start(journal.settings(folder, sync="none"), environment=both)
    feed = connect(daemon)
    path = journal.count_and_path(feed)[1]
    syncs.fail("*" + path.name)
    for n in range(3):
        assert feed.update("trade", trade(n)) == NIL
        feed.sync(".u.endofday[]")
    assert daemon.wait_log("journal_unsynced")["file"] == str(path)
    assert "8 0 %s\n" % path.name in (folder / "sym.unsynced").read_text()
