"""A crowd of clients in a process of its own, which is killed to end them all at
once.  It reads words, does what they say, and answers each with a line."""

import resource
import socket
import subprocess
import sys
import threading

import kdb


class Crowd:
    def __init__(self, port):
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(port)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1)

    def does(self, *words):
        """Returns a number when it is done."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        return int(self.process.stdout.readline())

    def vanish(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Storm:
    """Clients that connect, shake hands, ask, and go, as fast as they can."""

    def __init__(self, port):
        self.port, self.is_on, self.cnt = port, True, 0
        self.threads = [threading.Thread(target=self.run) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while self.is_on:
            try:
                with kdb.Client(self.port, creds=b"storm:pw\x03") as client:
                    client.sync(".u.d")
            except (kdb.Closed, OSError):
                pass
            self.cnt += 1

    def end(self):
        self.is_on = False
        for thread in self.threads:
            thread.join()
        return self.cnt


def dial(port, hello):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(hello)
    return sock


def main(port):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    silent, idle, storm = [], [], None
    for row in sys.stdin:
        what, *numbers = row.split()
        done = 0
        if what == "idle":
            made = [dial(port, b"idle%d:pw\x03\0" % (i % 50))
                    for i in range(int(numbers[0]))]
            done = sum(sock.recv(1) == b"\x03" for sock in made)
            idle += made
        elif what == "silent":
            silent += [dial(port, b"half a hand") for _ in range(int(numbers[0]))]
            done = len(silent)
        elif what == "storm":
            storm = Storm(port)
        elif what == "calm":
            done = storm.end()
        print(done, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
