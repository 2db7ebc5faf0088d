"""One backup run makes one restore point.

The components are captured side by side, then the manifest makes the point exist, then the
catalogue remembers it. A component that failed makes the point incomplete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from drd import log, process
from drd.errors import Cancelled, DrdError, Fenced, RepositoryError
from drd.exhaustion import exhausted
from drd.extension_faults import FOREIGN
from drd.flows.backup import own_files
from drd.flows.backup.capture import Captured, CaptureOrder, capture, failed, tags
from drd.flows.backup.earlier_snapshots import check_earlier_snapshots, warn_of_damage
from drd.flows.backup.together import Together
from drd.flows.component_names import require_components
from drd.flows.durable_steps import Runner, describe, is_permanent, new_run
from drd.flows.repository import adopted
from drd.flows.repository.drd_keys import endorsements
from drd.flows.repository.identity import confirm_or_initialise
from drd.flows.repository.signatures import note_signature
from drd.flows.services import Services
from drd.flows.state import clock_trust, crash_cleanup
from drd.flows.state.restored_points import restored_points
from drd.flows.state.run_removal import swept_afterwards
from drd.model.cause import Cause, joined
from drd.model.clock import SYNCHRONISE, doubt
from drd.model.consistency import Spread, measured, together, too_wide
from drd.model.manifest import manifest_digest
from drd.model.manifest_signature import signed_manifest
from drd.model.plan import Component, Plan
from drd.model.run import RunKind, RunState
from drd.model.run_details import BackupDetail
from drd.model.seals import seal_of
from drd.model.snapshot import (
    MANIFEST_FILE,
    ComponentSnapshot,
    MadeDuring,
    Manifest,
    RestorePoint,
)
from drd.model.step_record import CAPTURE
from drd.model.step_results import CaptureStepResult, ManifestStepResult, PreflightStepResult
from drd.ports import Repository
from drd.registry import KINDS

MANIFEST_TAG = "manifest"


@dataclass(frozen=True, slots=True)
class BackupOutcome:
    """The result of a backup run. `point` is None when nothing could be captured. `components` has
    for each failed component the reason, `consistency` how far apart the data times of groups are;
    `exit_code` is the exit code of the first error."""

    run: str
    plan: str
    state: RunState
    point: RestorePoint | None
    components: tuple[ComponentSnapshot, ...]
    exit_code: int = DrdError.exit_code
    consistency: tuple[Spread, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """The request for a backup; no `components` means all components of the plan."""

    components: tuple[str, ...] = ()
    trigger: str = "manual"
    accept_size: bool = False

    def chosen(self, plan: Plan) -> list[Component]:
        require_components(plan.name, plan.components, self.components)
        return [
            c for n, c in plan.components.items() if not self.components or n in self.components
        ]


def backup(services: Services, plan: Plan, request: BackupRequest) -> BackupOutcome:
    """Back up a plan. Raises AlreadyRunning while another process does; a component's failure is in
    the outcome, the failure of the whole run is raised after it was recorded."""
    adopted.refuse(plan, "make any")
    chosen = request.chosen(plan)
    clock_trust.jumped_s(services)  # a later check compares with its present value
    _warn_of_clock(services, plan)
    crash_cleanup.settle(services, plan)
    detail = BackupDetail(components=tuple(c.name for c in chosen))
    with (
        new_run(services, plan, RunKind.BACKUP, trigger=request.trigger, detail=detail) as runner,
        swept_afterwards(services, runner.run.id),
    ):
        return _BackupRun(services, plan, request, chosen, runner).execute()


def _warn_of_clock(services: Services, plan: Plan) -> None:
    """Warn if the point will get a date that is evidently wrong: nothing corrects it later."""
    newest = next(iter(services.catalogue.points.of_plan(plan.name)), None)
    at, what = (newest.data_time, f"restore point {newest.id}") if newest else (None, "")
    if why := doubt(services.clock.now(), at, what):
        services.warn(f"{why}. Check the clock: timedatectl. If the clock is wrong, {SYNCHRONISE}")


class _BackupRun:
    """The phases of one backup run, in order."""

    def __init__(
        self,
        services: Services,
        plan: Plan,
        request: BackupRequest,
        chosen: list[Component],
        runner: Runner,
    ) -> None:
        self.services = services
        self.plan = plan
        self.request = request
        self.chosen = chosen
        self.runner = runner
        self.repository: Repository = services.open_repository(plan.primary)
        self.deadline = services.clock.monotonic() + plan.backup.timeout_s
        self.captured: dict[str, Captured] = {}
        self.errors: dict[str, BaseException] = {}
        self.together = self._together()

    def _together(self) -> Together:
        chosen = {component.name: component for component in self.chosen}
        at_end = {n for n, c in chosen.items() if KINDS[c.kind].dated_at_end(c.settings)}
        clock = self.services.clock
        return Together(
            together(self.plan.consistency, chosen),
            at_end,
            self.services.parallel,
            lambda: self.deadline - clock.monotonic(),
        )

    def execute(self) -> BackupOutcome:
        with ThreadPoolExecutor(1, thread_name_prefix="drd-repository") as pool:
            # The repository and the sources are checked at the same time: both take a while.
            confirmed = pool.submit(self._confirm)
            rows = self._capture_all(confirmed)
            confirmed.result()
        process.check_cancelled()
        if not self.captured:
            return self._finish(rows, None)
        outcome = self._finish(rows, self._seal(rows))
        # The run is over and recorded: a cancel from here on changes nothing.
        with suppress(Cancelled):
            own_files.store_if_due(self.services, self.plan, self.repository, self.runner.run.id)
        return outcome

    def _confirm(self) -> PreflightStepResult:
        def effect() -> PreflightStepResult:
            made = confirm_or_initialise(self.services, self.repository)
            return PreflightStepResult(repository=made)

        return self.runner.step("repository", "preflight", effect)

    def _capture_all(self, confirmed: Future[PreflightStepResult]) -> list[ComponentSnapshot]:
        first = sorted(self.chosen, key=lambda c: c.name not in self.together)
        with ThreadPoolExecutor(self.together.threads, thread_name_prefix="drd-capture") as pool:
            rows = pool.map(lambda c: self._capture_one(c, confirmed), first)
            by_name = {row.component: row for row in rows}
        return [by_name[component.name] for component in self.chosen]

    def _capture_one(
        self, component: Component, confirmed: Future[PreflightStepResult]
    ) -> ComponentSnapshot:
        order = CaptureOrder(
            self.plan,
            component,
            self.runner.run.id,
            self.repository,
            self.deadline,
            self.request.accept_size,
            confirmed,
            self.together,
        )

        def effect() -> CaptureStepResult:
            taken = capture(self.services, order)
            self.captured[component.name] = taken
            return CaptureStepResult.of(taken.snapshot)

        try:
            name = component.name
            with self.together.capturing(name):
                self.runner.step(f"capture {name}", CAPTURE, effect, subject=name)
        except Fenced:
            raise
        except FOREIGN as raised:
            # Also a bug in drd: it must not keep the other components from their backup.
            error = exhausted(raised, self.services.work_dir) or raised
            if not isinstance(error, DrdError):
                log.get().error("backup.component", component=component.name, exc_info=raised)
            self.errors[component.name] = error
            self.captured.pop(component.name, None)
            return failed(component, describe(error))
        return self.captured[component.name].snapshot

    def _seal(self, rows: Sequence[ComponentSnapshot]) -> RestorePoint:
        """Store the manifest: from here on the point exists. Fails if others have removed its
        snapshots meanwhile; they may have taken this run for dead."""
        self._require_still_there(rows)
        draft = self._draft(rows)
        manifest = Manifest(
            draft,
            self.plan.resolved,
            self.services.versions,
            {name: taken.private for name, taken in self.captured.items() if taken.private},
            keys=endorsements(self.services.catalogue),
        )

        data = self._signed(manifest.to_bytes())

        def effect() -> ManifestStepResult:
            stored = self.repository.store_bytes(
                data,
                MANIFEST_FILE,
                host=self.plan.name,
                tags=tags(self.runner.run.id, self.plan.name, MANIFEST_TAG),
            )
            return ManifestStepResult(snapshot=stored.snapshot)

        result = self.runner.step("manifest", "manifest", effect)
        point = replace(
            draft,
            available_at=self.services.clock.now(),
            repositories={self.plan.primary.name: str(result.snapshot)},
        )
        catalogue = self.services.catalogue
        with catalogue.together():
            catalogue.points.record(point, owned=self.runner.owned, ids=self._ids())
            catalogue.origins.record_seals(point.plan, [seal_of(point, manifest_digest(data))])
            note_signature(self.services, point.plan, point.id, data)
        return point

    def _signed(self, data: bytes) -> bytes:
        """Return the manifest with its signature. A key that cannot be read prevents no backup."""
        records, now = self.services.catalogue.records, self.services.clock.now()
        signer = records.signer(now)
        run, plan = self.runner.run.id, self.plan.name
        if signer is not None:
            return signed_manifest(data, plan, run, signer.public.id, signer.sign)
        if records.current_key():
            self.services.warn(
                f"restore point {run} is not signed, because drd cannot read its key. To see why: "
                "drd records key"
            )
        return data

    def _ids(self) -> Mapping[str, str | None]:
        """Return the repositories that this run's plan means: the plan may have another address
        meanwhile."""
        repository_id = self.services.catalogue.repositories.id_of(self.repository.url)
        return {self.plan.primary.name: repository_id}

    def _require_still_there(self, rows: Sequence[ComponentSnapshot]) -> None:
        stored = {row.snapshot: row.component for row in rows if row.snapshot is not None}
        if (
            check_earlier_snapshots(self.services, self.plan, self.repository, self.deadline)
            is None
        ):
            warn_of_damage(self.services, self.plan, self.repository.name)
        gone = self.repository.missing(list(stored))
        if gone:
            names = ", ".join(stored[snapshot] for snapshot in gone)
            raise RepositoryError(
                f"the snapshot of {names} that this run has just stored is no longer in "
                "the repository",
                hint="find out who removed the snapshot: a copy of this machine or of drd's "
                "state, or a retention rule of someone else. Run drd doctor to see whether "
                "this state is a copy.",
            )

    def _draft(self, rows: Iterable[ComponentSnapshot]) -> RestorePoint:
        rows = tuple(rows)
        times = [row.data_time for row in rows if row.data_time is not None]
        spreads = self._spreads(rows)
        complete = len(self.captured) == len(self.plan.components) and not too_wide(spreads)
        point = RestorePoint(
            id=self.runner.run.id,
            plan=self.plan.name,
            data_time=min(times),
            available_at=self.services.clock.now(),
            complete=complete,
            plan_digest=self.plan.digest,
            components=rows,
            consistency=spreads,
        )
        return replace(point, made_during=self._during(point))

    def _spreads(self, rows: Iterable[ComponentSnapshot]) -> tuple[Spread, ...]:
        return measured(self.plan.consistency, {row.component: row.data_time for row in rows})

    def _during(self, point: RestorePoint) -> MadeDuring | None:
        """Return the unfinished recovery whose data the point has. The manifest says it to a host
        that has lost the recovery's run."""
        held = restored_points(self.services.catalogue, self.plan.name, [point]).get(point.id)
        if held is None or held.undone:
            return None
        names = ", ".join(held.components)
        self.services.warn(
            f"recovery {held.run} is not finished and has already restored {names}{held.part}. "
            f"Restore point {point.id} has this data, and is marked `{held.words()}`. To see how "
            f"to finish the recovery, or to end it: drd run show {held.run}"
        )
        return MadeDuring(held.run, held.components, held.whole)

    def _finish(
        self, rows: Sequence[ComponentSnapshot], point: RestorePoint | None
    ) -> BackupOutcome:
        spreads = point.consistency if point is not None else ()
        causes = {name: describe(error) for name, error in self.errors.items()}
        causes |= {
            s.names: Cause(s.words, remedy=s.remedy(self.plan.name)) for s in too_wide(spreads)
        }
        if point is None:
            state = RunState.FAILED
        else:
            state = RunState.INCOMPLETE if causes else RunState.SUCCEEDED
        why = joined(causes)
        self.services.catalogue.runs.finish(
            self.runner.owned,
            state,
            at=self.services.clock.now(),
            error=why.text if why is not None else None,
            detail=BackupDetail(
                remedy=(why.remedy or None) if why is not None else None,
                point=point.id if point else None,
                bytes=sum(row.bytes for row in rows),
                permanent=bool(self.errors) and all(map(is_permanent, self.errors.values())),
                consistency=spreads,
            ),
        )
        first = next(iter(self.errors.values()), None)
        code = first.exit_code if isinstance(first, DrdError) else DrdError.exit_code
        run, plan = self.runner.run.id, self.plan.name
        return BackupOutcome(run, plan, state, point, tuple(rows), code, spreads)
