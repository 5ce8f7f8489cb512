"""Policy skip: what is taken away is told, and the end of a day is not lost."""

import kdb
import pytest
from kdb import NIL, sym
from spill import wait_level
from traffic import Flood, Reader, Template, published, quote, sizes_of, trade

ROWS = 400


def settings(mode):
    return {"ring": {"size": "1M"}, "streams": {"ring": "1M"},
            "message": {"max": "64K"}, "connections": {"send_buffer": "256K"},
            "engine": {"mode": mode}, "slow": {"policy": "skip"}}


def skipped_of(frame):
    """(from, to) of a notice, or None."""
    value = kdb.decode_frame(frame)[1]
    if value.items[0] != sym(".ringtick.skipped"):
        return None
    return value.items[1].value, value.items[2].value


def up_to(last, daemon, feed, **clients):
    """The frames of each client that is named by its user, up to the update
    `last`, which is published when they have all that was before it: with what
    they lag it could be skipped itself."""
    frames = {user: [] for user in clients}
    wanted = published("trade", last.items)

    def take(user):
        def one(frame):
            frames[user].append(frame)
            return frame == wanted
        return one
    readers = [Reader(client, take(user)) for user, client in clients.items()]
    for user in clients:
        wait_level(daemon, user)
    assert feed.update("trade", last) == NIL
    for reader in readers:
        reader.finish()
    return frames


def test_told_what_is_skipped(start, connect, mode):
    """Protects a subscriber that asked for it: each gap in its stream is announced
    at its place, with the numbers of the records; others get updates only."""
    daemon = start(settings(mode))
    feed = connect(daemon)
    asked = connect(daemon, user="asked", receive_buffer=65536)
    silent = connect(daemon, user="silent", receive_buffer=65536)
    assert asked.sync(".ringtick.tellskips[]") == NIL
    asked.subscribe()
    silent.subscribe()
    template = Template(ROWS)
    Flood(feed, template, limit=600).finish()
    assert feed.sync("") == NIL
    read = up_to(trade(600 * ROWS, ROWS), daemon, feed, asked=asked, silent=silent)
    for user, frames in read.items():
        wanted, told = 0, 0
        for frame in frames:
            if frame == published("trade", trade(wanted * ROWS, ROWS).items):
                wanted += 1
                continue
            if user == "asked":
                first, behind = skipped_of(frame)
                assert first == wanted and behind > first
                wanted, told = behind, told + 1
            else:  # it finds out by itself
                found = sizes_of(frame, ROWS)[0] // ROWS
                assert found > wanted
                wanted, told = found + 1, told + 1
        assert wanted == 601 and told >= 1
    assert daemon.summary().number("skipped_records") > 0


@pytest.mark.usefixtures("many_days")
def test_the_end_of_day_is_not_skipped(start, connect, mode):
    """Protects the RDB's night: .u.end is delivered, though it stood among what
    was skipped; the last one of several, and in its place."""
    daemon = start(settings(mode))
    feed = connect(daemon)
    lazy = connect(daemon, user="lazy", receive_buffer=65536)
    lazy.subscribe("trade")
    day = feed.sync(".u.d").value
    Flood(feed, Template(ROWS), limit=300).finish()
    for n in range(2):
        assert feed.sync(".u.endofday[]") == NIL
        assert feed.update("quote", quote(n)) == NIL
    Flood(feed, Template(ROWS), first=300, limit=600).finish()
    assert feed.sync("") == NIL
    daemon.wait_log("skip", user="lazy")
    frames = up_to(trade(7), daemon, feed, lazy=lazy)["lazy"]
    ends = [kdb.decode_frame(one)[1].items[1].value for one in frames if len(one) == 27]
    assert ends in ([day + 1], [day, day + 1])
