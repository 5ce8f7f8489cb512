"""`ringtick passwd`, through a pipe and on a terminal."""

import os
import pty
import select
import signal
import subprocess
import termios

import pytest
from login import YES, Login
from test_tools import find_ringtick


def run(*arguments, given="secret\n"):
    return subprocess.run([find_ringtick(), "passwd", *arguments], input=given,
                          capture_output=True, text=True)


def test_line_of_a_pipe(tmp_path):
    """Protects scripts: one line of standard input makes one line that opens the
    door, another one each time, and nothing is asked for."""
    path = tmp_path / "users"
    lines = {}
    for user, password, given in (("a", "secret", "secret\nmore\n"),
                                  ("b c", "secret", "secret"),
                                  ("d", "x:y $1$ z", "x:y $1$ z\n"),
                                  ("e", "p" * 511, "p" * 511 + "\n")):
        done = run(user, "--cost", "1", given=given)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert done.stdout.startswith(user + ":$y$j75$")
        assert done.stdout.endswith("\n") and done.stdout.count("\n") == 1
        lines[user, password] = done.stdout
    assert run("a").stdout.startswith("a:$y$j9T$")
    assert lines["a", "secret"][2:] != lines["b c", "secret"][4:]
    path.write_text("".join(lines.values()))
    path.chmod(0o600)
    one = Login("--users", path)
    for user, password in lines:
        assert one.ask(user.encode(), password.encode()) == YES, user
    assert one.close() == 0


@pytest.mark.parametrize("arguments,given,word", [
    (["a"], "", "standard input has no line"),
    (["a"], "\n", "the password is empty"),
    (["a"], "x" * 512 + "\n", "longer than 511 bytes"),
    (["a"], "x" * 5000 + "\n", "longer than 511 bytes"),
    (["a"], "x\r\n", "carriage return"),
    (["a"], "x\ty\n", "control character"),
    (["a"], " x\n", "begins or ends with a space"),
    ([""], "x\n", "the name is empty"),
    (["a:b"], "x\n", "the name has a colon"),
    (["#a"], "x\n", "the name begins with '#'"),
    (["x" * 128], "x\n", "longer than 127 bytes"),
    ([], "x\n", "give one NAME"),
    (["a", "b"], "x\n", "give one NAME"),
    (["a", "--cost", "10"], "x\n", "from 1 to 9"),
    (["a", "--cost", "0"], "x\n", "from 1 to 9"),
])
def test_refusals(arguments, given, word):
    """Protects against a line that the file would refuse, or that would let
    somebody else in: a sentence, status 2, and no line."""
    done = run(*arguments, given=given)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr


class Terminal:
    """`ringtick passwd a` on a terminal of its own."""

    def __init__(self, *arguments):
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.shown = b""

        def take():
            os.setsid()
            os.open(os.ttyname(theirs), os.O_RDWR)  # it controls the session now
        self.process = subprocess.Popen(
            [find_ringtick(), "passwd", *arguments], stdin=theirs, stderr=theirs,
            stdout=subprocess.PIPE, preexec_fn=take)

    def wait(self, words):
        while words not in self.shown:
            ready, _, _ = select.select([self.ours], [], [], 30)
            assert ready, self.shown
            self.shown += os.read(self.ours, 4096)
        self.shown = self.shown.split(words, 1)[1]

    def type(self, text):
        os.write(self.ours, text)

    def end(self):
        """(status, output, what else was shown); the terminal is as before."""
        out, _ = self.process.communicate(timeout=30)
        assert termios.tcgetattr(self.theirs) == self.before
        while select.select([self.ours], [], [], 0)[0]:
            self.shown += os.read(self.ours, 4096)
        os.close(self.ours)
        os.close(self.theirs)
        return self.process.returncode, out.decode(), self.shown


def test_on_a_terminal():
    """Protects from who looks over the shoulder: the password is asked for twice,
    and not shown."""
    one = Terminal("a", "--cost", "1")
    one.wait(b"Password: ")
    one.type(b"secret\n")
    one.wait(b"The same again: ")
    one.type(b"secret\n")
    status, out, shown = one.end()
    assert status == 0 and out.startswith("a:$y$j75$")
    assert b"secret" not in shown and shown.strip() == b""


def test_two_that_differ():
    """Protects from a slip of the finger."""
    one = Terminal("a")
    one.wait(b"Password: ")
    one.type(b"secret\n")
    one.wait(b"The same again: ")
    one.type(b"secrets\n")
    status, out, shown = one.end()
    assert (status, out) == (2, "") and b"the two are not the same" in shown


@pytest.mark.parametrize("how", ["key", "signal", "end"])
def test_terminal_comes_back(how):
    """Protects the terminal of who changes their mind: it shows again what is
    typed."""
    one = Terminal("a")
    one.wait(b"Password: ")
    if how == "key":
        one.type(b"sec\x03")
    elif how == "signal":
        one.process.send_signal(signal.SIGTERM)
    else:
        one.type(b"\x04")
    status, out, shown = one.end()
    assert (status, out) == (2, "") and b"no password was given" in shown
