"""The sessions of other programs in a database that a recovery replaces, or has restored."""

from __future__ import annotations

from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.connection import own_sessions
from drd.kinds.postgres.server_text import as_stored, shown
from drd.model.restored import Usage
from drd.model.text import counted

_SESSIONS = """
SELECT usename::text, application_name, client_addr::text, count(*)
  FROM pg_catalog.pg_stat_activity
 WHERE datname = %s AND pid <> pg_catalog.pg_backend_pid() AND usename IS NOT NULL
   AND pid <> ALL (%s)
   AND (backend_type IS NULL OR backend_type = 'client backend')
 GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"""
# A login without the right to see them gets the number and the users alone.

_OURS = "drd"
"""The name that drd gives to its sessions; anybody else can use this name, too."""
_EFFECT = (
    "drd ends these sessions, and a program that connects again may write into the restored "
    "data before drd has checked the data"
)


def sessions(cluster: Cluster) -> list[Usage]:
    """Return the sessions of other programs in the database. Raises psycopg.Error."""
    name = cluster.address.dbname
    admin = cluster.admin()
    with as_stored(admin):
        rows = admin.execute(_SESSIONS.encode(), [name, own_sessions(admin)]).fetchall()
    if not rows:
        return []
    by = tuple(_session(*row) for row in rows)
    return [Usage(what=f'database "{shown(name)}"', by=by, effect=_EFFECT)]


def _session(user: str, program: str | None, client: str | None, count: int) -> str:
    """`2 sessions of app (shop-web) from 10.0.0.5`."""
    text = f"{counted(count, 'session')} of {shown(user)}"
    if program == _OURS:
        text += " (its name is drd: perhaps another command or run of drd)"
    elif program:
        text += f" ({shown(program)})"
    return f"{text} from {client}" if client else text
