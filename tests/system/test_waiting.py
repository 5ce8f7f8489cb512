"""Why a connection's input is not read, and which clients wait with it."""

import os
import signal
import threading
import time

import journal
import kdb
from kdb import NIL
from spill import Stream
from traffic import Flood, Template, trade, update


def test_between_two_files(start, connect, folder, mode):
    """Protects feeds from a client that asks for .u.i while the next day's file
    cannot be opened: they continue; the client gets an error at once."""
    daemon = start(journal.settings(folder, {"engine": {"mode": mode}}))
    feed, one, sub = (connect(daemon) for _ in range(3))
    sub.subscribe()
    day = feed.sync(".u.d").value
    tomorrow = journal.path_of(folder, day + 1)
    os.mkdir(tomorrow)
    feed.async_(kdb.text(".u.endofday[]"))
    feed.send(update("trade", trade(0)))
    assert sub.read_frame() == journal.end_frame(day)
    sub.read_frame()
    daemon.wait_log("journal_roll_failed")
    assert one.sync(".u.i") == kdb.Error(b"journal")
    for n in range(1, 20):
        feed.send(update("trade", trade(n)))
        assert journal.record_of(sub.read_frame()) == journal.record(
            "trade", trade(n))
    # nor who waits for the journal with the answer itself
    held = connect(daemon, user="held")
    held.send(update("trade", trade(20), kind=kdb.SYNC))
    sub.read_frame()
    held.close()
    gone = daemon.wait_log("disconnect", user="held", timeout=5)
    assert "its reply" in gone["why"]
    os.rmdir(tomorrow)
    daemon.wait_log("journal_mended")
    assert feed.update("trade", trade(21)) == NIL
    assert one.sync(".u.i") == kdb.atom("j", 22)


def test_refused_flood(start, connect):
    """Protects all clients from a feed whose updates are all refused: replies are
    not gathered if no update comes in, but sent at once."""
    daemon = start({"engine": {"mode": "direct"},
                    "connections": {"receive_buffer": "4K"}})
    feed, user = connect(daemon), connect(daemon)
    over = threading.Event()
    block = update("nosuch", trade(0)) * 200

    def flood():
        while not over.is_set():
            feed.send(block)

    sender = threading.Thread(target=flood)
    sender.start()
    trips = []
    try:
        for _ in range(41):
            before = time.monotonic()
            user.sync("")
            trips.append(time.monotonic() - before)
    finally:
        over.set()
        sender.join()
    assert sorted(trips)[20] < 0.5
    feed.sync("")


def test_question_beside_long_updates(start, connect):
    """Protects a subscriber with a selection that asks while feeds send long updates
    without a pause: the answer comes between two updates, not after the last."""
    daemon = start({"schema": {"tables": [{"name": "tick", "columns": [
        "time timespan", "sym symbol"]}]}, "ring": {"size": "16M"},
                    "streams": {"ring": "16M"}, "message": {"max": "4M"}})
    rows = 300000
    data = update("tick", kdb.lst(kdb.vec("n", bytes(8 * rows)),
                                  kdb.syms("A", "B", *["C"] * (rows - 2))))
    one, two = connect(daemon), connect(daemon)
    for client, name in (one, "A"), (two, "B"):
        client.sync(kdb.lst(kdb.sym(".u.sub"), kdb.sym("tick"), kdb.sym(name)))
    over = threading.Event()

    def flood(feed):
        while not over.is_set():
            feed.send(data)
    senders = [threading.Thread(target=flood, args=(connect(daemon),))
               for _ in range(2)]
    for sender in senders:
        sender.start()
    passed = []
    try:
        for _ in range(20):
            one.read_frame()
            assert one.sync("3") == kdb.atom("j", 3)
            passed.append(len(one.inbox))
            one.inbox.clear()
    finally:
        over.set()
        for sender in senders:
            sender.join()
    assert sorted(passed)[15] <= 2, passed


def test_pause(start, connect, clients, mode):
    """Protects healthy clients from a pause of the daemon (SIGSTOP, a snapshot of
    the machine): what they sent meanwhile is not late, and who reads again does
    not hold the feeds."""
    daemon = start({"engine": {"mode": mode}, "message": {"timeout": "1s"},
                    "connections": {"handshake_timeout": "1s", "send_buffer": "64K",
                                    "receive_buffer": "64K"},
                    "slow": {"policy": "block", "block_limit": "1s"}, "streams": {"ring": "1M"}})
    feed, long = connect(daemon), connect(daemon)
    reader = connect(daemon, user="reader", receive_buffer=65536)
    reader.subscribe()
    flood = Flood(feed, Template(100), 1000)
    daemon.wait_log("consumer", user="reader", state="holding")
    whole = update("trade", trade(0, 4000), kind=kdb.SYNC)
    long.send(whole[:100000])
    raw = [kdb.dial(daemon.port) for _ in range(30)]
    for sock in raw:
        clients.callback(sock.close)
    daemon.pause()
    for sock in raw:
        sock.sendall(b"user:pw\x03\0")
    long.send(whole[100000:])
    stream = Stream(reader)
    time.sleep(2)  # told from a second on, less what it would have slept
    daemon.resume()
    assert all(sock.recv(1) == b"\x03" for sock in raw)
    assert kdb.decode_frame(long.read_response())[1] == NIL
    flood.finish()
    feed.sync("")
    stream.halt()
    daemon.wait_log("paused")
    assert not daemon.logged("disconnect", reason=lambda one: one != "peer_closed")


def test_pause_of_a_stop(start, connect):
    """Protects the data that a stop still has to send: a pause longer than
    stop.timeout is not held against a client."""
    daemon = start({"stop": {"timeout": "2s"}, "ring": {"size": "8M"},
                    "connections": {"send_buffer": "64K"}})
    reader = connect(daemon, receive_buffer=65536)
    reader.subscribe()
    feed = connect(daemon)
    for n in range(300):
        feed.async_(kdb.lst(kdb.sym(".u.upd"), kdb.sym("trade"), trade(n, 100)))
    feed.sync("")
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("stopping")
    daemon.pause()
    time.sleep(3.2)
    daemon.resume()
    for _ in range(300):
        reader.read_frame()
    daemon.stop()
    assert daemon.logged("paused") and not daemon.logged("stop_cut")
