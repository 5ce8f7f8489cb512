#!/usr/bin/env python3
"""What subscribers that stop reading hold when they were sent page references.

bench/page_reference_memory.py [SOCKETS (8)]

A page of 2 MiB is spliced to sockets and unmapped, as bench/plain_relay -v does it.
Nobody reads.  `together` splices to each socket as much as it takes, from pages of its
own; `scattered` splices 16 KiB of each page, as to one who skips again and again.  Prints
Markdown: bytes that the sockets took, and by how much the machine's free memory shrank:
other work on it is in that figure.  150 MiB a socket are held for a moment.  Needs huge
pages (/sys/kernel/mm/transparent_hugepage/enabled: madvise or always)."""

import ctypes
import mmap
import os
import socket
import sys

PAGE = 2 << 20
SNDBUF = 512 << 10  # the daemon's connections.send_buffer, before the kernel doubles it
SOCKETS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
SPLICE_F_NONBLOCK = 2
libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


def free_bytes():
    for line in open("/proc/meminfo"):
        if line.startswith("MemFree:"):
            return int(line.split()[1]) << 10


class Pages:
    """Append-only: a page is mapped, filled, spliced from, and unmapped."""

    def __init__(self):
        self.area = mmap.mmap(-1, 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        at = ctypes.addressof(ctypes.c_char.from_buffer(self.area))
        self.offset = -at % PAGE
        self.at = at + self.offset
        self.area.madvise(mmap.MADV_HUGEPAGE)

    def fresh(self):
        self.area.madvise(mmap.MADV_DONTNEED)
        self.area[self.offset:self.offset + PAGE] = bytes(PAGE)


def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SNDBUF)
        reader = socket.create_connection(listener.getsockname())
        writer = listener.accept()[0]
    writer.setblocking(False)
    return writer, reader


def stuff(pages, writer, each):
    """Splices until the socket is full, `each` bytes of a page; returns the bytes."""
    out, into = os.pipe2(os.O_NONBLOCK)
    total, at = 0, PAGE
    try:
        while True:
            if at == PAGE or each < PAGE:
                pages.fresh()
                at = 0
            piece = Iovec(pages.at + at, min(each, 65536))
            n = libc.vmsplice(into, ctypes.byref(piece), 1, SPLICE_F_NONBLOCK)
            if n <= 0:
                raise OSError(ctypes.get_errno(), "vmsplice")
            at += n
            while n > 0:
                sent = os.splice(out, writer.fileno(), n, flags=SPLICE_F_NONBLOCK)
                n -= sent
                total += sent
    except BlockingIOError:
        return total
    finally:
        os.close(out)
        os.close(into)


print("| %d sockets | bytes in their queues, MiB | memory held, MiB | ratio |" % SOCKETS)
print("|---|---:|---:|---:|")
for name, each in (("together", PAGE), ("scattered", 16384)):
    pages = Pages()
    pairs = [pair() for _ in range(SOCKETS)]
    before = free_bytes()
    total = sum(stuff(pages, writer, each) for writer, _ in pairs)
    pages.area.madvise(mmap.MADV_DONTNEED)
    held = before - free_bytes()
    print("| %s | %.1f | %.0f | %.1f |" % (name, total / 2**20, held / 2**20, held / total))
    for one in pairs:
        one[0].close()
        one[1].close()
