"""Whether a playbook is rehearsed: a run must have executed every step of it. Pure.

A dry run executes nothing, and people who talk a playbook through execute nothing either: neither
counts. drd cannot see whether the addresses of a run were those of a stand-in or of the service in
operation: both show that the steps work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from drd.model.playbook import Playbook
from drd.model.run import Decision, Run, StepState
from drd.model.step_record import StepRecord


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A run of a playbook. `at` is when it began. `lacks` says why it is no rehearsal of the
    playbook as it is now; empty if it is one."""

    run: str
    at: datetime
    lacks: str = ""

    @property
    def counts(self) -> bool:
        return not self.lacks


def judged(
    playbook: Playbook, run: Run, steps: Iterable[StepRecord], said: Iterable[Decision]
) -> Rehearsal | None:
    """Judge a run of this playbook; None if it has not begun or is not over."""
    if run.started_at is None or run.finished_at is None:
        return None
    return Rehearsal(run.id, run.started_at, _lack(playbook, run, steps, said))


def _lack(
    playbook: Playbook, run: Run, steps: Iterable[StepRecord], said: Iterable[Decision]
) -> str:
    if run.plan_digest != playbook.digest:
        return "the playbook has changed since"
    skipped = [decision for decision in said if decision.action == "skip" and decision.step]
    if skipped:
        return f"{skipped[0].by} skipped step {skipped[0].step}"
    states = {record.name: record.state for record in steps}
    for step in playbook.runbook:
        state = states.get(step.name)
        left_out = state is StepState.SKIPPED and step.when is not None
        if state is not StepState.SUCCEEDED and not left_out:
            return f"step {step.name} was not executed to its end"
    return ""


def newest(found: Sequence[Rehearsal]) -> Rehearsal | None:
    """Return the newest rehearsal that counts, else the newest run; None if there is none."""
    ordered = sorted(found, key=lambda one: one.at, reverse=True)
    return next((one for one in ordered if one.counts), ordered[0] if ordered else None)
