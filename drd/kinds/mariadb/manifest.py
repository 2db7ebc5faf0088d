"""Check the part of a manifest about a MariaDB database: it may contain only what the source writes
there.

The private part becomes SQL that an administrator runs. Names and texts are quoted where they are
used; what is used unquoted is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drd.kinds.inside import require_facts
from drd.kinds.mariadb import objects, users
from drd.kinds.mariadb.flavour import FLAVOURS
from drd.kinds.mariadb.quoting import account, ident
from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

_LONGEST_NAME = 256
_MOST = 1_000_000
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,4}")
_WORD = re.compile(r"[A-Za-z0-9_]{0,64}")
_BEGINS = {  # without the definer
    "view": re.compile(r"CREATE (ALGORITHM=\w+ )?(SQL SECURITY \w+ )?VIEW ", re.IGNORECASE),
    "trigger": re.compile(r"CREATE TRIGGER\b", re.IGNORECASE),
    "event": re.compile(r"CREATE EVENT ", re.IGNORECASE),
    "function": re.compile(r"CREATE (AGGREGATE )?FUNCTION ", re.IGNORECASE),
    "procedure": re.compile(r"CREATE PROCEDURE ", re.IGNORECASE),
    "package": re.compile(r"CREATE PACKAGE ", re.IGNORECASE),
    "package body": re.compile(r"CREATE PACKAGE BODY ", re.IGNORECASE),
}
_LOGIN = re.compile(
    r"(?: (?:[A-Za-z]\w*|0x[0-9A-F]+|\d+(?:\.\d+)?|'(?:[^'\\]|''|\\.)*'))*", re.ASCII | re.DOTALL
)
"""What SHOW CREATE USER prints after the name: words, numbers and quoted texts, so that the
statement creates one user only."""


def filename(component: str) -> str:
    """Return the name of the file in a snapshot."""
    return f"{component}.sql"


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raise Refused for facts, a fingerprint or a private part that no source of MariaDB writes."""
    name = snapshot.component
    _facts(snapshot.facts, name)
    place = f"private of {name}"
    for key, read in (("objects", _object), ("users", _user)):
        if key in private:
            strict.each(read, private[key], f"{place}.{key}", most=_MOST)
    if "objects" in private:
        named = {one["definer"] for one in private["objects"]}
        if named != set(snapshot.facts["definers"]):
            raise strict.refuse(
                f"facts of {name}.definers",
                "are not the definers of the objects in the private part",
                snapshot.facts["definers"],
            )
    for key in ("objects_sql", "users_sql", "database_sql"):
        if key in private:
            strict.text(private[key], f"{place}.{key}", most=strict.LONGEST_SQL)
    fingerprint = snapshot.fingerprint
    if fingerprint is not None and not isinstance(fingerprint, DatabaseFingerprint):
        raise strict.UnexpectedValue(f"the fingerprint of {name} does not describe a database")


def _facts(facts: Mapping[str, Any], component: str) -> None:
    place = f"facts of {component}"
    require_facts(facts, place)
    wanted = filename(component)
    if strict.member(facts, "filename", place) != wanted:
        raise strict.refuse(f"{place}.filename", f"is not {wanted}", facts["filename"])
    if "product" in facts:
        strict.one_of(facts["product"], f"{place}.product", tuple(FLAVOURS))
    for key in ("server_version", "dump_version"):
        strict.matching(strict.member(facts, key, place), f"{place}.{key}", _VERSION, "version")
    strict.count(strict.member(facts, "database_bytes", place), f"{place}.database_bytes")
    _name(strict.member(facts, "database", place), f"{place}.database")
    for key in ("charset", "collation"):
        value = strict.member(facts, key, place)
        strict.matching(value, f"{place}.{key}", _WORD, "name of a character set")
    strict.text(strict.member(facts, "comment", place), f"{place}.comment")
    for key in ("definers", "not_frozen"):
        strict.each(strict.text, strict.member(facts, key, place), f"{place}.{key}", most=_MOST)
    strict.each(strict.text, facts.get("events", []), f"{place}.events", most=_MOST)
    strict.flag(strict.member(facts, "history", place), f"{place}.history")


def _name(value: Any, place: str) -> str:
    text = strict.text(value, place, most=_LONGEST_NAME)
    if not text or "\0" in text:
        raise strict.refuse(place, "is not a name", value)
    return text


def _object(value: Any, place: str) -> None:
    one = strict.mapping(value, place)
    kind = strict.one_of(strict.member(one, "kind", place), f"{place}.kind", objects.KINDS)
    _name(strict.member(one, "name", place), f"{place}.name")
    sql = strict.text(strict.member(one, "sql", place), f"{place}.sql", most=strict.LONGEST_SQL)
    strict.text(one.get("broken", ""), f"{place}.broken")
    (bare,) = objects.without_definer([one])
    if not _BEGINS[kind].match(bare["sql"]):
        raise strict.refuse(f"{place}.sql", f"does not create a {kind}", sql)
    for key in ("sql_mode", "definer", "time_zone"):
        strict.text(strict.member(one, key, place), f"{place}.{key}")
    # Without a definer, it would run with the rights of whoever restores it.
    if objects.definer_of(sql) != str(one["definer"]).removesuffix("@"):
        raise strict.refuse(
            f"{place}.definer", "is not the definer in the SQL of this object", one["definer"]
        )
    of_database = ["database_collation"] if "database_collation" in one else []
    for key in ("charset", "collation", *of_database):
        value = strict.member(one, key, place)
        strict.matching(value, f"{place}.{key}", _WORD, "name of a character set")


def _user(value: Any, place: str) -> None:
    one = strict.mapping(value, place)
    user = _name(strict.member(one, "user", place), f"{place}.user")
    host = strict.text(strict.member(one, "host", place), f"{place}.host", most=_LONGEST_NAME)
    create = strict.text(strict.member(one, "create", place), f"{place}.create", most=1 << 20)
    begin = f"CREATE USER {account(user, host)}" if host else f"CREATE ROLE {ident(user)}"
    if not create.startswith(begin) or not _LOGIN.fullmatch(create[len(begin) :]):
        raise strict.refuse(f"{place}.create", "does not create this user", create)
    strict.text(one.get("default_role", ""), f"{place}.default_role", most=_LONGEST_NAME)
    strict.each(_name, one.get("default_roles", []), f"{place}.default_roles", most=_MOST)
    strict.each(_grant, strict.member(one, "grants", place), f"{place}.grants", most=_MOST)
    strict.each(strict.text, strict.member(one, "server", place), f"{place}.server", most=_MOST)
    for entry in strict.array(strict.member(one, "roles", place), f"{place}.roles", most=_MOST):
        role, admin = strict.array(entry, f"{place}.roles", most=2)
        _name(role, f"{place}.roles")
        strict.flag(admin, f"{place}.roles")


def _grant(value: Any, place: str) -> None:
    one = strict.mapping(value, place)
    rights = strict.text(strict.member(one, "rights", place), f"{place}.rights", most=1 << 20)
    strict.matching(rights, f"{place}.rights", users.RIGHTS, "list of rights")
    strict.one_of(strict.member(one, "what", place), f"{place}.what", users.WHAT)
    strict.text(strict.member(one, "object", place), f"{place}.object", most=_LONGEST_NAME)
    strict.flag(strict.member(one, "option", place), f"{place}.option")
