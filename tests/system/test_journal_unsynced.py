"""A start after an fdatasync that failed: no byte in doubt is believed, all are
written anew.  (The failure itself is tested in tests/unit/journal/test_journal.c,
since no disk fails here.)"""

import os

import daemon as daemon_module
import journal
import kdb
import pytest
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


def refused(tmp_path, folder):
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        journal.settings(folder))
    done = daemon_module.run("-c", config, timeout=20)
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
    for text in ("", "ringtick unsynced 1\n", "ringtick unsynced 2\n8 0 sym\n",
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
