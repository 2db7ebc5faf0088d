"""The script of a kit by hand, for a plan with a server whose log drd receives."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.daemons import daemon
from tests.e2e.kit_site import sqlite_dump
from tests.e2e.logs import (
    await_reachable,
    await_stored,
    keep_wal,
    now_of,
    order,
    postgres_with_orders,
)
from tests.e2e.site import Site, make_sqlite, make_tree
from tests.e2e.test_kit_places import export, unpacked
from tests.servers import PostgresServer, short_directory

pytestmark = [pytest.mark.xdist_group("kit-log"), pytest.mark.timeout(900)]

_PLAN = """
components:
  server: {{kind: postgres-cluster, dsn: "{dsn}", wal: {{every: 5s}}}}
  gateway: {{kind: files, paths: [{base}/etc]}}
  sessions: {{kind: sqlite, path: {base}/sessions.db}}
targets:
  standby:
    server: {{data_dir: {back}/pg}}
    gateway: {{path: {back}/etc}}
    sessions: {{path: {back}/sessions.db}}
checks:
  - {{name: rows as at backup, kind: rows, component: server}}
  - {{name: orders, kind: sql, component: server, query: select count(*) from orders,
      expect: ">= 3"}}
backup: {{every: 24h}}
"""

_RESTIC = """#!/bin/bash
echo "$*" >> {here}/calls
if [[ -e {here}/broken && "$*" == *restore*server.fetched* ]]; then
    {restic} "$@"
    exit 1
fi
exec {restic} "$@"
"""


@dataclass
class Lost:
    """The kit of a lost host, reached over a link, and the place to which its plan is restored."""

    site: Site
    kit: Path
    back: Path
    bin_dir: Path

    def run(self) -> subprocess.CompletedProcess[str]:
        script = self.kit / "runbooks/shop/recover-by-hand.sh"
        return self._bash(["bash", str(script)])

    def type_in(self, command: str) -> None:
        done = self._bash(["bash", "-c", command])
        assert done.returncode == 0, (command, done)

    def _bash(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        home = self.kit.parent / "home"
        home.mkdir(exist_ok=True)
        path = f"{self.bin_dir}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
            cwd=home, env={"PATH": path, "HOME": str(home)}, check=False,
        )  # fmt: skip

    def orders(self) -> str:
        """Return what the restored server contains, from the log as well: started as this host's
        own server, which the script's server would hinder."""
        owner, data = self.back.owner(), self.back / "pg"
        (data / "pg_hba.conf").write_text("local all all trust\n")
        (data / "postgresql.conf").write_text("")
        for file in ("pg_hba.conf", "postgresql.conf"):
            (data / file).chmod(0o644)
        options = f"-p 5432 -c listen_addresses= -c unix_socket_directories={self.back}"
        argv = [*self._as(owner), self._pg("pg_ctl"), "--pgdata", str(data), "--wait"]
        start = [*argv, "start", f"--options={options}", f"--log={self.back / 'log'}"]
        subprocess.run(start, stdout=subprocess.DEVNULL, check=True, cwd="/")
        try:
            ask = ["psql", "-XAtq", "-h", str(self.back), "-p", "5432", "-U", "postgres", "-c",
                   "select string_agg(n::text, ',' order by n) from orders"]  # fmt: skip
            return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        finally:
            subprocess.run([*argv, "stop", "--mode=fast"], stdout=subprocess.DEVNULL, check=True)

    def _as(self, owner: str) -> list[str]:
        return ["runuser", "-u", owner, "--"] if os.geteuid() == 0 else []

    def _pg(self, program: str) -> str:
        major = (self.back / "pg/PG_VERSION").read_text().strip()
        return f"/usr/lib/postgresql/{major}/bin/{program}"

    def assert_no_server_runs(self) -> None:
        assert not (self.back / "pg/postmaster.pid").exists()
        listed = subprocess.run(
            ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
        )
        assert not [x for x in listed.stdout.splitlines() if str(self.back / "pg") in x]

    def restored_snapshots(self) -> list[str]:
        """The arguments of the script's calls of `restic restore` for the log, so far."""
        said = (self.bin_dir / "calls").read_text().splitlines()
        return [x for x in said if " restore --target server.wal -- " in x]

    def assert_files_are_back(self) -> None:
        base = self.site.base
        assert sqlite_dump(self.back / "sessions.db") == sqlite_dump(base / "sessions.db")
        tree = self.back / "etc" / (base / "etc").relative_to("/")
        subprocess.run(["diff", "-r", "--no-dereference", base / "etc", tree], check=True)


@pytest.fixture(scope="module")
def lost() -> Iterator[Lost]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_with_orders(base / "source") as server,
    ):
        site = Site(base / "host")
        make_sqlite(site.base / "sessions.db")
        make_tree(site.base / "etc")
        back = base / "back"
        back.mkdir()
        owner = server.data_dir.stat()
        os.chown(back, owner.st_uid, owner.st_gid)
        site.plan(_PLAN.format(dsn=server.dsn(), base=site.base, back=back))
        keep_wal(server)
        _backed_up_and_more(site, server)
        export(site, "shop")
        (base / "unpacked").mkdir()
        kit = unpacked(site, base / "unpacked")
        script = kit / "runbooks/shop/recover-by-hand.sh"
        text = script.read_text().replace("-u postgres", f"-u {back.owner()}")
        script.write_text(text.replace("postgres: ", f"{back.owner()}: "))
        (base / "kit").symlink_to(kit)
        bin_dir = base / "bin"
        bin_dir.mkdir()
        restic = bin_dir / "restic"
        restic.write_text(_RESTIC.format(here=bin_dir, restic=shutil.which("restic")))
        restic.chmod(0o755)
        yield Lost(site, base / "kit", back, bin_dir)


def _backed_up_and_more(site: Site, server: PostgresServer) -> None:
    """A restore point, and orders and tables from after it in the log."""
    server.execute("create table dropped as select 1 as n")
    with daemon(site) as running:
        await_reachable(site, running)
        for number in (2, 3):
            order(server, number)
            await_stored(site, running, now_of(server))
        server.execute("drop table dropped")
        _tablespace(site.base / "space", server)
        await_stored(site, running, now_of(server))


def _tablespace(space: Path, server: PostgresServer) -> None:
    """A tablespace that comes and goes: whoever replays its log needs its directory."""
    space.mkdir()
    owner = server.data_dir.stat()
    os.chown(space, owner.st_uid, owner.st_gid)
    server.execute(f"create tablespace brief location '{space}'")
    server.execute("drop tablespace brief")


@pytest.fixture
def empty(lost: Lost) -> Iterator[Lost]:
    (lost.bin_dir / "calls").unlink(missing_ok=True)
    yield lost
    if (lost.back / "pg/postmaster.pid").exists():
        pid = (lost.back / "pg/postmaster.pid").read_text().split()[0]
        subprocess.run(["kill", "-QUIT", pid], check=True)
    for path in [*lost.back.iterdir(), *(lost.kit / "recovered").glob("*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_rows_from_after_the_backup_end_no_script(empty: Lost) -> None:
    """One component fails, because a file is in its way, and the others come back. The next run
    restores only this one, and runs the checks."""
    (empty.back / "sessions.db").write_text("of another program")
    failed = empty.run()
    assert failed.returncode == 1
    assert "again: bash '" in failed.stderr, "no variable of a component is in the command"
    assert "public.orders: 3 rows, 1 at the backup\n" in failed.stdout
    assert "public.dropped: unknown number of rows, 1 at the backup\n" in failed.stdout
    assert "server: rows not compared: the log was replayed beyond the backup" in failed.stdout
    assert "sessions.db exists: move it away first" in failed.stdout
    ended = failed.stderr.splitlines()
    for line in (
        "restored:     server",
        "restored:     gateway",
        "NOT restored: sessions (see above)",
    ):
        assert line in ended
    assert any(line.startswith("left out:     the checks of step ") for line in ended)
    empty.assert_no_server_runs()
    assert len(empty.restored_snapshots()) == 1  # all pushes are of one batch
    (empty.back / "sessions.db").unlink()
    again = empty.run()
    assert (again.returncode, "Every command succeeded.\n" in again.stdout) == (0, True), again
    empty.assert_no_server_runs()
    assert empty.orders() == "1,2,3"
    for restored in ("server", "gateway"):
        assert f"{restored}: restored before by this script" in again.stdout
    assert "orders: 3 (must be >= 3)\n" in again.stdout
    empty.assert_files_are_back()


def test_what_a_failed_run_left_is_named_with_the_command_that_removes_it(empty: Lost) -> None:
    (empty.bin_dir / "broken").touch()
    failed = empty.run()
    (empty.bin_dir / "broken").unlink()
    assert failed.returncode == 1
    assert "This command failed (line " in failed.stderr
    assert "NOT restored: server (see above)\n" in failed.stderr
    empty.assert_files_are_back()
    again = empty.run()
    assert again.returncode == 1
    assert "server.fetched is left of an earlier run. Remove it:\n" in again.stdout
    [told] = [x for x in again.stdout.splitlines() if x.startswith("  rm -rf -- ")]
    empty.type_in(told)
    last = empty.run()
    assert (last.returncode, "Every command succeeded.\n" in last.stdout) == (0, True), last
    assert "Permission denied" not in last.stderr
    assert "NOT restored" not in last.stderr
    empty.assert_no_server_runs()
    assert empty.orders() == "1,2,3"
    assert sqlite3.connect(empty.back / "sessions.db").execute("pragma integrity_check")


def test_a_server_that_ends_during_the_replay_shows_its_log(empty: Lost) -> None:
    """It has reached a consistent state long before: readers could connect already."""
    space = empty.site.base / "space"
    space.rename(space.with_name("elsewhere"))
    failed = empty.run()
    space.with_name("elsewhere").rename(space)
    assert failed.returncode == 1
    assert f'FATAL:  directory "{space}" does not exist\n' in failed.stdout
    [log] = [x for x in failed.stdout.splitlines() if x.startswith("the server does not run; ")]
    assert Path(log.partition("its log: ")[2]).is_file()
    assert "NOT restored: server (see above)\n" in failed.stderr
    assert "postmaster.pid" not in failed.stderr
