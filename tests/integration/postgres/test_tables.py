"""Single tables of a point, beside those that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.errors import NotSupported, TargetError, TargetNotEmpty, UsageError
from drd.model.single_item import Part
from drd.model.snapshot import DatabaseFingerprint
from drd.ports import Restored, RestoreOptions, Workplace, no_progress
from tests.postgres_support import KIND, Backup, back_up, component, fetch, tool
from tests.servers import PostgresServer

SHOP = """
CREATE SCHEMA "Größe";
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE FUNCTION answer() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 42';
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END';
CREATE SEQUENCE shared;
CREATE TABLE customers (id serial PRIMARY KEY, name text);
INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 10) i;
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers,
    total numeric DEFAULT 1.5 CONSTRAINT not_negative CHECK (total >= 0), m mood DEFAULT 'ok',
    p positive, big text, twice int GENERATED ALWAYS AS (customer * 2) STORED,
    d int DEFAULT answer(), s int DEFAULT nextval('shared'), note text);
ALTER TABLE orders ALTER note SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX orders_note ON orders (lower(note)) WHERE note IS NOT NULL;
CREATE INDEX "by customer" ON orders (customer);
CREATE STATISTICS orders_stat ON customer, total FROM orders;
INSERT INTO orders (customer, total, p, big, note)
SELECT i % 10 + 1, i, i, CASE WHEN i % 50 = 0 THEN repeat(md5(i::text), 500) END,
       CASE i % 3 WHEN 0 THEN E'tab\\tü' || i END FROM generate_series(1, 500) i;
COMMENT ON TABLE orders IS 'the orders';
CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TABLE items (id int PRIMARY KEY, o bigint REFERENCES orders, c int REFERENCES customers);
INSERT INTO items SELECT i, i, 1 FROM generate_series(1, 20) i;
CREATE TABLE "Größe"."Täble ""x"".y z" (id serial, "Spalte ä" text UNIQUE);
INSERT INTO "Größe"."Täble ""x"".y z" ("Spalte ä") SELECT 'ä' || i FROM generate_series(1, 5) i;
CREATE TABLE m (ts date, v int, PRIMARY KEY (ts, v)) PARTITION BY RANGE (ts);
CREATE TABLE m_2024 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE m_2025 PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
    PARTITION BY LIST (v);
CREATE TABLE m_2025_1 PARTITION OF m_2025 FOR VALUES IN (1);
CREATE TABLE elsewhere PARTITION OF m_2025 DEFAULT;
CREATE INDEX ON m (v);
INSERT INTO m SELECT '2024-01-01'::date + i, i % 7 FROM generate_series(0, 500) i;
CREATE TABLE guarded (id int, who text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded USING (who = current_user);
INSERT INTO guarded VALUES (1, 'alice');
CREATE VIEW v AS SELECT * FROM orders;
CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM orders;
"""


@pytest.fixture
def shop(source_server: PostgresServer, short_tmp: Path, place: Workplace) -> Backup:
    source_server.execute("CREATE ROLE alice")
    source_server.execute("CREATE DATABASE shop")
    source_server.execute(SHOP, "shop")
    source_server.execute(
        "ALTER TABLE orders OWNER TO alice; GRANT SELECT ON orders TO PUBLIC; "
        "GRANT UPDATE (note) ON orders TO alice WITH GRANT OPTION; "
        "ALTER DEFAULT PRIVILEGES GRANT DELETE ON TABLES TO PUBLIC",
        "shop",
    )
    what = component(source_server.dsn("shop"), fingerprint="digest")
    return back_up(what, place, short_tmp / "shop.dump")


def copied(server: PostgresServer, backup: Backup, place: Workplace, part: Part) -> Restored:
    """Into the database that was backed up; its copies hold what the fingerprint says."""
    what = component(server.dsn("shop"))
    part, snapshot = KIND.narrow(backup.snapshot, part)
    destination = KIND.target(what, what.settings, place, RestoreOptions(part=part))
    try:
        findings = destination.preflight(snapshot, overwrite=False)
        assert [f for f in findings if f.failed] == []
        fetch(destination, backup)
        done = destination.restore(snapshot, backup.private, on_progress=no_progress)
        before = snapshot.fingerprint
        assert isinstance(before, DatabaseFingerprint)
        now = destination.inspector().fingerprint(before, 60.0)
        assert isinstance(now, DatabaseFingerprint)
        assert (now.tables, now.not_reached) == (before.tables, {})
        assert before.tables
        return done
    finally:
        destination.close()


def rows(server: PostgresServer, table: str) -> list[str]:
    """All that it holds, as PostgreSQL itself writes it."""
    dumped = tool(server, "psql", "-d", server.dsn("shop"), "-c", f"COPY (TABLE {table}) TO STDOUT")
    return sorted(dumped.splitlines())


def test_a_table_comes_beside_the_one_that_somebody_emptied(
    source_server: PostgresServer, shop: Backup, place: Workplace
) -> None:
    before = rows(source_server, "orders")
    source_server.execute("DELETE FROM items; DELETE FROM orders WHERE id <= 100", "shop")
    live = tool(source_server, "pg_dump", "-d", source_server.dsn("shop"), "-t", "orders")
    done = copied(source_server, shop, place, Part(("ORDERS",), (), "orders_yesterday"))

    assert rows(source_server, "orders_yesterday") == before
    assert tool(source_server, "pg_dump", "-d", source_server.dsn("shop"), "-t", "orders") == live
    notes = "\n".join(done.notes)
    assert "orders_customer_fkey of public.orders to public.customers is left out" in notes
    assert "drd left out trigger t of public.orders" in notes
    assert "default of public.orders.s is left out" in notes

    said = tool(source_server, "pg_dump", "-d", source_server.dsn("shop"), "-t", "orders_yesterday")
    for words in (
        "ALTER TABLE public.orders_yesterday OWNER TO alice",
        "COMMENT ON TABLE public.orders_yesterday IS 'the orders'",
        "ADD CONSTRAINT orders_yesterday_pkey PRIMARY KEY",
        "CREATE UNIQUE INDEX orders_yesterday_note ON",
        'CREATE INDEX "orders_yesterday_by customer" ON',
        "CONSTRAINT not_negative CHECK",
        "twice integer GENERATED ALWAYS AS ((customer * 2)) STORED",
        "DEFAULT public.answer()",
        "ALTER COLUMN note SET STORAGE EXTERNAL",
        "GRANT SELECT ON TABLE public.orders_yesterday TO PUBLIC",
        "SELECT pg_catalog.setval('public.orders_yesterday_id_seq', 500, true)",
    ):
        assert words in said
    assert "DELETE ON TABLE" not in said
    statistics = "SELECT stxname::text, stxnamespace::regnamespace::text FROM pg_statistic_ext"
    assert ("orders_yesterday_stat", "public") in source_server.execute(statistics, "shop")
    names = source_server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'drd%'")
    assert names == []
    assert (
        source_server.execute("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'drd%'", "shop") == []
    )


def test_several_tables_come_into_a_schema_with_what_ties_them_together(
    source_server: PostgresServer, shop: Backup, place: Workplace
) -> None:
    part = Part(("items", "public.orders", "m", "guarded"), (), "gestern")
    done = copied(source_server, shop, place, part)
    assert "schema gestern was created" in done.notes
    for table in ("items", "orders", "m", "guarded"):
        assert rows(source_server, f"gestern.{table}") == rows(source_server, f"public.{table}")
    said = tool(source_server, "pg_dump", "-d", source_server.dsn("shop"), "-n", "gestern")
    assert "FOREIGN KEY (o) REFERENCES gestern.orders(id)" in said
    assert "REFERENCES public" not in said
    assert "ALTER TABLE gestern.guarded ENABLE ROW LEVEL SECURITY" in said
    assert "CREATE POLICY own ON gestern.guarded" in said
    tree = source_server.execute(
        "SELECT count(*), count(*) FILTER (WHERE isleaf) FROM pg_partition_tree('gestern.m')",
        "shop",
    )
    assert tree == [(5, 3)]


NAMES = (
    ('"Neu ""ü"" ."', '"Größe"."Täble ""x"".y z"', '"Größe"."Neu ""ü"" ."'),
    ("alone", "elsewhere", "alone"),
    ("x" * 63, "m_2025", "x" * 63),
    ("elsewhere.m_2024", "m", "elsewhere.m_2024"),
)


def test_a_dropped_table_is_restored_with_statements_for_its_links(
    source_server: PostgresServer, shop: Backup, place: Workplace
) -> None:
    source_server.execute("DROP TABLE items", "shop")
    done = copied(source_server, shop, place, Part(("items",), (), "items"))
    lead = "to add this part yourself: "
    statements = [n.removeprefix(lead) for n in done.notes if n.startswith(lead)]
    assert len(statements) == 2
    for statement in statements:
        source_server.execute(statement, "shop")
    said = tool(source_server, "pg_dump", "-d", source_server.dsn("shop"), "-t", "items")
    assert "FOREIGN KEY (o) REFERENCES public.orders(id)" in said
    assert "ADD CONSTRAINT items_pkey PRIMARY KEY (id)" in said


def test_keys_and_views_that_a_cascade_took_with_a_dropped_table_are_named(
    source_server: PostgresServer, shop: Backup, place: Workplace
) -> None:
    source_server.execute("DROP TABLE orders CASCADE", "shop")
    done = copied(source_server, shop, place, Part(("orders",), (), "orders"))
    lead = "to add this part yourself: "
    statements = [n.removeprefix(lead) for n in done.notes if n.startswith(lead)]
    (key,) = [s for s in statements if "REFERENCES public.orders(id)" in s and ".items" in s]
    source_server.execute(key, "shop")
    said = tool(source_server, "pg_dump", "-d", source_server.dsn("shop"), "-t", "items")
    assert "FOREIGN KEY (o) REFERENCES public.orders(id)" in said
    (views,) = [n for n in done.notes if n.startswith("view")]
    assert "do not exist now: if DROP … CASCADE removed them" in views
    assert views.startswith("views public.mv, public.v of the restore point used the table")


def test_a_copy_beside_the_table_says_nothing_of_other_tables_links(
    source_server: PostgresServer, shop: Backup, place: Workplace
) -> None:
    done = copied(source_server, shop, place, Part(("orders",), (), "orders_yesterday"))
    assert not [n for n in done.notes if "to add this part" in n or n.startswith("view")]


def test_tables_of_any_name_and_kind(
    source_server: PostgresServer, shop: Backup, place: Workplace
) -> None:
    for into, name, copy in NAMES:
        copied(source_server, shop, place, Part((name,), (), into))
        assert rows(source_server, copy) == rows(source_server, name)
    # What hangs on a copy is not the original's, so that this can go.
    source_server.execute("DROP TABLE m CASCADE", "shop")
    for _, _, copy in NAMES:
        source_server.execute(f"INSERT INTO {copy} SELECT * FROM {copy} LIMIT 0", "shop")


def test_unknown_tables_are_refused_with_similar_names(shop: Backup) -> None:
    def refused(tables: tuple[str, ...], into: str | None = "x") -> UsageError:
        with pytest.raises(UsageError) as caught:
            KIND.narrow(shop.snapshot, Part(tables, (), into))
        return caught.value

    assert "public.orders" in refused(("ordres",)).hint
    assert "is a view" in refused(("v",)).message
    assert "is a materialised view" in refused(("public.mv",)).message
    assert "the copy of table orders needs a name" in refused(("orders",), None).message
    assert "is a partition of public.m" in refused(("m", "m_2025_1")).message
    assert "not a table name" in refused(("orders",), "a.b.c").message
    assert (
        "is the schema that contains the tables already"
        in refused(("orders", "items"), "public").message
    )
    with pytest.raises(NotSupported, match="kind postgres cannot restore single paths"):
        KIND.spec.require_part(Part((), ("/etc",), None))


def test_tables_replace_nothing_and_leave_nothing_partial(
    source_server: PostgresServer, shop: Backup, place: Workplace
) -> None:
    with pytest.raises(TargetNotEmpty, match='schema public already has an object "items"'):
        copied(source_server, shop, place, Part(("orders",), (), "items"))
    source_server.execute("ALTER TYPE mood RENAME TO other", "shop")
    with pytest.raises(TargetError, match=r'type "public\.mood" does not exist') as caught:
        copied(source_server, shop, place, Part(("orders",), (), "orders_yesterday"))
    assert "--into NAME without --table" in caught.value.hint
    found = source_server.execute(
        "SELECT relname FROM pg_class WHERE relname LIKE 'orders_y%' UNION ALL "
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'drd%'",
        "shop",
    )
    assert found == []


def test_a_user_with_few_rights_can_restore_a_copy(
    source_server: PostgresServer, shop: Backup, place: Workplace
) -> None:
    """What he may not make and the table does not need is passed over."""
    source_server.execute("CREATE ROLE bob LOGIN CREATEDB")
    what = component(source_server.dsn("shop", user="bob"))
    part, snapshot = KIND.narrow(shop.snapshot, Part(("items",), (), "items_back"))
    destination = KIND.target(what, what.settings, place, RestoreOptions(no_owner=True, part=part))
    try:
        said = [f for f in destination.preflight(snapshot, overwrite=False) if f.failed]
        in_schema = 'GRANT USAGE, CREATE ON SCHEMA "public" TO "bob";'
        assert f'GRANT CREATE ON DATABASE "shop" TO "bob"; {in_schema}' in said[0].remedy
        source_server.execute("GRANT CREATE ON DATABASE shop TO bob")
        said = [f for f in destination.preflight(snapshot, overwrite=False) if f.failed]
        assert in_schema in said[0].remedy
        assert "DATABASE" not in said[0].remedy
        source_server.execute("GRANT CREATE ON SCHEMA public TO bob", "shop")
        assert not any(f.failed for f in destination.preflight(snapshot, overwrite=False))
        fetch(destination, shop)
        destination.restore(snapshot, shop.private, on_progress=no_progress)
    finally:
        destination.close()
    assert rows(source_server, "items_back") == rows(source_server, "items")


def test_an_extension_that_a_user_may_not_create_is_named_before_and_passed_over(
    source_server: PostgresServer, short_tmp: Path, place: Workplace
) -> None:
    source_server.execute("CREATE ROLE bob LOGIN CREATEDB")
    source_server.execute("CREATE DATABASE shop")
    source_server.execute(
        "CREATE EXTENSION postgres_fdw; CREATE TABLE items AS SELECT 1 AS id; "
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; "
        "CREATE FOREIGN TABLE distant (id int) SERVER far; "
        "CREATE EXTENSION citext; GRANT CREATE ON DATABASE shop TO bob",
        "shop",
    )
    shop = back_up(component(source_server.dsn("shop")), place, short_tmp / "shop.dump")
    what = component(source_server.dsn("shop", user="bob"))
    part, snapshot = KIND.narrow(shop.snapshot, Part(("items",), (), "items_back"))
    destination = KIND.target(what, what.settings, place, RestoreOptions(no_owner=True, part=part))
    try:
        found = destination.preflight(snapshot, overwrite=False)
        [said] = [f for f in found if f.failed]
        assert 'GRANT USAGE, CREATE ON SCHEMA "public" TO "bob"; and if the table' in said.remedy
        only = "extension postgres_fdw, which only a superuser may create: ALTER ROLE"
        assert f'needs {only} "bob" SUPERUSER; or use a target' in said.remedy
        source_server.execute("GRANT CREATE ON SCHEMA public TO bob", "shop")
        found = destination.preflight(snapshot, overwrite=False)
        assert not any(f.failed for f in found)
        [warned] = [f for f in found if f.severity == "warning" and "extension" in f.text]
        assert warned.text.startswith(
            "only a superuser may create extension postgres_fdw, and user bob is none: "
        )
        assert warned.remedy.startswith('ALTER ROLE "bob" SUPERUSER; or ')
        fetch(destination, shop)
        destination.restore(snapshot, shop.private, on_progress=no_progress)
    finally:
        destination.close()
    assert rows(source_server, "items_back") == rows(source_server, "items")
    source_server.execute("ALTER ROLE bob SUPERUSER")
    found = KIND.target(what, what.settings, place, RestoreOptions(no_owner=True, part=part))
    try:
        assert not any("superuser" in f.text for f in found.check_access(snapshot))
    finally:
        found.close()
