"""A drill: a restore point is restored into a sandbox, checked and measured; then the sandbox is
removed.

It runs the steps of a recovery. If something could not be executed, the drill is inconclusive,
never passed and never failed. If data was restored wrong, or not at all, the drill has failed."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from drd import process
from drd.errors import (
    ConfigError,
    DrdError,
    KitDamaged,
    KitUnavailable,
    ManifestRefused,
    NoRestorePoint,
    NotSupported,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    SandboxUnavailable,
    SecretUnavailable,
    ToolError,
    UsageError,
    WrongKey,
)
from drd.extension_faults import attributed
from drd.flows.component_names import require_components
from drd.flows.components import restoration
from drd.flows.components.fence import drill_fences
from drd.flows.components.in_place import Mounts
from drd.flows.components.repository_choice import Holders
from drd.flows.components.restored_checks import ROLLED
from drd.flows.components.tools import tool_versions
from drd.flows.drill import instant
from drd.flows.drill.host_loss import HOST_LOSS, HostFromKit, does_not_open
from drd.flows.drill.instant import amount
from drd.flows.drill.operator import given_name, require_possible
from drd.flows.drill.phases import (
    FencesReady,
    HostReady,
    Phase,
    PointChosen,
    RunBegun,
    RunbookBegun,
    RunbookEnded,
)
from drd.flows.drill.request import DrillOutcome, DrillRequest
from drd.flows.drill.result import end_run, inconclusive, judge, refused, unreadable
from drd.flows.durable_steps import describe, new_run
from drd.flows.log.asked import rehearsing
from drd.flows.log.orders import LogOrder
from drd.flows.repository.manifests import require_sound
from drd.flows.restore.point_choice import (
    Choice,
    choose,
    drill_choice,
    drill_scenario,
    require_held,
)
from drd.flows.runbook.engine import Engine
from drd.flows.runbook.restoring import Restoring, evidence_rows
from drd.flows.runbook.step_runner import StepRunner
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.flows.state.run_dirs import believed_directory, run_directory, sandbox_place
from drd.flows.state.run_removal import swept_afterwards
from drd.model.plan import OPERATOR, SCENARIOS, Component, Plan
from drd.model.recovery_phases import Span
from drd.model.run import (
    CheckResult,
    DrillResult,
    RunKind,
    StepState,
)
from drd.model.run_details import DrillDetail
from drd.model.runbook import SANDBOX, Circumstances
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.model.step_results import ChoiceStepResult, KitStepResult
from drd.model.text import some
from drd.ports import Ability, Destination, Kind, Repository, Workplace
from drd.process import background
from drd.registry import KINDS

_INCONCLUSIVE = (
    SandboxUnavailable,
    KitUnavailable,
    RepositoryError,
    SecretUnavailable,
    ToolError,
)
"""Errors that prove nothing about the backup: the drill could not run."""

_KIT_IS_NO_GOOD = (KitDamaged, WrongKey, ConfigError)
"""Errors which mean that nothing can be restored with this kit, whatever the repositories contain.
"""


class _NoHost(Exception):
    """The kit does not serve its purpose."""

    def __init__(self, error: DrdError) -> None:
        super().__init__(error.message)
        self.error = error


def drill(services: Services, plan: Plan, request: DrillRequest) -> DrillOutcome:
    """Rehearse the recovery of `plan`. Raises NoRestorePoint when there is no point, after
    recording the run; for a named point that the plan's repositories do not hold, before recording
    it, because this says nothing about the plan. Every other end of the drill is an outcome."""
    crash_cleanup.settle(services, plan)
    if request.scenario is None:
        request = replace(request, scenario=drill_scenario(services, plan))
    only = request.only(plan)
    if request.point is not None and request.scenario != HOST_LOSS:
        require_held(services, plan, request.point, held_by=only)
    require_components(plan.name, plan.components, request.components)
    require_possible(services, plan, request)
    if request.kit is not None and request.scenario != HOST_LOSS:
        raise UsageError(
            f"--kit is allowed only with the scenario {HOST_LOSS}, not with {request.scenario}",
            hint=f"leave out --kit. Or drill this scenario: drd drill {plan.name} --scenario "
            f"{HOST_LOSS} --kit FILE …",
        )
    by_people = request.scenario == OPERATOR
    detail = DrillDetail(
        scenario=request.scenario,
        point=request.point,
        components=request.components,
        by=given_name(services, request) if by_people else None,
        blind=request.blind,
    )
    with (
        new_run(
            services,
            plan,
            RunKind.DRILL,
            trigger=request.trigger,
            detail=detail,
            # With its own name it does not replace a drill that the schedule wants.
            subject=OPERATOR if by_people else ", ".join(request.components),
        ) as runner,
        swept_afterwards(services, runner.run.id),
        ExitStack() as sandboxes,
    ):
        begun = RunBegun(services, plan, request, runner, services.clock.now(), request.only(plan))
        return _execute(begun, sandboxes)


def _execute(begun: RunBegun, sandboxes: ExitStack) -> DrillOutcome:
    rehearsal = _Rehearsal(begun, sandboxes)
    try:
        restored = rehearsal.run()
    except _NoHost as lost:
        evidence = rehearsal.reached.evidence(DrillResult.FAILED, describe(lost.error))
        row = does_not_open(describe(lost.error).line)
        return end_run(rehearsal.reached, replace(evidence, checks=(row,)), lost.error)
    except (RepositoryDamaged, PointGone) as error:
        reached = rehearsal.reached
        if isinstance(reached, PointChosen) and isinstance(error, ManifestRefused):
            return refused(reached, error)
        return unreadable(reached, error)
    except NoRestorePoint as error:
        if begun.request.scenario == "database-loss":
            raise
        # There are points, but not in the repositories of this scenario.
        return inconclusive(rehearsal.reached, error)
    except _INCONCLUSIVE as error:
        return inconclusive(rehearsal.reached, error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        full = SandboxUnavailable(
            f"no space left for the sandbox: {error.filename or begun.services.work_dir}",
            hint="free space, or set `work_dir` in drd.yaml to a directory on a larger disk.",
        )
        return inconclusive(rehearsal.reached, full)
    return judge(restored)


R = TypeVar("R", bound=Phase)
_BEFORE = ("kit", "choose")
"""The kinds of the steps that come before the restore of a drill."""


class _Rehearsal:
    """Goes through the phases. `reached` is the last one that was completed."""

    def __init__(self, begun: RunBegun, sandboxes: ExitStack) -> None:
        self.reached: Phase = begun
        self._whole: list[CheckResult] = []
        self._mounts = Mounts()
        self._logs: dict[str, LogOrder] = {}
        self._begun = begun
        self._sandboxes = sandboxes
        self._attempt = sandboxes

    def run(self) -> RunbookEnded:
        begun = self._begun
        fences = self._sandboxes.enter_context(drill_fences(begun.services, begun.plan))
        fenced = self._reach(FencesReady(begun, fences))
        is_lost = begun.request.scenario == HOST_LOSS
        host = self._reach(self._host_from_kit(fenced) if is_lost else _this_host(fenced))
        choice = _choose(host)
        how_much = amount(host.own_services, host.plan, begun.request)
        chosen = self._reach(PointChosen(host, choice, how_much))
        # Recorded, so that a concurrent retention keeps it.
        recorded = ChoiceStepResult(point=chosen.choice.point.id)
        begun.runner.step("choose point", "choose", lambda: recorded)
        require_sound(host.work_services.kinds, choice.point, host.plan)
        restoring = self._reach(self._prepare(chosen))
        restoring.engine.execute()
        while damaged := self._mounts.damage():
            restoring.work.holders.damaged.update(damaged)
            again = self._elsewhere(restoring, damaged)
            if again is None:
                break
            restoring = again
        ended = begun.services.clock.monotonic()
        self._require_served(chosen)
        read = self._mounts.readings(restoring.work.restored)
        rows = (
            *evidence_rows(restoring.engine, restoring.work),
            *chosen.amount.row(),
            *self._whole,
            *instant.rows(read),
        )
        return self._reach(RunbookEnded(restoring, ended, rows, read))

    def _elsewhere(
        self, restoring: RunbookBegun, damaged: Mapping[str, RepositoryDamaged]
    ) -> RunbookBegun | None:
        """Drill again with another repository that has the restore point, after a server could not
        read a file of the mounted one. Return None if no other repository has it."""
        chosen, before = restoring.chosen, restoring.work.holders
        known = {*damaged, *before.ruled_out}
        if not any(r.name not in known and _has(r, before.point) for r in before.repositories):
            return None
        why = "; ".join(error.message for error in damaged.values())
        self._begun.services.warn(
            f"a check could not read the data in {some(list(damaged))}, so drd begins the drill "
            f"again with another repository: {why}"
        )
        self._attempt.close()
        for record in self._begun.services.catalogue.steps.of_run(self._begun.runner.run.id):
            if record.state is StepState.SUCCEEDED and record.kind not in _BEFORE:
                self._begun.runner.forget(record.name, f"its files were damaged: {why}")
        again = self._reach(self._prepare(chosen))
        holders = again.work.holders
        holders.damaged.update(before.damaged)
        for name, error in {**before.ruled_out, **damaged}.items():
            holders.rule_out(name, error)
        again.engine.execute(anew=True)
        return again

    def _require_served(self, chosen: PointChosen) -> None:
        """Raise SandboxUnavailable if a mounted restore point could not be read until the end. Then
        the results of the checks are left out: they are about the mount, not about the backup."""
        try:
            self._mounts.require_served()
        except SandboxUnavailable:
            self.reached = chosen
            raise

    def _reach(self, phase: R) -> R:
        self.reached = phase
        return phase

    def _host_from_kit(self, fenced: FencesReady) -> HostReady:
        """Open the kit: its plan counts from here on, and what its secrets open; only the record
        stays ours."""
        begun = self._begun
        clock = begun.services.clock
        started = clock.monotonic()
        place = run_directory(begun.services, begun.runner.run.id) / "host"
        opening = begun.services.kit.make_host(begun.plan, begun.request.kit, place)
        opened: list[HostFromKit] = []

        def effect() -> KitStepResult:
            opened.append(self._sandboxes.enter_context(opening))
            return opened[0].detail

        try:
            begun.runner.step("open the kit", "kit", effect)
        except _KIT_IS_NO_GOOD as error:
            raise _NoHost(error) from error
        [host] = opened
        return HostReady(
            fenced,
            host.plan,
            host.proof,
            replace(begun.services, open_repository=host.services.open_repository),
            host.services,
            tuple(host.rows()),
            (Span("fetch", started, clock.monotonic()),),
        )

    def _prepare(self, chosen: PointChosen) -> RunbookBegun:
        """Make the sandboxes, and all that the runbook needs; what it starts is ended."""
        host, begun = chosen.host, self._begun
        point, run = chosen.choice.point, begun.runner.run.id
        self._attempt = attempt = self._sandboxes.enter_context(ExitStack())
        self._whole, self._mounts = [], Mounts()
        # Unmounted after the servers have ended.
        attempt.callback(self._mounts.close)
        wanted = begun.request.components or tuple(host.plan.components)
        self._logs = _logs(chosen, [name for name in host.plan.components if name in wanted])
        destinations = self._destinations(chosen)
        cache = restoration.cold_cache(host.work_services, run)
        holders = Holders(host.work_services, host.plan, point, only=begun.only, cache=cache)
        work = restoration.begin(
            begun.runner,
            holders,
            destinations,
            fences=host.fenced.fences,
            logs=self._logs,
            mounts=self._mounts,
            before=host.spans,
        )
        pool = attempt.enter_context(ThreadPoolExecutor(1, thread_name_prefix="drd-tools"))
        versions = pool.submit(tool_versions, host.work_services, host.plan, point)
        directory = believed_directory(host.work_services, run) / "started"
        attempt.callback(_end_started, directory)
        scenario, by_people = str(begun.request.scenario), begun.request.scenario == OPERATOR
        circumstances = Circumstances(
            SCENARIOS[0] if by_people else scenario, SANDBOX, begun.request.components
        )
        surroundings = Restoring(work, circumstances, drill=True, by_people=by_people)
        engine = Engine(StepRunner(surroundings, directory))
        return RunbookBegun(chosen, work, engine, versions)

    def _destinations(self, chosen: PointChosen) -> dict[str, Destination]:
        """One sandbox for each component of the point; they close last, even after a crash of the
        rest."""
        host, begun, point = chosen.host, self._begun, chosen.choice.point
        made: dict[str, Destination] = {}
        wanted = begun.request.components or tuple(host.plan.components)
        for name, component in host.plan.components.items():
            if name not in wanted:
                continue
            snapshot = point.component(name)
            if snapshot is None or snapshot.snapshot is None:
                raise NoRestorePoint(
                    f"restore point {point.id} does not contain component {name}",
                    hint=f"if the component is new, make a point that contains it: drd backup "
                    f"{host.plan.name}. Or use another point: drd points {host.plan.name}",
                )
            services, run = host.work_services, begun.runner.run.id
            place = sandbox_place(services, run, component, host.fenced.fences)
            with attributed(name, KINDS.extension(component.kind)):
                kind = services.kinds(component.kind)
                made[name] = self._sandbox(chosen, kind, component, snapshot, place)
            self._attempt.callback(restoration.close, made[name])
        return made

    def _sandbox(
        self,
        chosen: PointChosen,
        kind: Kind,
        component: Component,
        snapshot: ComponentSnapshot,
        place: Workplace,
    ) -> Destination:
        if chosen.amount.instant and component.name in self._logs:
            why = "this drill replays the log, as every second drill does"
            self._whole.append(instant.restored_whole(component.name, why))
        elif chosen.amount.instant and Ability.INSTANT in kind.spec.can:
            try:
                sandbox = kind.instant_sandbox(component, snapshot, place)
            except NotSupported as error:
                self._whole.append(instant.restored_whole(component.name, error.message))
            else:
                self._mounts.places[component.name] = sandbox
                return sandbox
        return kind.sandbox(component, snapshot, place)


def _has(repository: Repository, point: RestorePoint) -> bool:
    """Return whether a repository answers, and has the point."""
    try:
        tags = ["drd", f"run:{point.id}"]
        return bool(repository.snapshots(host=point.plan, tags=tags, fresh=True))
    except DrdError:
        return False


def _this_host(fenced: FencesReady) -> HostReady:
    begun = fenced.begun
    return HostReady(fenced, begun.plan, begun.plan.proof, begun.services, begun.services)


def _choose(host: HostReady) -> Choice:
    request, only = host.begun.request, host.begun.only
    if request.point is None:
        return drill_choice(host.own_services, host.plan, held_by=only)
    return choose(host.own_services, host.plan, point=request.point, held_by=only, drilling=True)


def _logs(chosen: PointChosen, names: Iterable[str]) -> dict[str, LogOrder]:
    """Return what the drill replays of logs: every second drill of the newest point does, so that
    the others compare the data with the backup."""
    host, begun, choice = chosen.host, chosen.begun, chosen.choice
    if begun.request.point is not None or not choice.newest:
        return {}
    done = begun.services.catalogue.evidence.newest(host.plan.name)
    last = next((e for e in done if e.target is None), None)
    if last is None or any(c.name.endswith(ROLLED) and c.looked_at_data for c in last.checks):
        return {}
    return rehearsing(host.own_services, host.plan, choice.point, tuple(names), begun.only)


def _end_started(directory: Path) -> None:
    with process.shielded():
        background.end_all(directory)
