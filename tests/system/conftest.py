"""Fixtures: a started daemon, and clients that are closed after the test."""

import contextlib
import os
import resource
import time

import daemon as daemon_module
import journal
import kdb
import pytest


LOCKED_BYTES = 128 << 20  # a user's, for all daemons of a test that live at once


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "alone: measures time, or takes a minute: not beside other tests")


def pytest_sessionstart(session):
    """Rings are locked memory; if the limit is too low every other test would fail."""
    at_once = getattr(session.config.option, "numprocesses", None) or 1
    locked = LOCKED_BYTES * at_once
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if os.geteuid() == 0 or hard == resource.RLIM_INFINITY or hard >= locked:
        return
    if session.config.option.collectonly:
        return
    pytest.exit("these tests lock up to %d MiB of memory, the limit is %d KiB; run "
                "them as root, or first: sudo prlimit --memlock=unlimited --pid $$"
                % (locked >> 20, hard >> 10), returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.call_failed = outcome.get_result().failed


def finish(daemons, failed):
    """Ends every daemon; a test that passed must leave it clean."""
    try:
        for one in daemons:
            if not one.stopped and not failed:
                one.assert_clean()
                one.stop()
    finally:
        for one in daemons:
            if failed:
                print("---- log of pid %d ----\n%s" % (one.pid, one.tail(200)))
            one.abandon()


@pytest.fixture
def _daemons(request):
    started = []
    yield started
    finish(started, getattr(request.node, "call_failed", True))


@pytest.fixture
def clients(_daemons):
    """An ExitStack: objects that enter it are closed before the daemons are stopped."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def start(tmp_path, _daemons, clients):
    """start(changes, ...) runs a daemon with these changes to the default
    configuration; after the test its exit is checked."""
    def start_one(changes=None, **how):
        directory = tmp_path / ("daemon%d" % len(_daemons))
        directory.mkdir()
        one = daemon_module.Daemon(directory, changes, **how)
        _daemons.append(one)
        return one
    return start_one


@pytest.fixture
def folder(tmp_path):
    """The folder of a daemon's journal."""
    found = tmp_path / "journal"
    found.mkdir()
    return found


@pytest.fixture
def clock(tmp_path):
    """A clock for daemons that the test sets."""
    return journal.Clock(tmp_path)


@pytest.fixture
def many_days(clock, monkeypatch):
    """Daemons whose clock moves to the next day whenever `.u.endofday[]` ends one."""
    for name, value in clock.environment(follows_ends=True).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=daemon_module.MODES)
def mode(request):
    return request.param


@pytest.fixture
def connect(clients):
    """connect(daemon, user="...") is a client that has shaken hands."""
    def connect_one(to, user=None, **how):
        if user is not None:
            how["creds"] = b"%s:pw\x03" % user.encode()
        one = kdb.Client(to.port, **how)
        clients.callback(one.close)
        return one
    return connect_one


class Midnight:
    """A daemon in a zone where the day ends at the next full minute (or the
    one after), with a subscriber.  Started with the session, so that the wait costs nothing."""

    def __init__(self, directory):
        minute = int(time.time() + 10) // 60 + 1  # of the epoch: 10 s to start
        self.over_at = 60 * minute
        ahead = -minute % 1440
        if ahead > 720:
            ahead -= 1440
        zone = "%s%02d:%02d" % ("-" if ahead < 0 else "+", *divmod(abs(ahead), 60))
        self.daemon = daemon_module.Daemon(directory, {"day": {"zone": zone}})
        self.client = kdb.Client(self.daemon.port, timeout=90)
        self.client.subscribe()
        self.day = self.client.sync(".u.d").value


@pytest.fixture(scope="session")
def _midnight(tmp_path_factory):
    one = Midnight(tmp_path_factory.mktemp("midnight"))
    yield one
    one.client.close()
    try:
        one.daemon.stop()
    finally:
        one.daemon.abandon()


def pytest_collection_modifyitems(items):
    """Tests that need midnight run last; their daemon starts with the first test (see
    _early)."""
    items.sort(key=lambda item: "_midnight" in item.fixturenames)


@pytest.fixture(scope="session", autouse=True)
def _early(request):
    if any("_midnight" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("_midnight")
