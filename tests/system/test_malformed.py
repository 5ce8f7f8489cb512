"""Bytes that are wrong, and right ones in any pieces, to a running daemon."""

import json
import random
import socket

import kdb
import pytest
from kdb import NIL
from traffic import published, quote, trade, update

with open(kdb.vectors_path()) as _file:
    VECTORS = json.load(_file)
MALFORMED = [v for v in VECTORS if v["kind"] == "malformed"]
GOOD = [v for v in VECTORS if v["kind"] in ("ipc", "golden", "compressed")]
# what a sync caller may be told before the end: wrong, or longer than allowed
TOLD = (b"", kdb.frame(kdb.Error(b"badmsg"), kdb.RESPONSE),
        kdb.frame(kdb.Error(b"limit"), kdb.RESPONSE))


def is_complete(data):
    """Whether the daemon can see that no more bytes will help."""
    try:
        return len(data) >= 8 and kdb.frame_length(data) <= len(data)
    except kdb.Malformed:
        return True


@pytest.mark.parametrize("kind", [kdb.ASYNC, kdb.SYNC, None],
                         ids=["async", "sync", "as it is"])
def test_malformed_closes_its_own_connection(start, connect, kind):
    """Protects all other clients (invariant 9): each malformed message closes the
    connection it came on, at once where no further byte could mend it, with a
    log line that says why; a sync one may be told 'badmsg first.  A subscriber
    beside it keeps its stream."""
    daemon = start()
    feed, witness = connect(daemon), connect(daemon)
    witness.subscribe()
    for n, v in enumerate(MALFORMED):
        data = bytearray.fromhex(v["hex"])
        if kind is not None and data[1] != 2:
            data[1] = kind
        mark = daemon.mark()
        bad = connect(daemon)
        bad.send(data)
        lenient = v["strict_verdict"].startswith("accept")
        if lenient or not is_complete(data):
            # The daemon may well wait for more, or not mind.
            bad.sock.shutdown(socket.SHUT_WR)
        got, how = kdb.drain(bad.sock)
        assert how == "fin", (v["name"], how)
        if not lenient:
            assert got in TOLD, (v["name"], got.hex())
            assert got == b"" or data[1] == kdb.SYNC, v["name"]
        bad.close()
        line = daemon.wait_log("disconnect", after=mark, peer=bad.name)
        if is_complete(data) and not lenient:
            assert line["reason"] in ("bad_frame", "too_long"), v["name"]
        assert feed.update("trade", trade(n)) == NIL
        assert witness.read_frame() == published("trade", trade(n).items), v["name"]
    witness.expect_silence()


def test_malformed_behind_good(start, connect):
    """Protects the messages before a malformed one: good messages in the same
    segment are executed and answered, those after the bad one are not."""
    daemon = start()
    witness = connect(daemon)
    witness.subscribe()
    for v in MALFORMED:
        data = bytes.fromhex(v["hex"])
        if v["strict_verdict"].startswith("accept") or not is_complete(data):
            continue
        bad = connect(daemon)
        bad.send(update("trade", trade(1)) + kdb.frame("", kdb.SYNC) + data
                 + update("trade", trade(2)))
        assert bad.reader.next() == kdb.frame(NIL, kdb.RESPONSE), v["name"]
        got, how = kdb.drain(bad.sock)
        assert bytes(bad.reader.buffer[bad.reader.at:]) + got in TOLD, v["name"]
        assert witness.read_frame() == published("trade", trade(1).items), v["name"]
        bad.close()
    witness.expect_silence()


def test_malformed_at_every_split(start, connect):
    """Protects the same when the bad message arrives in two pieces."""
    daemon = start()
    witness = connect(daemon)
    for v in MALFORMED:
        data = bytes.fromhex(v["hex"])
        if v["strict_verdict"].startswith("accept") or not is_complete(data):
            continue
        for cut in range(1, min(len(data), 24)):
            bad = connect(daemon)
            bad.send(data[:cut])
            witness.sync("")
            try:
                bad.send(data[cut:])
            except ConnectionError:
                pass  # the first piece was enough
            got, _ = kdb.drain(bad.sock)
            assert got in TOLD, (v["name"], cut)
            bad.close()
    assert witness.sync("") == NIL


def test_good_vectors_at_every_split(start, connect):
    """Protects reassembly: every good vector, cut in two at every point (the
    daemon has provably seen the first piece before the second is sent), is
    taken as the same message: as many answers as requests, all alike, and the
    connection stays.  A response without a request may end it."""
    daemon = start({"schema": {"tables": [
        {"name": "trade", "columns": ["time timespan", "sym symbol g", "price float",
                                      "size long"]}]}})
    other = connect(daemon)
    for v in GOOD:
        data = bytes.fromhex(v["hex"])
        client = connect(daemon)
        if data[1] == kdb.RESPONSE:
            for cut in range(1, len(data), 7):
                client = connect(daemon)
                client.send(data[:cut])
                other.sync("")
                client.send(data[cut:])
                client.sock.shutdown(socket.SHUT_WR)
                assert kdb.drain(client.sock) == (b"", "fin"), v["name"]
                client.close()
            continue
        whole = client.ask_raw(data) if data[1] == kdb.SYNC else None
        # Pieces overlap: the end of one copy goes out with the start of the
        # next, so that each send is a cut.
        cuts = range(1, len(data))
        rest = b""
        for cut in cuts:
            client.send(rest + data[:cut])
            other.sync("")
            rest = data[cut:]
        client.send(rest)
        if whole is not None:
            for cut in cuts:
                assert client.read_response() == whole, (v["name"], cut)
        assert client.ask_raw(kdb.frame("", kdb.SYNC)) == kdb.frame(
            NIL, kdb.RESPONSE), v["name"]
        client.close()


def test_one_byte_at_a_time_among_others(start, connect):
    """Protects against one connection's pieces leaking into another's: two
    feeds send alternating single bytes of different updates."""
    daemon = start()
    feeds = [connect(daemon), connect(daemon)]
    sub = connect(daemon)
    sub.subscribe()
    for n in range(5):
        one, two = update("trade", trade(n)), update("quote", quote(n))
        for i in range(max(len(one), len(two))):
            feeds[0].send(one[i : i + 1])
            feeds[1].send(two[i : i + 1])
        feeds[0].sync("")
        feeds[1].sync("")
        got = {sub.read_frame(), sub.read_frame()}
        assert got == {published("trade", trade(n).items),
                       published("quote", quote(n).items)}


def test_flipped_bytes(start, connect):
    """Protects against faults not thought of: 4,000 updates and requests with
    some bytes changed (always the same ones) never harm another connection,
    and whatever is published is well-formed."""
    daemon = start({"connections": {"handshake_timeout": "2s"},
                    "message": {"timeout": "1s"}})
    rng = random.Random(20261122)
    witness, feed = connect(daemon), connect(daemon)
    witness.subscribe()
    seeds = [bytes.fromhex(v["hex"]) for v in VECTORS
             if v["kind"] in ("ipc", "compressed")
             and v["name"].startswith(("feed_", "sub_", "zip_", "cap_", "c64_"))]
    seeds += [update("trade", trade(1, 5)), update("quote", quote(1, 5), big=True)]
    client = connect(daemon)
    for turn in range(4000):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 2, 5))):
            # mostly after the length, since a changed length only makes it wait
            at = rng.randrange(8 if rng.random() < 0.9 else 0, len(data))
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        data[1] = 0
        try:
            client.send(data)
        except ConnectionError:
            pass
        if turn % 4 == 3:
            client.close()
            client = connect(daemon)
        if turn % 100 == 99:
            assert feed.update("trade", trade(10**6 + turn)) == NIL
            mine = published("trade", trade(10**6 + turn).items)
            while witness.read_frame() != mine:
                pass
    client.close()


def test_partial_message_and_gone(start, connect):
    """Protects buffers: peers that leave in the middle of a message, small or
    long (a long one takes one of the two pooled buffers), give their buffers
    back."""
    daemon = start({"message": {"buffers": 2, "max": "64K"},
                    "connections": {"receive_buffer": 4096}})
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()
    long_one = update("trade", trade(0, 1500))
    for cut in (1, 7, 8, 9, 100, 5000, 30000, len(long_one) - 1) * 3:
        gone = connect(daemon)
        gone.send(long_one[:cut])
        gone.close()
    assert feed.ask_raw(update("trade", trade(0, 1500), kdb.SYNC))[8:] == b"\x65\0"
    assert sub.read_frame() == published("trade", trade(0, 1500).items)
