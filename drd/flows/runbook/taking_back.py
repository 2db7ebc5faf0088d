"""Roll back the steps of a run: the last one first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from drd.errors import CatalogueError, DrdError, Fenced, StepFailed
from drd.flows.durable_steps import Runner, describe
from drd.flows.runbook.step_runner import StepRunner
from drd.model.cause import Cause
from drd.model.run import Decision, RunState, StepState
from drd.model.run_details import PlaybookDetail, RecoveryDetail
from drd.model.runbook import PEOPLE, ROLLBACK, Step, can_be_undone
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult, StepResult
from drd.registry import ACTIONS


def _may_have_had_effect(record: StepRecord) -> bool:
    """A step that waits for an answer to its failure, or was skipped then, was tried before."""
    if record.state not in (StepState.WAITING, StepState.SKIPPED):
        return True
    if record.kind in PEOPLE:
        return False
    tried = record.attempt > 1 or record.result.asked_at is not None
    return record.state is StepState.WAITING or tried


_HARMLESS = ("check", "wait", "approve", "notify", "preserve")
"""Kinds of steps that need no rollback, unless the plan names one."""


def _is_harmless(step: Step) -> bool:
    return step.kind in _HARMLESS or (step.live is not None and step.live.reads)


def _stopped_before(step: Step, records: Mapping[str, StepRecord]) -> bool:
    """Return whether drd could not read what there was before a step: the step was not executed
    then."""
    record = records[step.name]
    if step.live is None or step.live.before is None or record.state is StepState.SUCCEEDED:
        return False
    read = records.get(step.live.before.name)
    return read is None or read.state is not StepState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Undone:
    """`steps` were rolled back, in this order. `left` were begun, but have no rollback. `failed` is
    the step whose rollback failed, and `error` says why."""

    steps: tuple[str, ...]
    left: tuple[str, ...]
    failed: str | None = None
    error: DrdError | None = None


def to_undo(
    steps: Sequence[Step], records: Mapping[str, StepRecord]
) -> tuple[list[str], list[str]]:
    """Return the steps that may have had an effect, the last first: the steps with a rollback, and
    the steps without."""
    begun = [
        (record.started_at, at, step)
        for at, step in enumerate(steps)
        if (record := records.get(step.name)) is not None and _may_have_had_effect(record)
    ]
    last_first = [
        step
        for _, _, step in sorted(begun, key=lambda b: b[:2], reverse=True)
        if (can_be_undone(step) or not _is_harmless(step)) and not _stopped_before(step, records)
    ]
    can = [s.name for s in last_first if can_be_undone(s)]
    return can, [s.name for s in last_first if not can_be_undone(s)] + unknown(steps, records)


def unknown(steps: Sequence[Step], records: Mapping[str, StepRecord]) -> list[str]:
    """Return the steps that may have had an effect, although the file no longer contains them."""
    names = {step.name for step in steps}
    return [
        record.name
        for record in records.values()
        if record.name not in names
        and not record.subject
        and (record.kind in ACTIONS.names or record.kind in ("manual", "recover"))
        and _may_have_had_effect(record)
    ]


def take_back(
    runner: Runner,
    step_runner: StepRunner,
    steps: Iterable[Step],
    names: Sequence[str],
    *,
    left: Iterable[str],
    by: str,
    detail: type[RecoveryDetail | PlaybookDetail],
) -> Undone:
    """Roll back these steps in this order, each once, until a rollback fails. Then end the run,
    with a `detail` of this class. `left` are the steps that stay as they are."""
    taken, failed = _taken(runner, step_runner, {step.name: step for step in steps}, names)
    why = Cause(f"rolled back by {by}: {', '.join(taken)}")
    if failed is not None:
        why = describe(failed[1]).of(f"could not roll back {failed[0]}")
    services = runner.services
    services.catalogue.runs.finish(
        runner.owned,
        RunState.CANCELLED if failed is None else RunState.FAILED,
        at=services.clock.now(),
        error=why.text,
        detail=detail(rolled_back=tuple(taken), remedy=why.remedy or None),
    )
    return Undone(tuple(taken), tuple(left), *(failed or (None, None)))


def _taken(
    runner: Runner, step_runner: StepRunner, steps: Mapping[str, Step], names: Sequence[str]
) -> tuple[list[str], tuple[str, DrdError] | None]:
    """Roll back these steps in this order, each once, until a rollback fails. Return the steps that
    were rolled back, and the step whose rollback failed, with its error."""
    taken: list[str] = []
    catalogue, run = runner.services.catalogue, runner.run.id
    tries = {r.name: r for r in catalogue.steps.of_run(run) if r.kind == ROLLBACK}
    decisions = catalogue.decisions.of_run(run)
    for name in names:
        try:
            before = tries.get(f"{ROLLBACK} {name}")
            effect = _effect(runner, step_runner, steps[name], before, decisions)
            runner.step(f"{ROLLBACK} {name}", ROLLBACK, effect, subject=name)
        except DrdError as error:
            if isinstance(error, (Fenced, CatalogueError)):
                raise
            return taken, (name, error)
        taken.append(name)
    return taken, None


def _effect(
    runner: Runner,
    step_runner: StepRunner,
    step: Step,
    before: StepRecord | None,
    decisions: Iterable[Decision],
) -> Callable[[], ActionStepResult]:
    """Return the function that rolls a step back. In a playbook, nobody may know the outcome of
    `before`, an earlier try of the rollback: then drd repeats the rollback only as it would repeat
    a step. Raises StepFailed if a person must decide."""
    back = step.live.rollback if step.live is not None else None
    if back is None or before is None or before.state is StepState.SUCCEEDED:
        return partial(step_runner.roll_back, step)
    said = next((d for d in decisions if is_answer(d, before)), None)
    if said is not None and said.action == "done":
        return lambda: ActionStepResult.of({"says": f"done by {said.by}"})
    looks = back.live is not None and back.live.done_when is not None
    if said is None and not back.repeat and not looks:
        raise _ask(runner, step, before)
    return partial(step_runner.roll_back, step, before)


def is_answer(decision: Decision, asked: StepRecord) -> bool:
    """Return whether a person decided about this try of a rollback."""
    about = (decision.step, decision.attempt) == (asked.name, asked.attempt)
    return about and decision.action in ("done", "retry")


def _ask(runner: Runner, step: Step, before: StepRecord) -> StepFailed:
    """Record that a person has to decide about an earlier try. Return the error that says so."""
    run, services = runner.run.id, runner.services
    why = f"nobody knows whether the rollback of step {step.name} has happened"
    done = f'drd done {run} "{before.name}" --by NAME'
    again = f'drd retry {run} "{before.name}"'
    command = f"if it has: `{done}`. If not: `{again}`. Then: `drd rollback {run}`"
    asked = StepResult(asked_at=services.clock.now(), wanted=why, command=command)
    services.catalogue.steps.wait(runner.owned, before.name, f"{why}: {command}", asked)
    return StepFailed(
        f"{why}: an earlier try was interrupted or failed, and a repetition may do harm",
        hint=f"find out whether the rollback has happened; {command}",
    )


def rolled_back(records: Iterable[StepRecord]) -> set[str]:
    """Return the steps that were rolled back already."""
    return {r.subject for r in records if r.kind == ROLLBACK and r.state is StepState.SUCCEEDED}
