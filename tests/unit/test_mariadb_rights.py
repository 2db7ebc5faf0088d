"""What the doctor says of a login of MariaDB: a missing right, or another reason of the server."""

from __future__ import annotations

from typing import Any, cast

import pymysql
import pytest

from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.flavour import MARIADB, MYSQL, Flavour
from drd.kinds.mariadb.grants import Server, _inside, _program
from drd.kinds.mariadb.rights import _snapshot, _tables, _ties_in
from drd.model.finding import Finding
from drd.process import Container

DENIED = pymysql.err.OperationalError(1142, "SELECT command denied to user 'drd'@'localhost'")
FULL = pymysql.err.OperationalError(1, "Can't create/write to file '/tmp/#sql' (Errcode: 28)")


class Refuses:
    """A connection on which every statement fails."""

    flavour = MARIADB

    def __init__(self, error: pymysql.err.MySQLError) -> None:
        self._error = error

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise self._error

    execute = rows = _fail


def _found(error: pymysql.err.MySQLError) -> list[Finding]:
    connection = cast("Connection", Refuses(error))
    return [_snapshot(connection, "store"), _tables(connection, "store", "shop")]


def test_a_missing_right_needs_the_script() -> None:
    freeze, read = _found(DENIED)
    assert freeze.text.startswith("the login may not freeze the database (right RELOAD): SELECT")
    assert read.text.startswith("the login may not read the tables of shop: SELECT command denied")
    for finding in (freeze, read):
        assert "drd doctor PLAN --grants" in finding.remedy


@pytest.mark.parametrize("error", [FULL, pymysql.err.OperationalError(2013, "Lost connection")])
def test_another_reason_of_the_server_is_no_missing_right(error: pymysql.err.MySQLError) -> None:
    for finding in _found(error):
        assert finding.severity == "error"
        assert finding.text.startswith("drd cannot ")
        assert finding.text.endswith(str(error.args[1]))
        assert "--grants" not in finding.remedy


@pytest.mark.parametrize(
    ("flavour", "definition", "found"),
    [
        (MARIADB, "CREATE TABLE `t` (`a` int) ENGINE=InnoDB `encrypted`='yes'", ["encrypted"]),
        (MARIADB, "CREATE TABLE `t` (`a` int) ENGINE=InnoDB `ENCRYPTED`='YES'", ["encrypted"]),
        (MARIADB, "CREATE TABLE `t` (`a` int) DATA DIRECTORY='/srv/'", ["DATA DIRECTORY"]),
        (MARIADB, "CREATE TABLE `t` (`a` int COMMENT ' DATA DIRECTORY=') COMMENT='x'", []),
        (MARIADB, "CREATE TABLE `t` (`a` int) COMMENT='`encrypted`=''yes'''", []),
        (MARIADB, "CREATE TABLE `t` (`encrypted` text DEFAULT 'yes') `encrypted`='no'", []),
        (MYSQL, "CREATE TABLE `t` (`a` int) /*!80016 ENCRYPTION='Y' */", ["ENCRYPTION"]),
        (MYSQL, "CREATE TABLE `t` (`a` int COMMENT ' TABLESPACE') /*!80016 x */", []),
    ],
)
def test_tables_that_another_server_cannot_make_are_found_by_their_options(
    flavour: Flavour, definition: str, found: list[str]
) -> None:
    named = _ties_in(definition, flavour.ties)
    assert [word.replace("`", "").partition("=")[0] for word in named] == found


def test_the_script_of_rights_finds_the_password_that_an_image_has() -> None:
    here = Server(inside=Container("podman", "db"))
    assert _inside(MARIADB, here) == (
        'podman exec -i db sh -c \'MYSQL_PWD="${MARIADB_ROOT_PASSWORD:-$MYSQL_ROOT_PASSWORD}" '
        "exec mariadb --batch --user=root --host=localhost'"
    )
    assert 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD" exec mysql ' in _inside(MYSQL, here)


def test_a_program_asks_for_a_password_only_where_a_terminal_is() -> None:
    assert "--password" in _program(MARIADB, Server("db.example", 3306))
    there = Server("db.example", 3306, Container("podman", "db"))
    assert "--password" not in _program(MARIADB, there) + _inside(MARIADB, there)
