"""A PostgreSQL source says what is wrong before anything is stored, and dumps one state."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from drd import process
from drd.errors import (
    Cancelled,
    DumpFailed,
    ImplausibleDump,
    SourceError,
    SourceMissing,
    SourceUnreachable,
    ToolMissing,
    ToolTooOld,
)
from drd.kinds.postgres import rights
from drd.kinds.postgres.source import PostgresCapture
from drd.model.snapshot import DatabaseFingerprint, StoredSnapshot
from drd.ports import Source, Stream, Workplace
from tests.postgres_support import KIND, back_up, component
from tests.servers import PostgresServer, postgres_server, short_directory


@pytest.fixture(scope="module")
def shop(source_server: PostgresServer) -> PostgresServer:
    """A database `shop` with a table, and the roles of these tests."""
    source_server.execute("CREATE DATABASE shop")
    source_server.execute(
        "CREATE TABLE orders AS SELECT n AS id, 'order ' || n AS what FROM generate_series(1, "
        "500) n",
        "shop",
    )
    return source_server


def source(dsn: str, place: Workplace, **settings: object) -> Source:
    return KIND.source(component(dsn, **settings), place)


def fresh(server: PostgresServer, name: str, sql: str) -> str:
    server.execute(f"DROP DATABASE IF EXISTS {name}")
    server.execute(f"CREATE DATABASE {name}")
    server.execute(sql, name)
    return name


def test_a_healthy_source_reports_size_and_version(shop: PostgresServer, place: Workplace) -> None:
    probe = source(shop.dsn("shop"), place).probe()
    assert probe.size_bytes is not None
    assert probe.size_bytes > 1_000_000
    assert str(probe.facts["server_version"]).startswith("17.")
    assert probe.notes == ()
    findings = source(shop.dsn("shop"), place).doctor()
    assert all(f.severity == "ok" for f in findings)
    assert "orders-db: reachable" in [f.name for f in findings]


# --- what cannot be reached ------------------------------------------------------------------


def test_a_missing_database_is_named(shop: PostgresServer, place: Workplace) -> None:
    with pytest.raises(SourceMissing, match=r" has no database nowhere$") as caught:
        source(shop.dsn("nowhere"), place).probe()
    assert caught.value.hint


def test_a_stopped_server_is_unreachable_and_worth_a_retry(
    short_tmp: Path, place: Workplace
) -> None:
    with pytest.raises(SourceUnreachable, match="cannot connect") as caught:
        source(f"host={short_tmp} dbname=x user=y", place).probe()
    assert not caught.value.permanent
    assert "server runs" in caught.value.hint
    (finding,) = source(f"host={short_tmp} dbname=x user=y", place).doctor()
    assert (finding.name, finding.failed) == ("orders-db: reachable", True)


def test_a_server_that_ends_the_connection_is_unreachable_and_worth_a_retry(
    shop: PostgresServer, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While drd looks at its rights, or during the backup."""

    def ends(connection: psycopg.Connection[tuple[object, ...]], *_: object) -> None:
        connection.execute("SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())")

    def backs_up() -> None:
        with source(shop.dsn("shop"), place).open() as capture:
            assert isinstance(capture, PostgresCapture)
            ends(capture._holder)

    with pytest.raises(SourceUnreachable, match="a query of drd failed"):
        backs_up()
    monkeypatch.setattr(rights, "examine", ends)
    with pytest.raises(SourceUnreachable, match=r"failed at .*: terminating") as caught:
        source(shop.dsn("shop"), place).probe()
    assert not caught.value.permanent
    found = source(shop.dsn("shop"), place).doctor()[-1]
    assert (found.code, found.failed, found.text) == ("rights", True, caught.value.message)


@pytest.fixture(scope="module")
def locked() -> Iterator[PostgresServer]:
    with (
        short_directory() as path,
        postgres_server(path, major=17, tcp=True, password="pass: \\word'x") as server,
    ):
        server.execute("CREATE TABLE t AS SELECT generate_series(1, 10)")
        yield server


def with_secret(dsn: str, directory: Path) -> object:
    file = directory / "dsn"
    file.write_text(dsn + "\n")
    return {"file": str(file)}


def test_a_wrong_password_is_refused_without_being_repeated(
    locked: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    bad = "host=127.0.0.1 port={} user=postgres dbname=postgres password=gue55ed-wrong"
    secret = with_secret(bad.format(locked.port), short_tmp)
    with pytest.raises(SourceError, match="refuses the login") as caught:
        KIND.source(component(secret), place).probe()
    assert caught.value.permanent
    assert "gue55ed" not in str(caught.value) + caught.value.hint
    assert "an expired password" in caught.value.hint


def test_a_password_reaches_pg_dump_by_a_private_file_only(
    locked: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    what = component(with_secret(locked.dsn(), short_tmp))
    with KIND.source(what, place).open() as capture:
        assert isinstance(capture.payload, Stream)
        command = capture.payload.command
        shown = " ".join([*command.argv, *command.env.values()])
        assert "word" not in shown
        (file,) = place.directory.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
    assert list(place.directory.iterdir()) == []
    backup = back_up(what, place, short_tmp / "dump")
    assert backup.snapshot.bytes > 500
    assert "word'x" not in str(backup.snapshot) + str(backup.private)


# --- tools -----------------------------------------------------------------------------------


def test_a_pg_dump_older_than_the_server_is_refused(
    shop: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    old = short_tmp / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.3 (Debian 15.3-1)'\n")
    old.chmod(0o755)
    with pytest.raises(
        ToolTooOld, match=r"pg_dump 15\.3 is older than the server.s version 17"
    ) as caught:
        source(shop.dsn("shop"), place, bin_dir=str(short_tmp)).probe()
    assert "postgresql-client-17" in caught.value.hint
    assert "bin_dir" in caught.value.hint


def test_a_missing_pg_dump_is_named(
    shop: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    with pytest.raises(ToolMissing, match="pg_dump") as caught:
        source(shop.dsn("shop"), place, bin_dir=str(short_tmp)).probe()
    assert "postgresql-client-17" in caught.value.hint


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_every_compression_dumps(
    shop: PostgresServer, place: Workplace, short_tmp: Path, compression: str
) -> None:
    backup = back_up(
        component(shop.dsn("shop"), compression=compression), place, short_tmp / "dump"
    )
    size = {"none": 8_000, "gzip": 1_000, "zstd": 1_000}[compression]
    assert size < backup.snapshot.bytes < size * 8


# --- rights ----------------------------------------------------------------------------------


def test_tables_without_a_grant_are_named_with_the_grant_that_helps(
    shop: PostgresServer, place: Workplace
) -> None:
    shop.execute("DROP ROLE IF EXISTS nobody_yet; CREATE ROLE nobody_yet LOGIN")
    dsn = shop.dsn("shop", "nobody_yet")
    with pytest.raises(SourceError, match=r"cannot read public\.orders") as caught:
        source(dsn, place).probe()
    assert caught.value.hint == (
        "GRANT pg_read_all_data TO nobody_yet; -- If no role may give this: run the script that "
        "`drd doctor PLAN --grants` prints, as the owner of the tables."
    )
    shop.execute(caught.value.hint)
    assert source(dsn, place).probe().notes == ()


def test_the_grants_that_doctor_prints_are_enough(
    shop: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    """A backup user with nothing but what the hints say backs up rows, secrets and large
    objects."""
    name = fresh(
        shop,
        "guarded",
        "CREATE TABLE notes AS SELECT n FROM generate_series(1, 1000) n;"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE notes FORCE ROW LEVEL SECURITY;"
        "CREATE SEQUENCE s; SELECT lo_from_bytea(77, 'x'); SELECT lo_from_bytea(78, 'y')",
    )
    shop.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    shop.execute("DROP ROLE IF EXISTS saver; CREATE ROLE saver LOGIN")
    shop.execute("DROP ROLE IF EXISTS guarded_app; CREATE ROLE guarded_app PASSWORD 'x'")
    dsn = shop.dsn(name, "saver")
    (shut,) = source(dsn, place).doctor()
    assert shut.remedy == f"GRANT CONNECT ON DATABASE {name} TO saver;"
    shop.execute(shut.remedy)
    first = {f.name: f for f in source(dsn, place).doctor()}
    assert first["orders-db: rights"].failed
    assert first["orders-db: row security"].failed
    assert first["orders-db: row security"].remedy.startswith("ALTER ROLE saver BYPASSRLS;")
    large = first["orders-db: large objects"]
    once = "GRANT SELECT ON LARGE OBJECT 77, 78 TO saver;"
    assert large.remedy.startswith(
        f"ALTER ROLE saver IN DATABASE {name} SET lo_compat_privileges = on; -- "
    )
    assert large.remedy.endswith(once)
    shop.execute(once, name)
    granted = {f.name: f for f in source(dsn, place).doctor()}["orders-db: large objects"]
    assert granted.severity == "warning"
    assert "existing large objects, but not new ones" in granted.text
    assert first["orders-db: role passwords"].severity == "warning"
    for finding in first.values():
        if finding.remedy:
            shop.execute(finding.remedy, name)
    shop.execute("SELECT lo_from_bytea(79, 'z')", name)
    assert all(f.severity == "ok" for f in source(dsn, place).doctor())
    backup = back_up(component(dsn), place, short_tmp / "dump")
    fingerprint = backup.snapshot.fingerprint
    assert isinstance(fingerprint, DatabaseFingerprint)
    assert fingerprint.tables["public.notes"].rows == 1000
    (role,) = [r for r in backup.private["globals"]["roles"] if r["name"] == "guarded_app"]
    assert role["password"].startswith("SCRAM-SHA-256$")


def test_configuration_that_an_extension_declared_has_to_be_readable(
    shop: PostgresServer, place: Workplace
) -> None:
    """pg_dump takes its rows, though the table belongs to the extension."""
    name = fresh(
        shop,
        "configured",
        "CREATE TABLE settings (a int); CREATE TABLE internal (a int);"
        "ALTER EXTENSION plpgsql ADD TABLE settings; ALTER EXTENSION plpgsql ADD TABLE internal;"
        "UPDATE pg_extension SET extconfig = ARRAY['settings'::regclass::oid], extcondition = "
        "'{\"\"}'",
    )
    shop.execute("DROP ROLE IF EXISTS keeper; CREATE ROLE keeper LOGIN")
    with pytest.raises(SourceError) as caught:
        source(shop.dsn(name, "keeper"), place).probe()
    assert caught.value.message == "user keeper cannot read public.settings"


def test_forced_row_security_stops_even_the_owner(shop: PostgresServer, place: Workplace) -> None:
    shop.execute("DROP ROLE IF EXISTS landlord; CREATE ROLE landlord LOGIN")
    name = fresh(
        shop,
        "forced",
        "GRANT CREATE ON SCHEMA public TO landlord; SET ROLE landlord;"
        "CREATE TABLE mine (a int); ALTER TABLE mine ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE mine FORCE ROW LEVEL SECURITY",
    )
    with pytest.raises(SourceError, match=r"row security hides rows of public\.mine") as caught:
        source(shop.dsn(name, "landlord"), place).probe()
    assert "BYPASSRLS" in caught.value.hint
    assert "forced" in caught.value.hint


# --- one consistent state --------------------------------------------------------------------


def test_dump_fingerprint_and_answers_are_of_the_data_time(
    shop: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    name = fresh(shop, "moving", "CREATE TABLE t AS SELECT n FROM generate_series(1, 100) n")
    with source(shop.dsn(name), place, fingerprint="digest").open() as capture:
        shop.execute("INSERT INTO t VALUES (101); CREATE TABLE later (a int)", name)
        fingerprint = capture.fingerprint()
        answers = capture.observe(
            {"n": "select count(*) from t", "bad": "select nothing", "two": "select 1; select 2"}
        )
        assert isinstance(capture.payload, Stream)
        sql = process.run(capture.payload.command, limit=1 << 24).stdout
    assert isinstance(fingerprint, DatabaseFingerprint)
    assert {k: v.rows for k, v in fingerprint.tables.items()} == {"public.t": 100}
    assert answers == {"n": 100}
    assert "100\n" in sql
    assert "101\n" not in sql


def test_a_server_that_stops_in_the_middle_of_the_dump_fails_it(
    place: Workplace, short_tmp: Path
) -> None:
    with short_directory() as path, postgres_server(path, major=17) as server:
        server.execute(
            "CREATE TABLE big AS SELECT n, repeat('x', 500) FROM generate_series(1, 100000) n"
        )
        with source(server.dsn(), place).open() as capture:
            assert isinstance(capture.payload, Stream)
            reader = process.Command(
                ["sh", "-c", 'head -c 1000000 > "$0"; touch "$0.begun"; sleep 1; exec cat >> "$0"',
                 str(short_tmp / "dump")]
            )  # fmt: skip

            def stop() -> None:
                while not (short_tmp / "dump.begun").exists():
                    time.sleep(0.01)
                server.stop("immediate")

            stopper = threading.Thread(target=stop)
            stopper.start()
            result = process.gated_pipe(capture.payload.command, reader)
            stopper.join()
            assert result.producer.exit_code != 0
            assert result.consumer is None
            with pytest.raises(SourceUnreachable):
                capture.fingerprint()
        assert list(place.directory.iterdir()) == []
        with pytest.raises((DumpFailed, SourceUnreachable)):
            back_up(component(server.dsn()), place, short_tmp / "again")


def test_a_dump_that_cannot_hold_the_rows_is_implausible(
    shop: PostgresServer, place: Workplace
) -> None:
    with source(shop.dsn("shop"), place).open() as capture:
        assert isinstance(capture, PostgresCapture)
        fingerprint = capture.fingerprint()
        assert capture.verify(StoredSnapshot("s", 20_000, 1), fingerprint) is fingerprint
        for size in (0, 400):
            with pytest.raises(ImplausibleDump):
                capture.verify(StoredSnapshot("s", size, 1), fingerprint)


# --- fingerprints ----------------------------------------------------------------------------


def look(server: PostgresServer, name: str, place: Workplace, **how: object) -> DatabaseFingerprint:
    with source(server.dsn(name), place, fingerprint=how).open() as capture:
        found = capture.fingerprint()
    assert isinstance(found, DatabaseFingerprint)
    return found


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET b = 'value 8' WHERE a = 7",
        "DELETE FROM t WHERE a = 9",
        "INSERT INTO t SELECT * FROM t WHERE a = 3",
        "DELETE FROM t WHERE a = 4; INSERT INTO t SELECT * FROM t WHERE a = 3",
        "UPDATE t SET b = NULL WHERE a = 1",
        "UPDATE t SET f = f + 1e-15 WHERE a = 1",
    ],
)
def test_the_digest_notices_changes(shop: PostgresServer, place: Workplace, change: str) -> None:
    name = fresh(
        shop,
        "digested",
        "CREATE TABLE t AS SELECT n AS a, 'value ' || n AS b, n / 7.0::float8 AS f"
        " FROM generate_series(1, 20) n",
    )
    before = look(shop, name, place, mode="digest").tables["public.t"]
    assert look(shop, name, place, mode="digest").tables["public.t"] == before
    shop.execute(change, name)
    assert look(shop, name, place, mode="digest").tables["public.t"] != before


def test_the_digest_does_not_depend_on_order_or_session(
    shop: PostgresServer, place: Workplace
) -> None:
    rows = "SELECT n AS a, now() - n * interval '1 day' AS at, n / 3.0::float8 AS f, '\\x01'::bytea"
    name = fresh(
        shop, "ordered", f"CREATE TABLE t AS {rows} FROM generate_series(1, 50) n; SELECT 1"
    )
    before = look(shop, name, place, mode="digest").tables
    shop.execute(
        "CREATE TABLE u AS TABLE t ORDER BY a DESC; DROP TABLE t; ALTER TABLE u RENAME TO t", name
    )
    for setting in ("TimeZone = 'Asia/Tokyo'", "DateStyle = 'German'", "extra_float_digits = 0",
                    "bytea_output = 'escape'"):  # fmt: skip
        shop.execute(f"ALTER DATABASE {name} SET {setting}")
    assert look(shop, name, place, mode="digest").tables == before


def test_a_budget_that_is_over_names_every_table(shop: PostgresServer, place: Workplace) -> None:
    name = fresh(shop, "spent", "CREATE TABLE a (x int); CREATE TABLE b (x int)")
    found = look(shop, name, place, mode="counts", budget="0.000001s")
    assert found.tables == {}
    assert set(found.not_reached) == {"public.a", "public.b"}
    assert all("budget" in reason for reason in found.not_reached.values())


def test_a_slow_table_does_not_outlast_the_budget(shop: PostgresServer, place: Workplace) -> None:
    name = fresh(
        shop,
        "slow",
        "CREATE TABLE small (x int); INSERT INTO small VALUES (1);"
        "CREATE TABLE locked AS SELECT generate_series(1, 10000)",
    )
    shop.execute("VACUUM ANALYZE", name)
    how = {"mode": "counts", "budget": "1s"}
    with (
        source(shop.dsn(name), place, fingerprint=how).open() as capture,
        psycopg.connect(shop.dsn(name)) as other,
    ):
        other.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        found = capture.fingerprint()
        assert time.monotonic() - begun < 5
    assert isinstance(found, DatabaseFingerprint)
    assert found.tables["public.small"].rows == 1
    assert set(found.not_reached) == {"public.locked"}


def test_a_disabled_fingerprint_is_empty(shop: PostgresServer, place: Workplace) -> None:
    with source(shop.dsn("shop"), place, fingerprint="off").open() as capture:
        assert capture.fingerprint() is None
        assert capture.facts["database"] == "shop"


def test_a_cancel_ends_a_long_query(shop: PostgresServer, place: Workplace) -> None:
    name = fresh(shop, "cancelled", "CREATE TABLE t (x int)")
    with (
        source(shop.dsn(name), place).open() as capture,
        psycopg.connect(shop.dsn(name)) as other,
    ):
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        timer = threading.Timer(0.5, process.cancel)
        timer.start()
        try:
            with pytest.raises(Cancelled):
                capture.fingerprint()
        finally:
            timer.join()
            process.reset_cancel()
