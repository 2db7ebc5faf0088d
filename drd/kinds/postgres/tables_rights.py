"""Find out whether a target can receive tables: what its user may do there, and what would prevent
it."""

from __future__ import annotations

from collections.abc import Sequence

from drd.errors import TargetError
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.quoting import ident
from drd.kinds.postgres.target_rights import some_of

WHOLE = "restore the whole database beside this one: --into NAME without --table."

_RIGHTS = """
SELECT rolsuper OR rolcreatedb,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), rolname::text
  FROM pg_catalog.pg_roles WHERE rolname = current_user"""

_PUBLISHED = """
SELECT pubname::text FROM pg_catalog.pg_publication WHERE puballtables AND EXISTS (
    SELECT 1 FROM pg_catalog.pg_replication_slots
     WHERE slot_type = 'logical' AND database = pg_catalog.current_database()) LIMIT 1"""

_ANOTHER = "use a target whose dsn has a user with this right."


def require_rights(
    inside: Connection, database: str, schema: str, *, made: bool, refused: Sequence[str] = ()
) -> str:
    """Require that the user may put tables into a schema of this database, which drd makes if
    `made`; return the user. Raises TargetError, which also names the extensions that the user is
    `refused`."""
    row = inside.execute(_RIGHTS).fetchone()
    assert row is not None
    databases, schemas, user = row
    lacking: dict[str, str] = {}
    if not databases:
        lacking["create databases (drd needs a temporary one)"] = (
            f"ALTER ROLE {ident(user)} CREATEDB"
        )
    if not schemas:
        lacking[f"create schemas in {database} (drd needs a temporary one)"] = (
            f"GRANT CREATE ON DATABASE {ident(database)} TO {ident(user)}"
        )
    if not _may_use(inside, schema, made=made):
        lacking[f"create tables in schema {schema}"] = (
            f"GRANT USAGE, CREATE ON SCHEMA {ident(schema)} TO {ident(user)}"
        )
    if lacking:
        statements = "; ".join(lacking.values())
        if refused:
            statements += (
                f"; and if the table needs {some_of('extension', refused)}, which only a superuser "
                f"may create: ALTER ROLE {ident(user)} SUPERUSER"
            )
        raise TargetError(
            f"user {user} may not {', '.join(lacking)}",
            hint=f"run in database {database} as a superuser: {statements}; or {_ANOTHER}",
        )
    _require_unpublished(inside)
    return str(user)


def _may_use(inside: Connection, schema: str, *, made: bool) -> bool:
    """Return whether the user may create tables in the schema; true also if the recovery itself
    creates the schema. Raises TargetError if the schema must exist, and does not."""
    row = inside.execute(
        "SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace"
        " WHERE nspname = %s",
        [schema],
    ).fetchone()
    if row is None and not made:
        raise TargetError(
            f'schema "{schema}", which should receive the table, does not exist',
            hint="create the schema, or give --into SCHEMA.NAME with an existing schema.",
        )
    return row is None or bool(row[0])


def _require_unpublished(inside: Connection) -> None:
    """Refuse a database whose tables are all published: subscribers stop at the first row of a
    table that they do not have.
    """
    row = inside.execute(_PUBLISHED).fetchone()
    if row is not None:
        raise TargetError(
            f"publication {row[0]} sends all tables to subscribers, and replication would "
            "stop at a table that a subscriber lacks",
            hint=WHOLE,
        )
