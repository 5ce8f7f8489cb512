"""The codec of the tests itself, held against the cross-checked vectors."""

import json

import kdb
import pytest

with open(kdb.vectors_path()) as _file:
    VECTORS = json.load(_file)

# Accepted as data by wire.md (the note of each says why); what a daemon makes
# of them is test_malformed.py's business.
GOOD_THOUGH_LISTED = {
    v["name"]
    for v in VECTORS
    if v["kind"] == "malformed" and v["strict_verdict"].startswith("accept")
}


def of_kind(*kinds):
    return [v for v in VECTORS if v["kind"] in kinds]


@pytest.mark.parametrize("kind", ["ipc", "golden", "compressed"])
def test_good_vectors_come_back_byte_for_byte(kind):
    """Protects every byte-exact comparison of the other tests: decoding and
    encoding again is the identity, in the vector's own byte order."""
    for v in of_kind(kind):
        data = bytes.fromhex(v["hex"])
        message, value = kdb.decode_frame(data)
        plain = kdb.decompress(data) if data[2] else data
        big = data[0] == 0
        made = kdb.frame(value, message, big=big)
        if made != plain:  # 8-byte counts are another spelling
            made = kdb.frame(value, message, big=big, wide=True)
        assert made == plain, v["name"]


def test_endianness_round_trip():
    """Protects the big-endian tests: one value, both orders, same value."""
    for v in of_kind("ipc", "golden"):
        message, value = kdb.decode_frame(bytes.fromhex(v["hex"]))
        swapped = kdb.frame(value, message, big=True)
        assert kdb.decode_frame(swapped) == (message, value), v["name"]


def test_malformed_vectors_are_refused():
    """Protects against a lenient reader of the daemon's output: what the
    strict validator rejects, this codec rejects."""
    for v in of_kind("malformed"):
        if v["name"] in GOOD_THOUGH_LISTED:
            continue
        with pytest.raises(kdb.Malformed):
            kdb.decode_frame(bytes.fromhex(v["hex"]))
            pytest.fail("accepted %s" % v["name"])


def test_every_prefix_is_refused():
    """Protects the split-point tests: no prefix of a frame is a frame."""
    for v in of_kind("ipc", "compressed"):
        data = bytes.fromhex(v["hex"])
        for n in range(min(len(data), 256)):
            with pytest.raises((kdb.Malformed, IndexError)):
                kdb.decode_frame(data[:n])


def test_compression_is_that_of_q():
    """Protects the compressed-input tests: the encoder makes what real kdb+
    made, and both directions agree on what it never saw."""
    for v in of_kind("compressed"):
        data = bytes.fromhex(v["hex"])
        plain = kdb.decompress(data)
        again = kdb.compress(plain, force=True, flag=data[2])
        assert kdb.decompress(again) == plain, v["name"]
        if len(plain) > 2008 and data[2] == 1:
            assert kdb.compress(plain) == data, v["name"]
    for n in (0, 1, 2, 3, 9, 255, 256, 257, 300, 5000):
        for step in (1, 7, 0):
            plain = kdb.frame(kdb.vec("x", bytes(i * step % 251 for i in range(n))))
            packed = kdb.compress(plain, force=True)
            assert kdb.decompress(packed) == plain


def test_goldens_of_the_contract():
    """Protects the contract's own frames (tick-contract.md section 7)."""
    x = kdb.lst(kdb.vec("n", [1]), kdb.syms("A"), kdb.vec("f", [1.5]))
    feed = kdb.frame(kdb.lst(kdb.text(".u.upd"), kdb.sym("trade"), x))
    assert feed.hex() == (
        "010000004b000000000003000000" "0a00060000002e752e757064" "f5747261646500"
        "000003000000" "1000010000000100000000000000" "0b00010000004100"
        "090001000000000000000000f83f")
    made = kdb.lst(kdb.sym("upd"), kdb.sym("trade"),
                   kdb.Table(kdb.syms("time", "sym", "price"), x))
    assert kdb.frame(made).hex() == (
        "010000005c000000000003000000" "f575706400" "f5747261646500" "6200630b00"
        "0300000074696d650073796d00707269636500" "000003000000"
        "1000010000000100000000000000" "0b00010000004100"
        "090001000000000000000000f83f")
    assert kdb.frame(kdb.NIL, kdb.RESPONSE).hex() == "010200000a0000006500"
    assert kdb.frame(kdb.Error(b"foo"), kdb.RESPONSE).hex() == (
        "010200000d00000080666f6f00")
