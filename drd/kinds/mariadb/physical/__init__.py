"""A whole MariaDB server, copied file by file with mariadb-backup.

It shares with the kind of single databases how drd connects to a server, starts servers of its own,
and describes what tables contain."""

from collections.abc import Mapping
from os.path import normpath
from typing import Any

from drd.kinds.mariadb import dsn
from drd.kinds.mariadb.physical.settings import ServerSettings, ServerTarget
from drd.model.log import LogPolicy
from drd.model.source_version import SourceVersion
from drd.ports.kinds import (
    ONE_DATABASE,
    Ability,
    Compared,
    Holds,
    KeyUse,
    KindSpec,
    Starting,
)


def _fingerprints(settings: ServerSettings) -> bool:
    return settings.fingerprint.mode != "off"


def _version(facts: Mapping[str, Any]) -> SourceVersion:
    exact = str(facts.get("server_version", ""))
    return SourceVersion(".".join(exact.split(".")[:2]), exact)


def _paths(settings: ServerSettings | ServerTarget) -> tuple[str, ...]:
    return (settings.data_dir,) if settings.data_dir else ()


def _is_source(component: ServerSettings, target: ServerTarget) -> bool:
    return component.data_dir is not None and normpath(component.data_dir) == normpath(
        target.data_dir
    )


def _without(settings: ServerSettings) -> Mapping[Ability, str]:
    lacking = {}
    if settings.data_dir is None:
        lacking[Ability.IN_PLACE] = (
            "write the data directory of the server into `data_dir` of the component; "
            "or recover to a target: --target NAME."
        )
    if settings.binlog is None:
        lacking[Ability.LOG] = (
            "choose a restore point: drd points PLAN. To recover to any later time, write "
            "`binlog: {every: 30s}` into the component."
        )
    return lacking


def _log(settings: ServerSettings) -> LogPolicy | None:
    return LogPolicy(settings.binlog.every) if settings.binlog is not None else None


SPEC = KindSpec(
    name="mariadb-server",
    settings=ServerSettings,
    target=ServerTarget,
    adapter="drd.kinds.mariadb.physical.kind:ServerKind",
    can=frozenset(
        {
            Ability.QUERY,
            Ability.SQL,
            Ability.DATABASES,
            Ability.PARTS,
            Ability.LIST,
            Ability.LIVE,
            Ability.KEEP,
            Ability.IN_PLACE,
            Ability.LOG,
        }
    ),
    holds=Holds.TABLES,
    without=_without,
    remedies={Ability.BESIDE: ONE_DATABASE},
    freezes=True,
    dated_at_end=lambda _: True,
    comparison="rows",
    compared=Compared(
        ("tables", "rows", "names of views", "tables with users, rights, code and events"),
        ("tables of the engine MEMORY", "configuration of the server"),
        "compare the output of `mariadb-dump --all-databases --no-data --routines --events` of "
        "both servers",
    ),
    room=1.1,
    recovers_in_server=True,
    needs_start=True,
    host=dsn.host,
    paths=_paths,
    plain_copies=False,
    sockets=dsn.sockets,
    families=("AF_UNIX",),
    fingerprints=_fingerprints,
    version=_version,
    is_source=_is_source,
    server_user="mysql",
    data_owner="mysql",
    keys={
        "dsn": KeyUse.CONNECTS,
        "data_dir": KeyUse.WRITES,
        "fingerprint": KeyUse.HARMLESS,
        "binlog": KeyUse.HARMLESS,
    },
    target_keys={"data_dir": KeyUse.WRITES, "dsn": KeyUse.CONNECTS},
    connection_stays_here="drd.kinds.mariadb.dsn:stays_here",
    by_hand="drd.kinds.mariadb.physical.by_hand:by_hand",
    grants="drd.kinds.mariadb.physical.grants:grants",
    programs={
        "mariadb-backup": ("mariadb-backup",),
        "mariadb-server-core": ("innochecksum",),
        "mariadb-client": ("mariadb",),
    },
    starting=Starting(
        "drd.kinds.mariadb.physical.discovery:wishes",
        about="the addresses of whole MariaDB servers of this host, which drd copies with "
        "mariadb-backup. For single databases of up to about 20 GB, --mariadb is simpler "
        "(docs/mariadb.md)",
    ),
    log=_log,
    log_key="binlog",
    adopts_not="drd does not restore copies of MariaDB servers that another tool has made: add the "
    "server as a component that drd copies itself",
)
