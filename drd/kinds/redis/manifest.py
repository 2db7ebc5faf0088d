"""The part of a manifest about a server: it may contain only what the source writes there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drd.kinds.inside import require_facts
from drd.kinds.redis.server_facts import PRODUCTS
from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

SUFFIX = "rdb"
ACL = "acl"
DUMP, AOF_DIRECTORY, AOF_NAME = "dump.rdb", "appendonlydir", "appendonly.aof"
"""The usual names of the server's files."""

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""A name of a file in the server's directory."""
_VERSION = re.compile(r"[0-9.]{1,40}")
_MOST_FORM = 9999
_MOST_USERS = 10_000
_LONGEST_USER = 64 << 10


def filename(component: str) -> str:
    """Return the name of the file in a snapshot."""
    return f"{component}.{SUFFIX}"


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raise Refused for facts, a fingerprint or a private part that no source of this kind
    writes."""
    place, facts = f"facts of {snapshot.component}", snapshot.facts

    def of(key: str) -> Any:
        return strict.member(facts, key, place)

    if of("filename") != filename(snapshot.component):
        raise strict.refuse(
            f"{place}.filename", "is not the name that drd gives this file", facts["filename"]
        )
    require_facts(facts, place)
    strict.digest(of("sha256"), f"{place}.sha256")
    strict.one_of(of("product"), f"{place}.product", PRODUCTS)
    strict.matching(of("version"), f"{place}.version", _VERSION, "version")
    strict.one_of(of("format"), f"{place}.format", PRODUCTS)
    strict.count(of("format_version"), f"{place}.format_version", most=_MOST_FORM)
    strict.count(of("mode"), f"{place}.mode", most=0o7777)
    for key in ("dump", "aof_directory", "aof_name"):
        strict.matching(of(key), f"{place}.{key}", PLAIN, "name of a file")
    strict.flag(of("appendonly"), f"{place}.appendonly")
    strict.count(of("users"), f"{place}.users", most=_MOST_USERS)
    if unknown := set(private) - {ACL}:
        raise strict.UnexpectedValue(
            f"private of {snapshot.component} has the unknown name {min(unknown)}"
        )
    users_in(private, snapshot.component)
    fingerprint = snapshot.fingerprint
    if fingerprint is not None and not isinstance(fingerprint, DatabaseFingerprint):
        text = f"the fingerprint of {snapshot.component} does not describe a database"
        raise strict.UnexpectedValue(text)


def users_in(private: Mapping[str, Any], component: str) -> list[str]:
    """Return the lines of the ACL in a manifest. Raises Refused."""

    def line(value: Any, place: str) -> str:
        read = strict.text(value, place, most=_LONGEST_USER)
        if not read.startswith("user ") or "\n" in read or "\r" in read:
            raise strict.refuse(place, "is not a user of an ACL")
        return read

    lines = private.get(ACL, [])
    return strict.each(line, lines, f"private of {component}.{ACL}", most=_MOST_USERS)
