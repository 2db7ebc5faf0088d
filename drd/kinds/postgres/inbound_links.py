"""Objects that refer to tables of a restore point: a `DROP … CASCADE` of a table removed them,
too."""

from __future__ import annotations

from collections.abc import Iterator

from drd.kinds.postgres.archive import Archive
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.extract import FOREIGN_KEY, Extracted, foreign_key, statement
from drd.kinds.postgres.server_text import encoded
from drd.model.text import noun, some

_VIEWS = """
WITH RECURSIVE users(oid) AS (
    SELECT unnest(%s::int8[]) UNION
    SELECT r.ev_class::int8 FROM users u
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid = u.oid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid)
SELECT format('%%I.%%I', n.nspname, c.relname)
  FROM users u JOIN pg_catalog.pg_class c ON c.oid = u.oid AND c.relkind IN ('v', 'm')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY c.oid"""


def missing_foreign_keys(archive: Archive, live: Connection, extracted: Extracted) -> Iterator[str]:
    """Return the statements for foreign keys of live tables to the extracted ones."""
    ours = {relation.spelled for relation in extracted.relations}
    keys = [e for e in archive.entries("--section=post-data") if e.is_a(FOREIGN_KEY)]
    for piece in archive.script(keys).split("\n-- Name: ")[1:]:
        script = f"\n-- Name: {piece}"
        key = foreign_key(script)
        if key is None or key.refers_to not in ours or key.table in ours:
            continue
        if _is_there(live, key.table):
            yield statement(script)


def missing_views(working: Connection, live: Connection, extracted: Extracted) -> Iterator[str]:
    """Return a note about views that use the extracted tables and that the live database lacks.
    `working` has the definitions of the restore point."""
    rows = working.execute(encoded(_VIEWS), [extracted.oids]).fetchall()
    names = [name for (name,) in rows if not _is_there(live, name)]
    if names:
        yield (
            f"{noun(len(names), 'view')} {some(names)} of the restore point used the table and "
            f"{noun(len(names), 'does', 'do')} not exist now: if DROP … CASCADE removed "
            f"{noun(len(names), 'it', 'them')}, restore the whole database beside this one (--into "
            "NAME without --table), and copy the definition from there"
        )


def _is_there(live: Connection, name: str) -> bool:
    row = live.execute(b"SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [name]).fetchone()
    return row is not None and bool(row[0])
