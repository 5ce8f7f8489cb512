"""Protects a bystander from a crowd: thousands of clients that are idle, thousands
that say nothing, some that connect in a loop, and all of them gone at once.

In mode direct, where all of it is the one thread's work, the crowd is whole; in sqpoll
a fifth of it comes.  RINGTICK_CROWD=whole brings all of it in both, which is how the
figures of doc/security.md were measured."""

import os
import resource

import misbehaviour
import pytest
from bystander import BOUND_MS, Bystander
from crowd import Crowd
from daemon import is_sanitized_build, merged

TRIES = 3
HAS_BOUND = not is_sanitized_build()
IDLE, SILENT, SPARE = 10000, 2000, 1000
WANTS_WHOLE = os.environ.get("RINGTICK_CROWD") == "whole"
pytestmark = [pytest.mark.alone]


def share(mode):
    """The crowd is divided by it."""
    if not HAS_BOUND:
        return 10
    return 1 if WANTS_WHOLE or mode == "direct" else 5


class Judge:
    """Plays one act after the other, and prints how the bystander fared."""

    def __init__(self, daemon, bystander):
        self.daemon, self.bystander = daemon, bystander
        self.undisturbed = bystander.stretch(100)
        print("undisturbed: %s" % self.undisturbed)

    def sees(self, what, act=None, trips=60, has_bound=True):
        """What only lasts, without an act, is looked at once more if it was late."""
        for left in reversed(range(1 if act else TRIES)):
            self.bystander.stretch()
            before = self.daemon.cpu_seconds()
            said = act() if act else None
            stretch = self.bystander.stretch(trips)
            print("%s: %s; %s; CPU %.2f s, RSS %d MB" % (
                what, said, stretch, self.daemon.cpu_seconds() - before,
                self.daemon.memory() >> 20))
            assert stretch.failure is None, stretch
            if (not HAS_BOUND or not has_bound or
                    stretch.longest <= self.undisturbed.longest + BOUND_MS):
                return
            assert left, what


def vanish(daemon, crowd):
    """Returns when each of them is noticed."""
    crowd.vanish()
    daemon.wait_log("report", after=daemon.mark(), connections="2")


def play(daemon, crowd, by):
    bystander = Bystander(daemon)
    try:
        judge = Judge(daemon, bystander)
        # What the kernel does for each that comes has no bound.
        judge.sees("they come", lambda: crowd.does("idle", IDLE // by), has_bound=False)
        judge.sees("idle")
        judge.sees("silent ones come", lambda: crowd.does("silent", SILENT // by),
                   has_bound=False)
        judge.sees("silent")
        crowd.does("storm")
        judge.sees("storm", trips=200)
        print("storm: %d connections" % crowd.does("calm"))
        judge.sees("all go", lambda: vanish(daemon, crowd))
        assert daemon.summary()["turned_away"] == "0"
    finally:
        bystander.close()
        if crowd.process.poll() is None:
            crowd.vanish()


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < IDLE + SILENT + SPARE + 200,
    reason="needs ulimit -Hn %d" % (IDLE + SILENT + SPARE + 200))
def test_a_crowd(start, mode):
    by = share(mode)
    for left in reversed(range(TRIES)):
        daemon = start(merged(misbehaviour.SETTINGS, {
            "engine": {"mode": mode},
            "connections": {"max": (IDLE + SILENT) // by + SPARE,
                            "handshake_timeout": "1m"}}))
        print(daemon.wait_log("memory").text)
        try:
            play(daemon, Crowd(daemon.port), by)
            return
        except AssertionError as failure:
            if not left:
                raise
            print("again, after: %s" % failure)
