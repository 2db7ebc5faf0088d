"""The checks with which a plan for somebody else's backups begins see rows, not only tables."""

from __future__ import annotations

import pytest

from drd.kinds.dump_checks import needs_no_quotes
from drd.kinds.postgres.first_checks import ALL_ROWS, first_checks
from drd.ports.dumps import FirstChecks, ServerPlace
from tests.servers import PostgresServer


@pytest.fixture
def shop(postgres: PostgresServer) -> PostgresServer:
    postgres.execute("create database first_checks")
    postgres.execute(
        'create table "user" as select n as id, now() as made_at from generate_series(1, 9) n;'
        'create schema s; create table s."Odd ""Name" as select 1 as x;'
        "create unlogged table cache as select generate_series(1, 99) as n;"
        "create table empty (x int); create table p (x int) partition by range (x);"
        "create table p1 partition of p for values from (0) to (9); insert into p values (1)",
        "first_checks",
    )
    return postgres


def asked(server: PostgresServer, **other: object) -> FirstChecks:
    ((system,),) = server.execute("select system_identifier::text from pg_control_system()")
    place = ServerPlace(
        "first_checks", str(server.socket_dir), server.port, str(system), server.superuser
    )
    return first_checks(place._replace(**other))


def test_all_rows_are_counted_and_none_of_empty_tables(shop: PostgresServer) -> None:
    assert shop.execute(ALL_ROWS, "first_checks") == [(11,)]
    shop.execute('truncate "user", s."Odd ""Name", p', "first_checks")
    assert shop.execute(ALL_ROWS, "first_checks") == [(0,)]


def test_a_running_server_names_its_tables_with_rows(shop: PostgresServer) -> None:
    found = asked(shop)
    assert not found.is_empty
    queries = {str(check["query"]) for check in found.checks}
    assert queries == {
        ALL_ROWS,
        'select count(*) from "user"',
        'select count(*) from s."Odd ""Name"',
        "select count(*) from p",
    }
    assert {shop.execute(query, "first_checks") == [(0,)] for query in queries} == {False}
    assert found.suggested is not None
    assert found.suggested["query"] == 'select max("made_at") from "user"'
    shop.execute('truncate "user", s."Odd ""Name", p', "first_checks")
    assert asked(shop).is_empty


@pytest.mark.parametrize("other", [{"system": "1"}, {"port": 1}, {"directory": "localhost"}])
def test_another_server_says_nothing_about_the_backup(
    shop: PostgresServer, other: dict[str, object]
) -> None:
    found = asked(shop, **other)
    assert [check["name"] for check in found.checks] == ["there are rows"]
    assert not found.is_empty


def test_words_of_sql_are_quoted() -> None:
    assert needs_no_quotes("orders")
    assert not any(map(needs_no_quotes, ("user", "order", "group", "Orders", "a b", "1a", "")))
