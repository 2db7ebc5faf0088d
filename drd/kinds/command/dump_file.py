"""Recognise dumps that the programs of a tool restore, and find out what a plan can check in
them."""

from __future__ import annotations

import re
from shlex import quote
from typing import Any, NamedTuple

from drd import process
from drd.errors import DeadlineExceeded, NotSupported
from drd.kinds.dump_checks import needs_no_quotes, rows_of
from drd.model.dump_names import base_of
from drd.model.text import escaped
from drd.ports.dumps import FILE, DumpFile, FoundDump
from drd.process import Command

_SQLITE, _SQL = b"SQLite format 3\0", b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;"
_BUNDLE = re.compile(rb"# v[23] git bundle\n")
_LDIF = re.compile(rb"(?:version: 1\n\s*)?dn:: ?|(?:version: 1\n\s*)?dn: ")
_OTHERS = {
    b"-- MySQL dump": "a dump of MySQL",
    b"-- MariaDB dump": "a dump of MariaDB",
    b"/*M!999999": "a dump of MariaDB",
}
_CLONE = (
    'git clone --quiet --mirror "$0" repository.git && '
    "git -C repository.git config --remove-section remote.origin"
)
_LOAD = """\
import sqlite3, sys
db = sqlite3.connect("data.db", isolation_level=None)
db.set_authorizer(lambda action, *_: action == sqlite3.SQLITE_ATTACH)
sql = ""
for line in open(0, encoding="utf-8", newline="\\n"):
    sql += line
    if line.rstrip().endswith(";") and sqlite3.complete_statement(sql):
        db.execute(sql)
        sql = ""
sys.exit("the SQL ends within a statement" if sql.strip() else 0)
"""
"""Loads SQL into `data.db` and does nothing else. The program sqlite3 would also execute lines such
as `.shell rm`, and statements that write other files."""

_LOADER = f"/usr/bin/python3 -Ic {quote(_LOAD)}"
_EVERY = "select count(*) from sqlite_master where type = 'table'"
_INSERTED = r'^INSERT INTO ("([^"]|"")+"|[A-Za-z_][A-Za-z0-9_]*)'
_LOOK_S, _MOST_CHECKS = 60.0, 5
_LINE, _MEMORY_KB = 1000, 1 << 20
"""How much of a line is read, and how much memory each program may take that reads it: an adopted
dump may have one line of many gigabytes."""

_EMPTY = (
    "the newest dump does not contain any rows, so no drill can prove the data. Under "
    "`checks`, add a query whose answer you know"
)
_BY_HAND = "write a component of kind command for it by hand: docs/command.md"


_PATH_IS = "`path`, the directory of the data of the service, is for a recovery in place."
_NOT_LOADED = (
    "Each drill reads this file to its end, but does not load it, so no drill proves the data: "
)


_LOADS = (
    "write commands `restore` and `query` that load and query the data, and a check "
    "(docs/command.md)"
)


class _Way(NamedTuple):
    """How to restore a dump, and what can be asked then."""

    holds: str
    restore: list[str]
    query: list[str]
    check: dict[str, Any]


def recognise(file: DumpFile) -> FoundDump | None:
    """Implements `RecognisesOf`."""
    way = _way(file)
    if way is None:
        return None
    name = base_of(file.path.name.partition(".")[0]) or "data"
    checks = [{"kind": "sql", **way.check}]
    unseen = ""
    if file.inner.startswith(_SQL):
        tables = _filled(file)
        checks += [dict(rows_of(table, _sql(table))) for table in tables]
        if not tables:  # the tables alone would let a drill of an empty database pass
            checks, unseen = [], _EMPTY
    keys = (
        ("kind", "command"),
        ("#", _PATH_IS),
        ("restore", way.restore),
        ("query", way.query),
    )
    return FoundDump(name, way.holds, keys, checks, unseen=unseen)


def _filled(file: DumpFile) -> list[str]:
    """Return the first tables into which SQL of SQLite inserts rows."""
    unpack = f"{file.packed} --decompress --stdout" if file.packed else "cat"
    script = (
        f'ulimit -v {_MEMORY_KB}; {unpack} < "$1" | cut --bytes=1-{_LINE} '
        '| grep --text --only-matching --extended-regexp "$2" | uniq | head'
    )
    words = ["sh", "-c", script, "sh", str(file.path), _INSERTED]
    env = {"LC_ALL": "C.UTF-8", "XZ_DEFAULTS": "--threads=1"}  # each thread takes memory
    try:
        printed = process.run(Command(words, env=env, deadline_s=_LOOK_S)).stdout
    except DeadlineExceeded as error:
        raise NotSupported(
            f"drd could not find the tables in {escaped(str(file.path))} (SQL of a SQLite "
            f"database) within {_LOOK_S:.0f} s",
            hint="write the component and its checks by hand: docs/command.md",
        ) from error
    whole = [line for line in printed.splitlines() if len(line.encode()) < _LINE]
    inserted = [line.removeprefix("INSERT INTO ") for line in whole]
    names = [n[1:-1].replace('""', '"') if n.startswith('"') else n for n in inserted]
    internal = ("sqlite_sequence", "sqlite_stat1", "sqlite_stat4")
    return [n for n in dict.fromkeys(names) if n not in internal and n.isprintable()][:_MOST_CHECKS]


def _sql(name: str) -> str:
    return name if needs_no_quotes(name.lower()) else '"' + name.replace('"', '""') + '"'


def keep(name: str, packed: str, what: str, better: str = "") -> FoundDump:
    """Implements `KeepsOf`."""
    file = re.sub(r"\.(?:gz|bz2|xz|zst)$", "", name) if packed else name
    does = f"{packed} --decompress --stdout" if packed else "cat"
    restore = ["sh", "-c", f"{does} > {quote(f'./{file}')}".replace("${", "$${")]
    keys = (("kind", "command"), ("restore", restore))
    unseen = f"{what}. {_NOT_LOADED}{better + ', or ' if better else ''}{_LOADS}"
    return FoundDump(name, what, keys, (), unseen=unseen)


def unpack(archive: FoundDump) -> FoundDump:
    """Implements `UnpacksOf`."""
    values = {FILE: "${dump}", "${into}": "${path}"}
    words = list(archive.unpack)
    for name, value in values.items():
        words = [word.replace(name, value) for word in words]
    words[1:1] = ["--preserve-permissions", "--no-same-owner"]  # drills may not change owners
    keys = (("kind", "command"), ("#", _PATH_IS), ("restore", words))
    return archive._replace(keys=keys, unpack=())


def _way(file: DumpFile) -> _Way | None:
    unpack = f"{file.packed} --decompress --stdout" if file.packed else "cat"
    if file.packed and file.inner.startswith(_SQLITE):
        return _sqlite("a SQLite database", f"{unpack} > data.db", file)
    if file.inner.startswith(_SQL):
        return _sqlite("SQL of a SQLite database", f"{unpack} | {_LOADER}", file)
    if not file.packed and _BUNDLE.match(file.head):
        git = "--git-dir=${path}/repository.git"
        query = ["git", git, "rev-list", "--count", "${query}"]
        check = {"name": "there are commits", "query": "--all", "expect": "> 0"}
        restore = ["sh", "-c", _CLONE, "${dump}"]
        return _Way("a Git bundle", restore, query, check)
    for start, what in _OTHERS.items():
        if file.inner.startswith(start):
            raise NotSupported(what, hint=_BY_HAND)
    if _LDIF.match(file.inner):
        raise NotSupported("entries of an LDAP directory (LDIF)", hint=_BY_HAND)
    return None


def _sqlite(what: str, script: str, file: DumpFile) -> _Way:
    packed = f", packed with {file.packed}" if file.packed else ""
    restore = ["bash", "-c", f"set -o pipefail; {script}"]
    query = ["sqlite3", "-readonly", "${path}/data.db", "${query}"]
    return _Way(
        what + packed,
        restore,
        query,
        {"name": "there are tables", "query": _EVERY, "expect": "> 0"},
    )
