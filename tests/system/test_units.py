"""The systemd units as they are installed, and the exit statuses that they know.

`systemd-analyze verify` is a stage of check.sh; here is what the daemon relies on."""

import configparser
import pathlib
import re
import subprocess

from daemon import find_ringtickd

SOURCES = pathlib.Path(__file__).resolve().parents[2]


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(SOURCES / "systemd" / (name + ".in"))
    return parser


def statuses():
    """EXIT_NAME = number, out of src/base/exits.h."""
    text = (SOURCES / "src" / "base/exits.h").read_text()
    return {name: int(n) for name, n in re.findall(r"EXIT_([A-Z]+) = (\d+)", text)}


def test_service_comes_back():
    """Protects the operator's sleep: a trouble of any length ends with the service
    up again, unless the operator must look first."""
    service = unit("ringtick.service")
    assert service["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["Service"]["Restart"] == "on-failure"
    assert service["Service"]["RestartSec"] == "1"
    status = statuses()
    assert (status["MEND"], status["DISK"], status["ROOM"], status["BUG"],
            status["OTHER"]) == (78, 74, 75, 70, 1)
    prevented = service["Service"]["RestartPreventExitStatus"].split()
    assert prevented == ["78", "74"]
    # the daemon checks itself; a check in front of it would fail for ever
    assert "ExecStartPre" not in service["Service"]


def test_socket_does_not_fail_along():
    """Protects clients that knock while the service cannot start: not more than
    one start a second, or systemd gives the socket up at the twentieth in two."""
    service = unit("ringtick.service")["Service"]
    assert "$$SERVICE_RESULT" in service["ExecStopPost"]
    assert "sleep 1" in service["ExecStopPost"]
    socket = unit("ringtick.socket")
    assert "TriggerLimitBurst" not in socket["Socket"]


def test_sockets_are_as_the_daemon_makes_them():
    """Protects the unix socket, which refuses NoDelay=; the daemon sets it on TCP
    itself.  What else the kernel refuses of its options does not belong here either."""
    socket = unit("ringtick.socket")["Socket"]
    assert socket["Accept"] == "no"
    for refused in ("NoDelay", "KeepAlive", "DeferAcceptSec", "TCPCongestion"):
        assert refused not in socket


def test_installed_configuration_has_a_journal(tmp_path):
    """Protects the reader of the README: the configuration that `make install`
    installs is the sample with the journal in the unit's folder."""
    folder = pathlib.Path(find_ringtickd()).parent
    subprocess.run(["make", "-s", "-C", folder, "install-data-local",
                    "DESTDIR=%s" % tmp_path, "sysconfdir=/etc"],
                   check=True, stdin=subprocess.DEVNULL)
    installed = (tmp_path / "etc/ringtick/ringtick.conf").read_text()
    sample = (SOURCES / "etc" / "ringtick.conf").read_text()
    assert installed == sample.replace('# directory = "";',
                                       'directory = "/var/lib/ringtick";')
    assert installed != sample
    assert unit("ringtick.service")["Service"]["StateDirectory"] == "ringtick"


def test_socket_file_can_be_reached():
    """Protects listen.unix_path and unix_group under the unit (tests/systemd plays it):
    chown is no privilege there, and everybody may look into the folder."""
    text = (SOURCES / "systemd/ringtick.service.in").read_text()
    filters = re.findall("^SystemCallFilter=(.*)", text, re.M)
    assert filters.index("@chown") > filters.index("~@privileged @keyring")
    assert "RuntimeDirectoryMode=0755" in text


def test_socket_files_stay():
    """Protects clients of a socket file that ringtick.socket opens: the service's
    RuntimeDirectory= is no place for it (tests/systemd has one)."""
    text = (SOURCES / "systemd/ringtick.socket.in").read_text()
    folder = unit("ringtick.service")["Service"]["RuntimeDirectory"]
    assert "ListenStream=/run/%s/" % folder not in text


def test_clock_comes_first():
    """Protects the date of the journal from a clock that is not set yet."""
    assert "time-sync.target" in unit("ringtick.service")["Unit"]["After"].split()
