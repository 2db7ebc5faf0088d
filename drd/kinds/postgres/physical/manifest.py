"""Check the part of a manifest about a whole PostgreSQL server: it may contain only what the source
writes there. Facts become paths and arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from drd.kinds.postgres.manifest import VERSION, name, written_database
from drd.kinds.postgres.physical.chain import CHAIN, MOST, PARTS_BYTES, WHY, Part, position
from drd.kinds.postgres.physical.wal import transactions
from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

DATA, SPACES = "data", "tablespaces"
"""Directories in a snapshot, below the path in the fact `place`."""

_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_NUMBER = re.compile(r"[1-9][0-9]{0,19}")
_OID = re.compile(r"[1-9][0-9]{0,9}")
_CALLED = re.compile(r"[A-Za-z0-9_-]{1,80}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)")
_LIBRARY = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_MOST = 10_000
_SETTINGS = "settings"


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raise UnexpectedValue for facts, a fingerprint or a private part that no source writes."""
    facts, place = snapshot.facts, f"facts of {snapshot.component}"

    def of(key: str) -> tuple[Any, str]:
        return strict.member(facts, key, place), f"{place}.{key}"

    strict.absolute_path(*of("place"))
    strict.matching(*of("system_identifier"), _NUMBER, "identifier of a server")
    strict.count(*of("timeline"), most=(1 << 32) - 1)
    for key in ("start_lsn", "end_lsn"):
        strict.matching(*of(key), _LSN, "position in the WAL")
    strict.count(*of("server_major"), most=1000)
    for key in ("server_version", "pg_basebackup_version"):
        strict.matching(*of(key), VERSION, "version")
    strict.count(*of("cluster_bytes"))
    if transactions.NEXT in facts:
        for key in (transactions.OLDEST, transactions.NEXT):
            strict.count(*of(key), most=transactions.MOST)
    strict.digest(*of("manifest_digest"))
    strict.flag(*of("standby"))
    for key in ("bootstrap_role", "database"):
        name(*of(key))
    strict.each(name, *of("databases"), most=_MOST)
    strict.each(_library, *of("libraries"), most=_MOST)
    spaces, where = of("tablespaces")
    for oid, called in strict.mapping(spaces, where, most=_MOST).items():
        strict.matching(oid, where, _OID, "id of a tablespace")
        name(called, f"{where}.{oid}")
    _chain(snapshot)
    _private(private, f"private of {snapshot.component}")
    known = snapshot.fingerprint
    if known is not None and not isinstance(known, DatabaseFingerprint):
        raise strict.UnexpectedValue(
            f"the fingerprint of {snapshot.component} does not describe databases"
        )
    if known is not None and known.properties:
        _properties(known.properties, f"fingerprint of {snapshot.component}")


def _chain(snapshot: ComponentSnapshot) -> None:
    """Check what the facts say of the copies on which an incremental one builds."""
    facts, place = snapshot.facts, f"facts of {snapshot.component}"
    strict.text(facts.get(WHY, ""), f"{place}.{WHY}", most=1000)
    parts = strict.array(facts.get(CHAIN, []), f"{place}.{CHAIN}", most=MOST)
    if parts:
        strict.count(strict.member(facts, PARTS_BYTES, place), f"{place}.{PARTS_BYTES}")
    reached = 0
    for part in parts:
        _part(strict.mapping(part, f"{place}.{CHAIN}"), facts, f"{place}.{CHAIN}")
        if position(part["end_lsn"]) < reached:
            raise strict.UnexpectedValue(f"{place}.{CHAIN} is not in order")
        reached = position(part["end_lsn"])
    if position(facts["end_lsn"]) < reached:
        raise strict.UnexpectedValue(f"{place}.{CHAIN} is newer than the copy itself")


def _part(part: Mapping[str, Any], facts: Mapping[str, Any], place: str) -> None:
    if set(part) != {field.name for field in fields(Part)}:
        raise strict.UnexpectedValue(f"{place} does not describe a copy as drd does")
    for key in ("point", "repository", "label"):
        strict.matching(part[key], f"{place}.{key}", _CALLED, "name")
    strict.matching(part["at"], f"{place}.at", _TIME, "time")
    strict.digest(part["snapshot"], f"{place}.snapshot")
    strict.digest(part["manifest_digest"], f"{place}.manifest_digest")
    for key in ("start_lsn", "end_lsn"):
        strict.matching(part[key], f"{place}.{key}", _LSN, "position in the WAL")
    for key in ("system_identifier", "timeline"):
        if part[key] != facts[key]:
            raise strict.UnexpectedValue(f"{place}.{key} is not that of the copy itself")


def _private(private: Mapping[str, Any], place: str) -> None:
    for key in private:
        strict.one_of(key, f"a name in {place}", (_SETTINGS,))
    saved = strict.mapping(private.get(_SETTINGS, {}), f"{place}.{_SETTINGS}", most=_MOST)
    for key, value in saved.items():
        strict.text(key, f"a name in {place}.{_SETTINGS}", most=200)
        strict.text(value, f"{place}.{_SETTINGS}.{key}", most=1 << 20)


def _library(value: Any, place: str) -> str:
    return strict.matching(value, place, _LIBRARY, "name of a library")


def _properties(saved: Mapping[str, Any], place: str) -> None:
    databases = strict.mapping(strict.member(saved, "databases", place), f"{place}.databases")
    for called, one in databases.items():
        written_database(strict.mapping(one, f"{place}.{called}"), f"{place}.databases")
    roles = strict.mapping(strict.member(saved, "roles", place), f"{place}.roles")
    for role, rights in roles.items():
        name(role, f"{place}.roles")
        strict.array(rights, f"{place}.roles", most=20)
