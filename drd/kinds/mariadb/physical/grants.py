"""Write the rights that a user needs for backups of a whole server, as a script of SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from drd.kinds.mariadb.grants import Servers, User, address_parts, created, script, user_at
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
        assert isinstance(component.settings, ServerSettings)
        parts = address_parts(component.settings.dsn)
        user = user_at(servers, parts, parts.user or logins.service)
        user.reads[parts.database] = component.name
    return script(servers, _of_user)


def _of_user(user: User) -> Iterator[str]:
    yield from created(user)
    for component in user.reads.values():
        yield f"-- Component {component}: copy the files of the server, and count all rows. With"
        yield "-- these rights, the user can read everything in the server: protect its password."
    yield f"GRANT {', '.join(NEEDED)} ON *.* TO {account(user.name, user.host)};"
    yield "-- mariadb-backup reads the files of the server. If drd does not run as root, its user"
    yield "-- has to be in the group of the server: usermod --append --groups mysql drd"
    yield "-- Then: systemctl restart drd"
