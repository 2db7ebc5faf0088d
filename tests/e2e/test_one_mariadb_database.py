"""One database of a copied MariaDB server, or a table in it, comes back into the live server; the
other databases and the users stay as they are."""

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
    assert_erased,
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
from tests.servers import MariadbServer, mariadb_server, short_directory

SETTINGS = "kind: mariadb-server, fingerprint: digest"

SHOP = """
create table customers (id int primary key, name varchar(40) not null)
insert into customers select seq, concat('customer ', seq) from seq_1_to_40
create table orders (id int auto_increment primary key, customer int, amount decimal(9, 2), \
key by_amount (amount), constraint of_customer foreign key (customer) references customers (id))
insert into orders (customer, amount) select 1 + seq % 40, seq / 7 from seq_1_to_300
create table `odd.'\"näme` (n int)
insert into `odd.'\"näme` values (7)
create table history (n int) with system versioning
insert into history values (1)
update history set n = 2
create table audit (n int)
create trigger counted after insert on orders for each row insert into audit values (new.id)
create sequence numbers start with 100
create user clerk@localhost identified by 'secret'
create user other@localhost identified by 'secret'
grant select, show view on shop.* to clerk@localhost
create definer = clerk@localhost view large as select * from orders where amount > 20
create procedure twice() select 2 * count(*) from orders
create function three() returns int return 3
create event e on schedule every 1 second do insert into audit values (0)
alter database shop comment 'all of the shop'
"""


@pytest.fixture(scope="module")
def running() -> Iterator[MariadbServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        mariadb_server(base / "m") as server,
    ):
        yield server


@pytest.fixture
def server(running: MariadbServer) -> Iterator[MariadbServer]:
    before = set(_databases(running))
    running.execute("create database shop character set latin1", "create database stock")
    running.execute("create database `the shop`")
    running.execute(*SHOP.strip().splitlines(), database="shop")
    running.execute("create table items as select seq as n from seq_1_to_50", database="stock")
    running.execute("create table orders (n int)", database="stock")
    running.execute("create table orders as select 1 as n", database="the shop")
    yield running
    for name in set(_databases(running)) - before:
        running.execute(f"drop database `{name}`")
    for user in _users(running):
        if user in {"clerk", "other"}:
            running.execute(f"drop user {user}@localhost")


@pytest.fixture
def site(server: MariadbServer, short_tmp: Path) -> Site:
    site = Site(short_tmp / "s")
    site.plan(plan_of(server, SETTINGS, short_tmp / "back"))
    site.drd("backup", "shop")
    return site


def _databases(server: MariadbServer) -> list[object]:
    return ask(server, "select schema_name from information_schema.schemata order by 1", "mysql")


def _users(server: MariadbServer) -> list[object]:
    return ask(server, "select user from mysql.global_priv order by 1", "mysql")


def test_a_lost_table_comes_back_and_nothing_else_changes(
    server: MariadbServer, site: Site
) -> None:
    before, users = _databases(server), _users(server)
    server.execute("drop table orders", "delete from customers where id > 30", database="shop")
    server.execute("delete from items where n > 40", database="stock")
    unclear = site.drd(*HERE, "--table", "orders", "--into", "orders", code=2)
    assert "does not name a database" in unclear.err
    assert "--database shop, stock or 'the shop'" in unclear.err
    wanted = ("--table", "shop.orders", "--into", "orders")
    shown = site.drd("recover", "shop", "--in-place", *wanted, "--dry-run").out
    assert "300 rows in the restore point, nothing in the live data" in shown
    assert "table shop.orders in database" in " ".join(shown.split()).replace("`", "")
    done = site.drd(*HERE, *wanted, "--json").json
    assert done["result"] == "passed"
    assert ask(server, "select sum(amount) > 6449 from orders") == [1]
    server.execute("insert into orders (amount) values (1)", database="shop")
    assert ask(server, "select max(id) from orders") == [301]
    notes = " ".join(done["components"][0]["notes"])
    assert "foreign key of_customer of orders to customers" in notes
    assert "ALTER TABLE `shop`.`orders` ADD CONSTRAINT `of_customer` FOREIGN KEY" in notes
    assert "left out trigger counted of orders" in notes
    assert ask(server, "select count(*) from audit") == [0]
    assert ask(server, "select count(*) from customers") == [30]
    assert ask(server, "select count(*) from items", "stock") == [40]
    assert (_databases(server), _users(server)) == (before, users)
    again = site.drd(*HERE, *wanted, code=1)
    assert "database shop already has a table or view orders" in again.err
    site.assert_clean()


def test_tables_are_named_with_their_database(server: MariadbServer, site: Site) -> None:
    two = ("--table", "shop.orders", "--table", "shop.customers")
    site.drd(*HERE, *two, "--into", "shop_then")
    assert ask(server, "select count(*) from orders", "shop_then") == [300]
    keys = "select constraint_name from information_schema.referential_constraints"
    assert ask(server, f"{keys} where constraint_schema = 'shop_then'") == ["of_customer"]
    assert ask(server, "select @@character_set_database", "shop_then") == ["latin1"]
    odd = ("--database", "shop", "--table", "`odd.'\"näme`")
    site.drd(*HERE, *odd, "--into", "`even.name`")
    assert ask(server, "select n from `even.name`") == [7]
    site.drd(*HERE, "--table", "'the shop'.orders".replace("'", "`"), "--into", "stock.then")
    assert ask(server, "select n from `then`", "stock") == [1]
    site.drd(*HERE, "--table", "shop.history", "--into", "history_then")
    assert ask(server, "select count(*) from history_then for system_time all") == [2]
    mixed = ("--table", "shop.orders", "--table", "stock.items", "--into", "x")
    assert "names a table of database stock, not of shop" in site.drd(*HERE, *mixed, code=2).err
    lost = site.drd(*HERE, "--table", "shop.order", "--into", "x", code=2)
    assert "did you mean orders?" in lost.err
    view = site.drd(*HERE, "--table", "shop.large", "--into", "x", code=2)
    assert "large is a view" in view.err
    nowhere = site.drd(*HERE, "--database", "shopp", code=2)
    assert "does not contain database shopp" in nowhere.err
    assert "did you mean shop or the shop?" in nowhere.err
    items = site.drd("ls", "shop").out
    assert "shop.orders" in items
    assert "`the shop`.orders" in items
    assert "mysql." not in items
    assert "stock" not in site.drd("ls", "shop", "latest", "shop").out.partition("\n")[2]
    site.assert_clean()


def test_a_database_is_replaced_undone_and_done(server: MariadbServer, site: Site) -> None:
    server.execute("delete from orders where id > 100", "drop view large", database="shop")
    server.execute("delete from items where n > 40", database="stock")
    assert_replaced_undone_and_done(server, site, _assert_as_it_was, _databases)


def _assert_as_it_was(server: MariadbServer, name: str) -> None:
    assert ask(server, "select count(*) from orders", name) == [300]
    assert ask(server, "select count(*) from large", name) == [160]
    assert ask(server, "call twice()", name) == [600]
    assert ask(server, "select three()", name) == [3]
    assert ask(server, "select count(*) from history for system_time all", name) == [2]
    assert ask(server, "select n from `odd.'\"näme`", name) == [7]
    assert ask(server, "select @@character_set_database", name) == ["latin1"]
    of_it = f"from information_schema.{{}} where {{}}_schema = '{name}'"
    triggers = of_it.format("triggers", "trigger")
    assert ask(server, f"select trigger_name {triggers}") == ["counted"]
    assert ask(server, f"select event_name {of_it.format('events', 'event')}") == ["e"]
    definer = f"select definer {of_it.format('views', 'table')}"
    assert ask(server, definer) == ["clerk@localhost"]
    comment = f"select schema_comment from information_schema.schemata where schema_name = '{name}'"
    assert ask(server, comment) == ["all of the shop"]


def test_a_dropped_database_comes_back_with_its_users(server: MariadbServer, site: Site) -> None:
    server.execute("drop database shop", "drop user clerk@localhost", "drop user other@localhost")
    told = site.drd(*HERE, "--database", "shop")
    assert "can run on this server from now on" in " ".join(told.out.split())
    _assert_as_it_was(server, "shop")
    grants = ask(server, "show grants for clerk@localhost")
    assert any("SHOW VIEW ON `shop`.*" in str(grant) for grant in grants)
    # A user that this database does not need may be gone on purpose.
    assert "other" not in _users(server)
    server.execute("set password for clerk@localhost = password('changed')")
    password = ask(server, "show create user clerk@localhost")
    site.drd(*HERE, "--database", "shop", "--into", "shop_then")
    _assert_as_it_was(server, "shop_then")
    assert ask(server, "show create user clerk@localhost") == password
    site.drd(*HERE, "--database", "the shop", "--into", "the other's")
    assert ask(server, "select n from orders", "the other's") == [1]
    assert_no_database_is_written_over(site)
    site.assert_clean()


def test_targets_of_single_databases(server: MariadbServer, site: Site) -> None:
    assert_beside_at_a_target(server, site, _assert_as_it_was)
    owner = site.drd(*HERE, "--database", "shop", "--into", "x", "--as-owner", code=2)
    assert "leave out --as-owner" in owner.err
    for own in (("--database", "mysql"), ("--table", "mysql.proc", "--into", "x")):
        assert "a database of the server itself" in site.drd(*HERE, *own, code=2).err


def test_the_difference_is_shown_by_database(server: MariadbServer, site: Site) -> None:
    point = site.drd("points", "shop", "--json").json["points"][0]["point"]
    server.execute("drop table orders", database="shop")
    server.execute("delete from items where n > 40", database="stock")
    server.execute("create database younger", "create table younger.t as select 1 as n")
    words = difference_since(point)
    found = site.drd(*words, "--json").json
    assert {t: c for t, c in changes(found).items() if not t.startswith("mysql.")} == {
        "shop.orders": ("removed", 300, None),
        "stock.items": ("rows", 50, 40),
        "younger.t": ("added", None, 1),
    }
    assert_difference_of_single_databases(site, words, "shop.orders", "stock.items")
    restored = site.drd(*words, "--restored", "--database", "stock", "--json").json
    assert [t["table"] for t in restored["tables"]] == ["stock.items"]
    assert not list((site.base / "work").iterdir())


def test_the_commands_of_the_page_work(server: MariadbServer, site: Site, short_tmp: Path) -> None:
    server.execute("create database billing")
    server.execute("create table invoices as select seq as n from seq_1_to_9", database="billing")
    point = site.drd("backup", "shop", "--json").json["point"]
    server.execute("create table billing.notes (n int)", "delete from billing.invoices")
    said = done_as_on_page(site, "docs/mariadb.md", point, short_tmp)
    assert "added billing.notes" in said
    assert ask(server, "select count(*) from invoices", "billing") == [9]
    assert ask(server, "select count(*) from invoices", "billing_yesterday") == [9]
    assert ask(server, "select count(*) from invoices_yesterday", "billing") == [9]


def test_people_stay_erased(server: MariadbServer, site: Site, short_tmp: Path) -> None:
    server.execute("delete from orders", database="shop")
    register = short_tmp / "register"
    owner = (server.directory / "data").stat()
    (short_tmp / "b").mkdir()
    os.chown(short_tmp / "b", owner.st_uid, owner.st_gid)
    body = plan_of(server, SETTINGS, short_tmp / "b/data") + erasures(register, "id")
    assert_people_stay_erased(server, site, body, register)
    assert ask(server, "show tables like 'drd_erased'") == []
    assert_erased(site.drd("recover", "shop", "--target", "stopped", "--yes", "--json").json)


def test_values_that_the_dump_rounds_are_named(server: MariadbServer, site: Site) -> None:
    server.execute("create table f (x float)", "insert into f values (1234567)", database="stock")
    site.drd("backup", "shop")
    done = site.drd(*HERE, "--table", "stock.f", "--into", "f_then", "--json", code=4).json
    assert "values of f.x are rounded" in " ".join(done["components"][0]["notes"])
    assert ask(server, "select x from f_then", "stock") == [1234570]
