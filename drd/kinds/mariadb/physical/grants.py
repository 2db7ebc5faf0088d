"""Write the rights that a user needs for backups of a whole server, as a script of SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from drd.kinds.mariadb.grants import Servers, User, address_parts, created, script, user_at
from drd.kinds.mariadb.physical.binlog.needs import NEEDED as OF_BINLOG
from drd.kinds.mariadb.physical.examine import NEEDED
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.kinds.mariadb.quoting import account
from drd.model.plan import Component
from drd.ports.grants import Grants, Logins


def grants(
    components: Sequence[Component],
    targets: Mapping[str, Sequence[object]],  # noqa: ARG001 - a recovery writes files
    logins: Logins,
) -> Grants:
    """Implements `GrantsOf`."""
    servers: Servers = {}
    for component in components:
        parts = address_parts(_settings(component).dsn)
        user = user_at(servers, parts, parts.user or logins.service)
        user.reads[parts.database] = component.name
        user.systems[logins.service] = None
    logged = {c.name for c in components if _settings(c).binlog is not None}
    return script(servers, partial(_of_user, logged))


def _settings(component: Component) -> ServerSettings:
    assert isinstance(component.settings, ServerSettings)
    return component.settings


def _of_user(logged: Collection[str], user: User) -> Iterator[str]:
    yield from created(user)
    for component in user.reads.values():
        yield f"-- Component {component}: copy the files of the server, and count all rows. With"
        yield "-- these rights, the user can read everything in the server: protect its password."
    rights = dict.fromkeys(NEEDED)
    if named := [c for c in user.reads.values() if c in logged]:
        yield f"-- Component {', '.join(named)}: receive the binary log."
        rights |= dict.fromkeys(OF_BINLOG)
    yield f"GRANT {', '.join(rights)} ON *.* TO {account(user.name, user.host)};"
    yield "-- mariadb-backup reads the files of the server. If drd does not run as root, its user"
    yield "-- has to be in the group of the server, and the group has to read all directories. When"
    yield "-- the login works, drd doctor names the commands that are necessary."
