"""Sources that are not the usual one: a standby, another encoding."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from drd.errors import TargetError
from drd.model.snapshot import DatabaseFingerprint
from drd.ports import Workplace
from tests.conftest import _run_directory
from tests.postgres_support import KIND, back_up, component, restore_components, target_of
from tests.servers import PostgresServer, short_directory
from tests.servers.child import Child, tied_to_us
from tests.servers.postgres import _unprivileged_user


@contextmanager
def standby_of(server: PostgresServer) -> Iterator[str]:
    """A hot standby that streams from the server; its address without a database."""
    user = _unprivileged_user()
    with short_directory(_run_directory()) as directory:
        if user is not None:
            os.chown(directory, user.uid, user.gid)
        copy = [str(server.bin_dir / "pg_basebackup"), "-D", str(directory / "data"), "-R"]
        copy += ["-c", "fast", "-h", str(server.socket_dir), "-p", str(server.port)]
        copy += ["-U", server.superuser]
        subprocess.run(tied_to_us(copy, user=user), check=True, cwd=directory)
        argv = [str(server.bin_dir / "postgres"), "-D", str(directory / "data"), "-p", "5999"]
        argv += ["-c", f"unix_socket_directories={directory}", "-c", "listen_addresses="]
        child = Child(argv, directory / "log", death_signal="QUIT", user=user)
        address = f"host={directory} port=5999 user={server.superuser}"

        def answers() -> bool:
            try:
                psycopg.connect(f"{address} dbname=postgres", connect_timeout=5).close()
            except psycopg.OperationalError:
                return False
            return True

        child.wait_until(answers, 30)
        try:
            yield address
        finally:
            child.end(3, 10)


def test_a_standby_is_backed_up_without_what_it_cannot_read(
    source_server: PostgresServer,
    target_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
) -> None:
    source_server.execute("CREATE DATABASE streamed")
    source_server.execute(
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 100) n;"
        "CREATE UNLOGGED TABLE cache AS SELECT 1 AS a",
        "streamed",
    )
    with standby_of(source_server) as address:
        what = component(f"{address} dbname=streamed")
        assert KIND.source(what, place).probe().notes == ()
        end = time.monotonic() + 60
        backup = back_up(what, place, short_tmp / "dump")
        while not backup.snapshot.facts["standby_current"] and time.monotonic() < end:
            backup = back_up(what, place, short_tmp / "dump")
    saved = backup.snapshot.fingerprint
    assert isinstance(saved, DatabaseFingerprint)
    assert {name: t.rows for name, t in saved.tables.items()} == {"public.t": 100}
    assert set(saved.not_reached) == {"public.cache"}
    assert backup.snapshot.data_time is not None
    assert (datetime.now(UTC) - backup.snapshot.data_time).total_seconds() < 30
    target = target_of(target_server, place, database="streamed")
    assert restore_components(target, backup).differences == ()
    target.close()
    assert target_server.execute("SELECT count(*) FROM t", "streamed") == [(100,)]
    assert target_server.execute("SELECT count(*) FROM cache", "streamed") == [(0,)]


def test_a_standby_that_lags_says_of_what_time_its_data_is(
    source_server: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    source_server.execute("CREATE TABLE IF NOT EXISTS tick (at timestamptz)")
    with standby_of(source_server) as address:
        with psycopg.connect(f"{address} dbname=postgres", autocommit=True) as standby:
            standby.execute("SELECT pg_wal_replay_pause()")
            while standby.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != (
                "paused",
            ):
                time.sleep(0.02)
        paused = datetime.now(UTC)
        time.sleep(0.5)
        source_server.execute("INSERT INTO tick VALUES (now())")
        time.sleep(0.5)
        backup = back_up(component(f"{address} dbname=postgres"), place, short_tmp / "dump")
    assert backup.snapshot.data_time is not None
    assert backup.snapshot.data_time <= paused


def test_a_user_who_cannot_see_that_a_standby_streams_is_told_the_grant(
    source_server: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    """An idle primary would make the data look older and older, and the objective breached."""
    source_server.execute("CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader")
    source_server.execute("GRANT SELECT ON pg_authid TO reader")
    with standby_of(source_server) as address:
        what = component(f"{address} dbname=postgres".replace("user=postgres", "user=reader"))
        probe = KIND.source(what, place).probe()
        assert probe.notes == ()
        (finding,) = probe.findings
        grant = finding.remedy
        assert list(probe.warnings()) == [f"{finding.text} (HINT: {grant})"]
        assert grant.startswith("GRANT pg_read_all_stats TO reader;")
        assert not back_up(what, place, short_tmp / "dump").snapshot.facts["standby_current"]
        source_server.execute(grant)
        end = time.monotonic() + 60
        while KIND.source(what, place).probe().findings and time.monotonic() < end:
            time.sleep(0.05)
        backup = back_up(what, place, short_tmp / "dump")
        while not backup.snapshot.facts["standby_current"] and time.monotonic() < end:
            backup = back_up(what, place, short_tmp / "dump")
        assert backup.snapshot.facts["standby_current"]


def test_a_database_of_another_encoding_comes_back_in_it(
    source_server: PostgresServer,
    target_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
) -> None:
    source_server.execute(
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc"
    )
    with psycopg.connect(
        source_server.dsn("latin"), autocommit=True, client_encoding="utf8"
    ) as connection:
        connection.execute('CREATE TABLE "Bücher" (titel text)')
        connection.execute("""INSERT INTO "Bücher" VALUES ('Größe'), ('é')""")
    backup = back_up(
        component(source_server.dsn("latin"), fingerprint="digest"), place, short_tmp / "dump"
    )
    target = target_of(target_server, place, database="latin")
    assert restore_components(target, backup).differences == ()
    saved = backup.snapshot.fingerprint
    assert isinstance(saved, DatabaseFingerprint)
    assert set(saved.tables) == {'public."Bücher"'}
    found = target.inspector().fingerprint(saved, 60)
    target.close()
    assert isinstance(found, DatabaseFingerprint)
    assert found.tables == saved.tables
    assert target_server.execute("SHOW server_encoding", "latin") == [("LATIN1",)]


@pytest.mark.parametrize("encoding", ["EUC_JP", "SQL_ASCII"])
def test_names_that_a_cluster_shares_come_back_as_their_bytes(
    source_server: PostgresServer,
    target_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
    encoding: str,
) -> None:
    """They are in the encoding of the database in which somebody gave them, and so is everything in
    SQL_ASCII: here UTF-8, and Latin 1."""
    name = f"shared_{encoding.lower()}"
    make = (
        f"DROP DATABASE IF EXISTS {name}",
        'DROP ROLE IF EXISTS "Анна"',
        'CREATE ROLE "Анна"',
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'",
        f'ALTER DATABASE {name} OWNER TO "Анна"',
    )
    for statement in make:
        source_server.execute(statement)
    in_latin = (
        'DROP ROLE IF EXISTS "Jürgen"; CREATE ROLE "Jürgen"; CREATE TABLE "größe" AS SELECT 1 a;'
    )
    in_latin += (
        f'ALTER TABLE "größe" OWNER TO "Jürgen"; GRANT CONNECT ON DATABASE {name} TO "Jürgen"'
    )
    dsn = source_server.dsn(name)
    try:
        if encoding == "SQL_ASCII":
            with psycopg.connect(dsn, client_encoding=encoding) as connection:
                connection.execute(in_latin.encode("latin-1"))
        with psycopg.connect(dsn, client_encoding="utf8") as connection:
            connection.execute(f"COMMENT ON DATABASE {name} IS '漢字'".encode())
        what = component(dsn, fingerprint="digest")
        assert not any(f.failed for f in KIND.source(what, place).doctor())
        backup = back_up(what, place, short_tmp / "dump")
        target = target_of(target_server, place, database=name)
        if encoding == "SQL_ASCII":
            with pytest.raises(TargetError, match=r'role "J.*rgen" does not exist'):
                restore_components(target, backup)
        else:
            restored = restore_components(target, backup)
            assert restored.differences == ()
            assert any("drd left out the database's comment" in note for note in restored.notes)
        target.close()
    finally:
        if encoding == "SQL_ASCII":
            away = 'DROP OWNED BY "Jürgen"; DROP ROLE "Jürgen"'
            with psycopg.connect(dsn, client_encoding=encoding) as connection:
                connection.execute(away.encode("latin-1"))
        source_server.execute(f"DROP DATABASE {name}")
        source_server.execute('DROP ROLE "Анна"')
    sandbox = KIND.sandbox(component("host=/nowhere dbname=x"), backup.snapshot, place)
    try:
        assert restore_components(sandbox, backup).differences == ()
        saved = backup.snapshot.fingerprint
        assert isinstance(saved, DatabaseFingerprint)
        now = sandbox.inspector().fingerprint(saved, 60)
        assert isinstance(now, DatabaseFingerprint)
        assert now.tables == saved.tables
    finally:
        sandbox.close()


def test_a_digest_survives_columns_that_a_restore_reorders(
    source_server: PostgresServer,
    target_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
) -> None:
    """A column added to a parent comes last in its children, and before their own in a restore."""
    source_server.execute("CREATE DATABASE inherited")
    source_server.execute(
        "CREATE TABLE parent (a int); CREATE TABLE child (own text) INHERITS (parent);"
        "ALTER TABLE parent ADD COLUMN later int; INSERT INTO child VALUES (1, 'x', 2)",
        "inherited",
    )
    backup = back_up(
        component(source_server.dsn("inherited"), fingerprint="digest"), place, short_tmp / "dump"
    )
    target = target_of(target_server, place, database="inherited")
    restore_components(target, backup)
    saved = backup.snapshot.fingerprint
    assert isinstance(saved, DatabaseFingerprint)
    found = target.inspector().fingerprint(saved, 60)
    target.close()
    assert target_server.execute("SELECT * FROM child", "inherited") == [(1, 2, "x")]
    assert isinstance(found, DatabaseFingerprint)
    assert found.tables == saved.tables
