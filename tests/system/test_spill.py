"""Policy spill: a slow consumer leaves the ring, is served from the journal and
comes back; its socket never notices.

RINGTICK_SPILL_MB=4000 makes a long test of the stop-and-go ones."""

import fcntl
import os
import random
import struct
import termios
import time

import journal
import kdb
import pytest
from daemon import TRADE
from kdb import NIL
from spill import (SMALL, WINDOW, Mix, Subscriber, assert_same, frames_of, line_of,
                   lines_of, publish, settings, wait_level, wait_state, wait_stuck)
from traffic import Flood, Template, published, quote, trade, update

MEGABYTES = int(os.environ.get("RINGTICK_SPILL_MB", "24"))


def end_day(client):
    assert client.sync(".u.endofday[]") == NIL


# ---- the same bytes ----


def assert_is_the_journal(folder, data, first_day, days):
    """A fast subscriber's bytes are those of the files, with the marks."""
    frames, torn = frames_of(data)
    records = []
    for day in range(first_day, first_day + days):
        path = journal.path_of(folder, day)
        records += journal.read(path).records + [journal.end_frame(day)]
    records.pop()
    marks = {journal.end_frame(day) for day in range(first_day, first_day + days)}
    assert torn == b"" and len(frames) == len(records)
    assert [one if one in marks else journal.record_of(one)
            for one in frames] == records


@pytest.mark.parametrize("mode,after,sync", [
    ("sqpoll", "ring", "none"), ("direct", "journal", "none"),
    ("sqpoll", "sync", "batch"), ("direct", "ring", "batch")])
@pytest.mark.usefixtures("many_days")
def test_stop_and_go(start, connect, folder, mode, after, sync):
    """Protects the whole promise: subscribers that stop again and again, of all
    tables and of one, get the byte streams of fast ones, over many hand-overs
    and ends of days."""
    daemon = start(settings(folder, mode, after=after, sync=sync))
    rng, mix = random.Random(3), Mix(3)
    slow = [Subscriber(connect, daemon, "slow" + table, table, WINDOW)
            for table in ("", "trade", "quote")]
    fast = [Subscriber(connect, daemon, "fast" + table, table, keep=table == "")
            for table in ("", "trade", "quote")]
    feeds = [connect(daemon) for _ in range(2)]
    day = feeds[0].sync(".u.d").value
    turns = 10 * max(MEGABYTES // 24, 1)
    for turn in range(turns):
        for one in slow:
            if turn % 2 == 0 or rng.random() < 0.6:
                one.stop()
        for feed in feeds:
            feed.send(mix.block(MEGABYTES * 1_000_000 // turns // 2))
            feed.sync(".u.d")
        if turn % 4 == 3:
            end_day(feeds[0])
        for one in slow:
            if rng.random() < 0.8:
                one.go()
        if turn % 4 == 1:  # so each can leave the ring again
            for one in slow:
                one.go()
                wait_state(daemon, one.user, "live")
    for one in slow:
        one.go()
    total = assert_same(slow[0], fast[0])
    assert_same(slow[1], fast[1])
    assert_same(slow[2], fast[2])
    assert total > MEGABYTES * 1_000_000 * 0.9
    assert_is_the_journal(folder, fast[0].stream.data, day, 1 + turns // 4)
    # on a slow machine one may be back before its filtered ring is full again
    spills = [line_of(daemon, one.user).number("spills") for one in slow]
    assert min(spills) >= 1 and sum(spills) >= 4, spills
    assert not daemon.logged("disconnect")


@pytest.mark.usefixtures("many_days")
def test_days_behind(start, connect, folder, mode):
    """Protects a consumer that lags by several days: it gets the rest of each day
    and its end, in order, out of files that the daemon has left long ago."""
    daemon = start(settings(folder, mode))
    mix, feed = Mix(5), connect(daemon)
    day = feed.sync(".u.d").value
    slow = [Subscriber(connect, daemon, "slow" + table, table, WINDOW)
            for table in ("", "trade")]
    fast = [Subscriber(connect, daemon, "fast" + table, table, keep=table == "")
            for table in ("", "trade")]
    for one in slow:
        one.stop()
    for _ in range(3):
        publish(feed, mix.block(3_000_000))
        end_day(feed)
    end_day(feed)  # a day without a record
    publish(feed, mix.block(3_000_000))
    for one in slow:
        wait_state(daemon, one.user, "catching_up")
        one.go()
    assert_same(slow[0], fast[0])
    assert_same(slow[1], fast[1])
    assert_is_the_journal(folder, fast[0].stream.data, day, 5)
    daemon.wait_log("consumer", user="slow", state="live")
    publish(feed, mix.block(2_000_000))  # the files of old are forgotten
    held = [name for name in daemon.fds() if "/sym2" in name]
    assert len(held) == 2, held  # today's, and the day before


LONG = {"ring": {"size": "8M"}, "streams": {"ring": "8M"}, "message": {"max": "2M"}}
LONGEST = (2 << 20) - len(published("trade", trade(0, 0).items))
BYTES = 8 + 4 + 8 + 8  # of a row with symbol IBM


@pytest.mark.parametrize("mode,after", [("sqpoll", "ring"), ("direct", "journal")])
@pytest.mark.usefixtures("many_days")
def test_long_messages(start, connect, folder, mode, after):
    """Protects messages longer than a consumer's buffer, and than a read, up to
    message.max; and those that came compressed or big-endian."""
    daemon = start(settings(folder, mode, LONG, after=after))
    rng = random.Random(8)
    lengths = [128 << 10, 256 << 10, 1 << 20]
    rows = [1, 30, 1000, LONGEST // BYTES] + [
        n // BYTES + near for n in lengths for near in (-9, -2, -1, 0, 1, 2, 9)]
    updates = [update("trade", trade(n, n)) for n in rows]
    updates += [update("quote", quote(1, 20)), update("quote", quote(2, 9000)),
                kdb.compress(update("trade", trade(3, 3000))),
                update("trade", trade(4, 7000), big=True),
                kdb.compress(update("quote", quote(5, 4000), big=True))]
    slow = [Subscriber(connect, daemon, "slow" + table, table, WINDOW)
            for table in ("", "trade", "quote")]
    fast = [Subscriber(connect, daemon, "fast" + table, table)
            for table in ("", "trade", "quote")]
    feeds = [connect(daemon) for _ in range(2)]
    for turn in range(3):
        for one in slow:
            one.stop()
        rng.shuffle(updates)
        for n, one in enumerate(updates):
            feeds[n % 2].send(one)
        for feed in feeds:
            feed.sync(".u.d")
        end_day(feeds[0])
        for one in slow[:2]:
            wait_state(daemon, one.user, "catching_up")
        for one in slow:
            one.go()
    for one, other in zip(slow, fast):
        assert_same(one, other)


# ---- replies in their place ----


class Numbered:
    """What a subscriber of a Publisher's updates gets, as number_of shows it."""

    def __init__(self, client):
        self.reader = client.reader

    def read_to_reply(self):
        """(what comes before it, the reply's value)"""
        seen = []
        while True:
            frame = self.reader.next()
            if frame[1] == kdb.RESPONSE:
                return seen, kdb.decode_frame(frame)[1]
            seen.append(number_of(frame))

    def read(self, count):
        return [number_of(self.reader.next()) for _ in range(count)]


def number_of(frame):
    if b".u.end" in frame[:32]:
        return "end"
    return (journal.table_of(frame).decode(),
            int.from_bytes(frame[-8 * ROWS:][:8], "little"))


ROWS = 400  # an update of about 12 KB


class Publisher:
    """Publishes numbered updates of trade and quote, one after the other."""

    def __init__(self, client):
        self.client, self.number = client, 0
        self.heads = {}
        for name, make in (("trade", trade), ("quote", quote)):
            whole = update(name, make(0, ROWS))
            self.heads[name] = whole[: len(whole) - 8 * ROWS]

    def send(self, count, tables=("trade", "quote")):
        """What a subscriber of all is to get."""
        made = []
        for _ in range(count):
            name = tables[self.number % len(tables)]
            self.client.send(self.heads[name] +
                             self.number.to_bytes(8, "little") * ROWS)
            made.append((name, self.number))
            self.number += 1
        self.client.sync("")
        return made


def of(table, made):
    return [one for one in made if one[0] in table.split()]


MANY = 420  # updates: 5 MB, more than ring and buffers hold


@pytest.mark.parametrize("mode,after,table", [
    ("sqpoll", "ring", "trade"), ("direct", "journal", "")])
@pytest.mark.usefixtures("many_days")
def test_replies_in_their_place(start, connect, folder, mode, after, table):
    """Protects the meaning of a response: it comes after every update that was
    accepted before its request, and before later ones, also if both are in the
    journal, and if the consumer left the ring after its request."""
    daemon = start(settings(folder, mode, {"ring": {"size": "4M"}}, after=after))
    slow = Subscriber(connect, daemon, "slow", table, WINDOW, stream=False).client
    pub, reader = Publisher(connect(daemon)), Numbered(slow)
    tables = table or "trade quote"
    own = kdb.List((kdb.sym("upd"), kdb.sym("trade"), trade(7, ROWS)))
    asked = [(".u.t", pub.client.sync(".u.t"), []),
             (".u.nothing", kdb.Error(b".u.nothing"), []),
             (own, NIL, [("trade", 7)]), (".u.endofday[]", NIL, ["end"])]
    for first in (MANY, 60):  # catching up when it asks, or in the ring
        for request, wanted, made in asked:
            before = pub.send(first)
            if first == MANY:
                wait_state(daemon, "slow", "catching_up")
            assert (wait_stuck(daemon, "slow")["state"] == "catching_up") == (first == MANY)
            counter = "requests" if isinstance(request, str) else "in_records"
            seen = daemon.summary().number(counter)
            slow.send(kdb.frame(request, kdb.SYNC))
            daemon.wait_log("report", **{counter: lambda n: int(n) > seen})
            after_it = pub.send(MANY)
            wait_state(daemon, "slow", "catching_up")
            assert reader.read_to_reply() == (of(tables, before) + made, wanted)
            assert reader.read(len(of(tables, after_it))) == of(tables, after_it)
            wait_state(daemon, "slow", "live")


@pytest.mark.parametrize("kind", [kdb.SYNC, kdb.ASYNC])
@pytest.mark.parametrize("first", [MANY, 60], ids=["behind", "in the ring"])
@pytest.mark.parametrize("last", ["trade", "quote"])
def test_adding_a_table(start, connect, folder, kind, first, last):
    """Protects subscriptions made while catching up, and just before: the added
    table comes from that very point on, whatever comes before it."""
    daemon = start(settings(folder))
    slow = Subscriber(connect, daemon, "slow", "trade", WINDOW, stream=False).client
    pub, reader = Publisher(connect(daemon)), Numbered(slow)
    before = pub.send(first) + pub.send(1, (last,))
    if first == MANY:
        wait_state(daemon, "slow", "catching_up")
    assert (wait_stuck(daemon, "slow")["state"] == "catching_up") == (first == MANY)
    mark = daemon.mark()
    slow.send(kdb.frame(kdb.q(kdb.sym(".u.sub"), kdb.sym("quote"), kdb.sym("")), kind))
    daemon.wait_log("subscribe", after=mark, user="slow", tables="quote,trade")
    after_it = pub.send(MANY)
    wait_state(daemon, "slow", "catching_up")
    expected = of("trade", before)
    if kind == kdb.SYNC:
        seen, reply = reader.read_to_reply()
        assert seen == expected and isinstance(reply, kdb.List)
        expected = []
    expected += after_it
    assert reader.read(len(expected)) == expected
    wait_state(daemon, "slow", "live")
    assert slow.sync(".u.d") == pub.client.sync(".u.d")


# ---- consumers that may not leave, or not stay ----


def test_spill_limit(start, connect, folder):
    """Protects the operator who does not want the hopeless: after slow.spill_limit
    they are cut off, by name; who has come back by then is not, nor a user with a
    limit of its own."""
    daemon = start(settings(folder, changes={
        "slow": {"spill_limit": "2s"},
        "auth": {"rights": [{"user": "patient", "spill_limit": "1h"}]}}))
    patient = Subscriber(connect, daemon, "patient", "", WINDOW)
    patient.stop()
    never = Subscriber(connect, daemon, "never", "", WINDOW)
    slow = Subscriber(connect, daemon, "slow", "", WINDOW)
    feed, mix = connect(daemon), Mix(2)
    never.stop()
    for _ in range(2):
        slow.stop()
        publish(feed, mix.block(3_000_000))
        for user in ("never", "slow"):
            wait_state(daemon, user, "catching_up")
        slow.go()
        wait_level(daemon, "slow")
    line = daemon.wait_log("disconnect", user="never")
    assert line["reason"] == "slow_spill" and line.level == 4
    assert line.number("lag_bytes") > 4_000_000
    daemon.summary()
    assert line_of(daemon, "slow")["state"] == "live"
    assert line_of(daemon, "patient")["state"] == "catching_up"
    assert len(daemon.logged("disconnect")) == 1
    assert daemon.summary().number("slow_disconnects") == 1


def test_spill_without_a_journal(start, connect):
    """Protects from a promise that cannot be kept: without a journal spill is
    disconnect, and is called so."""
    daemon = start({**SMALL, "slow": {"policy": "spill"},
                    "auth": {"rights": [{"user": "named", "policy": "spill"}]}})
    never = [connect(daemon, user=user, receive_buffer=WINDOW)
             for user in ("never", "named")]
    for one in never:
        one.subscribe()
    publish(connect(daemon), Mix(2).block(3_000_000))
    for user in ("never", "named"):
        assert daemon.wait_log("connect", user=user)["policy"] == "disconnect"
        assert daemon.wait_log("disconnect", user=user)["reason"] == "slow"


@pytest.mark.parametrize("mode,after", [("sqpoll", "ring"), ("direct", "journal")])
def test_the_journal_is_the_laggard(tmp_path, start, connect, mode, after):
    """Protects from a way that is slower still: while the disk is full no consumer
    leaves the ring, and the log names the journal; then everything continues."""
    disk = journal.SmallDisk(tmp_path / "disk", 1 << 20)
    try:
        daemon = start(settings(disk.path, mode, after=after))
        slow = [Subscriber(connect, daemon, "slow" + table, table, WINDOW)
                for table in ("", "trade")]
        fast = [Subscriber(connect, daemon, "fast" + table, table)
                for table in ("", "trade")]
        for one in slow:
            one.stop()
        feed, mix = connect(daemon), Mix(4)
        flood = Flood(feed, Template(ROWS), limit=1000)
        daemon.wait_log("journal_failing")
        spills = daemon.summary().number("spills")
        daemon.summary()
        assert daemon.summary().number("spills") == spills
        assert all(line["state"] != "leaving" for line in lines_of(daemon).values())
        disk.resize(64 << 20)
        daemon.wait_log("journal_mended")
        flood.finish()
        publish(feed, mix.block(2_000_000))
        for one in slow:
            wait_state(daemon, one.user, "catching_up")
            one.go()
        for one, other in zip(slow, fast):
            assert_same(one, other)
        assert not daemon.logged("disconnect")
    finally:
        disk.close()


def test_no_stream_to_come_back_to(start, connect, folder, mode):
    """Protects a consumer that cannot get a stream, since others have taken them
    all: it stays on the journal, and gets everything from there, until one is free."""
    daemon = start(settings(folder, mode, {"streams": {"max": 1}}))
    feed, mix = connect(daemon), Mix(6)
    fast = Subscriber(connect, daemon, "fast", keep=True)
    slow = Subscriber(connect, daemon, "slow", "trade", WINDOW, keep=True)
    slow.stop()
    publish(feed, mix.block(4_000_000))
    wait_state(daemon, "slow", "catching_up")
    other = connect(daemon, user="other")
    other.subscribe("quote")  # takes the only one
    slow.go()
    for block in (b"", update("trade", trade(1)), mix.block(300_000),
                  update("quote", quote(1))):
        publish(feed, block)
        assert wait_level(daemon, "slow")["state"] == "catching_up"
    other.close()
    wait_state(daemon, "slow", "live")
    publish(feed, mix.block(300_000))
    slow.finish()
    fast.finish()
    frames, torn = frames_of(slow.stream.data)
    assert torn == b"" and frames == [
        one for one in frames_of(fast.stream.data)[0]
        if journal.table_of(one) == b"trade"]


# ---- files that others touch ----


def behind(start, connect, folder, mode="sqpoll", changes=None, **how):
    """(daemon, feed, slow, fast, mix): slow is catching up, and does not read."""
    daemon = start(settings(folder, mode, changes, **how))
    feed, mix = connect(daemon), Mix(9)
    slow = Subscriber(connect, daemon, "slow", "", WINDOW)
    fast = Subscriber(connect, daemon, "fast")
    slow.stop()
    publish(feed, mix.block(4_000_000))
    wait_state(daemon, "slow", "catching_up")
    wait_stuck(daemon, "slow")
    return daemon, feed, slow, fast, mix


@pytest.mark.usefixtures("many_days")
def test_file_deleted_while_catching_up(start, connect, folder, mode):
    """Protects readers of the file from rm: it is brought back, complete; the file
    of a day that is over needs no name."""
    daemon, feed, slow, fast, mix = behind(start, connect, folder, mode)
    path = journal.path_now(folder)
    path.unlink()
    daemon.wait_log("journal_brought_back")
    publish(feed, mix.block(1_000_000))
    end_day(feed)
    path.unlink()
    publish(feed, mix.block(1_000_000))
    slow.go()
    assert_same(slow, fast)
    assert not daemon.logged("disconnect")


def test_file_truncated_while_catching_up(start, connect, folder, mode):
    """Protects readers of the file from a cut: records that memory still has are
    written once more, and no reader notices."""
    daemon, feed, slow, fast, mix = behind(start, connect, folder, mode)
    os.truncate(journal.path_now(folder), 1_500_000)
    slow.go()
    publish(feed, mix.block(1_000_000))
    assert_same(slow, fast)
    assert not daemon.logged("disconnect") and not daemon.logged("journal_unreadable")


@pytest.mark.parametrize("left", [0, 8])
def test_file_truncated_too_far(start, connect, folder, mode, left):
    """Protects all others if the records of a cut are lost: a consumer that needs
    them is disconnected, with the reason; the daemon does not spin."""
    daemon, feed, slow, fast, mix = behind(start, connect, folder, mode)
    for _ in range(3):
        publish(feed, mix.block(2_000_000))
        wait_level(daemon, "fast")
    os.truncate(journal.path_now(folder), left)
    slow.go()
    line = daemon.wait_log("disconnect", user="slow")
    assert line["reason"] == "unreadable" and line.level == 3
    assert daemon.wait_log("journal_cut").number("lost_records") > 0
    for _ in range(5):
        publish(feed, mix.block(100_000))
        wait_level(daemon, "fast")
    cpu, began = daemon.cpu_seconds(), time.monotonic()
    daemon.summary()
    assert daemon.cpu_seconds() - cpu < (time.monotonic() - began) / 2
    fast.finish()


# ---- a file that has a past ----


@pytest.mark.usefixtures("many_days")
def test_a_file_with_records(start, connect, folder, mode, many_days):
    """Protects the positions where a file was there before: the daemon is started
    again on the day's file, and finds the next day's with records, too."""
    daemon = start(settings(folder, mode))
    feed, mix = connect(daemon), Mix(1)
    day = feed.sync(".u.d").value
    publish(feed, mix.block(1_500_000))
    daemon.stop()
    before = journal.read(journal.path_of(folder, day)).records
    record = journal.record("trade", trade(1, 30))
    strange = [record, journal.record("nothing", trade(1)),
               journal.record("trade", kdb.lst(*[kdb.atom("j", 1)] * 4))] * 2000
    daemon = start(settings(folder, mode))
    feed = connect(daemon)
    journal.write(journal.path_of(folder, day + 1), *strange)
    slow = [Subscriber(connect, daemon, "slow" + table, table, WINDOW)
            for table in ("", "trade")]
    fast = [Subscriber(connect, daemon, "fast" + table, table, keep=table == "")
            for table in ("", "trade")]
    for one in slow:
        one.stop()
    for n in range(3):
        publish(feed, mix.block(2_000_000))
        if n < 2:
            end_day(feed)
    for one in slow:
        wait_state(daemon, one.user, "catching_up")
        one.go()
    for one, other in zip(slow, fast):
        assert_same(one, other)
    frames, _ = frames_of(fast[0].stream.data)
    records = [journal.read(journal.path_of(folder, day + n)).records for n in range(3)]
    marks = [journal.end_frame(day), journal.end_frame(day + 1)]
    assert [one if one in marks else journal.record_of(one) for one in frames] == (
        records[0][len(before):] + marks[:1] + records[1][len(strange):] + marks[1:]
        + records[2])
    assert records[0][: len(before)] == before
    assert records[1][: len(strange)] == strange


def test_a_record_longer_than_now_allowed(start, connect, folder):
    """Protects today's consumers from yesterday's settings: what was in the file
    before is not theirs, however long it is."""
    path = journal.path_now(folder)
    journal.write(path, journal.record("trade", trade(1, 200_000 // BYTES)))
    daemon = start(settings(folder, changes={"connections": {"send_buffer": "16K"}}))
    slow = Subscriber(connect, daemon, "slow", "", 4096)
    fast = Subscriber(connect, daemon, "fast")
    slow.stop()
    # so long that the slow one leaves in the middle of the first
    publish(connect(daemon), *[update("trade", trade(1, 110_000 // BYTES))] * 20)
    wait_state(daemon, "slow", "catching_up")
    slow.go()
    assert_same(slow, fast)


# ---- the account ----


def assert_account(line, base, messages):
    """lag_bytes and lag_records are exactly what is not in the bytes that the
    consumer was sent of these messages: (bytes, is a record)."""
    sent = line.number("sent_bytes") - base
    assert sent + line.number("lag_bytes") == sum(n for n, _ in messages), line.text
    lacking, at = 0, 0
    for length, is_record in messages:
        at += length
        lacking += is_record and at > sent
    assert line.number("lag_records") == lacking, line.text


def unread(sock):
    """Bytes that the kernel has for a client."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0]


def messages_of(data):
    frames, torn = frames_of(data)
    assert torn == b""
    return [(len(one), b".u.end" not in one[:32]) for one in frames]


@pytest.mark.parametrize("mode,after", [("sqpoll", "ring"), ("direct", "journal")])
@pytest.mark.usefixtures("many_days")
def test_the_account(start, connect, folder, mode, after):
    """Protects the figures: of a consumer that has stopped, in the ring, while
    catching up, half-way and back, what it was sent and what it lacks make up
    what was published, to the byte and the record."""
    daemon = start(settings(folder, mode, {"ring": {"size": "4M"},
                                           "streams": {"ring": "4M"}}, after=after))
    users = {"all": "", "trade": "trade", "quote": "quote"}
    fast = {user: Subscriber(connect, daemon, "fast" + user, table, keep=True)
            for user, table in users.items()}
    slow = {user: Subscriber(connect, daemon, user, table, WINDOW, keep=True)
            for user, table in users.items()}
    feed, mix = connect(daemon), Mix(11)

    def check(*states):
        for user in users:
            wait_stuck(daemon, user)
        lines = lines_of(daemon)
        for user in users:
            stream = slow[user].stream
            have = stream.total + unread(stream.sock)
            assert (have + lines[user].number("kernel_bytes") ==
                    lines[user].number("sent_bytes") - slow[user].base)
            total = lines["fast" + user].number("sent_bytes") - fast[user].base
            fast[user].stream.wait_for(total)
            assert lines[user]["state"] in states, lines[user].text
            assert_account(lines[user], slow[user].base,
                           messages_of(fast[user].stream.data))

    for _ in range(2):
        for one in slow.values():
            one.stop()
        publish(feed, mix.block(1_500_000))
        check("live", "slow")
        publish(feed, mix.block(8_000_000))
        for user in users:
            wait_state(daemon, user, "catching_up")
        check("catching_up")
        end_day(feed)
        for one in slow.values():  # a little, then stop again
            one.stream.step(400_000)
        check("catching_up")
        for one in slow.values():
            one.go()
        for user in users:
            wait_level(daemon, user)
            wait_state(daemon, user, "live")
    for user in users:
        assert_same(slow[user], fast[user])
        assert slow[user].stream.data == fast[user].stream.data


@pytest.mark.parametrize("first", [MANY, 60], ids=["behind", "in the ring"])
def test_the_account_of_an_added_table(start, connect, folder, first):
    """Protects the figures if a selection changes while records are owed: up to the
    reply the old one counts, after it the new one."""
    daemon = start(settings(folder))
    slow = Subscriber(connect, daemon, "slow", "trade", WINDOW, stream=False)
    pub = Publisher(connect(daemon))
    length = {name: len(published(name, make(0, ROWS).items))
              for name, make in (("trade", trade), ("quote", quote))}
    before = of("trade", pub.send(first))
    if first == MANY:
        wait_state(daemon, "slow", "catching_up")
    wait_stuck(daemon, "slow")
    mark = daemon.mark()
    slow.client.async_(kdb.q(kdb.sym(".u.sub"), kdb.sym("quote"), kdb.sym("")))
    daemon.wait_log("subscribe", after=mark, user="slow")
    wanted = [(length[name], True) for name, _ in before]
    assert_account(wait_stuck(daemon, "slow"), slow.base, wanted)
    wanted += [(length[name], True) for name, _ in pub.send(MANY)]
    wait_state(daemon, "slow", "catching_up")
    assert_account(wait_stuck(daemon, "slow"), slow.base, wanted)
    for _ in wanted:
        slow.client.reader.next()
    line = wait_level(daemon, "slow")
    assert_account(line, slow.base, wanted)


def test_own_updates(start, connect, folder, mode):
    """Protects a subscriber of some tables that publishes into them, and leaves the
    ring while an answer is half sent: its own updates are in its stream too."""
    own_table = {"name": "own", "columns": ["time timespan", "sym symbol g", "size long"]}
    daemon = start(settings(folder, mode, {
        "connections": {"send_buffer": "16K"}, "schema": {"tables": [own_table, TRADE]}}))
    feed = connect(daemon)
    block = update("own", kdb.lst(kdb.syms(*["FILL"] * 1000),
                                  kdb.vec("j", range(1000)))) * 40
    for turn in range(2):
        client = connect(daemon, user="own%d" % turn, receive_buffer=4096)
        client.subscribe("own")
        own = [b"M%02d_%03d" % (turn, n) for n in range(100)]
        client.send(b"".join(
            kdb.frame(kdb.text("(.u.upd[`own;(`%s;5)];\"%s\")"
                               % (one.decode(), "x" * (60 + 350 * turn))), kdb.SYNC)
            for one in own))
        wait_stuck(daemon, "own%d" % turn)
        publish(feed, *[block] * 3)
        wait_state(daemon, "own%d" % turn, "catching_up")
        got = bytes(client.reader.buffer[client.reader.at:])
        while not all(one in got for one in own):
            got += client.sock.recv(1 << 18)
        client.close()
