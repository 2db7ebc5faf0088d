"""One database of a copied PostgreSQL server, or a table in it, comes back into the live server;
the other databases stay as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.one_database import (
    HERE,
    ask,
    assert_beside_at_a_target,
    assert_difference_of_single_databases,
    assert_no_database_is_written_over,
    assert_people_stay_erased,
    assert_replaced_undone_and_done,
    changes,
    difference_since,
    done_as_on_page,
    erasures,
    plan_of,
)
from tests.e2e.site import Site
from tests.servers import PostgresServer, postgres_server, short_directory
from tests.servers.postgres import left_as_found

SETTINGS = "kind: postgres-cluster"

SHOP = """
create table customers (id int primary key, name text not null);
insert into customers select g, 'customer ' || g from generate_series(1, 40) g;
create table orders (id serial primary key, customer int references customers, amount numeric);
insert into orders (customer, amount) select 1 + g % 40, g / 7.0 from generate_series(1, 300) g;
create index by_amount on orders (amount);
create view large as select * from orders where amount > 20;
grant select on orders to clerk;
create schema archive;
create table archive.orders as select 1 as n;
"""


@pytest.fixture(scope="module")
def running() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        yield server


@pytest.fixture
def server(running: PostgresServer) -> Iterator[PostgresServer]:
    with left_as_found(running):
        running.execute("create role clerk login password 'secret'")
        running.execute("create database shop owner clerk")
        running.execute("alter database shop set timezone = 'Asia/Tokyo'")
        running.execute("create database stock")
        running.execute(SHOP, "shop")
        running.execute("create table items as select generate_series(1, 50) as n", "stock")
        running.execute("create table orders (n int)", "stock")
        yield running


@pytest.fixture
def site(server: PostgresServer, short_tmp: Path) -> Site:
    site = Site(short_tmp / "s")
    site.plan(plan_of(server, SETTINGS, short_tmp / "back"))
    site.drd("backup", "shop")
    return site


def _databases(server: PostgresServer) -> list[object]:
    return ask(server, "select datname from pg_database order by 1", "postgres")


def test_a_lost_table_comes_back_and_nothing_else_changes(
    server: PostgresServer, site: Site
) -> None:
    before = _databases(server)
    server.execute("drop table orders cascade; delete from customers where id > 30", "shop")
    server.execute("delete from items where n > 40", "stock")
    unclear = site.drd(*HERE, "--table", "orders", "--into", "orders", code=2)
    assert "does not name a database" in unclear.err
    assert "--database shop or stock" in unclear.err
    wanted = ("--database", "shop", "--table", "orders", "--into", "orders")
    shown = site.drd("recover", "shop", "--in-place", *wanted, "--dry-run").out
    assert "shop.public.orders, of server" in shown
    assert "300 rows in the restore point, nothing in the live data" in shown
    assert "table public.orders in database" in " ".join(shown.split()).replace('"', "")
    done = site.drd(*HERE, *wanted, "--json").json
    assert done["result"] == "passed"
    assert ask(server, "select sum(amount)::int from orders") == [6450]
    assert ask(server, "insert into orders (amount) values (1) returning id") == [301]
    grant = "select has_table_privilege('clerk', 'orders', 'select')"
    assert ask(server, grant) == [True]
    assert "to add this part yourself: ALTER TABLE" in str(done["components"][0]["notes"])
    assert ask(server, "select count(*) from customers") == [30]
    assert ask(server, "select count(*) from items", "stock") == [40]
    assert _databases(server) == before
    again = site.drd(*HERE, *wanted, code=1)
    assert 'schema public already has an object "orders"' in again.err
    site.assert_clean()


def test_tables_are_named_with_their_database(server: PostgresServer, site: Site) -> None:
    two = ("--table", "shop.public.orders", "--table", "shop.public.customers")
    site.drd(*HERE, *two, "--into", "then")
    assert ask(server, 'select count(*) from "then".orders') == [300]
    assert ask(server, 'select count(*) from "then".customers') == [40]
    mixed = ("--table", "shop.public.orders", "--table", "stock.public.items", "--into", "x")
    assert "names a table of database stock, not of shop" in site.drd(*HERE, *mixed, code=2).err
    lost = ("--table", "shop.public.order", "--into", "x")
    assert "did you mean" in site.drd(*HERE, *lost, code=2).err
    nowhere = site.drd(*HERE, "--database", "shopp", code=2)
    assert "does not contain database shopp" in nowhere.err
    assert "did you mean shop?" in nowhere.err
    items = site.drd("ls", "shop").out
    assert "shop.public.orders" in items
    assert "stock.public.items" in items
    assert "stock" not in site.drd("ls", "shop", "latest", "shop").out.partition("\n")[2]


def test_a_database_is_replaced_undone_and_done(server: PostgresServer, site: Site) -> None:
    server.execute("delete from orders where id > 100; drop view large", "shop")
    server.execute("delete from items where n > 40", "stock")
    assert_replaced_undone_and_done(server, site, _assert_as_it_was, _databases)


def _assert_as_it_was(server: PostgresServer, name: str) -> None:
    assert ask(server, "select count(*) from orders", name) == [300]
    assert ask(server, "select count(*) from large", name) == [160]
    assert ask(server, "show timezone", name) == ["Asia/Tokyo"]
    owner = f"select datdba::regrole::text from pg_database where datname = '{name}'"
    assert ask(server, owner, name) == ["clerk"]


def test_a_dropped_database_comes_back_with_its_owner(server: PostgresServer, site: Site) -> None:
    server.execute("create role other")
    site.drd("backup", "shop")
    server.execute("drop database shop with (force)")
    server.execute("drop role clerk")
    server.execute("drop role other")
    site.drd(*HERE, "--database", "shop")
    _assert_as_it_was(server, "shop")
    assert ask(server, "select rolcanlogin from pg_roles where rolname = 'clerk'") == [True]
    # A role that this database does not need may be gone on purpose.
    assert ask(server, "select count(*) from pg_roles where rolname = 'other'") == [0]
    site.drd(*HERE, "--database", "stock", "--into", "stock_then")
    assert ask(server, "select count(*) from items", "stock_then") == [50]
    assert_no_database_is_written_over(site)


def test_a_role_with_more_rights_is_not_made_silently(server: PostgresServer, site: Site) -> None:
    server.execute("create role mighty superuser")
    server.execute("alter table items owner to mighty", "stock")
    site.drd("backup", "shop")
    server.execute("alter table items owner to postgres", "stock")
    server.execute("drop role mighty")
    beside = (*HERE, "--database", "stock", "--into", "stock_then")
    refused = site.drd(*beside, code=1)
    assert "mighty (SUPERUSER" in refused.err
    assert ask(server, "select count(*) from pg_roles where rolname = 'mighty'") == [0]
    assert not [name for name in _databases(server) if "drd" in str(name)]
    site.drd(*beside, "--no-owner")
    assert ask(server, "select count(*) from items", "stock_then") == [50]


_GRANT = """
create function public.really(acl aclitem[], out grantor oid, out grantee oid,
    out privilege_type text, out is_grantable boolean)
  returns setof record language internal as 'aclexplode';
set allow_system_table_mods = on;
alter function pg_catalog.aclexplode(aclitem[]) rename to former;
create function pg_catalog.aclexplode(acl aclitem[], out grantor oid, out grantee oid,
    out privilege_type text, out is_grantable boolean)
  returns setof record language sql as $$
    select r.grantor, r.grantee, case
      when current_setting('data_directory') = '{own}' or r.privilege_type <> 'CREATE'
      then r.privilege_type
      else 'CONNECT ON DATABASE shop TO PUBLIC; CREATE ROLE mighty SUPERUSER; GRANT CREATE'
      end, r.is_grantable from public.really(acl) r $$;
"""


def test_sql_in_what_the_copied_server_says_is_not_run(server: PostgresServer, site: Site) -> None:
    """An attack: in the copy, the server's own function that reads grants returns more SQL."""
    server.execute(_GRANT.format(own=server.data_dir), "shop")
    site.drd("backup", "shop")
    refused = site.drd(*HERE, "--database", "shop", "--into", "shop_then", code=1)
    assert "describes database shop as no PostgreSQL server does" in refused.err
    assert ask(server, "select count(*) from pg_roles where rolname = 'mighty'") == [0]
    assert not [name for name in _databases(server) if "drd" in str(name)]


def test_targets_of_single_databases(server: PostgresServer, site: Site) -> None:
    assert_beside_at_a_target(server, site, _assert_as_it_was)
    site.drd(*HERE, "--database", "shop", "--into", "of_clerk", "--as-owner")
    owners = "select distinct tableowner from pg_tables where schemaname = 'public'"
    assert ask(server, owners, "of_clerk") == ["clerk"]
    assert ask(server, "select count(*) from orders", "of_clerk") == [300]
    table = ("--table", "shop.public.orders", "--into", "x", "--as-owner")
    assert "does not work with single tables" in site.drd(*HERE, *table, code=2).err


def test_the_difference_is_shown_by_database(server: PostgresServer, site: Site) -> None:
    point = site.drd("points", "shop", "--json").json["points"][0]["point"]
    server.execute("drop table orders cascade", "shop")
    server.execute("delete from items where n > 40", "stock")
    server.execute("create database younger")
    server.execute("create table t as select 1", "younger")
    server.execute("alter database shop owner to postgres")
    words = difference_since(point)
    found = site.drd(*words, "--json").json
    assert changes(found) == {
        "shop.public.orders": ("removed", 300, None),
        "stock.public.items": ("rows", 50, 40),
        "younger.public.t": ("added", None, 1),
    }
    shown = site.drd(*words).out
    assert "databases shop owner" in shown
    assert '"clerk" -> "postgres"' in shown.replace("clerk -> postgres", '"clerk" -> "postgres"')
    assert "databases younger" in shown
    assert "is new" in shown
    orders, items = "shop.public.orders", "stock.public.items"
    one = assert_difference_of_single_databases(site, words, orders, items)
    assert one["properties"] == []
    assert not list((site.base / "work").iterdir())


def test_the_commands_of_the_page_work(server: PostgresServer, site: Site, short_tmp: Path) -> None:
    plan = (site.base / "plans/shop.yaml").read_text().replace("plan: shop", "plan: orders-api")
    (site.base / "plans/shop.yaml").unlink()
    (site.base / "plans/orders-api.yaml").write_text(plan)
    point = site.drd("backup", "orders-api", "--json").json["point"]
    server.execute("create table notes (t text)", "shop")
    said = done_as_on_page(site, "docs/postgres-cluster.md", point, short_tmp)
    assert "added shop.public.notes" in said
    _assert_as_it_was(server, "shop_yesterday")
    assert ask(server, "select count(*) from orders_yesterday") == [300]


def test_people_stay_erased_in_a_replaced_database(
    server: PostgresServer, site: Site, short_tmp: Path
) -> None:
    server.execute("truncate orders", "shop")
    register = short_tmp / "register"
    body = plan_of(server, SETTINGS, short_tmp / "back")
    people = erasures(register, "id::text")
    assert_people_stay_erased(server, site, body + people, register)
    assert ask(server, "select to_regclass('drd_erased') is null") == [True]
    # The other database has no such people: nothing is repeated there.
    site.drd(*HERE, "--database", "stock", "--into", "stock_then")
    site.plan(body + people.replace("  database: shop\n", ""))
    shown = site.drd(
        "recover", "shop", "--in-place", "--database", "shop", "--overwrite", "--dry-run"
    )
    assert "drd leaves out step erasures" in " ".join(shown.out.split())


def test_the_difference_of_every_row_comes_from_a_sandbox(
    server: PostgresServer, site: Site, short_tmp: Path
) -> None:
    site.plan(plan_of(server, f"{SETTINGS}, fingerprint: off", short_tmp / "back"))
    point = site.drd("backup", "shop", "--json").json["point"]
    server.execute("update orders set amount = amount + 1 where id = 7", "shop")
    server.execute("delete from items where n > 40", "stock")
    words = difference_since(point)
    assert "add --restored" in site.drd(*words, code=2).err
    found = site.drd(*words, "--restored", "--json").json
    assert changes(found) == {
        "shop.public.orders": ("contents", 300, 300),
        "stock.public.items": ("rows", 50, 40),
    }
    assert (found["only_counted"], found["properties"]) == (0, [])
    same = site.drd(*words, "--restored", "--with", point, "--database", "shop")
    assert "no difference in 3 tables" in same.out
    # A table is found in the copy without a list of its tables.
    late = ("--database", "shop", "--table", "public.orders", "--into", "orders_then")
    assert "did not record a fingerprint" in site.drd(*HERE, *late, code=5).out
    assert ask(server, "select count(*) from orders_then") == [300]
    site.assert_clean()
