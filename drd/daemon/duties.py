"""Reports about open incidents, for the alerts of the daemon."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from drd import log
from drd.bootstrap import App
from drd.bootstrap.duties import duty_table
from drd.config.regimes import Regimes, regimes_of
from drd.errors import CatalogueError, DrdError
from drd.model.alerts import Condition
from drd.model.report_conditions import report_conditions

_log = log.get()


class DutyWatch:
    """Knows the conditions of the last time, while the catalogue cannot be read. The files of
    regimes are read when an incident is open, and again after a reload of drd.yaml."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._regimes: Regimes | None = None
        self._last: tuple[Condition, ...] = ()

    def reload(self) -> None:
        """Read the files again before the next assessment."""
        self._regimes = None

    def conditions(self, now: datetime) -> tuple[Condition, ...]:
        with suppress(CatalogueError):
            numbers = self._app.catalogue.incidents.open_numbers()
            self._last = tuple(c for number in numbers for c in self._of(number, now))
        return self._last

    def _of(self, number: int, now: datetime) -> list[Condition]:
        if self._regimes is None:
            self._regimes = regimes_of(self._app.settings)
            for problem in self._regimes.problems:
                _log.warning("regime.refused", file=problem.file, error=problem.message)
        try:
            table = duty_table(self._app, number, self._regimes)
        except CatalogueError:
            raise
        except DrdError as error:
            _log.warning("incident.duties", incident=number, error=error.message)
            return []
        return list(report_conditions(number, table.states(now), table.case.zone, now))
