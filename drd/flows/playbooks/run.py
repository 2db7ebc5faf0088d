"""Run a playbook: begin, continue after a kill, roll back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from drd import process
from drd.errors import Fenced, UsageError
from drd.flows.durable_steps import Runner, closing_run, new_run, require_not_executed
from drd.flows.incidents.actions import settle
from drd.flows.playbooks.containing import Containing
from drd.flows.playbooks.in_force import require_in_force
from drd.flows.playbooks.on_incident import OnIncident
from drd.flows.playbooks.standing import newer
from drd.flows.playbooks.values import Values
from drd.flows.runbook.engine import Engine
from drd.flows.runbook.outcome import Outcome
from drd.flows.runbook.permissions import require_approvable, require_still_approvable
from drd.flows.runbook.step_runner import StepRunner
from drd.flows.runbook.taking_back import Undone, rolled_back, take_back, to_undo, unknown
from drd.flows.services import Services
from drd.flows.state.run_dirs import started_directory
from drd.flows.state.run_removal import swept_afterwards
from drd.model.actor import Actor
from drd.model.cause import Cause, joined
from drd.model.message import Message
from drd.model.plan import Plan
from drd.model.playbook import Playbook
from drd.model.run import Decision, Run, RunKind, RunState, StepState, about_all, taken_back
from drd.model.run_details import PlaybookDetail
from drd.model.runbook import Ask
from drd.ports import RunLease

PlanOf = Callable[[str], Plan]


@dataclass(frozen=True, slots=True)
class Ordered:
    """A playbook that is to run, or to continue. `plan_of` loads a plan by its name, `config` is
    drd.yaml, `on_incident` writes its timeline, None without an incident."""

    playbook: Playbook
    detail: PlaybookDetail
    plan_of: PlanOf
    config: str | None = None
    on_incident: OnIncident | None = None


def require_holders(services: Services, playbook: Playbook) -> None:
    """Raise UsageError if a step waits for a role that nobody holds."""
    for step in playbook.runbook:
        role = step.settings.role if isinstance(step.settings, Ask) else None
        held = {one for roles in services.roles.values() for one in roles}
        if role is not None and role not in held:
            raise UsageError(
                f"step {step.name} of playbook {playbook.name} waits for the role {role}, which "
                "nobody holds",
                hint="give the role to a person under `people` in drd.yaml, or correct the "
                f"playbook: {playbook.file}",
            )
        if isinstance(step.settings, Ask) and not services.roles:
            raise UsageError(
                f"step {step.name} of playbook {playbook.name} waits for a person, but drd.yaml "
                "does not name any people",
                hint="add people to drd.yaml, for example `people: [{name: anna, roles: [lead]}]`.",
            )


def run_playbook(services: Services, ordered: Ordered) -> tuple[Run, Outcome]:
    """Run a playbook to its end. Raises UsageError before anything was changed."""
    require_in_force(services.catalogue, ordered.playbook, services.clock.now())
    require_holders(services, ordered.playbook)
    require_approvable(ordered.playbook.runbook, process.actor_here())
    with ExitStack() as stack:
        began = new_run(
            services,
            ordered.playbook.executed,
            RunKind.PLAYBOOK,
            trigger="manual",
            detail=ordered.detail,
        )
        runner = stack.enter_context(began)
        return _execute(services, ordered, runner, stack)


def resume_playbook(services: Services, ordered: Ordered, run: Run) -> tuple[Run, Outcome]:
    """Continue a run whose process died, or that has failed. Raises UsageError, AlreadyRunning."""
    run = services.row_trust.believed(run, "resume")
    require_not_executed(services, run)
    if run.state is RunState.SUCCEEDED:
        raise UsageError(
            f"run {run.id} of playbook {ordered.playbook.name} cannot be resumed: it has succeeded",
            hint=f"to see what the run did: drd run show {run.id}",
        )
    if taken_back(about_all(services.catalogue.decisions.of_run(run.id))) is not None:
        raise UsageError(
            f"run {run.id} of playbook {ordered.playbook.name} was rolled back",
            hint=f"to begin anew: drd playbook run {ordered.playbook.name}",
        )
    actor, steps = process.actor_here(), ordered.playbook.runbook
    require_in_force(services.catalogue, ordered.playbook, services.clock.now())
    require_holders(services, ordered.playbook)
    require_still_approvable(services.catalogue, steps, run, actor)
    if ordered.playbook.digest != run.plan_digest:
        services.warn(
            f"the playbook has changed since run {run.id} began: drd does not repeat finished "
            "steps, and executes the others as they are now"
        )
    if run.state.final:
        run = services.catalogue.runs.reopen(run, services.clock.now())
    with ExitStack() as stack:
        runner = _adopted(services, run, stack)
        again = Decision("", "resume", actor.user, "", 0, services.clock.now(), actor)
        services.catalogue.decisions.add(run.id, again, plan=run.plan)
        return _execute(services, ordered, runner, stack)


def _stays(playbook: Playbook, records: Collection[str]) -> str:
    """Return in words which steps that were started stay, and why."""
    final = [
        f"{step.name}: {step.live.final}"
        for step in playbook.runbook
        if step.name in records and step.live is not None and step.live.final
    ]
    return f". What stays: {'. '.join(final)}" if final else ""


def roll_back_playbook(
    services: Services, ordered: Ordered, run: Run, *, by: str, actor: Actor | None = None
) -> Undone:
    """Roll back the steps of a run, the last one first; after a kill, the same call continues.
    Steps that are final stay. Raises UsageError, AlreadyRunning."""
    run = services.row_trust.believed(run, "rollback")
    require_not_executed(services, run)
    records = {r.name: r for r in services.catalogue.steps.of_run(run.id)}
    steps, left = to_undo(ordered.playbook.runbook, records)
    if gone := unknown(ordered.playbook.runbook, records):
        services.warn(
            f"the playbook has changed since run {run.id} began: it does not contain the step "
            f"{', '.join(gone)} any more, and drd does not know how to roll it back"
        )
    if not steps:
        raise UsageError(
            f"run {run.id} cannot be rolled back: no step that was started has a `rollback` in the "
            f"playbook{_stays(ordered.playbook, records)}",
            hint=f"to see what the run did: drd run show {run.id}",
        )
    if run.state.final and set(steps) <= rolled_back(records.values()):
        raise UsageError(
            f"run {run.id} of playbook {ordered.playbook.name} was rolled back already",
            hint=f"to see what the run did: drd run show {run.id}",
        )
    if later := newer(services.catalogue, ordered.playbook, run):
        first, stands = later[0].run.id, ", ".join(later[0].steps)
        commands = " && ".join(f"drd rollback {one.run.id}" for one in later)
        raise UsageError(
            f"run {run.id} cannot be rolled back before the later run {first} of playbook "
            f"{ordered.playbook.name}: step {stands} of run {first} still stands, and its rollback "
            f"would restore the measure of run {run.id}",
            hint=f"roll back the later runs first: {commands}. Then: drd rollback {run.id}",
        )
    now = services.clock.now()
    said = Decision("", "rollback", by, "", 0, now, actor)
    services.catalogue.decisions.add(run.id, said, plan=run.plan)
    if run.state.final:
        run = services.catalogue.runs.reopen(run, now, succeeded=True)
    with ExitStack() as stack:
        runner = _adopted(services, run, stack)
        step_runner = _step_runner(services, ordered, runner)
        for record in records.values():
            step_runner.note_result(record.name, record.state, record.result)
        return take_back(
            runner,
            step_runner,
            ordered.playbook.runbook,
            steps,
            left=left,
            by=by,
            detail=PlaybookDetail,
        )


def _execute(
    services: Services, ordered: Ordered, runner: Runner, stack: ExitStack
) -> tuple[Run, Outcome]:
    stack.enter_context(swept_afterwards(services, runner.run.id))
    on_incident = ordered.on_incident
    if on_incident is not None:
        on_incident.begin(runner.run, ordered.playbook, ordered.detail.of_plan or "")
        services = replace(services, on_steps=on_incident.watching(services.on_steps))
    if ordered.detail.is_practised:
        services = replace(services, notify_now=partial(_told_nobody, services))
    engine = Engine(_step_runner(services, ordered, runner))
    outcome = engine.execute()
    why = _stopped_by(outcome)
    services.catalogue.runs.finish(
        runner.owned,
        RunState.SUCCEEDED if outcome.succeeded else RunState.FAILED,
        at=services.clock.now(),
        error=why.text if why is not None else None,
        detail=PlaybookDetail(remedy=(why.remedy or None) if why is not None else None),
    )
    settle(services.catalogue, services.clock.now(), runner.run.plan)
    return runner.run, outcome


def _told_nobody(services: Services, message: Message) -> list[str]:
    """When people practise, no message leaves this host."""
    services.warn(f"drd did not send this message, because this is an exercise: {message.title}")
    return []


def _step_runner(services: Services, ordered: Ordered, runner: Runner) -> StepRunner:
    values = Values.of_run(ordered.playbook, ordered.detail, runner.run.id)
    around = Containing(services, runner, values, ordered.plan_of, ordered.config)
    return StepRunner(around, started_directory(services, runner.run.id))


def _adopted(services: Services, run: Run, stack: ExitStack) -> Runner:
    owned: RunLease | None = services.catalogue.runs.adopt(run, services.clock.now())
    if owned is None:
        raise Fenced(f"run {run.id} was taken over by another process")
    return stack.enter_context(closing_run(services, owned))


def _stopped_by(outcome: Outcome) -> Cause | None:
    if outcome.succeeded:
        return None
    failed = [n for n, s in outcome.states.items() if s is StepState.FAILED]
    return joined({f"step {name}": outcome.causes[name] for name in failed})
