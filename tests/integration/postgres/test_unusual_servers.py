"""Servers as administrators leave them: hardened, with settings of their own, with many tables."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from drd import process
from drd.errors import DumpFailed, SandboxUnavailable, TargetNotEmpty
from drd.kinds.postgres import dump
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.fingerprint import describe
from drd.kinds.postgres.load import Load
from drd.kinds.postgres.settings import PostgresTarget
from drd.model.plan import SecretRef
from drd.model.snapshot import DatabaseFingerprint
from drd.ports import Capture, Stream, Workplace, no_progress
from drd.process import Command
from tests.postgres_support import (
    KIND,
    NAME,
    back_up,
    component,
    fetch,
    restore_components,
    target_of,
)
from tests.servers import PostgresServer, postgres_server


def test_a_hardened_server_neither_locks_the_sandbox_nor_changes_what_came_back(
    short_tmp: Path, place: Workplace
) -> None:
    """The first superuser is locked and another one does the work, logins leave rows, and every
    role has settings."""
    (short_tmp / "source").mkdir()
    with postgres_server(short_tmp / "source") as server:
        server.execute("CREATE ROLE dba SUPERUSER LOGIN")
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE orders AS SELECT generate_series(1, 9) AS id", "shop")
        server.execute(
            "CREATE SCHEMA app; CREATE TABLE app.logins (at timestamptz);"
            "CREATE FUNCTION app.note() RETURNS event_trigger LANGUAGE plpgsql AS $$"
            " BEGIN INSERT INTO app.logins VALUES (clock_timestamp());"
            " EXCEPTION WHEN read_only_sql_transaction THEN NULL; END $$;"
            "CREATE EVENT TRIGGER noted ON login EXECUTE FUNCTION app.note();",
            "shop",
        )
        server.execute("GRANT SET ON PARAMETER log_statement TO PUBLIC")
        server.execute("ALTER DATABASE shop SET default_transaction_read_only = on")
        server.execute("ALTER DATABASE shop SET statement_timeout = 25")
        with connect(address_of(SecretRef("text", server.dsn("postgres", "dba")))) as dba:
            for setting in ("session_preload_libraries = 'not here'", "role = pg_monitor"):
                dba.execute(f"ALTER ROLE postgres SET {setting}".encode())
                dba.execute(f"ALTER ROLE postgres IN DATABASE shop SET {setting}".encode())
            dba.execute("ALTER ROLE ALL SET search_path = app")
            dba.execute("ALTER ROLE ALL SET default_transaction_read_only = on")
            dba.execute("ALTER ROLE postgres NOLOGIN")
        backup = back_up(component(server.dsn("shop", "dba")), place, short_tmp / "dump")
    sandbox = KIND.sandbox(component("host=/nowhere dbname=x"), backup.snapshot, place)
    try:
        restored = restore_components(sandbox, backup)
        saved = backup.snapshot.fingerprint
        assert isinstance(saved, DatabaseFingerprint)
        found = sandbox.inspector().fingerprint(saved, 60)
        assert isinstance(found, DatabaseFingerprint)
        assert found.tables == saved.tables
        assert sandbox.inspector().scalar("SELECT count(*) FROM logins") == 0
        allowed = "SELECT paracl::text FROM pg_parameter_acl WHERE parname = 'log_statement'"
        assert "=s/postgres" in sandbox.inspector().scalar(allowed)
        assert (restored.notes, restored.differences) == ((), ())
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


def databases(server: PostgresServer) -> set[str]:
    return {name for (name,) in server.execute("SELECT datname FROM pg_database")}


def test_a_given_up_database_with_subscriptions_is_dropped(
    source_server: PostgresServer,
    target_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
) -> None:
    """The server does not drop a database with subscriptions, forced or not."""
    source_server.execute("CREATE DATABASE subscribed")
    source_server.execute(
        "CREATE SUBSCRIPTION theirs CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)",
        "subscribed",
    )
    backup = back_up(component(source_server.dsn("subscribed")), place, short_tmp / "dump")
    source_server.execute("ALTER SUBSCRIPTION theirs SET (slot_name = NONE)", "subscribed")
    source_server.execute("DROP SUBSCRIPTION theirs", "subscribed")
    target = target_of(target_server, place, database="subscribed")
    target.preflight(backup.snapshot, overwrite=False)
    fetch(target, backup)
    target_server.execute("CREATE DATABASE subscribed")  # filled by somebody meanwhile
    target_server.execute("CREATE TABLE theirs (x int)", "subscribed")
    with pytest.raises(TargetNotEmpty):
        target.restore(backup.snapshot, backup.private, on_progress=no_progress)
    assert {d for d in databases(target_server) if d.startswith("drd_")}
    target.close()
    assert not {d for d in databases(target_server) if d.startswith("drd_")}


@pytest.mark.parametrize("service", [False, True])
def test_a_target_is_the_database_that_libpq_would_take(  # noqa: PLR0917
    source_server: PostgresServer,
    target_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
    service: bool,
) -> None:
    """Without a name it is called after the user; a service's own name goes before a variable's."""
    name = f"named_{service}".lower()
    source_server.execute(f"CREATE DATABASE {name}")
    source_server.execute("CREATE TABLE t AS SELECT 1 AS x", name)
    backup = back_up(component(source_server.dsn(name)), place, short_tmp / "dump")
    dsn = f"host={target_server.socket_dir} port={target_server.port} user=postgres"
    if service:
        file = short_tmp / "services"
        file.write_text("\n".join(["[there]", *dsn.split(), "dbname=by service", ""]))
        monkeypatch.setenv("PGSERVICEFILE", str(file))
        monkeypatch.setenv("PGDATABASE", "of_a_variable")
        monkeypatch.setenv("PGHOST", "/nowhere")
        dsn = "service=there"
    settings = PostgresTarget.model_validate({"dsn": dsn})
    target = KIND.target(component("host=/nowhere"), settings, place)
    try:
        assert restore_components(target, backup).differences == ()
    finally:
        target.close()
    final = "by service" if service else "postgres"
    assert target_server.execute("SELECT x FROM t", final) == [(1,)]
    assert "of_a_variable" not in databases(target_server)
    if not service:
        target_server.execute("DROP TABLE t", "postgres")


def test_a_locked_table_ends_the_dump_in_bounded_time_and_its_holder_is_named(
    source_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dump, "LOCK_WAIT_MS", 1000)
    source_server.execute("CREATE DATABASE held")
    source_server.execute('CREATE TABLE "held one" (x int); CREATE TABLE free (x int)', "held")
    what = component(source_server.dsn("held"), fingerprint="off")
    with psycopg.connect(source_server.dsn("held")) as other:
        other.execute('LOCK TABLE "held one" IN ACCESS EXCLUSIVE MODE')
        with pytest.raises(DumpFailed) as caught:
            back_up(what, place, short_tmp / "dump")
        assert caught.value.message == (
            f'pg_dump of {NAME} waited 1s for locked tables: public."held one" by session '
            f"{other.info.backend_pid} of postgres"
        )
        assert "ALTER TABLE" in caught.value.hint
    back_up(what, place, short_tmp / "dump")


def dumped(capture: Capture) -> None:
    """As the repository does it, but stored nowhere."""
    assert isinstance(capture.payload, Stream)
    done = process.run(capture.payload.command)
    if done.exit_code != 0:
        raise DumpFailed(done.complaint, output=done.stderr)


def test_a_table_that_goes_as_the_dump_begins_ends_it_with_a_hint(
    source_server: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    source_server.execute("CREATE DATABASE going")
    source_server.execute("CREATE TABLE gone (x int); CREATE TABLE stays (x int)", "going")
    what = component(source_server.dsn("going"), fingerprint="off")
    capture = KIND.source(what, place).open()
    with pytest.raises(DumpFailed) as caught, capture as taken:  # noqa: PT012
        source_server.execute("DROP TABLE gone", "going")
        dumped(taken)
    assert "then try again" in caught.value.hint
    back_up(what, place, short_tmp / "dump")


@pytest.mark.parametrize("what", ["server", "pg_restore"])
def test_a_sandbox_in_which_something_was_killed_says_nothing_about_the_backup(
    what: str,
    source_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the kernel does when memory runs out."""
    name = f"heavy_{what}_{secrets.token_hex(3)}"
    source_server.execute(f"CREATE DATABASE {name}")
    source_server.execute("CREATE TABLE t AS SELECT 1 AS x", name)
    backup = back_up(component(source_server.dsn(name)), place, short_tmp / "dump")
    whole = Load.run

    def killed(self: Load, jobs: int, *, on_tick: Callable[[], None]) -> process.Completed:
        if what == "pg_restore":
            return process.run(Command(("sh", "-c", "kill -KILL $$")))
        pidfile = place.directory / "server/data/postmaster.pid"
        os.kill(int(pidfile.read_text().splitlines()[0]), signal.SIGKILL)
        return whole(self, jobs, on_tick=on_tick)

    monkeypatch.setattr(Load, "run", killed)
    sandbox = KIND.sandbox(component("host=/nowhere dbname=x"), backup.snapshot, place)
    try:
        with pytest.raises(SandboxUnavailable, match="was killed") as caught:
            restore_components(sandbox, backup)
        assert not caught.value.permanent
    finally:
        sandbox.close()
    assert list(place.directory.iterdir()) == []
