"""Recoveries into an existing server: killed in the middle, refused, undone, with other rights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from drd.errors import DrdError, SandboxUnavailable, TargetError
from drd.kinds.mariadb.connection import Connection, ServerError, connect
from drd.kinds.mariadb.grants import grants
from drd.kinds.mariadb.manifest import require_written
from drd.kinds.mariadb.publication import Publication
from drd.kinds.mariadb.quoting import db_pattern
from drd.kinds.mariadb.server import sandbox_programs
from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import RestoreOptions, no_progress
from drd.ports.grants import Logins
from drd.testing.kinds import restore_components
from drd.users import user_name
from tests.integration.mariadb.conftest import Shop
from tests.integration.mariadb.test_round_trip import dumped


class Killed(BaseException):
    """The process ends at once."""


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
    kept = shop.kept(snapshot)
    kept.swap(back=True)
    assert dumped(socket, shop.name) == before
    kept.swap(back=False)
    assert dumped(socket, shop.name) == restored
    kept.discard()
    kept.close()
    assert shop.databases() == {shop.name}


@pytest.mark.parametrize(
    "before", ["USE", "CREATE TABLE", "INSERT", "DROP TRIGGER", "RENAME TABLE"]
)
def test_an_exchange_that_was_killed_can_be_finished_or_taken_back(
    shop: Shop, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both names exist then, and none of the two databases is a stranger's."""
    shop.fill()
    snapshot = shop.back_up()
    socket = str(shop.server.socket)
    shop.server.execute("DELETE FROM orders", "DROP VIEW rich", database=shop.name)
    former = dumped(socket, shop.name)
    target = shop.target(shop.name, keep=True)
    restore_components(target, snapshot, shop.restic, overwrite=True)
    target.close()
    restored = dumped(socket, shop.name)
    execute = Connection.execute

    def dies(self: Connection, sql: str, *rest: Sequence[Any]) -> int:
        if sql.startswith(before):
            raise Killed
        return execute(self, sql, *rest)

    stands = restored
    for back, way in ((True, former), (False, restored)):
        for again, wanted in ((not back, stands), (back, way)):
            killed, kept = shop.kept(snapshot), shop.kept(snapshot)
            with monkeypatch.context() as patch:
                patch.setattr(Connection, "execute", dies)
                with pytest.raises(Killed):
                    killed.swap(back=back)
            killed.close()
            kept.require_exchangeable(back=again)
            kept.swap(back=again)
            kept.close()
            assert dumped(socket, shop.name) == wanted
        stands = way
    shop.kept(snapshot).discard()
    assert shop.databases() == {shop.name}


def test_code_keeps_the_collation_of_its_database_over_one_with_another(shop: Shop) -> None:
    """Texts in parameters of procedures have it: in latin1 they lose letters."""
    shop.fill()
    (made,) = shop.server.execute("SELECT @@collation_database", database=shop.name)
    shop.server.execute(
        f"ALTER DATABASE {shop.name} COLLATE latin1_swedish_ci",
        "CREATE FUNCTION before_the_change(x VARCHAR(9)) RETURNS VARCHAR(9) RETURN x",
        f"ALTER DATABASE {shop.name} COLLATE {made[0]}",
        database=shop.name,
    )
    snapshot = shop.back_up()
    by_hand = shop.restic.private[str(snapshot.snapshot)]["objects_sql"]
    assert "ALTER DATABASE COLLATE `latin1_swedish_ci` $drd$\n" in by_hand
    listed = (
        "SELECT ROUTINE_NAME, DATABASE_COLLATION FROM information_schema.ROUTINES "
        "WHERE ROUTINE_SCHEMA = '{0}' UNION ALL SELECT TRIGGER_NAME, DATABASE_COLLATION FROM "
        "information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{0}' UNION ALL SELECT EVENT_NAME, "
        "DATABASE_COLLATION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{0}' ORDER BY 1, 2"
    )
    at_backup = shop.server.execute(listed.format(shop.name))
    assert ("before_the_change", "latin1_swedish_ci") in at_backup
    assert len({collation for _, collation in at_backup}) == 2
    shop.server.execute(
        f"CREATE DATABASE {shop.new} CHARACTER SET latin1 COLLATE latin1_swedish_ci",
        f"CREATE FUNCTION {shop.new}.f() RETURNS INT RETURN 3",
    )
    before = shop.server.execute(listed.format(shop.new))
    target = shop.target(shop.new, keep=True)
    restore_components(target, snapshot, shop.restic, overwrite=True)
    target.close()
    assert shop.server.execute(listed.format(shop.new)) == at_backup
    settings = MariadbTarget.model_validate({"dsn": shop.server.dsn(shop.new)})
    kept = shop.kind.kept(shop.component, settings, snapshot, shop.work.run)
    kept.swap(back=True)
    assert shop.server.execute(listed.format(shop.new)) == before
    kept.swap(back=False)
    assert shop.server.execute(listed.format(shop.new)) == at_backup
    kept.discard()
    kept.close()


def test_code_with_a_collation_that_the_server_does_not_have_stops_no_recovery(
    shop: Shop,
) -> None:
    shop.server.execute("CREATE PROCEDURE p(x VARCHAR(9)) SELECT x", database=shop.name)
    snapshot = shop.back_up()
    private = shop.restic.private[str(snapshot.snapshot)]
    code = [{**o, "database_collation": "utf8mb4_gone_ci"} for o in private["objects"]]
    target = shop.target()
    shop.restic.restore(str(snapshot.snapshot), target.landing())
    done = target.restore(snapshot, {**private, "objects": code}, on_progress=no_progress)
    target.close()
    assert done.differences == ()
    (note,) = [n for n in done.notes if n.startswith("procedure p keeps collation utf8mb4_gone_ci")]
    assert "which this server does not have" in note
    own = "SELECT @@collation_database"
    assert shop.server.execute(own, database=shop.new) == shop.server.execute(
        own, database=shop.name
    )


def test_columns_take_numbers_from_the_sequence_of_the_restored_database(shop: Shop) -> None:
    shop.fill()
    snapshot = shop.back_up()
    target = shop.target()
    restore_components(target, snapshot, shop.restic)
    target.close()
    shown = "SHOW CREATE TABLE tickets"
    ((_, there),) = shop.server.execute(shown, database=shop.new)
    ((_, here),) = shop.server.execute(shown, database=shop.name)
    assert there.count(f"nextval(`{shop.new}`.`numbers`)") == 2
    comment = f"COMMENT ' DEFAULT nextval(`{shop.name}`.`numbers`)'"
    assert comment in there
    plain = here.replace(comment, "").replace(f"`{shop.name}`", f"`{shop.new}`")
    assert there.replace(comment, "") == plain
    shop.server.execute("INSERT INTO tickets (text) VALUES ('new')", database=shop.new)
    numbers = "SELECT NEXT VALUE FOR numbers"
    (new,), (old,) = (shop.server.execute(numbers, database=n)[0] for n in (shop.new, shop.name))
    assert new > old


@pytest.mark.parametrize("at", ["_rename", "_finish", "drop_former"])
def test_a_recovery_that_was_killed_continues(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    shop.server.execute("CREATE SEQUENCE s", "CREATE TABLE t (id INT DEFAULT NEXT VALUE FOR s)",
                        "INSERT INTO t VALUES (1), (2)", "CREATE VIEW v AS SELECT * FROM t",
                        database=shop.name)  # fmt: skip
    snapshot = shop.back_up()
    shop.server.execute("DELETE FROM t", database=shop.name)

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
    shop.server.execute("INSERT INTO t VALUES ()", database=shop.name)
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


def _a_right_that_is_missing_fails(shop: Shop, component: Component) -> None:
    """The server hides triggers, events and tables from a login without the rights."""
    pattern = db_pattern(shop.name)
    for right in ("SELECT", "TRIGGER", "EVENT"):
        shop.server.execute(f"REVOKE {right} ON {pattern}.* FROM drd_login@localhost")
        with pytest.raises(DrdError, match=f"does not have {right} on the whole"):
            shop.kind.source(component, shop.work).probe()
        shop.server.execute(f"GRANT {right} ON {pattern}.* TO drd_login@localhost")


def test_a_role_with_other_rights_is_not_granted(shop: Shop) -> None:
    shop.server.execute("CREATE TABLE t (id INT)", database=shop.name)
    snapshot = shop.back_up()
    user = {"user": "evil", "host": "%", "create": "CREATE USER `evil`@`%`", "grants": [],
            "roles": [["outer_role", True], ["plain_role", False]], "server": []}  # fmt: skip
    private = shop.restic.private[str(snapshot.snapshot)]
    shop.restic.private[str(snapshot.snapshot)] = {**private, "users": [user]}
    shop.server.execute(
        *(f"CREATE ROLE {name}" for name in ("outer_role", "inner_role", "plain_role")),
        "GRANT inner_role TO outer_role", "GRANT PROCESS ON *.* TO inner_role",
        f"GRANT SELECT ON {shop.new}.* TO plain_role",
    )  # fmt: skip
    try:
        target = shop.target()
        restore_components(target, snapshot, shop.restic)
        target.close()
        granted = shop.server.execute("SELECT Role FROM mysql.roles_mapping WHERE User = 'evil'")
        assert granted == [("plain_role",)]
    finally:
        for name in ("ROLE outer_role", "ROLE inner_role", "ROLE plain_role", "USER evil@'%'"):
            shop.server.execute(f"DROP {name}")


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
        _a_right_that_is_missing_fails(shop, component)
        assert [f for f in shop.kind.source(component, shop.work).doctor() if f.failed] == []
        snapshot = shop.back_up(component)
        shop.server.execute(f"CREATE DATABASE {shop.new}")
        shop.server.execute("CREATE TABLE theirs (x INT)", database=shop.new)
        destination = shop.kind.target(component, target, shop.work, RestoreOptions(keep=True))
        pattern = db_pattern(shop.new)
        shop.server.execute(f"REVOKE ALTER, INSERT ON {pattern}.* FROM drd_login@localhost")
        (found,) = (f for f in destination.check_access(snapshot) if f.failed)
        assert found.code == "target-rights"
        assert f"does not have ALTER, INSERT on database {shop.new}" in found.text
        shop.server.execute(f"GRANT ALTER, INSERT ON {pattern}.* TO drd_login@localhost")
        assert [f for f in destination.check_access(snapshot) if f.failed] == []
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


def test_the_script_has_what_a_recovery_in_place_needs_as_comments(shop: Shop) -> None:
    shop.fill()
    login = shop.server.dsn(shop.name, "drd_login", "s3cret", tcp=True)
    component = shop.of(login)
    target = MariadbTarget.model_validate(
        {"dsn": shop.server.dsn(shop.new, "drd_login", "s3cret", tcp=True)}
    )
    made = grants([component], {"shop": [target]}, Logins("drd", "root"))
    head = "\n".join(made.lacks)
    assert "Recoveries in place need more: user drd_login must have all rights on\n" in head
    assert f"database {shop.name}. The statements" in head
    words = ["mariadb", "--no-defaults", "-uroot", f"--socket={shop.server.socket}"]
    subprocess.run(words, input=made.sql, text=True, check=True)
    try:
        shop.server.execute("ALTER USER drd_login@localhost IDENTIFIED BY 's3cret'")
        snapshot = shop.back_up(component)
        in_place = shop.kind.target(component, component.settings, shop.work, RestoreOptions())
        (found,) = (f for f in in_place.check_access(snapshot) if f.failed)
        given = found.remedy.removeprefix("as an administrator of the server: ")
        allowed = made.sql.replace("-- GRANT", "GRANT")
        assert f"\n{given};" in allowed
        assert f"\n{given};" not in made.sql
        subprocess.run(words, input=allowed, text=True, check=True)
        assert [f for f in in_place.check_access(snapshot) if f.failed] == []
        restore_components(in_place, snapshot, shop.restic, overwrite=True)
        in_place.close()
    finally:
        shop.server.execute("DROP USER drd_login@localhost")


def test_root_and_the_service_log_in_as_the_user_that_the_script_makes(shop: Shop) -> None:
    """Recoveries by root, and backups of drd's user: the dsn has no password for either."""
    runs = user_name(os.geteuid())
    dsn = f"mariadb://drd_login@/{shop.name}?socket={shop.server.socket}"
    component = shop.of(dsn)
    with pytest.raises(DrdError) as caught:
        shop.kind.source(component, shop.work).probe()
    let_in = (
        "ALTER USER `drd_login`@`localhost` IDENTIFIED VIA unix_socket OR unix_socket USING "
        f"'{runs}'"
    )
    assert f"drd logs in from the system user {runs}" in caught.value.hint
    assert caught.value.hint.endswith(f"as an administrator of the server: {let_in}")
    made = grants([component], {}, Logins("drd_login", runs))
    words = ["mariadb", "--no-defaults", "-uroot", f"--socket={shop.server.socket}"]
    subprocess.run(words, input=made.sql, text=True, check=True)
    try:
        assert f"-- {let_in};" in made.sql
        shop.kind.source(component, shop.work).probe()
        shop.server.execute("ALTER USER drd_login@localhost IDENTIFIED VIA unix_socket")
        with pytest.raises(DrdError):
            shop.kind.source(component, shop.work).probe()
        shop.server.execute(let_in)
        shop.kind.source(component, shop.work).probe()
    finally:
        shop.server.execute("DROP USER drd_login@localhost")


def _code_of(shop: Shop) -> set[str]:
    words = (
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{0}' UNION"
    )
    words += " SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '{0}' UNION"
    words += " SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '{0}'"
    return {name for (name,) in shop.server.execute(words.format(shop.name))}


@pytest.fixture
def coded(shop: Shop) -> ComponentSnapshot:
    """A database with code, whose backup has none."""
    shop.server.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)", database=shop.name)
    snapshot = shop.back_up()
    shop.server.execute(
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = 2",
        "CREATE VIEW v AS SELECT * FROM t", "CREATE PROCEDURE p() SELECT 1",
        "CREATE USER IF NOT EXISTS caller@'%'",
        f"GRANT EXECUTE ON PROCEDURE {shop.name}.p TO caller@'%' WITH GRANT OPTION",
        "DELETE FROM t", database=shop.name,
    )  # fmt: skip
    return snapshot


def _calls(shop: Shop) -> list[tuple[str, ...]]:
    return shop.server.execute(f"SELECT Proc_priv FROM mysql.procs_priv WHERE Db = '{shop.name}'")


def _as_it_was(shop: Shop) -> None:
    assert _code_of(shop) == {"tr", "v", "p"}
    assert _calls(shop) == [("Execute,Grant",)]
    assert shop.server.execute("SELECT COUNT(*) FROM t", database=shop.name) == [(0,)]
    assert shop.databases() == {shop.name}


def test_an_open_transaction_leaves_the_target_as_it_was(
    shop: Shop, coded: ComponentSnapshot
) -> None:
    target = shop.target(shop.name, keep=True)
    target.check_access(coded)
    target._reach().execute("SET SESSION lock_wait_timeout = 1")  # type: ignore[attr-defined]
    with connect(shop.address()) as application:
        application.execute("BEGIN")
        application.rows("SELECT * FROM t")
        with pytest.raises(TargetError, match="another session uses the tables"):
            restore_components(target, coded, shop.restic, overwrite=True)
    target.close()
    _as_it_was(shop)


@pytest.mark.parametrize("how", [ServerError(1205, "lost"), Killed()])
def test_code_comes_back_after_an_exchange_that_did_not_happen(
    shop: Shop, coded: ComponentSnapshot, monkeypatch: pytest.MonkeyPatch, how: BaseException
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise how

    target = shop.target(shop.name, keep=True)
    with monkeypatch.context() as patch:
        patch.setattr(Publication, "_rename", fails)
        with pytest.raises((TargetError, Killed)):
            restore_components(target, coded, shop.restic, overwrite=True)
    if isinstance(how, Killed):
        assert _code_of(shop) == set()
        kept = shop.kept(coded)
        kept.require_exchangeable(back=True)
        kept.swap(back=True)
        kept.close()
    target.close()
    _as_it_was(shop)


def test_an_undo_after_a_kill_keeps_the_former_tables(
    shop: Shop, coded: ComponentSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Publication, "_finish", dies)
        target = shop.target(shop.name, keep=True)
        with pytest.raises(Killed):
            restore_components(target, coded, shop.restic, overwrite=True)
    kept = shop.kept(coded)
    kept.swap(back=True)
    assert _code_of(shop) == {"tr", "v", "p"}
    assert _calls(shop) == [("Execute,Grant",)]
    kept.swap(back=False)
    assert shop.server.execute("SELECT COUNT(*) FROM t", database=shop.name) == [(1,)]
    assert _code_of(shop) == set()
    kept.swap(back=True)
    kept.discard()
    kept.close()
    target.close()
    _as_it_was(shop)


def test_a_foreign_key_of_another_database_is_named_before_anything_is_done(
    shop: Shop,
) -> None:
    shop.server.execute("CREATE TABLE t (id INT PRIMARY KEY)", database=shop.name)
    snapshot = shop.back_up()
    shop.server.execute(
        f"CREATE DATABASE `crm-{shop.name}`",
        f"CREATE TABLE `crm-{shop.name}`.c (i INT, FOREIGN KEY (i) REFERENCES {shop.name}.t (id))",
    )
    target = shop.target(shop.name)
    with pytest.raises(TargetError, match=r"refer to tables of .*: crm-.*\.c"):
        target.preflight(snapshot, overwrite=True)
    target.close()


def test_a_view_that_is_broken_at_the_source_stops_no_recovery(shop: Shop) -> None:
    shop.server.execute(
        "CREATE TABLE t (id INT)", "CREATE TABLE gone (id INT)",
        "CREATE VIEW z AS SELECT * FROM t", "CREATE VIEW a AS SELECT * FROM z",
        "CREATE VIEW b AS SELECT * FROM gone", "DROP TABLE gone",
        "CREATE EVENT later ON SCHEDULE AT '2040-01-01 00:00:00' DO SELECT 1",
        "CREATE EVENT once ON SCHEDULE AT '2040-01-01 00:00:00' DO SELECT 1",
        database=shop.name,
    )  # fmt: skip
    found = shop.kind.source(shop.component, shop.work).doctor()
    assert [f.severity for f in found if f.code == "broken-views"] == ["warning"]
    snapshot = shop.back_up()
    private = shop.restic.private[str(snapshot.snapshot)]
    code = [
        {**o, "sql": o["sql"].replace("2040-01-01", "2020-01-01")} if o["name"] == "once" else o
        for o in private["objects"]
    ]
    private = {**private, "objects": code}
    require_written(snapshot, private)
    target = shop.target()
    (warned,) = [f.text for f in target.check_access(snapshot) if f.code == "events"]
    assert "2 events of the database (later, once)" in warned
    shop.restic.restore(str(snapshot.snapshot), target.landing())
    done = target.restore(snapshot, private, on_progress=no_progress)
    target.close()
    assert done.differences == ()
    assert [line for line in done.not_restored if "view b" in line and "broken at" in line]
    assert [note for note in done.notes if "is over: once" in note]
    assert [note for note in done.notes if "from now on: later" in note]
    assert shop.server.execute("SELECT COUNT(*) FROM a", database=shop.new) == [(0,)]
    script = private["objects_sql"]
    assert script.index("VIEW `z`") < script.index("VIEW `a`") < script.index("VIEW `b`")


def test_a_server_that_demands_keys_gets_tables_of_drd_with_a_key(shop: Shop) -> None:
    """Servers of providers often refuse each table without a primary key."""
    shop.server.execute("CREATE TABLE orders (id INT PRIMARY KEY)", database=shop.name)
    shop.server.execute("INSERT INTO orders VALUES (1)", database=shop.name)
    snapshot = shop.back_up()
    shop.server.execute("SET GLOBAL innodb_force_primary_key = ON")
    target = shop.target(shop.name, keep=True)
    try:
        restore_components(target, snapshot, shop.restic, overwrite=True)
    finally:
        target.close()
        shop.server.execute("SET GLOBAL innodb_force_primary_key = OFF")
    assert shop.server.execute("SELECT * FROM orders", database=shop.name) == [(1,)]
