"""Servers as administrators leave them: hardened, with settings of their own, with many tables."""

from __future__ import annotations

from pathlib import Path

from drd.kinds.postgres.connection import address_of, connect
from drd.kinds.postgres.fingerprint import describe
from drd.model.plan import SecretRef
from drd.model.snapshot import DatabaseFingerprint
from drd.ports import Workplace
from tests.postgres_support import KIND, back_up, bring_back, component
from tests.servers import PostgresServer, postgres_server


def test_a_superuser_that_may_not_log_in_does_not_lock_the_sandbox(
    short_tmp: Path, place: Workplace
) -> None:
    """A usual hardening: the first superuser is locked, another one does the work."""
    (short_tmp / "source").mkdir()
    with postgres_server(short_tmp / "source") as server:
        server.execute("CREATE ROLE dba SUPERUSER LOGIN")
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE orders AS SELECT generate_series(1, 9) AS id", "shop")
        server.execute("ALTER DATABASE shop SET default_transaction_read_only = on")
        server.execute("ALTER DATABASE shop SET statement_timeout = 1")
        with connect(address_of(SecretRef("text", server.dsn("postgres", "dba")))) as dba:
            for setting in ("session_preload_libraries = 'not here'", "role = pg_monitor"):
                dba.execute(f"ALTER ROLE postgres SET {setting}".encode())
                dba.execute(f"ALTER ROLE postgres IN DATABASE shop SET {setting}".encode())
            dba.execute("ALTER ROLE postgres NOLOGIN")
        backup = back_up(component(server.dsn("shop", "dba")), place, short_tmp / "dump")
    sandbox = KIND.sandbox(component("host=/nowhere dbname=x"), backup.snapshot, place)
    try:
        restored = bring_back(sandbox, backup)
        saved = backup.snapshot.fingerprint
        assert isinstance(saved, DatabaseFingerprint)
        found = sandbox.inspector().fingerprint(saved, 60)
        assert isinstance(found, DatabaseFingerprint)
        assert found.tables == saved.tables
        assert restored.differences == ()
    finally:
        sandbox.close()


def test_a_fingerprint_keeps_no_locks(source_server: PostgresServer) -> None:
    """The lock table is the whole server's: thousands of tables and indexes would fill it."""
    source_server.execute("CREATE DATABASE locks")
    for name in ("a", "b", "c"):
        source_server.execute(f"CREATE TABLE {name} (x int PRIMARY KEY)", "locks")
    with (
        connect(address_of(SecretRef("text", source_server.dsn("locks")))) as connection,
        connection.transaction(),
    ):
        found = describe(connection, mode="counts", budget_s=60, properties={})
        assert len(found.tables) == 3
        query = """SELECT c.relname FROM pg_catalog.pg_locks l
                     JOIN pg_catalog.pg_class c ON c.oid = l.relation
                    WHERE l.pid = pg_catalog.pg_backend_pid() AND c.oid >= 16384"""
        assert connection.execute(query).fetchall() == []
