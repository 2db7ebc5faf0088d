"""Create the extensions of a saved database in an empty database whose owner may not do that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.manifest import EXTENSION_SCHEMAS
from drd.kinds.postgres.quoting import ident
from drd.kinds.postgres.server_text import as_stored, encoded

_OFFERED = """
SELECT v.name, v.schema, coalesce(v.requires, '{}')
  FROM pg_catalog.pg_available_extensions a JOIN pg_catalog.pg_available_extension_versions v
    ON v.name = a.name AND v.version = a.default_version
 WHERE v.name = ANY(%s)"""

_HAS_SCHEMA = b"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s"


def create(connection: Connection, saved: Mapping[str, Any], owner: str) -> None:
    """Create each extension in its saved schema, and the schemas that are missing, which then
    belong to `owner`. If no schema was saved for an extension, drd uses the schema that the
    server fixes for it, otherwise public. Raises psycopg.Error.
    """
    names = sorted(saved["extensions"])
    with as_stored(connection):
        offered = connection.execute(encoded(_OFFERED), [names]).fetchall()
        fixed = {name: schema for name, schema, _ in offered}
        order = TopologicalSorter({name: requires for name, _, requires in offered})
        for name in names:
            order.add(name)
        made: list[str] = []
        # Those that others need come first: CASCADE would make them in the schema of the others.
        for name in (name for name in order.static_order() if name in saved["extensions"]):
            schema = _saved_schema(name, saved) or fixed.get(name)
            schema = schema or ("public" if saved["has_public"] else None)
            if schema and not connection.execute(_HAS_SCHEMA, [schema]).fetchone():
                connection.execute(encoded(f"CREATE SCHEMA {ident(schema)}"))
                made.append(schema)
            where = f" SCHEMA {ident(schema)}" if schema else ""
            connection.execute(
                encoded(f"CREATE EXTENSION IF NOT EXISTS {ident(name)}{where} CASCADE")
            )
        for schema in made:  # only now: no code of the owner's is in reach of a superuser's scripts
            connection.execute(encoded(f"ALTER SCHEMA {ident(schema)} OWNER TO {ident(owner)}"))


def _saved_schema(name: str, saved: Mapping[str, Any]) -> str | None:
    schemas = saved.get(EXTENSION_SCHEMAS, {})
    return str(schemas[name][0]) if name in schemas else None


def schema_entries(saved: Mapping[str, Any]) -> frozenset[str]:
    """Return the entries of pg_restore's listing that would make these schemas again."""
    return frozenset(
        re.sub("[\n\r]", " ", f"SCHEMA - {schema} {owner}")
        for schema, owner in saved.get(EXTENSION_SCHEMAS, {}).values()
    )


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return sentences about extensions that are missing or in another schema."""
    missing = [
        f"extension {name} is missing"
        for name in sorted(saved["extensions"])
        if name not in now["extensions"]
    ]
    schemas = now.get(EXTENSION_SCHEMAS, {})
    return missing + [
        f"extension {name} is in schema {schemas[name][0]}, but in schema {schema} at backup"
        for name, (schema, _) in sorted(saved.get(EXTENSION_SCHEMAS, {}).items())
        if name in schemas and schemas[name][0] != schema
    ]


def notes(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return sentences about extensions whose version differs from the saved version: a server can
    only create the versions that it has.
    """
    return [
        f"extension {name} has version {now['extensions'][name]}, but {version} at backup"
        for name, version in sorted(saved["extensions"].items())
        if now["extensions"].get(name, version) != version
    ]


def left_out(saved: Mapping[str, Any]) -> str:
    """Return which properties of the extensions `create` does not restore."""
    if EXTENSION_SCHEMAS in saved or not set(saved["extensions"]) - {"plpgsql"}:
        return "comments of extensions"
    return (
        "comments of extensions, and their schemas: an older drd made this restore point and did "
        "not record them, so the extensions are in schema public"
    )
