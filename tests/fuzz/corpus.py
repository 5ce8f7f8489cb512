#!/usr/bin/env python3
"""A corpus as one file of text, an input a line, and as the folder of files
that libFuzzer has.

    corpus.py unpack FILE FOLDER
    corpus.py pack FOLDER >FILE     the shortest inputs first
"""

import hashlib
import os
import re
import sys

ESCAPES = {b"\\\\": b"\\", b"\\n": b"\n"}


def encode(data):
    """replay.c reads it."""
    line = "".join(
        "\\n" if c == 10 else
        chr(c) if 32 <= c < 127 and c != 92 else
        "\\\\" if c == 92 else "\\x%02x" % c for c in data)
    # not a comment, and no space at the end of a line
    line = re.sub("^#", r"\\x23", line)
    return re.sub(" $", r"\\x20", line)


def decode(line):
    return re.sub(
        rb"\\(?:\\|n|x([0-9a-f]{2}))",
        lambda m: ESCAPES[m[0]] if m[1] is None else bytes.fromhex(
            m[1].decode()), line)


def unpack(path, folder):
    os.makedirs(folder, exist_ok=True)
    with open(path, "rb") as file:
        for line in file.read().split(b"\n"):
            if not line or line.startswith(b"#"):
                continue
            data = decode(line)
            name = hashlib.sha1(data).hexdigest()
            with open(os.path.join(folder, name), "wb") as out:
                out.write(data)


def pack(folder):
    inputs = set()
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            inputs.add(file.read())
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        if data:
            print(encode(data))


if __name__ == "__main__":
    if sys.argv[1:2] == ["unpack"] and len(sys.argv) == 4:
        unpack(*sys.argv[2:])
    elif sys.argv[1:2] == ["pack"] and len(sys.argv) == 3:
        pack(sys.argv[2])
    else:
        sys.exit(__doc__)
