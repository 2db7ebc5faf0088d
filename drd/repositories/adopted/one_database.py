"""Keep the dumps of one database apart from dumps of other databases in the same list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from drd.model.text import escaped, shortened, some
from drd.ports.adopted import ForeignCopies, ForeignCopy
from drd.repositories.adopted import pg_archive

_LONGEST = 60


def database_in(dump: Path) -> str:
    """Return the database that an archive on this host names; empty if it names none."""
    with suppress(OSError), dump.open("rb") as file:
        origin = pg_archive.origin(file)
        return origin.database if origin is not None else ""
    return ""


def named(found: Mapping[str, str]) -> str:
    """Return databases in words, each with the name of one of its dumps."""
    return some([f"{shown(database)} ({name})" for database, name in found.items()])


def shown(database: str) -> str:
    """Return a database's name, which comes from a dump, escaped and shortened for a message."""
    return escaped(shortened(database, _LONGEST))


def of_one_database(
    found: ForeignCopies, file_of: Callable[[ForeignCopy], Path | None], wanted: str
) -> ForeignCopies:
    """Refuse the copies that are dumps of other databases than `wanted`. If the copies are dumps of
    several databases, and none of them is `wanted`, refuse all copies that name a database."""
    of = {copy.id: database_in(file) for copy in found.copies if (file := file_of(copy))}
    names = {of[c.id]: c.name for c in found.copies if of.get(c.id)}
    if len(names) < 2:
        return found
    why = (
        f"the plan's `dsn` names {shown(wanted)}"
        if wanted in names
        else f"the list has dumps of {len(names)} databases, {named(names)}, and the plan's `dsn` "
        "names none of these"
    )
    refused = dict(found.refused)
    sound = []
    for copy in found.copies:
        database = of.get(copy.id, "")
        if not database or database == wanted:
            sound.append(copy)
        else:
            refused[f"copy {copy.name}"] = (
                f"it is a dump of database {shown(database)}, but {why}. Let `list` leave out the "
                "dumps of other databases"
            )
    return replace(found, copies=sound, refused=refused)
