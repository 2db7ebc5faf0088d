"""A drill: a restore point is restored into a sandbox, checked and measured; then the sandbox is
removed.

It runs the steps of a recovery. What could not be executed is inconclusive, never passed and never
failed; what was restored wrong, or not at all, is failed."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import (
    ConfigError,
    DeadlineExceeded,
    DrdError,
    KitDamaged,
    KitUnavailable,
    NoRestorePoint,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    SandboxUnavailable,
    SecretUnavailable,
    TargetUnwritable,
    ToolError,
    UsageError,
    WrongKey,
)
from drd.flows.component_names import require_components
from drd.flows.drill.coverage import unproven
from drd.flows.drill.fence import fenced, report
from drd.flows.drill.host_loss import HOST_LOSS, HostFromKit, KitAt, does_not_open
from drd.flows.durable_steps import Runner, describe, new_run
from drd.flows.host.tools import tools
from drd.flows.repository.identity import probe_repository
from drd.flows.repository.missing import forgotten_since
from drd.flows.repository.observed_state import note_damage
from drd.flows.restore import components
from drd.flows.restore.point_choice import Choice, choose, drill_choice, drill_scenario
from drd.flows.restore.repository_choice import Holders, left_in
from drd.flows.runbook.engine import Engine, failed_steps, failures, rehearsed
from drd.flows.runbook.step_runner import StepRunner
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.flows.state.run_dirs import (
    believed_directory,
    run_directory,
    sandbox_place,
    swept_afterwards,
)
from drd.model.facts import Unproven
from drd.model.plan import Plan
from drd.model.recovery_phases import Span, split
from drd.model.run import (
    PARTIAL_DRILL,
    CheckResult,
    DrillResult,
    Evidence,
    RunKind,
    RunState,
    drill_result,
)
from drd.model.run_details import DrillDetail
from drd.model.runbook import SANDBOX, Circumstances
from drd.model.snapshot import RestorePoint
from drd.model.text import one_line
from drd.ports import Destination
from drd.process import background

_INCONCLUSIVE = (
    SandboxUnavailable,
    KitUnavailable,
    RepositoryError,
    SecretUnavailable,
    ToolError,
)
"""Errors that prove nothing about the backup: the drill could not run."""

_KIT_IS_NO_GOOD = (KitDamaged, WrongKey, ConfigError)
"""With this kit nothing can be restored, whatever the repositories contain."""


class _NoHost(Exception):
    """The kit does not serve its purpose."""

    def __init__(self, error: DrdError) -> None:
        super().__init__(error.message)
        self.error = error


Shown = Callable[["DrillOutcome", dict[str, Destination]], None]


@dataclass(frozen=True, slots=True)
class DrillOutcome:
    """The measurements; `restoration` has notes for a person; `error` says why it was inconclusive.
    `failed_steps` are those that failed by themselves, and were not skipped."""

    evidence: Evidence
    restoration: components.Restoration | None
    choice: Choice | None
    error: DrdError | None = None
    failed_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """`point` is an id, `latest`, `random`, or None for the plan's drill policy, as is
    a `scenario` of None. If `repository` is given, only that is read.
    `components` alone are restored, none: all; a part proves nothing about the whole service.
    `keep` is
    called before the sandboxes are removed. `kit` is what a loss of the
    host leaves, None for the copy that the plan or drd.yaml name."""

    point: str | None = None
    scenario: str | None = None
    repository: str | None = None
    trigger: str = "manual"
    keep: Shown | None = None
    kit: KitAt | None = None
    components: tuple[str, ...] = ()

    def only(self, plan: Plan) -> tuple[str, ...] | None:
        """Return the repositories that may be used; None for all. Raises UsageError."""
        return left_in(plan, self.repository, self.scenario)


def drill(services: Services, plan: Plan, request: DrillRequest) -> DrillOutcome:
    """Rehearse the recovery of `plan`. Raises NoRestorePoint when there is none, after recording
    the run; every other end of the drill is an outcome."""
    crash_cleanup.settle(services, plan)
    if request.scenario is None:
        request = replace(request, scenario=drill_scenario(services, plan))
    request.only(plan)
    require_components(plan.name, plan.components, request.components)
    if request.kit is not None and request.scenario != HOST_LOSS:
        raise UsageError(
            f"only a drill of host-loss uses a kit, not one of {request.scenario}",
            hint=f"drd drill {plan.name} --scenario {HOST_LOSS} --kit FILE …",
        )
    detail = DrillDetail(
        scenario=request.scenario, point=request.point, components=request.components
    )
    with (
        new_run(
            services,
            plan,
            RunKind.DRILL,
            trigger=request.trigger,
            detail=detail,
            # With its own name it does not replace a drill that the schedule wants.
            subject=", ".join(request.components),
        ) as runner,
        swept_afterwards(services, runner.run.id),
        ExitStack() as sandboxes,
    ):
        return _DrillRun(services, plan, request, runner, sandboxes).execute()


class _DrillRun:
    """The phases of one drill, in order."""

    def __init__(
        self,
        services: Services,
        plan: Plan,
        request: DrillRequest,
        runner: Runner,
        sandboxes: ExitStack,
    ) -> None:
        self.services = services
        self.plan = plan
        self.request = request
        self.runner = runner
        self.sandboxes = sandboxes
        self.only = request.only(plan)
        self.regained: HostFromKit | None = None
        self.regaining: Span | None = None
        self.rows: list[CheckResult] = []
        self.t0: datetime = services.clock.now()
        self.choice: Choice | None = None
        self.work: components.Restoration | None = None
        self.engine: Engine | None = None
        self.tools: Future[Mapping[str, str]] | None = None
        self.box: process.Sandbox | None = None
        self.ended = 0.0

    def execute(self) -> DrillOutcome:
        try:
            self._rehearse()
        except _NoHost as lost:
            error = lost.error
            self.rows.append(does_not_open(one_line(describe(error))))
            return self._record(self._evidence(DrillResult.FAILED, describe(error)), error)
        except (RepositoryDamaged, PointGone) as error:
            return self._unreadable(error)
        except NoRestorePoint as error:
            if self.request.scenario == "database-loss":
                raise
            # There are points, but not in the repositories of this scenario.
            return self._record(self._evidence(DrillResult.INCONCLUSIVE, describe(error)), error)
        except _INCONCLUSIVE as error:
            return self._record(self._evidence(DrillResult.INCONCLUSIVE, describe(error)), error)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            full = SandboxUnavailable(
                f"no space left for the sandbox: {error.filename or self.services.work_dir}",
                hint="free space, or set work_dir to a larger disk.",
            )
            return self._record(self._evidence(DrillResult.INCONCLUSIVE, describe(full)), full)
        assert self.work is not None  # what was begun
        why = self._nothing_learnt(list(self.work.errors.values()))
        if why is not None:
            return self._record(self._evidence(DrillResult.INCONCLUSIVE, describe(why)), why)
        self.work.checks[:0] = components.restore_failures(self.work)
        self.work.checks += [*components.passed_over(self.work), *self.engine_rows()]
        self._note_damage(self.work)
        result = drill_result([*self.rows, *self.work.checks])
        outcome = self._record(self._evidence(result, None), None)
        if self.request.keep is not None:
            self.request.keep(outcome, dict(self.work.destinations))
        return outcome

    def _note_damage(self, work: components.Restoration) -> None:
        damaged = work.holders.damaged
        note_damage(self.services, self.plan.name, work.point.id, damaged)

    def _rehearse(self) -> None:
        self.box = self.sandboxes.enter_context(fenced(self.services, self.plan))
        if self.request.scenario == HOST_LOSS:
            self._lose_the_host()
        self.choice = self._choose()
        # Recorded, so that a concurrent retention keeps it.
        chosen = {"point": self.choice.point.id}
        self.runner.step("choose point", "choose", lambda: chosen)
        destinations = self._sandboxes(self.choice)
        self.work = self._begin(self.choice.point, destinations)
        self._carry_out(self.work)

    def _lose_the_host(self) -> None:
        """From here on use the kit's plan, and what its secrets open; only the record
        stays ours."""
        clock = self.services.clock
        begun = clock.monotonic()
        place = run_directory(self.services, self.runner.run.id) / "host"
        regaining = self.services.regain(self.plan, self.request.kit, place)

        def effect() -> Mapping[str, Any]:
            self.regained = self.sandboxes.enter_context(regaining)
            return self.regained.detail

        try:
            self.runner.step("open the kit", "kit", effect)
        except _KIT_IS_NO_GOOD as error:
            raise _NoHost(error) from error
        assert self.regained is not None
        self.regaining = Span("fetch", begun, clock.monotonic())
        self.rows += self.regained.rows()
        self.plan = self.regained.plan
        self.services = replace(
            self.services, open_repository=self.regained.services.open_repository
        )

    def _begin(
        self, point: RestorePoint, destinations: Mapping[str, Destination]
    ) -> components.Restoration:
        cache = components.cold(self.services, self.runner.run.id)
        held = Holders(self.services, self.plan, point, only=self.only, cache=cache)
        work = components.begin(self.runner, held, destinations)
        work.box = self.box
        if self.regaining is not None:
            work.begun = self.regaining.begin
            work.spans.append(self.regaining)
        return work

    def _carry_out(self, work: components.Restoration) -> None:
        """Run the runbook; the clock stops at its end, and what it has started is ended."""
        directory = believed_directory(self.services, self.runner.run.id) / "started"
        pool = self.sandboxes.enter_context(ThreadPoolExecutor(1, thread_name_prefix="drd-tools"))
        self.tools = pool.submit(tools, self.services, self.plan, work.point)
        self.sandboxes.callback(_end_started, directory)
        around = Circumstances(str(self.request.scenario), SANDBOX, self.request.components)
        self.engine = Engine(work, StepRunner(work, around, directory, drill=True))
        try:
            self.engine.execute()
        finally:
            self.ended = self.services.clock.monotonic()

    def engine_rows(self) -> list[CheckResult]:
        return failures(self.engine) if self.engine is not None else []

    def _unreadable(self, error: RepositoryDamaged | PointGone) -> DrillOutcome:
        """The point's manifest cannot be read, so it cannot be restored: a failure, unless the
        repository is not the expected one."""
        if self.work is None:
            return self._record(self._evidence(DrillResult.FAILED, describe(error)), error)
        try:
            for repository in self.work.holders.repositories:
                probe_repository(self.services, repository)
            other = self._forgotten()
        except RepositoryError as elsewhere:
            other = elsewhere
        if other is not None:
            return self._record(self._evidence(DrillResult.INCONCLUSIVE, describe(other)), other)
        self._note_damage(self.work)
        return self._record(self._evidence(DrillResult.FAILED, describe(error)), error)

    def _nothing_learnt(self, errors: list[DrdError]) -> DrdError | None:
        """Why components were not restored, if that proves nothing about the backup."""
        if errors and all(_says_nothing(e) for e in errors):
            return errors[0]
        return self._forgotten() if errors else None

    def _forgotten(self) -> RepositoryError | None:
        """Why the point is missing, if that proves nothing about the others."""
        assert self.work is not None
        places = self.work.holders.repositories
        return forgotten_since(self.services, self.plan.name, self.work.point.id, places, self.t0)

    def _choose(self) -> Choice:
        services = self.services if self.regained is None else self.regained.services
        if self.request.point is None:
            return drill_choice(services, self.plan, held_by=self.only)
        return choose(services, self.plan, point=self.request.point, held_by=self.only)

    def _sandboxes(self, choice: Choice) -> dict[str, Destination]:
        """One sandbox for each component of the point; they close last, even after a crash of the
        rest."""
        made: dict[str, Destination] = {}
        wanted = self.request.components or tuple(self.plan.components)
        for name, component in self.plan.components.items():
            if name not in wanted:
                continue
            snapshot = choice.point.component(name)
            if snapshot is None or snapshot.snapshot is None:
                raise NoRestorePoint(
                    f"restore point {choice.point.id} does not contain {name}",
                    hint=f"use a complete one: drd points {self.plan.name}",
                )
            place = sandbox_place(self.services, self.runner.run.id, component, self.box)
            made[name] = self.services.kinds(component.kind).sandbox(component, snapshot, place)
            self.sandboxes.callback(components.close, made[name])
        return made

    def _evidence(self, result: DrillResult, reason: str | None) -> Evidence:
        point = self.choice.point if self.choice else None
        work = self.work
        through = self.engine is None or self.engine.outcome.through
        back = work is not None and not work.errors and reason is None and through
        begun = work.begun if work is not None else 0.0
        coverage, left_out = rehearsed(self.engine) if self.engine is not None else (None, ())
        return Evidence(
            id=f"{(point.id if point else self.runner.run.id)[:4]}-{self.runner.run.id}",
            run=self.runner.run.id,
            plan=self.plan.name,
            point=point.id if point else None,
            scenario=PARTIAL_DRILL if self.request.components else str(self.request.scenario),
            target=SANDBOX if self.request.components else None,
            result=result,
            plan_digest=self.regained.digest if self.regained else self.plan.digest,
            started_at=self.t0,
            finished_at=self.services.clock.now(),
            rpa_s=(self.t0 - point.data_time).total_seconds() if point and back else None,
            rta_s=round(self.ended - begun, 3) if back else None,
            judged=bool(self.choice and self.choice.newest),
            phases=split(work.spans, begun, self.ended, idle="serve") if work and back else {},
            checks=(*self.rows, *(work.checks if work is not None else ())),
            not_rehearsed=left_out,
            restored_bytes=sum(c.bytes for c in point.components if c.component in work.restored)
            if point and back and work is not None
            else 0,
            reason=reason,
            coverage=coverage,
            data_time=point.data_time if point else None,
            repository=self.request.repository or "",
            given_by=tuple(work.holders.used) if work is not None else (),
            unproven=self._unproven(),
            fence=report(self.box, self.plan) if self.box is not None else None,
        )

    def _unproven(self) -> tuple[Unproven, ...]:
        if self.work is None or self.engine is None or self.request.components:
            return ()
        return unproven(self.work, self.engine)

    def _record(self, evidence: Evidence, error: DrdError | None) -> DrillOutcome:
        catalogue, owned = self.services.catalogue, self.runner.owned
        catalogue.evidence.record(owned, evidence)
        failed = evidence.result is DrillResult.FAILED
        catalogue.runs.finish(
            owned,
            RunState.FAILED if failed or error is not None else RunState.SUCCEEDED,
            at=self.services.clock.now(),
            error=_why(evidence),
            detail=DrillDetail(
                result=str(evidence.result),
                point=evidence.point,
                bytes=evidence.restored_bytes,
                fence=evidence.fence,
                tools=self.tools.result() if self.tools is not None else {},
                # Data that was restored wrong will be wrong again; what could not be tried may work
                # next time.
                permanent=failed or (error is not None and error.permanent),
            ),
        )
        steps = failed_steps(self.engine) if self.engine is not None else ()
        return DrillOutcome(evidence, self.work, self.choice, error, steps)


def _says_nothing(error: DrdError) -> bool:
    """Return whether a component that was not restored may still be restorable elsewhere, or the
    next time."""
    lost = isinstance(error, RepositoryDamaged | PointGone)
    return isinstance(error, TargetUnwritable | RepositoryError | DeadlineExceeded) and not lost


def _why(evidence: Evidence) -> str | None:
    if evidence.reason is not None:
        return evidence.reason
    failed = [c.name for c in evidence.checks if c.verdict == "failed"]
    return f"failed: {', '.join(failed)}" if failed else None


def _end_started(directory: Path) -> None:
    with process.shielded():
        background.end_all(directory)
