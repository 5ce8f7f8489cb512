"""The journal: its bytes, the answers about it, and its start."""

import json
import mmap
import os
import signal
import time

import daemon as daemon_module
import journal
import kdb
import pytest
from daemon import TRADE
from kdb import NIL, Error, atom, lst, sym, syms, text, vec
from traffic import Template, published, quote, trade, update

with open(kdb.vectors_path()) as _file:
    VECTORS = {v["name"]: bytes.fromhex(v["hex"]) for v in json.load(_file)}

SUB_ALL = kdb.decode_frame(VECTORS["reply_sub_all"])[1]
SUB_TRADE = kdb.decode_frame(VECTORS["reply_sub_trade_g"])[1]


# ---- bytes ----


TIME = 34200000000000


def row(size):
    return lst(atom("n", TIME), sym("IBM"), atom("f", 1.5), atom("j", size))


def columns(size, rows=1):
    return lst(vec("n", [TIME] * rows), syms(*["IBM"] * rows),
               vec("f", [1.5] * rows), vec("j", [size] * rows))


# name: (what the feed sends, the columns in the record; None: no record)
FORMS = {
    "columns": (columns(1, 3), columns(1, 3)),
    "row": (row(2), columns(2)),
    "columns of one": (columns(3), columns(3)),
    "an atom among columns": (
        lst(vec("n", [TIME, TIME]), syms("A", "B"), atom("f", 1.5), vec("j", [1, 2])),
        lst(vec("n", [TIME, TIME]), syms("A", "B"), vec("f", [1.5, 1.5]),
            vec("j", [1, 2]))),
    "empty columns": (lst(vec("n", []), syms(), vec("f", []), vec("j", [])), None),
    "many": (columns(4, 1000), columns(4, 1000)),
}


def test_bytes_of_the_file(start, connect, folder, mode):
    """Protects every reader of kdb+ logs: the file is the 8 bytes of the header
    and then, in the order of acceptance, the bare records (`upd;`trade;columns)
    and no other byte; rows are one-element vectors, empty updates leave no
    record; each record is there when its sync update is answered."""
    daemon = start(journal.settings(folder, {"engine": {"mode": mode}}))
    feed = connect(daemon)
    path = journal.path_of(folder, feed.sync(".u.d").value)
    assert path.read_bytes() == journal.HEADER
    wanted = journal.HEADER
    for turn in range(3):
        for name, (sent, logged) in FORMS.items():
            fn = (".u.upd", "upd", ".u.upd")[turn]
            data = update("trade", sent, kdb.SYNC, fn, big=turn == 1,
                          wide=turn == 2)
            if turn == 2:
                data = kdb.compress(data, force=True)
            assert feed.ask(data) == NIL, name
            if logged is not None:
                wanted += journal.record("trade", logged)
            assert path.read_bytes() == wanted, (turn, name)
    assert set(os.listdir(folder)) == {
        path.name, "sym.epoch", "sym.lock", "sym.reserve"}
    assert journal.count_and_path(feed) == (3 * 5, path)


def test_refused_updates_are_not_in_the_file(start, connect, folder):
    """Protects a replay from what no subscriber ever saw: an update that is
    answered with an error leaves no byte."""
    daemon = start(journal.settings(folder))
    feed = connect(daemon)
    path = journal.path_now(folder)
    for bad in (lst(vec("n", [1]), syms("A")), columns(1).items[0],
                lst(vec("n", [1]), syms("A"), vec("j", [1]), vec("j", [1]))):
        assert isinstance(feed.update("trade", bad), Error)
    assert isinstance(feed.update("nothing", columns(1)), Error)
    assert feed.sync(".u.i").value == 0
    assert feed.update("trade", columns(1)) == NIL
    assert path.read_bytes() == journal.HEADER + journal.record("trade", columns(1))


def test_time_in_the_record_is_the_published_one(start, connect, folder):
    """Protects replay from a second clock: if the daemon stamps the time, the
    record and the stream have the same time."""
    daemon = start(journal.settings(folder))
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()
    path = journal.path_now(folder)
    frames = []
    for n in range(20):
        data = (lst(sym("A"), atom("f", 1.0), atom("j", n)) if n % 2 else
                lst(syms("A", "B"), vec("f", [1.0, 2.0]), vec("j", [n, n])))
        assert feed.update("trade", data) == NIL
        frames.append(sub.read_frame())
    assert journal.read(path).records == [journal.record_of(one) for one in frames]


def test_columns_of_every_type(start, connect, folder):
    """Protects the records of real schemas: each type of column, nested ones and
    texts too, is in the file as it was published."""
    letters = "bgxhijefcpmdznuvt"
    types = ("boolean guid byte short int long real float char timestamp month date "
             "datetime timespan minute second time").split()
    table = {"name": "wide", "columns": ["time timespan", "sym symbol"] + [
        "c%s %s" % (letter, name) for letter, name in zip(letters, types)
    ] + ["note string"]}
    daemon = start(journal.settings(folder, {"schema": {"tables": [table, TRADE]}}))
    feed = connect(daemon)
    path = journal.path_now(folder)
    wanted = []
    for rows in (1, 2, 7, 300):
        cells = [vec("n", range(rows)), syms(*["s%d" % n for n in range(rows)])]
        for letter in letters:
            width = kdb.FIXED[kdb.TYPE_OF[letter]][2]
            cells.append(vec(letter, bytes(rows) if letter == "b"
                             else os.urandom(rows * width)))
        cells.append(kdb.List(tuple(text("x" * (n % 40)) for n in range(rows))))
        assert feed.update("wide", kdb.List(tuple(cells))) == NIL
        assert feed.update("trade", columns(rows)) == NIL
        wanted += [journal.record("wide", kdb.List(tuple(cells))),
                   journal.record("trade", columns(rows))]
    assert journal.read(path).records == wanted


def test_agrees_with_the_reference_file(start, connect, folder):
    """Protects agreement with tick.q: its update of columns gives, byte for byte,
    the record that tick.q's log of the reference vectors has."""
    reference = VECTORS["log_2_records"]
    table = kdb.decode(reference[8:113]).items[2]
    daemon = start(journal.settings(folder))
    assert connect(daemon).update("trade", table) == NIL
    assert journal.path_now(folder).read_bytes() == reference[:113]


def test_longest_messages(start, connect, folder, mode):
    """Protects large updates: of message.max, more than one write, wherever the
    rings' seams are."""
    daemon = start(journal.settings(folder, {
        "engine": {"mode": mode}, "ring": {"size": "4M"}, "message": {"max": "1M"},
        "streams": {"max": 0}}))
    feed = connect(daemon)
    wanted = []
    for n in range(40):
        data = trade(n * 31000, 31000 - n * 700)
        assert feed.update("trade", data) == NIL
        wanted.append(journal.record("trade", data))
    assert journal.path_now(folder).read_bytes() == journal.HEADER + b"".join(wanted)
    assert feed.sync(".u.i").value == 40


# ---- the answers to clients ----


def test_what_is_told(start, connect, folder, mode):
    """Protects RDBs' first request: .u.i counts the records, .u.L is the file's
    absolute name after a colon, .u.l a number, .u.d the day in the name."""
    (folder / "link").symlink_to(folder)
    daemon = start(journal.settings(folder / "link", {"engine": {"mode": mode}},
                                    name="tp"))
    client = connect(daemon)
    day = client.sync(".u.d")
    assert day.type == 14
    path = journal.path_of(folder, day.value, "tp")
    handle = sym(":%s" % path)
    for n in range(5):
        assert client.sync(".u.i") == atom("j", n)
        assert client.sync(".u.L") == handle
        assert client.sync("(.u.i;.u.L)") == lst(atom("j", n), handle)
        assert client.sync(".u `i`L") == lst(atom("j", n), handle)
        assert client.update("trade", trade(n)) == NIL
    number = client.sync(".u.l")
    assert number.type == 6
    assert os.readlink("/proc/%d/fd/%d" % (daemon.pid, number.value)) == str(path)
    line = daemon.wait_log("journal")
    assert (line["file"], line["records"], line["epoch"], line["last_stop"]) == (
        str(path), "0", "0", "clean")


SUBSCRIPTIONS = {
    "(.u.sub[`;`];.u `i`L)": lambda i, l: lst(SUB_ALL, lst(i, l)),
    "(.u.sub[`;`];`.u `i`L)": lambda i, l: lst(SUB_ALL, lst(i, l)),
    "(.u.sub[`trade;`];.u `i`L)": lambda i, l: lst(SUB_TRADE, lst(i, l)),
    "(.u.i;.u.L;.u.sub[`;`])": lambda i, l: lst(i, l, SUB_ALL),
    "(.u.L;.u.i;.u.sub[`trade;`])": lambda i, l: lst(l, i, SUB_TRADE),
    "(.u.sub[`;`];.u.i;.u.L)": lambda i, l: lst(SUB_ALL, i, l),
    "(.u.i;.u.sub[`;`];.u.L)": lambda i, l: lst(i, SUB_ALL, l),
}


@pytest.mark.parametrize("after", ["ring", "journal", "sync"])
def test_subscribing_with_the_count(start, connect, folder, after):
    """Protects every order in which clients ask: the reply has the records so far
    and the file's name, its bytes are those of tick.q, and the stream continues
    with the next record."""
    daemon = start(journal.settings(folder, after=after, sync="batch"))
    feed = connect(daemon)
    handle = sym(":%s" % journal.path_now(folder))
    for n, (asked, reply) in enumerate(SUBSCRIPTIONS.items()):
        for turn in range(2):  # the second replaces the first
            sub = connect(daemon) if turn == 0 else sub
            assert sub.sync(asked) == reply(atom("j", 2 * n + turn), handle), asked
            assert feed.update("trade", trade(n)) == NIL
            assert sub.read_frame() == published("trade", trade(n).items)
        sub.expect_silence()


def test_no_journal(start, connect):
    """Protects RDBs of a plant without a log: they are told (::;::), as by
    tick.q, and the names are not defined."""
    daemon = start()
    client = connect(daemon)
    assert client.sync(".u `i`L") == lst(NIL, NIL)
    assert client.sync(journal.JOIN) == lst(SUB_ALL, lst(NIL, NIL))
    for name in (".u.i", ".u.L", ".u.l"):
        assert client.sync(name) == Error(name.encode())
    assert not daemon.logged("journal")


@pytest.mark.parametrize("changes", [
    {"publish": {"after": "journal"}}, {"publish": {"after": "sync"}},
    {"publish": {"after": "sync"}, "journal": {"sync": "none"}}],
    ids=["journal without one", "sync without one", "sync that never is"])
def test_promises_that_cannot_be_kept(tmp_path, folder, changes):
    """Protects from a promise in the configuration that the daemon cannot keep:
    publish.after needs a journal, and "sync" needs one that is synced."""
    if "journal" in changes:
        changes["journal"]["directory"] = str(folder)
    config = daemon_module.write_config(tmp_path / "ringtick.conf", changes)
    done = daemon_module.run("-c", config, timeout=5)
    assert done.returncode == 78
    assert "publish.after" in done.stderr and "journal." in done.stderr


@pytest.mark.parametrize("request_", ["", ".u.d", "nothing"])
def test_any_answer_confirms_what_was_sent_before(start, connect, folder, mode, request_):
    """Protects feeds that send asynchronously and then ask for anything (h"", as
    the Java examples do): when the answer is there, the file has it all."""
    daemon = start(journal.settings(folder, {"engine": {"mode": mode}}))
    feed, block = connect(daemon), update("trade", trade(0, 1000)) * 20
    path = journal.path_now(folder)
    length = len(journal.record("trade", trade(0, 1000)))
    for n in range(1, 30):
        feed.send(block)
        feed.sync(request_)  # an error too is an answer
        assert path.stat().st_size == len(journal.HEADER) + n * 20 * length


# ---- start ----


def stop_all(*clients_and_daemon):
    *clients, daemon = clients_and_daemon
    for one in clients:
        one.close()
    daemon.stop()


def test_restart_goes_on(start, connect, folder, mode):
    """Protects the day from a restart: the file is counted and continued, again
    and again, and its owner may have written rows as tick.q does."""
    wanted = []
    for turn in range(4):
        daemon = start(journal.settings(folder, {"engine": {"mode": mode}}))
        feed, sub = connect(daemon), connect(daemon)
        assert journal.count_and_path(feed) == (
            len(wanted), journal.path_now(folder))
        assert journal.join(sub)[0] == len(wanted)
        for n in range(50):
            assert feed.update("trade", trade(n, 1 + n)) == NIL
            wanted.append(journal.record("trade", trade(n, 1 + n)))
            assert journal.record_of(sub.read_frame()) == wanted[-1]
        stop_all(feed, sub, daemon)
        assert journal.read(journal.path_now(folder)).records == wanted
        line = daemon.wait_log("journal")
        assert (line.number("records"), line["epoch"], line["last_stop"]) == (
            50 * turn, "0", "clean")
        if turn:
            found = daemon.wait_log("journal_recovered")
            assert found.number("records") == 50 * turn


@pytest.mark.parametrize("name,records", [
    ("log_empty", 0), ("log_2_records", 2), ("log_torq_real_2", 2)])
def test_files_of_others(start, connect, folder, name, records):
    """Protects the move from tick.q in the middle of a day: the files of the
    reference vectors, rows and other tables in them, are counted and continued."""
    path = journal.path_now(folder)
    before = journal.vector(name)
    path.write_bytes(before)
    daemon = start(journal.settings(folder))
    feed = connect(daemon)
    assert journal.count_and_path(feed) == (records, path)
    assert feed.update("trade", trade(7)) == NIL
    assert path.read_bytes() == before + journal.record("trade", trade(7))
    assert not daemon.logged("journal_torn")


SMALL = {"name": "t", "columns": ["time timespan", "sym symbol"]}


def test_tail_torn_at_every_byte(start, connect, folder):
    """Protects the start after a crash: whatever part of the last record is
    there, it is moved to FILE.torn.N and logged, and the day continues with all
    whole records."""
    path = journal.path_now(folder)
    first = journal.record("quote", quote(1, 3))
    last = journal.record("t", lst(vec("n", [TIME]), syms("A")))
    for n in range(1, len(last)):
        journal.write(path, first, last[:n])
        daemon = start(journal.settings(folder, {"schema": {"tables": [SMALL]}}))
        line = daemon.wait_log("journal_torn")
        side = path.with_name("%s.torn.%d" % (path.name, n))
        assert line.level == 4 and line["side_file"] == str(side)
        assert (line.number("records"), line.number("cut_bytes")) == (1, n)
        assert line["why"]
        assert side.read_bytes() == last[:n]
        assert path.read_bytes() == journal.HEADER + first
        feed = connect(daemon)
        assert journal.count_and_path(feed) == (1, path)
        assert feed.update("t", lst(vec("n", [TIME]), syms("A"))) == NIL
        assert journal.read(path).records == [first, last]
        stop_all(feed, daemon)


@pytest.mark.parametrize("tail", [bytes(1), bytes(6), bytes(4096), bytes(600000),
                                  bytes(10) + b"\x01" + bytes(100)],
                         ids=["1", "6", "page", "many", "not only zeros"])
def test_zero_tail(start, connect, folder, tail):
    """Protects .u.i from zeros: after a power failure a file can end in zeros,
    which -11! takes for an empty list each 6 bytes; they must not be counted."""
    path = journal.path_now(folder)
    good = journal.record("trade", trade(1, 5))
    journal.write(path, good, tail)
    daemon = start(journal.settings(folder))
    feed = connect(daemon)
    assert journal.count_and_path(feed) == (1, path)
    assert feed.update("trade", trade(2)) == NIL
    assert journal.read(path).records == [good, journal.record("trade", trade(2))]
    assert path.with_name(path.name + ".torn.1").read_bytes() == tail


def test_header_torn_at_every_byte(start, connect, folder):
    """Protects the start after a crash in the first moment of a day: a file with
    less than a header has no record yet, and is begun again."""
    path = journal.path_now(folder)
    for n in range(len(journal.HEADER)):
        path.write_bytes(journal.HEADER[:n])
        daemon = start(journal.settings(folder))
        feed = connect(daemon)
        assert feed.update("trade", trade(n)) == NIL
        assert path.read_bytes() == journal.HEADER + journal.record("trade", trade(n))
        stop_all(feed, daemon)


def refused(tmp_path, folder, status):
    """The one line of a start that is refused; the folder is as it was."""
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        journal.settings(folder))
    done = daemon_module.run("-c", config, timeout=20)
    after = {one.name: one.read_bytes() for one in folder.iterdir()}
    assert after.pop("sym.lock", b"") == b""
    assert done.returncode == status and after == before
    *_, last = done.stderr.strip().splitlines()
    assert "event=ready" not in done.stderr
    return last


DAMAGES = {
    "zeros in the middle": lambda data, at: data[:at] + bytes(20) + data[at + 20:],
    "a sector of zeros": lambda data, at: data[:at] + bytes(512) + data[at + 512:],
    "a byte too many": lambda data, at: data[:at] + b"\0" + data[at:],
    "a byte too few": lambda data, at: data[:at] + data[at + 1 :],
    "a wrong type": lambda data, at: data[:at] + b"\x42" + data[at + 1 :],
    "half a record": lambda data, at: data[:at] + data[at + 50 :],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_in_the_middle(tmp_path, folder, damage):
    """Protects the records after damage: nothing is cut off, the start is refused
    with the record's number, its offset, and what can be done."""
    path = journal.path_now(folder)
    records = [journal.record("trade", trade(n, 4)) for n in range(40)]
    at = len(journal.HEADER) + sum(len(one) for one in records[:7])
    data = journal.HEADER + b"".join(records)
    path.write_bytes(DAMAGES[damage](data, at))
    line = refused(tmp_path, folder, 74)
    assert "record 7 " in line and "byte %d " % at in line and str(path) in line
    assert "ringtick log --verify" in line and "move it away" in line


@pytest.mark.parametrize("content", [
    b"\0", b"hello, I am no journal\n", bytes(4096), journal.HEADER[:5] + b"\1",
    b"\xfe" + journal.HEADER[1:], b"\x1f\x8b" + bytes(100),
    journal.record("trade", trade(1))],
    ids=["1 zero", "text", "zeros", "wrong header", "other magic", "gzip",
         "no header"])
def test_foreign_file(tmp_path, folder, content):
    """Protects a file that is not ours: it is not touched, the start is refused
    and says what to do."""
    path = journal.path_now(folder)
    path.write_bytes(content)
    line = refused(tmp_path, folder, 78)
    assert str(path) in line and "not a kdb+ journal" in line and "move it away" in line


def test_directory_in_place_of_the_file(tmp_path, folder):
    """Protects the operator's time: the error names what is in the way."""
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        journal.settings(folder / "nowhere"))
    done = daemon_module.run("-c", config, timeout=20)
    assert done.returncode == 78 and "No such file or directory" in done.stderr
    assert "journal.directory" in done.stderr and "install -d" in done.stderr
    path = journal.path_now(folder)
    path.mkdir()
    config = daemon_module.write_config(tmp_path / "ringtick.conf",
                                        journal.settings(folder))
    done = daemon_module.run("-c", config, timeout=20)
    assert done.returncode == 78 and str(path) in done.stderr


def test_two_daemons_one_name(start, connect, tmp_path, folder):
    """Protects the files from a second writer, which would destroy them, whatever
    the day of either daemon: the second may be in another zone, the first may
    have ended days early.  Another name in the same folder is free."""
    daemon = start(journal.settings(folder))
    feed = connect(daemon)
    path = journal.path_now(folder)
    hours = int(journal.noon_zone().split(":")[0])
    other = "%+03d:00" % (hours + 13 if hours < 1 else hours - 13)
    assert journal.local_day(other) != journal.local_day(journal.noon_zone())
    for n, zone in enumerate((journal.noon_zone(), other, journal.noon_zone())):
        config = daemon_module.write_config(
            tmp_path / "ringtick.conf",
            journal.settings(folder, {"day": {"zone": zone}}))
        done = daemon_module.run("-c", config, timeout=20)
        assert done.returncode == 1 and str(folder / "sym.lock") in done.stderr
        assert "in use" in done.stderr
        assert feed.update("trade", trade(n)) == NIL
        if n == 1:
            assert feed.sync(".u.endofday[]") == NIL
            assert feed.update("trade", trade(n)) == NIL
    assert journal.read(path).records == [
        journal.record("trade", trade(n)) for n in range(2)]
    start(journal.settings(folder, name="other"))
    stop_all(feed, daemon)
    after = start(journal.settings(folder))
    assert after.wait_log("journal")["last_stop"] == "clean"
    assert after.wait_log("journal")["epoch"] == "0"


def test_large_file_is_counted_quickly(start, connect, folder):
    """Protects a restart in the middle of a busy day: a file of 200 MB of small
    records is walked in well under a second per 100 MB."""
    path = journal.path_now(folder)
    one = journal.record("trade", trade(1))
    records = (200 << 20) // len(one)
    with open(path, "wb") as file:
        file.write(journal.HEADER)
        for _ in range(records // 10000):
            file.write(one * 10000)
    records -= records % 10000
    daemon = start(journal.settings(folder))
    line = daemon.wait_log("journal_recovered")
    print("\n" + line.text)
    assert line.number("records") == records
    assert connect(daemon).sync(".u.i").value == records
    if not daemon.is_sanitized():
        assert daemon.cpu_seconds() < 2
    path.unlink()


# ---- stop and sync ----


@pytest.mark.parametrize("sync", ["none", "interval", "batch"])
def test_stop_drains_to_the_file(start, connect, folder, mode, sync):
    """Protects the last updates before SIGTERM: every record that was accepted is
    in the file, and a subscriber that reads has got the same ones."""
    daemon = start(journal.settings(folder, {
        "engine": {"mode": mode}, "slow": {"policy": "block"}}, sync=sync,
        after="sync" if sync != "none" else "journal"))
    feed, sub = connect(daemon), connect(daemon)
    assert journal.join(sub)[0] == 0
    template = Template(20)
    block = b"".join(template.make(20 * n) for n in range(3000))
    feed.send(block[: len(block) // 2])  # its last message stays torn
    first = [sub.read_frame() for _ in range(50)]
    daemon.signal(signal.SIGTERM)
    got, how = kdb.drain(sub.sock)
    data = b"".join(first) + bytes(sub.reader.buffer[sub.reader.at :]) + got
    daemon.stop()
    accepted = daemon.wait_log("stop").number("in_records")
    records = journal.read(journal.path_now(folder)).records
    assert len(records) == accepted >= 50
    whole = b"".join(published("trade", trade(20 * n, 20).items)
                     for n in range(accepted))
    assert how == "fin" and data == whole
    assert records == [journal.record("trade", trade(20 * n, 20))
                       for n in range(accepted)]
    assert not daemon.logged("stop_cut")


def test_a_stop_that_is_cut_writes_what_was_accepted(start, connect, folder, mode):
    """Protects what was accepted in the last turn before stop.timeout is over,
    while an earlier write was under way: a disk that works loses none of it."""
    for n in range(5):
        own = folder / str(n)
        own.mkdir()
        daemon = start(journal.settings(own, {
            "stop": {"timeout": 0}, "engine": {"mode": mode},
            "connections": {"receive_buffer": "4K"}}))
        feed = connect(daemon)
        daemon.pause()
        feed.send(update("trade", trade(20, 20)) * 60)
        daemon.signal(signal.SIGTERM)
        daemon.resume()
        accepted = daemon.wait_log("stop").number("in_records")
        daemon.stop()
        assert len(journal.read(journal.path_now(own)).records) == accepted


class Pages:
    """The kernel's view of a file's pages: which are not yet on the disk."""

    DIRTY, WRITEBACK = 1 << 4, 1 << 8  # of /proc/kpageflags

    def __init__(self, path):
        self.path = path

    def unsafe(self):
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            pages = mmap.mmap(file.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ)
        try:
            return self._unsafe(pages, -(-size // mmap.PAGESIZE))
        finally:
            pages.close()

    def _unsafe(self, pages, count):
        with open("/proc/self/maps") as rows:
            first = [int(row.split("-")[0], 16) // mmap.PAGESIZE for row in rows
                     if row.rstrip().endswith(str(self.path))][0]
        found = []
        with open("/proc/self/pagemap", "rb", 0) as pagemap, \
                open("/proc/kpageflags", "rb", 0) as flags:
            for n in range(count):
                assert pages[n * mmap.PAGESIZE] is not None  # maps the page
                pagemap.seek((first + n) * 8)
                frame = int.from_bytes(pagemap.read(8), "little") & ((1 << 55) - 1)
                assert frame != 0
                flags.seek(frame * 8)
                if int.from_bytes(flags.read(8), "little") & (
                        self.DIRTY | self.WRITEBACK):
                    found.append(n)
        return found


@pytest.fixture
def pages(folder):
    """Pages of the journal; skipped where the kernel does not tell."""
    probe = folder / "probe"
    with open(probe, "wb") as file:
        file.write(b"x" * 5000)
        file.flush()
        try:
            before = Pages(probe).unsafe()
        except PermissionError:
            pytest.skip("/proc/kpageflags is for root")
        os.fdatasync(file.fileno())
        after = Pages(probe).unsafe()
    probe.unlink()
    if before != [0, 1] or after != []:
        pytest.skip("this file system does not show what is on the disk")
    return Pages(journal.path_now(folder))


@pytest.mark.parametrize("after", ["ring", "sync"])
def test_batch_is_on_disk_when_told(start, connect, folder, pages, mode, after):
    """Protects from a power failure: with journal.sync = batch, an update that was
    answered is on the disk; with publish.after = sync, one that was seen is too."""
    daemon = start(journal.settings(folder, {"engine": {"mode": mode}}, sync="batch",
                                    after=after))
    feed, sub = connect(daemon), connect(daemon)
    journal.join(sub)
    for n in range(60):
        if after == "sync" and n % 2:
            feed.send(update("trade", trade(n)))
            sub.read_frame()
        else:
            assert feed.update("trade", trade(n, 1 + 10 * n)) == NIL
            assert pages.unsafe() == [], n
            sub.read_frame()
        assert pages.unsafe() == [], n
    assert len(journal.read(pages.path)) == 60


def test_interval_is_on_disk_in_time(start, connect, folder, pages):
    """Protects journal.sync = interval: what was written is on the disk when the
    interval is over, and not before; a stop does not leave it to the kernel.  And
    "none" leaves it: else this test would see nothing."""
    daemon = start(journal.settings(folder, sync="none"))
    feed = connect(daemon)
    feed.update("trade", trade(1))
    assert pages.unsafe() == [0]
    stop_all(feed, daemon)
    daemon = start(journal.settings(folder, sync="interval", sync_interval="60ms"))
    feed = connect(daemon)
    began = time.monotonic()
    for n in range(20):
        assert feed.update("trade", trade(n)) == NIL
        while pages.unsafe():
            assert time.monotonic() - began < 60
    assert time.monotonic() - began > 18 * 0.060
    stop_all(feed, daemon)
    daemon = start(journal.settings(folder, sync="interval", sync_interval="1h"))
    feed = connect(daemon)
    feed.update("trade", trade(1))
    while pages.unsafe():  # the first interval is over at once
        assert time.monotonic() - began < 60
    assert feed.update("trade", trade(2)) == NIL
    assert pages.unsafe() == [0]
    stop_all(feed, daemon)
    assert pages.unsafe() == []
