"""The end of the day: (`.u.end;date), once, in the stream's order."""

import threading
import time

import journal
import kdb
import pytest
from kdb import NIL, lst, sym
from traffic import Template, published, quote, trade


def end_frame(date):
    return kdb.frame(lst(sym(".u.end"), kdb.atom("d", date)))


@pytest.mark.parametrize("form", ["text", "list", "char vector", "async"])
@pytest.mark.usefixtures("many_days")
def test_end_of_day_by_a_user(start, connect, form, mode):
    """Protects RDBs' end of day: `.u.endofday[]` sends each subscriber exactly
    one .u.end with the day that ended, after the last update of the day and
    before the first of the next, whatever it subscribed to and how often."""
    daemon = start({"engine": {"mode": mode}})
    feed = connect(daemon)
    everything, one, both, none = (connect(daemon) for _ in range(4))
    everything.subscribe()
    one.subscribe("trade")
    both.subscribe("trade")
    both.subscribe("quote")
    both.subscribe("trade")
    today = feed.sync(".u.d").value
    for turn in range(3):
        assert feed.update("quote", quote(turn)) == NIL
        assert feed.update("trade", trade(turn)) == NIL
        asked = {"text": kdb.text(".u.endofday[]"), "async": kdb.text(".u.endofday[]"),
                 "list": lst(sym(".u.endofday"), NIL),
                 "char vector": lst(kdb.text(".u.endofday"), NIL)}[form]
        if form == "async":
            feed.async_(asked)
        else:
            assert feed.sync(asked) == NIL
        assert feed.update("trade", trade(100 + turn)) == NIL
        for sub in (everything, one, both):
            if sub is not one:
                assert sub.read_frame() == published("quote", quote(turn).items)
            assert sub.read_frame() == published("trade", trade(turn).items)
            assert sub.read_frame() == end_frame(today + turn)
            assert sub.read_frame() == published("trade", trade(100 + turn).items)
            sub.expect_silence()
        assert feed.sync(".u.d").value == today + turn + 1
    none.expect_silence()
    feed.expect_silence()
    daemon.summary()  # the log has been read up to here
    assert len(daemon.logged("end_of_day")) == 3


def test_a_day_ahead_is_the_most(start, connect, tmp_path):
    """Protects the date, descriptors and the folder from a client that ends one day
    after the other: a second end is refused, in a flood too, with and without a
    journal."""
    for changes in ({}, journal.settings(tmp_path)):
        daemon = start(changes)
        client, sub = connect(daemon), connect(daemon)
        sub.subscribe()
        today = client.sync(".u.d").value
        for _ in range(100):
            client.async_(kdb.text(".u.endofday[]"))
        assert client.sync(".u.endofday[]") == kdb.Error(b"ahead")
        assert client.sync(".u.d").value == today + 1
        assert sub.read_frame() == end_frame(today)
        sub.expect_silence()
    daemon.wait_log("journal_rolled")
    assert len(list(tmp_path.glob("sym20*"))) == 2


def test_end_of_day_under_load(start, connect, mode):
    """Protects the order between updates and .u.end while feeds run: all
    subscribers see it at the same place."""
    daemon = start({"engine": {"mode": mode}, "slow": {"policy": "block"}})
    subs = [connect(daemon) for _ in range(3)]
    subs.append(connect(daemon))
    for sub in subs[:3]:
        sub.subscribe()
    subs[3].subscribe("trade")
    feed, user = connect(daemon), connect(daemon)
    template = Template(10)
    halfway = threading.Event()

    def publish():
        for n in range(6000):
            feed.send(template.make(n * 10))
            if n == 2000:
                halfway.set()
    sender = threading.Thread(target=publish)
    sender.start()
    halfway.wait(20)
    today = user.sync(".u.d").value
    assert user.sync(".u.endofday[]") == NIL
    places = [[] for _ in subs]

    def collect(sub, found):
        updates = 0
        while updates < 6000:
            got = sub.read_frame()
            if got == end_frame(today):
                found.append(updates)
            else:
                updates += 1
    readers = [threading.Thread(target=collect, args=(sub, found))
               for sub, found in zip(subs, places)]
    for reader in readers:
        reader.start()
    for reader in (*readers, sender):
        reader.join(60)
    assert len(places[0]) == 1 and all(found == places[0] for found in places), places


def test_date_is_that_of_the_zone(start, connect):
    """Protects the configured offset: .u.d is the date there."""
    dates = {}
    for zone in ("-12:00", "utc", "+14:00"):
        daemon = start({"day": {"zone": zone}})
        dates[zone] = connect(daemon).sync(".u.d").value
    # 26 hours apart: one day at least, two at most
    assert 1 <= dates["+14:00"] - dates["-12:00"] <= 2
    assert dates["-12:00"] <= dates["utc"] <= dates["+14:00"]


@pytest.mark.alone
def test_midnight(_midnight):
    """Protects the night: when the configured zone's date changes, the day ends
    by itself, once, with the day that was."""
    client, daemon = _midnight.client, _midnight.daemon
    assert client.read_frame() == end_frame(_midnight.day)
    client.expect_silence()
    assert client.sync(".u.d").value == _midnight.day + 1
    daemon.wait_log("end_of_day")
    assert len(daemon.logged("end_of_day")) == 1
    feed = kdb.Client(daemon.port)
    assert feed.update("trade", lst(sym("a"), kdb.atom("f", 1.0),
                                    kdb.atom("j", 1))) == NIL
    feed.close()
    stamp = client.read().items[2].columns.items[0].values[0]
    assert 0 <= stamp <= (time.time() - _midnight.over_at) * 10**9
