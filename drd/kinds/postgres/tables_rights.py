"""Find out whether a target can receive tables: what its user may do there, and what would prevent
it."""

from __future__ import annotations

from drd.errors import TargetError
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.quoting import ident

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


def require_rights(inside: Connection, database: str, schema: str, *, made: bool) -> str:
    """Require that the user may put tables into a schema of this database, which drd makes if
    `made`; return the user. Raises TargetError."""
    row = inside.execute(_RIGHTS).fetchone()
    assert row is not None
    databases, schemas, user = row
    if not databases:
        raise TargetError(
            f"user {user} may not create databases, but drd needs a temporary database",
            hint=f"run as a superuser: ALTER ROLE {ident(user)} CREATEDB; or {_ANOTHER}",
        )
    if not schemas:
        raise TargetError(
            f"user {user} may not create schemas in {database}, but drd needs a temporary schema",
            hint=f"run as the owner of the database: GRANT CREATE ON DATABASE {ident(database)} "
            f"TO {ident(user)}; or {_ANOTHER}",
        )
    _require_schema(inside, schema, user, made=made)
    _require_unpublished(inside)
    return str(user)


def _require_schema(inside: Connection, schema: str, user: str, *, made: bool) -> None:
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
    if row is not None and not row[0]:
        raise TargetError(
            f"user {user} may not create tables in schema {schema}",
            hint=f"run as the owner of the schema: GRANT CREATE ON SCHEMA {ident(schema)} TO "
            f"{ident(user)}; or {_ANOTHER}",
        )


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
