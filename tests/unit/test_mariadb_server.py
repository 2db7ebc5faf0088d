"""Whole MariaDB servers, without a server: settings, facts, the list of files, and what
mariadb-backup says."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from drd import process
from drd.errors import (
    DeadlineExceeded,
    RepositoryDamaged,
    SandboxUnavailable,
    SourceError,
    TargetError,
)
from drd.kinds.mariadb.address import address_of
from drd.kinds.mariadb.connection import ServerError
from drd.kinds.mariadb.fingerprint import Table
from drd.kinds.mariadb.flavour import MARIADB
from drd.kinds.mariadb.naming import in_database
from drd.kinds.mariadb.physical import SPEC, files_list
from drd.kinds.mariadb.physical.by_hand import by_hand
from drd.kinds.mariadb.physical.confined import confined, require_own
from drd.kinds.mariadb.physical.contents import Found, find_all, moving_tables
from drd.kinds.mariadb.physical.copy import HOLDS_COMMITS, HOLDS_DDL, Order, copy
from drd.kinds.mariadb.physical.discovery import wishes
from drd.kinds.mariadb.physical.grants import grants
from drd.kinds.mariadb.physical.landed import proven
from drd.kinds.mariadb.physical.manifest import DATA, LIST, require_written
from drd.kinds.mariadb.physical.moment import Moment
from drd.kinds.mariadb.physical.opened import open_like
from drd.kinds.mariadb.physical.programs import Programs, programs_for
from drd.kinds.mariadb.physical.server import RestoredServer
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.kinds.mariadb.server import ThrowAwayServer
from drd.kinds.mariadb.tools import Program
from drd.model.plan import Component, SecretRef
from drd.model.snapshot import ComponentSnapshot, TreeFingerprint
from drd.model.strict import UnexpectedValue
from drd.ports import Workplace
from drd.ports.grants import Logins
from drd.ports.kinds import Ability
from drd.process import Command
from tests.restic_support import place as workplace

FACTS: dict[str, Any] = {
    "place": "/w/copy",
    "files_digest": "0" * 64,
    "server_version": "11.8.9",
    "backup_version": "11.8.9",
    "server_bytes": 40 << 20,
    "data_file_path": "ibdata1:12M:autoextend",
    "page_size": 16384,
    "undo_tablespaces": 3,
    "lower_case_table_names": 0,
    "server_id": 1,
    "binlog_file": "log.000001",
    "binlog_position": 330,
    "gtid_binlog_pos": "0-1-7",
    "gtid_current_pos": "0-1-7,1-2-3",
    "events": 1,
    "database": "shop",
    "databases": ["shop"],
    "plugins": ["spider"],
}
SNAPSHOT = ComponentSnapshot("server", "mariadb-server", "captured", facts=FACTS)
_NONE = Program("/bin/true", "11.8.9")
_OK = "completed OK!"


def test_what_the_source_writes_is_accepted() -> None:
    require_written(SNAPSHOT, {})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("place", "/var/../etc"),
        ("files_digest", "x"),
        ("server_version", "11.8.9; id"),
        ("data_file_path", "/etc/shadow:12M"),
        ("data_file_path", "../ibdata1:12M:autoextend"),
        ("data_file_path", "ibdata1:12M\nplugin_load=evil.so"),
        ("page_size", 1),
        ("page_size", "16384\nplugin_load=evil.so"),
        ("undo_tablespaces", -1),
        ("binlog_file", "../../etc/passwd"),
        ("gtid_binlog_pos", "0-1-7'; drop"),
        ("databases", [""]),
    ],
)
def test_facts_that_no_source_writes_are_refused(key: str, value: object) -> None:
    with pytest.raises(UnexpectedValue):
        require_written(replace(SNAPSHOT, facts={**FACTS, key: value}), {})


def test_other_parts_of_a_manifest_are_refused() -> None:
    with pytest.raises(UnexpectedValue):
        require_written(SNAPSHOT, {"settings": {}})
    with pytest.raises(UnexpectedValue, match="does not describe databases"):
        require_written(replace(SNAPSHOT, fingerprint=TreeFingerprint({})), {})


def _landed(room: Path) -> tuple[Path, ComponentSnapshot]:
    """A copy without InnoDB as restic lands it, and the snapshot that belongs to it."""
    place = room / "w/copy"
    data = place / DATA
    (data / "shop").mkdir(parents=True)
    (data / "aria_log_control").write_bytes(b"control")
    (data / "shop/old.MYD").write_bytes(b"rows" * 100)
    (data / "ibdata2").write_bytes(b"page" * 4096)
    text = files_list.text_of(files_list.listed(data))
    (place / LIST).write_bytes(text)
    facts = {**FACTS, "files_digest": files_list.sha256(place / LIST)}
    return data, replace(SNAPSHOT, facts=facts)


def _proven(room: Path, snapshot: ComponentSnapshot) -> Path:
    return proven(room, snapshot, Programs(_NONE, _NONE, _NONE), Workplace(room, "run1"))


def test_what_landed_as_it_was_is_proven(tmp_path: Path) -> None:
    _, snapshot = _landed(tmp_path)
    data = _proven(tmp_path, snapshot)
    assert (data / "shop/old.MYD").read_bytes() == b"rows" * 100


def _cut(data: Path) -> None:
    (data / "shop/old.MYD").write_bytes(b"rows" * 99)


def _changed(data: Path) -> None:
    (data / "shop/old.MYD").write_bytes(b"rowz" * 100)


def _more(data: Path) -> None:
    (data / "shop/my.cnf").write_text("[mysqld]")


def _linked(data: Path) -> None:
    (data / "shop/old.MYD").unlink()
    (data / "shop/old.MYD").symlink_to("/etc/passwd")


def _pipe(data: Path) -> None:
    os.mkfifo(data / "shop/x")


def _other_list(data: Path) -> None:
    (data.parent / LIST).write_bytes(b"{}")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda data: (data / "shop/old.MYD").unlink(), "shop/old.MYD is missing"),
        (_cut, "396 bytes instead of 400"),
        (_changed, "shop/old.MYD has another content"),
        (lambda data: (data / "ibdata2").write_bytes(b"pagx" * 4096), "ibdata2 has another"),
        (_more, "shop/my.cnf was not in the backup"),
        (_linked, "leads out of the data directory"),
        (_pipe, "leads out of the data directory"),
        (lambda data: (data / "shop/t.isl").write_text("/etc/x"), "leads out of the data"),
        (_other_list, "is not the list of files"),
    ],
)
def test_what_landed_otherwise_is_named(
    tmp_path: Path, harm: Callable[[Path], object], said: str
) -> None:
    data, snapshot = _landed(tmp_path)
    harm(data)
    with pytest.raises(RepositoryDamaged, match=said):
        _proven(tmp_path, snapshot)


def _says(tmp_path: Path, *lines: str, code: int = 0) -> Order:
    """A program in the place of mariadb-backup that writes these lines."""
    file = tmp_path / "mariadb-backup"
    words = "\n".join(f"echo '{line}' >&2" for line in lines)
    file.write_text(f"#!/bin/sh\n{words}\nexit {code}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return Order(Program(str(file), "11.8.9"), tmp_path / "o", "/var/lib/mysql", tmp_path / "d", 1)


def test_drd_acts_while_mariadb_backup_waits(tmp_path: Path) -> None:
    """However long it takes: the program is not two messages further."""
    trace = tmp_path / "trace"
    order = _says(tmp_path, HOLDS_DDL, HOLDS_COMMITS, *"abcdef", "completed OK!")
    file = Path(order.tool.path)
    file.write_text(file.read_text().replace("echo 'c' >&2", f"echo c >&2; touch {trace}"))
    seen: list[bool] = []

    def look() -> None:
        time.sleep(0.3)
        seen.append(trace.exists())

    copy(order, {HOLDS_DDL: lambda: None, HOLDS_COMMITS: look})
    assert trace.exists()
    assert not any(seen)


@pytest.mark.parametrize(("budget_s", "asked"), [(60.0, 400), (0.0, 0)])
def test_while_commits_wait_the_server_is_asked_once_for_each_table_and_only_in_time(
    budget_s: float, asked: int
) -> None:
    seen: list[str] = []
    connection: Any = SimpleNamespace(one=lambda sql: seen.append(sql) or (7, 5), flavour=MARIADB)
    tables = [Table("one", "MyISAM", (("n", "int"),)), Table("two", "Aria", (("n", "int"),))]
    found = {f"d{n}": Found((), tables, {}) for n in range(200)}
    known = moving_tables(connection, found, mode="digest", budget_s=budget_s, late="too late")
    assert len(seen) == len(known.tables) == asked
    assert len(known.not_reached) == 400 - asked
    assert set(known.not_reached.values()) <= {"too late"}


def test_code_that_the_server_names_reads_and_writes_only_the_copy(short_tmp: Path) -> None:
    """mariadb-backup loads libraries from where the server says, and follows links there."""
    server, into, outside = (short_tmp / name for name in ("server", "into", "outside"))
    for place in (server, into, outside):
        place.mkdir()
    (server / "orders").write_text("orders")
    (outside / "secret").write_text("secret")
    (server / "link").symlink_to(outside / "secret")
    tool = short_tmp / "tool"
    read = f"cat {server}/orders; cat {server}/link; cat {outside}/secret"
    tool.write_text(f"#!/bin/sh\n({read}; echo > {outside}/new) > {into}/read 2>&1\necho {_OK}\n")
    tool.chmod(0o755)
    address = address_of(SecretRef("text", f"mariadb://root@/shop?socket={short_tmp}/s"))
    with confined(address, str(server), short_tmp / "options", into) as given:
        fence = replace(given, reads=(*given.reads, tool))
        program = Program(str(tool), "11.8.9")
        copy(Order(program, short_tmp / "options", str(server), into, 1, fence), {})
    found = (into / "read").read_text()
    assert found.startswith("orders")
    assert found.count("ermission denied") == 3
    assert "secret\n" not in found.replace(f"{outside}/secret", "")
    assert not (outside / "new").exists()


@pytest.mark.parametrize(
    ("server", "refused"), [(0, False), (os.getuid(), False), (12345, True), (None, True)]
)
def test_only_the_directory_of_the_server_itself_is_copied(
    tmp_path: Path, server: int | None, *, refused: bool
) -> None:
    connection: Any = SimpleNamespace(peer=server)
    with pytest.raises(SourceError, match="belongs to user") if refused else nullcontext():
        require_own(connection, str(tmp_path))


@pytest.mark.parametrize(
    ("lines", "code", "remedy"),
    [
        (("Access denied; you need RELOAD",), 1, "--grants"),
        (("Database page corruption detected at page 3",), 1, "the server itself has damaged"),
        (("Error writing file: No space left on device",), 1, "larger disk"),
        (("something else failed",), 1, "log of the server"),
        ((HOLDS_DDL, HOLDS_COMMITS), 0, "log of the server"),
        ((HOLDS_DDL, "completed OK!"), 0, "use mariadb-backup 11.8"),
    ],
)
def test_a_copy_that_failed_says_what_to_do(
    tmp_path: Path, lines: tuple[str, ...], code: int, remedy: str
) -> None:
    order = _says(tmp_path, *lines, code=code)
    with pytest.raises(SourceError) as caught:
        copy(order, {HOLDS_DDL: lambda: None, HOLDS_COMMITS: lambda: None})
    assert remedy in caught.value.hint
    assert "as root" not in caught.value.hint  # root reads the files as drd's user, too


def test_an_error_in_the_moment_ends_the_copying(tmp_path: Path) -> None:
    order = _says(tmp_path, HOLDS_COMMITS, "completed OK!")

    def fail() -> None:
        raise SourceError("no", hint="none")

    with pytest.raises(SourceError, match="no"):
        copy(order, {HOLDS_COMMITS: fail})


@pytest.mark.parametrize(("page", "size"), [(16384, 70_000), (1024, 2900)])
def test_a_damaged_page_is_named_and_its_rows_are_not_shown(
    tmp_path: Path, page: int, size: int
) -> None:
    """The dump of a compressed page of 1 KiB is no longer than a message."""
    order = _says(tmp_path)
    again = "[00] 2026-11-30 16:11:50 Database page corruption detected at page 6, retrying..."
    file = "Error: failed to read page after 10 retries. File ./shop/t.ibd seems to be corrupted."
    program = (
        f"for i in 1 2 3 4 5 6 7 8 9; do echo '{again}'; done\n"
        f"echo '[00] 2026-11-30 16:11:51 {file}'\n"
        f"printf ' len {page}; hex 0000; asc '; head -c {size} /dev/zero | tr '\\0' 'K'\n"
        "sleep 0.3; echo ' SECRET-ROW error failed ;'\n"
        "echo '[00] FATAL ERROR: 2026-11-30 16:11:51 mariabackup: Error: failed to copy datafile.'"
    )
    Path(order.tool.path).write_text(f"#!/bin/sh\nexec 2>&1\n{program}\nexit 1\n")
    with pytest.raises(SourceError) as caught:
        copy(order, {})
    assert caught.value.message == (
        "mariadb-backup found a damaged page in the server: page 6 of shop/t.ibd"
    )
    assert "--table shop.t --into NAME" in caught.value.hint


@pytest.mark.parametrize("closed", [False, True])
def test_a_copy_that_hangs_ends_with_the_time_of_the_backup(
    tmp_path: Path, *, closed: bool
) -> None:
    order = _says(tmp_path, HOLDS_DDL)
    file = Path(order.tool.path)
    sleep = "exec sleep 600 >&- 2>&-" if closed else "exec sleep 600"
    file.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\n{sleep}\n")
    with pytest.raises(DeadlineExceeded, match="did not finish within the time limit") as caught:
        copy(replace(order, deadline=time.monotonic() + 2), {})
    assert "SHOW FULL PROCESSLIST" in caught.value.hint
    assert not process.process_alive(int((tmp_path / "pid").read_text()), None)


class _Slow:
    """A server with the databases `d0`, `d1`, …, whose lists of tables take too long from `d2`."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def execute(self, sql: str) -> None:
        self.said.append(sql)

    def rows(self, sql: str, values: list[str]) -> list[tuple[Any, ...]]:
        del sql
        if values[0] >= "d2":
            raise ServerError(1969, "Query execution was interrupted (max_statement_time exceeded)")
        return []


def test_the_tables_are_listed_only_for_some_seconds_while_nobody_can_make_one() -> None:
    server = _Slow()
    found = find_all(cast(Any, server), ["d0", "d1", "d2", "d3"], 20.0)
    assert list(found) == ["d0", "d1"]
    assert server.said[-1] == "SET SESSION max_statement_time = 0"
    assert not find_all(cast(Any, server), ["d0"], 0.0)


def test_a_moment_names_the_databases_whose_tables_were_not_listed() -> None:
    moment = Moment(cast(Any, SimpleNamespace()), "counts")
    moment.unlisted = {"shop": "too late"}
    assert moment.frozen("counts", 1.0).not_reached == {"shop": "too late"}


def test_another_series_is_refused_by_name() -> None:
    with pytest.raises(SandboxUnavailable, match=r"only the series 12\.3") as caught:
        programs_for("12.3.1", None)
    assert "then upgrade that server" in caught.value.hint


def test_names_of_tables_can_be_used_in_sql() -> None:
    assert in_database("shop", "orders") == "shop.orders"
    assert in_database("shop", "order") == "shop.order"
    assert in_database("order", "a-b") == "`order`.`a-b`"
    assert in_database("the people", "x`y") == "`the people`.`x``y`"


def test_in_place_needs_the_data_directory() -> None:
    bare = {"kind": "mariadb-server", "dsn": "mariadb:///shop"}
    assert Ability.IN_PLACE in SPEC.without(ServerSettings.model_validate(bare))
    whole = ServerSettings.model_validate({**bare, "data_dir": "/var/lib/mysql"})
    assert set(SPEC.without(whole)) == {Ability.LOG}
    assert SPEC.paths(whole) == ("/var/lib/mysql",)


def test_incremental_copies_are_refused_by_name() -> None:
    settings = {"kind": "mariadb-server", "dsn": "mariadb:///shop", "incremental": True}
    with pytest.raises(ValidationError, match="incremental"):
        ServerSettings.model_validate(settings)


def test_a_new_plan_keeps_a_password_out() -> None:
    (open_one,) = wishes(["mariadb://drd@/shop"])
    assert dict(open_one.keys([], "")).get("dsn") == "mariadb://drd@/shop"
    assert not open_one.secret
    (secret,) = wishes(["mariadb://drd:hunter2@db1.example.com/shop"])
    assert secret.name == "db1"
    assert dict(secret.keys([], "server-dsn"))["dsn"] == {"credential": "server-dsn"}
    assert "hunter2" not in f"{secret.where} {secret.secret}"
    assert secret.target is not None
    assert dict(secret.target("server"))["data_dir"] == "/srv/standby/server"


def test_the_script_gives_the_rights_that_a_copy_needs() -> None:
    settings = {"kind": "mariadb-server", "dsn": "mariadb://saver@/shop"}
    component = Component("server", "mariadb-server", ServerSettings.model_validate(settings))
    made = grants([component], {}, Logins("drd", "root"))
    assert "CREATE USER IF NOT EXISTS `saver`@`localhost` IDENTIFIED VIA unix_socket" in made.sql
    assert "GRANT RELOAD, PROCESS, BINLOG MONITOR, SELECT, SHOW VIEW, SHOW DATABASES" in made.sql
    assert "mariadb-backup reads the files of the server" in made.sql


@pytest.mark.parametrize("place", ["backup-my.cnf", "mysql"])
def test_the_commands_by_hand_follow_no_link_in_a_backup(tmp_path: Path, place: str) -> None:
    """Root would write options through it, or prepare the files of another server."""
    victim, data = tmp_path / "victim", tmp_path / "copy/data"
    victim.mkdir()
    data.mkdir(parents=True)
    (data / place).symlink_to(victim if place == "mysql" else victim / "passwd")
    size = (data / place).lstat().st_size
    (data.parent / LIST).write_text(json.dumps({place: [size, ""]}))
    settings = ServerSettings.model_validate({"kind": "mariadb-server", "dsn": "mariadb://@/shop"})
    made = by_hand(Component("server", "mariadb-server", settings), None, place="", resolve=str)
    digest = files_list.sha256(data.parent / LIST)
    stubs = f"""set -e
fact() {{ case $2 in place) echo /w/copy;; files_digest) echo {digest};; *) echo 1;; esac; }}
snapshot() {{ echo 0; }}
restic() {{ mkdir -p server.fetched/w; mv copy server.fetched/w/; }}
mariadb-backup() {{ :; }}
innochecksum() {{ :; }}
"""
    script = stubs + "\n".join(passage.commands for passage in made.passages[:3])
    done = process.run(Command(["bash", "-c", script], cwd=tmp_path))
    assert done.exit_code != 0
    assert f"not a plain file: ./{place}" in done.stdout
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "full"),
    [
        (
            "InnoDB: preallocating 67108864 bytes for file ./ib_logfile101 failed with error 28",
            True,
        ),
        ("[ERROR] InnoDB: Cannot open ./ib_logfile0, failed with error 13", False),
        ('[ERROR] mariadbd: Error writing file (Errcode: 28 "No space left on device")', True),
    ],
)
def test_a_server_that_cannot_start_says_that_its_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, full: bool
) -> None:
    class Ended:
        exit_code = 1

    program = Program("/usr/sbin/mariadbd", "11.8.9")
    server: Any = ThrowAwayServer(Workplace(tmp_path, "run1"), program, None)
    monkeypatch.setattr(server._log, "text", lambda: said)
    monkeypatch.setattr(server._log, "last_lines", lambda: said)
    with pytest.raises(SandboxUnavailable) as caught:
        server._await(Ended())
    assert ("no space left for the sandbox's MariaDB 11.8.9" in caught.value.message) is full


@pytest.mark.parametrize("full", [True, False])
def test_a_full_disk_is_named_though_mariadb_backup_ends_with_words_about_damage(
    short_tmp: Path, full: bool
) -> None:
    """These are the words of 11.8 for a disk that gets full while it prepares a copy."""
    reason = (
        "preallocating 612368384 bytes for file shop/fat.ibd failed with error 28"
        if full
        else "page 4 of shop/fat.ibd is corrupted"
    )
    tool = short_tmp / "mariadb-backup"
    tool.write_text(f"""#!/bin/sh
exec >&2
echo '2026-11-30 15:29:30 0 [ERROR] InnoDB: {reason}'
echo 'InnoDB: Failing assertion: success'
echo 'InnoDB: We intentionally generate a memory trap.'
echo 'InnoDB: If you get repeated assertion failures or crashes, even'
echo 'InnoDB: immediately after the mariadbd startup, there may be'
echo 'InnoDB: corruption in the InnoDB tablespace. Please refer to'
echo 'InnoDB: about forcing recovery.'
kill -ABRT $$
""")
    tool.chmod(0o755)
    one = Program(str(tool), "11.8.9")
    work = workplace(short_tmp / "w")
    (data := short_tmp / "data").mkdir()
    server = RestoredServer(work, Programs(one, one, one), FACTS)
    with pytest.raises(SandboxUnavailable if full else TargetError) as caught:
        server.prepare(data, lambda: None)
    disk = f"no space left on the disk of {work.directory} for drd's server"
    said = disk if full else "mariadb-backup 11.8.9 cannot prepare the backup"
    assert caught.value.message.startswith(said)
    assert ("another restore point" in (caught.value.hint or "")) is not full


def test_a_link_opens_nothing_to_everybody(tmp_path: Path) -> None:
    """A database or a file may be on another disk. A link has all bits."""
    former, ready = tmp_path / "data", tmp_path / "ready"
    for base, names in ((former, ("mysql", "open")), (ready, ("mysql", "open", "shop"))):
        for name in names:
            (base / name).mkdir(parents=True, mode=0o700)
        base.chmod(0o700)
    for name in ("ibdata1", "mysql/user.MAD", "shop/t.ibd"):
        (ready / name).touch(0o600)
    (former / "open").chmod(0o755)
    (tmp_path / "other").mkdir(mode=0o700)
    for name in ("shop", "ibdata1", "mysql/user.MAD"):
        (former / name).symlink_to(tmp_path / "other")
    open_like(ready, former)
    modes = {str(p.relative_to(ready)): stat.S_IMODE(p.stat().st_mode) for p in ready.rglob("*")}
    assert modes == {
        "mysql": 0o700, "open": 0o755, "shop": 0o700,
        "ibdata1": 0o600, "mysql/user.MAD": 0o600, "shop/t.ibd": 0o600,
    }  # fmt: skip
