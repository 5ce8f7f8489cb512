"""Two daemons never write one file, and no tool repairs a file in use."""

import fcntl
import os

import daemon as daemon_module
import journal
import pytest
from kdb import NIL
from test_log_tool import log
from traffic import trade


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "journal"
    found.mkdir()
    return found


def test_lock_is_deleted(start, connect, tmp_path, folder):
    """Protects the files from a second writer whatever becomes of NAME.lock: it is
    made anew, and a daemon that comes before that finds the day's file locked.  A
    past day's file can be repaired, if the daemon does not use it."""
    daemon = start(journal.settings(folder))
    feed = connect(daemon)
    path = journal.path_now(folder)
    lock = folder / "sym.lock"
    assert feed.update("trade", trade(0)) == NIL
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        journal.settings(folder))
    for n in range(3):
        mark = daemon.mark()
        lock.unlink()
        if n == 1:
            # its lock is another's: the daemon says so, and gets it again
            with open(lock, "w") as other:
                fcntl.flock(other, fcntl.LOCK_EX)
                daemon.wait_log("journal_lock_lost", after=mark)
        done = daemon_module.run("-c", config, timeout=20)
        assert done.returncode == 1 and "in use by another" in done.stderr
        daemon.wait_log("journal_lock_back", after=mark)
        assert feed.update("trade", trade(n + 1)) == NIL
    done = daemon_module.run("-c", config, timeout=20)
    assert done.returncode == 1 and str(lock) in done.stderr
    assert len(journal.read(path)) == 4

    # not the one it writes, nor the one of the day before, which it reads
    past = journal.path_of(folder, journal.local_day(journal.noon_zone()) - 30)
    journal.write(past, journal.record("trade", trade(9))[:-3])
    assert feed.sync(".u.endofday[]") == NIL
    daemon.wait_log("journal_rolled")
    with open(path, "ab") as file:
        file.write(b"torn")
    assert "open" in log("--repair", path, status=2)[1]
    log("--repair", past)
    assert past.read_bytes() == journal.HEADER
    os.truncate(path, path.stat().st_size - 4)


@pytest.mark.parametrize("days,sent", [(1, 1), (-1, 0)])
def test_lock_is_deleted_and_another_date(start, connect, tmp_path, folder, clock, days,
                                          sent):
    """Protects the days' files from a second daemon with another date that comes
    before the lock is there again: it finds the file of the first daemon locked,
    leaves no file, and says so."""
    daemon = start(journal.settings(folder))
    feed = connect(daemon)
    for n in range(sent):
        assert feed.update("trade", trade(n)) == NIL
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        journal.settings(folder))
    clock.set_days(days)
    before = {one.name for one in folder.iterdir()}
    daemon.pause()
    (folder / "sym.lock").unlink()
    done = daemon_module.run("-c", config, "-p", "0", timeout=20,
                             environment=clock.environment())
    daemon.resume()
    assert done.returncode == 1
    assert "%s is in use by another" % journal.path_now(folder) in done.stderr
    assert {one.name for one in folder.iterdir()} == before
    daemon.wait_log("journal_lock_back")
    assert feed.update("trade", trade(sent)) == NIL
