"""What follows the program in an argv is a word of drd's, an option with its value in the same
word, or a positional that stands behind `--` or cannot begin with `-`. Ids, names and paths come
out of repositories, dumps and plans; one that began with `-` was an option."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd import process
from drd.actions import start, stop, units
from drd.errors import RepositoryError
from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.physical.binlog.receiver import BinlogReceiver
from drd.kinds.mariadb.tools import Program
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.dump import DumpOrder, dump_command
from drd.kinds.postgres.load import Load
from drd.kinds.postgres.server import ThrowAwayServer
from drd.kinds.postgres.tools import PostgresPrograms
from drd.model.limits import UNLIMITED
from drd.ports import Tree, Workplace
from drd.process import Command, Completed
from drd.repositories.restic import (
    browsing,
    checking,
    copying,
    maintenance,
    payload,
    restore,
    store,
)
from tests.repository_support import local_repository

EVIL = "--password-command=sh"
ID = "ab" * 32

VERBS = frozenset({
    "backup", "restore", "dump", "forget", "copy", "find", "cat", "snapshots", "stats", "prune",
    "check", "ls", "mount",
    "unlock", "init", "version", "config",
})  # fmt: skip
WITH_VALUE = frozenset({"-o", "-c", "-D", "-p", "-h", "-d", "-C", "--host", "--tag", "--mode",
"--retry-lock",
                        "--cache-dir", "--cacert", "--pgdata", "--auth", "--encoding",
                        "--repository-version", "--from-repo"})  # fmt: skip
"""Options whose value is the next word, whatever that begins with."""


def strays(argv: Sequence[str], known: frozenset[str] = VERBS) -> Iterator[str]:
    """Words before `--` that are none of drd's own and no value of an option."""
    words = iter(argv[1:])
    for word in words:
        if word == "--":
            return
        if word in WITH_VALUE:
            next(words, None)
        elif not word.startswith("-") and word not in known:
            yield word


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """Every command that is run or started; none is."""
    found: list[Command] = []

    def run(command: Command, **_: Any) -> Completed:
        found.append(command)
        raise Ran

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(process, "start", run)
    monkeypatch.setattr("drd.kinds.postgres.load.run", run)
    return found


class Ran(Exception):
    """Instead of running it."""


def _restic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    repository = local_repository(tmp_path)
    runner = repository.runner
    monkeypatch.setattr(runner, "ready", lambda: None)
    runner._ready = True
    return runner


Call = Callable[[Any, Path], object]


def _tree(runner: Any) -> object:
    tree = Tree((EVIL, "/etc"), ("-x",), expected_bytes=0)
    words = payload.backup_words(EVIL, [EVIL], datetime.now(UTC))
    return store.store_tree(
        runner,
        tree,
        words,
        subject="x",
        limits=UNLIMITED,
        deadline_s=None,
        on_progress=lambda _: None,
    )


RESTIC: dict[str, Call] = {
    "restore": lambda runner, into: restore.restore(
        runner,
        ID,
        into,
        include=["-x"],
        brief=False,
        sparse=True,
        limits=UNLIMITED,
        deadline_s=None,
        on_progress=lambda _: None,
    ),
    "dump": lambda runner, _: restore.read_file(runner, ID, EVIL),
    "ls": lambda runner, _: browsing.changed(runner, ID, EVIL),
    "forget": lambda runner, _: maintenance.forget(runner, [ID]),
    "find": lambda runner, _: checking.snapshots_with(runner, [ID], deadline_s=1.0),
    "copy": lambda runner, _: copying.copy_from(
        runner, runner, [ID], subject="x", expected_bytes=None, deadline_s=None,
        on_progress=lambda _: None
    ),
    "backup": lambda runner, _: _tree(runner),
    "backup stdin": lambda runner, _: store.store_bytes(
        runner, b"", EVIL, host=EVIL, tags=[EVIL], time=None
    ),
    "snapshots": lambda runner, _: maintenance.snapshots(
        runner, host=EVIL, tags=[EVIL], fresh=True
    ),
    "stats": lambda runner, _: maintenance.size_bytes(runner),
    "identity": lambda runner, _: maintenance.identity(runner),
    "lock": lambda runner, _: runner.capture(["--no-lock", "cat", "--", "lock", ID]),
    "prune": lambda runner, _: maintenance.prune(runner, max_repack_bytes=1, deadline_s=None),
    "check": lambda runner, _: checking.check(runner, read_subset="1/5", deadline_s=None),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RESTIC))
def test_restic_gets_positionals_behind_dashes(
    name: str, seen: list[Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("restic") is None:
        pytest.skip("restic is not here")
    runner, into = _restic(tmp_path, monkeypatch), tmp_path / "into"
    into.mkdir()
    with pytest.raises(Ran):
        RESTIC[name](runner, into)
    (command,) = seen
    argv = [str(w) for w in command.argv]
    assert list(strays(argv)) == []
    before = argv[: argv.index("--")] if "--" in argv else argv
    assert EVIL not in before or all(
        before[n - 1] in WITH_VALUE for n, w in enumerate(before) if w == EVIL
    )


def test_restic_mounts_at_a_positional_behind_dashes(
    seen: list[Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("restic") is None:
        pytest.skip("restic is not here")
    monkeypatch.setattr(browsing, "_unmounter", lambda: "fusermount3")
    runner, into = _restic(tmp_path, monkeypatch), tmp_path / "into"
    into.mkdir()
    with pytest.raises(Ran):
        browsing.mount(runner, into, host=EVIL, tags=[[EVIL]], on_ready=lambda: None)
    (command,) = seen
    mount = [str(w) for w in command.argv]
    assert list(strays(mount)) == []
    assert EVIL not in mount
    assert mount[-2:] == ["--", str(into)]


@pytest.mark.parametrize("evil", [EVIL, "latest", "-", "", "ab" * 31, ID.upper(), f"{ID}\n"])
def test_nothing_but_an_id_is_an_id(evil: str, tmp_path: Path) -> None:
    runner = local_repository(tmp_path).runner
    for call in (
        lambda: maintenance.forget(runner, [evil]),
        lambda: restore.read_file(runner, evil, "manifest.json"),
        lambda: checking.snapshots_with(runner, [evil], deadline_s=1.0),
        lambda: copying.copy_from(
            runner, runner, [evil], subject="", expected_bytes=None, deadline_s=None,
            on_progress=lambda _: None,
        ),
    ):  # fmt: skip
        with pytest.raises(RepositoryError, match="not an id of restic"):
            call()


def test_programs_of_postgresql_get_no_stray_words(seen: list[Command], tmp_path: Path) -> None:
    programs = PostgresPrograms(Path("/usr/lib/postgresql/17/bin"), "17.1")
    address = Address({"host": "/x", "dbname": EVIL, "user": EVIL})
    commands = [dump_command(programs, DumpOrder(address, EVIL, "none", True, {}))]
    load = Load(programs, tmp_path / "-x.dump", address, tmp_path, {}, ("--no-owner",))
    for call in (
        lambda: load.listing(f"--schema={EVIL}", f"--table={EVIL}"),
        lambda: load.script(["1; 2 3 X"]),
        lambda: load.some([], 2, lambda: None),
    ):
        with pytest.raises(Ran):
            call()
    server = ThrowAwayServer(Workplace(tmp_path, "run"), programs, superuser=EVIL)
    commands.append(server._initdb_command)
    for command in (*seen, *commands):
        argv = [str(w) for w in command.argv]
        assert list(strays(argv)) == [], argv
        assert EVIL not in argv[: argv.index("--")] if "--" in argv else EVIL not in argv


def test_the_receiver_of_a_binary_log_gets_the_name_of_a_file_behind_dashes(
    seen: list[Command], tmp_path: Path
) -> None:
    answers = {"SELECT @@GLOBAL.server_id": [(7,)], "SHOW BINARY LOGS": [(f"{EVIL}.000001", 4)]}
    connection = SimpleNamespace(rows=answers.__getitem__)
    tool = Program("/usr/bin/mariadb-binlog", "11.8.3")
    receiver = BinlogReceiver(
        cast(Connection, connection), tmp_path, "drd_wal_x", tool=tool, options=tmp_path / "o"
    )
    with pytest.raises(Ran):
        receiver.start(1)
    argv = [str(w) for w in seen[0].argv]
    assert argv[1] == f"--defaults-file={tmp_path / 'o'}"  # which has the password
    assert argv[-2:] == ["--", f"{EVIL}.000001"]
    assert list(strays(argv)) == []


def test_systemd_gets_units_behind_dashes(
    seen: list[Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Ran):
        units.unit_state(EVIL)
    carried: list[list[str]] = []
    for module in (start, stop):
        monkeypatch.setattr(
            module, "run_command", lambda words, *_, **__: carried.append(list(words))
        )
    assert [str(w) for w in seen[0].argv][-2:] == ["--", EVIL]
    assert "--" in Path(start.__file__).read_text().split('"systemctl", "start"')[1][:12]
    assert "--" in Path(stop.__file__).read_text().split('"systemctl", "stop"')[1][:12]


def test_every_command_of_drd_is_tested_here() -> None:
    """A new place that builds a command has to be thought about: add it here with how its
    positionals are kept from being options."""
    known = {
        "drd/actions/command.py",  # the plan's own words
        "drd/actions/launch.py",  # the plan's own words
        "drd/actions/units.py",
        "drd/checks/command.py",  # the plan's own words
        "drd/cli/as_service.py",  # a unit of the command line's, for root
        "drd/kinds/postgres/discovery.py",  # psql with options alone
        "drd/daemon/anchoring.py",  # drd itself, and the path of its own drd.yaml
        "drd/daemon/receivers.py",  # drd itself, names of a plan and a component, its drd.yaml
        "drd/kinds/postgres/physical/wal/receiver.py",  # pg_receivewal, values in options' words
        "drd/kinds/postgres/physical/wal/replay.py",  # pg_waldump, values in options' words
        "drd/daemon/workers.py",  # a run's id, 8 hexadecimal digits
        "drd/flows/hooks.py",  # the plan's own words
        "drd/flows/host/containers.py",  # docker or podman, ps with options alone
        "drd/flows/host/fence_trial.py",  # Python with a program and paths of drd's
        "drd/flows/playbooks/own_commands.py",  # drd itself, a plan, values in options' words
        "drd/flows/incidents/rendering.py",  # Python with a module of drd's
        "drd/flows/host/install.py",  # words of drd's, absolute paths
        "drd/flows/restore/usage.py",  # systemctl, a unit behind --
        "drd/flows/upkeep/volatile.py",  # who, last, systemctl, journalctl with options alone
        "drd/flows/backup/own_files.py",  # tar with options and `.`
        "drd/kinds/command/dump_file.py",  # sh with a script of drd's, an absolute path
        "drd/kinds/command/run.py",  # the plan's own words
        "drd/kinds/files/dump_file.py",  # tar, an absolute path in the same word as its option
        "drd/kinds/files/in_place.py",  # cp behind --
        "drd/kinds/http/source.py",  # cat behind --
        "drd/kinds/http/stand_in.py",  # the plan's own words, with a port and a path of drd's
        "drd/kinds/mariadb/discovery.py",  # mariadb with options in one word alone
        "drd/kinds/mariadb/held_dump.py",  # sh with a script of drd's, an absolute path
        "drd/kinds/mariadb/load.py",  # mariadb with options in one word alone
        "drd/kinds/mariadb/physical/binlog/receiver.py",  # mariadb-binlog, a file behind --
        "drd/kinds/mariadb/physical/copy.py",  # mariadb-backup, options in one word alone
        "drd/kinds/mariadb/physical/readable.py",  # Python with a program and a path, no option
        "drd/kinds/mariadb/physical/landed.py",  # sh with a script of drd's, names by its input
        "drd/kinds/mariadb/server.py",  # options in one word, absolute paths
        "drd/kinds/mariadb/source.py",  # mariadb-dump, the database behind --
        "drd/kinds/mariadb/tools.py",  # an absolute path with --version
        "drd/kinds/postgres/dump.py",
        "drd/kinds/postgres/dump_file.py",  # pg_restore with options in one word, an absolute path
        "drd/kinds/postgres/first_checks.py",  # psql with options alone
        "drd/kinds/postgres/load.py",
        "drd/kinds/postgres/physical/base_backup.py",  # pg_basebackup, options in one word alone
        "drd/kinds/postgres/physical/combine.py",  # options in one word alone, absolute paths
        "drd/kinds/postgres/sandbox.py",  # locale -a
        "drd/kinds/postgres/server.py",
        "drd/kinds/postgres/tables.py",  # pg_dump with options alone
        "drd/kinds/postgres/tools.py",  # an absolute path with --version
        "drd/kinds/redis/programs.py",  # an absolute path with --version
        "drd/kinds/redis/save.py",  # redis-cli with options before each value
        "drd/kinds/redis/server.py",  # a server with options before each value, of drd's own
        "drd/kinds/redis/source.py",  # cat behind --
        "drd/kinds/servers.py",  # test -x with an absolute path
        "drd/kinds/sqlite/reader.py",  # Python with options of drd's, an absolute path
        "drd/kinds/sqlite/source.py",  # cat behind --
        "drd/kinds/postgres/whole_server.py",  # pg_dump with options in one word alone
        "drd/process/container.py",  # the name of a container by a closed rule, then /bin/sh
        "drd/kit/gather.py",  # names of tools with --version
        "drd/notifiers/command.py",  # the plan's own words
        "drd/notifiers/pgp.py",  # gpg with options alone, a file of drd's in a new directory
        "drd/repositories/adopted/command.py",  # the plan's own words; no copy begins with a hyphen
        "drd/repositories/adopted/packers.py",  # zstd with options alone
        "drd/repositories/adopted/dumps.py",  # an absolute path
        "drd/repositories/adopted/stanza_program.py",  # options in one word, paths below archive/
        "drd/repositories/restic/browsing.py",
        "drd/repositories/restic/remote_place.py",  # ssh with parts of an address by a closed rule
        "drd/repositories/restic/remote_commands.py",  # an address by a closed rule
        "drd/repositories/restic/two_repositories.py",
        "drd/repositories/restic/session.py",
        "drd/repositories/restic/version.py",
        "drd/secrets.py",  # the plan's own words
        "drd/testing/actions.py",  # bash with an option, a script on its standard input
    }
    root = Path(process.__file__).parents[2]
    found = {
        str(file.relative_to(root))
        for file in (root / "drd").rglob("*.py")
        if re.search(r"\bCommand\(", file.read_text())
        and not str(file.relative_to(root)).startswith("drd/process/")
    }
    assert found - known == set()
