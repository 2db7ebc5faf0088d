"""A plan whose flows run in this process, on repositories in memory and by a clock that is set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from drd.bootstrap import App
from drd.config.daemon import load_settings
from drd.flows.backup.run import BackupRequest, backup
from drd.flows.restore.recovery_plan import RecoveryPlan, plan_recovery
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.services import Services, never_booted
from drd.flows.upkeep.copy import copy
from drd.model.plan import Plan, RepositorySpec
from drd.model.run import RunKind, RunState
from drd.model.snapshot import MANIFEST_FILE, ComponentSnapshot, RestorePoint
from tests.catalogue_support import evidence
from tests.fakes_repository import MemoryRepository

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class SetClock:
    """`drd.ports.Clock`: stands still until somebody sets it."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOON).total_seconds()


class World:
    """The plan `shop` with two directories, a repository, its copy `offsite`, and a target."""

    def __init__(self, base: Path, *, copies: bool = True, more: str = "") -> None:
        self.base = base
        self.clock = SetClock()
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.repositories: dict[str, MemoryRepository] = {}
        for name in ("etc", "data", "plans", "back"):
            (base / name).mkdir()
            (base / name / "file").write_text(f"of {name}\n")
        (base / "password").write_text("correct horse battery staple")
        (base / "password").chmod(0o600)
        (base / "drd.yaml").write_text(
            f"state: sqlite:///{base}/state/drd.db\n"
            "plans: plans\nwork_dir: work\ncache_dir: cache\n"
        )
        password = f"password: {{file: {base}/password}}"
        offsite = f"  offsite: {{url: {base}/offsite, {password}, copy_of: primary}}\n"
        self.file = base / "plans/shop.yaml"
        self.file.write_text(
            "plan: shop\nowner: tests\nobjectives: {rpo: 15m, rto: 30m}\nrepositories:\n"
            f"  primary: {{url: {base}/primary, {password}}}\n{offsite if copies else ''}"
            f"components:\n  conf: {{kind: files, paths: [{base}/etc]}}\n"
            f"  data: {{kind: files, paths: [{base}/data]}}\n"
            f"targets:\n  standby:\n    conf: {{path: {base}/back/conf}}\n"
            f"    data: {{path: {base}/back/data}}\n{more}"
        )
        config = str(base / "drd.yaml")
        self.app = App(config, settings=load_settings(base / "drd.yaml", explicit=True))
        self.app.clock = self.clock
        self.plan: Plan = self.app.plans.load(str(self.file))
        self.services: Services = replace(
            self.app.services(self.plan),
            open_repository=self.repository,
            warn=self.warnings.append,
            note=self.notes.append,
            booted=never_booted,
        )
        self.catalogue = self.services.catalogue

    def close(self) -> None:
        self.app.close()

    def repository(self, spec: RepositorySpec) -> MemoryRepository:
        return self.repositories.setdefault(spec.name, MemoryRepository(spec.name, spec.url))

    @property
    def primary(self) -> MemoryRepository:
        return self.repository(self.plan.primary)

    @property
    def offsite(self) -> MemoryRepository:
        return self.repository(self.plan.repositories["offsite"])

    def after(self, **time: float) -> None:
        """Let time pass."""
        self.clock.at += timedelta(**time)

    def backup(self, *components: str) -> RestorePoint:
        """A restore point that a backup makes, by the real clock: sources know no other."""
        self.clock.at = datetime.now(UTC)
        point = backup(self.services, self.plan, BackupRequest(components)).point
        assert point is not None
        self.clock.at = datetime.now(UTC)
        return self.point(point.id)

    def stored(
        self,
        id: str,  # noqa: A002 - the model's word
        at: datetime,
        *,
        complete: bool = True,
        copied: bool = False,
        only_copied: bool = False,
        **more: Any,
    ) -> RestorePoint:
        """A restore point with data of that time, without a backup; `copied` to the other
        repository as well, or there alone."""
        primary = self.founded("primary")
        tags = ["drd", "plan:shop", f"run:{id}"]
        rows = []
        for name in self.plan.components if complete else ("conf",):
            stored = primary.store_bytes(
                f"{id} {name}".encode(),
                "x",
                host="shop",
                tags=[*tags, f"component:{name}"],
                time=at,
            )
            facts = {"paths": [f"{self.base}/{name}"], "files": 1, "excluded": 0}
            rows.append(
                ComponentSnapshot(name, "files", "captured", at, stored.snapshot, 100, facts=facts)
            )
        ids = [row.snapshot for row in rows if row.snapshot is not None]
        sealed = primary.store_bytes(
            b"{}", MANIFEST_FILE, host="shop", tags=[*tags, "manifest"], time=at
        ).snapshot
        places = {"primary": sealed}
        if copied or only_copied:
            offsite = self.founded("offsite")
            offsite.copy_from(primary, [*ids, sealed])
            places["offsite"] = next(s.id for s in offsite.snapshots() if s.original == sealed)
        if only_copied:
            primary.forget([*ids, sealed])
            del places["primary"]
        point = RestorePoint(
            id, "shop", at, at, complete, self.plan.digest, tuple(rows), places, **more
        )
        if "offsite" in places:
            point = replace(point, copied={"offsite": at})
        self.catalogue.points.record(point)
        return self.point(id)

    def founded(self, name: str) -> MemoryRepository:
        """A repository that drd knows."""
        repository = self.repository(self.plan.repositories[name])
        if repository.id is None:
            known = repository.initialise()
            self.catalogue.repositories.record(repository.url, known, self.clock.now())
        return repository

    def point(self, id: str) -> RestorePoint:  # noqa: A002 - the model's word
        return self.catalogue.points.get("shop", id)

    def copy(self) -> None:
        copy(self.services, self.plan, "offsite")

    def recovery(self, target: str = "standby", **request: Any) -> RecoveryPlan:
        return plan_recovery(self.services, self.plan, RecoveryRequest(target, **request))

    def drilled(self, **of: Any) -> None:
        """Evidence of a drill, or of a recovery with a `target`, that ended now."""
        now, kind = self.clock.now(), RunKind.RECOVERY if "target" in of else RunKind.DRILL
        owned = self.catalogue.runs.begin(self.plan, kind, trigger="manual", at=now)
        found = evidence(owned.run.id, finished_at=now, **of)
        self.catalogue.evidence.record(owned, replace(found, run=owned.run.id, plan="shop"))
        self.catalogue.runs.finish(owned, RunState.SUCCEEDED, at=now)
        owned.release()

    def listed(self, repository: MemoryRepository) -> set[str]:
        """The points whose manifests are there."""
        listing = repository.snapshots(tags=["manifest"])
        tags = (tag for s in listing for tag in s.tags)
        return {t.removeprefix("run:") for t in tags if t.startswith("run:")}
