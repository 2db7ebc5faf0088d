"""PostgreSQL: one database of a server, dumped with pg_dump."""

from collections.abc import Mapping
from typing import Any

from drd.kinds.postgres import dsn
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.model.source_version import SourceVersion
from drd.ports.kinds import Ability, Compared, Holds, KeyUse, KindSpec, Starting


def _fingerprints(settings: PostgresSettings) -> bool:
    return settings.fingerprint.mode != "off"


def _version(facts: Mapping[str, Any]) -> SourceVersion:
    return SourceVersion(str(facts.get("server_major", "")), str(facts.get("server_version", "")))


def _database(settings: PostgresSettings) -> str:
    return dsn.database(settings.dsn)


SPEC = KindSpec(
    name="postgres",
    settings=PostgresSettings,
    target=PostgresTarget,
    adapter="drd.kinds.postgres.kind:PostgresKind",
    holds=Holds.TABLES,
    can=frozenset(Ability) - {Ability.DATABASES, Ability.LOG, Ability.INSTANT},
    freezes=True,
    comparison="rows",
    compared=Compared(
        ("tables", "rows", "names of views", "properties of the database"),
        (
            "columns",
            "definitions of views",
            "constraints and foreign keys",
            "indexes",
            "triggers",
            "functions",
            "rights",
        ),
        "restore a copy with `drd recover {plan} --in-place --component {component} "
        "--point {point} --into NAME`, and compare the output of `pg_dump --schema-only` "
        "of both databases",
    ),
    values={"host": "PGHOST", "port": "PGPORT", "database": "PGDATABASE", "user": "PGUSER"},
    properties=True,
    host=dsn.host,
    sockets=dsn.sockets,
    families=("AF_UNIX",),
    fingerprints=_fingerprints,
    version=_version,
    is_source=dsn.is_source,
    server_user="postgres",
    keys={
        "dsn": KeyUse.CONNECTS,
        "method": KeyUse.HARMLESS,
        "compression": KeyUse.HARMLESS,
        "fingerprint": KeyUse.HARMLESS,
    },
    target_keys={"dsn": KeyUse.CONNECTS},
    connection_stays_here="drd.kinds.postgres.local:stays_here",
    by_hand="drd.kinds.postgres.by_hand:by_hand",
    grants="drd.kinds.postgres.grants:grants",
    programs={"postgresql-client": ("psql", "pg_restore")},
    starting=Starting(
        "drd.kinds.postgres.discovery:wishes", find="drd.kinds.postgres.discovery:found"
    ),
    adopts="drd.kinds.postgres.adopted:adopts",
    adopts_server="drd.kinds.postgres.adopted:adopts_server",
    served_as=_database,
    recognises="drd.kinds.postgres.dump_file:recognise",
    begins=b"PGDMP",
    first_checks="drd.kinds.postgres.first_checks:first_checks",
)
