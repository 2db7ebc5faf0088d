"""Everything that a database of MySQL can hold comes back, compared by MySQL's own programs."""

from __future__ import annotations

import re
import subprocess
from typing import cast

from drd.kinds.mariadb.sandbox import MariadbSandbox
from drd.model.snapshot import DatabaseFingerprint
from drd.ports import no_progress
from drd.testing.kinds import restore_components
from tests.integration.mysql.conftest import MysqlShop


def dumped(socket: str, database: str) -> str:
    """What mysqldump prints of a database, code included."""
    words = ["mysqldump", "--no-defaults", "-uroot", f"--socket={socket}", "--routines", "--events",
             "--triggers", "--single-transaction", "--hex-blob", "--skip-dump-date",
             "--no-tablespaces", "--set-gtid-purged=OFF", "--", database]  # fmt: skip
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return re.sub(r"^-- Host.*$", "", text, flags=re.MULTILINE)


def shown(shop: MysqlShop, socket: str) -> list[str]:
    """The logins and rights of all users of the shop."""
    words = ["mysql", "--no-defaults", "-uroot", f"--socket={socket}", "-BN", "-e"]
    lines = []
    for who in ("app@'%'", "reader@localhost", "member@'10.0.0.%'", "owner", "helper"):
        sql = (
            f"SET print_identified_with_as_hex = ON; SHOW CREATE USER {who}; SHOW GRANTS FOR {who}"
        )
        done = subprocess.run([*words, sql], capture_output=True, text=True, check=True)
        lines += [line for line in done.stdout.splitlines() if " ON *.*" not in line]
    return [line.replace("\\", "") for line in lines]  # the wildcards of a pattern


def test_everything_comes_back_in_a_sandbox(shop: MysqlShop) -> None:
    shop.fill()
    before = dumped(str(shop.server.socket), shop.name)
    users = shown(shop, str(shop.server.socket))
    assert [line for line in users if "DEFAULT ROLE `helper`@`%`,`owner`@`%`" in line]
    snapshot = shop.back_up()
    assert snapshot.facts["product"] == "mysql"
    assert isinstance(snapshot.fingerprint, DatabaseFingerprint)
    assert not snapshot.fingerprint.not_reached
    assert snapshot.facts["not_frozen"] == ["old_engine"]
    sandbox = cast("MariadbSandbox", shop.kind.sandbox(shop.component, snapshot, shop.work))
    try:
        sandbox.preflight(snapshot, overwrite=False)
        sandbox.prepare()
        shop.restic.restore(str(snapshot.snapshot), sandbox.landing())
        private = shop.restic.private[str(snapshot.snapshot)]
        done = sandbox.restore(snapshot, private, on_progress=no_progress)
        assert done.differences == ()
        assert [n for n in done.notes if "drd could not" in n] == []
        assert [line for line in done.not_restored if "PROCESS" in line]
        socket = str(shop.work.directory / "server" / "s")
        assert dumped(socket, shop.name) == before
        assert shown(shop, socket) == users
        found = sandbox.inspector().fingerprint(snapshot.fingerprint, 60.0)
        assert found == snapshot.fingerprint
        assert sandbox.inspector().scalar("select greet('Ana')") == "grüß Ana"
        assert sandbox.inspector().scalar("select secret from customers where name = 'Ana'") == 8
    finally:
        sandbox.close()


def test_a_recovery_replaces_a_database_and_its_undo_brings_it_back(shop: MysqlShop) -> None:
    shop.fill()
    before = dumped(str(shop.server.socket), shop.name)
    snapshot = shop.back_up()
    shop.server.execute(
        "DELETE FROM orders", "DROP TRIGGER audit_1", "CREATE TABLE newer (x INT, CHECK (x > 0))",
        database=shop.name,
    )  # fmt: skip
    later = dumped(str(shop.server.socket), shop.name)
    target = shop.target(shop.name, keep=True)
    restore_components(target, snapshot, shop.restic, overwrite=True)
    target.close()
    assert dumped(str(shop.server.socket), shop.name) == before
    kept = shop.kept(snapshot)
    assert [one.former for one in kept.held()] == [True]
    kept.swap(back=True)
    assert dumped(str(shop.server.socket), shop.name) == later
    kept.swap(back=False)
    assert dumped(str(shop.server.socket), shop.name) == before
    kept.discard()
    kept.close()
    assert shop.databases() == {shop.name}
