"""Recoveries into an existing server: killed in the middle, refused, undone, with other rights."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from drd.errors import DrdError, SandboxUnavailable, TargetError
from drd.kinds.mariadb.grants import grants
from drd.kinds.mariadb.publication import Publication
from drd.kinds.mariadb.server import sandbox_programs
from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget
from drd.ports import RestoreOptions
from drd.ports.grants import Logins
from drd.testing.kinds import restore_components
from tests.integration.mariadb.conftest import Shop
from tests.integration.mariadb.test_round_trip import dumped


def test_undo_gives_the_former_database_back_with_its_code(shop: Shop) -> None:
    shop.fill()
    snapshot = shop.back_up()
    socket = str(shop.server.socket)
    shop.server.execute("DELETE FROM orders", "DROP VIEW rich", "DROP TRIGGER audit_2",
                        database=shop.name)  # fmt: skip
    before = dumped(socket, shop.name)
    target = shop.target(shop.name, keep=True)
    restore_components(target, snapshot, shop.restic, overwrite=True)
    target.close()
    restored = dumped(socket, shop.name)
    assert restored != before
    settings = MariadbTarget.model_validate({"dsn": shop.server.dsn(shop.name)})
    kept = shop.kind.kept(shop.component, settings, snapshot, shop.work.run)
    kept.swap(back=True)
    assert dumped(socket, shop.name) == before
    kept.swap(back=False)
    assert dumped(socket, shop.name) == restored
    kept.discard()
    kept.close()
    assert shop.databases() == {shop.name}


@pytest.mark.parametrize("at", ["_rename", "_finish", "drop_former"])
def test_a_recovery_that_was_killed_continues(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    shop.server.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2)",
                        "CREATE VIEW v AS SELECT * FROM t", database=shop.name)  # fmt: skip
    snapshot = shop.back_up()
    shop.server.execute("DELETE FROM t", database=shop.name)

    class Killed(BaseException):
        pass

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Publication, at, dies)
        with pytest.raises(Killed):
            restore_components(shop.target(shop.name), snapshot, shop.restic, overwrite=True)
    again = shop.target(shop.name)
    restore_components(again, snapshot, shop.restic, overwrite=True)
    again.close()
    assert shop.server.execute("SELECT COUNT(*) FROM v", database=shop.name) == [(2,)]
    assert shop.databases() == {shop.name}


def test_code_that_the_server_refuses_leaves_the_target_as_it_was(shop: Shop) -> None:
    shop.server.execute("CREATE TABLE t (id INT)", "CREATE TABLE other (id INT)",
                        "CREATE VIEW v AS SELECT * FROM t", database=shop.name)  # fmt: skip
    snapshot = shop.back_up()
    shop.server.execute("INSERT INTO t VALUES (7)", database=shop.name)
    private = shop.restic.private[str(snapshot.snapshot)]
    broken = [{**o, "sql": "CREATE VIEW `v` AS SELECT * FROM nowhere"} for o in private["objects"]]
    shop.restic.private[str(snapshot.snapshot)] = {**private, "objects": broken}
    target = shop.target(shop.name, keep=True)
    with pytest.raises(TargetError, match="view v"):
        restore_components(target, snapshot, shop.restic, overwrite=True)
    target.close()
    assert shop.server.execute("SELECT * FROM v", database=shop.name) == [(7,)]
    assert shop.databases() == {shop.name}


def test_without_owners_the_code_belongs_to_the_login(shop: Shop) -> None:
    shop.fill()
    snapshot = shop.back_up()
    target = shop.target(no_owner=True)
    restore_components(target, snapshot, shop.restic)
    target.close()
    query = "SELECT DISTINCT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '{}'"
    assert shop.server.execute(query.format(shop.new)) == [("root@localhost",)]
    assert shop.server.execute("SELECT COUNT(*) FROM nested", database=shop.new) == [(2,)]


def test_versions_go_up_and_not_down(shop: Shop) -> None:
    with pytest.raises(SandboxUnavailable, match="older than the source's version 99"):
        sandbox_programs("99.1.0", None)
    assert sandbox_programs("10.6.1", None).version
    shop.server.execute("CREATE TABLE t (id INT)", database=shop.name)
    snapshot = shop.back_up()
    newer = replace(snapshot, facts={**snapshot.facts, "server_version": "99.1.0"})
    target = shop.target()
    (found,) = [f for f in target.check_access(newer) if f.code == "version"]
    target.close()
    assert found.failed
    assert "MariaDB 99.1 or newer" in found.remedy


def test_the_grants_script_gives_what_a_backup_and_a_recovery_need(shop: Shop) -> None:
    shop.fill()
    login = shop.server.dsn(shop.name, "drd_login", "s3cret", tcp=True)
    component = shop.of(login)
    target = MariadbTarget.model_validate(
        {"dsn": shop.server.dsn(shop.new, "drd_login", "s3cret", tcp=True)}
    )
    with pytest.raises(DrdError) as caught:
        shop.kind.source(component, shop.work).probe()
    assert "--grants" in caught.value.hint
    made = grants([component], {"shop": [target]}, Logins("drd", "root"))
    words = ["mariadb", "--no-defaults", "-uroot", f"--socket={shop.server.socket}"]
    for _ in range(2):  # a second time changes nothing
        subprocess.run(words, input=made.sql, text=True, check=True)
    try:
        shop.server.execute("ALTER USER drd_login@localhost IDENTIFIED BY 's3cret'")
        assert [f for f in shop.kind.source(component, shop.work).doctor() if f.failed] == []
        snapshot = shop.back_up(component)
        shop.server.execute(f"CREATE DATABASE {shop.new}")
        shop.server.execute("CREATE TABLE theirs (x INT)", database=shop.new)
        destination = shop.kind.target(component, target, shop.work, RestoreOptions(keep=True))
        found = destination.check_access(snapshot)
        assert [f for f in found if f.failed] == []
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
    assert isinstance(component.settings, MariadbSettings)
