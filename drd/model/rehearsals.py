"""Decide whether a playbook is rehearsed: a run must have executed each of its steps. Pure.

A dry run executes nothing, and people who talk a playbook through execute nothing either: neither
counts. drd cannot see whether the addresses of a run were those of a stand-in or of the service in
operation: both show that the steps work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.model.playbook import Playbook
from drd.model.playbook_names import PREFIX
from drd.model.run import Decision, Run, RunState, StepState
from drd.model.step_record import StepRecord
from drd.model.units import format_time

EVERY = timedelta(days=366)
"""How long a rehearsal counts."""
CODE = "playbook-not-rehearsed"
_REMEDY = "run this playbook against a stand-in, for example in its exercise: drd playbook run NAME"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A run of a playbook. `at` is when it began, `ended` when it ended. `lacks` says why it is not
    a rehearsal of the present playbook; empty if it is a rehearsal."""

    run: str
    at: datetime
    ended: datetime
    lacks: str = ""

    @property
    def counts(self) -> bool:
        return not self.lacks


def judged(
    playbook: Playbook, run: Run, steps: Iterable[StepRecord], said: Iterable[Decision]
) -> Rehearsal | None:
    """Judge a run of this playbook; None if it has not begun or is not over. A run that was rolled
    back afterwards has still executed its steps."""
    if run.started_at is None or run.finished_at is None:
        return None
    lacks = "the playbook has changed since" if run.plan_digest != playbook.digest else ""
    lacks = lacks or _skipped(said)
    states = {record.name: record.state for record in steps}
    for step in playbook.runbook:
        state = states.get(step.name)
        left_out = state is StepState.SKIPPED and step.when is not None
        if state is not StepState.SUCCEEDED and not left_out:
            lacks = lacks or f"step {step.name} was not executed to its end"
    return Rehearsal(run.id, run.started_at, run.finished_at, lacks)


def executed_all(run: Run, steps: Iterable[StepRecord], said: Iterable[Decision]) -> bool:
    """Return whether a run of a playbook has executed every step that the playbook had then."""
    over = (StepState.SUCCEEDED, StepState.SKIPPED)
    return (
        run.state is RunState.SUCCEEDED
        and not _skipped(said)
        and all(record.state in over for record in steps)
    )


def _skipped(said: Iterable[Decision]) -> str:
    """Return which step a person has skipped, in words; empty if none was."""
    skipped = [decision for decision in said if decision.action == "skip" and decision.step]
    return f"{skipped[0].by} skipped step {skipped[0].step}" if skipped else ""


def newest(found: Sequence[Rehearsal]) -> Rehearsal | None:
    """Return the newest rehearsal that counts, else the newest run; None if there is none."""
    ordered = sorted(found, key=lambda one: one.at, reverse=True)
    return next((one for one in ordered if one.counts), ordered[0] if ordered else None)


def first(found: Iterable[Rehearsal]) -> Rehearsal | None:
    """Return the rehearsal that counts and ended first, else the newest run; None if there is
    none."""
    ordered = sorted(found, key=lambda one: one.ended)
    return next((one for one in ordered if one.counts), newest(ordered))


def named_by(plan: Plan) -> list[str]:
    """Return the playbooks that a plan names: for its credentials, and against its risks."""
    names = [credential.rotate_with for credential in plan.inventory.credentials]
    covers = (word for risk in plan.inventory.risks for word in risk.covers)
    names += [word.removeprefix(PREFIX) for word in covers if word.startswith(PREFIX)]
    return list(dict.fromkeys(name for name in names if name))


def finding(playbook: str, last: Rehearsal | None, now: datetime) -> Finding:
    """Return whether a playbook was rehearsed within a year; `last` is its `newest` rehearsal."""
    if last is None:
        text = f"playbook {playbook} was never rehearsed: no run has executed its steps"
    elif last.lacks:
        text = (
            f"playbook {playbook} is not rehearsed: its last run {last.run} of "
            f"{format_time(last.at)} does not count, because {last.lacks}"
        )
    elif now - last.at > EVERY:
        text = (
            f"playbook {playbook} was not rehearsed for a year: run {last.run} of "
            f"{format_time(last.at)} was the last one that executed every step"
        )
    else:
        text = f"run {last.run} of {format_time(last.at)} executed every step of {playbook}"
        return Finding(CODE, "ok", playbook, text)
    return Finding(CODE, "warning", playbook, text, _REMEDY)
