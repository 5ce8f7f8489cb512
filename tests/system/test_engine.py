"""engine.mode and engine.spin: what "auto" comes to, and what rest costs."""

import os
import threading

import pytest
from traffic import published, trade, update

CPUS = sorted(os.sched_getaffinity(0))


def on(cpus):
    """For preexec: the daemon may run on these only."""
    return lambda: os.sched_setaffinity(0, cpus)


def sqpoll_thread(daemon):
    """CPUs that the kernel's thread may run on; None if there is no such thread."""
    for task in os.listdir("/proc/%d/task" % daemon.pid):
        with open("/proc/%d/task/%s/status" % (daemon.pid, task)) as file:
            status = dict(row.split(":", 1) for row in file)
        if status["Name"].strip().startswith("iou-sqp"):
            return status["Cpus_allowed_list"].strip()
    return None


def the_line(daemon):
    """event=engine: it is there once, and no warning beside it."""
    daemon.wait_log("ready")
    line, = daemon.logged("engine")
    assert daemon.wait_log("selftest")["mode"] == line["mode"]
    assert [one for one in daemon.lines if one.level < 5] == (
        [line] if line.level < 5 else [])
    return line


def test_few_cpus_mean_direct(start):
    """Protects small machines: by default no thread takes a core from the
    clients that it waits for; the log says so, and that nothing is wrong."""
    daemon = start(preexec=on(CPUS[:2]))
    line = the_line(daemon)
    assert line["mode"] == "direct" and line["asked"] == "auto"
    assert line["spin_us"] == "0" and line.level == 6
    assert line.number("cpus") == len(CPUS[:2])
    assert line["reason"] == ("few_cpus" if len(CPUS) > 1 else "shared_cpu")
    assert sqpoll_thread(daemon) is None


def test_enough_cpus_mean_sqpoll(start):
    """Protects large machines: by default there are no system calls, both
    threads look for work equally long."""
    daemon = start({"engine": {"sq_idle": "30ms"}})
    line = the_line(daemon)
    assert line.number("cpus") == len(CPUS)
    if line["reason"] != "enough_cpus":
        assert line["mode"] == "direct"
        pytest.skip("not here: " + line["reason"])
    assert line["mode"] == "sqpoll" and line["spin_us"] == "30000"
    assert sqpoll_thread(daemon)


@pytest.mark.parametrize("cpus", [1, 2])
def test_sqpoll_that_cannot_help(start, connect, cpus):
    """Protects operators who set sqpoll on a machine with too few CPUs: the daemon
    obeys, does not spin, and warns once in the log, with a hint."""
    if len(CPUS) < cpus:
        pytest.skip("one CPU")
    daemon = start({"engine": {"mode": "sqpoll"}}, preexec=on(CPUS[:cpus]))
    line = the_line(daemon)
    assert line["mode"] == "sqpoll" and line["spin_us"] == "0"
    assert line["reason"] == ("few_cpus" if cpus > 1 else "shared_cpu")
    assert line.level == 4 and "engine.mode" in line["hint"]
    assert sqpoll_thread(daemon)
    feed, sub = connect(daemon), connect(daemon)
    sub.subscribe()
    feed.send(update("trade", trade(1)))
    assert sub.read_frame() == published("trade", trade(1).items)
    daemon.summary()
    assert the_line(daemon) is line


def test_both_threads_on_one_cpu(start):
    """Protects against a slip of the pen: two equal numbers."""
    daemon = start({"engine": {"mode": "sqpoll", "cpu": CPUS[0], "sq_cpu": CPUS[0]}})
    line = the_line(daemon)
    assert line["reason"] == "shared_cpu" and line.level == 4


@pytest.mark.skipif(len(CPUS) < 2, reason="one CPU")
@pytest.mark.parametrize("sq_cpu", [-1, 1])
def test_each_thread_is_pinned_by_its_own_setting(start, sq_cpu):
    """Protects engine.cpu: it moves the application thread, and the kernel's
    thread is not dragged onto the same CPU."""
    daemon = start({"engine": {"mode": "sqpoll", "cpu": CPUS[0],
                               "sq_cpu": CPUS[sq_cpu] if sq_cpu >= 0 else -1}},
                   preexec=on(CPUS[:2]))
    assert os.sched_getaffinity(daemon.pid) == {CPUS[0]}
    allowed = sqpoll_thread(daemon)
    if sq_cpu >= 0:
        assert allowed == str(CPUS[1])
    else:
        assert allowed in ("%d-%d" % tuple(CPUS[:2]), "%d,%d" % tuple(CPUS[:2]))


@pytest.mark.parametrize("engine", [
    {"mode": "direct"}, {"mode": "sqpoll"}, {"mode": "direct", "spin": "20ms"},
    {"mode": "sqpoll", "spin": "20ms"}, {}],
    ids=["direct", "sqpoll", "direct-spin", "sqpoll-spin", "auto"])
def test_idle_costs_nothing(start, connect, engine):
    """Protects laptops and shared machines: an idle daemon with clients sleeps,
    SQPOLL's thread after engine.sq_idle, and one that spins too: what wakes it
    each second for its timers is no reason to look for work again."""
    daemon = start({"engine": {"sq_idle": "20ms", **engine}, "log": {"report": "1s"}})
    clients = [connect(daemon) for _ in range(8)]
    for one in clients:
        one.subscribe()
    clients[0].send(update("trade", trade(1)))
    for one in clients:
        assert one.read_frame() == published("trade", trade(1).items)
    threading.Event().wait(0.2)  # ten times the idle time: nothing tells its end
    spent = daemon.cpu_seconds()
    threading.Event().wait(3)
    spent = daemon.cpu_seconds() - spent
    assert spent <= 0.03, "%.2f s of CPU in 3 idle seconds" % spent
