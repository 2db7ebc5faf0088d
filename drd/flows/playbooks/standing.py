"""Measures of runs of a playbook that still stand: a later run that reads the same state, before it
changes it, reads the measure. So the later run has to be rolled back first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drd.errors import StepFailed
from drd.flows.playbooks.values import Values
from drd.flows.runbook.taking_back import rolled_back, to_undo
from drd.model.playbook import Playbook
from drd.model.run import Run, RunKind
from drd.model.run_details import PlaybookDetail
from drd.model.runbook import Step
from drd.model.values import filled
from drd.ports import Catalogue
from drd.registry import ACTIONS

_NEWEST = 50
"""How many of the newest runs of a playbook drd looks at."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A run of a playbook whose `steps` are in effect, or may be."""

    run: Run
    steps: tuple[str, ...]


def standing(catalogue: Catalogue, playbook: Playbook, detail: PlaybookDetail) -> list[Standing]:
    """Return the runs of a playbook, newest first, with measures that a new run with this `detail`
    would read as the state before its own steps."""
    return _standing(catalogue, playbook, _read_by(playbook, detail, playbook.runbook))


def newer(catalogue: Catalogue, playbook: Playbook, run: Run) -> list[Standing]:
    """Return the later runs of a playbook, newest first, whose measures were put on top of those of
    this run and still stand: they have to be rolled back first."""
    if not isinstance(run.detail, PlaybookDetail) or run.started_at is None:
        return []
    left = _left(catalogue, playbook, run)
    read = _read_by(playbook, run.detail, [s for s in playbook.runbook if s.name in left])
    begun = run.started_at
    return [
        one
        for one in _standing(catalogue, playbook, read)
        if one.run.started_at is not None and one.run.started_at > begun
    ]


def _standing(catalogue: Catalogue, playbook: Playbook, read: set[str]) -> list[Standing]:
    standings: list[Standing] = []
    if not read:
        return standings
    for run in catalogue.runs.newest(playbook.executed.name, kind=RunKind.PLAYBOOK, limit=_NEWEST):
        if run.started_at is None or not isinstance(run.detail, PlaybookDetail):
            continue
        left = _left(catalogue, playbook, run)
        detail = run.detail
        steps = [
            step.name
            for step in playbook.runbook
            if step.name in left and _read_by(playbook, detail, [step]) & read
        ]
        if steps:
            standings.append(Standing(run, tuple(steps)))
    return standings


def _left(catalogue: Catalogue, playbook: Playbook, run: Run) -> set[str]:
    """Return the steps of a run that a rollback would roll back."""
    records = {r.name: r for r in catalogue.steps.of_run(run.id)}
    can, _ = to_undo(playbook.runbook, records)
    return set(can) - rolled_back(records.values())


def _read_by(playbook: Playbook, detail: PlaybookDetail, steps: Iterable[Step]) -> set[str]:
    """Return, in words, which states these steps read before they change them, in a run with this
    `detail`. A value that is not known before the step runs has its written form."""
    values = Values.of_run(playbook, detail)

    def value(name: str) -> str:
        try:
            text = values.get(name, shown=True)
        except StepFailed:
            text = None
        return f"${{{name}}}" if text is None else text

    readings = [s.live.before for s in steps if s.live is not None and s.live.before is not None]
    return {
        f"{values.plan if one.component else ''}: "
        + filled(ACTIONS[one.kind].in_words(one.settings), value)
        for one in readings
    }
