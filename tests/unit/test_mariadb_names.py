"""One database of a copied MariaDB server, without a server: how people name it and its tables, and
what a restore point says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drd.errors import NotInPoint, RepositoryDamaged, UsageError
from drd.kinds.mariadb.described import Read
from drd.kinds.mariadb.fingerprint import Tables
from drd.kinds.mariadb.flavour import MARIADB
from drd.kinds.mariadb.naming import copy_names, in_database, name_of, parts
from drd.kinds.mariadb.physical.narrow import DATABASES, as_within, listed
from drd.kinds.mariadb.physical.one_database import require_usual
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, TableState
from tests.unit.test_mariadb_server import SNAPSHOT

KNOWN = DatabaseFingerprint(
    "counts",
    tables={
        "shop.orders": TableState(300),
        "shop.`odd.name`": TableState(2),
        "`the shop`.orders": TableState(7),
        "`Shop`.Orders": TableState(8),
        "stock.items": TableState(50),
        "mysql.proc": TableState(9),
    },
    not_reached={"shop.seats": "a table of the engine MEMORY", "closed": "permission denied"},
    others={"shop.large": "view"},
)
POINT = replace(
    SNAPSHOT,
    fingerprint=KNOWN,
    facts={**SNAPSHOT.facts, "databases": ["Shop", "closed", "shop", "stock", "the shop"]},
)
GRANT = {"rights": "SELECT", "what": "", "object": "", "option": False}
USER: dict[str, Any] = {
    "user": "clerk",
    "host": "%",
    "create": "CREATE USER `clerk`@`%` IDENTIFIED BY PASSWORD '*00'",
    "grants": [GRANT],
    "roles": [],
    "server": [],
    "default_role": "",
}
VIEW = {
    "kind": "view",
    "name": "v",
    "definer": "clerk@%",
    "sql": "CREATE DEFINER=`clerk`@`%` SQL SECURITY DEFINER VIEW `v` AS select 1",
    "sql_mode": "",
    "charset": "utf8mb4",
    "collation": "utf8mb4_general_ci",
    "time_zone": "",
}


@pytest.mark.parametrize(
    ("table", "database", "found"),
    [
        ("shop.orders", None, ("shop", "orders")),
        ("orders", "shop", ("shop", "orders")),
        ("shop.orders", "shop", ("shop", "orders")),
        ("`shop`.`orders`", None, ("shop", "orders")),
        ("shop.`odd.name`", None, ("shop", "`odd.name`")),
        ('shop."odd.name"', None, ("shop", "`odd.name`")),
        ("`odd.name`", "shop", ("shop", "`odd.name`")),
        ("the shop.orders", None, ("the shop", "orders")),
        ("orders", "the shop", ("the shop", "orders")),
        ("Shop.Orders", None, ("Shop", "Orders")),
        ("items", "stock", ("stock", "items")),
        ("seats", "shop", ("shop", "seats")),
        ("anything", "closed", ("closed", "anything")),
    ],
)
def test_a_table_is_found_in_its_database(
    table: str, database: str | None, found: tuple[str, str]
) -> None:
    part, snapshot = DATABASES.narrow(POINT, Part((table,), into="copy", database=database))
    assert (part.database, *part.tables) == found
    assert isinstance(snapshot.fingerprint, DatabaseFingerprint)
    known = {*snapshot.fingerprint.tables, *snapshot.fingerprint.not_reached}
    assert known == (set() if database == "closed" else {found[1]})
    # A part that was found is not found otherwise when its run goes on.
    assert DATABASES.named(part) == part
    assert DATABASES.narrow(POINT, part)[0] == part


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [
        (Part(("orders",), into="x"), UsageError, "--database shop or 'the shop'"),
        (Part(("items",), into="x"), UsageError, "--database stock"),
        (Part(("nowhere",), into="x"), UsageError, "add --database NAME"),
        (Part(("shop.orders", "stock.items"), into="x"), UsageError, "for each database"),
        (Part(("shop.orders",), into="x", database="stock"), UsageError, "for each database"),
        (Part(("shop.orders",)), UsageError, "give --into NAME"),
        (Part(("shop.orderz",), into="x"), NotInPoint, "did you mean orders"),
        (Part(("shop.a.b",), into="x"), UsageError, "give DATABASE.NAME"),
        (Part(("shop.large",), into="x"), UsageError, "the whole database beside"),
        (Part(("mysql.proc",), into="x"), UsageError, "recover the whole server"),
        (Part(database="mysql"), UsageError, "recover the whole server"),
        (Part(database="stok"), NotInPoint, "did you mean stock"),
        (Part(database="shop", into="shop"), UsageError, "with --overwrite"),
        (Part(database="shop", into="sys"), UsageError, "another name"),
        (Part(database="shop", into="a/b"), UsageError, "without /"),
        (Part(("shop.orders",), into="a.b.c"), UsageError, "DATABASE.NAME"),
        (Part(("shop.orders",), into="mysql.copy"), UsageError, "another name"),
        (Part(("shop.orders", "shop.`odd.name`"), into="shop"), UsageError, "another database"),
        (Part(("shop.orders",), into="x" * 65), UsageError, "1 to 64 characters"),
    ],
)
def test_what_is_not_clear_is_refused_with_a_remedy(
    part: Part, error: type[UsageError], words: str
) -> None:
    with pytest.raises(error) as caught:
        DATABASES.narrow(POINT, part)
    assert words in caught.value.hint


def test_copies_have_the_database_and_the_names_that_into_says() -> None:
    one = Part(("orders",), into="then", database="shop")
    assert copy_names(one) == ("shop", ("then",))
    assert copy_names(replace(one, into="`the shop`.`a.b`")) == ("the shop", ("a.b",))
    two = Part(("orders", "`odd.name`"), into="then", database="shop")
    assert copy_names(two) == ("then", ("orders", "odd.name"))


def test_the_names_of_tables_are_read_as_they_are_written() -> None:
    for database in ("shop", "the `shop`", "select", 'a"b'):
        for table in ("orders", "a.b", "`", "ä", 'odd "name"'):
            written = in_database(database, table)
            assert parts(written) == [database, table]
            assert name_of(written) == table
    assert parts("a..b") == parts("`a") == parts("") == parts("a.") == []


def test_a_point_says_of_a_database_what_a_dump_would_say() -> None:
    shop = DATABASES.within(KNOWN, "shop")
    assert set(shop.tables) == {"orders", "`odd.name`"}
    assert shop.others == {"large": "view"}
    raw = DatabaseFingerprint("counts", {"orders": TableState(300), "odd.name": TableState(2)})
    assert as_within(raw).tables == shop.tables
    assert DATABASES.within(KNOWN, "closed").mode == "off"
    alone = DATABASES.alone(KNOWN, "shop")
    assert alone is not None
    assert set(alone.tables) == {"shop.orders", "shop.`odd.name`"}
    assert DATABASES.alone(KNOWN, "nowhere") is None


def test_items_are_listed_with_their_database_and_without_those_of_the_server() -> None:
    names = [item.name for item in listed(POINT, None).items]
    assert "`the shop`.orders" in names
    assert "mysql.proc" not in names
    assert [item.name for item in listed(POINT, "stock").items] == ["stock.items"]
    assert [item.name for item in listed(POINT, "odd.name").items] == ["shop.`odd.name`"]


@pytest.mark.parametrize(
    ("accounts", "code", "words"),
    [
        (
            [{"create": "CREATE USER `clerk`@`%`; DROP DATABASE shop"}],
            [],
            "does not create this user",
        ),
        ([{"grants": [{**GRANT, "rights": "SELECT ON *.* TO x; --"}]}], [], "list of rights"),
        ([], [{"sql": "CREATE VIEW `v` AS select 1"}], "is not the definer"),
        ([], [{"sql": "DROP DATABASE shop"}], "does not create a view"),
    ],
)
def test_what_no_server_says_of_a_database_becomes_no_sql_of_an_administrator(
    accounts: list[dict[str, Any]], code: list[dict[str, Any]], words: str
) -> None:
    usual = _read([USER], [VIEW])
    require_usual(_with(usual), usual)
    odd = _read([{**USER, **one} for one in accounts], [{**VIEW, **one} for one in code])
    with pytest.raises(
        RepositoryDamaged,
        match="as no MariaDB server does, so the backup was changed or is damaged",
    ) as caught:
        require_usual(_with(odd), odd)
    assert words in caught.value.message


def _read(accounts: list[dict[str, Any]], code: list[dict[str, Any]]) -> Read:
    saved = {"charset": "utf8mb4", "collation": "utf8mb4_general_ci", "comment": ""}
    return Read(
        "shop", saved, Tables((), {}), code, accounts, history=False, bytes=0, flavour=MARIADB
    )


def _with(read: Read) -> ComponentSnapshot:
    made = {"filename": "server.sql", "dump_version": "11.8.3"}
    return replace(SNAPSHOT, facts={**SNAPSHOT.facts, **made, **read.facts})
