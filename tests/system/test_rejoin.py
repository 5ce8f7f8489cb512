"""Joining again over the wire after a broken connection: .ringtick.rejoin."""

import random
import select
import signal
import threading
import time

import journal
import kdb
import pytest
from kdb import NIL, Error, atom, lst, sym, syms, vec
from late import (TIGHT, Feeder, Pair, Whole, end_day, is_of, read_exactly, rejoin,
                  subfrom, vanish)
from spill import (WINDOW, Subscriber, frames_of, settings, wait_level, wait_state,
                   wait_stuck)


class Wanderer(threading.Thread):
    """Loses its connection at random bytes, and continues after what it has."""

    def __init__(self, daemon, seed, table, day):
        super().__init__(daemon=True)
        self.port, self.table = daemon.port, table
        self.random = random.Random(seed)
        self.frames, self.breaks = [], 0
        self.claim = (0, day, 0, 0)
        self.tables = {"": sym(""), "both": syms("quote", "trade")}.get(
            table, sym(table))
        self.wanted, self.failure, self.is_done = None, None, False
        self.news = threading.Condition()
        self.start()

    def run(self):
        try:
            while self.wanted is None or len(self.frames) < self.wanted:
                self.go_on()
                self.breaks += 1
        except Exception as failure:
            self.failure = failure
        with self.news:
            self.is_done = True
            self.news.notify_all()

    def go_on(self):
        client = kdb.Client(self.port, timeout=60)
        reply = rejoin(client, self.claim, self.tables)
        assert isinstance(reply, kdb.List), (reply, self.claim)
        data = b"".join(client.inbox) + bytes(client.reader.buffer[client.reader.at:])
        goal = self.random.choice((0, 30, 1000, 50_000, 500_000, 2_000_000))
        goal = self.random.randrange(goal + 1)
        while len(data) < goal and select.select([client.sock], [], [], 0.05)[0]:
            piece = client.sock.recv(65536)
            assert piece, "the daemon closed: %s" % (self.claim,)
            data += piece
        self.apply(frames_of(data[:goal])[0])
        self.random.choice((vanish, vanish, kdb.Client.close))(client)

    def apply(self, frames):
        epoch, day, i, n = self.claim
        for one in frames:
            if b".u.end" in one[:32]:
                day, i, n = day + 1, 0, 0
            else:
                n += 1
        if self.table in ("", "both") and self.random.random() < 0.5:
            i, n = i + n, 0
        with self.news:
            self.claim = (epoch, day, i, n)
            self.frames += frames
            self.news.notify_all()

    def goes_on(self, until, seconds=60):
        """Waits as long as there is progress: how much there is to do depends on
        how slow the machine was."""
        while not until() and self.failure is None:
            seen, claim = len(self.frames), self.claim
            with self.news:
                self.news.wait_for(lambda: until() or self.is_done, seconds)
            assert self.is_done or until() or (
                (seen, claim) != (len(self.frames), self.claim)), claim
        assert self.failure is None, repr(self.failure)

    def wait_for_day(self, day):
        self.goes_on(lambda: self.claim[1] >= day)

    def finish(self, wanted):
        self.wanted = wanted
        self.goes_on(lambda: self.is_done)
        self.join()


@pytest.mark.parametrize("mode,after,sync", [
    ("sqpoll", "ring", "none"), ("direct", "journal", "none"),
    ("sqpoll", "sync", "batch"), ("direct", "ring", "none")])
@pytest.mark.usefixtures("many_days")
def test_broken_connections(start, connect, folder, mode, after, sync):
    """Protects the RDB on a bad network: wherever its connection breaks, it gets
    every update once; over ends of days."""
    daemon = start(settings(folder, mode, TIGHT, after=after, sync=sync))
    reference = Subscriber(connect, daemon, "all", keep=True)
    first_day = connect(daemon).sync(".u.d").value
    wanderers = [Wanderer(daemon, n, table, first_day)
                 for n, table in enumerate(("", "trade", "quote", "both"))]
    feeders = [Feeder(connect(daemon), seed) for seed in (1, 2)]
    for n in range(2):
        time.sleep(0.25)  # of traffic
        end_day(feeders[0].client)
        for one in wanderers:
            one.wait_for_day(first_day + n + 1)
    for one in feeders:
        one.halt()
    reference.finish()
    whole = Whole(reference.stream.data)
    whole.assert_is_the_journal(folder, first_day)
    for one in wanderers:
        table = "" if one.table == "both" else one.table
        one.finish(sum(is_of(table, frame) for frame in whole.frames))
        assert b"".join(one.frames) == whole.streams[table], one.table
    print("\n%d messages, %s connections" % (
        len(whole.frames), "+".join(str(one.breaks) for one in wanderers)))


@pytest.mark.usefixtures("many_days")
def test_the_day_before(start, connect, folder, mode):
    """Protects a client that lost its connection around midnight: the day before is
    still known, with its end; older days are 'day, and so are later ones."""
    daemon = start(settings(folder, mode))
    feed = Pair(connect(daemon), 50)
    day = feed.client.sync(".u.d").value
    days = [0]
    for n in range(3):
        feed.publish(40)
        feed.end_day()
        days.append(len(feed.frames))
    feed.publish(40)
    late = connect(daemon, user="late")
    while rejoin(late, (0, day + 1, 0, 0)) != Error(b"day"):
        feed.publish(2)
    for other in (day, day + 1, day + 4, day + 5, 0, -5, -(1 << 31)):
        assert rejoin(late, (0, other, 0, 0)) == Error(b"day")
    records = [40] * 3 + [len(feed.frames) - days[3]]
    late.close()
    clients = []
    for n in (2, 3):
        for i, got in ((0, 0), (0, records[n]), (records[n], 0), (7, 20), (20, 1)):
            client = connect(daemon)
            assert isinstance(rejoin(client, (0, day + n, i, got)), kdb.List)
            clients.append((client, "", feed.frames[days[n] + i + got:]))
        for i, got in ((0, 0), (7, 5), (0, records[n] // 2)):
            client = connect(daemon)
            assert isinstance(rejoin(client, (0, day + n, i, got), sym("quote")),
                              kdb.List)
            wanted = [one for one in feed.of("quote", days[n] + i)]
            clients.append((client, "quote", wanted[got:]))
        client = connect(daemon)
        assert rejoin(client, (0, day + n, 0, records[n] + 1)) == Error(b"epoch")
        assert rejoin(client, (0, day + n, records[n] + 1, 0)) == Error(b"epoch")
        assert rejoin(client, (0, day + n, records[n], 1)) == Error(b"epoch")
    count = len(feed.frames)
    feed.publish(10)
    for client, table, wanted in clients:
        more = [one for one in feed.frames[count:] if is_of(table, one)]
        read_exactly(client, wanted + more)
        client.expect_silence()


@pytest.mark.usefixtures("many_days")
def test_figures_over_the_end_of_day(start, connect, folder):
    """Protects the figures of a client that rejoins in the day before: it lacks
    records of both days."""
    daemon = start(settings(folder))
    feed = Pair(connect(daemon), 400)
    day = feed.client.sync(".u.d").value
    feed.publish(80)
    feed.end_day()
    feed.publish(150)
    slow = connect(daemon, user="slow", receive_buffer=WINDOW)
    rejoin(slow, (0, day, 50, 10))
    wait_state(daemon, "slow", "catching_up")
    line = wait_stuck(daemon, "slow")
    wanted = feed.frames[60:]
    sent = line.number("sent_bytes") - 1 - len(
        kdb.frame(connect(daemon).subscribe(), kdb.RESPONSE))
    ends, at = [], 0
    for one in wanted:
        at += len(one)
        ends.append((at, b".u.end" not in one[:32]))
    assert line.number("lag_bytes") == at - sent
    assert line.number("lag_records") == sum(
        is_record for end, is_record in ends if end > sent)
    read_exactly(slow, wanted)
    line = wait_level(daemon, "slow")
    assert line["lag_records"] == "0", line.text


def test_claims_of_the_wrong_type(start, connect, folder):
    """Protects from malformed claims."""
    daemon = start(journal.settings(folder))
    feed = Pair(connect(daemon))
    feed.publish(4)
    day = feed.client.sync(".u.d").value
    good = [atom("j", 0), atom("d", day), atom("j", 1), atom("j", 2)]
    client = connect(daemon)
    for at in range(4):
        for bad in (sym("x"), NIL, atom("j", -1), atom("f", 1.0), vec("j", [1]),
                    lst(), kdb.text(""), atom("h", 1), atom("p", 1), syms()):
            claim = good[:at] + [bad] + good[at + 1:]
            asked = lst(sym(".ringtick.rejoin"), sym(""), sym(""), lst(*claim))
            assert client.sync(asked) == Error(b"type"), (at, bad)
    for claim in (lst(*good[:3]), lst(*good, atom("j", 0)), lst(), NIL, atom("j", 1),
                  vec("j", [0, day, 0, 0]), good[0], kdb.text("claim")):
        asked = lst(sym(".ringtick.rejoin"), sym(""), sym(""), claim)
        assert client.sync(asked) == Error(b"type"), claim
    most = atom("j", (1 << 63) - 1)
    asked = lst(sym(".ringtick.rejoin"), sym(""), sym(""), lst(*good[:2], most, most))
    assert client.sync(asked) == Error(b"epoch")
    assert rejoin(client, (0, day, 0, 0), sym("nowhere")) == Error(b"nowhere")
    assert rejoin(client, (0, day, 0, 0), syms()) == Error(b"length")
    assert client.sync(lst(sym(".ringtick.rejoin"), sym(""), sym(""))) == Error(b"rank")
    asked = lst(sym(".ringtick.rejoin"), sym(""), sym(""), lst(
        atom("i", 0), atom("d", day), atom("i", 1), atom("i", 2)))
    assert isinstance(client.sync(asked), kdb.List)
    read_exactly(client, feed.frames[3:])
    client.expect_silence()


def claims(feed, table):
    """(i, n) and what is to come, of every place in one day."""
    for first in (0, 3):
        frames = feed.of(table, first)
        for n in range(len(frames) + 1):
            yield first, n, frames[n:]


def test_clean_restart(start, connect, folder, mode):
    """Protects the RDB from an upgrade of the daemon: after a clean stop the epoch
    is the same, and the RDB continues after what it has."""
    feed = None
    for turn in range(3):
        daemon = start(settings(folder, mode))
        frames = feed.frames if feed else []
        feed = Pair(connect(daemon))
        feed.frames = frames
        assert feed.client.sync(".ringtick.epoch") == atom("j", 0)
        day = feed.client.sync(".u.d").value
        clients = []
        for table in ("", "trade", "quote"):
            for i, n, wanted in claims(feed, table) if turn else ():
                client = connect(daemon)
                assert isinstance(rejoin(client, (0, day, i, n), sym(table)), kdb.List)
                clients.append((client, table, wanted))
        count = len(feed.frames)
        feed.publish(8)
        for client, table, wanted in clients:
            read_exactly(client, wanted + feed.of(table, count))
            client.close()
        feed.client.close()
        daemon.stop()


def kill(daemon, path, keep):
    """kill -9; then the file has only this many records and half of another."""
    daemon.signal(signal.SIGKILL)
    daemon.abandon()
    file = journal.File(path)
    end = file.ends[keep - 1] if keep else len(journal.HEADER)
    torn = (file.ends + [file.ends[-1] + 30])[keep] - end
    with open(path, "r+b") as out:
        out.truncate(end + torn // 2)


def assert_lost(daemon, connect, claim, table):
    """It is accepted, and when it turns out that it cannot be met, ended."""
    client, mark = connect(daemon), daemon.mark()
    reply = rejoin(client, claim, sym(table))
    if reply == Error(b"epoch"):
        return "error"
    assert isinstance(reply, kdb.List)
    daemon.wait_log("disconnect", after=mark, peer=client.name, reason="epoch")
    assert kdb.drain(client.sock)[0] == b"" and not client.inbox
    return "end"


def test_epochs(start, connect, folder, mode):
    """Protects from a silent difference after a crash that took records: a client
    that has them is refused or disconnected, whatever came since and whichever
    crash it was; a client that does not have them continues."""
    path, frames, lived, how = journal.path_now(folder), [], [], set()
    for epoch in range(4):
        daemon = start(settings(folder, mode, after="ring"))
        feed = Pair(connect(daemon))
        feed.frames = frames
        assert feed.client.sync(".ringtick.epoch") == atom("j", epoch)
        assert feed.client.sync(".u.i").value == len(frames)
        day = feed.client.sync(".u.d").value
        for more in (0, 30):  # nothing new yet, and more than what was lost
            feed.publish(more)
            sure = [min([kept for kept, _ in lived[n:]] + [len(frames)])
                    for n in range(epoch + 1)]
            for n, (_, old) in enumerate(lived):
                clients = []
                for table in ("", "trade", "quote"):
                    mine = [one for one in old if is_of(table, one)]
                    still = [one for one in old[:sure[n]] if is_of(table, one)]
                    assert len(still) < len(mine)
                    for got in (len(still) + 1, len(mine)):
                        how.add(assert_lost(daemon, connect, (n, day, 0, got), table))
                    client = connect(daemon)
                    reply = rejoin(client, (n, day, 0, len(still)), sym(table))
                    assert isinstance(reply, kdb.List), (epoch, n, reply)
                    clients.append((client, feed.of(table)[len(still):]))
                client = connect(daemon)
                assert rejoin(client, (n, day, sure[n] + 1, 0)) == Error(b"epoch")
                assert rejoin(client, (n, day, 0, sure[n] + 1)) == Error(b"epoch")
                assert isinstance(rejoin(client, (n, day, sure[n], 0)), kdb.List)
                clients.append((client, frames[sure[n]:]))
                for one, wanted in clients:
                    read_exactly(one, wanted)
                    one.expect_silence()
                    one.close()
        client = connect(daemon)
        assert rejoin(client, (epoch + 1, day, 0, 1)) == Error(b"epoch")
        client.close()
        feed.client.close()
        kept = len(frames) - (14, 3, 25)[epoch % 3]
        kill(daemon, path, kept)
        lived.append((kept, list(frames)))
        del frames[kept:]
    assert how == {"error", "end"}


def test_crash_without_loss(start, connect, folder, mode):
    """Protects clients that have no lost record: with publish.after = journal a
    crash of the daemon takes no visible record, and every client continues."""
    daemon = start(settings(folder, mode, after="journal"))
    feed = Pair(connect(daemon))
    day = feed.client.sync(".u.d").value
    client = connect(daemon)
    subfrom(client, 0, sym("trade"))
    feed.publish(21)
    read_exactly(client, feed.of("trade"))
    client.close()
    feed.client.close()
    daemon.signal(signal.SIGKILL)
    daemon.abandon()
    daemon = start(settings(folder, mode, after="journal"))
    client = connect(daemon)
    assert isinstance(rejoin(client, (0, day, 0, 11), sym("trade")), kdb.List)
    feed.client = connect(daemon)
    feed.publish(21)
    read_exactly(client, feed.of("trade", 21))
    client.expect_silence()
    assert rejoin(connect(daemon), (0, day, 0, 22)) == Error(b"epoch")
    assert isinstance(rejoin(connect(daemon), (1, day, 0, 22)), kdb.List)


def test_crash_in_another_day(start, connect, folder, mode):
    """Protects a client that was away while days ended and the daemon crashed: the
    running day continues, the day before is known too, and older days are not."""
    daemon = start(settings(folder, mode))
    feed = Pair(connect(daemon))
    day = feed.client.sync(".u.d").value
    feed.publish(10)
    feed.end_day()
    feed.publish(10)
    feed.client.close()
    daemon.signal(signal.SIGKILL)
    daemon.abandon()
    daemon = start(settings(folder, mode))
    feed = Pair(connect(daemon))
    assert feed.client.sync(".u.d").value == day + 1
    client = connect(daemon)
    for number, i, n in ((day, 0, 11), (day + 1, 0, 11), (day + 1, 11, 0)):
        assert rejoin(client, (0, number, i, n)) == Error(b"epoch")
    assert rejoin(client, (0, day - 1, 0, 0)) == Error(b"day")
    assert isinstance(rejoin(client, (0, day + 1, 0, 10)), kdb.List)
    feed.publish(1)
    read_exactly(client, feed.frames)
    assert isinstance(rejoin(connect(daemon), (0, day, 0, 10)), kdb.List)


def test_the_last_request_of_several_counts(start, connect, folder):
    """Protects a request with two of these: nothing of the first one's claim is
    left in the second."""
    daemon = start(settings(folder))
    feed, client = Pair(connect(daemon)), connect(daemon)
    feed.publish(6)
    answer = client.sync(kdb.text(
        "(.ringtick.rejoin[`;`;(.ringtick.epoch;.u.d;0;5)];.ringtick.subfrom[`;`;0])"))
    assert isinstance(answer, kdb.List)
    read_exactly(client, feed.frames)
