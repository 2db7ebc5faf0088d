"""What the daemon knows about runs of playbooks, for its alerts: temporary measures that were not
rolled back in time, and runs whose process died."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from drd.errors import CatalogueError
from drd.flows.incidents.merged import hides as is_hidden
from drd.model.alerts import Condition
from drd.model.playbook_conditions import EXPIRES, expired, in_exercise, interrupted
from drd.model.run import RunKind
from drd.ports import Catalogue

_EVERY = timedelta(minutes=1)


class MeasureWatch:
    """Reads the measures once a minute, and the interrupted runs every time. While the catalogue
    cannot be read, it reports its last result."""

    def __init__(self) -> None:
        self._measures: tuple[Condition, ...] = ()
        self._died: tuple[Condition, ...] = ()
        self._at: datetime | None = None

    def conditions(self, catalogue: Catalogue, now: datetime) -> tuple[Condition, ...]:
        with suppress(CatalogueError):
            self._died = tuple(_died(catalogue))
            if self._at is None or abs(now - self._at) >= _EVERY:
                self._measures = tuple(_measures(catalogue, now))
                self._at = now
        return (*self._died, *self._measures)


def _died(catalogue: Catalogue) -> Iterator[Condition]:
    for run in catalogue.queue.open_runs():
        if run.kind is RunKind.PLAYBOOK and run.left_by_its_process and not in_exercise(run):
            yield interrupted(run, hides=is_hidden(catalogue, run))


def _measures(catalogue: Catalogue, now: datetime) -> Iterator[Condition]:
    for run in map(catalogue.runs.get, catalogue.steps.runs_with(EXPIRES, RunKind.PLAYBOOK)):
        if in_exercise(run):
            continue
        records = catalogue.steps.of_run(run.id)
        yield from expired(run, records, now, hides=is_hidden(catalogue, run))
