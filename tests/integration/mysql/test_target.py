"""Recoveries into a MySQL server: the tests of MariaDB that hold for both, and others."""

from __future__ import annotations

import subprocess

import pytest

from drd.errors import DrdError, NotSupported, TargetError
from drd.kinds.mariadb.address import address_of
from drd.kinds.mariadb.connection import connect
from drd.kinds.mariadb.grants import grants
from drd.kinds.mariadb.physical.kind import ServerKind
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.kinds.mariadb.publication import Publication
from drd.kinds.mariadb.settings import MariadbTarget
from drd.model.plan import Component, SecretRef
from drd.ports import RestoreOptions
from drd.ports.grants import Logins
from drd.testing.kinds import restore_components
from tests.integration.mariadb import test_target as of_mariadb
from tests.integration.mariadb.test_target import (  # noqa: F401 - run here as well
    coded,
    test_a_foreign_key_of_another_database_is_named_before_anything_is_done,
    test_a_view_that_is_broken_at_the_source_stops_no_recovery,
    test_an_open_transaction_leaves_the_target_as_it_was,
    test_an_undo_after_a_kill_keeps_the_former_tables,
    test_code_comes_back_after_an_exchange_that_did_not_happen,
    test_code_that_the_server_refuses_leaves_the_target_as_it_was,
    test_undo_gives_the_former_database_back_with_its_code,
    test_without_owners_the_code_belongs_to_the_login,
)
from tests.integration.mysql.conftest import MysqlShop
from tests.integration.mysql.test_round_trip import dumped
from tests.servers import MariadbServer


@pytest.fixture(autouse=True)
def _by_mysqls_own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_mariadb, "dumped", dumped)


def test_the_script_of_rights_gives_what_a_backup_and_a_recovery_need(shop: MysqlShop) -> None:
    shop.fill()
    login = shop.server.dsn(shop.name, "drd_login", "s3cret")
    component = shop.of(login)
    target = MariadbTarget.model_validate({"dsn": shop.server.dsn(shop.new, "drd_login", "s3cret")})
    with pytest.raises(DrdError) as caught:
        shop.kind.source(component, shop.work).probe()
    assert "--grants" in caught.value.hint
    made = grants([component], {"shop": [target]}, Logins("drd", "root"))
    assert made.reader == "mysql"
    words = ["mysql", "--no-defaults", "-uroot", f"--socket={shop.server.socket}"]
    for _ in range(2):  # a second time changes nothing
        subprocess.run(words, input=made.sql, text=True, check=True)
    try:
        shop.server.execute("ALTER USER drd_login@localhost IDENTIFIED BY 's3cret' ACCOUNT UNLOCK")
        for right in ("BACKUP_ADMIN", "SHOW_ROUTINE", "RELOAD"):
            shop.server.execute(f"REVOKE {right} ON *.* FROM drd_login@localhost")
            found = [f for f in shop.kind.source(component, shop.work).doctor() if f.failed]
            assert any(right in f.text for f in found)
            shop.server.execute(f"GRANT {right} ON *.* TO drd_login@localhost")
        found = shop.kind.source(component, shop.work).doctor()
        assert [f for f in found if f.failed] == []
        assert {f.code for f in found} >= {"reachable", "mysqldump"}
        assert "mariadb-dump" not in {f.code for f in found}
        snapshot = shop.back_up(component)
        shop.server.execute(f"CREATE DATABASE {shop.new}")
        shop.server.execute("CREATE TABLE theirs (x INT)", database=shop.new)
        destination = shop.kind.target(component, target, shop.work, RestoreOptions(keep=True))
        found = destination.check_access(snapshot)
        assert [f for f in found if f.failed] == []
        assert "mysql" in {f.code for f in found}
        assert "mariadb" not in {f.code for f in found}
        restore_components(destination, snapshot, shop.restic, overwrite=True)
        destination.close()
        kept = shop.kind.kept(component, target, snapshot, shop.work.run)
        kept.swap(back=True)
        kept.swap(back=False)
        kept.discard()
        kept.close()
    finally:
        shop.server.execute("DROP USER drd_login@localhost")
    assert shop.databases() == {shop.name, shop.new}


@pytest.mark.parametrize("at", ["_rename", "_finish", "drop_former"])
def test_a_recovery_that_was_killed_continues(
    shop: MysqlShop, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    shop.server.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2)",
                        "CREATE VIEW v AS SELECT * FROM t", database=shop.name)  # fmt: skip
    snapshot = shop.back_up()
    shop.server.execute("DELETE FROM t", database=shop.name)

    def dies(*_: object, **__: object) -> None:
        raise of_mariadb.Killed

    with monkeypatch.context() as patch:
        patch.setattr(Publication, at, dies)
        with pytest.raises(of_mariadb.Killed):
            restore_components(shop.target(shop.name), snapshot, shop.restic, overwrite=True)
    again = shop.target(shop.name)
    restore_components(again, snapshot, shop.restic, overwrite=True)
    again.close()
    assert shop.server.execute("SELECT COUNT(*) FROM v", database=shop.name) == [(2,)]
    assert shop.databases() == {shop.name}  # also without the mark of the run


def test_by_tcp_no_password_goes_to_a_server_that_nobody_has_checked(shop: MysqlShop) -> None:
    shop.server.execute("CREATE USER remote@localhost IDENTIFIED BY 's3cret'")
    try:
        text = shop.server.dsn(shop.name, "remote", "s3cret", tcp=True)
        with pytest.raises(DrdError, match="drd did not send the password"):
            connect(address_of(SecretRef("text", text)))
    finally:
        shop.server.execute("DROP USER remote@localhost")


def test_the_other_product_is_refused_before_anything_is_touched(
    shop: MysqlShop, mariadb: MariadbServer
) -> None:
    shop.server.execute("CREATE TABLE t (id INT)", database=shop.name)
    snapshot = shop.back_up()
    settings = MariadbTarget.model_validate({"dsn": mariadb.dsn(shop.new)})
    target = shop.kind.target(shop.component, settings, shop.work)
    failed = [f for f in target.preflight(snapshot, overwrite=True) if f.failed]
    assert [f.code for f in failed] == ["version"]
    assert "the target's server is MariaDB" in failed[0].text
    assert "restore into a server of MySQL" in failed[0].remedy
    with pytest.raises(TargetError, match="is of MySQL 9"):
        target.restore(snapshot, {"objects": [], "users": []}, on_progress=lambda _: None)
    target.close()
    names = mariadb.execute("SHOW DATABASES")
    assert not [name for (name,) in names if name == shop.new or name.startswith("drd_run1")]


def test_a_whole_server_is_refused_by_name(shop: MysqlShop) -> None:
    settings = {"kind": "mariadb-server", "dsn": shop.server.dsn(shop.name)}
    component = Component("server", "mariadb-server", ServerSettings.model_validate(settings))
    source = ServerKind().source(component, shop.work)
    with pytest.raises(NotSupported, match=r"is MySQL 9.*mariadb-backup") as caught:
        source.probe()
    assert "use kind mariadb" in caught.value.hint
    assert [f.code for f in source.doctor()] == ["reachable"]
