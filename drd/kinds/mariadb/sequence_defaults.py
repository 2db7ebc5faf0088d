"""Defaults of columns that take numbers from a sequence.

The server keeps the name of the database in such a default, and mariadb-dump prints it: DEFAULT
nextval(`shop`.`numbers`). A dump is loaded into a working database, where this name leads to the
live database, or to nothing, and it stays so when the table is renamed. So drd takes these defaults
out of the dump, and sets them when tables and sequences have their final names.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from drd.kinds.mariadb.quoting import ident, moved, pieces
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

_BEGIN = b"\nCREATE TABLE `"
_END = b"\n)"
_LINE = re.compile(rb"^  (`(?:[^`]|``)+`) .*?$", re.MULTILINE)
_TAKES = re.compile(r"\b(?:nextval|lastval|setval)\(")
_DEFAULT = " DEFAULT "


class SequenceDefault(NamedTuple):
    """The default `sql` of a column, as the server printed it."""

    table: str
    column: str
    sql: str

    def statement(self, place: str, former: str, here: str) -> str:
        """Return the SQL that sets the default of the table `place`. The database that was `former`
        at the backup is now `here`."""
        sql = moved(self.sql, former, here)
        return f"ALTER TABLE {place} ALTER COLUMN {ident(self.column)} SET DEFAULT ({sql})"


def has_sequences(snapshot: ComponentSnapshot) -> bool:
    """Return whether tables of a backup can have such defaults."""
    known = snapshot.fingerprint
    return not isinstance(known, DatabaseFingerprint) or "sequence" in known.others.values()


def take_out(dump: Path) -> list[SequenceDefault]:
    """Overwrite such defaults in a dump with spaces, and return them. The dump keeps its size."""
    taken = []
    with dump.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        for table, begin, end in _tables(data):
            for line in _LINE.finditer(data, begin, end):
                found = _default_in(line[0].decode("utf-8", "surrogateescape"))
                if found is not None:
                    before, sql = found
                    at = line.start() + len(before.encode("utf-8", "surrogateescape"))
                    size = len((_DEFAULT + sql).encode("utf-8", "surrogateescape"))
                    data[at : at + size] = b" " * size
                    taken.append(SequenceDefault(table, _name(line[1]), sql))
    return taken


def _tables(data: mmap.mmap) -> Iterator[tuple[str, int, int]]:
    """Yield each table of the dump, and where its columns begin and end. Values have no line ends:
    mariadb-dump escapes them."""
    at = data.find(_BEGIN)
    while at >= 0:
        begin = data.find(b"\n", at + 1)
        end = data.find(_END, begin)
        if begin < 0 or end < 0:
            return
        yield _name(data[at + len(_BEGIN) - 1 : begin].rpartition(b" ")[0]), begin + 1, end
        at = data.find(_BEGIN, end)


def _name(quoted: bytes) -> str:
    return quoted.decode("utf-8", "surrogateescape")[1:-1].replace("``", "`")


def _default_in(line: str) -> tuple[str, str] | None:
    """Return the part of a column's line before its default, and the default, if this takes numbers
    from a sequence."""
    if _TAKES.search(line) is None:
        return None
    code = "".join(text if kind == "code" else " " * len(text) for kind, text in pieces(line))
    begin = code.find(_DEFAULT)
    if begin < 0:
        return None
    depth = 0
    for at in range(begin + len(_DEFAULT), len(code)):
        depth += (code[at] == "(") - (code[at] == ")")
        if depth <= 0 and code[at] in ") ,":
            sql = line[begin + len(_DEFAULT) : at + (code[at] == ")")]
            return (line[:begin], sql) if _TAKES.search(code[begin:at]) else None
    return None
