"""Extract some tables of a dump into a schema of a working database.

First, everything of the dump is created there except rows and objects that act by themselves. So
everything that the tables need (types, functions, sequences) exists. Objects that cannot be created
are skipped, unless they belong to the tables. Their rows and indexes follow. Then dependencies on
other tables are removed, and the copy moves into a schema that is named after the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from drd.errors import TargetError
from drd.kinds.postgres.archive import Archive, ArchiveEntry, Trouble
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.fingerprint import split_name
from drd.kinds.postgres.naming import qualified
from drd.kinds.postgres.restore import first_error
from drd.kinds.postgres.server_text import encoded
from drd.model.text import noun
from drd.process import Completed

_NOT_BEFORE = (
    "EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA",
    "SUBSCRIPTION", "SUBSCRIPTION TABLE", "DEFAULT ACL", "SECURITY LABEL", "DATABASE",
    "DATABASE PROPERTIES", "BLOB", "BLOBS", "BLOB METADATA", "LARGE OBJECT", "USER MAPPING",
)  # fmt: skip
_AFTERWARDS = (
    "CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "INDEX ATTACH", "STATISTICS", "ROW SECURITY",
    "POLICY", "COMMENT",
)  # fmt: skip
FOREIGN_KEY = ("FK CONSTRAINT",)
_BELONGS = (
    *(k for k in _AFTERWARDS if k != "COMMENT"), "TABLE", "TABLE ATTACH", "DEFAULT", "SEQUENCE",
    "SEQUENCE OWNED BY", *FOREIGN_KEY,
)  # fmt: skip
"""Kinds of entries that must not be lost if they are about one of the tables."""

_FIND = """
SELECT c.oid::int8, c.relkind::text,
       EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                  AND d.deptype = 'e')
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = %s"""

_BELOW = """
WITH RECURSIVE below(oid) AS (
    SELECT %s::int8 UNION
    SELECT i.inhrelid::int8 FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relispartition)
SELECT c.oid::int8, n.nspname, c.relname, format('%%I.%%I', n.nspname, c.relname),
       pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()),
       pg_catalog.convert_to(c.relname::text, pg_catalog.getdatabaseencoding()),
       pg_catalog.convert_to(format('%%I.%%I', n.nspname, c.relname),
                             pg_catalog.getdatabaseencoding()),
       c.relkind::text, coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '')
  FROM below b JOIN pg_catalog.pg_class c ON c.oid = b.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY 2, 3"""

_OWNED = """
SELECT pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()),
       pg_catalog.convert_to(s.relname::text, pg_catalog.getdatabaseencoding())
  FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refobjid = ANY(%s) AND d.deptype IN ('a', 'i') ORDER BY 1, 2"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table in the working database. `source` is its name in the point, as the server prints it;
    `raw` has schema, name and the name in the bytes of the dump; `top`: the table was requested,
    and is not only a partition of a requested one.
    """

    oid: int
    schema: str
    name: str
    source: str
    raw: tuple[bytes, bytes, bytes]
    kind: str
    comment: str
    top: bool

    @property
    def listed(self) -> str:
        """Return the name in the form of listings, where nothing is quoted."""
        return f"{_printed(self.raw[0])} {_printed(self.raw[1])} "

    @property
    def spelled(self) -> str:
        """The name as in scripts and messages."""
        return _printed(self.raw[2])


@dataclass
class Extracted:
    """The content of the working database: the requested tables, under their names in the point;
    `owners` has the owner of each table, `notes` say what is not included, `left` are the
    statements that made the content.
    """

    relations: list[Relation]
    owners: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def oids(self) -> list[int]:
        return [r.oid for r in self.relations]


class Extraction:
    """Extracts tables from the archive into the database of `connection`, which is empty."""

    def __init__(
        self, archive: Archive, connection: Connection, jobs: int, on_tick: Callable[[], None]
    ) -> None:
        self._archive = archive
        self._connection = connection
        self._jobs = jobs
        self._on_tick = on_tick
        self._troubles: list[Trouble] = []

    def extract(self, tables: Sequence[str]) -> Extracted:
        """Extract the tables. Raises TargetError in the words of pg_restore."""
        before = self._archive.entries("--section=pre-data")
        self._what_can_be([e for e in before if not e.is_a(_NOT_BEFORE)])
        everything = list(self._relations(tables))
        extracted = Extracted([r for r in everything if r.kind in ("r", "p")])
        extracted.notes += [
            f"partition {r.source} is left out: its rows are on another server"
            for r in everything
            if r.kind not in ("r", "p")
        ]
        for relation in extracted.relations:
            extracted.owners[relation.oid] = _owner(before, relation)
        self._rows(extracted)
        after = self._archive.entries("--section=post-data")
        self._what_can_be([e for e in after if e.is_a(_AFTERWARDS)])
        keys = [e for e in after if e.is_a(FOREIGN_KEY)]
        self._foreign_keys(keys, extracted)
        extracted.notes += _left_behind(after, extracted.relations)
        acting = [f"{kind} {r.listed}" for kind in ("TRIGGER", "RULE") for r in extracted.relations]
        for entry in (e for e in after if e.text.startswith(tuple(acting))):
            extracted.left.append(statement(self._archive.script([entry])))
        self._require_whole(extracted.relations)
        return extracted

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(encoded(query), list(parameters) or None).fetchall()

    # the tables

    def _what_can_be(self, entries: Sequence[ArchiveEntry]) -> None:
        done, troubles = self._archive.restore_what_can_be(entries, self._on_tick)
        if done.exit_code != 0 and not troubles:
            raise _failed(done)
        self._troubles += troubles

    def _relations(self, tables: Sequence[str]) -> Iterator[Relation]:
        tops = [self._find(name) for name in tables]
        seen: set[int] = set()
        for top in tops:
            for oid, schema, name, source, *raw, kind, comment in self.rows(_BELOW, top):
                relation = Relation(
                    oid, schema, name, source, (raw[0], raw[1], raw[2]), kind, comment, oid == top
                )
                if relation.oid in seen or (relation.oid in tops and not relation.top):
                    raise TargetError(
                        f"table {relation.source} is a partition of another table that you named",
                        hint=f"leave out --table {relation.source}.",
                    )
                seen.add(relation.oid)
                yield relation

    def _find(self, table: str) -> int:
        schema, name = split_name(table)
        rows = self.rows(_FIND, schema, name)
        if not rows:
            said = next((t.said for t in self._about([qualified(schema, name)])), None)
            if said:
                raise TargetError(
                    f"table {table} could not be created: {said}",
                    hint="restore the whole database under another name (--into NAME, without "
                    "--table), and copy the table from there.",
                )
            raise TargetError(
                f"the dump in this restore point does not contain table {table}",
                hint="check the spelling and the schema, or choose another restore point.",
            )
        oid, kind, extension = rows[0]
        if extension or kind not in ("r", "p"):
            raise TargetError(
                f"{table} cannot be restored alone: "
                + ("it belongs to an extension" if extension else "it is not a table"),
                hint="restore the whole database beside this one: --into NAME without --table.",
            )
        return int(oid)

    def _about(self, names: Sequence[str]) -> Iterator[Trouble]:
        patterns = [re.compile(rf'(?<![\w"$.]){re.escape(n)}(?![\w"$])') for n in names]
        for trouble in self._troubles:
            if trouble.entry.is_a(_BELONGS) and any(p.search(trouble.said) for p in patterns):
                yield trouble

    def _require_whole(self, relations: Sequence[Relation]) -> None:
        for trouble in self._about([r.spelled for r in relations]):
            raise TargetError(
                f"an object that belongs to a table could not be created: {trouble.said}",
                hint="restore the whole database beside this one: --into NAME without --table.",
            )

    def _rows(self, found: Extracted) -> None:
        """Restore the rows of the tables, and the positions of their sequences."""
        wanted = [r.raw[:2] for r in found.relations if r.kind == "r"]
        sequences = [(s, n) for s, n in self.rows(_OWNED, found.oids)]
        entries: list[ArchiveEntry] = []
        for schema in sorted({s for s, _ in (*wanted, *sequences)}):
            names = [n for s, n in (*wanted, *sequences) if s == schema]
            words = [os.fsdecode(b"--table=" + name) for name in names]
            entries += self._archive.entries(
                "--section=data", f"--schema={os.fsdecode(schema)}", *words
            )
        held = [e for e in entries if e.is_a(("TABLE DATA",))]
        if len(held) != len(wanted):
            raise TargetError(
                f"the dump has the rows of only {len(held)} of {len(wanted)} tables",
                hint="choose another restore point. If the backup reads from a standby, "
                "it never contains the rows of unlogged tables: name only other "
                "tables.",
            )
        done = self._archive.restore(entries, self._jobs if len(held) > 1 else 1, self._on_tick)
        if done.exit_code != 0:
            raise _failed(done)

    def _foreign_keys(self, entries: Sequence[ArchiveEntry], found: Extracted) -> None:
        """Restore the foreign keys between the tables; return notes about the others."""
        ours = {r.spelled: r.source for r in found.relations}
        for entry in entries:
            if not _may_be_of(entry, found.relations):
                continue
            script = self._archive.script([entry])
            key = foreign_key(script)
            if key is None or key.table not in ours:
                continue
            if key.refers_to in ours:
                done = self._archive.restore([entry], 1, self._on_tick)
                if done.exit_code != 0:
                    raise _failed(done)
            else:
                found.notes.append(
                    f"foreign key {key.name} of {ours[key.table]} to {key.refers_to} is left "
                    "out: it would block changes of live rows"
                )
                found.left.append(statement(script))


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key; the names are as the server prints them."""

    name: str
    table: str
    refers_to: str


_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_KEY = re.compile(
    rf"ALTER TABLE (?:ONLY )?({_NAME}\.{_NAME})\s+ADD CONSTRAINT ({_NAME}) FOREIGN KEY "
    rf"\((?:{_NAME}(?:, )?|PERIOD )+\) REFERENCES ({_NAME}\.{_NAME})\("
)


def foreign_key(script: str) -> ForeignKey | None:
    """Parse the script that makes a foreign key."""
    match = _KEY.search(script)
    return ForeignKey(match[2], match[1], match[3]) if match else None


def statement(script: str) -> str:
    """Return the one statement of a script, in one line."""
    body = script.partition("\n-- Name: ")[2].partition("\n--\n")[2].partition("\n\n\n--")[0]
    return " ".join(body.split())


def _may_be_of(entry: ArchiveEntry, relations: Sequence[Relation]) -> bool:
    """Return whether an entry may be about the table, by the listing, which quotes nothing: it may
    be about another one as well.
    """
    return any(entry.text.startswith(f"FK CONSTRAINT {r.listed}") for r in relations)


def _printed(raw: bytes) -> str:
    """Return a name as pg_restore prints it and drd reads it here."""
    return re.sub(r"[\r\n]", " ", raw.decode("utf-8", "backslashreplace"))


def _owner(entries: Collection[ArchiveEntry], relation: Relation) -> str:
    start = f"TABLE {relation.listed}"
    return next((e.text[len(start) :] for e in entries if e.text.startswith(start)), "")


def _left_behind(entries: Sequence[ArchiveEntry], relations: Sequence[Relation]) -> list[str]:
    """Return notes about triggers and rules, which are left out: they would act on the copy as on
    the table.
    """
    notes = []
    for kind, word in (("TRIGGER", "trigger"), ("RULE", "rule")):
        for relation in relations:
            start = f"{kind} {relation.listed}"
            owner = f" {_owner_of(entries, start)}"
            names = [
                e.text[len(start) :].removesuffix(owner)
                for e in entries
                if e.text.startswith(start)
            ]
            if names:
                notes.append(
                    f"drd left out {noun(len(names), word)} {', '.join(names)} of "
                    f"{relation.source}: a copy for reading must not change other data"
                )
    return notes


def _owner_of(entries: Sequence[ArchiveEntry], start: str) -> str:
    """Return the last word of a listing's line: the owner, unless the name contains a blank."""
    return next((e.text.rpartition(" ")[2] for e in entries if e.text.startswith(start)), "")


def _failed(done: Completed) -> TargetError:
    return TargetError(
        f"pg_restore failed: {first_error(done)}",
        hint="correct the cause, then restore again. The target is unchanged, and drd "
        "drops the restored part.",
    )
