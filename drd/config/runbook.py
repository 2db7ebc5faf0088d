"""Runbooks: the ordered steps of a recovery, from the plan or by default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from drd.actions.settings import Rehearsed, StepSettings, Text
from drd.config.schema import PlanFile
from drd.config.steps import (
    ApproveSettings,
    CheckStep,
    ManualSettings,
    NotifySettings,
    RestoreStep,
    StepKeys,
    WaitSettings,
    WhenKeys,
)
from drd.fields import Placed
from drd.model.down import NO_EFFECT
from drd.model.run import StepState
from drd.model.runbook import (
    LOOKING,
    Ask,
    Notice,
    Rehearse,
    Step,
    Undo,
    Wait,
    When,
    plain_runbook,
)
from drd.registry import ACTIONS

ERASURES = "erasures"
"""The kind of the step that the plan's section of this name is about: drd puts it into a runbook
that lacks it."""

BY_HAND = "only a person can do this"
"""Why a drill leaves out manual steps, unless the plan gives a reason."""


def steps(file: PlanFile) -> tuple[Step, ...]:
    """The steps with `all` written out, each with its own name.

    Without a runbook: restore all components, then run all checks."""
    return _with_erasures(file, _written(file))


def _written(file: PlanFile) -> tuple[Step, ...]:
    if file.runbook is None:
        return plain_runbook(file.components, (c.name for c in file.checks))
    return tuple(_step(file, n, k) for n, k in named(file.runbook))


def _with_erasures(file: PlanFile, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps, with the one that the plan's `erasures` need, if the runbook has none:
    after the restore and the checks that follow it, before any service starts. A step that needs
    only some of the steps above needs this one as well."""
    if file.erasures is None:
        return steps
    if not any(s.kind == ERASURES for s in steps):
        name = free_name(ERASURES, {s.name for s in steps})
        component = file.erasures.component
        made = Step(name, ERASURES, settings=file.erasures, component=component)
        at = _after_checks(steps, component)
        steps = (*steps[:at], made, *steps[at:])
    at = next(n for n, s in enumerate(steps) if s.kind == ERASURES)
    return (*steps[: at + 1], *(_needing(s, steps[at].name) for s in steps[at + 1 :]))


def _needing(step: Step, name: str) -> Step:
    if step.needs is None or name in step.needs or step.kind in LOOKING:
        return step
    return replace(step, needs=(*step.needs, name))


def _after_checks(steps: Sequence[Step], component: str) -> int:
    restored = (n for n, s in enumerate(steps) if s.kind == "restore" and component in s.subjects)
    at = next(restored, len(steps) - 1) + 1
    while at < len(steps) and (
        steps[at].kind in LOOKING
        or (steps[at].group is not None and steps[at].group == steps[at - 1].group)
    ):
        at += 1
    return at


def named(runbook: Sequence[StepKeys]) -> Iterator[tuple[str, StepKeys]]:
    """Each step with its name, given or by its kind."""
    taken = {step.name for step in runbook if step.name is not None}
    for step in runbook:
        name = step.name or free_name(step.kind, taken)
        taken.add(name)
        yield name, step


def body(step: StepKeys) -> object:
    """Return the value of the step's kind."""
    return getattr(step, step.kind)


@dataclass(frozen=True, slots=True)
class RehearseSettings:
    """A step's settings for drills; None: not set."""

    rehearse: Rehearse | None
    reason: str | None
    stand_in: list[str] | None


def rehearsal(step: StepKeys) -> RehearseSettings:
    """Return the rehearsal settings, which are beside the kind or below it."""
    inner = body(step)
    if not isinstance(inner, Rehearsed):
        return RehearseSettings(step.rehearse, step.reason, step.stand_in)
    return RehearseSettings(
        step.rehearse or inner.rehearse,
        step.reason or inner.reason,
        step.stand_in or inner.stand_in,
    )


def _step(file: PlanFile, name: str, step: StepKeys) -> Step:
    kind, settings = step.kind, body(step)
    subjects: tuple[str, ...] = ()
    if isinstance(step, RestoreStep):
        subjects, settings = _written_out(step.restore, list(file.components)), None
    elif isinstance(step, CheckStep):
        subjects, settings = _written_out(step.check, [c.name for c in file.checks]), None
    elif kind == ERASURES:
        settings = file.erasures
    settings = value_of(settings)
    how = rehearsal(step)
    rehearse: Rehearse = how.rehearse or ("skip" if kind == "manual" else "run")
    reason = how.reason or (BY_HAND if kind == "manual" and rehearse == "skip" else "")
    return Step(
        name,
        kind,
        subjects,
        settings=settings,
        needs=tuple(step.needs) if step.needs is not None else None,
        group=step.group,
        when=condition_of(step.when) if step.when is not None else None,
        retries=step.retries,
        pause_s=step.pause,
        timeout_s=step.timeout,
        # A recovery does not stop because a message was not delivered.
        on_failure=step.on_failure or ("continue" if kind == "notify" else None),
        rollback=Undo(tuple(step.rollback.run), step.rollback.timeout) if step.rollback else None,
        rehearse=rehearse,
        reason=reason,
        stand_in=tuple(how.stand_in or ()),
        repeat=step.repeat,
        service=ACTIONS[kind].service(settings) if kind in ACTIONS else None,
        component=ACTIONS[kind].component(settings) if kind in ACTIONS else None,
        effect=ACTIONS[kind].effect(settings) if kind in ACTIONS else NO_EFFECT,
    )


def value_of(inner: object) -> object:
    """Return the values of drd's own steps, in the model's form; actions stay as they are."""
    if isinstance(inner, ApproveSettings):
        return Ask(inner.why, inner.by, inner.expires, inner.two_person)
    if isinstance(inner, ManualSettings):
        return Ask(inner.do, inner.by, inner.expires)
    if isinstance(inner, NotifySettings):
        return Notice(inner.message, inner.severity)
    if isinstance(inner, WaitSettings):
        return Wait(inner.time)
    return inner


def condition_of(when: WhenKeys) -> When:
    return When(
        scenarios=tuple(when.scenario or ()),
        targets=tuple(when.target or ()),
        step=when.step,
        ended=tuple(StepState(e) for e in when.ended or ("succeeded",)) if when.step else (),
    )


def _written_out(names: list[str] | str, everything: Sequence[str]) -> tuple[str, ...]:
    return tuple(everything if isinstance(names, str) else names)


def free_name(kind: str, taken: set[str]) -> str:
    """`restore`, `restore-2`, …: the first free name."""
    number, name = 1, kind
    while name in taken:
        number += 1
        name = f"{kind}-{number}"
    return name


def commands(step: StepKeys) -> Iterator[Placed]:
    """Every command that a step names, with its place below the step."""
    kind, inner = step.kind, body(step)
    if isinstance(inner, StepSettings):
        yield from (((kind, *below), words) for below, words in inner.all_commands())
    if isinstance(inner, Rehearsed) and inner.stand_in:
        yield (kind, "with"), inner.stand_in
    if step.stand_in:
        yield ("with",), step.stand_in
    if step.rollback:
        yield ("rollback", "run"), step.rollback.run


def texts(step: StepKeys) -> Iterator[Text]:
    """Every text of a step that may contain values, with its place below the step."""
    for path, words in commands(step):
        for at, word in enumerate(words):
            yield (*path, at), word
    inner = body(step)
    if isinstance(inner, StepSettings):
        yield from (((step.kind, *below), text) for below, text in inner.all_texts())
