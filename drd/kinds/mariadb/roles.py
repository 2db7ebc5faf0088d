"""The roles of users. A role of MariaDB has a name only, one of MySQL has a host as users have, so
drd writes it as `NAME@HOST`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.flavour import Flavour
from drd.kinds.mariadb.quoting import account

_QUOTED = r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'"
_ACCOUNT = r"`(?:[^`]|``)*`@`(?:[^`]|``)*`"
_DEFAULT = re.compile(
    rf"((?:[^`']|{_QUOTED})*?) DEFAULT ROLE {_ACCOUNT}(?:,{_ACCOUNT})*(?= REQUIRE )", re.DOTALL
)


def parts_of(definer: str) -> tuple[str, str]:
    """Return user and host of `user@host`; a role without a host has an empty one."""
    user, at, host = definer.rpartition("@")
    return (user, host) if at else (definer, "")


def key_of(flavour: Flavour, role: str) -> tuple[str, str]:
    """Return user and host of a role as drd writes it."""
    return parts_of(role) if flavour.roles_have_hosts else (role, "")


def quoted(flavour: Flavour, role: str) -> str:
    return account(*key_of(flavour, role))


def _written(host: str, name: str) -> str:
    return f"{name}@{host}" if host else name


def granted(connection: Connection, user: str, host: str) -> list[list[Any]]:
    """Return the roles of a user, each with whether the user may pass it on. Raises ServerError."""
    rows = connection.rows(connection.flavour.roles_of, [user, host])
    return [[_written(str(h), str(name)), admin == "Y"] for h, name, admin in rows]


def defaults(connection: Connection, user: str, host: str) -> list[str]:
    """Return the roles that a user has from the beginning of a session. Raises ServerError."""
    rows = connection.rows(connection.flavour.default_roles, [user, host])
    return [_written(str(h), str(name)) for h, name in rows]


def as_saved(flavour: Flavour, default: list[str]) -> dict[str, Any]:
    """Return the default roles as drd stores them."""
    if flavour.roles_have_hosts:
        return {"default_role": "", "default_roles": default}
    return {"default_role": default[0] if default else ""}


def saved_defaults(user: Mapping[str, Any]) -> list[str]:
    """Return the default roles of a user that was stored."""
    if one := user.get("default_role"):
        return [str(one)]
    return [str(role) for role in user.get("default_roles", ())]


def set_defaults(flavour: Flavour, default: Iterable[str], who: str) -> str:
    """Return the statement that gives a user its default roles."""
    each = ", ".join(quoted(flavour, role) for role in default)
    return flavour.sets_default_roles.format(roles=each, who=who)


def without_defaults(create: str) -> str:
    """Return what SHOW CREATE USER of MySQL prints, without default roles: the statement would
    grant them. drd grants each role itself."""
    return _DEFAULT.sub(r"\1", create, count=1) if _DEFAULT.match(create) else create
