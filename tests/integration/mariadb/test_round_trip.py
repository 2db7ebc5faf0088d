"""Everything that a database can hold comes back, compared by MariaDB's own programs."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

from drd.flows.drill.people import Counted, counted_by
from drd.kinds.mariadb.sandbox import MariadbSandbox
from drd.model.limits import Limits
from drd.model.snapshot import DatabaseFingerprint
from drd.ports import no_progress
from drd.testing.kinds import restore_components
from tests.integration.mariadb.conftest import Shop


def dumped(socket: str, database: str) -> str:
    """What mariadb-dump prints of a database, code and history included."""
    words = ["mariadb-dump", "--no-defaults", "-uroot", f"--socket={socket}", "--routines",
             "--events", "--triggers", "--single-transaction", "--dump-history", "--hex-blob",
             "--skip-dump-date", "--no-tablespaces", "--", database]  # fmt: skip
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    # The clock of a restored history is that of the backup; the counter of a sequence is cached.
    return re.sub(r"^-- Host.*$", "", text, flags=re.MULTILINE)


def rights(shop: Shop, socket: str) -> list[str]:
    words = ["mariadb", "--no-defaults", "-uroot", f"--socket={socket}", "-BN", "-e"]
    lines = []
    for who in ("app@'%'", "reader@localhost", "member@'10.0.0.%'", "owner", "PUBLIC"):
        done = subprocess.run([*words, f"SHOW GRANTS FOR {who}"], capture_output=True, text=True,
                              check=True)  # fmt: skip
        lines += [line for line in done.stdout.splitlines() if " ON *.*" not in line]
    plain = [line.replace("\\", "") for line in lines]  # the wildcards of a pattern
    return [line for line in plain if shop.name in line or "`member`" in line]


def test_everything_comes_back_in_a_sandbox(shop: Shop) -> None:
    shop.fill()
    before = dumped(str(shop.server.socket), shop.name)
    granted = rights(shop, str(shop.server.socket))
    snapshot = shop.back_up()
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
        assert rights(shop, socket) == granted
        assert len(granted) == 7
        assert sandbox.inspector().scalar("select greet('Ana')") == "grüß Ana"
        assert sandbox.inspector().scalar("select count(*) from a_sums") == 2
        assert sandbox.inspector().scalar("select count(*) from nested") == 2
        by_country = "select 'AT', 30 union all select null, 5 union all select 'CH', 15"
        residents = (("unknown", 5), ("AT", 30), ("CH", 15))
        assert counted_by(sandbox.inspector(), by_country) == Counted(50, residents)
    finally:
        sandbox.close()


def test_the_fingerprint_is_that_of_the_dump_while_others_write(shop: Shop) -> None:
    shop.server.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)", database=shop.name)
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            shop.server.execute("INSERT INTO t VALUES ()", database=shop.name)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        snapshot = shop.back_up()
    finally:
        over.set()
        writer.join()
    target = shop.target()
    restore_components(target, snapshot, shop.restic)
    like = snapshot.fingerprint
    assert isinstance(like, DatabaseFingerprint)
    now = target.inspector().fingerprint(like, 60)
    target.close()
    assert isinstance(now, DatabaseFingerprint)
    assert now.tables == like.tables


def test_the_dump_goes_on_at_the_priority_of_the_component(shop: Shop) -> None:
    shop.server.execute("CREATE TABLE t (x LONGTEXT)", database=shop.name)
    rows = ", ".join(["(REPEAT('x', 1000000))"] * 9)  # more than the pipe of the dump takes
    shop.server.execute(f"INSERT INTO t VALUES {rows}", database=shop.name)
    place = replace(shop.work, limits=Limits(nice=5, ionice="idle"))
    with shop.kind.source(shop.component, place).open():
        children = Path(f"/proc/{os.getpid()}/task").glob("*/children")  # of each thread
        (dump,) = [
            pid
            for pid in (pid for file in children for pid in file.read_text().split())
            if b"mariadb-dump" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, int(dump)) == min(19, mine + 5)
        said = subprocess.run(["ionice", "-p", dump], capture_output=True, check=True)
        assert said.stdout.strip() == b"idle"


def test_tables_without_snapshots_that_changed_are_not_compared(shop: Shop) -> None:
    shop.server.execute(
        "CREATE TABLE moving (x INT) ENGINE=MyISAM", "CREATE TABLE still (x INT) ENGINE=MyISAM",
        database=shop.name,
    )  # fmt: skip
    with shop.kind.source(shop.component, shop.work).open() as capture:
        described = capture.fingerprint()
        shop.server.execute("INSERT INTO moving VALUES (1)", database=shop.name)
        stored = shop.restic.store(capture.payload)
        found = capture.verify(stored, described)
    assert isinstance(found, DatabaseFingerprint)
    assert set(found.tables) == {"still"}
    assert "no snapshots" in found.not_reached["moving"]
    assert any(f.code == "engines" for f in shop.kind.source(shop.component, shop.work).doctor())


def test_every_changed_value_changes_the_digest(shop: Shop) -> None:
    shop.server.execute(
        "CREATE TABLE t (a VARCHAR(20), b VARCHAR(20), c LONGBLOB, d TEXT, e INT, f BIT(4), "
        "g VECTOR(2))",
        "INSERT INTO t VALUES ('x|1', 'y', REPEAT('z', 9000000), 'long', 1, b'1', NULL)",
        database=shop.name,
    )
    seen = set()
    for change in (
        "e = 1", "a = 'x', b = '1|y'", "b = NULL", "b = '-'", "b = ''", "d = NULL",
        "c = CONCAT(c, 'z')", "f = b'11'", "d = 'Long'", "g = VEC_FromText('[-1,0]')",
        "g = VEC_FromText('[-1.5,0]')",
    ):  # fmt: skip
        shop.server.execute(f"UPDATE t SET {change}", database=shop.name)
        with shop.kind.source(shop.component, shop.work).open() as capture:
            found = capture.fingerprint()
        assert isinstance(found, DatabaseFingerprint)
        seen.add(found.tables["t"].digest)
    assert len(seen) == 11


def test_the_digest_of_a_versioned_table_includes_its_former_rows(shop: Shop) -> None:
    shop.server.execute("CREATE TABLE h (a INT) WITH SYSTEM VERSIONING", "INSERT INTO h VALUES (1)",
                        "UPDATE h SET a = 2", database=shop.name)  # fmt: skip
    states = []
    for _ in range(2):
        with shop.kind.source(shop.component, shop.work).open() as capture:
            found = capture.fingerprint()
        assert isinstance(found, DatabaseFingerprint)
        states.append(found.tables["h"])
        shop.server.execute("DELETE HISTORY FROM h", database=shop.name)
    assert [state.rows for state in states] == [1, 1]
    assert states[0].digest != states[1].digest


def test_a_float_that_the_dump_rounds_is_a_difference(shop: Shop) -> None:
    shop.server.execute("CREATE TABLE f (a FLOAT)", "CREATE TABLE same (a FLOAT, b DOUBLE)",
                        "INSERT INTO f VALUES (1234567.875)",
                        "INSERT INTO same VALUES (1.1, 1/3), (-2e30, 0.1 + 0.2)",
                        database=shop.name)  # fmt: skip
    snapshot = shop.back_up()
    found = shop.kind.source(shop.component, shop.work).doctor()
    assert any(f.code == "rounded" and "f.a" in f.text for f in found)
    target = shop.target()
    restore_components(target, snapshot, shop.restic)
    like = snapshot.fingerprint
    assert isinstance(like, DatabaseFingerprint)
    now = target.inspector().fingerprint(like, 60)
    target.close()
    assert isinstance(now, DatabaseFingerprint)
    assert now.tables["f"] != like.tables["f"]
    assert now.tables["same"] == like.tables["same"]
