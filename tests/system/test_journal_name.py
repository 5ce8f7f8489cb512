"""Another file gets the name of the journal that the daemon has open: the day
continues under its name, and the other file is kept beside it."""

import contextlib
import fcntl
import os
import signal
import time

import journal
import kdb
import pytest
from kdb import NIL, Error
from late import rejoin, subfrom
from traffic import published, trade


def settings(folder, changes=None, **how):
    return journal.settings(folder, {"log": {"report": "100ms"}, **(changes or {})},
                            **how)


def records(count):
    return [journal.record("trade", trade(n)) for n in range(count)]


OTHERS = b"somebody else's"


def put_file(path, other):
    other.write_bytes(OTHERS)
    other.rename(path)


def put_hard_link(path, other):
    other.write_bytes(OTHERS)
    os.link(other, path.with_name("second"))
    path.with_name("second").rename(path)


def put_link(path, other):
    other.write_bytes(OTHERS)
    path.with_name("second").symlink_to(other)
    path.with_name("second").rename(path)


def put_link_to_nothing(path, other):
    path.with_name("second").symlink_to(path.with_name("nothing"))
    path.with_name("second").rename(path)


def put_folder(path, other):
    path.unlink()
    path.mkdir()
    (path / "file").write_bytes(OTHERS)


def put_while_moved(path, other):
    path.rename(path.with_name("moved"))
    put_file(path, other)


def put_twice(path, other):
    put_file(path, other)
    put_file(path, other)


STRANGERS = [put_file, put_hard_link, put_link, put_link_to_nothing, put_folder,
             put_while_moved, put_twice]


def content(aside):
    if aside.is_dir():
        return (aside / "file").read_bytes()
    if not aside.exists():
        return str(aside.readlink()).encode()
    return aside.read_bytes()


@contextlib.contextmanager
def lock_of_another(daemon, folder):
    """As another daemon has it that was started when the lock had been removed."""
    (folder / "sym.lock").unlink()
    with open(folder / "sym.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        daemon.wait_log("journal_lock_lost")
        yield


@contextlib.contextmanager
def name_of_another(start, connect, folder):
    """A daemon with one record, while another daemon has the lock and the name of
    its file: yields it, a client, and the path."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    assert client.update("trade", trade(0)) == NIL
    with lock_of_another(daemon, folder):
        journal.write(folder / "other")
        (folder / "other").rename(path)
        yield daemon, client, path


def kill(daemon, *clients):
    daemon.signal(signal.SIGKILL)
    daemon.process.wait()
    daemon.abandon()
    for one in clients:
        one.close()


@pytest.mark.parametrize("sync", ["none", "batch"])
def test_another_has_the_name(start, connect, folder, sync):
    """Protects the day from whatever gets its file's name: at once the file is
    complete under it again, also after a kill; nothing of the stranger is lost,
    and the log names it."""
    daemon = start(settings(folder, sync=sync))
    client = connect(daemon)
    path = journal.path_now(folder)
    sent, asides = 0, []
    for put in STRANGERS:
        assert client.update("trade", trade(sent)) == NIL
        mark = daemon.mark()
        put(path, folder / "other")
        assert client.update("trade", trade(sent + 1)) == NIL
        sent += 2
        line = daemon.wait_log("journal_put_aside", after=mark)
        assert line.level == 3 and line["file"] == str(path)
        asides.append(folder / line["aside"])
        assert content(asides[-1]) == (str(folder / "nothing").encode()
                                       if put is put_link_to_nothing else OTHERS)
        how = "linked" if put is put_while_moved else "copied"
        daemon.wait_log("journal_brought_back", after=mark, how=how)
        assert journal.read(path).records == records(sent)
        assert journal.count_and_path(client) == (sent, path)
        if how == "linked":
            path.with_name("moved").unlink()
    assert len(set(asides)) == len(STRANGERS)
    assert not daemon.logged("journal_failing")
    kill(daemon, client)

    again = start(settings(folder))
    assert again.wait_log("journal")["last_stop"] == "unclean"
    told = again.logged("journal_aside")
    assert {line["file"] for line in told} == {str(one) for one in asides}
    assert {line.level for line in told} == {4}
    client = connect(again)
    assert journal.count_and_path(client) == (sent, path)
    assert client.update("trade", trade(sent)) == NIL
    assert journal.read(path).records == records(sent + 1)
    assert not list(folder.glob("*.rescue.*"))


def test_moved_and_back(start, connect, folder):
    """Protects a file that was moved and comes back: it is the same one."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    moved = folder / "moved"
    assert client.update("trade", trade(0)) == NIL
    path.rename(moved)
    moved.rename(path)
    assert client.update("trade", trade(1)) == NIL
    path.rename(moved)
    daemon.wait_log("journal_brought_back", how="linked")
    moved.replace(path)
    assert client.update("trade", trade(2)) == NIL
    # a link of its own that leads to it is as good
    moved.unlink()
    path.rename(moved)
    path.symlink_to(moved)
    mark = daemon.mark()
    assert client.update("trade", trade(3)) == NIL
    daemon.summary()
    assert client.sync(".u.endofday[]") == NIL
    daemon.wait_log("journal_rolled")
    assert journal.read(path).records == records(4)
    assert not daemon.logged("journal_put_aside")
    assert not daemon.logged("journal_brought_back", after=mark)


@pytest.mark.parametrize("end", ["stop", "end of day"])
def test_another_has_the_name_at_the_end(start, connect, folder, end):
    """The same right before the file is left."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path = journal.path_now(folder)
    for n in range(20):
        assert client.update("trade", trade(n)) == NIL
    put_file(path, folder / "other")
    if end == "stop":
        client.close()
        daemon.stop()
    else:
        assert client.sync(".u.endofday[]") == NIL
        daemon.wait_log("journal_rolled")
    assert journal.read(path).records == records(20)
    line, = daemon.logged("journal_put_aside")
    assert content(folder / line["aside"]) == OTHERS


@pytest.mark.parametrize("stranger", ["folder", "file", "link"])
def test_stop_before_the_next_name_is_free(start, connect, folder, stranger):
    """Protects what was accepted after the end of a day from a stop while something
    else has the next file's name: that is put aside, and nothing is lost."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path, day = journal.path_now(folder), client.sync(".u.d").value
    tomorrow = journal.path_of(folder, day + 1)
    assert client.update("trade", trade(0)) == NIL
    if stranger == "folder":
        tomorrow.mkdir()
        (tomorrow / "file").write_bytes(OTHERS)
    elif stranger == "file":
        tomorrow.write_bytes(OTHERS)
    else:
        tomorrow.symlink_to(folder / "no" / "file")
    was = content(tomorrow)
    client.async_(kdb.text(".u.endofday[]"))
    for n in range(1, 5):
        client.async_(kdb.lst(kdb.sym(".u.upd"), kdb.sym("trade"), trade(n)))
    daemon.wait_log("journal_roll_failed")
    told, = daemon.logged("journal_failing")
    assert ("what a link leads to" if stranger == "link" else
            "see journal_roll_failed") in told["hint"]
    client.close()
    daemon.stop()
    line, = daemon.logged("journal_put_aside")
    assert line["file"] == str(tomorrow) and content(folder / line["aside"]) == was
    assert journal.read(path).records == records(1)
    assert journal.read(tomorrow).records == records(5)[1:]
    again = start(settings(folder))
    assert again.wait_log("journal")["last_stop"] == "clean"
    assert again.logged("journal_aside")[0]["file"] == line["aside"]


def test_starts_beside_a_stranger_of_tomorrow(start, connect, folder):
    """Protects today from whatever else has the name of a later day's file: after a
    stop and after a crash today continues."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path, day = journal.path_now(folder), client.sync(".u.d").value
    assert client.update("trade", trade(0)) == NIL
    (journal.path_of(folder, day + 1) / "file").mkdir(parents=True)
    journal.path_of(folder, day + 2).write_bytes(OTHERS)
    for sent in range(1, 5):
        if sent % 2:
            client.close()
            daemon.stop()
        else:
            kill(daemon, client)
        daemon = start(settings(folder))
        client = connect(daemon)
        assert client.update("trade", trade(sent)) == NIL
        assert journal.count_and_path(client) == (sent + 1, path)
    assert journal.read(path).records == records(5)


def test_another_daemon_has_the_name(start, connect, folder):
    """Protects two daemons from taking the name from each other again and again:
    while another one has the lock, its file stays where it is. What was accepted is
    in a copy; the log says where, and the exit status of a stop is not 0."""
    with name_of_another(start, connect, folder) as (daemon, client, path):
        failing = daemon.wait_log("journal_failing")
        assert failing["operation"] == "bring back"
        assert "File exists" in failing["error"]
        assert ".rescue." in failing["hint"]
        copy = folder / (path.name + ".rescue.1")
        assert journal.read(copy).records == records(1)
        for n in range(1, 20):
            assert client.update("trade", trade(n)) == NIL
        while len(journal.File(copy)) < 20:
            daemon.summary()
        assert len(daemon.logged("journal_failing")) == 1, "it says so again and again"
        assert not daemon.logged("journal_mended"), "it is not mended"
        assert client.update("trade", trade(20)) == NIL
        client.close()
        daemon.stop(status=1)
    line, = daemon.logged("journal_unnamed")
    assert line.level == 3 and line["copy"] == str(copy)
    assert journal.read(copy).records == records(21)
    assert journal.read(path).records == []
    again = start(settings(folder))
    assert again.wait_log("journal_half_copy")["file"] == line["copy"]


def test_stop_after_another_has_gone(start, connect, folder):
    """Protects a stop right after the other file was moved away: the journal gets
    its name back, and the stop is a clean one."""
    with name_of_another(start, connect, folder) as (daemon, client, path):
        assert client.update("trade", trade(1)) == NIL
        client.close()
        daemon.wait_log("journal_failing")
        path.unlink()
        daemon.stop()
    assert journal.read(path).records == records(2)
    assert not list(folder.glob("*.rescue.*"))
    again = start(settings(folder))
    assert again.wait_log("journal")["last_stop"] == "clean"


def test_nobody_replays_another_file(start, connect, folder):
    """Protects an RDB from a replay of what is not the day: while the file cannot
    get its name back, the answer to .u.i and .u.L is an error after a second; who
    needs no file is served."""
    daemon = start(settings(folder))
    client, asker, plain = (connect(daemon) for _ in range(3))
    path = journal.path_now(folder)
    assert client.update("trade", trade(0)) == NIL
    with lock_of_another(daemon, folder):
        put_file(path, folder / "other")
        daemon.wait_log("journal_failing")
        asker.send(kdb.frame(journal.JOIN, kdb.SYNC))
        assert isinstance(plain.subscribe("trade"), kdb.List)
        assert isinstance(subfrom(plain, 0, kdb.sym("trade")), kdb.List)
        began = time.monotonic()
        assert kdb.decode(asker.read_response()[8:]) == Error(b"journal")
        assert time.monotonic() - began < 8
        assert isinstance(asker.subscribe("trade"), kdb.List)
    daemon.wait_log("journal_brought_back")
    assert journal.count_and_path(asker) == (1, path)
    assert journal.count_and_path(client) == (1, path)
    assert journal.read(path).records == records(1)


def test_another_has_the_name_of_yesterday(start, connect, folder):
    """Protects a client that continues over the end of the day: the owner may give
    a past day's name away, and the daemon goes on reading the file that it has
    open; the next start, which has it not open, runs without it and says so."""
    daemon = start(settings(folder))
    client = connect(daemon)
    path, day = journal.path_now(folder), client.sync(".u.d").value
    for n in range(5):
        assert client.update("trade", trade(n)) == NIL
    assert client.sync(".u.endofday[]") == NIL
    daemon.wait_log("journal_rolled")
    put_file(path, folder / "other")
    assert client.update("trade", trade(5)) == NIL
    late = connect(daemon)
    assert isinstance(rejoin(late, (0, day, 0, 3)), kdb.List)
    frames = [published("trade", trade(n).items) for n in range(6)]
    assert [late.read_frame() for _ in range(4)] == [
        *frames[3:5], journal.end_frame(day), frames[5]]
    client.close()
    late.close()
    daemon.stop()
    assert path.read_bytes() == OTHERS and not daemon.logged("journal_put_aside")
    again = start(settings(folder))
    assert str(path) in again.wait_log("journal_day_before_unusable")["why"]
