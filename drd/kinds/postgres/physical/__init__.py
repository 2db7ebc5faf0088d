"""A whole PostgreSQL server, copied file by file with pg_basebackup.

It shares with the kind of single databases how drd connects to a server, starts servers of its own,
and reads what databases contain."""

from collections.abc import Iterator, Mapping
from os.path import normpath
from typing import Any

from drd.fields import Contradiction
from drd.kinds.postgres import dsn
from drd.kinds.postgres.physical.chain import made, room, size
from drd.kinds.postgres.physical.settings import ClusterSettings, ClusterTarget
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


def _fingerprints(settings: ClusterSettings) -> bool:
    return settings.fingerprint.mode != "off"


def _version(facts: Mapping[str, Any]) -> SourceVersion:
    return SourceVersion(str(facts.get("server_major", "")), str(facts.get("server_version", "")))


def _paths(settings: ClusterSettings | ClusterTarget) -> tuple[str, ...]:
    return (settings.data_dir,) if settings.data_dir else ()


def _sockets(settings: ClusterSettings | ClusterTarget) -> tuple[str, ...]:
    return dsn.sockets_in(settings.dsn) if settings.dsn is not None else ()


def _is_source(component: ClusterSettings, target: ClusterTarget) -> bool:
    return component.data_dir is not None and normpath(component.data_dir) == normpath(
        target.data_dir
    )


def _without(settings: ClusterSettings) -> Mapping[Ability, str]:
    lacking = {}
    if settings.data_dir is None:
        lacking[Ability.IN_PLACE] = (
            "write the data directory of the server into `data_dir` of the component; "
            "or recover to a target: --target NAME."
        )
    if settings.wal is None:
        lacking[Ability.LOG] = (
            "write `wal: {every: 30s}` into the component, for the time from then on; or choose "
            "a restore point: drd points PLAN."
        )
    return lacking


def _log(settings: ClusterSettings) -> LogPolicy | None:
    return LogPolicy(settings.wal.every) if settings.wal is not None else None


def _against_instant(settings: ClusterSettings) -> Iterator[Contradiction]:
    if settings.incremental.mode != "off":
        message = (
            "backups are incremental if the server has `summarize_wal = on`, and a drill of an "
            "incremental copy restores everything: most drills would not be instant"
        )
        hint = "write `incremental: off`: then each backup is a full copy."
        yield Contradiction(("incremental",), message, hint, warns=True)


SPEC = KindSpec(
    name="postgres-cluster",
    settings=ClusterSettings,
    target=ClusterTarget,
    adapter="drd.kinds.postgres.physical.kind:ClusterKind",
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
            Ability.INSTANT,
        }
    ),
    holds=Holds.TABLES,
    without=_without,
    remedies={Ability.BESIDE: ONE_DATABASE},
    freezes=True,
    dated_at_end=lambda _: True,
    comparison="rows",
    compared=Compared(
        ("tables", "rows", "names of views", "properties of the databases", "roles"),
        ("unlogged tables", "tables that changed during the backup", "configuration of the server"),
        "compare the output of `pg_dumpall --schema-only` of both servers",
    ),
    room=1.1,
    properties=True,
    recovers_in_server=True,
    needs_start=True,
    made=made,
    needs=room,
    size=size,
    host=dsn.host,
    paths=_paths,
    plain_copies=False,
    sockets=_sockets,
    families=("AF_UNIX",),
    fingerprints=_fingerprints,
    version=_version,
    is_source=_is_source,
    server_user="postgres",
    data_owner="postgres",
    keys={
        "dsn": KeyUse.CONNECTS,
        "data_dir": KeyUse.WRITES,
        "checkpoint": KeyUse.HARMLESS,
        "incremental": KeyUse.HARMLESS,
        "fingerprint": KeyUse.HARMLESS,
        "wal": KeyUse.HARMLESS,
    },
    target_keys={"data_dir": KeyUse.WRITES, "dsn": KeyUse.CONNECTS},
    connection_stays_here="drd.kinds.postgres.local:stays_here",
    by_hand="drd.kinds.postgres.physical.by_hand:by_hand",
    grants="drd.kinds.postgres.physical.grants:grants",
    programs={"postgresql": ("pg_ctlcluster",), "postgresql-client": ("psql",)},
    starting=Starting(
        "drd.kinds.postgres.physical.discovery:wishes",
        about="the connection strings of whole PostgreSQL servers, which drd copies with "
        "pg_basebackup. For single databases of up to about 50 GB, --postgres is simpler "
        "(docs/postgres-cluster.md)",
    ),
    log=_log,
    log_key="wal",
    against_instant=_against_instant,
    adopts_not="for a copy of a whole server by pgBackRest, write `kind: postgres`",
)
