"""MariaDB and MySQL: one database of a server, dumped with mariadb-dump or mysqldump."""

from collections.abc import Mapping
from typing import Any

from drd.kinds.mariadb import dsn
from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget
from drd.model.source_version import SourceVersion
from drd.ports.kinds import WHOLE, Ability, Compared, Holds, KeyUse, KindSpec, Starting


def _fingerprints(settings: MariadbSettings) -> bool:
    return settings.fingerprint.mode != "off"


def _version(facts: Mapping[str, Any]) -> SourceVersion:
    exact = str(facts.get("server_version", ""))
    return SourceVersion(".".join(exact.split(".")[:2]), exact)


def _database(settings: MariadbSettings) -> str:
    return dsn.database(settings.dsn)


SPEC = KindSpec(
    name="mariadb",
    settings=MariadbSettings,
    target=MariadbTarget,
    adapter="drd.kinds.mariadb.kind:MariadbKind",
    holds=Holds.TABLES,
    can=frozenset(Ability)
    - {Ability.PARTS, Ability.AS_OWNER, Ability.DATABASES, Ability.LOG, Ability.INSTANT},
    remedies={
        Ability.PARTS: f"{WHOLE} With --into NAME, drd restores a copy beside the database.",
        Ability.AS_OWNER: "leave out --as-owner: a database of this kind has no owner. drd loads "
        "the tables with a login that has rights in the new database only.",
    },
    freezes=True,
    comparison="rows",
    compared=Compared(
        ("tables", "rows", "names of views", "character set and collation of the database"),
        (
            "columns",
            "definitions of views",
            "foreign keys",
            "indexes",
            "triggers",
            "procedures and functions",
            "events",
            "rights",
        ),
        "restore a copy with `drd recover {plan} --in-place --component {component} "
        "--point {point} --into NAME`, and compare the output of `mariadb-dump --no-data "
        "--routines --events` (with MySQL `mysqldump`) of both databases",
    ),
    values={
        "host": "MYSQL_HOST",
        "port": "MYSQL_TCP_PORT",
        "socket": "MYSQL_UNIX_PORT",
        "database": "MYSQL_DATABASE",
        "user": "MYSQL_USER",
    },
    properties=True,
    host=dsn.host,
    sockets=dsn.sockets,
    families=("AF_UNIX",),
    fingerprints=_fingerprints,
    version=_version,
    is_source=dsn.is_source,
    server_user="mysql",
    keys={"dsn": KeyUse.CONNECTS, "fingerprint": KeyUse.HARMLESS},
    target_keys={"dsn": KeyUse.CONNECTS},
    connection_stays_here="drd.kinds.mariadb.dsn:stays_here",
    by_hand="drd.kinds.mariadb.by_hand:by_hand",
    grants="drd.kinds.mariadb.grants:grants",
    programs={"mariadb-client": ("mariadb",)},
    programs_of_others={"mariadb": ("mysql", "MySQL")},
    also_for=("mysql",),
    starting=Starting(
        "drd.kinds.mariadb.discovery:wishes",
        find="drd.kinds.mariadb.discovery:found",
        about="The connection string of a MariaDB or MySQL database: mariadb://user@host/database",
    ),
    served_as=_database,
    adopts_not="drd does not restore dumps of MariaDB or MySQL that another tool has made: add the "
    "database as a component that drd dumps itself, or use kind `command`",
)
