"""Restoring as the owner of a database, where a superuser's login does the rest.

SET ROLE alone is no fence: what runs in a superuser's session can take it back. So pg_restore logs in
as a role of this run, which is no superuser, has a password that nobody else knows, and can become
the owner and nobody beside. It goes when the restore is over.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg

from drd import log
from drd.errors import SourceError, TargetError
from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.connection import Address, connect, words
from drd.kinds.postgres.quoting import ident, literal

_LIMIT = 63

LEFT_OUT = ("EXTENSION ", "COMMENT - EXTENSION ", "EVENT TRIGGER ", "SUBSCRIPTION ", "DEFAULT ACL ")
"""What only a superuser may make or comment on; extensions are made before."""

_POWERFUL = """
SELECT s.rolname::text FROM pg_catalog.pg_roles o, pg_catalog.pg_roles s
 WHERE o.rolname = %s AND s.rolsuper AND pg_catalog.pg_has_role(o.oid, s.oid, 'MEMBER') LIMIT 1"""


def login_name(cluster: Cluster) -> str:
    return f"{cluster.mark}_owner"[:_LIMIT]


@contextmanager
def owners_login(
    cluster: Cluster, owner: str, working: str, extensions: dict[str, Any]
) -> Iterator[Address]:
    """The working database by a login that can do what the owner may. Raises TargetError for an
    owner who is a superuser, or when the server does not let that login in; psycopg.Error."""
    row = cluster.one(_POWERFUL, [owner])
    if row is not None:
        raise TargetError(
            f"the database's owner {owner} has the rights of superuser {row[0]}",
            hint="restore without --as-owner, or give the database another owner first.",
        )
    name = login_name(cluster)
    drop_login(cluster, working)
    password = secrets.token_urlsafe(32)
    log.mask(password)
    verifier = cluster.admin().pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    )
    cluster.execute(
        f"CREATE ROLE {ident(name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
        f"NOBYPASSRLS INHERIT PASSWORD {literal(verifier.decode())}"
    )
    try:
        cluster.execute(f"GRANT {ident(owner)} TO {ident(name)}")
        cluster.execute(f"ALTER DATABASE {ident(working)} OWNER TO {ident(owner)}")
        _make_ready(cluster, owner, working, extensions)
        yield _let_in(cluster, name, password, working)
    finally:
        drop_login(cluster, working, owner)


def drop_login(cluster: Cluster, working: str, owner: str | None = None) -> None:
    """Remove the login of this run; nothing when there is none. What a function of the dump made it
    own, by taking SET ROLE back, becomes the owner's, or goes."""
    name = login_name(cluster)
    if cluster.one("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", [name]) is None:
        return
    cluster.one(
        "SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity "
        "WHERE usename = %s",
        [name],
    )
    there = cluster.address.to_database(working)
    with suppress(SourceError, psycopg.Error), connect(there) as connection:
        if owner is not None:
            connection.execute(f"REASSIGN OWNED BY {ident(name)} TO {ident(owner)}".encode())
        connection.execute(f"DROP OWNED BY {ident(name)} CASCADE".encode())
    try:
        cluster.execute(f"DROP ROLE {ident(name)}")
    except psycopg.Error as error:
        cluster.execute(f"ALTER ROLE {ident(name)} NOLOGIN")
        log.get().warning("target.role_left", role=name, error=words(error))


def _make_ready(cluster: Cluster, owner: str, working: str, extensions: dict[str, Any]) -> None:
    """What the owner may not do by himself, while nothing of his is in there."""
    with connect(cluster.address.to_database(working)) as connection:
        row = connection.execute(
            b"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'public'"
        ).fetchone()
        if row and cluster.version < 150000:
            connection.execute(f"ALTER SCHEMA public OWNER TO {ident(owner)}".encode())
        for extension in extensions:
            connection.execute(
                f"CREATE EXTENSION IF NOT EXISTS {ident(extension)} CASCADE".encode()
            )


def _let_in(cluster: Cluster, name: str, password: str, working: str) -> Address:
    """By the dsn's own way; where that is a socket that asks for the system's user, by loopback."""
    params = {**cluster.address.to_database(working).params, "user": name}
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
        f"the server does not let a login of this recovery in by password: {said}",
        hint="let it in by a line like `host all all 127.0.0.1/32 scram-sha-256` in pg_hba.conf, or "
        "name the owner's own login in the target's dsn.",
    )
