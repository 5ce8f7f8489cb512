"""Protects a bystander from a crowd: thousands of clients that are idle, thousands
that say nothing, some that connect in a loop, and all of them gone at once."""

import resource

import misbehaviour
import pytest
from bystander import BOUND_MS, Bystander
from crowd import Crowd
from daemon import is_sanitized_build, merged

TRIES = 3
HAS_BOUND = not is_sanitized_build()
IDLE, SILENT = (10000, 2000) if HAS_BOUND else (1000, 200)
MAX = 13000 if HAS_BOUND else 1400
pytestmark = [pytest.mark.alone]


class Judge:
    """Plays one act after the other, and prints how the bystander fared."""

    def __init__(self, daemon, bystander):
        self.daemon, self.bystander = daemon, bystander
        self.undisturbed = bystander.stretch(100)
        print("undisturbed: %s" % self.undisturbed)

    def sees(self, what, act, trips=60, has_bound=True):
        self.bystander.stretch()
        before = self.daemon.cpu_seconds()
        said = act()
        stretch = self.bystander.stretch(trips)
        print("%s: %s; %s; CPU %.2f s, RSS %d MB" % (
            what, said, stretch, self.daemon.cpu_seconds() - before,
            self.daemon.memory() >> 20))
        assert stretch.failure is None, stretch
        assert (not HAS_BOUND or not has_bound or
                stretch.longest <= self.undisturbed.longest + BOUND_MS), what


def vanish(daemon, crowd):
    """Returns when each of them is noticed."""
    crowd.vanish()
    daemon.wait_log("report", after=daemon.mark(), connections="2")


def play(daemon, crowd):
    bystander = Bystander(daemon)
    try:
        judge = Judge(daemon, bystander)
        # The kernel hands out up to a backlog of new connections at once.
        judge.sees("they come", lambda: crowd.does("idle", IDLE), has_bound=False)
        judge.sees("idle", lambda: None)
        judge.sees("silent ones come", lambda: crowd.does("silent", SILENT),
                   has_bound=False)
        judge.sees("silent", lambda: None)
        crowd.does("storm")
        judge.sees("storm", lambda: None, 200)
        print("storm: %d connections" % crowd.does("calm"))
        judge.sees("all go", lambda: vanish(daemon, crowd))
        assert daemon.summary()["turned_away"] == "0"
    finally:
        bystander.close()
        if crowd.process.poll() is None:
            crowd.vanish()


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < MAX + 200,
                    reason="needs ulimit -Hn %d" % (MAX + 200))
def test_a_crowd(start, mode):
    for left in reversed(range(TRIES)):
        daemon = start(merged(misbehaviour.SETTINGS, {
            "engine": {"mode": mode},
            "connections": {"max": MAX, "handshake_timeout": "1m"}}))
        print(daemon.wait_log("memory").text)
        try:
            play(daemon, Crowd(daemon.port))
            return
        except AssertionError as failure:
            if not left:
                raise
            print("again, after: %s" % failure)
