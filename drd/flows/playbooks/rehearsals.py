"""The rehearsals of playbooks, by the runs in the catalogue."""

from __future__ import annotations

from datetime import datetime

from drd.model.playbook import Playbook
from drd.model.rehearsals import Rehearsal, judged
from drd.model.run import RunKind
from drd.ports import Catalogue

_NEWEST = 50
"""How many of the newest runs of a playbook drd judges."""


def rehearsals(
    catalogue: Catalogue, playbook: Playbook, after: datetime | None = None
) -> list[Rehearsal]:
    """Return the runs of a playbook that are over, those that began `after` a time, newest first,
    each with whether it is a rehearsal of the playbook as it is now."""
    name = playbook.executed.name
    runs = catalogue.runs.newest(name, kind=RunKind.PLAYBOOK, limit=_NEWEST)
    found = []
    for run in runs:
        if after is not None and (run.started_at is None or run.started_at <= after):
            continue
        steps = catalogue.steps.of_run(run.id)
        one = judged(playbook, run, steps, catalogue.decisions.of_run(run.id))
        if one is not None:
            found.append(one)
    return found
