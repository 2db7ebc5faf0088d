"""The real recovery: the same code as in a drill, but with a permanent target.

First drd shows a plan of what would happen and asks for confirmation, then it executes the plan. A
recovery whose process died is resumed: restored components stay, and a component that was being
restored starts again in its own marked place."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd import process
from drd.errors import AlreadyRunning
from drd.flows.components import restoration
from drd.flows.components.prefetch import Prefetch
from drd.flows.components.repository_choice import Holders
from drd.flows.components.restoration import Restoration
from drd.flows.components.restored_checks import row_of_spread
from drd.flows.durable_steps import Runner, closing_run, describe, new_run
from drd.flows.incidents.actions import settle
from drd.flows.repository.identity import remove_dead_locks
from drd.flows.repository.observed_state import note_damage
from drd.flows.repository.signatures import said_in_evidence
from drd.flows.restore import kept_copies
from drd.flows.restore.blockers import Blockers
from drd.flows.restore.changed_paths import paths_may_change
from drd.flows.restore.preflight import (
    destinations_of,
    part_of,
    preflight,
    preflight_targets,
    require_answerable,
    warn,
)
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.flows.restore.restored_data import restored_data
from drd.flows.runbook.engine import Engine
from drd.flows.runbook.outcome import Outcome
from drd.flows.runbook.restoring import Restoring, evidence_rows
from drd.flows.runbook.step_runner import StepRunner
from drd.flows.services import Services
from drd.flows.state.run_dirs import started_directory
from drd.flows.state.run_removal import swept_afterwards
from drd.model.cause import Cause, joined
from drd.model.losses import rows_of_losses
from drd.model.plan import Plan
from drd.model.recovery_phases import Span, split
from drd.model.run import (
    PARTIAL,
    RECOVERY,
    CheckResult,
    Decision,
    DrillResult,
    Evidence,
    Run,
    RunKind,
    RunState,
    StepState,
    drill_result,
)
from drd.model.run_details import RecoveryDetail
from drd.model.runbook import PEOPLE
from drd.model.snapshot import evidence_id
from drd.model.step_record import RESTORE, StepRecord
from drd.model.step_results import RestoreStepResult
from drd.ports import NamedDestination


@dataclass(frozen=True, slots=True)
class RecoveryOutcome:
    """`outcome` says how the steps of the runbook ended."""

    evidence: Evidence
    restoration: Restoration
    outcome: Outcome


def recover(services: Services, plan: RecoveryPlan) -> RecoveryOutcome:
    """Execute the recovery. Raises TargetError (including TargetNotEmpty) before anything was
    changed."""
    request = plan.request
    detail = request.detail().merged(
        RecoveryDetail(
            point=plan.point.id,
            overwrite=request.overwrite,
            no_owner=request.no_owner,
            as_owner=request.as_owner,
            no_undo=request.no_undo,
            accept_paths=request.accept_paths,
            after_kit=request.after_kit,
            asked_at=plan.asked_at,
            begun=plan.components,
            commands=dict(plan.plan.commands),
            proof=plan.plan.proof,
        )
    )
    with ExitStack() as stack:
        runner = _begin(services, plan, stack, detail)
        stack.enter_context(paths_may_change(services))
        destinations = destinations_of(services, plan, runner.run.id, stack)
        only = plan.request.only(plan.plan)
        holders = Holders(services, plan.plan, plan.point, only=only)
        stack.callback(note_damage, services, plan.plan.name, plan.point.id, holders.damaged)
        prefetch = stack.enter_context(Prefetch(holders, part_of(plan)))
        runner.step(
            "preflight",
            "preflight",
            lambda: preflight(plan, destinations, prefetch, runner.run.id),
        )
        work = restoration.begin(
            runner, holders, destinations, part_of(plan), prefetch=prefetch, logs=plan.logs
        )
        if plan.continues is not None:
            _preflight_again(services, plan, destinations, holders, runner)
        engine = Engine(_step_runner(services, plan, work))
        engine.execute()
        left_out = plan.single.left_out if plan.single is not None else ()
        rows = (*evidence_rows(engine, work), *left_out, *_rows_of_groups(plan, work))
        evidence = _evidence(services, plan, engine, work, rows)
        restored = restored_data(services, plan.point, destinations, work.restored)
        _end_run(services, engine, work, evidence, restored)
        return RecoveryOutcome(evidence, work, engine.outcome)


def _rows_of_groups(plan: RecoveryPlan, work: Restoration) -> list[CheckResult]:
    """Return a row for each group of components that the recovery has restored together from the
    point: whether their data fits together."""
    return [row_of_spread(spread) for spread in plan.spreads(work.restored)]


def _preflight_again(
    services: Services,
    plan: RecoveryPlan,
    destinations: Mapping[str, NamedDestination],
    holders: Holders,
    runner: Runner,
) -> None:
    """Check again what may have changed since the preflight: locks of dead processes, and places
    that were cleaned up at the end of a failed run."""
    for repository in holders.repositories:
        remove_dead_locks(repository)
    restored = {
        r.subject
        for r in services.catalogue.steps.of_run(runner.run.id)
        if r.kind == RESTORE and r.state is StepState.SUCCEEDED
    }
    missing = {name: d for name, d in destinations.items() if name not in restored}
    blockers = Blockers(plan=plan.plan)
    findings = preflight_targets(services, plan, missing, blockers)
    warn(services, findings)
    blockers.refuse()


def _begin(
    services: Services, plan: RecoveryPlan, stack: ExitStack, detail: RecoveryDetail
) -> Runner:
    """Return the run: the dead one with a new token, or a new one. Its directories are removed at
    the end; those of a killed run stay for its resume."""
    if plan.continues is not None:
        require_answerable(services, plan)
        run = services.catalogue.runs.get(plan.continues)
        runner = adopted(services, plan.plan, run, stack)
        if runner is None:
            raise AlreadyRunning(
                f"another process is executing run {run.id} of {run.plan}",
                run=run.id,
                hint=f"to see the progress of that run: drd run show {run.id}",
            )
        actor = process.actor_here()
        again = Decision("", "resume", actor.user, "", 0, services.clock.now(), actor)
        services.catalogue.decisions.add(run.id, again)
        return runner
    for run in services.catalogue.runs.abandoned(plan.plan.name):
        if run.kind is not RunKind.RECOVERY:
            continue
        why = "the process that did this recovery died; another recovery was started instead"
        kept_copies.give_up(services, plan.plan, run, why=why)
    runner = stack.enter_context(
        new_run(services, plan.plan, RunKind.RECOVERY, trigger="manual", detail=detail)
    )
    stack.callback(kept_copies.note, services, plan.plan, runner.owned)
    stack.enter_context(swept_afterwards(services, runner.run.id))
    kept_copies.wait_for_exchange(services, plan.plan)
    return runner


def adopted(services: Services, plan: Plan, run: Run, stack: ExitStack) -> Runner | None:
    """Take over the run of a dead process; None if another process was faster."""
    owned = services.catalogue.runs.adopt(run, services.clock.now())
    if owned is None:
        return None
    runner = stack.enter_context(closing_run(services, owned))
    stack.callback(kept_copies.note, services, plan, owned)
    stack.enter_context(swept_afterwards(services, owned.run.id))
    return runner


def opened(
    services: Services,
    plan: RecoveryPlan,
    runner: Runner,
    stack: ExitStack,
    records: Mapping[str, StepRecord],
) -> StepRunner:
    """Yield the run's steps, which can be executed separately, with the components that the run has
    restored."""
    destinations = destinations_of(services, plan, runner.run.id, stack)
    holders = Holders(services, plan.plan, plan.point, only=plan.request.only(plan.plan))
    work = restoration.begin(runner, holders, destinations, part_of(plan), logs=plan.logs)
    restoration.load_earlier_results(work, tuple(destinations), records.values())
    step_runner = _step_runner(services, plan, work)
    for record in records.values():
        step_runner.note_result(record.name, record.state, record.result)
    return step_runner


def _step_runner(services: Services, plan: RecoveryPlan, work: Restoration) -> StepRunner:
    directory = started_directory(services, work.runner.run.id)
    return StepRunner(Restoring(work, plan.circumstances, drill=False), directory)


def _evidence(
    services: Services,
    plan: RecoveryPlan,
    engine: Engine,
    work: Restoration,
    checks: tuple[CheckResult, ...],
) -> Evidence:
    """Judge the recovery by its checks. It has times only if everything came back."""
    runner, now = work.runner, services.clock.now()
    back, data_time = _is_back(engine, work), _data_time(work, plan)
    started = runner.run.started_at or now
    lost_at = plan.request.lost_at or started
    spans = _spans(services, runner, plan.plan)
    detail = runner.run.detail
    asked = (detail.asked_at if isinstance(detail, RecoveryDetail) else None) or started
    spans.append(Span("detect", lost_at.timestamp(), asked.timestamp()))
    return Evidence(
        id=evidence_id(plan.point, runner.run.id),
        run=runner.run.id,
        plan=plan.plan.name,
        point=plan.point.id,
        signature=said_in_evidence(services.catalogue, plan.point),
        scenario=PARTIAL if plan.partial else RECOVERY,
        result=drill_result(checks),
        plan_digest=plan.plan.proof,
        started_at=started,
        finished_at=now,
        rpa_s=(lost_at - data_time).total_seconds() if back else None,
        data_time=data_time,
        rta_s=round((now - lost_at).total_seconds(), 3) if back else None,
        judged=not plan.partial,
        phases=split(spans, lost_at.timestamp(), now.timestamp(), idle="decide") if back else {},
        checks=(*checks, *(_losses(work, plan, lost_at) if back else ())),
        target=plan.request.target,
        lost_at=lost_at,
        restored_bytes=plan.point.bytes_of(work.restored),
    )


def _data_time(work: Restoration, plan: RecoveryPlan) -> datetime:
    """Return of when the data is: earlier than asked for, where a log ended before that."""
    at = plan.point.data_time
    return min((r.data_time or at for r in work.restored.values()), default=at)


def _losses(work: Restoration, plan: RecoveryPlan, lost_at: datetime) -> tuple[CheckResult, ...]:
    """Return the rows with the loss of each restored component, where these can differ by more than
    the restore point itself does."""
    if not plan.logs and not plan.plan.own_objectives:
        return ()
    lost_by_component = {}
    for name, restored in work.restored.items():
        row = plan.point.component(name)
        of_point = (row.data_time if row is not None else None) or plan.point.data_time
        lost_by_component[name] = restored.data_time or of_point
    return rows_of_losses(plan.plan, lost_at, lost_by_component)


def _is_back(engine: Engine, work: Restoration) -> bool:
    return not work.errors and engine.outcome.through


def _end_run(
    services: Services,
    engine: Engine,
    work: Restoration,
    evidence: Evidence,
    found: Mapping[str, Any],
) -> None:
    """Record the evidence, how the run has ended, and what was `found` of the restored data."""
    owned = work.runner.owned
    services.catalogue.evidence.record(owned, evidence)
    errors = {name: describe(error) for name, error in work.errors.items()}
    why = joined(errors) or _stopped_by(engine)
    failed = evidence.result is DrillResult.FAILED or not _is_back(engine, work)
    services.catalogue.runs.finish(
        owned,
        RunState.FAILED if failed else RunState.SUCCEEDED,
        at=evidence.finished_at,
        error=why.text if why is not None else None,
        detail=RecoveryDetail(
            result=str(evidence.result),
            bytes=evidence.restored_bytes,
            remedy=(why.remedy or None) if why is not None else None,
            **found,
        ),
    )
    settle(services.catalogue, services.clock.now(), evidence.plan)


def _stopped_by(engine: Engine) -> Cause | None:
    """Return the failed steps and their errors, joined; None if no step failed."""
    if engine.outcome.succeeded:
        return None
    states = engine.outcome.states
    failed = [n for n, s in states.items() if s is StepState.FAILED]
    return joined({f"step {name}": engine.outcome.causes[name] for name in failed})


def _spans(services: Services, runner: Runner, plan: Plan) -> list[Span]:
    """Return the times of the steps, by the wall clock: a recovery may have had several
    processes."""
    kinds = {step.name: step.kind for step in plan.runbook}
    spans = []
    for record in services.catalogue.steps.of_run(runner.run.id):
        begin = record.started_at.timestamp()
        end = (record.finished_at or services.clock.now()).timestamp()
        result = record.result
        if result.asked_at is not None and kinds.get(record.name) not in PEOPLE:
            # It failed, and a person had to decide about it.
            failed = result.asked_at.timestamp()
            spans.append(Span("decide", failed, end))
            end = failed
        if isinstance(result, RestoreStepResult) and result.fetch_s is not None:
            fetching = begin - (result.ahead_s or 0.0)
            fetched = fetching + result.fetch_s
            spans += [Span("fetch", fetching, fetched), Span("restore", max(begin, fetched), end)]
        elif kinds.get(record.name) == "check":
            spans.append(Span("validate", begin, end))
        elif kinds.get(record.name) in PEOPLE:
            spans.append(Span("decide", begin, end))
        elif kinds.get(record.name) not in (None, "restore"):
            spans.append(Span("serve", begin, end))
    return spans
