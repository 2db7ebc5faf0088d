"""The triggers that keep the chain of records: they refuse each change of an entry and of a body,
whatever program writes. A body may only be removed after a signed redaction of its entry.

They prevent mistakes. They do not stop the owner of the file, who can remove them first; `drd
records verify` finds such a change."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

_KEPT = "drd never changes or removes entries of its records"
_ORDER = "entries of the records are added at the end only"
_BODY = "a body is only removed after a signed redaction of its entry (drd records redact)"

_REDACTED = (
    "EXISTS (SELECT 1 FROM records WHERE kind = 'redaction' AND signature <> '' "
    "AND subject = 'entry:' || OLD.seq)"
)

_NOT_OPENED = "OLD.salt <> 'sealed' OR NEW.salt = 'sealed' OR NEW.seq <> OLD.seq"
"""A body that was restored encrypted may be replaced by its decrypted text: its digest shows that
it is the right one."""

_RULES = (
    ("records_update", "UPDATE", "records", "", _KEPT),
    ("records_delete", "DELETE", "records", "", _KEPT),
    (
        "records_order",
        "INSERT",
        "records",
        "NEW.seq <= (SELECT coalesce(max(seq), 0) FROM records)",
        _ORDER,
    ),
    ("record_bodies_update", "UPDATE", "record_bodies", _NOT_OPENED, _BODY),
    ("record_bodies_delete", "DELETE", "record_bodies", f"NOT {_REDACTED}", _BODY),
    (
        "record_bodies_once",
        "INSERT",
        "record_bodies",
        "EXISTS (SELECT 1 FROM record_bodies WHERE seq = NEW.seq)",
        _BODY,
    ),
)


_TRUNCATES = ("records_truncate", "record_bodies_truncate")
_OF_RECORDS = ("records_truncate", *(rule[0] for rule in _RULES if rule[2] == "records"))
_IN_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
_IN_POSTGRESQL = (
    "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND tgrelid IN "
    "(to_regclass('records'), to_regclass('record_bodies'))"
)


def statements(dialect: str) -> Iterator[str]:
    """The statements that make all the triggers, in `sqlite` or `postgresql`."""
    yield from _postgresql() if dialect == "postgresql" else _sqlite()


def missing(connection: Connection) -> list[str]:
    """Return the names of the triggers that somebody removed or switched off."""
    is_sqlite = connection.dialect.name == "sqlite"
    rows = connection.execute(text(_IN_SQLITE if is_sqlite else _IN_POSTGRESQL))
    there = {str(name) for (name,) in rows}
    wanted = [rule[0] for rule in _RULES]
    return sorted({*wanted, *(() if is_sqlite else _TRUNCATES)} - there)


def restore(connection: Connection) -> list[str]:
    """Make the triggers that are missing again, and return their names."""
    dialect, gone = connection.dialect.name, missing(connection)
    if not gone:
        return []
    for name in gone if dialect == "postgresql" else ():  # one that is switched off is there
        table = "records" if name in _OF_RECORDS else "record_bodies"
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name} ON {table}")
    for statement in statements(dialect):
        is_wanted = any(f"CREATE TRIGGER {name} " in statement for name in gone)
        if is_wanted or statement.startswith("CREATE OR REPLACE FUNCTION "):
            connection.execute(text(statement.replace(":", "\\:")))
    return gone


def statements_of_opening(dialect: str) -> Iterator[str]:
    """Return the statements that let a database from before version 0017 replace encrypted bodies
    by the decrypted ones."""
    name = "record_bodies_update"
    yield f"DROP TRIGGER {name}" + (" ON record_bodies" if dialect == "postgresql" else "")
    yield next(s for s in statements(dialect) if f"TRIGGER {name} " in s)


def _sqlite() -> Iterator[str]:
    for name, operation, table, when, why in _RULES:
        condition = f" WHEN {when}" if when else ""
        yield (
            f"CREATE TRIGGER {name} BEFORE {operation} ON {table}{condition} "
            f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        )


def _postgresql() -> Iterator[str]:
    yield """CREATE OR REPLACE FUNCTION drd_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0];
END $$"""
    for name, operation, table, when, why in _RULES:
        if "SELECT" not in when:
            condition = f"WHEN ({when}) " if when else ""
            yield (
                f"CREATE TRIGGER {name} BEFORE {operation} ON {table} FOR EACH ROW "
                f"{condition}EXECUTE FUNCTION drd_append_only('{why}')"
            )
            continue
        # A condition of a trigger may not contain a query in PostgreSQL.
        row = "OLD" if operation == "DELETE" else "NEW"
        yield f"""CREATE OR REPLACE FUNCTION drd_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {when} THEN RAISE EXCEPTION '%', '{why}'; END IF;
  RETURN {row};
END $$"""
        yield (
            f"CREATE TRIGGER {name} BEFORE {operation} ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION drd_{name}()"
        )
    for table in ("records", "record_bodies"):
        yield (
            f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION drd_append_only('{_KEPT}')"
        )
