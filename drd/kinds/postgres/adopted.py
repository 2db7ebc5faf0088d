"""A dump of a PostgreSQL database in a copy that another tool has made.

Such a dump names owners and no roles, and not the properties of the database itself: it is restored
without owners and grants, into a database with the usual properties."""

from __future__ import annotations

import re
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from drd.kinds.postgres import SPEC
from drd.kinds.postgres.manifest import ADOPTED, BACKUP, SERVER, VERSION, filename
from drd.kinds.postgres.settings import PostgresSettings
from drd.model.adopted import ROLLED_FORWARD
from drd.model.plan import Component
from drd.model.text import escaped, shortened
from drd.ports.adopted import AdoptedPart, ForeignCopy, FoundFile, Landing, NotInCopy

_UNPACKED = 5
"""How many times the size of a compressed dump a database usually takes."""

_LOCALE = {
    "encoding": "UTF8",
    "provider": "libc",
    "collate": "C.UTF-8",
    "ctype": "C.UTF-8",
    "locale": None,
    "icu_rules": None,
}
_EXTENSIONS = {"plpgsql": ""}


def adopts(component: Component, file: FoundFile | None) -> AdoptedPart:
    """Implements `AdoptsOf`."""
    assert file is not None
    _require_database(component, file)
    called, database = filename(component.name), _database(component)
    server, program = (file.origin.server, file.origin.program) if file.origin else ("", "")
    facts = {
        "filename": called,
        ADOPTED: True,
        "server_major": _major(server),
        "pg_dump_major": _major(program),
        "server_version": server if _major(server) else "unknown",
        "pg_dump_version": program if _major(program) else "unknown",
        "database_bytes": _UNPACKED * file.bytes,
        "database": database,
        "bootstrap_role": "postgres",
        "tablespace": "pg_default",
        "tablespaces": [],
        "roles": [],
        "locale": _LOCALE,
        "extensions": _EXTENSIONS,
        "settings": {},
    }
    landing = Landing(file=component.copied_as or "/", called=called, bytes=file.bytes)
    return AdoptedPart(landing, facts, {"database": _properties(database), "globals": _GLOBALS})


def adopts_server(component: Component, copy: ForeignCopy) -> AdoptedPart:
    """Implements `AdoptsServerOf`. The database is restored within its server; a recovery elsewhere
    dumps it from there."""
    state = copy.server
    assert state is not None
    assert component.copied_as
    part = adopts(component, FoundFile(True, copy.bytes, None, 0o600, 0, 0))
    facts = {
        **part.facts,
        "server_major": int(state.version.partition(".")[0]),
        "server_version": state.version,
        "database_bytes": copy.bytes + state.wal_bytes,
        SERVER: True,
        BACKUP: state.backup,
        **({ROLLED_FORWARD: state.rolled_to} if state.rolled_to else {}),
    }
    landing = Landing(server=component.copied_as, bytes=copy.bytes + state.wal_bytes)
    return AdoptedPart(landing, facts, part.private)


def _require_database(component: Component, file: FoundFile) -> None:
    """Raise NotInCopy if the dump says that it is of another database than the plan names."""
    wanted = SPEC.served_as(component.settings)
    dumped = file.origin.database if file.origin is not None else ""
    if wanted and dumped and dumped != wanted:
        raise NotInCopy(
            f"the dump is of database {escaped(shortened(dumped, _LONGEST))}, but the plan's `dsn` "
            f"names {wanted}",
            hint=_OTHER_DATABASE,
        )


_LONGEST = 60
_OTHER_DATABASE = (
    "let the other tool dump the right database, or correct `dsn`. If the database only has "
    "another name in the service, write its `dsn` as a secret reference ({credential: NAME}): "
    "drd then compares no names."
)


def _major(version: str) -> int:
    """Return the major version; 0 if a dump does not say it as PostgreSQL does."""
    match = re.match(r"(\d{1,2})(?!\d)", version)
    return int(match[1]) if match and VERSION.fullmatch(version) else 0


def _database(component: Component) -> str:
    """Return the name of the database, if the plan itself says it."""
    settings = component.settings
    assert isinstance(settings, PostgresSettings)
    dsn = settings.dsn
    if dsn.source != "text" or not isinstance(dsn.value, str):
        return component.name
    try:
        return str(conninfo_to_dict(dsn.value).get("dbname") or component.name)
    except ProgrammingError:
        return component.name


def _properties(database: str) -> dict[str, Any]:
    return {
        "name": database,
        "owner": "postgres",
        "tablespace": "pg_default",
        **_LOCALE,
        "connection_limit": -1,
        "is_template": False,
        "has_public": True,
        "comment": "",
        "extensions": _EXTENSIONS,
        "acl": [],
        "settings": [],
    }


_GLOBALS = {
    "version": 0,
    "passwords": False,
    "bootstrap": "postgres",
    "roles": [],
    "memberships": [],
    "parameters": [],
    "tablespaces": [],
}
