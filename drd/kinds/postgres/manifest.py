"""Check the part of a manifest about a PostgreSQL database: it may contain only what the source
writes there.

Facts become arguments of initdb, postgres and pg_restore, and the private part becomes SQL that a
superuser runs. Names and texts are quoted where they are used; what is used unquoted is checked
here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drd.kinds.inside import require_facts
from drd.model import strict
from drd.model.adopted import ROLLED_FORWARD
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

SESSION_SETTINGS = (
    "DateStyle", "IntervalStyle", "TimeZone", "default_text_search_config",
    "lc_monetary", "lc_numeric", "lc_time",
)  # fmt: skip
"""Settings on which money, times and the refresh of materialised views depend in a restore."""

OTHERS_CODE = "others_code"
"""The fact about code of other users that a superuser would run."""

ADOPTED = "adopted"
"""The fact that another tool made the dump: its roles, versions and properties are unknown."""

SERVER = "server"
"""The name of the fact that the copy is a copy of a whole server, which contains the database."""

BACKUP = "backup"
"""The fact that names the backup of a whole server."""

EXTENSION_SCHEMAS = "extension_schemas"
"""The property of a database that has [schema, its owner] of each extension; not in points of an
older drd.
"""

MOST_ROLES = 1_000_000
_LONGEST_NAME = 1024
"""The longest name in bytes: NAMEDATALEN is 64 unless somebody built a server with more."""

_PROVIDERS = ("libc", "icu", "builtin")
_DATABASE_RIGHTS = ("CREATE", "CONNECT", "TEMPORARY")
_PARAMETER_RIGHTS = ("SET", "ALTER SYSTEM")
_ROLE_FLAGS = (
    "superuser", "inherit", "createrole", "createdb", "login", "replication", "bypassrls",
)  # fmt: skip
_BACKUP = re.compile(r"[0-9A-Za-z_-]{1,64}")
VERSION = re.compile(r"[\w.~+() -]{1,100}")


def filename(component: str) -> str:
    """Return the name of the file in a snapshot."""
    return f"{component}.dump"


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raise Refused for facts, a fingerprint or a private part that no source of PostgreSQL
    writes.
    """
    _facts(snapshot.facts, snapshot.component)
    place = f"private of {snapshot.component}"
    require_described(private, place)
    for key in ("globals_sql", "database_sql"):
        if key in private:
            strict.text(private[key], f"{place}.{key}", most=strict.LONGEST_SQL)
    if snapshot.fingerprint is not None and not isinstance(
        snapshot.fingerprint, DatabaseFingerprint
    ):
        raise strict.UnexpectedValue(
            f"the fingerprint of {snapshot.component} does not describe a database"
        )


def require_described(private: Mapping[str, Any], place: str) -> None:
    """Raise UnexpectedValue for a database or roles that no PostgreSQL server describes so."""
    if "database" in private:
        written_database(
            strict.mapping(private["database"], f"{place}.database"), f"{place}.database"
        )
    if "globals" in private:
        _globals(strict.mapping(private["globals"], f"{place}.globals"), f"{place}.globals")


def _facts(facts: Mapping[str, Any], component: str) -> None:
    place = f"facts of {component}"
    _adopted(facts, place)
    require_facts(facts, place)
    wanted = filename(component)
    if strict.member(facts, "filename", place) != wanted:
        raise strict.refuse(f"{place}.filename", f"is not {wanted}", facts["filename"])
    for key in ("server_major", "pg_dump_major"):
        strict.count(strict.member(facts, key, place), f"{place}.{key}", most=1000)
    for key in ("server_version", "pg_dump_version"):
        strict.matching(strict.member(facts, key, place), f"{place}.{key}", VERSION, "version")
    strict.count(strict.member(facts, "database_bytes", place), f"{place}.database_bytes")
    for key in ("database", "bootstrap_role", "tablespace"):
        name(strict.member(facts, key, place), f"{place}.{key}")
    for key in ("tablespaces", "roles"):
        strict.each(name, strict.member(facts, key, place), f"{place}.{key}", most=MOST_ROLES)
    _locale(strict.mapping(strict.member(facts, "locale", place), f"{place}.locale"), place)
    extensions = strict.member(facts, "extensions", place)
    strict.by_key(strict.text, extensions, f"{place}.extensions")
    if OTHERS_CODE in facts:  # not in points of an older drd
        _others_code(facts[OTHERS_CODE], f"{place}.{OTHERS_CODE}")
    settings = strict.mapping(strict.member(facts, "settings", place), f"{place}.settings")
    for key, value in settings.items():
        strict.one_of(key, f"a name in {place}.settings", SESSION_SETTINGS)
        if not strict.text(value, f"{place}.settings.{key}", most=_LONGEST_NAME).isprintable():
            raise strict.refuse(f"{place}.settings.{key}", "is not printable", value)


def _adopted(facts: Mapping[str, Any], place: str) -> None:
    for key in (ADOPTED, SERVER):
        strict.flag(facts.get(key, False), f"{place}.{key}")
    for key in (BACKUP, ROLLED_FORWARD):
        if key in facts:
            strict.matching(facts[key], f"{place}.{key}", _BACKUP, "name of a backup")


def _others_code(value: Any, place: str) -> None:
    code = strict.mapping(value, place)
    for key, read in (("functions", _function), ("expressions", _expressions)):
        strict.each(read, strict.member(code, key, place), f"{place}.{key}", most=MOST_ROLES)
    for key in ("alike", "read", "paths"):  # not in points of an older drd
        strict.each(_pair, code.get(key, []), f"{place}.{key}", most=MOST_ROLES)
    strict.each(_expressions, code.get("callable", []), f"{place}.callable", most=MOST_ROLES)


def _pair(value: Any, place: str) -> None:
    for text in _items(value, 2, place):
        strict.text(text, place)


def _function(value: Any, place: str) -> None:
    if not isinstance(value, list) or len(value) != 3:
        raise strict.refuse(place, "must be a list of function, owner and uses", value)
    for text in (*value[:2], *strict.each(strict.text, value[2], place)):
        strict.text(text, place)


def _expressions(value: Any, place: str) -> None:
    if not isinstance(value, list) or len(value) != 2:
        raise strict.refuse(place, "must be a list of owner and number", value)
    name(value[0], place)
    strict.count(value[1], place)


def name(value: Any, place: str) -> str:
    """Read a name of PostgreSQL's: any text but an empty one."""
    name_text = strict.text(value, place, most=_LONGEST_NAME)
    if not name_text:
        raise strict.refuse(place, "is empty")
    return name_text


def _name_or_all(value: Any, place: str) -> str:
    """Read a name; the empty one is PUBLIC, or every role."""
    return strict.text(value, place, most=_LONGEST_NAME)


def _locale(locale: Mapping[str, Any], place: str) -> None:
    strict.one_of(strict.member(locale, "provider", place), f"{place}.provider", _PROVIDERS)
    for key in ("encoding", "collate", "ctype"):
        strict.text(strict.member(locale, key, place), f"{place}.{key}", most=_LONGEST_NAME)
    for key in ("locale", "icu_rules"):
        strict.maybe(_text, strict.member(locale, key, place), f"{place}.{key}")


def _text(value: Any, place: str) -> str:
    return strict.text(value, place, most=1 << 20)


def _limit(value: Any, place: str) -> int:
    """Read a limit of connections; -1 is none, -2 is a database that an interrupted DROP
    has left.
    """
    return value if value in (-1, -2) else strict.count(value, place, most=(1 << 31) - 1)


def written_database(saved: Mapping[str, Any], place: str) -> None:
    for key in ("name", "owner", "tablespace"):
        name(strict.member(saved, key, place), f"{place}.{key}")
    _locale(saved, place)
    _limit(strict.member(saved, "connection_limit", place), f"{place}.connection_limit")
    for key in ("is_template", "has_public"):
        strict.flag(strict.member(saved, key, place), f"{place}.{key}")
    _text(strict.member(saved, "comment", place), f"{place}.comment")
    strict.by_key(strict.text, strict.member(saved, "extensions", place), f"{place}.extensions")
    # Not in points of an older drd.
    strict.by_key(
        _schema_of_extension, saved.get(EXTENSION_SCHEMAS, {}), f"{place}.{EXTENSION_SCHEMAS}"
    )
    for entry in strict.array(strict.member(saved, "acl", place), f"{place}.acl"):
        to, right, grantable, by = _items(entry, 4, f"{place}.acl")
        _name_or_all(to, f"{place}.acl")
        strict.one_of(right, f"{place}.acl", _DATABASE_RIGHTS)
        strict.flag(grantable, f"{place}.acl")
        name(by, f"{place}.acl")
    for entry in strict.array(strict.member(saved, "settings", place), f"{place}.settings"):
        role, setting = _items(entry, 2, f"{place}.settings")
        _name_or_all(role, f"{place}.settings")
        _setting(setting, f"{place}.settings")


def _schema_of_extension(value: Any, place: str) -> None:
    for text in _items(value, 2, place):
        name(text, place)


def _items(value: Any, number: int, place: str) -> list[Any]:
    items = strict.array(value, place, most=number)
    if len(items) != number:
        raise strict.refuse(place, f"has an entry that does not have {number} items")
    return items


def _setting(value: Any, place: str) -> str:
    setting = _text(value, place)
    if "=" not in setting:
        raise strict.refuse(place, "has an entry without `=`", setting)
    return setting


def _globals(saved: Mapping[str, Any], place: str) -> None:
    strict.count(strict.member(saved, "version", place), f"{place}.version", most=10_000_000)
    strict.flag(strict.member(saved, "passwords", place), f"{place}.passwords")
    name(strict.member(saved, "bootstrap", place), f"{place}.bootstrap")
    for entry in _rows(saved, "roles", place):
        _role(entry, f"{place}.roles")
    for entry in _rows(saved, "memberships", place):
        where = f"{place}.memberships"
        name(strict.member(entry, "role", where), where)
        name(strict.member(entry, "member", where), where)
        _name_or_all(strict.member(entry, "grantor", where), where)
        strict.flag(strict.member(entry, "admin", where), where)
        for key in ("inherit", "set"):
            strict.maybe(strict.flag, strict.member(entry, key, where), where)
    for entry in _rows(saved, "parameters", place):
        where = f"{place}.parameters"
        name(strict.member(entry, "parameter", where), where)
        _name_or_all(strict.member(entry, "grantee", where), where)
        strict.one_of(strict.member(entry, "privilege", where), where, _PARAMETER_RIGHTS)
        strict.flag(strict.member(entry, "grantable", where), where)
    strict.each(_setting, saved.get("everyone", []), f"{place}.everyone")
    for entry in _rows(saved, "tablespaces", place):
        where = f"{place}.tablespaces"
        for key in ("name", "owner"):
            name(strict.member(entry, key, where), where)
        _text(strict.member(entry, "location", where), where)


def _rows(saved: Mapping[str, Any], key: str, place: str) -> list[Mapping[str, Any]]:
    return strict.each(
        strict.mapping, strict.member(saved, key, place), f"{place}.{key}", most=MOST_ROLES
    )


def _role(role: Mapping[str, Any], place: str) -> None:
    name(strict.member(role, "name", place), f"{place}.name")
    for key in _ROLE_FLAGS:
        strict.flag(strict.member(role, key, place), f"{place}.{key}")
    _limit(strict.member(role, "connection_limit", place), f"{place}.connection_limit")
    for key in ("password", "valid_until"):
        strict.maybe(_text, strict.member(role, key, place), f"{place}.{key}")
    _text(strict.member(role, "comment", place), f"{place}.comment")
    strict.each(_setting, strict.member(role, "settings", place), f"{place}.settings")
