"""Rights: what each user may publish, subscribe to, ask, and end."""

import signal

import journal
import kdb
import pytest
from daemon import QUOTE, TRADE, Raw, run, write_config
from filters import filtered
from kdb import NIL, Error, lst, sym, syms, vec
from late import rejoin
from traffic import published, quote, trade

ACCESS = Error(b"access")
ROLES = [
    {"role": "feed", "publish": ["trade"]},
    {"role": "rdb", "subscribe": "*", "past": True},
    {"role": "desk", "subscribe": [
        "quote", {"table": "trade", "symbols": ["IBM", "MSFT"]}]},
    {"role": "ops", "ask": True, "administer": True},
]
RIGHTS = [
    {"user": "feed", "roles": ["feed"]},
    {"user": "rdb", "roles": ["rdb"]},
    {"user": "desk", "roles": "desk"},
    {"user": "ops", "roles": "ops"},
    {"user": "both", "roles": ["desk", "feed"], "subscribe": [
        {"table": "trade", "symbols": ["AAPL"]}]},
    {"user": "plain", "policy": "skip"},
    {"user": "nobody", "roles": "none"},
]


@pytest.fixture
def plant(start, connect, folder, mode):
    """A daemon with these rights, and a client of each user."""
    daemon = start(journal.settings(folder, {
        "engine": {"mode": mode}, "schema": {"tables": [TRADE, QUOTE]},
        "streams": {"max": 16}, "auth": {"roles": ROLES, "rights": RIGHTS}}))
    return daemon, lambda user: connect(daemon, user=user)


def rows_of(*symbols):
    """Columns of trade."""
    n = len(symbols)
    return lst(vec("n", range(n)), syms(*symbols), vec("f", [1.5] * n), vec("j", range(n)))


def test_who_may_publish(plant):
    """Protects each table from who may not publish it, in every spelling, also after
    others' updates of the same form."""
    daemon, user = plant
    feed, rdb, nobody = user("feed"), user("rdb"), user("nobody")
    assert rdb.subscribe() != ACCESS
    for turn in range(3):
        assert feed.update("trade", trade(turn, 1)) == NIL
        assert rdb.read_frame() == published("trade", trade(turn, 1).items)
        assert feed.update("quote", quote(turn, 1)) == ACCESS
        assert nobody.update("trade", trade(turn, 1)) == ACCESS
        # without an answer: the quick way, whose template was learned just now
        feed.async_(lst(sym(".u.upd"), sym("trade"), trade(turn, 1)))
        assert rdb.read_frame() == published("trade", trade(turn, 1).items)
        nobody.async_(lst(sym(".u.upd"), sym("trade"), trade(turn, 1)))
        rdb.async_(lst(sym("upd"), sym("trade"), trade(turn, 1)))
        assert nobody.sync(lst(sym("upd"), sym("trade"), trade(turn, 1))) == ACCESS
        assert rdb.sync("") == NIL
    rdb.expect_silence()
    line = daemon.wait_log("rejected", user="nobody")
    assert "access" in line.text and "trade" in line.text
    assert daemon.summary().number("refused") == 3 * 5


def test_who_may_subscribe(plant):
    """Protects tables from who may not see them: they are not listed, not sent by
    .u.sub of all, and refused by name."""
    daemon, user = plant
    feed, rdb, desk, nobody = (user(one) for one in ("feed", "rdb", "desk", "nobody"))
    assert rdb.sync("tables[]") == kdb.Symbols((b"quote", b"trade"), attr=1)
    assert desk.sync("tables[]") == rdb.sync(".u.t")
    assert feed.sync("tables[]") == syms("trade")
    assert nobody.sync("tables[]") == syms() == nobody.sync(".u.t")
    assert feed.sync("quote") == Error(b"quote")
    assert desk.sync("quote") == rdb.sync("quote")
    for one in (feed, nobody):
        assert one.sync(".u.sub[`trade;`]") == ACCESS
        assert one.sync(".u.sub[`;`]") == ACCESS
        assert one.sync(".u.add[`trade;`IBM]") == ACCESS
        mark = daemon.mark()
        assert one.sync(".[.u.sub;(`trade;`);`no]") == sym("no")
        daemon.wait_log("request_failed", after=mark, error="access",
                        user="feed" if one is feed else "nobody")
        one.async_(".u.sub[`trade;`]")
    assert user("plain").update("trade", trade(0, 1)) == NIL
    for one in (feed, nobody):
        assert one.sync("") == NIL
        one.expect_silence()
    assert daemon.wait_log("request_failed", user="nobody")["error"] == "access"
    mark = daemon.mark()
    assert nobody.sync(".[.u.upd;(`trade;1);{x}]") == kdb.Vector(10, b"access")
    daemon.wait_log("request_failed", after=mark, user="nobody", error="access")


def test_only_some_symbols(plant):
    """Protects rows from who may have those of some symbols only, whatever is asked
    for: nothing, some, other ones, more by and by."""
    daemon, user = plant
    feed = user("plain")
    asked = {"`": ("IBM", "MSFT"), "`IBM": ("IBM",), "`IBM`AAPL": ("IBM",),
             "`AAPL": (), "``MSFT": ("MSFT",)}
    subs = []
    for text, wanted in asked.items():
        one = user("desk")
        assert one.sync(".u.sub[`trade;%s]" % text).items[0] == sym("trade")
        subs.append((one, wanted))
    one = user("desk")
    one.sync(".u.sub[`;`]")
    subs.append((one, ("IBM", "MSFT")))
    one = user("desk")
    one.sync(".u.sub[`trade;`IBM]")
    one.sync(".u.add[`trade;`MSFT`AAPL]")
    subs.append((one, ("IBM", "MSFT")))
    one = user("both")
    one.sync(".u.sub[`trade;`]")
    subs.append((one, ("AAPL", "IBM", "MSFT")))
    rows = rows_of("IBM", "AAPL", "MSFT", "", "IBM")
    assert feed.update("trade", rows) == NIL
    for one, wanted in subs:
        expected = filtered("trade", rows, wanted)
        if expected is not None:
            assert one.read_frame() == expected, wanted
        assert one.sync("") == NIL
        one.expect_silence()


def test_who_may_ask(plant):
    """Protects the past, the others' figures and the end of the day."""
    daemon, user = plant
    clients = {one: user(one) for one in ("feed", "rdb", "desk", "ops", "plain", "nobody")}
    asked = {
        ".ringtick.lag[]": {"ops", "plain"},
        ".u.w": {"ops", "plain"},
        ".z.W": {"ops", "plain"},
        ".ringtick.subfrom[`quote;`;0]": {"rdb", "plain"},
        ".ringtick.rejoin[`quote;`;(0;.u.d;0;0)]": {"rdb", "plain"},
        "(.u.sub[`quote;`];.u `i`L)": {"rdb", "desk", "plain"},
        ".u.endofday[]": {"ops", "plain"},
    }
    for text in (".u.i", ".u.j", ".u.L", ".u.l", ".ringtick.epoch", ".u `i`L"):
        refused = {name for name, one in clients.items() if one.sync(text) == ACCESS}
        assert refused == {"feed", "nobody"}, text
    clients["feed"], clients["nobody"] = user("feed"), user("nobody")
    for text, may in asked.items():
        for name, one in clients.items():
            mark = daemon.mark()
            reply = one.sync(text)
            while isinstance(reply, bytes):  # an end of day
                reply = one.sync(text)
            if text == ".u.endofday[]" and name in may:
                assert reply in (NIL, Error(b"ahead"))
                continue
            if name in may:
                assert reply != ACCESS, (text, name)
            else:
                assert reply == ACCESS, (text, name)
                daemon.wait_log("request_failed", after=mark, user=name, error="access")


def shown(tmp_path, changes):
    """The lines of --rights; the last one is of everybody else."""
    path = write_config(tmp_path / "shown.conf", changes)
    done = run("-c", path, "--rights")
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.endswith(" # everybody else\n")
    return done.stdout.splitlines()


SHOWN = r"""
{ user = "plain"; roles = ( "desk" ); publish = ( ); subscribe = ( "quote", { table = "trade"; symbols = ( "A\"\\\x01", "B" ); } ); ask = false; past = false; administer = false; policy = "skip"; spill_limit = "1500ms"; requests = 9; }
{ user = "x\"y"; publish = ( "trade" ); subscribe = ( { table = "trade"; symbols = ( "C" ); } ); ask = false; past = true; administer = false; policy = "skip"; spill_limit = "1500ms"; }
{ user = "zed"; roles = ( "feed", "desk" ); publish = "*"; subscribe = ( "quote", { table = "trade"; symbols = ( "A\"\\\x01", "B" ); } ); ask = false; past = false; administer = true; policy = "block"; spill_limit = "90s"; connections = 20; requests = 9; }
{ role = "desk"; publish = ( ); subscribe = ( "quote", { table = "trade"; symbols = ( "A\"\\\x01", "B" ); } ); ask = false; past = false; administer = false; policy = "skip"; spill_limit = "1500ms"; requests = 9; } # everybody else
"""


def test_rights_are_shown(tmp_path):
    """Protects the operator's look: all that each user may do is printed, and means
    the same when it is written so."""
    slow = {"policy": "skip", "spill_limit": "1500ms"}
    desk = [{"table": "trade", "symbols": ["B", 'A"\\\x01']}, "quote"]
    rows = shown(tmp_path, {"slow": slow, "auth": {
        "role": "desk",
        "roles": [{"role": "feed", "publish": "*"},
                  {"role": "desk", "requests": 9, "subscribe": desk}],
        "rights": [{"user": "zed", "roles": ["feed", "desk"], "connections": 20,
                    "policy": "block", "spill_limit": "90s", "administer": True},
                   {"user": 'x"y', "publish": "trade", "past": True,
                    "subscribe": [{"table": "trade", "symbols": ["C"]}]},
                   {"user": "plain"}]}})
    assert rows == SHOWN.strip().splitlines()
    again = shown(tmp_path, {"slow": slow, "auth": {
        "roles": [{"role": "feed"}, {"role": "desk"}],
        "rights": Raw("( %s )" % ", ".join(rows[:-1]))}})
    assert again[:-1] == rows[:-1]
    assert " administer = true;" in shown(tmp_path, {})[-1]
    assert " administer = false;" in shown(tmp_path, {"auth": {"users": "none"}})[-1]


def test_rejoin_after_other_rights(start, connect, folder):
    """Protects from losses without a word: who counts the messages of some symbols, or
    tables, cannot continue when its user may have others; who may have the same can, also
    over a restart."""
    def with_rights(symbols, tables):
        return journal.settings(folder, {"auth": {"role": "admin", "rights": [
            {"user": "desk", "past": True, "subscribe": [
                {"table": "trade", "symbols": symbols}]},
            {"user": "tables", "past": True, "subscribe": tables},
            {"user": "all", "past": True, "subscribe": "*", "ask": True}]}})

    def epochs(to):
        return {one: connect(to, user=one).sync(".ringtick.epoch").value
                for one in ("desk", "tables", "all")}

    daemon = start(with_rights(["IBM", "MSFT"], ["trade"]))
    feed = connect(daemon, user="feed")
    for n in range(3):
        assert feed.update("trade", rows_of("IBM", "MSFT")) == NIL
    day, before = feed.sync(".u.d").value, epochs(daemon)
    assert before["all"] < 2**31 and len(set(before.values())) == 3
    daemon.stop()
    daemon = start(with_rights(["IBM", "MSFT"], ["trade"]))
    assert epochs(daemon) == before
    for user, epoch in before.items():
        one = connect(daemon, user=user)
        assert isinstance(rejoin(one, (epoch, day, 0, 2), sym("")), kdb.List), user
        assert one.read_frame()
    write_config(daemon.config, with_rights(["IBM"], ["trade", "quote"]))
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("reload", result="ok")
    for user, epoch in before.items():
        one = connect(daemon, user=user)
        reply = rejoin(one, (epoch, day, 0, 2), sym(""))
        assert (reply == Error(b"schema")) == (user != "all"), user
        if user == "all":
            continue
        # of nothing another selection is the same
        assert isinstance(rejoin(one, (epoch, day, 3, 0), sym("")), kdb.List), user
        assert one.sync(".ringtick.epoch").value != epoch
