"""Suggest database files for a new plan: named files, or files that services have open."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from drd import modes
from drd.errors import UsageError
from drd.exhaustion import system_reason
from drd.kinds.file_system import STANDBY, named_path
from drd.kinds.open_files import units_using
from drd.kinds.sqlite import SPEC
from drd.kinds.sqlite.shared_directory import SIDE_FILES
from drd.model.text import some
from drd.ports.kinds import Wish
from drd.process.open_files import OWN_UNIT, FileUser, written_files

TEMPORARY = ("/tmp/", "/var/tmp/", "/run/", "/dev/shm/", "/var/cache/")  # noqa: S108
SYSTEMD = Path("/run/systemd/system")
"""A directory that exists where systemd runs (sd_booted)."""

_HEAD = SPEC.begins
_STATE = "in which drd keeps its own state"
_ADD = "; add what you need with --sqlite"


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each path. Raises UsageError for a file that is no database."""
    return [_wish(path) for path in dict.fromkeys(map(_file, given))]


def _wish(path: str) -> Wish:
    def keys(_: Sequence[str], __: str) -> Iterator[tuple[str, Any]]:
        yield "path", path

    def target(name: str) -> Iterator[tuple[str, Any]]:
        yield "path", f"{STANDBY}/{name}{Path(path).suffix}"

    live = tuple(path + end for end in ("", *SIDE_FILES))
    units = units_using(live)
    where = f"{path} (open by {', '.join(units)})" if units else path
    return Wish(Path(path).stem, "sqlite", keys, live=live, target=target, units=units, where=where)


def found() -> tuple[list[Wish], list[str]]:
    """Suggest the databases that services on this host have open for writing, unless they are
    temporary or drd's own. Reads only the first bytes of each file, which show that it is a
    database.
    """
    databases: list[str] = []
    apart: dict[str, list[str]] = {}
    for path, users in sorted(written_files().items()):
        if not _is_database(path):
            continue
        if (why := _why_left_out(path, users)) is None:
            databases.append(path)
        else:
            apart.setdefault(why, []).append(path)
    notes = [
        f"SQLite files {why}: {some(paths)}{'' if why == _STATE else _ADD}."
        for why, paths in apart.items()
    ]
    if os.geteuid() != 0:
        notes.append("SQLite files of services: only root can see which files services have open.")
    return [_wish(path) for path in databases], notes


def _why_left_out(path: str, users: Sequence[FileUser]) -> str | None:
    if path.startswith(TEMPORARY):
        return "in temporary places"
    if all(user.name == "drd" or user.unit == OWN_UNIT for user in users):
        return _STATE
    return None if _of_service(path, users) else "open by programs that no service runs"


def _of_service(path: str, users: Sequence[FileUser]) -> bool:
    """Without systemd nobody knows what is a service: then every program is one, unless it keeps
    the file in a hidden directory.
    """
    if SYSTEMD.exists():
        return any(user.unit for user in users)
    return "/." not in path


def _is_database(path: str) -> bool:
    with suppress(OSError):
        return modes.read_regular(Path(path), len(_HEAD)) == _HEAD
    return False


def _file(path: str) -> str:
    absolute = named_path(path)
    try:
        with open(absolute, "rb") as file:  # noqa: PTH123
            head = file.read(len(_HEAD))
    except OSError as error:
        reason = system_reason(error)
        raise UsageError(
            f"cannot read {absolute}: {reason}", hint="run this command as the owner of the file."
        ) from None
    if head != _HEAD:
        hint = "give the file of a database; use --files for other files."
        raise UsageError(f"{absolute} is not a SQLite database", hint=hint)
    return absolute
