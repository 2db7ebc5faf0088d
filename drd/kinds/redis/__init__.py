"""Redis and Valkey: all data of one server, in one RDB file. One package, a kind for each."""

from collections.abc import Mapping
from dataclasses import replace
from os.path import normpath
from typing import Any

from drd.kinds.redis.address import LOOPBACK, address_of, wrong_url
from drd.kinds.redis.settings import RedisSettings, RedisTarget, ServerSettings, ValkeySettings
from drd.model.source_version import SourceVersion
from drd.ports.kinds import Ability, Compared, KeyUse, KindSpec, Reveal, Starting
from drd.process import container_of


def _host(settings: ServerSettings, _: Reveal) -> str:
    host = address_of(settings.url).host.lower()
    return "" if host in LOOPBACK else host


def _sockets(settings: ServerSettings | RedisTarget) -> tuple[str, ...]:
    if settings.url is None or wrong_url(settings.url) or container_of(settings) is not None:
        return ()
    socket = address_of(settings.url).socket
    return (socket.rpartition("/")[0] or "/",) if socket else ()


def _paths(settings: ServerSettings | RedisTarget) -> tuple[str, ...]:
    if isinstance(settings, RedisTarget):
        return (settings.path,)
    named = (settings.dir, settings.ca_cert, settings.client_cert, settings.client_key)
    return tuple(path for path in named if path is not None)


def _fingerprints(settings: ServerSettings) -> bool:
    return settings.fingerprint.mode != "off"


def _is_source(component: ServerSettings, target: RedisTarget) -> bool:
    return component.dir is not None and normpath(component.dir) == normpath(target.path)


def _version(facts: Mapping[str, Any]) -> SourceVersion:
    product, version = str(facts.get("product", "")), str(facts.get("version", ""))
    return SourceVersion(f"{product} {version.partition('.')[0]}".strip(), version)


def _without(settings: ServerSettings) -> Mapping[Ability, str]:
    if settings.dir is not None:
        return {}
    hint = "add `dir` to the component (the data directory of its server on this host), or recover "
    return {
        Ability.IN_PLACE: f"{hint}to a target: --target NAME.",
        Ability.BESIDE: f"{hint}to a target: --target NAME.",
    }


_ABOUT = "The address of a {} server: redis://HOST:PORT, rediss:// for TLS, or unix:///SOCKET"
_CONNECTS, _READS, _HARMLESS = KeyUse.CONNECTS, KeyUse.READS, KeyUse.HARMLESS

SPEC = KindSpec(
    name="redis",
    settings=RedisSettings,
    target=RedisTarget,
    adapter="drd.kinds.redis.kind:RedisKind",
    can=frozenset(
        {
            Ability.BESIDE,
            Ability.KEEP,
            Ability.IN_PLACE,
            Ability.AS_OWNER,
            Ability.QUERY,
        }
    ),
    without=_without,
    remedies={
        Ability.SQL: "drd cannot remove data of this kind: add a step `command` by which the "
        "application repeats the erasures.",
        Ability.LIVE: "to compare data of this kind, use the checks of a drill.",
    },
    freezes=True,
    comparison="rows",
    compared=Compared(
        ("keys by database and type", "entries of streams", "functions", "users of the ACLs"),
        ("names of keys", "values", "times to live"),
        "restore a copy with `drd recover {plan} --component {component} --point {point} --target "
        "NAME`, and ask the server there",
        counts_only=True,
    ),
    room=3.0,
    values={"path": "DRD_PATH", "url": "DRD_URL", "socket": "DRD_SOCKET"},
    host=_host,
    paths=_paths,
    sockets=_sockets,
    families=("AF_UNIX",),
    fingerprints=_fingerprints,
    version=_version,
    is_source=_is_source,
    server_user="redis",
    needs_start=True,
    keys={
        "dir": _READS,
        "ca_cert": _READS,
        "client_cert": _READS,
        "client_key": _READS,
        "user": _HARMLESS,
        "method": _HARMLESS,
        "timeout": _HARMLESS,
        "fingerprint": _HARMLESS,
        "url": _CONNECTS,
    },
    target_keys={"path": KeyUse.WRITES, "appendonly": _HARMLESS, "url": _CONNECTS},
    connection_stays_here="drd.kinds.redis.local:stays_here",
    queries_only_read=True,
    by_hand="drd.kinds.redis.by_hand:by_hand",
    programs={"redis-server": ("redis-server",), "redis-tools": ("redis-cli",)},
    starting=Starting(
        "drd.kinds.redis.discovery:wishes",
        find="drd.kinds.redis.discovery:found",
        about=_ABOUT.format("Redis"),
    ),
    adopts_not="drd reads only files that a server has saved at drd's request",
)

VALKEY = replace(
    SPEC,
    name="valkey",
    settings=ValkeySettings,
    adapter="drd.kinds.redis.kind:ValkeyKind",
    server_user="valkey",
    programs={"valkey-server": ("valkey-server",), "valkey-tools": ("valkey-cli",)},
    starting=Starting(
        "drd.kinds.redis.discovery:valkey_wishes",
        find="drd.kinds.redis.discovery:valkey_found",
        about=_ABOUT.format("Valkey"),
    ),
)
