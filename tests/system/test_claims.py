"""A claim of a client (epoch, day, record, count) is checked against what it
claims: exactly what follows, or an error; over restarts, changes, ends of days,
crashes and clocks."""

import os
import random
import signal

import journal
import kdb
import pytest
from daemon import QUOTE, TRADE, merged, run
from kdb import NIL, Error, atom, lst, sym
from late import Pair, read_exactly, rejoin, subfrom
from traffic import published, quote, trade


def kill(daemon):
    daemon.signal(signal.SIGKILL)
    daemon.abandon()


def is_accepted(reply):
    """Of a request for one table, or for all."""
    return isinstance(reply, kdb.List)


# ---- what fits ----


WIDER = dict(TRADE, columns=TRADE["columns"] + ["venue symbol"])


@pytest.mark.parametrize("change", [
    {"schema": {"tables": [WIDER, QUOTE]}}, {"schema": {"tables": [TRADE]}},
    {"message": {"max": "32K"}}, {"schema": {"check": "types"}}],
    ids=["column", "table", "message.max", "check"])
def test_a_change_of_what_fits(start, connect, folder, change):
    """Protects the RDB from a silent hole: the updates that it has counted were
    sent under other settings, so its answer is 'schema, and it starts the day anew;
    what it has had since the change is counted as ever, also after the next
    restart, the updates from before the change among it."""
    base = {"schema": {"check": "shape"}}
    daemon = start(journal.settings(folder, base))
    feed = Pair(connect(daemon))
    feed.publish(10)
    day = feed.client.sync(".u.d").value
    feed.client.close()
    daemon.stop()
    changed = journal.settings(folder, {**base, **change})
    if "schema" in change:
        changed["schema"] = {**base["schema"], **change["schema"]}
    wide = change.get("schema", {}).get("tables", [None])[0] is WIDER
    begin, had = [] if wide else feed.of("trade"), 0
    for turn in range(2):
        daemon = start(changed)
        client = connect(daemon)
        for claim in ((0, day, 0, 10), (0, day, 3, 1), (0, day, 9, 1)):
            assert rejoin(client, claim, sym("trade")) == Error(b"schema"), claim
        assert rejoin(client, (0, day, 0, 11)) == Error(b"epoch")
        assert client.sync(".ringtick.epoch") == atom("j", 1)
        assert is_accepted(rejoin(client, (1, day, 10, 5 * turn), sym("trade")))
        anew = connect(daemon)
        assert is_accepted(subfrom(anew, 0, sym("trade")) if turn == 0 else rejoin(
            anew, (1, day, 0, had), sym("trade")))
        feed = connect(daemon)
        for n in range(5):
            columns = trade(n)
            if wide:
                columns = lst(*columns.items, kdb.syms("X"))
            assert feed.update("trade", columns) == NIL
        names = "time sym price size venue" if wide else None
        fresh = [published("trade", columns.items[:3] + (
            kdb.vec("j", [n]),) + columns.items[4:], names) for n in range(5)]
        assert [client.read_frame() for _ in fresh] == fresh
        client.expect_silence()
        had += len(begin) + 5
        assert [anew.read_frame() for _ in begin] == begin
        assert [anew.read_frame() for _ in fresh] == fresh
        begin = []
        anew.expect_silence()
        for one in (client, anew, feed):
            one.close()
        daemon.stop()


def test_records_that_do_not_fit(start, connect, folder):
    """Protects late joiners from records that do not fit the schema any more: they
    get the others, and the log says so, once."""
    base = journal.settings(folder)
    daemon = start(base)
    feed = Pair(connect(daemon))
    feed.publish(10)
    feed.client.close()
    daemon.stop()
    daemon = start(merged(base, {"schema": {"tables": [WIDER, QUOTE]}}))
    for _ in range(2):
        client = connect(daemon)
        assert isinstance(subfrom(client, 0), kdb.List)
        assert [client.read_frame() for _ in range(5)] == feed.of("quote")
        client.expect_silence()
        client.close()
    line = daemon.wait_log("journal_records_refused")
    assert line["table"] == "trade" and line.level == 4
    daemon.stop()
    assert len(daemon.logged("journal_records_refused")) == 1


# ---- days ----


@pytest.mark.parametrize("how", ["clean", "killed"])
def test_a_day_that_was_ended(start, connect, folder, how):
    """Protects subscribers over an early end of day and a restart: the day stays
    ended, its numbers belong to one file, and no record is doubled or lost."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    day = feed.client.sync(".u.d").value
    feed.publish(5)
    feed.end_day()
    for turn in range(3):
        feed.publish(5 * min(turn, 1))  # nothing yet in the new day, at first
        before = len(feed.frames)
        feed.client.close()
        kill(daemon) if how == "killed" else daemon.stop()
        daemon = start(journal.settings(folder))
        feed.client = connect(daemon)
        assert feed.client.sync(".u.d").value == day + 1
        assert journal.count_and_path(feed.client) == (
            before - 6, journal.path_of(folder, day + 1))
        clients = []
        for claim, has in (((day, 0, 3), 3), ((day, 5, 0), 5), ((day + 1, 0, 0), 6)):
            client = connect(daemon)
            assert is_accepted(rejoin(client, (0, *claim)))
            clients.append((client, has))
        feed.publish(2)
        for client, has in clients:
            read_exactly(client, feed.frames[has:])
            client.close()
    assert len(journal.read(journal.path_of(folder, day))) == 5


def test_a_day_that_was_ended_right_before_midnight(start, connect, folder, clock):
    """The same where the next day's file was open already, so that its age does
    not tell that the day had begun."""
    settings = journal.settings(folder, {"day": {"zone": "utc"}})
    daemon = start(settings, environment=clock.environment())
    feed = Pair(connect(daemon))
    day = feed.client.sync(".u.d").value
    feed.publish(3)
    clock.set_before_the_end(day, 40)
    daemon.wait_log("journal_next")
    feed.end_day()
    path = journal.path_of(folder, day + 1)
    assert journal.count_and_path(feed.client) == (0, path)
    feed.client.close()
    kill(daemon)
    end = (day + 1 + 10957) * 86400
    os.utime(path, (end - 40, end - 40))  # by the clock of the daemon
    daemon = start(settings, environment=clock.environment())
    feed.client = connect(daemon)
    assert journal.count_and_path(feed.client) == (0, path)
    clients = [connect(daemon), connect(daemon)]
    assert is_accepted(rejoin(clients[0], (0, day, 0, 2)))
    assert is_accepted(rejoin(clients[1], (0, day + 1, 0, 0)))
    feed.publish(2)
    read_exactly(clients[0], feed.frames[2:])
    read_exactly(clients[1], feed.frames[4:])


@pytest.mark.parametrize("how", ["clean", "killed"])
def test_a_day_with_records_of_others(start, connect, folder, how):
    """Protects the count in a day whose file had records when it began: who came
    over midnight counts without them, who read all of it with them; so neither is
    believed."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    day = feed.client.sync(".u.d").value
    journal.write(journal.path_of(folder, day + 1),
                  *(journal.record("trade", trade(n)) for n in range(4)))
    feed.end_day()
    feed.publish(6)
    for _ in range(2):
        client = connect(daemon)
        for i, n in ((0, 3), (2, 1), (3, 7)):
            assert rejoin(client, (0, day + 1, i, n)) == Error(b"schema")
        assert is_accepted(rejoin(client, (0, day + 1, 4, 2)))
        read_exactly(client, feed.frames[3:])
        client.close()
        feed.client.close()
        kill(daemon) if how == "killed" else daemon.stop()
        daemon = start(journal.settings(folder))
        feed.client = connect(daemon)


def test_a_file_that_is_gone(start, connect, folder, clock):
    """Protects from the day after the next one in the place of the next: a client
    whose day's file was taken away while the daemon was down gets an error."""
    daemon = start(journal.settings(folder), environment=clock.environment())
    feed = Pair(connect(daemon))
    day = feed.client.sync(".u.d").value
    feed.publish(4)
    clock.set_days(1)
    feed.publish(4)
    feed.client.close()
    daemon.stop()
    os.rename(journal.path_of(folder, day + 1), folder / "archived")
    clock.set_days(3)
    daemon = start(journal.settings(folder), environment=clock.environment())
    client = connect(daemon)
    for claim in ((day, 0, 2), (day + 1, 0, 2), (day + 2, 0, 0)):
        assert rejoin(client, (0, *claim)) == Error(b"day"), claim
    assert is_accepted(rejoin(client, (0, day + 3, 0, 0)))


def test_a_file_that_was_cut(start, connect, folder):
    """Protects from records in the place of others: a file that has less in it
    than when the daemon stopped begins an epoch, in which none of its old records
    count as the same."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    feed.publish(10)
    day = feed.client.sync(".u.d").value
    feed.client.close()
    daemon.stop()
    path = journal.path_of(folder, day)
    os.truncate(path, journal.File(path).ends[6])
    daemon = start(journal.settings(folder))
    assert daemon.wait_log("journal_changed").level == 3
    client = connect(daemon)
    assert client.sync(".ringtick.epoch").value == 1
    assert rejoin(client, (0, day, 0, 5)) == Error(b"epoch")
    assert is_accepted(rejoin(client, (1, day, 0, 5)))


# ---- a crash before midnight ----


@pytest.mark.parametrize("days", [1, 3])
def test_a_crash_before_midnight(start, connect, folder, clock, mode, days):
    """Protects yesterday's end: after a crash before midnight and a start after it,
    yesterday's file is whole again, and who rejoins in it gets its rest, `.u.end`
    once, and the day's."""
    settings = journal.settings(folder, {"engine": {"mode": mode}})
    daemon = start(settings, environment=clock.environment())
    feed = Pair(connect(daemon))
    feed.publish(20)
    day = feed.client.sync(".u.d").value
    feed.client.close()
    kill(daemon)
    path = journal.path_of(folder, day)
    with open(path, "ab") as out:
        out.write(journal.record("trade", trade(99))[:-3])
    clock.set_days(days)
    daemon = start(settings, environment=clock.environment())
    assert daemon.wait_log("journal_torn")["file"] == str(path)
    assert len(journal.read(path)) == 20
    feed.client = connect(daemon)
    assert feed.client.sync(".u.d").value == day + days
    feed.frames.append(journal.end_frame(day))
    clients = []
    for i, n in ((0, 20), (0, 7), (3, 2), (20, 0)):
        client = connect(daemon)
        assert is_accepted(rejoin(client, (0, day, i, n)))
        clients.append((client, feed.frames[i + n:]))
    client = connect(daemon)
    assert is_accepted(rejoin(client, (0, day, 0, 4), sym("quote")))
    clients.append((client, feed.of("quote")[4:]))
    client = connect(daemon)
    assert rejoin(client, (0, day, 0, 21)) == Error(b"epoch")
    count = len(feed.frames)
    feed.publish(6)
    for n, (client, wanted) in enumerate(clients):
        more = feed.of("quote" if n == 4 else "", count)
        read_exactly(client, wanted + more)
        client.expect_silence()
    # by its own count it is at (0, day + 1, 0, 6) now, whatever day it is
    client = connect(daemon)
    assert is_accepted(rejoin(client, (1, day + 1, 0, 6)))
    feed.publish(1)
    read_exactly(client, feed.frames[-1:])


def test_yesterday_is_damaged(start, connect, folder, clock):
    """Protects today from yesterday: a file that cannot be used is told, and the
    daemon runs."""
    path = journal.path_of(folder, journal.local_day(journal.noon_zone()) - 1)
    path.write_bytes(b"no journal")
    daemon = start(journal.settings(folder))
    line = daemon.wait_log("journal_day_before_unusable")
    assert line.level == 4 and str(path) in line["why"]
    assert path.read_bytes() == b"no journal"


# ---- a clock far off ----


def test_a_clock_that_was_ahead(start, connect, clock):
    """Protects from a date that stays wrong for a year: a clock that was ahead at
    the start is told when it steps back, and the date is corrected as long as
    nothing has come in it; else each report says so."""
    clock.set_days(400)
    daemon = start(environment=clock.environment())
    client = connect(daemon)
    far = client.sync(".u.d").value
    clock.set_days(0)
    assert daemon.wait_log("date_corrected")["from"] == journal.date_text(far)
    assert daemon.wait_log("clock_stepped_back").number("seconds") > 399 * 86400
    assert client.sync(".u.d").value == far - 400
    clock.set_days(3)  # the day ends: that cannot be taken back
    assert client.sync(".u.d").value == far - 397
    clock.set_days(0)
    daemon.wait_log("date_corrected", to=journal.date_text(far - 399))
    assert client.sync(".u.d").value == far - 399
    clock.set_days(5)
    assert client.update("trade", trade(1)) == NIL
    clock.set_days(0)
    line = daemon.wait_log("date_ahead")
    assert (line.level, line["days"]) == (4, "5")
    assert client.sync(".u.d").value == far - 395
    clock.set_days(6)
    assert client.sync(".u.d").value == far - 394


def test_a_journal_that_was_ahead(start, connect, folder, clock):
    """The same with a journal: the day's file is the right one, with its records, in
    a new epoch; and a day whose end was sent to a client does not run again."""
    settings = journal.settings(folder)
    daemon = start(settings, environment=clock.environment())
    feed = Pair(connect(daemon))
    feed.publish(6)
    day = feed.client.sync(".u.d").value
    feed.client.close()
    daemon.stop()
    clock.set_days(400)
    daemon = start(settings, environment=clock.environment())
    daemon.wait_log("clock_far")
    early = connect(daemon)  # subscribes in the wrong day
    assert journal.join(early) == (0, journal.path_of(folder, day + 400))
    clock.set_days(0)
    daemon.wait_log("date_corrected", to=journal.date_text(day))
    feed.client = connect(daemon)
    assert feed.client.sync(".u.d").value == day
    assert journal.count_and_path(feed.client) == (6, journal.path_of(folder, day))
    client, old = connect(daemon), connect(daemon)
    assert client.sync(".ringtick.epoch").value == 1
    assert rejoin(client, (0, day + 400, 0, 0)) == Error(b"day")
    assert is_accepted(rejoin(old, (0, day, 0, 6)))
    feed.publish(3)
    read_exactly(early, feed.frames[6:])
    read_exactly(old, feed.frames[6:])
    assert len(journal.read(journal.path_of(folder, day))) == 9
    for one in (client, old, early, feed.client):
        one.close()
    daemon.stop()
    clock.set_days(400)
    daemon = start(settings, environment=clock.environment())
    client = connect(daemon)
    assert is_accepted(rejoin(client, (1, day, 0, 8)))
    feed.frames.append(journal.end_frame(day))
    read_exactly(client, feed.frames[8:])
    assert client.sync(".u.d").value == day + 400
    mark = daemon.mark()
    clock.set_days(0)
    daemon.wait_log("date_corrected", after=mark, to=journal.date_text(day + 1))
    assert is_accepted(rejoin(client, (1, day, 0, 9)))
    feed.client = connect(daemon)
    feed.publish(1)
    read_exactly(client, feed.frames[9:])
    mark = daemon.mark()
    clock.set_days(300)  # and what has anything in it stays
    feed.publish(1)
    clock.set_days(0)
    assert daemon.wait_log("date_ahead", after=mark, days=300)


def test_the_right_days_file_cannot_be_opened(start, connect, folder, clock):
    """Protects from silence, and from a standstill: the date stays, the log says so
    with the reason, and updates are accepted in it."""
    clock.set_days(400)
    daemon = start(journal.settings(folder), environment=clock.environment())
    client = connect(daemon)
    day, path = client.sync(".u.d").value, journal.count_and_path(client)[1]
    journal.path_of(folder, day - 400).mkdir()
    clock.set_days(0)
    line = daemon.wait_log("date_not_corrected")
    assert line.level == 3 and journal.date_text(day - 400) in line["why"]
    assert client.update("trade", trade(1)) == NIL
    assert client.sync(".u.d").value == day
    assert journal.count_and_path(client) == (1, path)
    assert daemon.wait_log("date_ahead").number("days") == 400


def test_a_clock_before_the_release(start, clock):
    """Protects from a machine without a battery for its clock."""
    clock.set_days(-9000)
    daemon = start(environment=clock.environment())
    assert daemon.wait_log("clock_far").level == 4


# ---- the file that knows ----


@pytest.mark.parametrize("text", [b"", b"ringtick-epochs 3\nepoch 0 cl", None])
def test_a_spoilt_epoch_file(start, connect, folder, text):
    """Protects from an epoch that comes twice: where the number cannot be read the
    next one is later than any before, and the log says so."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    feed.publish(4)
    day = feed.client.sync(".u.d").value
    feed.client.close()
    daemon.stop()
    path = folder / "sym.epoch"
    path.unlink() if text is None else path.write_bytes(text)
    daemon = start(journal.settings(folder))
    line = daemon.wait_log("epoch_unknown")
    assert line.level == 3 and line["file"] == str(path)
    client = connect(daemon)
    epoch = client.sync(".ringtick.epoch").value
    assert epoch == line.number("epoch") > 1_000_000
    for old in (0, 1, epoch - 2):
        assert rejoin(client, (old, day, 0, 2)) == Error(b"epoch")
    assert is_accepted(subfrom(client, 0))
    read_exactly(client, feed.frames)
    client.close()
    # who has begun anew is believed from then on
    client = connect(daemon)
    assert is_accepted(rejoin(client, (epoch, day, 0, 4)))
    client.close()
    kill(daemon)
    daemon = start(journal.settings(folder))
    assert connect(daemon).sync(".ringtick.epoch").value == epoch + 1


def test_a_newer_epoch_file(folder, tmp_path):
    """Protects a downgrade to an older release: refused, by name."""
    from daemon import write_config
    (folder / "sym.epoch").write_text("ringtick-epochs 4\n")
    config = write_config(tmp_path / "ringtick.conf", journal.settings(folder))
    done = run("-c", config)
    assert done.returncode == 78
    assert "sym.epoch is of a newer ringtickd" in done.stderr, done.stderr


# ---- all together, against a model ----


class Model:
    """What has happened: records and ends of days, in order; what each client
    has of it; and what may be refused."""

    def __init__(self, start, connect, folder, clock, seed):
        self.start, self.connect, self.folder = start, connect, folder
        self.clock, self.random = clock, random.Random(seed)
        self.events = []     # ("record", table, frame) or ("end", day, frame)
        self.day_starts = {}  # day: index of its first event
        self.changes = {}    # day: index; before it other settings were in force
        self.changed_epoch = 0  # claims in later ones are of these settings
        self.clients = []
        self.tables = ("trade", "quote")
        self.ahead = 0       # days that the clock was set ahead
        self.daemon = self.feed = None
        self.number = 0
        self.first_day = journal.local_day(journal.noon_zone())
        self.day = self.first_day
        self.day_starts[self.day] = 0
        self.known = [self.day]  # the days of files that are open
        self.counts = {"accepted": 0, "schema": 0, "epoch": 0, "day": 0}

    # the daemon

    def run(self):
        tables = {"trade": TRADE, "quote": QUOTE}
        self.daemon = self.start(journal.settings(self.folder, {
            "schema": {"tables": [tables[name] for name in self.tables]},
            "engine": {"mode": self.random.choice(("direct", "sqpoll"))}}),
            environment=self.clock.environment())
        self.feed = self.connect(self.daemon)
        if self.first_day + self.ahead > self.day:
            self.end(self.first_day + self.ahead)
        assert self.feed.sync(".u.d").value == self.day
        self.epoch = self.feed.sync(".ringtick.epoch").value
        first = self.day_starts[self.day]
        assert self.feed.sync(".u.i").value == len(self.events) - first

    def end(self, next_day):
        self.events.append(("end", self.day, journal.end_frame(self.day)))
        self.day = next_day
        self.day_starts[self.day] = len(self.events)
        self.known = [self.known[-1], self.day]

    def publish(self):
        for _ in range(self.random.randrange(1, 12)):
            name = self.random.choice(self.tables)
            make = {"trade": trade, "quote": quote}[name](self.number)
            self.number += 1
            assert self.feed.update(name, make) == NIL
            self.events.append(("record", name, published(name, make.items)))

    def end_early(self):
        if self.day <= self.first_day + self.ahead:
            assert self.feed.sync(".u.endofday[]") == NIL
            self.end(self.day + 1)

    def midnight(self):
        self.ahead += 1
        self.clock.set_days(self.ahead)
        if self.first_day + self.ahead > self.day:
            self.daemon.wait_log("journal_rolled", old=str(
                journal.path_of(self.folder, self.day)))
            self.end(self.first_day + self.ahead)

    def restart(self):
        self.feed.close()
        if self.random.random() < 0.5:
            self.daemon.stop()
        else:
            kill(self.daemon)
            self.lose()
        if self.random.random() < 0.2:
            self.ahead += self.random.choice((1, 1, 2))
            self.clock.set_days(self.ahead)
        if self.random.random() < 0.3:
            self.tables = {2: ("trade",), 1: ("trade", "quote")}[len(self.tables)]
            at = len(self.events)
            self.changes = {one: at for one in self.known}
            self.changed_epoch = self.epoch + 1
        self.run()

    def lose(self):
        """The machine was down: the end of the file is gone, and torn."""
        path = journal.path_of(self.folder, self.day)
        first = self.day_starts[self.day]
        lost = min(self.random.choice((0, 0, 1, 5)), len(self.events) - first)
        file = journal.File(path)
        keep = len(file) - lost
        assert len(file) == len(self.events) - first
        ends = [len(journal.HEADER)] + file.ends
        with open(path, "r+b") as out:
            out.truncate(ends[keep])
            out.seek(0, 2)
            if self.random.random() < 0.5:
                out.write(journal.record("trade", trade(7))[:20])
        del self.events[first + keep:]
        for one in self.clients:
            if one["at"] > len(self.events):
                one["lost"] = True
        for one in self.known:
            self.changes[one] = min(self.changes.get(one, 0), len(self.events))

    # clients

    def wanted(self, client, at):
        """The events from one on: (index after the event, frame)."""
        found = []
        for n, (kind, name, frame) in enumerate(self.events[at:], at + 1):
            is_mine = kind == "end" or client["table"] in ("", name)
            if is_mine and (kind == "end" or name in self.tables):
                found.append((n, frame))
        return found

    def visit(self):
        if len(self.clients) < 6:
            self.clients.append({
                "table": self.random.choice(("", "", "trade")), "claim": None,
                "at": None, "lost": False})
            one = self.clients[-1]
        else:
            one = self.random.choice(self.clients)
        client = self.connect(self.daemon)
        if one["claim"] is None or not self.go_on(one, client):
            client.close()
            client = self.connect(self.daemon)
            assert is_accepted(subfrom(client, 0, sym(one["table"])))
            at = self.day_starts[self.day]
            one.update(claim=[self.epoch, self.day, 0, 0], at=at, from_at=at,
                       lost=False)
        self.read(one, client)
        client.close()

    def go_on(self, one, client):
        """Rejoins. Whether it was accepted, which it must be if it can be."""
        claim = one["claim"]
        reply = rejoin(client, tuple(claim), sym(one["table"]))
        has_changed = (claim[3] > 0 and claim[0] < self.changed_epoch and
                       one["from_at"] < self.changes.get(
                           self.day_of(one["from_at"]), 0))
        is_old = (self.day_of(one["from_at"]) not in self.known[-2:]
                  or claim[1] not in self.known)  # skipped; or it may be
        if is_accepted(reply):
            assert not has_changed, (claim, self.changes)
            self.counts["accepted"] += 1
            claim[0] = self.epoch
            return not one["lost"] or self.assert_cut(client)
        self.counts[reply.text.decode()] += 1
        assert one["lost"] or has_changed or is_old, (claim, reply, self.changes)
        return False

    def day_of(self, at):
        """The day whose file has the event at this index."""
        return max((one for one, first in self.day_starts.items() if first <= at),
                   default=None)

    def assert_cut(self, client):
        """It has what a crash took, which is found when the journal is read."""
        assert kdb.drain(client.sock)[0] == b"" and not client.inbox
        return False

    def read(self, one, client):
        """Takes some of what comes, in order, and counts."""
        wanted = self.wanted(one, one["at"])
        if self.random.random() < 0.7:
            for _, frame in wanted:
                assert client.read_frame() == frame, one
            client.sync("")
            assert not client.inbox, one
        else:
            wanted = wanted[: self.random.randrange(len(wanted) + 1)]
            for _, frame in wanted:
                assert client.read_frame() == frame, one
        claim = one["claim"]
        for n, frame in wanted:
            one["at"] = n
            if b".u.end" in frame[:32]:
                claim[1:] = [self.events[n - 1][1] + 1, 0, 0]
                one["from_at"] = n
            else:
                claim[3] += 1
        everything = one["table"] == "" and not any(
            name not in self.tables for kind, name, _ in self.events[one["from_at"]:]
            if kind == "record")
        if everything and self.random.random() < 0.3:
            claim[2:] = [claim[2] + claim[3], 0]
            one["from_at"] = one["at"]


@pytest.mark.parametrize("seed", [1, 2])
def test_against_a_model(start, connect, folder, clock, seed):
    """Protects every subscriber, whatever comes together: updates, ends of days by
    clock and by hand, stops, crashes that take records, changed schemas. A claim is
    answered with exactly what follows, and refused only where it cannot be."""
    seed = int(os.environ.get("RINGTICK_SEED", seed))
    model = Model(start, connect, folder, clock, seed)
    model.run()
    acts = [model.publish] * 6 + [model.visit] * 12 + [
        model.end_early, model.midnight] + [model.restart] * 4
    for _ in range(int(os.environ.get("RINGTICK_STEPS", 100))):
        model.random.choice(acts)()
    print("\n%s" % model.counts)
    model.feed.close()
