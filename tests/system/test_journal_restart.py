"""A start on a file with records: the progress of the check, and their age."""

import os
import signal
import time

import journal
import kdb
from traffic import trade


def long_journal(folder, bytes_):
    path = journal.path_now(folder)
    record = journal.record("trade", trade(0, 2000))
    count = bytes_ // len(record)
    path.write_bytes(journal.HEADER + record * count)
    return path, count


def test_progress_is_told(start, connect, folder):
    """Protects a long start from TimeoutStartSec=: each stretch that was read makes
    systemd wait for another minute, and STATUS says how far it is."""
    _, count = long_journal(folder, 140 << 20)
    daemon = start(journal.settings(folder))
    assert daemon.notes.count("EXTEND_TIMEOUT_USEC=60000000") >= 3
    told = [note for note in daemon.notes if note.startswith("STATUS=checking")]
    assert told[0] == "STATUS=checking the journal, 0 %" and len(told) >= 3
    assert journal.count_and_path(connect(daemon))[0] == count


def test_stopped_while_it_checks(start, folder):
    """Protects `systemctl stop` during such a start: it ends, and nothing is
    begun."""
    long_journal(folder, 1 << 20)

    def be_stopped():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)

    daemon = start(journal.settings(folder), preexec=be_stopped, wait=False)
    assert daemon.process.wait(20) == 0
    daemon.stop()
    assert [line for line in daemon.logged("stop") if "checked" in line["hint"]]
    assert not daemon.logged("ready")
    assert "sym.epoch" not in os.listdir(folder)


def test_lag_after_a_restart(start, connect, folder):
    """Protects alerts on lag_ms: a consumer that is owed records from before the
    start lags by the time since they were written, and not by nothing."""
    path, count = long_journal(folder, 24 << 20)
    then = time.time() - 100
    os.utime(path, (then, then))
    daemon = start(journal.settings(folder))
    client = connect(daemon, receive_buffer=4096)
    client.send(kdb.frame(kdb.q(kdb.sym(".ringtick.subfrom"), kdb.sym(""),
                                kdb.sym(""), kdb.atom("j", 0)), kdb.SYNC))
    daemon.wait_log("subscribe")
    line = daemon.wait_log("consumer", state="catching_up",
                           lag_ms=lambda ms: int(ms) > 0)
    uptime = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert line.number("lag_ms") >= min(100, uptime - 5) * 1000
    assert line.number("lag_records") > count // 4
