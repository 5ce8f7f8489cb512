"""Joining late over the wire: .ringtick.subfrom, .ringtick.rejoin."""

import journal
import kdb
import pytest
from kdb import NIL, sym
from traffic import published, quote, trade


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "journal"
    found.mkdir()
    return found


def subfrom(client, i, tables=None):
    return client.sync(kdb.lst(
        sym(".ringtick.subfrom"), tables or sym(""), sym(""), kdb.atom("j", i)))


def rejoin(client, epoch, day, i, n, tables=None):
    return client.sync(kdb.lst(
        sym(".ringtick.rejoin"), tables or sym(""), sym(""),
        kdb.List((kdb.atom("j", epoch), kdb.atom("d", day), kdb.atom("j", i),
                  kdb.atom("j", n)))))


def test_subfrom(start, connect, folder, mode):
    """Protects late joiners without the journal's files: from record i on, all
    of it once, from the past into the live stream."""
    daemon = start(journal.settings(folder, {"engine": {"mode": mode}}))
    feed = connect(daemon)
    for n in range(50):
        assert feed.update("trade", trade(n)) == NIL
        assert feed.update("quote", quote(n)) == NIL
    frames = [one for n in range(100) for one in (
        published("trade", trade(n).items), published("quote", quote(n).items))]
    clients = []
    for i in (0, 1, 37, 99, 100):
        client = connect(daemon)
        wanted = client.sync(".u.sub[`;`]")
        other = connect(daemon)
        assert subfrom(other, i) == wanted
        clients.append((other, frames[i:]))
    for kind, tables in ((0, sym("trade")), (1, kdb.syms("quote"))):
        other = connect(daemon)
        subfrom(other, 10, tables)
        clients.append((other, frames[10:][kind::2]))
    for n in range(50, 100):
        assert feed.update("trade", trade(n)) == NIL
        assert feed.update("quote", quote(n)) == NIL
    for client, wanted in clients:
        assert [client.read_frame() for _ in wanted] == wanted
