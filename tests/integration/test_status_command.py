"""`status` over a real catalogue: what was loaded and recorded is what it judges and prints."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.cli.status import status_command
from drd.errors import CatalogueError, UnknownPlan
from drd.model.plan import Component, DrillPolicy, Objectives, Plan, RepositorySpec, SecretRef
from drd.model.policies import BackupPolicy, RetentionPolicy
from drd.model.run import DrillResult, Evidence, RunKind, RunState
from drd.model.snapshot import ComponentSnapshot, RestorePoint

NOW = datetime(2026, 11, 25, 0, 31, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


class Bench:
    """A plans directory and a catalogue, and one plan in them: RPO 15m, RTO 30m."""

    def __init__(self, directory: Path) -> None:
        self.plans = directory / "plans"
        self.plans.mkdir()
        self.url = f"sqlite:///{directory}/drd.db"
        self.database = directory / "drd.db"
        self.file = self.plans / "orders.yaml"
        self.file.write_text("plan: orders-api\n")
        self._catalogue: SqlCatalogue | None = None

    @property
    def catalogue(self) -> SqlCatalogue:
        if self._catalogue is None:
            self._catalogue = open_catalogue(self.url, create=True)
        return self._catalogue

    def close(self) -> None:
        if self._catalogue is not None:
            self._catalogue.close()

    def plan(self, digest: str = "digest-1") -> Plan:
        return Plan(
            name="orders-api",
            owner="payments team",
            description="",
            objectives=Objectives(rpo_s=900, rto_s=1800),
            components={"db": Component("db", "sqlite", None)},
            repositories={"primary": RepositorySpec("primary", "/r", SecretRef("env", "P"))},
            backup=BackupPolicy(every_s=300),
            retention=RetentionPolicy(),
            checks=(),
            runbook=(),
            targets={},
            drill=DrillPolicy(every_s=7 * 86400),
            digest=digest,
            proof=f"proof of {digest}",
            file=str(self.file),
        )

    def load(self, at: datetime, digest: str = "digest-1") -> None:
        file_digest = sha256(self.file.read_bytes()).hexdigest()
        self.catalogue.plans.load(self.plan(digest), file_digest=file_digest, at=at)

    def backup(self, at: datetime, *, complete: bool = True) -> str:
        owned = self.catalogue.runs.begin(self.plan(), RunKind.BACKUP, trigger="manual", at=at)
        component = ComponentSnapshot("db", "sqlite", "captured", at, "snap", bytes=1000)
        if not complete:
            component = ComponentSnapshot("db", "sqlite", "failed", error="disk I/O error")
        end = at + timedelta(seconds=20)
        point = RestorePoint(
            owned.run.id, "orders-api", at, end, complete, "digest-1",
            (component,), {"primary": "m"}
        )  # fmt: skip
        self.catalogue.points.record(point, owned=owned)
        state = RunState.SUCCEEDED if complete else RunState.INCOMPLETE
        error = None if complete else "db: disk I/O error"
        self.catalogue.runs.finish(owned, state, at=end, error=error)
        return owned.run.id

    def drill(self, at: datetime, result: DrillResult = DrillResult.PASSED) -> None:
        owned = self.catalogue.runs.begin(self.plan(), RunKind.DRILL, trigger="manual", at=at)
        evidence = Evidence(
            id=f"e-{owned.run.id}",
            run=owned.run.id,
            plan="orders-api",
            point=self.catalogue.points.of_plan("orders-api")[0].id,
            scenario="database-loss",
            result=result,
            plan_digest="digest-1",
            started_at=at - timedelta(seconds=94),
            finished_at=at,
            rpa_s=60.0,
            rta_s=94.0,
            judged=True,
            phases={},
            checks=(),
            restored_bytes=1000,
        )
        self.catalogue.evidence.record(owned, evidence)
        self.catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at)

    def status(self, now: datetime = NOW, **options: Any) -> tuple[int, str]:
        out = io.StringIO()
        defaults = {"plan": None, "json": False, "nagios": False, "colour": False}
        code = status_command(
            state_url=self.url, plans_dir=self.plans, now=now, out=out, **{**defaults, **options}
        )
        return code, out.getvalue()

    def judged(self, now: datetime = NOW) -> dict[str, Any]:
        _, text = self.status(now, json=True)
        plan: dict[str, Any] = json.loads(text)["plans"][0]
        return plan


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_without_a_catalogue_the_plans_on_disk_are_unknown(bench: Bench) -> None:
    code, text = bench.status()
    assert code == 3
    assert "drd has not loaded" in text
    assert not bench.database.exists(), "status makes nothing"


def test_without_anything_it_says_how_to_begin(bench: Bench) -> None:
    bench.file.unlink()
    code, text = bench.status()
    assert code == 3
    assert "drd plan new" in text
    assert json.loads(bench.status(json=True)[1]) == {
        "schema": 1, "at": "2026-11-25T00:31:00Z", "verdict": "unknown", "state": "unknown",
        "plans": [], "alerts": [], "daemon": None, "trouble": None, "written_at": None,
        "missing_packages": [], "configuration": None, "incidents": [],
        "records_damage": None, "copied_state": None,
    }  # fmt: skip


def test_from_the_first_load_to_ready(bench: Bench) -> None:
    bench.load(ago(hours=2))
    assert bench.judged(ago(hours=1.9))["rpo"]["verdict"] == "unknown"
    assert bench.judged()["rpo"]["verdict"] == "breached"
    bench.backup(ago(minutes=4))
    plan = bench.judged()
    assert plan["rpo"]["verdict"] == "met"
    assert plan["rpo"]["exposure_s"] == 240
    assert plan["rpo"]["achievable_s"] == 320
    assert plan["rpo"]["attainment"] == pytest.approx(220 / 7200, abs=1e-6)
    assert plan["verdict"] == "unknown", "never drilled"
    bench.drill(ago(minutes=1))
    plan = bench.judged()
    assert (plan["verdict"], plan["readiness"]) == ("met", "ready")
    assert plan["rto"]["actual_s"] == 94
    assert bench.status()[0] == 0


def test_incomplete_backup_does_not_count_and_is_named(bench: Bench) -> None:
    bench.load(ago(hours=2))
    bench.backup(ago(minutes=20))
    bench.drill(ago(minutes=15))
    run = bench.backup(ago(minutes=4), complete=False)
    plan = bench.judged()
    assert plan["rpo"]["exposure_s"] == 1200
    assert plan["verdict"] == "breached"
    assert plan["components"][0]["verdict"] == "breached"
    assert plan["reasons"][0] == (
        "RPO exceeded: the newest complete backup has data of 2026-11-25 00:11:00 UTC (RPO 15m). "
        f"Cause: db: disk I/O error (tried at 2026-11-25 00:27:20 UTC): drd run show {run}"
    )


def test_objective_crossed_between_two_backups(bench: Bench) -> None:
    bench.load(ago(hours=3))
    for minutes in (180, 120, 60, 10):
        bench.backup(ago(minutes=minutes))
    bench.drill(ago(minutes=9))
    plan = bench.judged()
    missed_s = 20 + 2 * (60 * 60 - 15 * 60 + 20) + (50 * 60 - 15 * 60 + 20)
    assert plan["rpo"]["verdict"] == "met"
    assert plan["rpo"]["attainment"] == pytest.approx(1 - missed_s / (3 * 3600), abs=1e-6)
    assert "the RPO was exceeded for 35m 20s" in plan["reasons"][0]


def test_plan_changed_on_disk_then_loaded_then_drilled(bench: Bench) -> None:
    bench.load(ago(hours=2))
    bench.backup(ago(minutes=4))
    bench.drill(ago(minutes=3))
    bench.file.write_text("plan: orders-api\nowner: somebody else\n")
    plan = bench.judged()
    assert "edited, but not reloaded" in plan["reasons"][0]
    assert (plan["state"], plan["readiness"]) == ("at risk", "ready")
    bench.load(ago(minutes=1), digest="digest-2")
    plan = bench.judged()
    assert plan["readiness"] == "needs drill"
    assert plan["reasons"] == ["the plan changed since its last drill: drd drill orders-api"]


def test_plan_that_broke_keeps_its_figures(bench: Bench) -> None:
    bench.load(ago(hours=2))
    bench.backup(ago(minutes=4))
    bench.drill(ago(minutes=3))
    bench.file.write_text("plan: orders-api\nonwer: x\n")
    os.utime(bench.file, (NOW.timestamp() - 1,) * 2)
    bench.catalogue.plans.mark_broken("orders-api", "orders.yaml:2: onwer is unknown", NOW)
    plan = bench.judged()
    assert plan["rpo"]["exposure_s"] == 240
    assert (plan["state"], plan["readiness"]) == ("at risk", "ready")
    assert "refused the plan file (orders.yaml:2: onwer is unknown): " in plan["reasons"][0]
    assert "the plan that it loaded at 2026-11-24 22:31 UTC" in plan["reasons"][0]


def test_clock_set_back_is_unknown(bench: Bench) -> None:
    bench.load(ago(hours=2))
    bench.backup(ago(minutes=4))
    plan = bench.judged(ago(hours=1))
    assert plan["rpo"]["exposure_s"] is None
    assert plan["rpo"]["verdict"] == "unknown"


def test_status_of_an_unknown_plan_suggests_the_nearest_name(bench: Bench) -> None:
    bench.load(ago(hours=2))
    with pytest.raises(UnknownPlan) as caught:
        bench.status(plan="orders-apj")
    assert caught.value.hint == "did you mean orders-api?"


def test_damaged_catalogue_is_an_error_and_not_an_empty_status(bench: Bench) -> None:
    bench.database.write_bytes(b"not a database at all" * 500)
    with pytest.raises(CatalogueError, match="damaged"):
        bench.status()


@pytest.mark.parametrize("name", ["orders-apj", None])
def test_plugin_turns_errors_into_its_own_unknown(bench: Bench, name: str | None) -> None:
    """Exit 1 and 2 would mean warning and critical there."""
    if name is None:
        bench.database.write_bytes(b"not a database at all" * 500)
    code, text = bench.status(nagios=True, plan=name)
    assert code == 3
    assert text.startswith("DRD UNKNOWN - ")
    assert text.count("\n") == 1


def test_plugin_line_of_a_healthy_plan(bench: Bench) -> None:
    bench.load(ago(hours=2))
    bench.backup(ago(minutes=4))
    bench.drill(ago(minutes=3))
    assert bench.status(nagios=True) == (
        0,
        "DRD OK - 1 plan ok|exposure_orders-api=240s;;900 rto_orders-api=94s;;1800\n",
    )
