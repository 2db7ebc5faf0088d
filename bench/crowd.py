"""Make a state directory with many plans and a history, without any real run.

Rows are written as the flows write them; the catalogue's own code makes the summaries, when a plan
is loaded for the first time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import measure
from drd.model.plan import Plan
from drd.model.schedule import schedule_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PLAN = """\
plan: {name}
owner: bench
objectives: {{rpo: 1h, rto: 1h}}
components:
  files: {{kind: files, paths: [/etc]}}
  orders: {{kind: sqlite, path: /var/lib/{name}/orders.db}}
  users: {{kind: sqlite, path: /var/lib/{name}/users.db}}
repositories:
  primary: {{url: /srv/{name}, password: {{env: BENCH}}}}
backup: {{every: 15m}}
retention: {{last: 100, daily: 30}}
drill: {{every: 30d}}
"""

_SETTINGS = """\
state: sqlite:///state/drd.db
plans: plans
work_dir: work
cache_dir: cache
limits: {{runs: 8}}
log: {{format: json, level: debug}}
metrics: {{textfile: {home}/metrics/drd.prom}}
"""


class Crowd:
    """`count` plans of three components each, every fifteen minutes, in `home`."""

    def __init__(self, home: Path, count: int) -> None:
        self.home, self.count = home, count
        for name in ("plans", "metrics"):
            (home / name).mkdir(parents=True)
        (home / "drd.yaml").write_text(_SETTINGS.format(home=home))
        for name in self.names():
            (home / f"plans/{name}.yaml").write_text(_PLAN.format(name=name))

    def names(self) -> list[str]:
        return [f"service{number:05}" for number in range(self.count)]

    @property
    def url(self) -> str:
        return f"sqlite:///{self.home}/state/drd.db"

    @property
    def environment(self) -> Mapping[str, str]:
        return {**measure.environment(), "DRD_CONFIG": str(self.home / "drd.yaml"), "BENCH": "x"}

    def look_after(self) -> None:
        """Fill the history: every plan has been in force for two months, is proven, and was last
        backed up at some moment of the last fifteen minutes.
        """
        from drd.bootstrap import app
        from drd.catalogue import tables
        from drd.catalogue.engine import Database
        from drd.catalogue.sql_catalogue import open_catalogue
        from drd.config.plan_file import load_plan

        open_catalogue(self.url, create=True).close()
        database, now, chance = Database(self.url), datetime.now(UTC), random.Random(7)
        with app(str(self.home / "drd.yaml")) as opened:
            for start in range(0, self.count, 500):
                rows: dict[str, list[dict[str, Any]]] = {}
                accepted = []
                for name in self.names()[start : start + 500]:
                    loaded = load_plan(self.home / f"plans/{name}.yaml")
                    accepted.append(loaded)
                    for table, row in _history(loaded.plan, now, chance):
                        rows.setdefault(table, []).append(row)
                with database.write() as connection:
                    for table, some in rows.items():
                        connection.execute(tables.metadata.tables[table].insert(), some)
                with opened.catalogue.together():
                    for loaded in accepted:
                        opened.plans.accept(loaded)
            with database.write() as connection:
                long_ago = now - timedelta(days=60)
                connection.execute(tables.plans.update().values(first_loaded_at=long_ago))
                _move(connection, datetime.now(UTC) - now)
        database.close()


_TIMES = {
    "jobs": ("last_started_at", "last_finished_at", "last_success_at"),
    "points": ("data_time", "available_at"),
    "component_snapshots": ("data_time", "available_at"),
    "component_summary": ("data_time",),
}


def _move(connection: Connection, by: timedelta) -> None:
    """Move all times forward: filling the catalogue takes minutes, after which thousands of plans
    would be overdue.
    """
    for table, columns in _TIMES.items():
        later = ", ".join(
            f"{c} = strftime('%Y-%m-%dT%H:%M:%f000+00:00', {c}, '{by.total_seconds():+.3f} "
            "seconds')"
            for c in columns
        )
        connection.exec_driver_sql(f"update {table} set {later}")


def _history(plan: Plan, now: datetime, chance: random.Random) -> Iterator[tuple[str, Any]]:
    """Write one run of each kind, at a random age."""
    for job in schedule_of(plan).jobs:
        run = f"{chance.getrandbits(32):08x}"
        period_s = job.timing.every_s or 86400.0
        began = now - timedelta(seconds=period_s * chance.random())
        ended = began + timedelta(seconds=2)
        if job.kind == "backup":
            yield from backup_rows(run, plan, began)
        else:
            yield "runs", _run_row(run, job.kind, job.subject, plan, began, ended)
        yield "jobs", {
            "plan": plan.name, "kind": job.kind, "subject": job.subject,
            "changed": chance.getrandbits(20), "last_run": run, "last_started_at": began,
            "last_finished_at": ended, "last_success_at": ended, "last_state": "succeeded",
            "last_error": None, "tries": 0, "permanent": False, "last_duration_s": 2.0,
            "last_bytes": 15_000, "p95_s": 2.0,
        }  # fmt: skip
        if job.kind == "drill":
            yield "evidence", {
                "id": f"e-{run}", "run": run, "plan": plan.name, "point": None,
                "scenario": "database-loss", "result": "passed", "plan_digest": plan.digest,
                "started_at": began, "finished_at": ended, "rpa_s": 60.0, "rta_s": 35.0,
                "judged": True, "phases": {}, "not_rehearsed": [], "restored_bytes": 15_000,
            }  # fmt: skip


def _run_row(  # noqa: PLR0917
    run: str, kind: str, subject: str, plan: Plan, began: datetime, ended: datetime
) -> dict[str, Any]:
    return {
        "id": run, "plan": plan.name, "kind": kind, "trigger": "schedule",
        "state": "succeeded", "due_at": began, "started_at": began, "finished_at": ended,
        "plan_digest": plan.digest, "token": 1, "owner_host": "bench",
        "detail": {"findings": []} if kind == "readiness" else {}, "subject": subject,
    }  # fmt: skip


def backup_rows(
    run: str, plan: Plan, began: datetime, *, forgotten_at: datetime | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return all rows of a backup of two seconds, by table."""
    ended = began + timedelta(seconds=2)
    yield "runs", _run_row(run, "backup", "", plan, began, ended)
    yield "points", {
        "id": run, "plan": plan.name, "data_time": began, "available_at": ended, "complete": True,
        "plan_digest": plan.digest, "bytes": 15_000, "forgotten_at": forgotten_at,
    }  # fmt: skip
    yield "point_repositories", {
        "point": run, "repository": "primary", "position": 0, "manifest": "0" * 64,
        "available_at": ended,
    }  # fmt: skip
    for place, component in enumerate(plan.components.values()):
        yield "component_snapshots", {
            "point": run, "component": component.name, "position": place, "plan": plan.name,
            "available_at": ended, "kind": component.kind, "state": "captured", "data_time": began,
            "snapshot": "0" * 64, "bytes": 5_000, "added_bytes": 100, "duration_s": 2.0,
            "facts": {}, "observations": {},
        }  # fmt: skip
        yield "steps", {
            "run": run, "name": component.name, "position": place, "kind": "capture",
            "state": "succeeded", "attempt": 1, "started_at": began, "finished_at": ended,
            "result": {},
        }  # fmt: skip
