"""Protects invariants 9 and 11: whatever one peer, one file or the reader of the
log does, a feed and a subscriber that behave keep their latency."""

import shutil

import journal
import misbehaviour
import misbehaviour_long  # noqa: F401: has rows too
import pytest
from bystander import BOUND_MS, Bystander
from daemon import MODES, Daemon, is_sanitized_build, merged

TRIES = 3
HAS_BOUND = not is_sanitized_build()
pytestmark = [pytest.mark.alone] if HAS_BOUND else []


class Stage:
    """A daemon with its bystander, which many rows play on."""

    def __init__(self, directory, mode, has_journal, own=None):
        own = dict(own or {})
        prepare = own.pop("prepare", lambda folder: None)
        self.directory = directory
        directory.mkdir()
        changes = merged(misbehaviour.SETTINGS, {"engine": {"mode": mode}})
        changes = merged(changes, own.pop("settings", {}))
        self.folder = None
        if has_journal:
            self.folder = directory / "journal"
            self.folder.mkdir()
            prepare(self.folder)
            changes = journal.settings(self.folder, changes)
        self.daemon = Daemon(directory, changes, **own)
        try:
            self.bystander = Bystander(self.daemon)
        except BaseException:
            self.daemon.abandon()
            raise

    def play(self, row):
        """The row; raises what was wrong.  (undisturbed, disturbed)"""
        quiet = self.settled()
        self.bystander.stretch()
        undisturbed = self.bystander.stretch(40)
        # without a journal no answer waits for a disk
        wants_answers = row.answers or self.folder is None
        has_grown = {name: lambda value, name=name: int(value) > quiet.number(name)
                     for name in row.grows}
        scene = misbehaviour.Scene(self.daemon, self.bystander, self.folder, has_grown)
        self.bystander.wants_answers(wants_answers)
        try:
            row.run(scene)
        finally:
            scene.close()
            self.bystander.wants_answers(True)
        self.judge(scene.stretch, undisturbed)
        after = self.settled()
        if not wants_answers:  # what was left of the row was still to be written
            assert self.bystander.stretch().failure is None
        self.judge(self.bystander.stretch(20), undisturbed)
        assert (after.number("in_records") - quiet.number("in_records")
                >= scene.stretch.trips)
        for name in misbehaviour.STILL:
            if name not in row.grows:
                assert after[name] == quiet[name], name
        self.daemon.assert_no_complaint()
        return undisturbed, scene.stretch

    def judge(self, stretch, undisturbed):
        assert stretch.failure is None, stretch
        is_slow = stretch.longest > undisturbed.longest + BOUND_MS
        assert not (HAS_BOUND and is_slow), "%s; undisturbed %s" % (
            stretch, undisturbed)

    def settled(self):
        """A report that counts the bystander and no other client."""
        return self.daemon.wait_log("report", after=self.daemon.mark(),
                                    connections="2")

    def close(self):
        """A clean end."""
        self.bystander.close()
        self.daemon.stop()

    def abandon(self):
        self.bystander.process.kill()
        self.bystander.process.wait()
        self.daemon.abandon()


class Theatre:
    """Has the stage of one combination of settings, and changes it."""

    def __init__(self, factory):
        self.factory, self.how, self.stage = factory, None, None

    def make(self, how, own=None):
        return Stage(self.factory.mktemp("stage") / "daemon", *how, own)

    def play(self, how, row):
        """On the stage that many rows share, or on one that ends with the row."""
        if self.how != how:
            self.close()
        if row.own is None and self.stage is None:
            self.how, self.stage = how, self.make(how)
        stage = self.stage if row.own is None else self.make(how, row.own)
        try:
            told = stage.play(row)
        except BaseException:
            print("---- log of pid %d ----\n%s" % (stage.daemon.pid,
                                                   stage.daemon.tail(60)))
            stage.abandon()
            if stage is self.stage:
                self.stage = None
            raise
        if stage is not self.stage:
            stage.close()
            shutil.rmtree(stage.directory)  # may be long
        return told

    def close(self):
        stage, self.stage = self.stage, None
        if stage:
            stage.close()


@pytest.fixture(scope="module")
def theatre(tmp_path_factory):
    made = Theatre(tmp_path_factory)
    yield made
    made.close()


def cases():
    """Each row in both modes, with and without a journal; with sanitizers, which
    take the bound away, once."""
    found = [(mode, has_journal) for mode in MODES for has_journal in (True, False)]
    for mode, has_journal in found if HAS_BOUND else found[:1]:
        for name, row in misbehaviour.ROWS.items():
            if has_journal or row.only != "journal":
                yield pytest.param((mode, has_journal), row, id="%s-%s-%s" % (
                    mode, "journal" if has_journal else "ring", name))


@pytest.mark.parametrize("how,row", cases())
def test_bystander(theatre, how, row):
    for left in reversed(range(TRIES)):
        try:
            print("undisturbed %s\ndisturbed   %s" % theatre.play(how, row))
            return
        except Exception as failure:
            if not left:
                raise
            print("again, after: %s" % failure)
