"""Code that keeps another collation than its database has now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pymysql
import pytest

from drd.kinds.mariadb import objects
from drd.kinds.mariadb.connection import Connection

OWN, OLD, UNKNOWN = "utf8mb4_general_ci", "latin1_swedish_ci", "utf8mb4_0900_ai_ci"
ERRORS = {
    "1273": pymysql.err.OperationalError(1273, f"Unknown collation: '{UNKNOWN}'"),
    "1044": pymysql.err.OperationalError(1044, "Access denied"),
}


class Server:
    """A server without the collation UNKNOWN, which refuses code with the word `bad`."""

    def __init__(self, error: pymysql.err.MySQLError) -> None:
        self.collation, self._error = OWN, error
        self.made: dict[str, str] = {}

    def use(self, database: str) -> None:
        assert database == "shop"

    def value(self, _: str) -> str:
        return self.collation

    def execute(self, sql: str) -> None:
        if sql.startswith("ALTER DATABASE"):
            collation = sql.split("`")[-2]
            if collation == UNKNOWN:
                raise self._error
            self.collation = collation
        elif sql.startswith("CREATE"):
            if "bad" in sql:
                raise pymysql.err.ProgrammingError(1064, "a wrong word")
            self.made[sql.split("`")[1]] = self.collation


def procedure(name: str, collation: str) -> dict[str, Any]:
    return {
        "kind": "procedure", "name": name, "sql": f"CREATE PROCEDURE `{name}`() SELECT 1",
        "sql_mode": "", "charset": "", "collation": "", "time_zone": "", "definer": "",
        "database_collation": collation,
    }  # fmt: skip


def created(server: Server, *code: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    return objects.create(cast("Connection", server), "shop", code, "shop")


@pytest.mark.parametrize(("number", "why"), [("1273", "does not have"), ("1044", "Access denied")])
def test_code_is_made_without_a_collation_that_the_server_refuses(number: str, why: str) -> None:
    server = Server(ERRORS[number])
    code = [procedure("new", UNKNOWN), procedure("old", OLD), procedure("own", OWN)]
    refused, [note] = created(server, *code)
    assert refused == []
    assert server.made == {"new": OWN, "old": OLD, "own": OWN}
    assert server.collation == OWN
    assert note.startswith(f"procedure new keeps collation {UNKNOWN}, which ")
    assert why in note


def test_the_database_gets_its_collation_back_if_code_is_refused() -> None:
    server = Server(ERRORS["1273"])
    [refused], notes = created(server, procedure("bad", OLD), procedure("own", OWN))
    assert refused == "procedure bad: a wrong word"
    assert notes == []
    assert server.collation == server.made["own"] == OWN


def test_each_object_of_the_script_returns_to_the_collation_of_the_database() -> None:
    lines = objects.script([procedure("old", OLD), procedure("new", UNKNOWN)], OWN).splitlines()
    changes = [line.split("`")[1] for line in lines if line.startswith("ALTER DATABASE")]
    assert changes == [OLD, OWN, UNKNOWN, OWN]
