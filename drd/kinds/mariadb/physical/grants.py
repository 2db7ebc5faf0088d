"""Write the rights that users need for a whole server, as a script of SQL: for its backups, and for
recoveries of single databases into it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from drd.kinds.mariadb.grants import (
    Servers,
    User,
    address_parts,
    all_on,
    created,
    recovers,
    script,
    user_at,
)
from drd.kinds.mariadb.physical.binlog.needs import NEEDED as OF_BINLOG
from drd.kinds.mariadb.physical.examine import NEEDED
from drd.kinds.mariadb.physical.settings import ServerSettings, ServerTarget
from drd.kinds.mariadb.quoting import account
from drd.model.plan import Component
from drd.ports.grants import Grants, Logins

_OPTIONAL = """\
-- These rights are enough for backups, drills and recoveries of the whole server. For recoveries of
-- single databases and tables into the running server, remove the two hyphens before GRANT. Repeat
-- the last line for each other database that you want to restore, and for each name that a copy
-- gets (--into NAME).
-- The service logs in as this user as well. To give the service no more rights, write a target with
-- `data_dir` and with a `dsn` that names another user (mariadb://root@/mysql), and recover with
-- --target NAME --in-place.
"""


def grants(
    components: Sequence[Component], targets: Mapping[str, Sequence[object]], logins: Logins
) -> Grants:
    """Implements `GrantsOf`. A recovery of the whole server writes files, one of a single database
    or table logs in."""
    servers: Servers = {}
    for component in components:
        parts = address_parts(_settings(component).dsn)
        user = user_at(servers, parts, parts.user or logins.service)
        user.reads[parts.database] = component.name
        user.systems[logins.service] = None
    for component in components:
        here = [_settings(component).dsn]
        for target in targets.get(component.name, ()):
            assert isinstance(target, ServerTarget)
            here += [target.dsn] if target.dsn is not None else []
        for dsn in here:
            parts = address_parts(dsn)
            user = user_at(servers, parts, parts.user or logins.person)
            user.systems[logins.person] = None
            (user.in_place if user.reads else user.writes)[parts.database] = component.name
    logged = {c.name for c in components if _settings(c).binlog is not None}
    return script(servers, partial(_of_user, logged), "Recoveries of single databases need")


def _settings(component: Component) -> ServerSettings:
    assert isinstance(component.settings, ServerSettings)
    return component.settings


def _of_user(logged: Collection[str], user: User) -> Iterator[str]:
    who = account(user.name, user.host)
    yield from created(user)
    if user.reads:
        yield from _reads(logged, user, who)
    if user.writes:
        yield "-- Recoveries of single databases and tables into the running server"
        yield f"GRANT ALL PRIVILEGES ON *.* TO {who} WITH GRANT OPTION;"
    if user.in_place:
        yield from _OPTIONAL.splitlines()
        yield from (f"-- {line}" for line in recovers(user.flavour, who))
    for database in user.in_place:
        yield f"-- {all_on(database, who)};"


def _reads(logged: Collection[str], user: User, who: str) -> Iterator[str]:
    for component in user.reads.values():
        yield f"-- Component {component}: copy the files of the server, and count all rows. With"
        yield "-- these rights, the user can read everything in the server: protect its password."
    rights = dict.fromkeys(NEEDED)
    if named := [c for c in user.reads.values() if c in logged]:
        yield f"-- Component {', '.join(named)}: receive the binary log."
        rights |= dict.fromkeys(OF_BINLOG)
    yield f"GRANT {', '.join(rights)} ON *.* TO {who};"
    yield "-- mariadb-backup reads the files of the server. If drd does not run as root, its user"
    yield "-- has to be in the group of the server, and the group has to read all directories. When"
    yield "-- the login works, drd doctor names the commands that are necessary."
