"""The kdb+ IPC format in Python, for the system tests.

Written from doc/wire.md and checked against tests/data/vectors.json, never
from the C code: one mistake must not be able to hide on both sides.

Values keep their bytes.  A vector holds its items as little-endian bytes, so
two values are equal exactly if their encodings are; nothing is lost in nulls,
NaN signs or infinities on the way through Python numbers.
"""

import collections
import dataclasses
import os
import socket
import struct

ASYNC, SYNC, RESPONSE = 0, 1, 2
HEADER = 8
FRAME_MIN = 10
DEPTH_MAX = 64

LIST, SYMBOL, TABLE, DICT, LAMBDA, SORTED_DICT, ERROR = 0, 11, 98, 99, 100, 127, 128

# of a type: (letter, name, bytes of an item, struct letter or None where the item
# is bytes that never change their order)
FIXED = {
    1: ("b", "boolean", 1, None),
    2: ("g", "guid", 16, None),
    4: ("x", "byte", 1, None),
    5: ("h", "short", 2, "h"),
    6: ("i", "int", 4, "i"),
    7: ("j", "long", 8, "q"),
    8: ("e", "real", 4, "f"),
    9: ("f", "float", 8, "d"),
    10: ("c", "char", 1, None),
    12: ("p", "timestamp", 8, "q"),
    13: ("m", "month", 4, "i"),
    14: ("d", "date", 4, "i"),
    15: ("z", "datetime", 8, "d"),
    16: ("n", "timespan", 8, "q"),
    17: ("u", "minute", 4, "i"),
    18: ("v", "second", 4, "i"),
    19: ("t", "time", 4, "i"),
}
TYPE_OF = {row[0]: number for number, row in FIXED.items()}
UNARY_MAX, BINARY_MAX, ADVERB_MAX = 0x2C, 0x24, 0x05


class Malformed(Exception):
    """The bytes are not a kdb+ message; the text says why."""


# ---- values ----


@dataclasses.dataclass(frozen=True)
class Atom:
    type: int
    raw: bytes  # little-endian

    @property
    def value(self):
        return _unpack(self.type, self.raw)[0]


@dataclasses.dataclass(frozen=True)
class Vector:
    type: int
    raw: bytes  # little-endian
    attr: int = 0

    @property
    def values(self):
        return _unpack(self.type, self.raw)

    def __len__(self):
        return len(self.raw) // FIXED[self.type][2]


@dataclasses.dataclass(frozen=True)
class Symbol:
    text: bytes


@dataclasses.dataclass(frozen=True)
class Symbols:
    items: tuple
    attr: int = 0

    def __len__(self):
        return len(self.items)


@dataclasses.dataclass(frozen=True)
class List:
    items: tuple
    attr: int = 0

    def __len__(self):
        return len(self.items)


@dataclasses.dataclass(frozen=True)
class Dict:
    keys: object
    values: object
    is_sorted: bool = False

    def __len__(self):
        return count(self.keys)


@dataclasses.dataclass(frozen=True)
class Table:
    names: Symbols
    columns: List
    attr: int = 0
    is_sorted: bool = False  # the dictionary inside is 127

    def __len__(self):
        return count(self.columns.items[0])


@dataclasses.dataclass(frozen=True)
class Lambda:
    context: bytes
    source: object


@dataclasses.dataclass(frozen=True)
class Primitive:
    type: int  # 101 unary, 102 binary, 103 adverb
    idx: int


@dataclasses.dataclass(frozen=True)
class Compound:
    type: int  # 104 projection, 105 composition
    items: tuple


@dataclasses.dataclass(frozen=True)
class Derived:
    type: int  # 106..111
    operand: object


@dataclasses.dataclass(frozen=True)
class Error:
    text: bytes

    def word(self):
        """The error that q would have given; a sentence may follow it."""
        return self.text.split(b": ")[0]


NIL = Primitive(101, 0)


def _unpack(number, raw):
    letter, _, width, code = FIXED[number]
    if letter == "c":
        return [bytes([byte]) for byte in raw]
    if letter in "bx":
        return list(raw)
    if letter == "g":
        return [raw[i : i + 16] for i in range(0, len(raw), 16)]
    return list(struct.unpack("<%d%s" % (len(raw) // width, code), raw))


def _pack(letter, values):
    if isinstance(values, (bytes, bytearray)):
        return bytes(values)
    code = FIXED[TYPE_OF[letter]][3]
    if letter in "bx":
        return bytes(values)
    if letter in "cg":
        return b"".join(values)
    return struct.pack("<%d%s" % (len(values), code), *values)


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def atom(letter, value):
    return Atom(TYPE_OF[letter], _pack(letter, [value]))


def vec(letter, values, attr=0):
    return Vector(TYPE_OF[letter], _pack(letter, values), attr)


def sym(text):
    return Symbol(_bytes(text))


def syms(*texts, attr=0):
    return Symbols(tuple(_bytes(text) for text in texts), attr)


def text(string):
    """A char vector."""
    return Vector(10, _bytes(string))


def lst(*items):
    """A general list as it is: nothing collapses."""
    return List(tuple(items))


def q(*items):
    """(a;b;c) as q builds it: atoms of one type collapse to a vector."""
    if items and all(isinstance(item, Symbol) for item in items):
        return Symbols(tuple(item.text for item in items))
    if items and all(isinstance(item, Atom) for item in items):
        if len({item.type for item in items}) == 1:
            return Vector(items[0].type, b"".join(item.raw for item in items))
    return List(items)


def table(names, *columns):
    if isinstance(names, str):
        names = names.split()
    return Table(syms(*names), List(columns))


def count(value):
    if isinstance(value, (Vector, Symbols, List, Table, Dict)):
        return len(value)
    return 1


# ---- objects to bytes ----


def _swap(number, raw):
    _, _, width, code = FIXED[number]
    if code is None or width == 1:
        return raw
    swapped = bytearray(len(raw))
    for i in range(width):
        swapped[i::width] = raw[width - 1 - i :: width]
    return bytes(swapped)


class _Encoder:
    def __init__(self, big, wide):
        self.big = big
        self.wide = wide  # 8-byte counts, attr bit 80
        self.out = bytearray()

    def count(self, attr, n):
        if self.wide:
            self.out += struct.pack(">BQ" if self.big else "<BQ", attr | 0x80, n)
        else:
            self.out += struct.pack(">BI" if self.big else "<BI", attr, n)

    def put(self, value):
        out = self.out
        if isinstance(value, Atom):
            out.append(256 - value.type)
            out += _swap(value.type, value.raw) if self.big else value.raw
        elif isinstance(value, Vector):
            out.append(value.type)
            self.count(value.attr, len(value))
            out += _swap(value.type, value.raw) if self.big else value.raw
        elif isinstance(value, Symbol):
            out += b"\xf5" + value.text + b"\0"
        elif isinstance(value, Symbols):
            out.append(SYMBOL)
            self.count(value.attr, len(value))
            out += b"\0".join((*value.items, b""))
        elif isinstance(value, List):
            out.append(LIST)
            self.count(value.attr, len(value))
            for item in value.items:
                self.put(item)
        elif isinstance(value, Table):
            out += bytes([TABLE, value.attr])
            self.put(Dict(value.names, value.columns, value.is_sorted))
        elif isinstance(value, Dict):
            out.append(SORTED_DICT if value.is_sorted else DICT)
            self.put(value.keys)
            self.put(value.values)
        elif isinstance(value, Lambda):
            out += bytes([LAMBDA]) + value.context + b"\0"
            self.put(value.source)
        elif isinstance(value, Primitive):
            out += bytes([value.type, value.idx])
        elif isinstance(value, Compound):
            out.append(value.type)
            out += struct.pack(">I" if self.big else "<I", len(value.items))
            for item in value.items:
                self.put(item)
        elif isinstance(value, Derived):
            out.append(value.type)
            self.put(value.operand)
        elif isinstance(value, Error):
            out += bytes([ERROR]) + value.text + b"\0"
        else:
            raise TypeError("no kdb+ value: %r" % (value,))


def encode(value, big=False, wide=False):
    encoder = _Encoder(big, wide)
    encoder.put(value)
    return bytes(encoder.out)


def frame(value, kind=ASYNC, big=False, wide=False):
    """One IPC message.  A str is a char vector."""
    if isinstance(value, str):
        value = text(value)
    body = encode(value, big, wide)
    order = ">" if big else "<"
    return struct.pack(order + "BBBBI", not big, kind, 0, 0, HEADER + len(body)) + body


# ---- bytes to objects ----


class _Decoder:
    def __init__(self, body, big):
        self.body = body
        self.at = 0
        self.order = ">" if big else "<"
        self.big = big

    def take(self, n):
        if n > len(self.body) - self.at:
            raise Malformed("truncated")
        self.at += n
        return self.body[self.at - n : self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack(self.order + "I", self.take(4))[0]

    def symbol(self):
        end = self.body.find(b"\0", self.at)
        if end < 0:
            raise Malformed("symbol without NUL")
        found = self.body[self.at : end]
        self.at = end + 1
        return found

    def symbols(self, n):
        if n < 16:  # not worth a copy
            return tuple(self.symbol() for _ in range(n))
        size = 16 * n  # a copy of what follows, and not of a whole journal
        while True:
            *found, rest = self.body[self.at : self.at + size].split(b"\0", n)
            if len(found) == n:
                break
            if self.at + size >= len(self.body):
                raise Malformed("symbol without NUL")
            size *= 4
        self.at += min(size, len(self.body) - self.at) - len(rest)
        return tuple(found)

    def count(self, item_min):
        attr = self.u8()
        if attr & 0x7F > 4:
            raise Malformed("attribute")
        if attr & 0x80:
            n = struct.unpack(self.order + "Q", self.take(8))[0]
        else:
            n = self.u32()
        if n * item_min > len(self.body) - self.at:
            raise Malformed("count exceeds message")
        return attr & 0x7F, n

    def fixed(self, number, n):
        raw = self.take(n * FIXED[number][2])
        if number == 1 and raw.strip(b"\0\1"):
            raise Malformed("boolean not 0 or 1")
        return _swap(number, raw) if self.big else raw

    def items(self, n, depth):
        return tuple(self.get(depth + 1) for _ in range(n))

    def get(self, depth=0):
        if depth > DEPTH_MAX:
            raise Malformed("nesting too deep")
        number = self.u8()
        if number == LIST:
            attr, n = self.count(2)
            return List(self.items(n, depth), attr)
        if number == SYMBOL:
            attr, n = self.count(1)
            return Symbols(self.symbols(n), attr)
        if number in FIXED:
            attr, n = self.count(FIXED[number][2])
            return Vector(number, self.fixed(number, n), attr)
        if 256 - number in FIXED:
            return Atom(256 - number, self.fixed(256 - number, 1))
        if number == 256 - SYMBOL:
            return Symbol(self.symbol())
        if number == TABLE:
            return self.table(depth)
        if number in (DICT, SORTED_DICT):
            keys, values = self.get(depth + 1), self.get(depth + 1)
            if count(keys) != count(values):
                raise Malformed("dict length mismatch")
            return Dict(keys, values, number == SORTED_DICT)
        if number == LAMBDA:
            context, source = self.symbol(), self.get(depth + 1)
            if not isinstance(source, Vector) or source.type != 10:
                raise Malformed("lambda source is not text")
            return Lambda(context, source)
        if number in (101, 102, 103):
            idx = self.u8()
            last = (UNARY_MAX, BINARY_MAX, ADVERB_MAX)[number - 101]
            if idx > last and not (number == 101 and idx == 0xFF):
                raise Malformed("primitive")
            return Primitive(number, idx)
        if number in (104, 105):
            n = self.u32()
            if n * 2 > len(self.body) - self.at:
                raise Malformed("count exceeds message")
            return Compound(number, self.items(n, depth))
        if 106 <= number <= 111:
            return Derived(number, self.get(depth + 1))
        raise Malformed("type %d" % number)

    def table(self, depth):
        attr = self.u8()
        if attr > 4:
            raise Malformed("attribute")
        if self.at == len(self.body) or self.body[self.at] not in (DICT, SORTED_DICT):
            raise Malformed("table body is not a dict")
        is_sorted = self.u8() == SORTED_DICT
        names, columns = self.get(depth + 1), self.get(depth + 1)
        if not isinstance(names, Symbols):
            raise Malformed("table keys not symbols")
        if not isinstance(columns, List):
            raise Malformed("table columns not a general list")
        if len(names) != len(columns) or not names.items:
            raise Malformed("table column count")
        if any(isinstance(c, (Atom, Symbol)) for c in columns.items):
            raise Malformed("table column is an atom")
        if len({count(c) for c in columns.items}) != 1:
            raise Malformed("table columns ragged")
        return Table(names, columns, attr, is_sorted)


def decode(body, big=False):
    """One object that fills body exactly; an error object is one too."""
    body = bytes(body)
    if body[:1] == bytes([ERROR]):
        if body.find(b"\0") != len(body) - 1:
            raise Malformed("error text")
        return Error(body[1:-1])
    decoder = _Decoder(body, big)
    value = decoder.get()
    if decoder.at != len(body):
        raise Malformed("trailing bytes")
    return value


def frame_length(head):
    """Bytes of the whole frame whose first 8 bytes are given."""
    if head[0] > 1:
        raise Malformed("endian byte")
    if head[1] > RESPONSE:
        raise Malformed("message type")
    if head[2] > 2:
        raise Malformed("compression flag")
    low = struct.unpack(">I" if head[0] == 0 else "<I", head[4:8])[0]
    return head[3] << 32 | low


def decode_frame(data):
    """(kind, value) of one whole frame."""
    data = bytes(data)
    if len(data) < HEADER or frame_length(data) != len(data):
        raise Malformed("length")
    if len(data) < FRAME_MIN:
        raise Malformed("message shorter than 10")
    if data[2]:
        data = decompress(data)
    return data[1], decode(data[HEADER:], data[0] == 0)


# ---- compression (wire.md section 4) ----


def compress(data, force=False, flag=1):
    """data, compressed as q does it; unchanged if that gains nothing, unless forced."""
    total = len(data)
    limit = total // 2
    reserve = 17 if flag == 1 else 21
    order = "<" if data[0] else ">"
    out = bytearray(8) + struct.pack(order + ("I" if flag == 1 else "Q"), total)
    known = {}
    pending = None
    at, bit, control = HEADER, 256, 0
    while at < total:
        if bit == 256:
            if not force and len(out) > limit - reserve:
                return data
            control, bit = len(out), 1
            out.append(0)
        literal = at > total - 3
        if not literal:
            pair = data[at] ^ data[at + 1]
            source = known.get(pair)
            literal = source is None or data[source] != data[at]
        if pending is not None:
            known[pending[0]] = pending[1]
            pending = None
        if literal:
            if at <= total - 3:
                pending = (pair, at)
            out.append(data[at])
            at += 1
        else:
            known[pair] = at
            out[control] |= bit
            source += 2
            at += 2
            run = 0
            while run < 255 and at < total and data[source] == data[at]:
                source, at, run = source + 1, at + 1, run + 1
            out += bytes([pair, run])
        bit <<= 1
    out[:8] = struct.pack(
        order + "BBBBI", data[0], data[1], flag, len(out) >> 32, len(out) & 0xFFFFFFFF
    )
    return bytes(out)


def decompress(data, limit=1 << 28):
    order = "<" if data[0] else ">"
    wide = data[2] == 2
    at = 16 if wide else 12
    if len(data) < at:
        raise Malformed("short compressed header")
    total = struct.unpack(order + ("Q" if wide else "I"), data[8:at])[0]
    if total < FRAME_MIN:
        raise Malformed("uncompressed length < 10")
    if total > limit or total - HEADER > 129 * (len(data) - at):
        raise Malformed("uncompressed length unreachable")
    out = bytearray(total)
    known = {}
    write = registered = HEADER
    bit, control = 256, 0
    while write < total:
        if bit == 256:
            if at >= len(data):
                raise Malformed("truncated (control)")
            control, at, bit = data[at], at + 1, 1
        if control & bit:
            if at + 2 > len(data):
                raise Malformed("truncated (token)")
            pair, extra = data[at], data[at + 1]
            at += 2
            source = known.get(pair)
            if source is None:
                raise Malformed("back-reference to an unset hash")
            if write + 2 + extra > total:
                raise Malformed("copy past the end")
            start = write
            for _ in range(2 + extra):
                out[write] = out[source]
                write, source = write + 1, source + 1
            for i in range(registered, start + 1):
                known[out[i] ^ out[i + 1]] = i
            registered = write
        else:
            if at >= len(data):
                raise Malformed("truncated (literal)")
            out[write] = data[at]
            write, at = write + 1, at + 1
            while registered < write - 1:
                known[out[registered] ^ out[registered + 1]] = registered
                registered += 1
        bit <<= 1
    if at != len(data):
        raise Malformed("trailing compressed bytes")
    out[:8] = struct.pack(
        order + "BBBBI", data[0], data[1], 0, total >> 32, total & 0xFFFFFFFF
    )
    return bytes(out)


# ---- sockets ----


class Closed(Exception):
    """The peer has gone; `how` is "fin" or "rst"."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


def unix_name(port):
    """The abstract name that q and ringtick listen on; its length is exact."""
    return b"\0/tmp/kx.%d" % port


def dial(port, unix=False, receive_buffer=0, timeout=20, source=None):
    """A connected socket that has sent nothing yet; source is its own address."""
    family = socket.AF_UNIX if unix else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        sock.bind((source, 0))
    sock.connect(unix_name(port) if unix else ("127.0.0.1", port))
    if not unix:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def drain(sock):
    """Reads to the end. Returns (bytes, "fin" or "rst")."""
    got = bytearray()
    try:
        while True:
            piece = sock.recv(65536)
            if not piece:
                return bytes(got), "fin"
            got += piece
    except ConnectionError:
        return bytes(got), "rst"


class FrameReader:
    """Whole frames from a socket, in order, as bytes."""

    def __init__(self, sock, piece=1 << 18):
        self.sock = sock
        self.buffer = bytearray()
        self.at = 0
        self.piece = piece

    def fill(self, n):
        while len(self.buffer) - self.at < n:
            if self.at:
                del self.buffer[: self.at]
                self.at = 0
            try:
                got = self.sock.recv(self.piece)
            except ConnectionError:
                raise Closed("rst") from None
            if not got:
                raise Closed("fin")
            self.buffer += got

    def next(self):
        self.fill(HEADER)
        length = frame_length(self.buffer[self.at : self.at + HEADER])
        self.fill(length)
        found = bytes(self.buffer[self.at : self.at + length])
        self.at += length
        return found

    @property
    def torn(self):
        """The bytes received of a frame that is not complete."""
        return len(self.buffer) - self.at


class Client:
    """A kdb+ client.  Speaks as a q process does: 1 byte handshake reply,
    responses in order, asynchronous messages kept for read_frame()."""

    def __init__(self, port, creds=b"user:pw\x03", unix=False, receive_buffer=0,
                 timeout=20, source=None, sock=None):
        self.sock = sock or dial(port, unix, receive_buffer, timeout, source)
        self.sock.sendall(creds + b"\0")
        reply = self.sock.recv(16)
        if not reply:
            raise Closed("fin")
        if len(reply) != 1:
            raise Malformed("handshake reply of %d bytes" % len(reply))
        self.capability = reply[0]
        self.reader = FrameReader(self.sock)
        self.inbox = collections.deque()
        self.name = "" if unix else "%s:%d" % self.sock.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the connection, even while a thread still reads from it."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def async_(self, value):
        self.send(frame(value, ASYNC))

    def sync(self, value, **how):
        """The value of the response; an Error is returned, not raised."""
        return self.ask(frame(value, SYNC, **how))

    def ask(self, data):
        """Sends the bytes of one sync request; returns the value of the response."""
        return decode(self.ask_raw(data)[HEADER:])

    def ask_raw(self, data):
        self.send(data)
        return self.read_response()

    def read_response(self):
        while True:
            got = self.reader.next()
            if got[1] == RESPONSE:
                return got
            self.inbox.append(got)

    def read_frame(self):
        """The next message that is not a response, whole, as bytes."""
        if self.inbox:
            return self.inbox.popleft()
        return self.reader.next()

    def read(self):
        return decode_frame(self.read_frame())[1]

    def subscribe(self, name=""):
        return self.sync(q(sym(".u.sub"), sym(name), sym("")))

    def update(self, name, data, fn=".u.upd"):
        """Sends a sync update; returns NIL or an Error."""
        return self.sync(List((sym(fn), sym(name), data)))

    def expect_silence(self):
        """Asserts that nothing was sent to this client: the answer to a chaser is the
        very next frame."""
        self.send(frame("", SYNC))
        got = self.read_frame()
        assert got[1] == RESPONSE, "unexpected message %s" % got[:64].hex()


def vectors_path():
    return os.path.join(os.path.dirname(__file__), "..", "data", "vectors.json")
