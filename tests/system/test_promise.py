"""What an operator is told of the journal before he has to rely on it."""

import subprocess

import daemon as daemon_module
import journal
from daemon import write_config


def check(config, **how):
    return daemon_module.run("-c", config, "--check", timeout=20, **how)


def test_promise_of_a_start(start, folder):
    """Protects from a surprise: which data is lost by what is said at each start,
    and that spill without a journal means disconnect."""
    line = start().wait_log("promise")
    assert (line["journal"], line.level) == ("off", 5)
    assert "spill are disconnected" in line["hint"]
    assert "hint" not in start({"slow": {"policy": "skip"}}).wait_log("promise")
    line = start(journal.settings(folder, sync="batch")).wait_log("promise")
    assert (line["journal"], line["lost_by_stop"]) == ("on", "nothing")
    assert "not answered" in line["lost_by_machine_crash"]
    line = start(journal.settings(folder, name="b", reserve=False)).wait_log("promise")
    assert "disk is full" in line["lost_by_stop"]


def test_check_looks_at_the_folder(tmp_path, start, folder):
    """Protects a restart: --check says what it would meet, and writes nothing."""
    config = write_config(tmp_path / "c.conf", journal.settings(folder / "no"))
    done = check(config)
    assert done.returncode == 78 and "install -d" in done.stderr
    (folder / "no").write_text("a file")
    assert "Not a directory" in check(config).stderr
    (folder / "no").unlink()
    config = write_config(tmp_path / "c.conf", journal.settings(folder))
    done = check(config)
    assert done.returncode == 0 and "MiB free, not in use" in done.stdout
    assert str(folder) in done.stdout and "owner " in done.stdout
    assert not list(folder.iterdir())
    start(journal.settings(folder))
    assert "in use by a daemon" in check(config).stdout
    other = daemon_module.write_config(
        tmp_path / "other.conf", journal.settings(folder, name="sy"))
    assert "not in use" in check(other).stdout


def test_folder_that_the_unit_makes_read_only(tmp_path):
    """Protects the operator who moves the journal: the error names
    ProtectSystem=strict, and the line that mends it."""
    folder = tmp_path / "disk"
    disk = journal.SmallDisk(folder, 1 << 20)
    try:
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        config = write_config(tmp_path / "c.conf", journal.settings(folder))
        for arguments in (["-c", config, "--check"], ["-c", config]):
            done = daemon_module.run(*arguments, timeout=20,
                                     environment={"INVOCATION_ID": "1"})
            assert done.returncode == 78
            assert "ReadWritePaths=%s" % folder in done.stderr.splitlines()[-1]
    finally:
        disk.close()


def test_check_looks_at_the_room(tmp_path):
    """Protects a restart: --check ends as a start on a full disk would, and warns where
    the start would."""
    disk = journal.SmallDisk(tmp_path / "disk", 1 << 20)
    try:
        config = write_config(tmp_path / "c.conf", journal.settings(disk.path))
        done = check(config)
        assert done.returncode == 0 and "sym.reserve" in done.stderr
        with open(disk.path / "ballast", "wb", buffering=0) as file:
            while disk.free() > 0:
                file.write(bytes(4096))
        for done in (check(config), daemon_module.run("-c", config, timeout=20)):
            assert done.returncode == 75 and "No space left" in done.stderr
    finally:
        disk.close()


def test_check_reads_the_epochs(tmp_path, folder):
    """Protects a downgrade: --check refuses what a start refuses."""
    (folder / "sym.epoch").write_text("ringtick-epochs 9\n")
    config = write_config(tmp_path / "c.conf", journal.settings(folder))
    for done in (check(config), daemon_module.run("-c", config, timeout=20)):
        assert done.returncode == 78 and "newer ringtickd" in done.stderr
