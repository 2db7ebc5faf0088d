"""What pg_dump and pg_dumpall say before is what they say after a recovery."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.model.snapshot import DatabaseFingerprint
from drd.ports import Workplace
from tests.postgres_support import (
    KIND,
    as_sql,
    back_up,
    component,
    globals_as_sql,
    restore_components,
    target_of,
)
from tests.servers import PostgresServer

EVERYTHING = Path(__file__).with_name("everything.sql")

ROLES = '''
CREATE ROLE shop_owner NOINHERIT CREATEDB CONNECTION LIMIT 7;
CREATE ROLE shop_reader LOGIN PASSWORD 'read me' VALID UNTIL '2030-01-01 00:00:00+00';
CREATE ROLE "Ödd ""role"" --help" LOGIN BYPASSRLS REPLICATION;
CREATE ROLE backup LOGIN;
GRANT shop_owner TO shop_reader WITH ADMIN OPTION;
GRANT shop_owner TO "Ödd ""role"" --help" WITH INHERIT TRUE, SET FALSE GRANTED BY shop_reader;
GRANT pg_read_all_data TO backup;
GRANT SET ON PARAMETER work_mem TO shop_reader;
COMMENT ON ROLE shop_reader IS 'reads';
ALTER ROLE shop_reader SET search_path = shop, "odd ""schema""", public;
ALTER ROLE shop_reader SET work_mem = '7MB';
'''

DATABASE = """
GRANT CONNECT, CREATE ON DATABASE {name} TO shop_reader WITH GRANT OPTION;
SET ROLE shop_reader;
GRANT CONNECT ON DATABASE {name} TO "Ödd ""role"" --help";
RESET ROLE;
GRANT CREATE ON DATABASE {name} TO backup;
REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC;
ALTER DATABASE {name} SET search_path = "$user", shop, public;
ALTER DATABASE {name} SET statement_timeout = '59s';
ALTER DATABASE {name} SET "app.tenant" = 'it''s, me';
ALTER ROLE shop_reader IN DATABASE {name} SET DateStyle = 'German, DMY';
ALTER DATABASE {name} CONNECTION LIMIT 50;
COMMENT ON DATABASE {name} IS 'orders, since 2019';
"""

NAMES = ["orders", "--help", 'it\'s "odd" = x', "заказы 订单"]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def differing(before: DatabaseFingerprint, now: DatabaseFingerprint) -> set[str]:
    assert before.tables.keys() == now.tables.keys()
    return {name for name, state in now.tables.items() if before.tables[name] != state}


@pytest.fixture(scope="module")
def full(source_server: PostgresServer) -> PostgresServer:
    source_server.execute(ROLES)
    return source_server


def fill(server: PostgresServer, name: str) -> None:
    server.execute(
        f"CREATE DATABASE {quoted(name)} OWNER shop_owner TEMPLATE template0 ENCODING 'UTF8'"
        " LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C.UTF-8'"
    )
    server.execute(EVERYTHING.read_text(), name)
    server.execute(DATABASE.format(name=quoted(name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_recovered_database_and_cluster_dump_the_same_as_before(
    full: PostgresServer,
    target_server: PostgresServer,
    place: Workplace,
    short_tmp: Path,
    name: str,
) -> None:
    fill(full, name)
    backup = back_up(component(full.dsn(name), fingerprint="digest"), place, short_tmp / "dump")
    before, roles_before = as_sql(full, name), globals_as_sql(full)
    full.execute(f"DROP DATABASE {quoted(name)}")

    target = target_of(target_server, place, database=name)
    restored = restore_components(target, backup)
    fingerprint = backup.snapshot.fingerprint
    assert isinstance(fingerprint, DatabaseFingerprint)
    now = target.inspector().fingerprint(fingerprint, 60)
    target.close()

    assert restored.differences == ()
    assert restored.not_restored == ()
    assert isinstance(now, DatabaseFingerprint)
    assert differing(fingerprint, now) == ({"shop.stale"} & now.derived)
    assert now.not_reached == fingerprint.not_reached
    assert now.properties == fingerprint.properties
    assert as_sql(target_server, name) == before
    assert globals_as_sql(target_server) == roles_before
    assert list(place.directory.iterdir()) == []


def test_a_sandbox_holds_the_same_as_the_source(
    full: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    fill(full, "sandboxed")
    backup = back_up(
        component(full.dsn("sandboxed"), fingerprint="digest"), place, short_tmp / "dump"
    )
    sandbox = KIND.sandbox(component("host=nowhere dbname=x"), backup.snapshot, place)
    try:
        restored = restore_components(sandbox, backup)
        inspector = sandbox.inspector()
        fingerprint = backup.snapshot.fingerprint
        assert isinstance(fingerprint, DatabaseFingerprint)
        now = inspector.fingerprint(fingerprint, 60)
        assert isinstance(now, DatabaseFingerprint)
        assert differing(fingerprint, now) == ({"shop.stale"} & now.derived)
        assert now.properties == fingerprint.properties
        assert restored.differences == ()
        assert inspector.scalar("select count(*) from customers") == 200
    finally:
        sandbox.close()
    assert list(place.directory.iterdir()) == []


def test_the_fingerprint_names_every_table_that_has_rows(
    full: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    fill(full, "named")
    backup = back_up(component(full.dsn("named")), place, short_tmp / "dump")
    fingerprint = backup.snapshot.fingerprint
    assert isinstance(fingerprint, DatabaseFingerprint)
    counts = {name: state.rows for name, state in fingerprint.tables.items()}
    assert counts["shop.customers"] == 200
    assert "shop.orders" not in counts
    assert sum(rows for name, rows in counts.items() if name.startswith("shop.orders_")) == 400
    assert (counts["shop.parent"], counts["shop.child"]) == (1, 2)
    assert counts['"odd ""schema"""."таблица 名字 ""q"" \'x\'"'] == 2
    assert counts["shop.private"] == 10
    assert counts["shop.totals"] == 50
    assert fingerprint.not_reached == {
        "shop.empty_yet": "a materialised view that is not populated"
    }


def test_a_database_of_zero_tables_comes_back(
    full: PostgresServer, target_server: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    full.execute("CREATE DATABASE nothing TEMPLATE template0")
    full.execute("DROP SCHEMA public", "nothing")
    full.execute("DROP EXTENSION plpgsql", "nothing")
    backup = back_up(component(full.dsn("nothing")), place, short_tmp / "dump")
    target = target_of(target_server, place, database="nothing")
    restored = restore_components(target, backup)
    target.close()
    assert restored.differences == ()
    rows = target_server.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname = 'public'"
        " UNION ALL SELECT extname FROM pg_extension",
        "nothing",
    )
    assert rows == []
