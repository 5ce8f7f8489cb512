"""The few buffers of message.buffers: no client can keep them from the others."""

import time

import journal
import kdb
import pytest
from kdb import NIL, sym
from spill import wait_state
from traffic import trade, update

ROOMY = {"ring": {"size": "4M"}, "streams": {"ring": "4M"},
         "connections": {"send_buffer": "128K", "receive_buffer": "64K"}}
LONG = 12000  # rows of more than 256 KiB, the most that catching up reads at once


def numbers(client, rows):
    """The sizes of a number of rows of trade, as they came."""
    found = []
    while len(found) < rows:
        message = client.read()
        found += message.items[2].columns.items[-1].values
    return found


def silent(connect, daemon, n):
    """Users s0, s1, ... that subscribe and read nothing."""
    found = []
    for i in range(n):
        one = connect(daemon, user="s%d" % i, receive_buffer=65536, timeout=60)
        one.subscribe()
        found.append(one)
    return found


def publish(feed, sizes):
    """Updates with these numbers of rows, numbered; returns the sum of rows."""
    first = 0
    for rows in sizes:
        feed.send(update("trade", trade(first, rows)))
        first += rows
    return first


def test_claimed_lengths(start, connect, mode):
    """Protects long messages from clients that only claim to send one: a buffer is
    for bytes that have arrived; and from clients that begin one and stop: their
    buffer goes to a client that needs it."""
    daemon = start(kdb_settings(mode))
    feed, other = (connect(daemon, user=user, timeout=8) for user in ("feed", "other"))
    long = update("trade", trade(0, LONG), kind=kdb.SYNC)
    claims = [connect(daemon, user="c%d" % i) for i in range(4)]
    for one in claims:
        one.send(long[:8])
    assert feed.ask(long) == NIL
    assert daemon.summary().number("buffer_waits") == 0
    for one in claims[:2]:
        one.send(long[8:100000])
    assert other.ask(long) == NIL
    assert ":c0:input:100000:" in daemon.wait_log("buffer_wait", user="other")["holders"]
    daemon.wait_log("disconnect", reason="message_timeout")


def test_those_who_never_published_stand_aside(start, connect, mode):
    """Protects a feed from others at its own address, and of its own name, that
    begin long messages and stop: a feed that has published does not wait for them,
    nor do its later connections."""
    daemon = start(kdb_settings(mode))
    feed = connect(daemon, user="feed", timeout=8)
    assert feed.update("trade", trade(0)) == NIL
    long = update("trade", trade(0, LONG), kind=kdb.SYNC)
    stuck = [connect(daemon, user=user, source="127.0.0.%d" % at)
             for user, at in zip("s0 s1 s2 feed s4 s5".split(), (1, 1, 1, 2, 2, 2))]
    for one in stuck:
        one.send(long[:100000])
    while daemon.summary().number("buffer_waits") < 2:
        pass
    assert feed.ask(long) == NIL
    feed.close()
    daemon.wait_log("disconnect", peer=feed.name)
    assert connect(daemon, user="feed", timeout=8).ask(long) == NIL
    assert daemon.summary().number("buffer_waits") == 3


def test_who_has_stalled_is_not_waited_for(start, connect):
    """Protects a feed from others at its own address that have published and stall
    in a long message: no client waits for one that has not moved for a second."""
    daemon = start(kdb_settings("auto"))
    long = update("trade", trade(0, LONG), kind=kdb.SYNC)
    feed, *stuck = (connect(daemon, user=user) for user in ("feed", "p0", "p1"))
    for one in feed, *stuck:
        assert one.update("trade", trade(0)) == NIL
    for one in stuck:
        one.send(long[:100000])
    time.sleep(1.3)  # longer than what is borne where others wait
    assert feed.ask(long) == NIL
    line = daemon.wait_log("buffer_wait", user="feed")
    assert line.number("ms") < 900 and ":p0:input:100000:" in line["holders"]
    daemon.wait_log("disconnect", reason="message_timeout", user="p0")


def kdb_settings(mode):
    return {"engine": {"mode": mode}, **ROOMY}


def test_batches_leave_without_a_buffer(start, connect, folder, mode):
    """Protects intake, where subscribers of batches read nothing: they leave for
    the journal, however many, and get the rest of what they had begun."""
    daemon = start(journal.settings(folder, {
        **kdb_settings(mode), "publish": {"interval": "20ms"}}))
    quiet = silent(connect, daemon, 6)
    feed = connect(daemon, user="feed", timeout=60)
    rows = publish(feed, [100] * 400 + [LONG, 100, 3 * LONG] * 12)
    feed.sync(".u.d")
    for n in range(6):
        wait_state(daemon, "s%d" % n, "catching_up")
    assert not daemon.logged("disconnect")
    for one in quiet[:3]:
        assert numbers(one, rows) == list(range(rows))


@pytest.mark.parametrize("publishing", [{}, {"interval": "20ms"}])
def test_silent_skippers(start, connect, folder, mode, publishing):
    """Protects long updates, and who reads long records from the journal, from
    silent users with policy skip; and those from each other: the rest of what
    they had begun comes out of the journal, whatever their selection, and they
    are told what they missed."""
    daemon = start(journal.settings(folder, {
        **kdb_settings(mode), "publish": publishing,
        "slow": {"policy": "skip"},
        "auth": {"rights": [{"user": "late", "policy": "spill"}]}}))
    quiet = [connect(daemon, user="s%d" % n, receive_buffer=65536, timeout=60)
             for n in range(6)]
    for one, what in zip(quiet, 2 * ("`;`", "`trade;`", "`trade;`IBM`MSFT")):
        one.sync(".u.sub[%s]" % what)
        one.sync(".ringtick.tellskips[]")
    feed = connect(daemon, user="feed", timeout=8)
    rows = publish(feed, [3 * LONG] * 12 + [LONG] * 8)
    for n in range(6):
        assert feed.update("trade", trade(rows + n * LONG, LONG)) == NIL
    rows += 6 * LONG
    assert {line["user"] for line in daemon.logged("skip")} == {
        "s%d" % n for n in range(6)}
    late = connect(daemon, user="late", timeout=20)
    late.sync(".ringtick.subfrom[`trade;`;0]")
    assert numbers(late, rows) == list(range(rows))
    for one in quiet:
        check_skipper(one, rows)
    assert not daemon.logged("disconnect")
    assert daemon.summary().number("buffer_waits") == 0


def check_skipper(one, rows):
    """It gets whole updates in order up to the last row; and is told, where it
    was, of all the others."""
    at = told = 0
    while at < rows:
        items = one.read().items
        if items[0] == sym(".ringtick.skipped"):
            told += 1
            continue
        found = list(items[2].columns.items[-1].values)
        assert found == list(range(found[0], found[0] + len(found)))
        assert found[0] == at or (told and found[0] > at)
        at = found[-1] + 1
    assert told
