"""A PostgreSQL server that pgBackRest backs up, as its own user, with an encrypted repository."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers import PostgresServer
from tests.servers.child import short_directory, tied_to_us
from tests.servers.postgres import _unprivileged_user

PASS = "the pass of the other tool"


class Backed:
    """The server, its stanza `main`, and the calls of pgBackRest by the user who runs both."""

    def __init__(self, base: Path, *, cipher: bool = True) -> None:
        self.base = base
        self.cipher = cipher
        self.user = _unprivileged_user()
        self.server = PostgresServer(base / "pg")
        self.config = base / "pgbackrest.conf"
        self.repository = base / "repository"
        for name in ("repository", "log", "lock", "spool"):
            (base / name).mkdir()
            self._give(base / name)
        self.write_config()
        self.server.start()
        self.server.stop()
        push = f"{self._words()} archive-push %p"
        with (self.server.data_dir / "postgresql.conf").open("a") as file:
            file.write(
                f"archive_mode = on\nwal_level = replica\narchive_command = '{push}'\n"
                "shared_preload_libraries = 'pg_stat_statements'\n"
            )
        self.server.start()
        self.call("stanza-create")
        self.server.execute("create database shop")
        self.server.execute("create table orders (id int, at timestamptz)", "shop")
        (base / "space").mkdir()
        self._give(base / "space")
        self.server.execute(f"create tablespace space location '{base}/space'")
        self.server.execute("create table notes (id int) tablespace space", "shop")
        self.server.execute("insert into notes values (1)", "shop")
        self.server.execute("create database other")

    def write_config(self, stanza: str = "main") -> None:
        base = self.base
        secret = f"repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass={PASS}\n"
        self.config.write_text(
            f"[global]\nrepo1-path={self.repository}\n{secret if self.cipher else ''}"
            f"log-path={base}/log\nlock-path={base}/lock\n"
            f"spool-path={base}/spool\nlog-level-file=off\nstart-fast=y\nrepo1-retention-full=9\n"
            "compress-level=1\n"
            f"\n[{stanza}]\npg1-path={self.server.data_dir}\npg1-port={self.server.port}\n"
            f"pg1-socket-path={self.server.socket_dir}\n"
        )
        self.config.chmod(0o600)
        self._give(self.config)

    def _give(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)

    def _words(self) -> str:
        return f"pgbackrest --config={self.config} --stanza=main --log-level-console=error"

    def call(self, *words: str) -> str:
        done = subprocess.run(
            tied_to_us([*self._words().split(), *words], user=self.user),
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.base,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def backup(self, kind: str = "full") -> str:
        """Make a backup, and return its label."""
        self.call("backup", f"--type={kind}")
        return str(self.info()["backup"][-1]["label"])

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call("info", "--output=json"))[0]
        return found

    def order(self, count: int = 1) -> None:
        """Insert orders, in a transaction of their own."""
        sql = f"insert into orders select g, now() from generate_series(1, {count}) g"
        self.server.execute(sql, "shop")

    def archive(self) -> str:
        """Begin a new WAL segment; return the one that has then arrived in the archive."""
        query = "select pg_walfile_name(pg_current_wal_lsn())"
        ((segment,),) = self.server.execute(query)
        self.server.execute("select pg_switch_wal()")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if list(self.repository.glob(f"archive/main/*/*/{segment}-*.gz")):
                return str(segment)
            time.sleep(0.05)
        raise AssertionError(f"{segment} was not archived")

    def contents(self) -> dict[str, tuple[int, int]]:
        """Every file of the repository, the stanza's lock and log paths, with size and time."""
        places = [self.repository, *(self.base / n for n in ("log", "lock", "spool"))]
        files = (p for place in places for p in place.rglob("*"))
        return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in files if p.is_file()}


@contextmanager
def backed(parent: Path, *, cipher: bool = True) -> Iterator[Backed]:
    with short_directory(parent) as base:
        made = Backed(base, cipher=cipher)
        try:
            yield made
        finally:
            made.server.stop()
