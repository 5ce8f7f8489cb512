"""Filters by symbol, as in q: the rows of an update that `select from x where sym in y`
returns. Written from tick-contract.md 2.2 and 2.3, on the harness's codec."""

import random

import journal
import kdb
from kdb import sym, syms
from traffic import NAMES, published, update


def ask(name, wanted="", function=".u.sub"):
    """A request for a table's rows of these symbols: "" for all, or a tuple, or
    any kdb+ object."""
    if wanted == "":
        wanted = sym("")
    elif isinstance(wanted, (tuple, list)):
        wanted = syms(*wanted)
    return kdb.lst(sym(function), sym(name), wanted)


def pick(column, rows):
    """These rows of a column; attributes are dropped."""
    if isinstance(column, kdb.Symbols):
        return kdb.Symbols(tuple(column.items[i] for i in rows))
    if isinstance(column, kdb.Vector):
        width = len(column.raw) // len(column)
        return kdb.Vector(column.type, b"".join(
            column.raw[i * width : (i + 1) * width] for i in rows))
    return kdb.List(tuple(column.items[i] for i in rows))


def filtered(name, columns, wanted, names=None):
    """The message that a subscriber of these symbols gets; None: no message."""
    if wanted == "":
        return published(name, columns.items, names)
    wanted = {one.encode() for one in wanted}
    rows = [i for i, one in enumerate(columns.items[1].items) if one in wanted]
    if not rows:
        return None
    return published(name, [pick(one, rows) for one in columns.items], names)


class Market:
    """Random updates of trade and quote over some symbols; size and asize count all
    rows."""

    def __init__(self, seed, symbols=("IBM", "AAPL", "MSFT", "A", "AB", ""), rows=(1, 1, 2, 7)):
        self.random, self.symbols, self.rows = random.Random(seed), symbols, rows
        self.row = 0

    def next(self):
        """(table, columns)"""
        rng, n = self.random, self.random.choice(self.rows)
        name = rng.choice(("trade", "quote"))
        floats = [kdb.vec("f", [rng.random() for _ in range(n)])
                  for _ in range(1 if name == "trade" else 2)]
        longs = [kdb.vec("j", [7] * n)] if name == "quote" else []
        columns = kdb.lst(
            kdb.vec("n", [34200000000000 + self.row] * n),
            syms(*[rng.choice(self.symbols) for _ in range(n)]),
            *floats, *longs, kdb.vec("j", range(self.row, self.row + n)))
        self.row += n
        return name, columns

    def block(self, size):
        """Updates of `size` bytes together, and at most one more."""
        updates, have = [], 0
        while have < size:
            updates.append(self.next())
            have += len(update(*updates[-1]))
        return updates


def wanted_frames(updates, filters, names=NAMES):
    """The messages that a subscriber with {table: symbols} gets from the updates."""
    found = [filtered(name, columns, filters[name], names.get(name))
             for name, columns in updates if name in filters]
    return [one for one in found if one is not None]


def join_filtered(client, i, filters):
    """.ringtick.subfrom of one table with a filter."""
    (name, wanted), = filters.items()
    return client.sync(kdb.lst(sym(".ringtick.subfrom"), sym(name),
                               sym("") if wanted == "" else syms(*wanted),
                               kdb.atom("j", i)))


def table_of(frame):
    return journal.table_of(frame).decode()
