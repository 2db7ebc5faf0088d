"""Restore as the owner of a database, with a superuser's login for the rest.

SET ROLE alone is no protection: code in a superuser's session can revert it. So pg_restore logs in
as a role that belongs to this run, is not a superuser, has a secret password, and can become only
the owner. Checks and steps use the same login afterwards: a view calls its functions with the
rights of its reader. The role is dropped at the end of the run.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg

from drd import log
from drd.errors import SourceError, TargetError
from drd.kinds.postgres import extensions
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.connection import connect, search_path, words
from drd.kinds.postgres.quoting import ident, literal, set_clause
from drd.kinds.postgres.server_text import as_stored, encoded

_LIMIT = 63

LEFT_OUT = ("EXTENSION ", "COMMENT - EXTENSION ", "EVENT TRIGGER ", "SUBSCRIPTION ", "DEFAULT ACL ")
"""Entries that only a superuser may make or comment on; extensions are made before."""

_POWERFUL = """
SELECT s.rolname::text FROM pg_catalog.pg_roles o, pg_catalog.pg_roles s
 WHERE o.rolname = %s AND s.rolsuper AND pg_catalog.pg_has_role(o.oid, s.oid, 'MEMBER') LIMIT 1"""

_OWNER = """
SELECT pg_catalog.pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database WHERE datname = %s"""

_HEIR = """
SELECT o.rolname::text FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles o ON o.oid = d.datdba
 WHERE d.datname = %s AND NOT o.rolsuper AND pg_catalog.pg_has_role(%s::name, o.oid, 'MEMBER')"""


def login_name(cluster: Cluster) -> str:
    return f"{cluster.mark}_owner"[:_LIMIT]


@contextmanager
def owners_login(
    cluster: Cluster, owner: str, working: str, saved: Mapping[str, Any]
) -> Iterator[Address]:
    """Return the working database with a login that has the owner's rights. Raises TargetError if
    the owner is a superuser, or if the server rejects that login; psycopg.Error.
    """
    _require_harmless(cluster, owner)
    drop_login(cluster, working)
    password = _make(cluster, owner)
    try:
        cluster.execute(f"ALTER DATABASE {ident(working)} OWNER TO {ident(owner)}")
        _make_ready(cluster, owner, working, saved)
        yield _let_in(cluster, password, working)
    finally:
        drop_login(cluster, working)


def login_for_questions(cluster: Cluster) -> Address:
    """Return the address of the restored database with such a login.

    Everything after a restore uses it, since views and functions run with the rights of the user
    who queries. The login acts as the owner, finds tables where the target's own login would find
    them, and stays until `drop_login`. Raises the errors of `owners_login`.
    """
    name = cluster.address.dbname
    row = cluster.one(_OWNER, [name])
    if row is None:
        raise TargetError(
            f'database "{name}" no longer exists', hint="restore this database again."
        )
    owner = str(row[0])
    _require_harmless(cluster, owner)
    drop_login(cluster, name)
    with connect(cluster.undisturbed(name), pinned=False) as connection:
        path = search_path(connection)
    password = _make(cluster, owner)
    for setting in (f"role={owner}", f"search_path={path}"):
        cluster.execute(f"ALTER ROLE {ident(login_name(cluster))} {set_clause(setting)}")
    return _let_in(cluster, password, name)


def _require_harmless(cluster: Cluster, owner: str) -> None:
    row = cluster.one(_POWERFUL, [owner])
    if row is not None:
        raise TargetError(
            f"--as-owner would not protect this server: the database's owner {owner} has the "
            f"rights of superuser {row[0]}, and code in the backup would get these rights",
            hint="give the database another owner first; or, if you trust the code in the backup, "
            "restore without --as-owner.",
        )


def _make(cluster: Cluster, owner: str) -> str:
    """Make the role of this run, which can become the owner; returns its password."""
    name = login_name(cluster)
    password = secrets.token_urlsafe(32)
    log.mask(password)
    verifier = cluster.admin().pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    )
    cluster.execute(
        f"CREATE ROLE {ident(name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
        f"NOBYPASSRLS INHERIT PASSWORD {literal(verifier.decode())}"
    )
    cluster.execute(f"GRANT {ident(owner)} TO {ident(name)}")
    return password


def drop_login(cluster: Cluster, *databases: str) -> None:
    """Drop the login of this run, if there is one.

    A function that reverts SET ROLE may have made the login own something in these databases. The
    database's owner gets it if the login could become the owner; otherwise it is dropped.
    """
    name = login_name(cluster)
    if cluster.one("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", [name]) is None:
        return
    cluster.execute(f"ALTER ROLE {ident(name)} NOLOGIN")
    cluster.one(
        "SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity "
        "WHERE usename = %s",
        [name],
    )
    for database in databases:
        if cluster.has(database):
            with suppress(SourceError, psycopg.Error):
                _disown(cluster, name, database)
    try:
        cluster.execute(f"DROP ROLE {ident(name)}")
    except psycopg.Error as error:
        log.get().warning("target.role_left", role=name, error=words(error))


def _disown(cluster: Cluster, name: str, database: str) -> None:
    row = cluster.one(_HEIR, [database, name])
    with connect(cluster.undisturbed(database)) as connection, as_stored(connection):
        # Whatever the database's settings make of a session.
        connection.execute(b"SET ROLE NONE; SET default_transaction_read_only = off")
        if row is not None:
            heir = ident(str(row[0]))
            connection.execute(encoded(f"REASSIGN OWNED BY {ident(name)} TO {heir}"))
        connection.execute(encoded(f"DROP OWNED BY {ident(name)} CASCADE"))


def _make_ready(cluster: Cluster, owner: str, working: str, saved: Mapping[str, Any]) -> None:
    """Do what the owner may not do, while the database contains nothing of the owner's."""
    with connect(cluster.address.to_database(working)) as connection:
        row = connection.execute(
            b"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'public'"
        ).fetchone()
        if row and cluster.version < 150000:
            connection.execute(f"ALTER SCHEMA public OWNER TO {ident(owner)}".encode())
        extensions.create(connection, saved, owner)


def _let_in(cluster: Cluster, password: str, database: str) -> Address:
    """Connect in the way of the dsn; if that is a socket that wants the system's user, by
    loopback.
    """
    params = {**cluster.address.to_database(database).params, "user": login_name(cluster)}
    params["options"] = "-c idle_session_timeout=0" if cluster.version >= 140000 else ""
    ways = [params]
    if params.get("host", "/").startswith(("/", "@")):
        ways.append({**params, "host": "127.0.0.1"})
    said = ""
    for way in ways:
        address = replace(cluster.address, params=way, password=password)
        try:
            with connect(address) as connection:
                connection.execute(b"SELECT 1")
        except SourceError as error:
            said = said or error.message
        else:
            return address
    raise TargetError(
        f"the server does not accept a password login of this recovery: {said}",
        hint="add a line like `host all all 127.0.0.1/32 scram-sha-256` to pg_hba.conf, or "
        "use the owner's own login in the target's dsn.",
    )
