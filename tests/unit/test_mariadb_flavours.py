"""What drd says to the programs and servers of MariaDB, and what to those of MySQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drd.errors import NotSupported, ToolMissing, ToolTooOld
from drd.kinds.mariadb import dsn, roles
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.clear_password import NO_PLUGINS, require_proven
from drd.kinds.mariadb.dump import without_views, words
from drd.kinds.mariadb.fingerprint import Tables
from drd.kinds.mariadb.flavour import FLAVOURS, MARIADB, MYSQL, facts_of, of_facts, of_server
from drd.kinds.mariadb.manifest import _user
from drd.kinds.mariadb.tools import Program, client, program
from drd.model.strict import UnexpectedValue

HASH = "0x24412430303524"
CREATED = (
    f"CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS {HASH} DEFAULT ROLE "
    "`a``b`@`%`,`c`@`10.0.0.%` REQUIRE NONE PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK "
    "PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT PASSWORD REQUIRE CURRENT DEFAULT "
    "ATTRIBUTE "
    '\'{"comment": "it\\\'s DEFAULT ROLE `x`@`y` REQUIRE "}\''
)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("11.8.9-MariaDB-0+deb13u1", "MariaDB"),
        ("5.5.5-10.6.18-MariaDB", "MariaDB"),
        ("9.7.4-2", "MySQL"),
        ("8.0.36-28", "MySQL"),  # Percona Server
    ],
)
def test_the_server_says_which_product_it_is(version: str, name: str) -> None:
    assert of_server(version).name == name


def test_a_restore_point_without_a_product_is_of_mariadb() -> None:
    assert of_facts({}) is MARIADB
    assert facts_of(MARIADB) == {}
    assert of_facts(facts_of(MYSQL)) is MYSQL


def test_each_dump_gets_the_options_of_its_program() -> None:
    both = {"--single-transaction", "--no-tablespaces", "--skip-triggers", "--hex-blob", "--quick"}
    of_maria = words(Program("/d", "11.8.9"), "/o", "shop", history=True)
    of_my = words(Program("/d", "9.7.4"), "/o", "shop", history=True, flavour=MYSQL)
    assert both <= {*of_maria} & {*of_my}
    assert {*of_my} - {*of_maria} == {"--set-gtid-purged=OFF", "--column-statistics=0"}
    assert {*of_maria} - {*of_my} == {"--dump-history"}
    assert of_my[1] == "--defaults-file=/o"
    views = Tables((), {"v": "view"})
    assert without_views("shop", views, MYSQL) == ["[mysqldump]", 'ignore-table="shop.v"']


def _options(address: str, flavour: Any) -> list[str]:
    return Address(dsn.parse(address)).options(flavour).splitlines()


def test_mysqls_programs_never_send_a_password_to_a_server_that_nobody_checked() -> None:
    assert "ssl-mode=DISABLED" in _options("mysql://drd:pw@db1/shop", MYSQL)
    checked = _options("mysql://drd:pw@db1/shop?ssl_ca=/ca.pem", MYSQL)
    assert {"ssl-mode=VERIFY_IDENTITY", 'ssl-ca="/ca.pem"'} <= {*checked}
    assert NO_PLUGINS not in checked
    for open_one in ("mysql://drd:pw@db1/shop?ssl=on", "mysql://drd:pw@db1/shop"):
        with pytest.raises(NotSupported, match="without `ssl_ca`") as caught:
            require_proven(dsn.parse(open_one), "db1")
        assert "ssl_ca=/PATH" in caught.value.hint
    for fine in ("mysql://drd:pw@/shop", "mysql://drd:pw@db1/shop?ssl_ca=/ca.pem"):
        require_proven(dsn.parse(fine), "db1")


def test_the_login_of_a_kit_is_for_the_programs_of_both() -> None:
    lines = _options("mysql://drd:pw@db1/shop", None)
    group = lines.index("[client-mariadb]")
    assert {'user="drd"', 'password="pw"', 'host="db1"'} <= {*lines[:group]}
    assert {*lines[group + 1 :]} == {"skip-ssl-verify-server-cert", NO_PLUGINS}


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_a_statement_has_its_limit_in_the_products_words(flavour: Any) -> None:
    shown = {
        "mariadb": (
            "SET SESSION max_statement_time = 1.50",
            "SET STATEMENT max_statement_time = 1.50 FOR SELECT 1",
        ),
        "mysql": (
            "SET SESSION max_execution_time = 1500",
            "SELECT /*+ MAX_EXECUTION_TIME(1500) */ 1",
        ),
    }
    given = {"seconds": 1.5, "milliseconds": 1500.0, "rest": "1"}
    assert (flavour.limit.format(**given), flavour.limited.format(**given)) == shown[flavour.key]


def _made(directory: Path, name: str, said: str) -> str:
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return str(directory)


OF_MYSQL = "mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"
OF_PERCONA = "mysqldump  Ver 8.0.36-28 for Linux on x86_64 (Percona Server (GPL), Release 28)"
OF_MARIADB = "mysqldump  Ver 10.19 Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)"


@pytest.mark.parametrize(("said", "version"), [(OF_MYSQL, "9.7.4"), (OF_PERCONA, "8.0.36")])
def test_a_program_says_its_version(tmp_path: Path, said: str, version: str) -> None:
    assert program("mysqldump", _made(tmp_path, "mysqldump", said)).version == version


@pytest.mark.parametrize(
    ("name", "said", "product"),
    [
        ("mysqldump", OF_MARIADB, "MySQL"),
        ("mysqldump", "mysqldump from 11.8.9-MariaDB, client 10.20 Ver 1.2.3", "MySQL"),
        ("mariadb-dump", OF_MYSQL, "MariaDB"),
    ],
)
def test_a_program_of_the_other_product_is_refused_by_name(
    tmp_path: Path, name: str, said: str, product: str
) -> None:
    with pytest.raises(ToolMissing, match=f"is not a program of {product}") as caught:
        program(name, _made(tmp_path, name, said))
    assert said.split(maxsplit=1)[0] in caught.value.message
    assert "bin_dir" in caught.value.hint


@pytest.mark.parametrize("version", ["8.0.39", "8.4.2", "9.0.1", "8.1.0"])
def test_a_client_that_could_start_programs_of_a_dump_is_refused(
    tmp_path: Path, version: str
) -> None:
    bin_dir = _made(tmp_path, "mysql", f"mysql  Ver {version} for Linux on x86_64")
    with pytest.raises(ToolTooOld, match="--skip-system-command"):
        client(bin_dir, None, MYSQL)


@pytest.mark.parametrize("version", ["8.0.40", "8.4.3", "9.1.0", "9.7.4"])
def test_newer_clients_are_used(tmp_path: Path, version: str) -> None:
    bin_dir = _made(tmp_path, "mysql", f"mysql  Ver {version} for Linux on x86_64")
    assert client(bin_dir, None, MYSQL).version == version


def test_default_roles_are_taken_out_of_the_statement_that_makes_a_user() -> None:
    bare = roles.without_defaults(CREATED)
    assert bare == CREATED.replace(" DEFAULT ROLE `a``b`@`%`,`c`@`10.0.0.%`", "")
    assert roles.without_defaults(bare) == bare
    assert roles.set_defaults(MYSQL, ["a`b@%", "c@10.0.0.%"], "`u`@`%`") == (
        "SET DEFAULT ROLE `a``b`@`%`, `c`@`10.0.0.%` TO `u`@`%`"
    )
    assert roles.set_defaults(MARIADB, ["a@b"], "`u`@`%`") == "SET DEFAULT ROLE `a@b` FOR `u`@`%`"


def _stored(create: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"grants": [], "roles": [["a`b@%", False]], "server": []}
    return {"user": "app", "host": "%", "create": create, **empty, "default_roles": ["c@%"], **more}


def test_a_manifest_may_say_what_mysql_says_of_a_user_and_nothing_else() -> None:
    bare = roles.without_defaults(CREATED)
    _user(_stored(bare), "users")
    odd = (f"{bare}; DROP DATABASE x", bare.replace(HASH, f"{HASH}, `root`@`%`"), CREATED)
    for create in odd:
        with pytest.raises(UnexpectedValue, match="does not create this user"):
            _user(_stored(create), "users")
    with pytest.raises(UnexpectedValue):
        _user(_stored(bare, default_roles=[""]), "users")
