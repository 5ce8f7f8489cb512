"""TLS terminators in front of a daemon: real hitch and haproxy, with certificates of the
test's own, and clients that speak TLS."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

import kdb

HOST = "tick.example.com"
SO_ATTACH_FILTER = 26
RETURN = 0x06  # of a socket filter


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=60)


class Authority:
    """A certificate authority in a folder, and what it has signed."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = pathlib.Path(folder), name
        self.key, self.pem = self.path(name + ".key"), self.path(name + ".pem")
        openssl("req", "-x509", *self.fresh(self.key), "-days", 30, "-subj", "/CN=" + name,
                "-out", self.pem)

    def path(self, name):
        return self.folder / name

    @staticmethod
    def fresh(key):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key]

    def sign(self, common_name):
        """Path of a file with key and certificate of this name."""
        stem = "%s-%s" % (self.name, common_name)
        key, request, cert, names = (self.path(stem + end) for end in
                                     (".key", ".csr", ".crt", ".ext"))
        openssl("req", *self.fresh(key), "-subj", "/CN=" + common_name, "-out", request)
        names.write_text("subjectAltName=DNS:%s,IP:127.0.0.1\n" % HOST)
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key,
                "-CAcreateserial", "-days", 30, "-extfile", names, "-out", cert)
        both = self.path(stem + ".pem")
        both.write_text(key.read_text() + cert.read_text())
        return both

    def client(self, certificate=None, version=None):
        """An SSLContext that trusts this authority, and shows a certificate."""
        context = ssl.create_default_context(cafile=self.pem)
        if certificate is not None:
            context.load_cert_chain(certificate)
        if version is not None:
            context.maximum_version = version
        return context


# ---- the programs ----


def hitch_conf(one):
    rows = ['frontend = "[127.0.0.1]:0"', 'backend = "%s"' % one.backend,
            'pem-file = "%s"' % one.pem, "write-proxy-v2 = on", "workers = 1",
            "keepalive = 30"]
    if one.verify != "none":
        rows += ["client-verify = " + one.verify, 'client-verify-ca = "%s"' % one.ca]
    if os.geteuid() == 0:
        rows += ['user = "nobody"', 'group = "nogroup"']
    return "\n".join(rows)


def haproxy_cfg(one):
    verify = "" if one.verify == "none" else "ca-file %s verify %s" % (one.ca, one.verify)
    return """
global
	nbthread 1
defaults
	mode tcp
	timeout connect 5s
	timeout client 20s
	timeout server 20s
	timeout tunnel 1h
listen tls
	bind fd@%d ssl crt %s %s tcp-ut 1s
	server ringtick %s send-proxy-v2-ssl-cn
""" % (one.listening.fileno(), one.pem, verify, one.backend)


class Terminator:
    """hitch or haproxy in front of a socket file, in a session of its own."""

    def __init__(self, kind, authority, pem, backend, verify="none"):
        self.kind, self.pem, self.backend = kind, pem, backend
        self.verify, self.ca = verify, authority.pem
        self.log = authority.path("log")
        config = authority.path(kind + ".conf")
        if kind == "haproxy":  # which cannot listen on port 0
            self.listening = socket.create_server(("127.0.0.1", 0))
            self.port = self.listening.getsockname()[1]
            config.write_text(haproxy_cfg(self))
            self.run([find(kind), "-db", "-f", config], self.listening)
        else:
            config.write_text(hitch_conf(self))
            self.run([find(kind), "--config=%s" % config])
            self.port = self.await_port()

    def run(self, command, *listening):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, pass_fds=[one.fileno() for one in listening])
        for one in listening:
            one.close()

    def await_port(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            ports = [port for pid in children(self.process.pid)
                     for port in listening_ports(pid)]
            if ports:
                return ports[0]
            time.sleep(0.01)
        self.kill()
        raise AssertionError("%s does not listen: %s" % (self.kind, self.log.read_text()))

    def dial(self, context):
        """A connection whose TLS handshake is done."""
        return context.wrap_socket(kdb.dial(self.port), server_hostname=HOST)

    def client(self, context, user, password="pw"):
        """A kdb+ client through it."""
        creds = b"%s:%s\x03" % (user.encode(), password.encode())
        return kdb.Client(self.port, creds=creds, sock=self.dial(context))

    def kill(self):
        """Its end without a farewell, with all its processes."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=20)


def children(pid):
    return map(int, pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split())


def listening_ports(pid):
    """TCP ports on which a process listens on IPv4."""
    folder, inodes = "/proc/%d/fd" % pid, set()
    for name in os.listdir(folder):
        try:
            inodes.add(os.readlink("%s/%s" % (folder, name)))
        except FileNotFoundError:
            pass
    with open("/proc/%d/net/tcp" % pid) as table:
        rows = [line.split() for line in table][1:]
    return [int(row[1].split(":")[1], 16) for row in rows
            if row[3] == "0A" and "socket:[%s]" % row[9] in inodes]


def find(program):
    """Where it is: a user's PATH may lack the folder of daemons."""
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        raise FileNotFoundError("%s is not installed" % program)
    return path


def vanish(sock):
    """From now on nothing arrives at this socket and it acknowledges nothing, as if its
    machine had lost its power."""
    code = ctypes.create_string_buffer(struct.pack("HBBI", RETURN, 0, 0, 0), 8)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                    struct.pack("@HP", 1, ctypes.addressof(code)))
