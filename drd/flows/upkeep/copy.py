"""Copy every complete restore point to a second repository.

The newest point is copied first, because that reduces the exposure most. Of each point, the
components are copied first and the manifest last, so that the point exists there if and only if its
manifest does. After a kill, the next run continues.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from drd.errors import (
    DeadlineExceeded,
    DrdError,
    PointGone,
    RepositoryDamaged,
    UsageError,
)
from drd.flows.backup.earlier_snapshots import check_earlier_snapshots, warn_of_damage
from drd.flows.durable_steps import Runner, describe, is_permanent, new_run
from drd.flows.repository import adopted, contested, listings
from drd.flows.repository.identity import confirm, confirm_or_initialise, same_repository
from drd.flows.repository.missing import note_listing, record_missing
from drd.flows.repository.observed_state import note_damage
from drd.flows.repository.substituted import genuine_by_run
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.flows.upkeep.log_copies import LogsCopied, copy_logs
from drd.model.cause import joined
from drd.model.holds import held_points
from drd.model.plan import OWN_COMPONENT, Plan, RepositorySpec
from drd.model.run import RunKind, RunState
from drd.model.run_details import CopyDetail
from drd.model.snapshot import RestorePoint
from drd.model.step_results import CheckStepResult, CopyStepResult, PreflightStepResult
from drd.ports import Listing, Repository, SnapshotInfo

BATCH = 8
"""The number of points that one call of restic copies after the newest: a call costs a second by
itself, and points are recorded after each.
"""


class _NotWhole(RepositoryDamaged):
    """restic reported success, but a point is not in the copy; the cause is unknown."""


SnapshotsByRun = Mapping[str, Sequence[SnapshotInfo]]


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """The result of a copy run, newest point first. `held` counts the complete points that are
    there now. `errors` has the points that could not be copied. `logs` says which logs were copied,
    and which were not.
    """

    run: str
    plan: str
    repository: str
    copy_of: str
    state: RunState
    copied: tuple[str, ...]
    held: int
    errors: Mapping[str, DrdError]
    logs: LogsCopied = field(default_factory=LogsCopied)


def copy(
    services: Services, plan: Plan, repository: str, *, trigger: str = "manual"
) -> CopyOutcome:
    """Copy the points that `repository` lacks. Raises AlreadyRunning while another process does,
    and errors that prevent a listing; problems of single points are in the outcome.
    """
    adopted.refuse(plan, "copy them")
    spec = copy_spec(plan, repository)
    crash_cleanup.settle(services, plan)
    detail = CopyDetail(copy_of=spec.copy_of)
    with new_run(
        services, plan, RunKind.COPY, trigger=trigger, detail=detail, subject=spec.name
    ) as runner:
        return _CopyRun(services, plan, spec, runner).execute()


def copy_spec(plan: Plan, name: str) -> RepositorySpec:
    """Return the plan's copy of that name. Raises UsageError."""
    known = ", ".join(c.name for c in plan.copies) or "none"
    spec = plan.repositories.get(name)
    if spec is None:
        raise UsageError(
            f"plan {plan.name} has no repository {name!r}",
            hint=f"choose one of the repositories that are copies: {known}",
        )
    if spec.copy_of is None:
        raise UsageError(
            f"repository {name} is not a copy, but the repository that backups go to",
            hint=f"choose one of the repositories that are copies: {known}",
        )
    return spec


class _CopyRun:
    """The phases of one copy run, in order."""

    def __init__(
        self, services: Services, plan: Plan, spec: RepositorySpec, runner: Runner
    ) -> None:
        self.services = services
        self.plan = plan
        self.spec = spec
        self.runner = runner
        self.copy_of = str(spec.copy_of)
        self.source = services.open_repository(plan.repositories[self.copy_of])
        self.into = services.open_repository(spec)
        self.ends = services.clock.monotonic() + plan.copying.timeout_s
        self.is_damaged = False
        self.arrived: dict[str, RestorePoint] = {}
        self.errors: dict[str, DrdError] = {}
        self.logs = LogsCopied()

    def execute(self) -> CopyOutcome:
        self.runner.step("repository", "preflight", self._confirm)
        self.runner.step("check earlier snapshots", "check", self._check_earlier_snapshots)
        warn = self.services.warn
        listed_at = self.services.clock.now()
        listing = listings.readable(self.source, listings.listed(self.source, self.plan.name), warn)
        there = listings.readable(self.into, listings.listed(self.into, self.plan.name), warn)
        # Newest data first, as the catalogue has them.
        points = [p for p in self.services.catalogue.points.of_plan(self.plan.name) if p.complete]
        source = self._by_run(self.source, listing)
        self._note_trees(points, source)
        into = self._by_run(self.into, there)
        held = listings.whole_points(points, into)
        self._note_missing(listing, listed_at)
        self._reconcile(points, held, there.unreadable, listed_at)
        lacking = [
            p for p in points if p.id not in held and listings.manifest(source.get(p.id, ()))
        ]
        whole = listings.whole_points(lacking, source)
        for batch in _batches([p for p in lacking if p.id in whole]):
            self._copy(batch, source)
        self.errors |= {p.id: self._torn(p) for p in lacking if p.id not in whole}
        self._copy_own(listing, there)
        self.logs = copy_logs(self.services, self.plan, self.spec, self.runner)
        return self._finish(len(held))

    def _by_run(self, repository: Repository, listing: Listing) -> SnapshotsByRun:
        return genuine_by_run(self.services, self.plan.name, repository, listing)

    def _confirm(self) -> PreflightStepResult:
        source = confirm(self.services, self.source, writing=False)
        made = confirm_or_initialise(self.services, self.into, chunker_from=self.source)
        if made == source:
            text, hint = same_repository(self.spec.name, self.copy_of, made)
            raise UsageError(text, hint=hint)
        return PreflightStepResult(repository=made)

    def _check_earlier_snapshots(self) -> CheckStepResult:
        """Check for data that others removed: restic copies nothing that the index there names,
        even if the data is gone. Such points would be listed and could not be restored.
        """
        damage = check_earlier_snapshots(self.services, self.plan, self.into, self.ends)
        if damage is not None:
            raise RepositoryDamaged(
                f"repository {self.spec.name} has lost snapshots and data, so drd does not copy "
                f"into it: {damage.message}",
                hint="repair this repository (docs/copies.md, Repairing a repository), then: "
                f"drd verify {self.plan.name} --repository {self.spec.name}",
            )
        self.is_damaged = warn_of_damage(self.services, self.plan, self.spec.name)
        return CheckStepResult()

    def _note_missing(self, listing: Listing, listed_at: datetime) -> None:
        """Record points that the source had and now lacks, completely or in part."""
        points = self.services.catalogue.points.of_plan(self.plan.name)
        known = [p for p in points if p.available_at < listed_at]
        note_listing(
            self.services, self.plan.name, self.source, listing, known=known, listed_at=listed_at
        )

    def _reconcile(
        self,
        points: Sequence[RestorePoint],
        held: Mapping[str, str],
        unreadable: Mapping[str, str],
        listed_at: datetime,
    ) -> None:
        """Correct the catalogue by the listing: a run may have died before it could record a point,
        and somebody may have removed one. A point to which something `unreadable` may belong stays.
        """
        known = {p.id: p.repositories[self.spec.name] for p in points if self._records(p)}
        news = {i: m for i, m in held.items() if known.get(i) != m}
        if news:
            self._record(news)
        gone = [i for i in known if i not in held] if not unreadable else []
        record_missing(self.services, self.plan.name, self.spec.name, gone, listed_at)

    def _records(self, point: RestorePoint) -> bool:
        return self.spec.name in point.repositories

    def _record(self, manifests: Mapping[str, str]) -> None:
        now = self.services.clock.now()
        if self.is_damaged:  # before they are known to be there, so that they never count
            self.services.catalogue.health.record_doubtful(
                self.plan.name, self.spec.name, list(manifests), now
            )
        self.services.catalogue.copies.record(self.runner.owned, self.spec.name, manifests, now)
        self.services.catalogue.health.record_missing(
            self.plan.name, self.spec.name, {}, list(manifests), now
        )

    def _copy(self, batch: Sequence[RestorePoint], source: SnapshotsByRun) -> None:
        """Copy points together; one by one if one of them is damaged, for the sake of the
        others.
        """
        first, *older = batch
        name = f"copy {first.id}" + (f" and {len(older)} older" if older else "")
        try:
            self.runner.step(name, "copy", lambda: self._copied(batch, source), subject=first.id)
        except (RepositoryDamaged, PointGone) as error:
            if older:
                for point in batch:
                    self._copy([point], source)
            else:
                self._on_point_not_copied(first, error)

    def _copied(self, batch: Sequence[RestorePoint], source: SnapshotsByRun) -> CopyStepResult:
        size = sum(p.size_bytes for p in batch)
        ids = [i for p in batch for i in _in_order(p, source[p.id])]
        try:
            self.into.copy_from(
                self.source,
                ids,
                expected_bytes=size,
                deadline_s=self._time_left_s(),
                on_progress=self.services.on_progress,
            )
        finally:
            # Also after an error, so that a manifest never stands there without its point.
            arrived = self._note_arrived(batch)
        self.arrived |= {p.id: p for p in batch if p.id in arrived}
        missing = [p.id for p in batch if p.id not in arrived]
        if missing:
            raise _NotWhole(
                f"drd could not copy restore point {', '.join(missing)} completely to repository "
                f"{self.spec.name}",
                hint=f"the data to copy may be damaged. Check repository {self.copy_of}: drd "
                f"verify {self.plan.name} --repository {self.copy_of}",
            )
        return CopyStepResult(points=tuple(p.id for p in batch), bytes=size)

    def _note_trees(self, points: Sequence[RestorePoint], source: SnapshotsByRun) -> None:
        """Note the tree ids of the source's snapshots in the seal of each point. In the copy
        snapshots get other ids, and whoever has the copy's password can write which original they
        come from."""
        origins = self.services.catalogue.origins
        known, news = origins.seals(self.plan.name), []
        for seal in (known[p.id] for p in points if p.id in known):
            trees = {s.id: s.tree for s in source.get(seal.point, ()) if s.original is None}
            noted = seal.with_trees(trees)
            if noted != seal:
                news.append(noted)
        if news:
            origins.record_seals(self.plan.name, news)

    def _note_arrived(self, batch: Sequence[RestorePoint]) -> Mapping[str, str]:
        """Record the points of the batch that are complete there; a manifest of another point is
        forgotten.
        """
        listing = listings.listed(self.into, self.plan.name)
        there = self._by_run(self.into, listing)
        held = listings.whole_points(batch, there)
        kept = self._held_by_people()
        torn = [
            manifest.id
            for p in batch
            if p.id not in held
            and p.id not in kept
            and (manifest := listings.manifest(there.get(p.id, ()))) is not None
        ]
        if torn and not listing.unreadable and contested.contested(self.services) is None:
            self.into.forget(torn)
        self._record(held)
        return held

    def _held_by_people(self) -> Mapping[str, str]:
        holds = self.services.catalogue.keeping.holds(self.plan.name)
        return held_points(holds, self.services.clock.now())

    def _on_point_not_copied(
        self, point: RestorePoint, error: RepositoryDamaged | PointGone
    ) -> None:
        """Handle a point that cannot be copied; it is no error if retention forgot it meanwhile."""
        snapshots = self.source.snapshots(
            host=self.plan.name, tags=["drd", f"run:{point.id}"], fresh=True
        )
        if listings.manifest(snapshots) is not None:
            self.errors[point.id] = error
            if isinstance(error, RepositoryDamaged) and not isinstance(error, _NotWhole):
                note_damage(self.services, self.plan.name, point.id, {self.copy_of: error})
        else:
            self.services.note(
                f"restore point {point.id} was not copied: somebody removed it from repository "
                f"{self.copy_of} meanwhile"
            )

    def _torn(self, point: RestorePoint) -> RepositoryDamaged:
        return RepositoryDamaged(
            f"repository {self.copy_of} has the manifest of restore point {point.id}, but not all "
            "its snapshots",
            hint=f"find out who removed the snapshots, then: drd verify {self.plan.name} "
            f"--repository {self.copy_of}",
        )

    def _copy_own(self, listing: Sequence[SnapshotInfo], there: Sequence[SnapshotInfo]) -> None:
        """Copy drd's newest own catalogue and plans, which a host that lost everything
        begins with.
        """
        newest = listings.own(listing)[-1:]
        if not newest or listings.first_id(newest[0]) in listings.ids_here(there):
            return

        def effect() -> CopyStepResult:
            self.into.copy_from(self.source, [newest[0].id], deadline_s=self._time_left_s())
            return CopyStepResult()

        try:
            self.runner.step("copy drd", "copy", effect, subject=OWN_COMPONENT)
        except RepositoryDamaged as error:
            self.services.warn(f"drd's own catalogue was not copied: {error.message}")

    def _time_left_s(self) -> float:
        left_s = self.ends - self.services.clock.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded(
                f"copying to repository {self.spec.name} did not finish in time",
                hint="the copied data stays in the repository, and the next run continues.",
            )
        return left_s

    def _finish(self, held: int) -> CopyOutcome:
        errors = self.errors | {f"the log of {n}": e for n, e in self.logs.errors.items()}
        state = RunState.FAILED if errors else RunState.SUCCEEDED
        why = joined({what: describe(error) for what, error in errors.items()})
        self.services.catalogue.runs.finish(
            self.runner.owned,
            state,
            at=self.services.clock.now(),
            error=why.text if why is not None else None,
            detail=CopyDetail(
                remedy=(why.remedy or None) if why is not None else None,
                copied=tuple(self.arrived),
                bytes=sum(p.size_bytes for p in self.arrived.values()),
                permanent=all(map(is_permanent, errors.values())),
            ),
        )
        return CopyOutcome(
            self.runner.run.id,
            self.plan.name,
            self.spec.name,
            self.copy_of,
            state,
            tuple(self.arrived),
            held + len(self.arrived),
            dict(self.errors),
            self.logs,
        )


def _in_order(point: RestorePoint, snapshots: Sequence[SnapshotInfo]) -> list[str]:
    """Return what to copy of a point, by ids in the source: the manifest last."""
    here = listings.ids_here(snapshots)
    sealed = listings.manifest(snapshots)
    assert sealed is not None  # it is whole
    return [*(here[i] for i in listings.component_ids(point)), sealed.id]


def _batches(points: Sequence[RestorePoint]) -> Iterator[Sequence[RestorePoint]]:
    if points:
        yield points[:1]
    for start in range(1, len(points), BATCH):
        yield points[start : start + BATCH]
