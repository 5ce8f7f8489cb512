"""Rows of the table (misbehaviour.py) with messages as long as they are allowed by
default, each with a daemon that is made for them.  Where they go to the disk, or
come from there, an answer would wait for that."""

import contextlib
import struct
import threading

import kdb
from bystander import PULSE
from daemon import merged
from kdb import SYNC, Error, atom, frame, lst, sym, syms, text
from misbehaviour import row
from traffic import update

MESSAGE_MAX = 16 << 20
NARROW = {"name": "narrow", "columns": ["time timespan", "sym symbol"]}

SETTINGS = {
    "schema": {"tables": [NARROW, PULSE]},
    "ring": {"size": "64M"}, "streams": {"ring": "64M", "max": 32},
    "message": {"max": MESSAGE_MAX, "timeout": "20s"},
}


def runs_of_two(value):
    """A compressed frame whose value ends in a vector of zeros of the greatest length
    allowed.  Each two zeros are a token of their own, which makes inflating them
    as expensive as it can be."""
    whole = frame(value, SYNC)
    begin = whole[:-4]
    words = (len(begin) + 4 + 15) // 8  # up to two zeros, which can be repeated
    pairs = MESSAGE_MAX // 18
    total = 8 * words + 16 * (pairs // 8)
    begin += struct.pack("<I", total - len(whole))
    begin += bytes(8 * words - len(begin))
    out = bytearray()
    for at in range(8, len(begin), 8):
        out += b"\0" + begin[at : at + 8]
    out += (b"\xff" + bytes(16)) * (pairs // 8)
    return struct.pack("<BBBBII", 1, SYNC, 1, 0, 12 + len(out), total) + out


@row(own={"settings": SETTINGS})
def long_compressed(scene):
    """Two clients ask for what there is not, with very long arguments, so that each
    inflates while the other waits."""
    data = runs_of_two(lst(sym("nosuch"), kdb.vec("x", b"")))

    def step(client):
        assert client.ask(data) == Error(b"nosuch")
    for user in ("evil", "worse"):
        client = scene.client(user)
        scene.again_and_again(lambda client=client: step(client))
    scene.hold_and_count()


LETTERS = [chr(ord("A") + i) for i in range(16)]


def _read_on(scene, client):
    """Reads what comes, in a thread, and drops it."""
    room = bytearray(1 << 20)

    def step():
        with contextlib.suppress(TimeoutError):
            if not client.sock.recv_into(room):
                raise kdb.Closed("fin")
    scene.again_and_again(step)


def _narrow(rows):
    return update("narrow", lst(syms(*LETTERS * (rows // len(LETTERS)))))


def _subscribe(scene, letters=LETTERS):
    """Subscribers to a symbol each, who read at once."""
    for letter in letters:
        client = scene.client()
        told = client.sync(lst(sym(".u.sub"), sym("narrow"), sym(letter)))
        assert not isinstance(told, Error), told
        _read_on(scene, client)


def _to_selections(scene, data, letters=LETTERS):
    """Updates again and again, to subscribers to a symbol each."""
    _subscribe(scene, letters)
    client = scene.client()
    data += frame("", SYNC)
    client.ask(data)
    scene.again_and_again(lambda: client.ask(data))
    scene.hold()


@row(own={"settings": SETTINGS}, answers=False)
def long_to_itself(scene):
    """The publisher subscribes as well, to some symbols: its replies stand after its
    own updates."""
    client = scene.client()
    told = client.sync(lst(sym(".u.sub"), sym("narrow"), sym(LETTERS[0])))
    assert not isinstance(told, Error), told
    data = frame(lst(sym(".u.upd"), sym("narrow"),
                     lst(syms(*LETTERS * (1_300_000 // len(LETTERS))))), SYNC)

    def step():
        assert client.ask(data) == kdb.NIL
        assert len(client.inbox) == 1  # its own rows came before the reply
        client.inbox.clear()
    scene.again_and_again(step)
    assert scene.has_round.wait(20)
    scene.hold()


@row(own={"settings": SETTINGS}, answers=False)
def long_filtered(scene):
    _to_selections(scene, _narrow(1_300_000))


@row(own={"settings": SETTINGS}, answers=False)
def another_selection_after_an_update(scene):
    """A request publishes, and then subscribes to what others have not yet got a long
    update of."""
    _subscribe(scene)
    feed, client, has_round = scene.client(), scene.client(), threading.Event()
    data = _narrow(1_300_000) + frame("", SYNC)

    def step():
        for letter in LETTERS:
            feed.ask(data)
            told = client.sync(lst(
                text("{.u.upd[`narrow;x];.u.sub[`narrow;y]}"), lst(syms("none")),
                sym(letter)))
            assert not isinstance(told, Error), told
            client.inbox.clear()
            has_round.set()
    scene.again_and_again(step)
    assert has_round.wait(20)
    scene.hold(200)


@row(own={"settings": merged(SETTINGS, {"publish": {"interval": "10ms"}})},
     answers=False)
def long_filtered_in_batches(scene):
    _to_selections(scene, _narrow(1_300_000))


def _join(client, *symbols):
    """Subscribes to some symbols from the day's first record on; the messages that
    came for an earlier subscription are dropped."""
    told = client.sync(lst(sym(".ringtick.subfrom"), sym("narrow"), syms(*symbols),
                           atom("j", 0)))
    assert not isinstance(told, Error), told
    client.inbox.clear()


@row(only="journal", answers=False,
     own={"settings": merged(SETTINGS, {"slow": {"return_percent": 5}})})
def long_filtered_out_of_the_journal(scene):
    """Two who join late, again and again, and want much of a long record, each
    something else; one who does not read, and one who goes at once."""
    feed = scene.client()
    feed.send(_narrow(1_300_000))
    assert feed.sync("") == kdb.NIL
    _join(scene.client(receive_buffer=4096), *LETTERS[:2])

    def step(client, *symbols):
        _join(client, *symbols)
        assert len(client.read_frame()) > 4 << 20
    for letters in (LETTERS[:8], LETTERS[8:]):
        client = scene.client()
        scene.again_and_again(
            lambda client=client, letters=letters: step(client, *letters))

    def join_and_go():
        with kdb.Client(scene.daemon.port, creds=b"evil:pw\x03") as client:
            _join(client, *LETTERS[4:12])
    scene.again_and_again(join_and_go)
    scene.hold_and_count()


@row(own={"settings": SETTINGS}, answers=False)
def others_come_and_go_while_long_filtered(scene):
    """Each time a stream begins, or ends, while another gets a long update."""
    def step():
        with kdb.Client(scene.daemon.port, creds=b"evil:pw\x03") as client:
            told = client.sync(lst(sym(".u.sub"), sym("narrow"), syms(*LETTERS[1:3])))
            assert not isinstance(told, Error), told
    scene.again_and_again(step)
    _to_selections(scene, _narrow(1_300_000), LETTERS[:1])
