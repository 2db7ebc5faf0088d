"""Recognise a dump of PostgreSQL, and find out what a plan can check in it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from drd import process
from drd.errors import DeadlineExceeded, NotSupported
from drd.kinds.dump_checks import (
    NO_ROWS,
    ONLY_BEGINNING,
    needs_no_quotes,
    recent,
    table_checks,
    tables_in_words,
)
from drd.kinds.postgres import SPEC
from drd.kinds.postgres.first_checks import ROWS
from drd.kinds.postgres.quoting import ident
from drd.kinds.postgres.tools import newest_major, programs_for
from drd.ports.dumps import DumpFile, FoundDump, NotLoaded, Unreadable
from drd.process import Command

_PLAIN, _TAR = b"-- PostgreSQL database dump", b"toc.dat\0"
_CLUSTER = b"-- PostgreSQL database cluster dump"
_FORMAT_AT, _IS_CUSTOM = 10, 1
_AS_CUSTOM = "let the other tool dump with `pg_dump --format=custom`, which compresses by itself."
_ONE_BY_ONE = (
    "let the other tool dump each database with `pg_dump --format=custom`, and the roles with "
    "`pg_dumpall --globals-only`, which you restore yourself."
)

_LOOK_S = 60.0
_MOST = 8 << 20
_MOST_TABLES, _MOST_CHECKS, _MOST_PEEKS = 2000, 5, 20

_DATABASE = re.compile(r"^; +dbname: (.+)$", re.MULTILINE)
_DATA = re.compile(r"^\d+; \d+ \d+ TABLE DATA (\S+) (.+) \S+$", re.MULTILINE)
_TABLE = re.compile(r"^\d+; \d+ \d+ TABLE (?!DATA )(?!ATTACH )(\S+) (.+) \S+$", re.MULTILINE)
_COLUMN = re.compile(r'^    "?([A-Za-z_][A-Za-z0-9_]*)"? timestamp', re.MULTILINE)
_EVERY = (
    "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
)


class _Table(NamedTuple):
    schema: str
    name: str

    @property
    def sql(self) -> str:
        parts = (self.name,) if self.schema == "public" else (self.schema, self.name)
        return ".".join(p if needs_no_quotes(p) else ident(p) for p in parts)


def recognise(file: DumpFile) -> FoundDump | None:
    """Implements `RecognisesOf`."""
    if _CLUSTER in file.inner[:256]:
        raise NotLoaded("a dump of all databases, by pg_dumpall", hint=_ONE_BY_ONE)
    if _PLAIN in file.inner[:256]:
        raise NotLoaded("a dump of PostgreSQL in plain SQL", hint=_AS_CUSTOM)
    if file.inner.startswith(_TAR):
        raise NotLoaded("a dump of PostgreSQL in the tar format", hint=_AS_CUSTOM)
    if not file.inner.startswith(SPEC.begins):
        return None
    if len(file.inner) > _FORMAT_AT and file.inner[_FORMAT_AT] != _IS_CUSTOM:
        raise NotLoaded("a dump of PostgreSQL in the directory format", hint=_AS_CUSTOM)
    if file.packed:
        raise NotLoaded(f"a dump of PostgreSQL packed with {file.packed}", hint=_AS_CUSTOM)
    return _found(file)


def _found(file: DumpFile) -> FoundDump:
    listed = _asked(file, "--list")
    database = _DATABASE.search(listed)
    name = database[1] if database else "postgres"
    tables = [_Table(*row) for row in _TABLE.findall(listed)][:_MOST_TABLES]
    with_data = [_Table(*row) for row in _DATA.findall(listed)][:_MOST_PEEKS]
    if file.whole:
        _require_whole(file)
    looked = with_data if file.whole else []
    filled = [table for table in looked if _has_rows(file, table)][:_MOST_CHECKS]
    return FoundDump(
        name,
        tables_in_words([table.sql for table in tables]),
        (
            ("kind", "postgres"),
            ("#", "The database of the dumps. A drill does not connect to it."),
            ("dsn", f"postgresql:///{quote(name, safe='')}"),
        ),
        tuple(table_checks(len(tables), _EVERY, [(t.sql, t.sql) for t in filled], ROWS)),
        _suggested(file, filled if file.whole else with_data),
        unseen="" if filled else NO_ROWS if file.whole else ONLY_BEGINNING,
    )


def _require_whole(file: DumpFile) -> None:
    """Refuse an archive that is cut off: its list of contents stands at its beginning. One that
    takes long to read is not read to its end."""
    command = Command([_program(), "--file=/dev/null", str(file.path)], deadline_s=_LOOK_S)
    try:
        done = process.run(command, limit=_MOST)
    except DeadlineExceeded:
        return
    if done.exit_code != 0:
        raise Unreadable(
            f"a dump of PostgreSQL that is cut off or damaged: {done.complaint}",
            hint="find out why the dump stopped, for example in the log of the script "
            "that made it, and make a new dump.",
        )


def _suggested(file: DumpFile, filled: list[_Table]) -> Mapping[str, Any] | None:
    for table in filled:
        written = _asked(file, "--schema-only", *_only(table), "--file=-")
        column = _COLUMN.search(written)
        if column is not None:
            return recent(table.sql, table.sql, ident(column[1]))
    return None


def _only(table: _Table) -> tuple[str, str]:
    return f"--schema={table.schema}", f"--table={table.name}"


def _has_rows(file: DumpFile, table: _Table) -> bool:
    """Return whether the dump has a row of the table. Reads no more than its beginning."""
    reading, writing = os.pipe()
    words = [_program(), "--data-only", *_only(table), "--file=-", str(file.path)]
    try:
        child = process.start(Command(words, deadline_s=_LOOK_S), stdout=writing)
    finally:
        os.close(writing)
    try:
        with os.fdopen(reading, "rb") as printed:
            begun = False
            for line, _ in zip(printed, range(1000), strict=False):
                if begun:
                    return line.rstrip(b"\n") != b"\\."
                begun = line.startswith(b"COPY ")
    finally:
        child.stop(grace_s=0.0)
        if child.popen.stderr is not None:
            child.popen.stderr.close()
    return False


def _asked(file: DumpFile, *words: str) -> str:
    command = Command([_program(), *words, str(file.path)], deadline_s=_LOOK_S)
    try:
        done = process.run(command, limit=_MOST)
    except DeadlineExceeded as error:
        raise NotSupported(f"a dump of PostgreSQL: {error.message}", hint=error.hint) from error
    if done.exit_code != 0:
        raise Unreadable(
            f"a dump of PostgreSQL that pg_restore cannot read: {done.complaint}",
            hint="install the client programs of PostgreSQL in the version that made the "
            "dump, or newer.",
        )
    return done.stdout


def _program() -> str:
    """Return the newest one, which reads dumps of every version before it."""
    major = newest_major("pg_restore", None)
    return programs_for(major, "pg_restore", bin_dir=None).path("pg_restore")
