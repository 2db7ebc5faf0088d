"""The rehearsals of playbooks, by the runs in the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from drd.flows.incidents.merged import hides
from drd.model.finding import Finding
from drd.model.playbook import Playbook
from drd.model.rehearsals import Rehearsal, finding, judged, newest
from drd.model.run import RunKind
from drd.ports import Catalogue

_NEWEST = 50
"""How many of the newest runs of a playbook drd judges."""


def rehearsals(
    catalogue: Catalogue, playbook: Playbook, after: datetime | None = None
) -> list[Rehearsal]:
    """Return the finished runs of a playbook, newest first, each with whether it counts as a
    rehearsal of the present playbook. With `after`, return only runs that began after this time.
    Runs of restricted incidents are left out, because everybody can read the findings."""
    name = playbook.executed.name
    runs = catalogue.runs.newest(name, kind=RunKind.PLAYBOOK, limit=_NEWEST)
    results = []
    for run in runs:
        if after is not None and (run.started_at is None or run.started_at <= after):
            continue
        if hides(catalogue, run):
            continue
        steps = catalogue.steps.of_run(run.id)
        one = judged(playbook, run, steps, catalogue.decisions.of_run(run.id))
        if one is not None:
            results.append(one)
    return results


def findings(
    catalogue: Catalogue, playbooks: Mapping[str, Playbook], names: Iterable[str], now: datetime
) -> Iterator[Finding]:
    """Yield for each of these names that is a playbook: was it rehearsed within a year?"""
    for name in names:
        if (playbook := playbooks.get(name)) is not None:
            yield finding(name, newest(rehearsals(catalogue, playbook)), now)
