"""What the warm interpreter makes before it forks: the models that plans are read by, and the
compiled statements of a backup, a drill and a recovery, on a catalogue that nobody keeps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.config.daemon_schema import DaemonFile
from drd.config.plan_file import plan_of_text
from drd.errors import ConfigError
from drd.fields import Settings
from drd.model.plan import Component, DrillPolicy, Objectives, Plan, RepositorySpec, SecretRef
from drd.model.policies import BackupPolicy, RetentionPolicy
from drd.model.repositories import Meeting
from drd.model.run import (
    CheckResult,
    CheckVerdict,
    DrillResult,
    Evidence,
    RunKind,
    RunState,
    StepState,
)
from drd.model.seals import Seal
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, RestorePoint, TableState
from drd.model.step_results import CaptureStepResult
from drd.ports import RunLease

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_PLAN = Plan(
    name="shop",
    owner="",
    description="",
    objectives=Objectives(rpo_s=900, rto_s=1800),
    components={"db": Component("db", "sqlite", None)},
    repositories={"primary": RepositorySpec("primary", "/r", SecretRef("env", "P"))},
    backup=BackupPolicy(every_s=300),
    retention=RetentionPolicy(),
    checks=(),
    runbook=(),
    targets={},
    drill=DrillPolicy(every_s=86400),
    digest="d",
    proof="p",
    file="/shop.yaml",
)


def rehearse() -> None:
    for file in Path("plans").glob("*.yaml"):
        plan_of_text(file.read_text(), file)
    with suppress(ConfigError):  # a mistake is explained by the schema, which is made once
        plan_of_text("plan: shop\n", Path("shop.yaml"))
    models: list[type[BaseModel]] = [DaemonFile, *_subclasses(Settings)]
    for model in models:
        model.model_rebuild()
    with tempfile.TemporaryDirectory(dir=os.environ.get("DRD_TEST_RUN")) as directory:
        url = f"sqlite:///{Path(directory) / 'drd.db'}"
        catalogue = open_catalogue(url, create=True, state_dir=Path(directory))
        for _ in range(2):
            catalogue.plans.load(_PLAN, file_digest="f", at=_AT)
            catalogue.queue.noted("x")
            catalogue.queue.accepted("shop")
            catalogue.queue.jobs()
            for kind in (RunKind.BACKUP, RunKind.DRILL, RunKind.RECOVERY):
                _run(catalogue, kind)
            _consult(catalogue)
        catalogue.runs.newest()
        catalogue.plans.names()
        catalogue.queue.accept("shop", "plan: shop", {})
        catalogue.close()


def _subclasses(model: type[Settings]) -> Iterator[type[Settings]]:
    for below in model.__subclasses__():
        yield below
        yield from _subclasses(below)


def _consult(catalogue: SqlCatalogue) -> None:
    """What the commands ask and note around a run."""
    [*_, newest] = catalogue.points.of_plan("shop")
    catalogue.points.of_plan("shop", fingerprints=True, elsewhere=True)
    catalogue.points.of_plan("shop", kept_only=False)
    catalogue.custody.check(_AT)
    catalogue.queue.plan_rows()
    catalogue.queue.plan_rows(["shop"])
    catalogue.queue.note("x", 1, _AT)
    catalogue.repositories.last_self_backup("/r")
    catalogue.repositories.record_self_backup("/r", _AT)
    catalogue.origins.record_seals("shop", [Seal(newest.id)])
    catalogue.origins.seal("shop", newest.id)
    catalogue.origins.kit_base("shop")
    catalogue.health.config_digest("/r")
    catalogue.health.record_config_digest("/r", "0" * 64)
    catalogue.health.record_state("/r", Meeting("ok"), _AT)
    catalogue.evidence.newest("shop")
    catalogue.evidence.unrestorable("shop")
    catalogue.runs.newest("shop")
    catalogue.runs.newest("shop", kind=RunKind.BACKUP)
    catalogue.kits.newest("shop")
    catalogue.plans.proofs(_PLAN)
    catalogue.keeping.vanished("shop")
    catalogue.keeping.holds()
    catalogue.keeping.holds("shop")
    catalogue.keeping.state("shop")
    catalogue.keeping.given_up("shop")


def _run(catalogue: SqlCatalogue, kind: RunKind) -> None:
    owned = catalogue.runs.begin(_PLAN, kind, trigger="manual", at=_AT)
    catalogue.steps.begin(owned, "one", "capture", _AT)
    catalogue.steps.finish(
        owned, "one", StepState.SUCCEEDED, at=_AT, result=CaptureStepResult(bytes=1)
    )
    catalogue.steps.of_run(owned.run.id)
    catalogue.decisions.of_run(owned.run.id)
    if kind is RunKind.BACKUP:
        _record_points(catalogue, owned)
    else:
        [*_, newest] = catalogue.points.of_plan("shop")
        catalogue.points.get("shop", newest.id)
        checks = 1 if kind is RunKind.DRILL else 2
        catalogue.evidence.record(owned, _evidence(owned, newest.id, checks))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=_AT + timedelta(seconds=1))


def _record_points(catalogue: SqlCatalogue, owned: RunLease) -> None:
    """One of a single component, and a day later, which is beyond the RPO, one of two: SQLAlchemy
    compiles a statement for several rows anew."""
    catalogue.repositories.id_of("/r")
    catalogue.repositories.record("/r", "e" * 64, _AT)
    catalogue.points.component_sizes("shop", "db")
    seen = DatabaseFingerprint("counts", {"t": TableState(1)})
    db, conf = (
        ComponentSnapshot(name, "sqlite", "captured", _AT, "s", bytes=1, fingerprint=seen)
        for name in ("db", "conf")
    )
    for days, parts in enumerate([(db,), (db, conf)]):
        name, at = f"{owned.run.id[:-1]}{days}", _AT + timedelta(days=days)
        point = RestorePoint(name, "shop", at, at, True, "d", parts, {"primary": "m"})
        catalogue.points.record(point, owned=owned)


def _evidence(owned: RunLease, point: str, checks: int) -> Evidence:
    passed = CheckResult("rows", "db", CheckVerdict.PASSED, "1", "> 0")
    return Evidence(
        id=f"e-{owned.run.id}",
        run=owned.run.id,
        plan="shop",
        point=point,
        scenario="database-loss",
        result=DrillResult.PASSED,
        plan_digest="d",
        started_at=_AT,
        finished_at=_AT,
        rpa_s=1.0,
        rta_s=1.0,
        judged=True,
        phases={},
        checks=(passed,) * checks,
        restored_bytes=1,
    )
