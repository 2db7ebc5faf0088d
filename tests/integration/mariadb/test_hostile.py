"""Who can write to the repository decides what is in a dump: nothing but tables comes of it."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from drd.errors import DrdError, Refused, RepositoryDamaged, SourceError
from drd.kinds.mariadb import users
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.clear_password import NO_PLUGINS
from drd.kinds.mariadb.connection import LoginRefused, connect
from drd.kinds.mariadb.dsn import Parts
from drd.kinds.mariadb.inspect import require_select
from drd.kinds.mariadb.manifest import require_written
from drd.kinds.mariadb.quoting import db_pattern
from drd.model.snapshot import ComponentSnapshot
from drd.model.strict import UnexpectedValue
from drd.ports import no_progress
from tests.integration.mariadb.conftest import Shop

END = b"\n-- Dump completed\n"


@pytest.fixture
def snapshot(shop: Shop) -> ComponentSnapshot:
    shop.server.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)", database=shop.name)
    return shop.back_up()


def restored(shop: Shop, snapshot: ComponentSnapshot, dump: bytes) -> None:
    target = shop.target()
    try:
        (target.landing() / "shop.sql").write_bytes(dump)
        private = shop.restic.private[str(snapshot.snapshot)]
        snapshot = replace(snapshot, bytes=len(dump))
        target.restore(snapshot, private, on_progress=no_progress)
    finally:
        target.close()


@pytest.mark.parametrize(
    "line",
    [
        "SET GLOBAL max_connections = 11;",
        "CREATE DEFINER=root@localhost PROCEDURE p() SELECT 1;",
        "CREATE DEFINER=root@localhost VIEW v AS SELECT * FROM t;",
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = 2;",
        "CREATE EVENT ev ON SCHEDULE EVERY 1 SECOND DO SELECT 1;",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t;",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE t;",
        "SELECT 1 INTO OUTFILE '{out}';",
        "USE mysql\nCREATE TABLE x (y INT);",
        "GRANT ALL ON *.* TO CURRENT_USER();",
        "INSTALL SONAME 'ha_spider';",
        "\\! touch {out}\nSELECT nothing;",
        "system touch {out}\n;",
        "tee {out}\nSELECT nothing;",
        "pager touch {out}\nSELECT nothing;",
        "source {out}\nSELECT nothing;",
    ],
)
def test_a_dump_can_do_nothing_but_fill_tables(
    shop: Shop, snapshot: ComponentSnapshot, tmp_path: Path, line: str
) -> None:
    tmp_path.chmod(0o777)
    out = tmp_path / "out"
    before = shop.server.execute("SELECT @@max_connections")
    dump = b"CREATE TABLE t (id INT);\n" + line.format(out=out).encode() + END
    with pytest.raises(DrdError) as caught:
        restored(shop, snapshot, dump)
    assert "unchanged" in caught.value.hint
    assert not out.exists()
    assert shop.server.execute("SELECT @@max_connections") == before
    assert shop.databases() == {shop.name}
    assert not shop.server.execute("SELECT 1 FROM mysql.user WHERE User LIKE 'drd%'")


@pytest.mark.parametrize("cut", [1, 200])
def test_a_dump_that_was_cut_off_is_not_loaded(
    shop: Shop, snapshot: ComponentSnapshot, cut: int
) -> None:
    target = shop.target()
    shop.restic.restore(str(snapshot.snapshot), target.landing())
    whole = (shop.work.directory / "landing" / "shop.sql").read_bytes()
    target.close()
    with pytest.raises(RepositoryDamaged, match="cut off"):
        restored(shop, snapshot, whole.rstrip()[:-cut] + b"x")


def test_a_manifest_that_makes_other_users_or_code_is_refused(
    shop: Shop, snapshot: ComponentSnapshot
) -> None:
    private = shop.restic.private[str(snapshot.snapshot)]
    require_written(snapshot, private)
    user = {"user": "u", "host": "%", "create": "CREATE USER `u`@`%`", "grants": [],
            "roles": [], "server": []}  # fmt: skip
    require_written(snapshot, {**private, "users": [user]})
    login = (
        " IDENTIFIED VIA unix_socket OR mysql_native_password USING '*0A' REQUIRE ISSUER '/CN=z'"
    )
    login += " WITH MAX_STATEMENT_TIME 1.500000 ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 3 DAY"
    require_written(snapshot, {**private, "users": [{**user, "create": user["create"] + login}]})
    grant = {"rights": "ALL PRIVILEGES ON *.* TO x; --", "what": "", "object": "", "option": False}
    code = {"kind": "view", "name": "v", "sql": "DROP TABLE t", "sql_mode": "", "definer": "",
            "charset": "utf8mb4", "collation": "utf8mb4_bin", "time_zone": ""}  # fmt: skip
    for wrong in (
        {"users": [{**user, "create": "GRANT ALL ON *.* TO `u`@`%`"}]},
        {"users": [{**user, "create": "CREATE USER `v`@`%`"}]},
        {"users": [{**user, "grants": [grant]}]},
        {"users": [{**user, "create": f"{user['create']} IDENTIFIED BY 'x', `v`@`%`"}]},
        {"users": [{**user, "grants": [{**grant, "rights": f"{'A' * 60}!"}]}]},
        {"objects": [code]},
        {"objects": [{**code, "sql": "CREATE VIEW v AS SELECT 1", "charset": "x y"}]},
    ):
        with pytest.raises((Refused, UnexpectedValue)):
            require_written(snapshot, {**private, **wrong})


def test_code_runs_as_the_user_that_the_facts_name(shop: Shop, snapshot: ComponentSnapshot) -> None:
    private = shop.restic.private[str(snapshot.snapshot)]

    def accepted(definer: str, facts: str, sql: str) -> bool:
        event = {"kind": "event", "name": "e", "sql": sql, "definer": definer, "sql_mode": "",
                 "charset": "utf8mb4", "collation": "utf8mb4_bin", "time_zone": ""}  # fmt: skip
        named = replace(snapshot, facts={**snapshot.facts, "definers": [facts]})
        try:
            require_written(named, {**private, "objects": [event]})
        except (Refused, UnexpectedValue):
            return False
        return True

    begin, end = "CREATE DEFINER=", " EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1"
    assert accepted("my user@%", "my user@%", f"{begin}`my user`@`%`{end}")
    assert accepted("a`b@%", "a`b@%", f"{begin}`a``b`@`%`{end}")
    assert accepted("app@%", "app@%", f'{begin}"app"@"%"{end}')
    assert accepted("role", "role", f"{begin}`role`{end}")
    assert not accepted("app@%", "app@%", f"{begin}`root`@`localhost`{end}")
    assert not accepted("root@localhost", "app@%", f"{begin}`root`@`localhost`{end}")
    assert not accepted("", "", f"CREATE{end}")


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog", b"caching_sha2_password"])
def test_a_server_that_asks_for_the_password_gets_none(plugin: bytes) -> None:
    received = []

    def packet(number: int, body: bytes) -> bytes:
        return len(body).to_bytes(3, "little") + bytes([number]) + body

    def asks(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            hello = b"\x0a11.8.9-MariaDB\0" + bytes(4) + b"12345678\0\x0b\x82\x21\x02\0\x08\0\x15"
            hello += bytes(10) + b"123456789012\0mysql_native_password\0"
            connection.sendall(packet(0, hello))
            received.append(connection.recv(4096))
            connection.sendall(packet(2, b"\xfe" + plugin + b"\0\x04Password: "))
            received.append(connection.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=asks, args=(listening,))
        thread.start()
        port = listening.getsockname()[1]
        address = Address(Parts("drd", "S3cretPw", "127.0.0.1", port, "", "shop", "", ssl=False))
        with pytest.raises(LoginRefused, match="So drd did not send the password"):
            connect(address)
        thread.join()
    assert received[0]
    assert b"S3cretPw" not in b"".join(received)
    assert NO_PLUGINS in address.options()


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SELECT 1) INTO OUTFILE '/tmp/x' -- ",
        "SELECT 1; DROP TABLE t",
        "SELECT /*!50000 1 INTO OUTFILE '/tmp/x' */",
        "SELECT 1 INTO @x",
        "SET GLOBAL max_connections = 1",
        "CALL p()",
        "(SELECT 1",
    ],
)
def test_a_query_of_a_check_can_only_read(query: str) -> None:
    with pytest.raises(SourceError):
        require_select(query)


@pytest.mark.parametrize(
    "query", ["SELECT 'a;b' FROM t -- ;", "(SELECT 1)", "WITH x AS (SELECT 1) SELECT * FROM x;"]
)
def test_a_query_that_selects_is_accepted(query: str) -> None:
    assert require_select(query)


def test_users_that_lack_what_they_had_are_differences(
    shop: Shop, snapshot: ComponentSnapshot
) -> None:
    name = f"u_{shop.name}"
    grants = [{"rights": "SELECT (`id`), INSERT", "what": "", "object": "t", "option": False},
              {"rights": "UPDATE", "what": "", "object": "", "option": True}]  # fmt: skip
    user = {"user": name, "host": "%", "create": f"CREATE USER `{name}`@`%`", "grants": grants,
            "roles": [], "server": []}  # fmt: skip
    with connect(shop.address()) as connection:
        assert users.differences(connection, [user], shop.name) == [
            f"user or role `{name}`@`%` is missing"
        ]
        assert users.create_missing(connection, [user], own=False) == []
        assert users.grant_rights(connection, [user], shop.name) == []
        assert users.differences(connection, [user], shop.name) == []
        where = db_pattern(shop.name)
        shop.server.execute(
            f"REVOKE SELECT (id) ON {shop.name}.t FROM {name}@'%'",
            f"REVOKE GRANT OPTION ON {where}.* FROM {name}@'%'",
        )
        (told,) = users.differences(connection, [user], shop.name)
        shop.server.execute(f"DROP USER {name}@'%'")
    assert "SELECT (`id`) on t" in told
    assert "GRANT OPTION on the database" in told
    assert "UPDATE" not in told
