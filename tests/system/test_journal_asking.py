"""Questions while the journal does not move.

A response says that the earlier updates of its connection are in the file.  If
they cannot get there, no client waits: the response is an error that says why."""

import select
import signal
import threading
import time

import journal
import kdb
import pytest
from kdb import NIL, SYNC, frame
from late import Pair
from test_journal_trouble import LENGTH, ROWS, Limit, settings
from test_tools import finish, tool  # noqa: F401: a fixture
from traffic import published, trade, update

NO_JOURNAL = kdb.Error(b"journal")


def read_answer(client):
    return kdb.decode(client.read_response()[8:])


@pytest.mark.parametrize("after,sync", [
    ("ring", "none"), ("journal", "none"), ("ring", "batch")])
def test_publisher_asks(start, connect, folder, after, sync):
    """Protects a client that publishes and asks on one connection: its questions,
    also those that wait already, end in an error and not in silence, in their
    order; its synchronous updates still wait until they are in the file; and all
    is well again when the disk is."""
    daemon = start(settings(folder, after=after, sync=sync))
    limit = Limit(daemon)
    feed, both, sub, other = (connect(daemon) for _ in range(4))
    for one in both, sub:
        journal.join(one)
    assert feed.update("trade", trade(0, ROWS)) == NIL
    limit.set(8 + LENGTH + LENGTH // 2)
    # in one turn: the questions wait for a write that will fail
    daemon.pause()
    for n, one in enumerate((feed, both), 1):
        one.send(update("trade", trade(n * ROWS, ROWS)) + frame("", SYNC))
    sub.send(frame("3", SYNC))
    daemon.resume()
    daemon.wait_log("journal_failing")
    assert read_answer(feed) == read_answer(both) == NO_JOURNAL
    assert read_answer(sub) == kdb.atom("j", 3)
    # from now on at once
    for one in feed, both:
        for text in ".u.d", ".u.i", "(.u.sub[`quote;`];.u.i)", "nosuch", "":
            assert one.sync(text) in (NO_JOURNAL, kdb.Error(b"nosuch"))
        assert one.subscribe("trade") == NO_JOURNAL
    for one in sub, other:
        assert one.sync("3") == kdb.atom("j", 3)
        assert one.sync(".u.i") == kdb.atom("j", 1)
    assert isinstance(other.subscribe("trade"), kdb.List)
    # what is answered in the right order, and what only when it is true
    feed.send(frame("3", SYNC) + update("trade", trade(3 * ROWS, ROWS), SYNC)
              + frame("3", SYNC))
    assert read_answer(feed) == NO_JOURNAL
    assert sub.sync("3") == kdb.atom("j", 3)
    assert not select.select([feed.sock], [], [], 0)[0]
    limit.lift()
    daemon.wait_log("journal_mended")
    assert read_answer(feed) == NIL
    assert read_answer(feed) == kdb.atom("j", 3)
    assert isinstance(feed.subscribe("quote"), kdb.List)
    assert both.sync(".u.i") == feed.sync(".u.i") == kdb.atom("j", 4)
    assert len(journal.read(journal.path_now(folder))) == 4
    wanted = [published("trade", trade(n * ROWS, ROWS).items) for n in range(4)]
    assert [sub.read_frame() for _ in wanted] == wanted
    assert [both.read_frame() for _ in wanted] == wanted
    assert not daemon.logged("disconnect")


def test_who_waited_with_a_subscription(start, connect, folder):
    """Protects a publisher whose subscription waits when the trouble begins: it
    gets the error that others get, and may subscribe on another connection."""
    daemon = start(settings(folder))
    limit = Limit(daemon)
    feed = connect(daemon)
    assert feed.update("trade", trade(0, ROWS)) == NIL
    limit.set(8 + LENGTH + LENGTH // 2)
    daemon.pause()
    feed.send(update("trade", trade(ROWS, ROWS)) + frame(journal.JOIN, SYNC))
    daemon.resume()
    assert read_answer(feed) == NO_JOURNAL
    daemon.wait_log("disconnect", reason="journal", peer=feed.name)
    assert isinstance(connect(daemon).subscribe("trade"), kdb.List)
    limit.lift()
    daemon.wait_log("journal_mended")


def test_who_reads_the_past_asks(start, connect, folder):
    """Protects a late joiner that is still served from the journal: its question
    is answered after the records of the file."""
    daemon = start(settings(folder, {"slow": {"policy": "spill"},
                                     "ring": {"size": "256K"},
                                     "message": {"max": "64K"}}))
    limit = Limit(daemon)
    feed = Pair(connect(daemon), 400)
    feed.publish(300)
    late = connect(daemon, receive_buffer=4096)
    late.send(frame(kdb.lst(kdb.sym(".ringtick.subfrom"), kdb.sym(""), kdb.sym(""),
                            kdb.atom("j", 0)), SYNC))
    assert isinstance(read_answer(late), kdb.List)
    limit.set(journal.path_now(folder).stat().st_size + 100)
    feed.client.send(update("trade", trade(300, 400)))
    late.send(frame("3", SYNC))
    daemon.wait_log("journal_failing")
    assert read_answer(late) == kdb.atom("j", 3)
    assert list(late.inbox) == feed.frames
    limit.lift()
    late.inbox.clear()
    assert late.read_frame() == published("trade", trade(300, 400).items)


def test_subfrom_of_who_is_behind(start, connect, folder):
    """Protects subscribers that read the journal, as those do that subscribe in
    batches in this trouble: .ringtick.subfrom of what is written is answered at
    once, and not when the disk has room again."""
    daemon = start(settings(folder, {"publish": {"interval": "20ms"}}))
    limit = Limit(daemon)
    feed, sub, other = (connect(daemon) for _ in range(3))
    sub.subscribe("trade")
    assert feed.update("trade", trade(0, ROWS)) == NIL
    sub.read_frame()
    limit.set(8 + LENGTH + LENGTH // 2)
    feed.send(update("trade", trade(ROWS, ROWS)))
    daemon.wait_log("journal_failing")
    sub.read_frame()
    assert isinstance(other.subscribe("trade"), kdb.List)
    assert isinstance(other.sync(kdb.lst(
        kdb.sym(".ringtick.subfrom"), kdb.sym("trade"), kdb.sym(""),
        kdb.atom("j", 0))), kdb.List)
    other.read_frame()
    limit.lift()
    daemon.wait_log("journal_mended")
    other.read_frame()


def test_who_waits_for_a_record_asks(start, connect, folder):
    """Protects a connection whose asynchronous .ringtick.subfrom begins at a record
    that is not written: each of its questions is answered at once, and not at the
    next look at who waits, a second later; the record comes when it is written."""
    daemon = start(settings(folder))
    limit = Limit(daemon)
    feed, late = connect(daemon), connect(daemon)
    assert feed.update("trade", trade(0, ROWS)) == NIL
    limit.set(8 + LENGTH + LENGTH // 2)
    # in one turn: the write will fail
    daemon.pause()
    feed.send(update("trade", trade(ROWS, ROWS)))
    late.async_(kdb.lst(kdb.sym(".ringtick.subfrom"), kdb.sym("trade"), kdb.sym(""),
                        kdb.atom("j", 2)))
    daemon.resume()
    daemon.wait_log("journal_failing")
    began = time.monotonic()
    for _ in range(8):
        assert late.sync("3") == kdb.atom("j", 3)
    assert time.monotonic() - began < 5
    limit.lift()
    daemon.wait_log("journal_mended")
    feed.send(update("trade", trade(2 * ROWS, ROWS)))
    assert late.read_frame() == published("trade", trade(2 * ROWS, ROWS).items)


def test_questions_while_the_ring_is_full(start, connect, folder, mode):
    """Protects who asks while the disk and then the ring are full: a question needs
    no room, also of a feed, whose updates queue after those that wait already,
    and also compressed.  The updates come in their order when there is room."""
    daemon = start(settings(folder, {"engine": {"mode": mode}}))
    limit = Limit(daemon)
    flood, feed, other = (connect(daemon) for _ in range(3))
    for one in (flood, feed):
        assert one.update("trade", trade(0, ROWS)) == NIL
    limit.set(8 + 2 * LENGTH + LENGTH // 2)
    long, rows = 112, 2000  # 6 MB: more than the ring and the journal's memory
    sending = threading.Thread(target=flood.send, daemon=True, args=(
        update("trade", trade(0, rows)) * long,))
    sending.start()
    daemon.wait_log("journal_failing")
    daemon.wait_log("report", feed_waits=lambda value: int(value) > 0)
    compressed = kdb.compress(kdb.frame(kdb.lst(
        kdb.sym("nosuch"), kdb.vec("x", bytes(60_000))), kdb.SYNC))
    for one in (feed, other):
        one.sock.settimeout(5)
        assert one.sync("3") == kdb.atom("j", 3)
        assert one.ask(compressed) == kdb.Error(b"nosuch")
    feed.send(update("trade", trade(1, ROWS), kdb.SYNC))
    assert other.sync("3") == kdb.atom("j", 3)
    limit.lift()
    assert kdb.decode(feed.read_response()[8:]) == NIL
    sending.join(20)
    assert flood.sync("3") == kdb.atom("j", 3)  # now all are in the file
    assert flood.sync(".u.i") == kdb.atom("j", 2 + long + 1)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_feed_tool_asks_again(start, connect, tool, folder, is_stopped):
    """Protects a script that waits for `ringtick feed`: updates that are not safe
    yet are no failure; it ends when they are in the file, and a stop that does not
    wait for that says why."""
    daemon = start(settings(folder, {"ring": {"size": "8M"}}))
    limit = Limit(daemon)
    limit.set(64 << 10)
    feed = tool("feed", daemon, "--count", "1000", "--rows", "20")
    daemon.wait_log("journal_failing")
    # it has been refused, and has asked again
    daemon.wait_log("report", request_errors=lambda n: int(n) >= 2)
    if is_stopped:
        feed.send_signal(signal.SIGTERM)
        assert "event=journal_failing" in finish(feed, 2)
    limit.lift()
    if not is_stopped:
        assert "messages=1000" in finish(feed)
    daemon.wait_log("journal_mended")
    assert connect(daemon).update("trade", trade(0)) == NIL
    assert len(journal.read(journal.path_now(folder))) == 1001
