"""`drd plan new` finds the databases behind the sockets of this host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drd.cli.grants import script
from drd.config.plan_file import plan_of_text
from drd.errors import UsageError
from drd.kinds.mariadb import discovery, dsn
from drd.kinds.mariadb.discovery_inside import Database, database_of
from drd.kinds.mariadb.settings import MariadbSettings
from drd.ports.grants import Logins
from tests.integration.mariadb.conftest import Shop


def _only(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let drd find the server of the test, and no other."""
    options = tmp_path / "my.cnf"
    options.write_text(f"[mysqld]\nsocket = {shop.server.socket}\n")
    monkeypatch.setattr(discovery, "SOCKETS", ())
    monkeypatch.setattr(discovery, "OPTION_FILES", (str(options),))
    monkeypatch.setattr(discovery, "OPTION_DIRECTORIES", ())


def test_databases_of_a_socket_are_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _only(shop, monkeypatch, tmp_path)
    shop.server.execute("CREATE TABLE orders (id INT)", database=shop.name)
    owner = shop.server.socket.stat().st_uid
    if owner not in (0, os.geteuid()):
        wishes, notes = discovery.found()
        assert wishes == []
        assert any("belongs to user" in note for note in notes)
        monkeypatch.setattr(discovery, "_servers_users", lambda: iter([owner]))
    wishes, notes = discovery.found()
    assert not any(shop.name in note for note in notes)
    (wish,) = [w for w in wishes if w.name == shop.name]
    keys = dict(wish.keys((), ""))
    settings = MariadbSettings.model_validate({"kind": "mariadb", "dsn": keys["dsn"]})
    assert dsn.sockets(settings) == (str(shop.server.directory),)
    assert dsn.database(settings.dsn) == shop.name
    assert not {"mysql", "sys"} & {w.name for w in wishes}


def test_an_empty_database_is_left_out_and_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As `mariadb-install-db` makes one: a drill of it would prove nothing."""
    _only(shop, monkeypatch, tmp_path)
    owner = shop.server.socket.stat().st_uid
    monkeypatch.setattr(discovery, "_servers_users", lambda: iter([owner]))
    empty = f"{shop.name}_empty"
    shop.server.execute(f"CREATE DATABASE `{empty}`")
    try:
        wishes, notes = discovery.found()
        assert empty not in {w.name for w in wishes}
        (note,) = [n for n in notes if empty in n]
        assert note.startswith("drd left out the database")
        assert "no table, routine or event" in note
        assert "add it with --mariadb" in note
        shop.server.execute(f"CREATE FUNCTION `{empty}`.one() RETURNS INT RETURN 1")
        wishes, notes = discovery.found()
        assert empty in {w.name for w in wishes}
        assert not any(empty in note for note in notes)
    finally:
        shop.server.execute(f"DROP DATABASE `{empty}`")


def test_what_a_container_prints_is_read() -> None:
    assert database_of("74657374 empty") == Database("test", True)
    assert database_of("73686f70") == Database("shop")
    (note,) = discovery._left_out([Database("a", True), Database("b"), Database("c", True)], "here")
    assert note.startswith("drd left out the databases a, c here, because they contain no table")


def test_a_password_becomes_a_credential_and_is_never_repeated() -> None:
    (wish,) = discovery.wishes(["mariadb://drd:hunter2@db1/shop"])
    assert wish.secret
    assert dict(wish.keys((), "shop-dsn"))["dsn"] == {"credential": "shop-dsn"}
    assert "hunter2" not in wish.where
    with pytest.raises(UsageError) as caught:
        discovery.wishes(["mysql+x://drd:hunter2@db1"])
    assert "hunter2" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("postgresql:///x", "begins with mariadb://"),
        ("mariadb://h", "does not name a database"),
        ("mariadb://h/x?sockt=/y", "unknown parameter"),
        ("mariadb://h/x?socket=/y", "a host and a socket"),
        ("mariadb://h:99999/x", "is not an address"),
        ("mariadb:///a%0ab", "cannot be printed"),
    ],
)
def test_addresses_that_cannot_be_are_refused_with_the_reason(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        dsn.parse(text)


def test_an_address_stays_on_this_host_only_without_files() -> None:
    assert dsn.stays_here("mariadb:///x")
    assert dsn.stays_here("mariadb://drd@127.0.0.1/x")
    assert not dsn.stays_here("mariadb://drd@db1/x")
    assert not dsn.stays_here("mariadb://drd@127.0.0.1/x?ssl_ca=/etc/shadow")


_TWO = """
plan: shop
owner: tests
objectives: {rpo: 1h, rto: 1h}
components:
  a: {kind: mariadb, dsn: mariadb://drd@/a}
  b: {kind: postgres, dsn: postgresql:///b}
repositories: {primary: {url: /srv/r, password: {env: PW}}}
"""


def test_rights_of_two_products_are_two_scripts(tmp_path: Path) -> None:
    plan = plan_of_text(_TWO, tmp_path / "shop.yaml")
    users = Logins("drd", "root")
    with pytest.raises(UsageError) as caught:
        script(plan, users, "shop")
    assert "drd doctor shop --grants --kind mariadb" in caught.value.hint
    ours = script(plan, users, "shop", only="mariadb")
    assert ours.startswith(
        "-- Run this command as root: drd doctor shop --grants --kind mariadb | "
    )
    assert "\\set" not in ours
    theirs = script(plan, users, "shop", only="postgres")
    assert "\\set ON_ERROR_STOP on" in theirs
    assert "mariadb" not in theirs
    with pytest.raises(UsageError, match="does not have a component of kind redis"):
        script(plan, users, "shop", only="redis")
