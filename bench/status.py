"""Measure `drd status` from a cold start, with a catalogue of years, against `python3 -c pass`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import measure
from bench.table import Row

_PLANS = 50
_WINDOW = timedelta(days=90)
_KEPT_POINTS = 60
_BATCH = 20_000
_TIMES = 21

ALLOWED_RATIO = 3.5
_ALLOWED_GROWTH = 1.5
NEVER_IMPORTED = ("boto3", "botocore", "apscheduler", "restic", "sqlalchemy", "pydantic", "alembic")

_PLAN = """\
plan: {name}
owner: bench
objectives: {{rpo: 1h, rto: 1h}}
components:
  files: {{kind: files, paths: [/etc]}}
  state: {{kind: sqlite, path: /var/lib/{name}.db}}
repositories:
  primary: {{url: /srv/{name}, password: {{env: BENCH}}}}
backup: {{every: 10m}}
drill: {{every: 7d}}
"""


def rows(home: Path, few: int, many: int) -> list[Row]:
    """Measure a cold start with `few` and with `many` runs in the catalogue, and list what it
    imports.
    """
    small = _Catalogue(home / "few", few)
    large = _Catalogue(home / "many", many)
    python = [sys.executable, "-c", "pass"]
    status = [str(Path(sys.executable).with_name("drd")), "status"]

    def bare() -> measure.Run:
        return measure.run(python, measure.environment(), tied=False)

    def of(catalogue: _Catalogue) -> measure.Run:
        return measure.run(status, catalogue.environment, exits=(0, 3), tied=False)

    of(small), of(large), bare()  # so that nobody pays for cold files
    left, right = measure.in_turn(lambda: of(small), bare, _TIMES)
    drd, plain = measure.seconds(left), measure.seconds(right)
    grown, base = measure.in_turn(lambda: of(large), lambda: of(small), _TIMES)
    after, before = measure.seconds(grown), measure.seconds(base)
    found = _imported(small)
    return [
        Row(f"status, {_PLANS} plans, {few:,} runs, against python -c pass", _ms(drd), _ms(plain),
            drd / plain, f"<= {ALLOWED_RATIO}x", drd / plain <= ALLOWED_RATIO),
        Row(f"status, {many:,} runs, against {few:,}", _ms(after), _ms(before),
            after / before, f"<= {_ALLOWED_GROWTH}x", after / before <= _ALLOWED_GROWTH),
        Row("  it imports", ", ".join(found) or "nothing heavy", "", None,
            f"no {', '.join(NEVER_IMPORTED)}", not found),
    ]  # fmt: skip


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _imported(catalogue: _Catalogue) -> list[str]:
    """Return which heavy libraries a `drd status` imports, by the interpreter's own record."""
    argv = [sys.executable, "-X", "importtime", "-m", "drd", "status"]
    script = f"{' '.join(argv)} 2>&1 >/dev/null || test $? = 3"
    done = measure.run(["bash", "-c", script], catalogue.environment, tied=False)
    modules = {line.rpartition("|")[2].strip().split(".")[0] for line in done.output.splitlines()}
    if "drd" not in modules:
        raise measure.BenchFailed("the record of imports does not even have drd")
    return sorted(modules & set(NEVER_IMPORTED))


class _Catalogue:
    """A state directory whose 50 plans were backed up every ten minutes, and drilled every week."""

    def __init__(self, home: Path, runs: int) -> None:
        self._home = home
        (home / "plans").mkdir(parents=True)
        (home / "drd.yaml").write_text("state: sqlite:///state/drd.db\nplans: plans\n")
        self._now = datetime.now(UTC)
        self._fill(runs // _PLANS)

    @property
    def environment(self) -> Mapping[str, str]:
        return {**measure.environment(), "DRD_CONFIG": str(self._home / "drd.yaml")}

    def _fill(self, per_plan: int) -> None:
        """Write rows in bulk; the catalogue's own code then makes the summaries, when a plan is
        loaded for the first time.
        """
        from drd.catalogue.engine import Database
        from drd.catalogue.sql_catalogue import open_catalogue
        from drd.config.plan_file import load_plan

        url = f"sqlite:///{self._home}/state/drd.db"
        catalogue, database = open_catalogue(url, create=True), Database(url)
        for number in range(_PLANS):
            file = self._home / f"plans/service{number}.yaml"
            file.write_text(_PLAN.format(name=f"service{number}"))
            loaded = load_plan(file)
            self._insert(database, loaded.plan, number, per_plan)
            for at in (self._now - _WINDOW, self._now):
                catalogue.plans.load(loaded.plan, file_digest=loaded.file_digest, at=at)
        database.close()
        catalogue.close()

    def _insert(self, database: Any, plan: Any, number: int, count: int) -> None:
        from drd.catalogue import tables

        batch: dict[str, list[dict[str, Any]]] = {}
        for position in range(count):
            for table, row in self._rows(plan, number, position, count):
                batch.setdefault(table, []).append(row)
            if position == count - 1 or position % _BATCH == _BATCH - 1:
                with database.write() as connection:
                    for table, some in batch.items():
                        connection.execute(getattr(tables, table).insert(), some)
                batch = {}

    def _rows(
        self, plan: Any, number: int, position: int, count: int
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return the rows of one run, as the flows would have written them, newest last."""
        run = f"{number:02x}{position:06x}"
        drill = position % 1000 == count % 1000 - 2
        failed = position % 97 == 5
        began = self._now - timedelta(minutes=10) * (count - position)
        ended = began + timedelta(seconds=40)
        yield "runs", {
            "id": run, "plan": plan.name, "kind": "drill" if drill else "backup",
            "trigger": "schedule", "state": "failed" if failed and not drill else "succeeded",
            "due_at": began, "started_at": began, "finished_at": ended,
            "plan_digest": plan.digest, "token": 1, "owner_host": "bench", "detail": {},
            "error": None,
        }  # fmt: skip
        if drill:
            yield "evidence", {
                "id": f"e-{run}", "run": run, "plan": plan.name, "point": None,
                "scenario": "database-loss", "result": "passed", "plan_digest": plan.digest,
                "started_at": began, "finished_at": ended, "rpa_s": 60.0, "rta_s": 35.0,
                "judged": True, "phases": {}, "not_rehearsed": [], "restored_bytes": 10_000,
            }  # fmt: skip
        elif not failed:
            kept = position >= count - _KEPT_POINTS
            yield "points", {
                "id": run, "plan": plan.name, "data_time": began, "available_at": ended,
                "complete": True, "plan_digest": plan.digest, "bytes": 10_000,
                "proven_by": None, "forgotten_at": None if kept else self._now,
            }  # fmt: skip
            yield "point_repositories", {
                "point": run, "repository": "primary", "position": 0, "manifest": "0" * 64,
                "available_at": None, "repository_id": None,
            }  # fmt: skip
            for place, component in enumerate(plan.components.values()):
                yield "component_snapshots", {
                    "point": run, "component": component.name, "position": place,
                    "plan": plan.name, "available_at": ended, "kind": component.kind,
                    "state": "captured", "data_time": began, "snapshot": "0" * 64,
                    "bytes": 5_000, "added_bytes": 100, "duration_s": 2.0, "error": None,
                    "facts": {}, "observations": {}, "fingerprint": None,
                }  # fmt: skip
