"""Move finished copies of tables into place in one transaction, and recognise them again.

A copy has the run's mark at the end of its comment until the run has finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg

from drd.errors import TargetNotEmpty
from drd.kinds.postgres import database
from drd.kinds.postgres.connection import Connection, words
from drd.kinds.postgres.detach_tables import Copies, TableCopy
from drd.kinds.postgres.quoting import grantee, ident, literal
from drd.kinds.postgres.server_text import as_spelled, encoded

_TAKEN = """
SELECT c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s
UNION
SELECT t.typname FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = %(schema)s
UNION
SELECT x.stxname FROM pg_catalog.pg_statistic_ext x
  JOIN pg_catalog.pg_namespace n ON n.oid = x.stxnamespace WHERE n.nspname = %(schema)s"""

_GIVEN = """
SELECT DISTINCT CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END
  FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
 WHERE c.oid = %s::pg_catalog.regclass AND a.grantee <> c.relowner"""

_COMMENT = "SELECT pg_catalog.obj_description(pg_catalog.to_regclass(%s), 'pg_class')"


@dataclass(frozen=True, slots=True)
class PlacedTables:
    """What a run has put in place. `sources` maps each copy's name in SQL to the table of the
    point. `comparable`: digests of the point can be compared there.
    """

    sources: Mapping[str, str]
    comparable: bool = True


def taken_names(connection: Connection, schema: str) -> set[str]:
    """Return the names that a new table, index or sequence cannot have there."""
    with as_spelled(connection):
        rows = connection.execute(_TAKEN.encode(), {"schema": schema}).fetchall()
    return {str(name) for (name,) in rows}


def put_in_place(
    connection: Connection, working: str, schema: str, copies: Copies, *, run: str, with_owner: bool
) -> list[str]:
    """Move everything out of the working schema; return sentences about what could not be set.
    Raises TargetNotEmpty if a name was taken meanwhile, and psycopg.Error; then nothing has
    changed.
    """
    notes: list[str] = []

    def do(statement: str) -> None:
        connection.execute(encoded(statement))

    try:
        with as_spelled(connection), connection.transaction():
            if not connection.execute(
                "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", [schema]
            ).fetchone():
                do(f"CREATE SCHEMA {ident(schema)}")
                notes.append(f"schema {schema} was created")
            for copy in copies.tables:
                do(f"ALTER TABLE {_place(working, copy.name)} SET SCHEMA {ident(schema)}")
            for name in copies.statistics:
                do(f"ALTER STATISTICS {_place(working, name)} SET SCHEMA {ident(schema)}")
            for copy in copies.tables:
                do(_comment(schema, copy.name, database.marked(copy.comment, run)))
            do(f"DROP SCHEMA {ident(working)}")
            notes += _hand_over(connection, schema, copies) if with_owner else []
    except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject) as error:
        raise TargetNotEmpty(
            f"another session has just created an object with the name of the copy: {words(error)}",
            hint="give --into a name that is not in use: drd does not replace an existing table.",
        ) from error
    return notes


def _hand_over(connection: Connection, schema: str, copies: Copies) -> Iterator[str]:
    """Set owners and grants as in the point, if the roles exist here and this user may."""
    for copy in copies.tables:
        for (other,) in connection.execute(_GIVEN.encode(), [_place(schema, copy.name)]).fetchall():
            # Default privileges have given what the point does not say.
            connection.execute(
                encoded(f"REVOKE ALL ON {_place(schema, copy.name)} FROM {grantee(str(other))}")
            )
    lost: dict[str, None] = {}
    for grant in copies.grants:
        why = _try(connection, grant.sql(schema))
        if why is not None:
            lost[f"{grant.privilege} to {grant.to or 'PUBLIC'} ({why})"] = None
    if lost:
        yield f"drd could not give these grants on the copy: {'; '.join(lost)}"
    for copy in copies.tables:
        yield from _give(connection, schema, copy)


def _give(connection: Connection, schema: str, copy: TableCopy) -> Iterator[str]:
    if not copy.owner or copy.owner == connection.info.user:
        return
    why = _try(connection, f"ALTER TABLE {_place(schema, copy.name)} OWNER TO {ident(copy.owner)}")
    if why is not None and copy.top:
        yield f"{copy.name} belongs to {connection.info.user}, not to {copy.owner}: {why}"


def _try(connection: Connection, statement: str) -> str | None:
    """Run a statement; returns why it failed, None if it did not."""
    try:
        with connection.transaction():
            connection.execute(encoded(statement))
    except psycopg.Error as error:
        if connection.closed or connection.broken:
            raise
        return words(error)
    return None


def placed_before(connection: Connection, placed: PlacedTables | None, run: str) -> bool:
    """Return the copies that this run has already put in place."""
    if placed is None or not placed.sources:
        return False
    mark = database.marked("", run)
    return all(_comment_on(connection, name).endswith(mark) for name in placed.sources)


def clear(
    connection: Connection, working: str, placed: PlacedTables | None = None, run: str = ""
) -> None:
    """Drop the run's working schema, and remove the run's mark from the tables in their final
    place."""
    connection.execute(encoded(f"DROP SCHEMA IF EXISTS {ident(working)} CASCADE"))
    for name in placed.sources if placed is not None else ():
        said = _comment_on(connection, name)
        if said.endswith(database.marked("", run)):
            text = database.without_mark(said)
            connection.execute(
                encoded(f"COMMENT ON TABLE {name} IS {literal(text) if text else 'NULL'}")
            )


def _comment_on(connection: Connection, name: str) -> str:
    row = connection.execute(_COMMENT, [name]).fetchone()
    return str(row[0] or "") if row else ""


def _comment(schema: str, name: str, text: str) -> str:
    return f"COMMENT ON TABLE {_place(schema, name)} IS {literal(text)}"


def _place(schema: str, name: str) -> str:
    return f"{ident(schema)}.{ident(name)}"
