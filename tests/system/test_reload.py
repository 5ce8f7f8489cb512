"""The configuration, read again while the daemon runs: by SIGHUP and by
.ringtick.reload[]."""

import os
import signal
import subprocess
import threading

import journal
import kdb
import pytest
from daemon import QUOTE, TRADE, find_ringtickd, merged, write_config
from kdb import NIL, Error
from login import until
from test_listen import dial
from test_proxy import header, talk
from test_users import children, slow_login, users  # noqa: F401  fixtures
from traffic import Flood, Template, published, quote, trade

ACCESS = Error(b"access")


def settings(mode="direct", **auth):
    return {"engine": {"mode": mode}, "schema": {"tables": [TRADE, QUOTE]},
            "auth": {"roles": [{"role": "feed", "publish": "*"},
                               {"role": "rdb", "subscribe": "*"},
                               {"role": "trades", "subscribe": "trade"}],
                     "rights": [{"user": "boss", "roles": "admin"},
                                {"user": "feed", "roles": "feed"},
                                {"user": "rdb", "roles": "rdb"}], **auth}}


def rewrite(daemon, changes):
    """Writes another configuration in the place of the running one."""
    write_config(daemon.config, changes)


def reload(daemon, changes, **wanted):
    """Has it read; returns the log's line."""
    rewrite(daemon, changes)
    mark = daemon.mark()
    daemon.signal(signal.SIGHUP)
    line = daemon.wait_log("reload", after=mark)
    for name, value in wanted.items():
        assert line[name] == value, line.text
    return line


def test_rights_change_under_load(start, connect, mode):
    """Protects everybody else while an operator changes rights: nobody is cut off,
    nothing is lost; who has lost a right is refused, who has lost what it reads is cut
    off with a reason."""
    daemon = start(settings(mode))
    feed, rdb, both = (connect(daemon, user=one) for one in ("feed", "rdb", "both"))
    rdb.subscribe("trade")
    late = connect(daemon, user="late")
    late.subscribe()
    assert feed.update("trade", trade(0, 1)) == NIL
    for one in (rdb, late):
        assert one.read_frame() == published("trade", trade(0, 1).items)
    reload(daemon, settings(mode, role="none"), result="ok")
    daemon.wait_log("disconnect", user="late", reason="rights")
    assert both.update("trade", trade(1, 1)) == ACCESS
    assert feed.update("trade", trade(1, 1)) == NIL
    assert rdb.read_frame() == published("trade", trade(1, 1).items)
    changed = settings(mode, rights=[
        {"user": "feed", "roles": "feed"}, {"user": "rdb", "roles": "trades"},
        {"user": "both", "publish": "quote", "policy": "skip"}])
    reload(daemon, changed, result="ok", users="3")
    assert rdb.sync(".u.sub[`quote;`]") == ACCESS
    assert both.update("quote", quote(1, 1)) == NIL
    assert both.update("trade", trade(1, 1)) == ACCESS
    assert feed.update("trade", trade(2, 1)) == NIL
    assert rdb.read_frame() == published("trade", trade(2, 1).items)
    template = Template(1)
    flood = Flood(feed, template, first=3, limit=3000)
    for turn in range(5):
        reload(daemon, settings(mode) if turn % 2 else changed, result="ok")
    flood.finish()
    for n in range(3, 3000):
        assert rdb.read_frame() == published("trade", trade(n, 1).items)
    assert "disconnect" not in [line.get("event") for line in
                                daemon.logged("disconnect", user="rdb")]


BROKEN = {
    "value": ({"slow": {"policy": "maybe"}}, "maybe"),
    "rule": ({"slow": {"leave_percent": 15, "return_percent": 10},
              "ring": {"size": "4M"}}, "message.max"),
    "role": ({"auth": {"role": "x"}}, "is not a role"),
    "schema": ({"schema": {"tables": [TRADE]}}, "schema has changed"),
}


@pytest.mark.parametrize("name", ["value", "rule", "role", "schema", "missing", "syntax"])
def test_whole_or_not_at_all(start, connect, name):
    """Protects the running daemon from a broken file: it keeps all it has, the log says
    what is wrong, and so does the answer to .ringtick.reload[]."""
    daemon = start(settings())
    boss, other = connect(daemon, user="boss"), connect(daemon, user="other")
    good = daemon.config.read_text()
    for turn in range(2):
        if name == "syntax":
            daemon.config.write_text(good + "\nauth = {")
        elif name == "missing":
            daemon.config.unlink(missing_ok=True)
        else:
            rewrite(daemon, merged(settings(role="none"), BROKEN[name][0]))
        mark = daemon.mark()
        if turn == 0:
            daemon.signal(signal.SIGHUP)
        else:
            assert isinstance(boss.sync(".ringtick.reload[]"), Error)
        line = daemon.wait_log("reload", after=mark)
        assert line["result"] == "failed" and line.level == 3
        if name in BROKEN:
            assert BROKEN[name][1] in line["error"]
        assert other.update("trade", trade(turn, 1)) == NIL
    daemon.config.write_text(good)
    assert boss.sync(".ringtick.reload[]") == NIL


def test_what_needs_a_restart_is_named(start):
    """Protects the operator who changes what cannot change: it is named, with the value
    that is kept; the rest takes effect."""
    daemon = start(merged(settings(), {"ring": {"size": "1M"}, "log": {"report": "10s"}}))
    changed = merged(settings(), {"ring": {"size": "2M"}, "log": {"report": "100ms"},
                                  "journal": {"name": "other"}})
    mark = daemon.mark()
    reload(daemon, changed, result="ok")
    kept = {line["running"] for line in daemon.logged("reload_kept", after=mark)}
    assert kept == {"ring.size=1M", 'journal.name=\\"sym\\"'}
    daemon.wait_log("report", after=daemon.mark(), timeout=5)


def test_what_changes_is_not_kept(start, users):  # noqa: F811
    """Protects the operator from a list that is not true: none of the settings that the
    documentation calls changeable is named as kept."""
    daemon = start(settings(users=str(users)))
    others = users.rename(users.with_name("others"))
    mark = daemon.mark()
    reload(daemon, merged(settings(users=str(others), certificate=True, role="none"), {
        "listen": {"networks": ["127.0.0.0/8"], "roles": ["admin"]},
        "slow": {"policy": "block", "leave_percent": 60, "return_percent": 40,
                 "block_limit": "4s", "spill_limit": "1h"},
        "log": {"report": "5s", "report_consumers": 3}, "message": {"timeout": "9s"},
        "stop": {"timeout": "4s"},
        "connections": {"handshake_timeout": "4s", "per_address": 9,
                        "tcp_user_timeout": "9s"}}), result="ok")
    assert daemon.logged("reload_kept", after=mark) == []


def test_marks_of_slow_consumers_change(start, connect):
    """Protects the feeds' ring from who was let lag before the marks were lowered."""
    base = merged(settings(), {"message": {"max": "64K"}, "slow": {"policy": "disconnect"},
                               "streams": {"max": 0},
                               "connections": {"send_buffer": "16K"}})
    daemon = start(base)
    feed, rdb = connect(daemon, user="feed"), connect(daemon, user="rdb", receive_buffer=4096)
    rdb.subscribe()
    row = trade(0, 1000)
    for _ in range(14):  # 30 KB each
        assert feed.update("trade", row) == NIL
    reload(daemon, base, result="ok")
    assert not daemon.logged("disconnect")
    reload(daemon, merged(base, {"slow": {"leave_percent": 10, "return_percent": 5}}),
           result="ok")
    daemon.wait_log("disconnect", user="rdb", reason="slow")


def test_who_may_reload(start, connect):
    """Protects the configuration: administrators only; many at once get one answer
    each, also if they go meanwhile."""
    daemon = start(settings())
    boss, feed = connect(daemon, user="boss"), connect(daemon, user="feed")
    assert feed.sync(".ringtick.reload[]") == ACCESS
    assert boss.sync(".ringtick.reload[]") == NIL
    many = [connect(daemon, user="boss") for _ in range(20)]
    for one in many:
        one.send(kdb.frame(".ringtick.reload[]", kdb.SYNC))
    many[3].close()
    for one in many[4:]:
        assert kdb.decode(one.read_response()[kdb.HEADER:]) == NIL
    boss.async_(".ringtick.reload[]")
    for _ in range(200):
        daemon.signal(signal.SIGHUP)
    assert boss.sync(".ringtick.reload[]") == NIL


def test_networks_and_roles_of_listeners(start, connect):
    """Protects doors that are closed while the daemon runs: for new connections."""
    base = settings()
    daemon = start(base)
    here = connect(daemon, user="feed")
    reload(daemon, merged(base, {"listen": {"networks": ["10.0.0.0/8"]}}), result="ok")
    with pytest.raises(kdb.Closed):
        connect(daemon, user="feed")
    daemon.wait_log("disconnect", reason="network")
    assert here.update("trade", trade(0, 1)) == NIL
    reload(daemon, merged(base, {"listen": {"roles": ["admin"]}}), result="ok")
    with pytest.raises(kdb.Closed):
        connect(daemon, user="feed")
    assert connect(daemon, user="boss").sync("") == NIL
    reload(daemon, base, result="ok")
    assert connect(daemon, user="feed").sync("") == NIL


def test_doors_of_a_listener_that_is_not_in_the_file(start):
    """Protects a port that waits for a restart to go: its networks and roles stay, also
    if the roles have other numbers now; a listener that has moved in the list has its
    own."""
    def base(*listens, roles="ab"):
        return merged(settings(roles=[{"role": one, "ask": True} for one in roles],
                               rights=[{"user": one, "roles": one} for one in roles]),
                      {"listen": list(listens)})
    closed = {"port": 0, "networks": ["10.0.0.0/8"]}
    chosen = {"address": "127.0.0.2", "port": 0, "roles": ["a"]}
    daemon = start(base(closed, chosen))
    first, second = (line.number("port") for line in daemon.logged("listening"))

    def is_let_in(user, port, host):
        return dial(port, host, user) == b"\x03"

    def doors():
        return [is_let_in("a", first, "127.0.0.1"),
                is_let_in("a", second, "127.0.0.2"), is_let_in("b", second, "127.0.0.2")]
    assert doors() == [False, True, False]
    moved = {"address": "127.0.0.3", "port": 0}
    for listens, wanted in (((moved, {**chosen, "unix_mode": "0600"}), [False, True, False]),
                            ((moved,), [False, True, False]),
                            (({**chosen, "roles": ["b"]}, closed), [False, False, True]),
                            ((closed, chosen), [False, True, False])):
        for roles in ("ba", "ab", "xab"):
            reload(daemon, base(*listens, roles=roles), result="ok")
            assert doors() == wanted, (listens, roles)


@pytest.mark.parametrize("which", ["configuration", "schema"])
def test_what_is_no_file(start, connect, which):
    """Protects later reloads, and logins, from a name at which the reader would wait for
    ever: it is refused."""
    daemon = start(settings())
    boss = connect(daemon, user="boss")
    fifo = daemon.config.with_name("fifo")
    os.mkfifo(fifo)
    if which == "schema":
        write_config(daemon.config, {**settings(), "schema": {"file": str(fifo)}}, base={})
    else:
        fifo.rename(daemon.config)
    answer = boss.sync(".ringtick.reload[]")
    assert isinstance(answer, Error) and b"not a file" in answer.text


def test_answer_of_another_reload(start, connect, users, slow_login,  # noqa: F811
                                  tmp_path):
    """Protects an administrator whose reload took longer than message.timeout: he is
    told so, and the next one reads the files again."""
    fifo = tmp_path / "fifo"
    slow_login(fifo=fifo)
    base = merged(settings(users=str(users)), {"message": {"timeout": "500ms"}})
    daemon = start(base)
    boss, feed = connect(daemon, user="boss"), connect(daemon, user="feed")
    os.mkfifo(fifo)
    assert boss.sync(".ringtick.reload[]") == Error(b"reload")
    mark = daemon.mark()
    fifo.write_text("")
    daemon.wait_log("reload", after=mark, result="ok")
    fifo.unlink()
    rewrite(daemon, merged(base, {"auth": {"rights": [{"user": "boss", "roles": "admin"}],
                                           "role": "none"}}))
    assert boss.sync(".ringtick.reload[]") == NIL
    assert feed.update("trade", trade(0, 1)) == ACCESS


def test_strangers_stay_out(start, tmp_path):
    """Protects from a reload that opens the doors: without passwords or certificates
    nobody may come from elsewhere, now as at a start; what runs goes on."""
    users = tmp_path / "users"
    users.write_text("boss:b\n")
    users.chmod(0o600)
    for listen, auth in (({"address": "0.0.0.0"}, {"users": str(users)}),
                         ({"proxy": True}, {"certificate": True})):
        daemon = start({"listen": listen, "auth": auth})
        for opened in ({}, {"open": True}):
            line = reload(daemon, {"listen": listen, "auth": opened}, result="failed")
            assert "auth.users" in line["error"]
        reload(daemon, {"listen": listen, "auth": auth}, result="ok")


def test_no_certificates_by_a_reload(start, tmp_path):
    """Protects the daemon, and what runs, from a reload that would believe certificates
    where other machines can claim any; what was started for it ends."""
    users = tmp_path / "users"
    users.write_text("boss:b\n")
    users.chmod(0o600)
    changes = {"listen": {"address": "0.0.0.0", "proxy": True}, "auth": {"users": str(users)}}
    daemon = start(changes)
    before = children(daemon)
    line = reload(daemon, merged(changes, {"auth": {"certificate": True}}), result="failed")
    assert "any certificate" in line["error"]
    until(lambda: children(daemon) == before, "the other ringtick-login to end")
    sock, reply = talk(daemon, header(), b"boss:b\x03\0")
    assert reply == b"\x03"
    sock.close()
    reload(daemon, changes, result="ok")
