"""Measure a real small run, and how many plans a core can back up then.

A plan of three small components in a local repository, backed up again and again after a change.
"""

from __future__ import annotations

import resource
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from bench import measure
from bench.table import Row

_TIMES = 7
_EVERY_S = 900.0
_FILES, _FILE_BYTES = 40, 5_000
_ROWS = 5_000

_SETTINGS = "state: sqlite:///state/drd.db\nplans: plans\nwork_dir: work\ncache_dir: cache\n"

_PLAN = """\
plan: small
objectives: {{rpo: 1h, rto: 1h}}
components:
  conf: {{kind: files, paths: [{home}/etc]}}
  orders: {{kind: sqlite, path: {home}/orders.db}}
  users: {{kind: sqlite, path: {home}/users.db}}
repositories:
  primary: {{url: {home}/repository, password: {{file: {home}/password}}}}
backup: {{every: 15m}}
"""

_BASELINE = """\
restic backup -q etc
for db in orders users; do
  sqlite3 $db.db ".backup $db.copy"
  restic backup -q --stdin --stdin-filename $db.db < $db.copy
done
echo manifest | restic backup -q --stdin --stdin-filename manifest.json
"""
"""A script that does the same; with one more snapshot, instead of drd's manifest."""


def rows(home: Path) -> list[Row]:
    """Measure the CPU seconds of a backup, with all processes that it starts, against a script with
    the same tools.
    """
    site = _Site(home)
    site.backup()
    site.script()  # the first ones make the repositories' caches, and read everything
    before = site.catalogue_bytes()
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(_TIMES):
        site.change(turn)
        pair = [(site.backup, ours), (site.script, theirs)]
        for work, costs in pair if turn % 2 == 0 else reversed(pair):
            costs.append(_cpu_s(work))
    grown = (site.catalogue_bytes() - before) / _TIMES
    drd, plain = median(ours), median(theirs)
    return [
        Row("a real small run, 3 components, against a script", f"{drd:.2f} CPU s",
            f"{plain:.2f} CPU s", drd / plain, "", None),
        Row("  plans every 15 minutes that a core has time for", f"{_EVERY_S / drd:,.0f}",
            f"{_EVERY_S / plain:,.0f}", plain / drd, "", None),
        Row("  its rows in the catalogue", f"{grown / 1000:.1f} kB", "", None, "", None),
    ]  # fmt: skip


def _cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of the processes that the body starts, and of their children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class _Site:
    """Everything below `home`/small."""

    def __init__(self, home: Path) -> None:
        self.home = home / "small"
        (self.home / "plans").mkdir(parents=True)
        (self.home / "etc").mkdir()
        measure.write_secret(self.home / "password", "bench\n")
        (self.home / "drd.yaml").write_text(_SETTINGS)
        (self.home / "plans/small.yaml").write_text(_PLAN.format(home=self.home))
        for number in range(_FILES):
            (self.home / f"etc/{number}.conf").write_text(f"{number} " * (_FILE_BYTES // 4))
        for name in ("orders", "users"):
            with closing(sqlite3.connect(self.home / f"{name}.db")) as database, database:
                database.execute("create table t (id integer primary key, note text)")
                rows = ((f"{name} {number} " * 8,) for number in range(_ROWS))
                database.executemany("insert into t (note) values (?)", rows)
        measure.run(["restic", "init", "-q"], self._restic)

    @property
    def _environment(self) -> dict[str, str]:
        tools = f"{Path(sys.executable).parent}:{measure.environment()['PATH']}"
        config = {"DRD_CONFIG": str(self.home / "drd.yaml"), "PATH": tools}
        return {**measure.environment(), **config}

    @property
    def _restic(self) -> dict[str, str]:
        return {
            **self._environment,
            "RESTIC_REPOSITORY": str(self.home / "by-script"),
            "RESTIC_PASSWORD_FILE": str(self.home / "password"),
            "RESTIC_CACHE_DIR": str(self.home / "restic-cache"),
        }

    def change(self, turn: int) -> None:
        (self.home / f"etc/{turn}.conf").write_text(f"turn {turn}\n")
        for name in ("orders", "users"):
            with closing(sqlite3.connect(self.home / f"{name}.db")) as database, database:
                database.execute("insert into t (note) values (?)", (f"turn {turn}",))

    def backup(self) -> None:
        measure.run(["drd", "backup", "small", "--json"], self._environment, tied=False)

    def script(self) -> None:
        words = ["bash", "-euc", f"cd {self.home}\n{_BASELINE}"]
        measure.run(words, self._restic, tied=False)

    def catalogue_bytes(self) -> int:
        """The size of the pages in use: a file grows by more at once."""
        with closing(sqlite3.connect(self.home / "state/drd.db")) as catalogue:
            asked = ("page_count", "freelist_count", "page_size")
            pages, free, size = (catalogue.execute(f"pragma {a}").fetchone()[0] for a in asked)
        return int((pages - free) * size)
