"""Temporary measures of playbooks that nobody has taken back in time, for the alerts of the
daemon."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from drd.errors import CatalogueError
from drd.model.alerts import Condition
from drd.model.measures import EXPIRES, expired
from drd.model.run import RunKind
from drd.ports import Catalogue

_EVERY = timedelta(minutes=1)


class MeasureWatch:
    """Reads the measures once a minute. While it cannot read the catalogue, it reports the measures
    that it read last."""

    def __init__(self) -> None:
        self._last: tuple[Condition, ...] = ()
        self._at: datetime | None = None

    def conditions(self, catalogue: Catalogue, now: datetime) -> tuple[Condition, ...]:
        if self._at is not None and abs(now - self._at) < _EVERY:
            return self._last
        with suppress(CatalogueError):
            runs = catalogue.steps.runs_with(EXPIRES, RunKind.PLAYBOOK)
            self._last = tuple(
                condition
                for run in map(catalogue.runs.get, runs)
                for condition in expired(run, catalogue.steps.of_run(run.id), now)
            )
            self._at = now
        return self._last
