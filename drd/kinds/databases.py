"""Find a single database of a copied server, or tables in it, by the names that a person gives.

This module has what is the same for all kinds of servers. A subclass knows how its kind writes
names."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from shlex import quote
from typing import Any, Literal, TypeVar

from drd.errors import NotInPoint, TargetError, UsageError
from drd.model.single_item import Part, hint_of_names, near
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint
from drd.model.text import either, escaped, some

Mode = Literal["counts", "digest"]
"""What a fingerprint contains for each table: the number of its rows, or also a digest of them."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Dumped:
    """What a recovery elsewhere restores. The snapshot and its private part contain what the server
    says of the database, whose dump is stored; `reached` is how far the log went, `notes` what to
    report."""

    snapshot: ComponentSnapshot
    private: Mapping[str, Any]
    reached: str
    notes: tuple[str, ...]
    data_time: datetime | None = None
    overtaken: bool = False

    @property
    def replayed(self) -> Mapping[str, Any]:
        """The fields of `Restored` that say how far the server replayed its log."""
        return {
            "reached": self.reached,
            "data_time": self.data_time,
            "overtaken": self.overtaken,
        }


class Databases(ABC):
    """Finds the database and the tables that a person named, in a restore point of a server. A
    subclass knows how its kind writes names."""

    @abstractmethod
    def split(self, table: str) -> tuple[str | None, str]:
        """Return the database that the typed name of a table contains, None if there is none, and
        the rest of the name as it was typed."""

    @abstractmethod
    def prefix(self, database: str) -> str:
        """Return what the name of a table of this database begins with in a fingerprint of the
        server."""

    @abstractmethod
    def is_of_server(self, database: str) -> bool:
        """Return whether the database is one that every server has of its own."""

    @abstractmethod
    def new_name(self, text: str) -> str:
        """Return `text` as the name of a database that drd will create. Raises UsageError if a
        database cannot have this name."""

    @abstractmethod
    def resolve(self, part: Part, known: DatabaseFingerprint | None, where: str) -> Part:
        """Return the part with its tables named as in the fingerprint of their database; as they
        were typed if there is none. Raises UsageError."""

    def properties(
        self,
        known: Fingerprint | None,  # noqa: ARG002 - most fingerprints have none
        database: str,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Return the properties of one database, in the form that a server's properties have."""
        return {}

    def narrow(self, snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
        """Implements `Kind.narrow`. The returned fingerprint names tables without the database, as
        the fingerprint of a dump does."""
        if part.is_whole:
            return part, snapshot
        known = snapshot.fingerprint
        asked = self.named(part, partial(self._candidates, snapshot, part))
        name = str(asked.database)
        _require_database(name, snapshot)
        inside = DatabaseFingerprint("off")
        if isinstance(known, DatabaseFingerprint):
            inside = self.within(known, name)
        if not asked.tables:
            return asked, replace(snapshot, fingerprint=inside)
        where = f"{snapshot.component}, database {escaped(name)},"
        of_point = None if inside.mode == "off" else inside
        resolved = replace(self.resolve(asked, of_point, where), database=name)
        return resolved, replace(snapshot, fingerprint=inside.only(resolved.tables))

    def named(self, part: Part, candidates: Callable[[], Collection[str]] = list) -> Part:
        """Return the part with the database as `database`, and with names of tables that do not
        contain it. `candidates` returns the databases that may be meant if none is named. Raises
        UsageError."""
        database, inside = part.database, []
        for asked in part.tables:
            own, rest = self.split(asked)
            if own is not None:
                if database not in (None, own):
                    raise UsageError(
                        f"--table {asked} names a table of database {own}, not of {database}",
                        hint="run one command for each database.",
                    )
                database = own
            inside.append(rest)
        if database is None:
            quoted = [quote(name) for name in sorted(candidates())]
            hint = f"give --database {either(quoted)}." if quoted else "add --database NAME."
            raise UsageError(
                f"--table {part.tables[0]} does not name a database, and the server has several",
                hint=hint,
            )
        if not inside:
            self._require_place(database, part.into)
        return Part(tuple(inside), (), part.into, database)

    def _require_place(self, database: str, into: str | None) -> None:
        """Raise UsageError if the restored database cannot have its new name."""
        if into is not None:
            if self.new_name(into) == database:
                raise UsageError(
                    f"--into {into} is the name of the database itself",
                    hint="give another name; or leave out --into: with --overwrite, drd replaces "
                    "the database, and keeps a copy of what it replaces.",
                )
        elif self.is_of_server(database):
            raise UsageError(
                f"drd does not replace database {database}: every server has this database",
                hint="restore it under another name: --into NAME.",
            )

    def _candidates(self, snapshot: ComponentSnapshot, part: Part) -> list[str]:
        """Return the databases that have all tables of the part; none if drd does not know it.
        Raises NotInPoint if no database has them, and UsageError if one has them, and drd cannot
        restore them as they were asked for."""
        known = snapshot.fingerprint
        if not isinstance(known, DatabaseFingerprint) or part.database is not None:
            return []
        candidates, unusable = [], None
        for name in snapshot.facts["databases"]:
            inside = self.within(known, name)
            try:
                self.resolve(replace(part, into=part.into or "x"), inside, snapshot.component)
            except NotInPoint:
                continue
            except UsageError as error:
                unusable = unusable or error
                continue
            candidates.append(name)
        if unusable is not None and not candidates:
            raise unusable
        if not candidates and not known.not_reached:
            raise NotInPoint(
                f"no database of component {snapshot.component} in this restore point contains "
                f"table {', '.join(map(escaped, part.tables))}",
                hint="check the name; or give --database NAME to see which names are similar.",
            )
        return candidates

    def within(self, known: DatabaseFingerprint, name: str) -> DatabaseFingerprint:
        """Return the part of a server's fingerprint for one database, without the database in
        names."""
        prefix = self.prefix(name)
        if known.mode == "off" or prefix.removesuffix(".") in known.not_reached:
            return DatabaseFingerprint("off")

        def inside(of: Mapping[str, Value]) -> dict[str, Value]:
            return {n.removeprefix(prefix): v for n, v in of.items() if n.startswith(prefix)}

        leaves = inside(known.partitioned)
        return DatabaseFingerprint(
            known.mode,
            inside(known.tables),
            inside(known.not_reached),
            self.properties(known, name),
            partitioned={n: tuple(p.removeprefix(prefix) for p in ps) for n, ps in leaves.items()},
            others=inside(known.others),
            damaged=frozenset(inside(dict.fromkeys(known.damaged))),
        )

    def alone(self, known: Fingerprint, name: str) -> DatabaseFingerprint | None:
        """Return the part of a server's fingerprint for one database; names keep the database.
        None if the server did not have this database."""
        assert isinstance(known, DatabaseFingerprint)
        prefix = self.prefix(name)

        def of_it(of: Mapping[str, Value]) -> dict[str, Value]:
            whole = prefix.removesuffix(".")
            return {n: v for n, v in of.items() if n.startswith(prefix) or n == whole}

        saved = self.properties(known, name)
        part_of_it = DatabaseFingerprint(
            known.mode,
            of_it(known.tables),
            of_it(known.not_reached),
            saved,
            partitioned=of_it(known.partitioned),
            others=of_it(known.others),
            damaged=frozenset(of_it(dict.fromkeys(known.damaged))),
        )
        return part_of_it if saved or part_of_it.tables or part_of_it.not_reached else None


def mode_of(like: DatabaseFingerprint) -> Mode:
    """Return the mode in which drd describes tables to compare them with a fingerprint."""
    return "digest" if like.mode == "digest" else "counts"


def parts_of(text: str, part: re.Pattern[str]) -> list[re.Match[str]]:
    """Split a name at its dots. Each match of `part` is one part of the name; empty if the text is
    not a name."""
    matches: list[re.Match[str]] = []
    at = 0
    while (match := part.match(text, at)) is not None:
        matches.append(match)
        if match.end() == len(text):
            return matches
        if text[match.end()] != ".":
            break
        at = match.end() + 1
    return []


def require_in(names: Collection[str], name: str) -> None:
    """Raise TargetError if a server, in the state to which drd restored it, has no such
    database."""
    if name not in names:
        close = near(name, names, separator=".")
        raise TargetError(
            f"the server had no database {escaped(name)} at the time to which drd restored it",
            hint=hint_of_names(close)
            or f"name a database that the server had: {some(list(map(escaped, names)), 10)}.",
        )


def _require_database(name: str, snapshot: ComponentSnapshot) -> None:
    names = snapshot.facts["databases"]
    if name in names:
        return
    close = near(name, names, separator=".")
    raise NotInPoint(
        f"this restore point of component {snapshot.component} does not contain database {name}",
        hint=hint_of_names(close)
        or f"check the name: the restore point contains {some(sorted(names), 10)}.",
    )
