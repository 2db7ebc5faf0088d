"""A whole drd installation in a directory: configuration, plan, secrets, repository, sources.

Tests run the real `drd` in it as a user does, and ask `assert_clean` afterwards: no process left
running, no lock left in the repository, nothing left in the work directory, and every run in a
final state.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import light_repository, warm

PASSWORD = "correct horse battery staple"


Started = warm.Child | subprocess.Popen[bytes]


@dataclass
class Result:
    """How one `drd` command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document = json.loads(self.out)
        assert next(iter(document)) == "schema"
        assert document["schema"] == 1
        return dict(document)


@dataclass
class Site:
    """`base` is short and open to other users; see the `short_tmp` fixture.

    Where no `repository` is given there is an empty one on a local disk, which drd has not seen.
    """

    base: Path
    repository: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.base.mkdir(exist_ok=True)
        for name in ("plans", "state", "work", "cache", "secrets"):
            (self.base / name).mkdir(exist_ok=True)
        if not self.repository:
            self.repository = str(self.base / "repo")
            light_repository.begin(Path(self.repository), PASSWORD)
        self.secret("restic", PASSWORD)
        (self.base / "drd.yaml").write_text(
            f"state: sqlite:///{self.base}/state/drd.db\n"
            "plans: plans\nwork_dir: work\ncache_dir: cache\n"
        )

    def secret(self, name: str, value: str) -> str:
        """Write a secret file; returns the reference for a plan."""
        path = self.base / "secrets" / name
        path.write_text(value)
        path.chmod(0o600)
        return f"{{file: {path}}}"

    def plan(self, body: str, *, name: str = "shop", s3: str = "", rpo: str = "15m") -> None:
        """Write a plan; `body` has components, targets, checks and so on."""
        (self.base / "plans" / f"{name}.yaml").write_text(
            f"plan: {name}\nowner: tests\nobjectives: {{rpo: {rpo}, rto: 30m}}\n"
            "repositories:\n"
            f"  primary:\n    url: {self.repository}\n"
            f"    password: {{file: {self.base}/secrets/restic}}\n{s3}\n{body}"
        )

    def env(self) -> dict[str, str]:
        around = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {**around, "DRD_CONFIG": str(self.base / "drd.yaml"), **self.environment}

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "drd", *words]

    def drd(self, *words: str, code: int | None = 0, timeout: float = 120) -> Result:
        """Run a command to its end; its exit code must be `code` (None: whatever)."""
        done = warm.run(words, env=self.env(), timeout=timeout)
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert PASSWORD not in result.out + result.err
        assert "Traceback" not in result.err, result.err
        assert code is None or result.code == code, f"{words}: {result}"
        return result

    def start(self, *words: str, dies_at: str = "") -> Started:
        """Start a command in the background; the test sees to its end."""
        return warm.start(words, env=self.env(), dies_at=dies_at)

    def killed_at(self, moment: str, *words: str) -> None:
        """Run a command that is killed with SIGKILL at `before:STEP` or `after:STEP`."""
        done = warm.run(words, env=self.env(), dies_at=moment)
        assert done.returncode == -signal.SIGKILL, (moment, done)

    def restic(self, *words: str) -> str:
        """restic itself, on this site's local repository, but for the slow `init`."""
        if words == ("init",):
            return light_repository.begin(Path(self.repository), PASSWORD)
        done = subprocess.run(
            ["restic", "-r", self.repository, "--no-cache", *words],
            capture_output=True,
            env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
            check=True,
        )
        return done.stdout.decode()

    def slow_down(self, tree: Path | None = None) -> None:
        """Let restic take seconds to store and to fetch a new file of a tree (`etc` of this site):
        it waits as for a slow disk, since what it computes would be taken from other tests."""
        ((tree or self.base / "etc") / "big").write_bytes(os.urandom(40 << 20))
        slow = self.base / "slow/restic"
        # Small packs: restic ends only after the one that it is just writing.
        limits = "--limit-upload 10000 --limit-download 10000 --pack-size 4"
        if not slow.exists():
            slow.parent.mkdir()
            slow.write_text(f'#!/bin/sh\nexec {shutil.which("restic")} {limits} "$@"\n')
            slow.chmod(0o755)
            path = f"{slow.parent}:{self.env()['PATH']}"
            self.environment = {**self.environment, "PATH": path}

    def speed_up(self) -> None:
        """Let restic be as fast as it is."""
        (self.base / "slow/restic").unlink()

    def without_repository(self) -> None:
        """For what the first backup makes of a place where nothing is."""
        shutil.rmtree(self.repository)

    def locks(self) -> list[str]:
        """Without what a killed restic was just writing: that locks nothing."""
        if self.repository.startswith("s3:") or not (Path(self.repository) / "locks").is_dir():
            return []
        names = (p.name for p in (Path(self.repository) / "locks").iterdir())
        return sorted(name for name in names if "-tmp-" not in name)

    def catalogue(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        url = f"file:{self.base}/state/drd.db?mode=ro"
        with contextlib.closing(sqlite3.connect(url, uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def runs(self) -> list[dict[str, Any]]:
        return list(self.drd("runs", "--json").json["runs"])

    def points(self, plan: str = "shop") -> list[dict[str, Any]]:
        return list(self.drd("points", plan, "--json").json["points"])

    def processes(self) -> dict[int, str]:
        """Living processes that belong to this site: its path, or one of its runs, is in their
        words or environment."""
        marks = [str(self.base)]
        with contextlib.suppress(sqlite3.OperationalError):  # the catalogue may just be made
            marks += [f"DRD_RUN={run}" for (run,) in self.catalogue("select id from runs")]
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
                around = (entry / "environ").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            pid = int(entry.name)
            if pid != os.getpid() and words and any(m in words + around for m in marks):
                found[pid] = words.strip()
        return found

    def assert_clean(self, *, settled: bool = True) -> None:
        """Nothing is left: processes (they get a moment), locks, working files, open runs."""
        self.assert_nothing_runs()
        assert not self.locks(), "a lock was left in the repository"
        if settled:
            working = [p.name for p in (self.base / "work").iterdir() if p.name != "templates"]
            assert not working, f"left in the work directory: {working}"
            open_runs = self._running()
            assert not open_runs, open_runs

    def assert_nothing_runs(self) -> None:
        """No process is left; they get a moment to end."""
        limit = time.monotonic() + 30
        while (left := self._own_processes()) and time.monotonic() < limit:
            time.sleep(0.05)
        assert not left, f"left running: {left}"

    def _running(self) -> list[Any]:
        """The runs that are open, without a command of drd where the catalogue is a file."""
        if (self.base / "state/drd.db").exists():
            return self.catalogue("select id, plan, kind from runs where state = 'running'")
        return [r for r in self.runs() if r["state"] == "running"]

    def _own_processes(self) -> dict[int, str]:
        """Without the servers that the test itself started for its sources."""
        servers = ("postgres", "weed")
        return {
            pid: words
            for pid, words in self.processes().items()
            if not (
                words.split()[0].rpartition("/")[2].rstrip(":") in servers
                and f"{self.base}/work" not in words
            )
        }


def make_sqlite(path: Path, rows: int = 1000) -> None:
    # Closed at once: drd names who has a kept copy open, and does not remove it.
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "create table if not exists customers(id integer primary key, name text);"
            "create table if not exists orders(id integer primary key, customer int, total real);"
        )
        connection.executemany(
            "insert into customers(name) values (?)",
            [(f"customer {i}",) for i in range(rows // 10)],
        )
        connection.executemany(
            "insert into orders(customer, total) values (?, ?)",
            [(i % 10, i * 1.5) for i in range(rows)],
        )


def make_tree(root: Path) -> None:
    (root / "conf.d").mkdir(parents=True, exist_ok=True)
    (root / "empty").mkdir(exist_ok=True)
    (root / "app.conf").write_text("listen 8080;\n")
    (root / "conf.d" / "limits.conf").write_text("rate 100;\n")
    (root / "app.conf").chmod(0o640)
    if not (root / "current").is_symlink():
        (root / "current").symlink_to("app.conf")


def one_tree(source: Path, back: Path) -> str:
    """The body of a plan of one directory, that is checked and has a place to come back to."""
    return f"""
components:
  conf: {{kind: files, paths: [{source}]}}
checks:
  - {{name: files, kind: files, component: conf}}
targets:
  standby: {{conf: {{path: {back}}}}}
"""


SMALL = """
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
  conf: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: orders are there, kind: sql, component: db, query: "select count(*) from orders",
      expect: "> 0"}}
  - {{name: row counts, kind: rows, component: db}}
  - {{name: configuration, kind: files, component: conf}}
targets:
  standby: {{db: {{path: {base}/back/shop.db}}, conf: {{path: {base}/back/etc}}}}
drill: {{every: 7d}}
"""


def small_site(base: Path, repository: str = "") -> Site:
    """A SQLite database and a configuration tree on a local repository."""
    site = Site(base, repository)
    make_sqlite(base / "shop.db")
    make_tree(base / "etc")
    (base / "back").mkdir()
    site.plan(SMALL.format(base=base))
    return site
