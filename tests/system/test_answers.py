"""Small answers: what clients ask that is not q's everyday."""

import struct

import kdb
import pytest
from kdb import NIL, Error, sym, syms, text
from traffic import trade

# The first message of a client library, as it came: a text, and the name `.q.
PROBE = bytes.fromhex(
    "01010000750000000000020000000a005d0000006b297b783a2e20783b245b3939683c40783b3a6024225f70"
    "796b785f666e5f6d61726b6572223b3939687e40783b69665b6020696e21783b69665b283a3a297e78603b3a"
    "6024225f70796b785f6374785f6d61726b6572225d5d5d787df52e7100")


def probe(client, name):
    """That message, about another name."""
    frame = PROBE[:-4] + b"\xf5" + name.encode() + b"\0"
    return client.ask(frame[:4] + struct.pack("<I", len(frame)) + frame[8:])


def test_probe_of_a_library(start, connect):
    """Protects every client of a library that asks one constant text before its
    first call: what the name is, a namespace, a function, or a value."""
    client = connect(start())
    assert client.ask(PROBE) == sym("_pykx_ctx_marker")
    assert probe(client, ".u") == sym("_pykx_ctx_marker")
    assert probe(client, ".u.sub") == sym("_pykx_fn_marker")
    assert probe(client, ".u.d") == client.sync(".u.d")
    assert probe(client, "trade") == client.sync("trade")
    assert probe(client, "nothing") == Error(b"nothing")
    # another text of the same length is a text
    assert client.ask(PROBE.replace(b"99h<@x", b"98h<@x")) == Error(b"k")


def test_names_of_tables(start, connect):
    """Protects gateways: tables` is all of the root namespace, as tables[] is."""
    client = connect(start())
    everything = client.sync("tables[]")
    for asked in ("tables`", "tables `", "tables`.", "tables[`]"):
        assert client.sync(asked) == everything
    assert client.sync("tables`.u") == syms()


def test_the_end_is_not_to_be_called(start, connect):
    """Protects the day: .u.end from outside is refused, with what is meant."""
    client = connect(start())
    day = client.sync(".u.d")
    for asked in (".u.end[.u.d]", ".u.end[2026.01.01]", ".u.end 2026.01.01"):
        assert client.sync(asked) == Error(b"use .u.endofday[]")
    assert client.sync(kdb.lst(sym(".u.end"), day)) == Error(b"use .u.endofday[]")
    assert client.sync(".u.d") == day


@pytest.mark.parametrize("asked", [
    "1 2 / two of them", "/ two\n1 2", "{x / itself\n }1 2",
    "{[a] / \" } `\n a} 1 2", "1 2 /"])
def test_comments(start, connect, asked):
    """Protects q programs that send their lambdas with what is written in them."""
    assert connect(start()).sync(asked) == kdb.vec("j", [1, 2])


def test_what_is_no_comment(start, connect):
    client = connect(start())
    assert client.sync("1 2 in/:1 2") != Error(b"nyi")
    assert client.sync('"1 / 2"') == text("1 / 2")
    assert client.sync("foo / bar") == Error(b"foo")


def test_too_long_is_told(start, connect):
    """Protects clients that send too much from being closed without a reason: the
    answer is 'limit, also if the length is in a compressed frame or above 32 bits."""
    daemon = start()
    long = kdb.text("a" * 200000)
    for data in (kdb.frame(long, kdb.SYNC), kdb.compress(kdb.frame(long, kdb.SYNC)),
                 b"\1\1\0\1" + struct.pack("<I", 20) + b"\0" * 12):
        client = connect(daemon)
        client.send(data)
        assert kdb.decode(client.read_response()[8:]) == Error(b"limit")
    assert connect(daemon).update("trade", trade(1)) == NIL
