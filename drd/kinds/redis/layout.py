"""Which files a server reads when it starts.

A server with `appendonly yes` reads its append-only files only, and ignores dump.rdb: if there are
none, it starts without data, and later replaces dump.rdb by its empty state. Since Redis 7 these
files are in a directory with an index, and their base may be an RDB file. Before, it was one file,
which could begin with an RDB file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from drd.kinds.publish import is_nothing
from drd.kinds.redis.manifest import AOF_DIRECTORY, AOF_NAME, DUMP
from drd.kinds.redis.rdb import MalformedRdb, read
from drd.model.snapshot import ComponentSnapshot

USERS = "users.acl"
_SMALL = 4096
"""An RDB file without keys is smaller."""


class Layout(NamedTuple):
    """The files of a recovery: the RDB file, the append-only files of a server that uses them, and
    the users of its ACLs. `others` are append-only files that such a server would read instead."""

    dump: Path
    aof: Path | None = None
    users: Path | None = None
    aof_is_directory: bool = True
    aof_name: str = AOF_NAME
    others: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls,
        snapshot: ComponentSnapshot,
        directory: Path,
        appendonly: bool | None,
        own_file: Path | None,
    ) -> Layout:
        """Return the layout for a snapshot; with `own_file` no server reads it."""
        facts = snapshot.facts
        if own_file is not None:
            return cls(own_file, users=users_beside(own_file) if facts["users"] else None)
        in_directory = facts["product"] != "redis" or not _is_before_7(facts["version"])
        name = facts["aof_directory"] if in_directory else facts["aof_name"]
        uses = facts["appendonly"] if appendonly is None else appendonly
        aof = directory / name
        return cls(
            directory / facts["dump"],
            aof if uses else None,
            directory / USERS if facts["users"] else None,
            in_directory,
            facts["aof_name"],
            () if uses else (directory / facts["aof_directory"], directory / facts["aof_name"]),
        )

    @property
    def base_name(self) -> str:
        return f"{self.aof_name}.1.base.rdb"

    @property
    def index_name(self) -> str:
        return f"{self.aof_name}.manifest"

    @property
    def index_text(self) -> str:
        return f"file {self.base_name} seq 1 type b\n"

    def contradicted_by(self) -> Path | None:
        """Return existing append-only files, which the server would read instead of the restored
        file; None if there are none."""
        return next((path for path in self.others if _has_content(path)), None)


def users_beside(own_file: Path) -> Path:
    """Return the file for the users beside an RDB file of another name."""
    return own_file.with_name(f"{own_file.name}.acl")


def every_place(directory: Path, snapshot: ComponentSnapshot | None) -> list[Path]:
    """Return the places that a recovery may have replaced, in the order in which it did."""
    facts = snapshot.facts if snapshot is not None else {}
    names = (
        USERS,
        facts.get("dump", DUMP),
        facts.get("aof_directory", AOF_DIRECTORY),
        facts.get("aof_name", AOF_NAME),
    )
    return [directory / name for name in names]


def holds_data(path: Path) -> bool:
    """Return whether a place contains data that somebody may need again. The file of a server
    without keys does not count."""
    if not os.path.lexists(path) or not _has_content(path):
        return False
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _SMALL:
        return True
    try:
        return not read(path).is_empty
    except (MalformedRdb, OSError):
        return True


def _has_content(path: Path) -> bool:
    return os.path.lexists(path) and not is_nothing(path)


def _is_before_7(version: str) -> bool:
    first = version.partition(".")[0]
    return first.isdecimal() and int(first) < 7
