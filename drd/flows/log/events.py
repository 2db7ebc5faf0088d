"""Note the changes of a log that a person has to know of, although drd copes with them: a gap, and
a server that goes on with another timeline."""

from __future__ import annotations

from datetime import datetime, timedelta

from drd import log
from drd.flows.log.noted import noted_state
from drd.flows.services import Services
from drd.model.log import LogBatch, LogMark
from drd.model.plan import Component, Plan
from drd.ports.logs import LogLost

_log = log.get()

SAME_WITHIN = timedelta(minutes=10)
"""The same words within this time are about the same change."""


class Events:
    """The last change of the log of a component: `text`, noticed at the time `at`. It also knows
    what an earlier receiver has noted."""

    def __init__(self, services: Services, plan: Plan, component: Component) -> None:
        self._services = services
        self._plan = plan
        self._component = component
        self.text = ""
        self.at: datetime | None = None
        noted = noted_state(services.catalogue.queue, plan.name, component.name)
        if noted is not None:
            self.text, self.at = noted[1].event, noted[1].event_at

    def gap(self, lost: LogLost) -> None:
        """Note that the server lacks a part of the log that drd has not received."""
        self._note(f"the log of {self._component.name} has a gap: {lost.message}")

    def switched(
        self, before: LogBatch, mark: LogMark, lines: tuple[tuple[int, int], ...], *, anew: bool
    ) -> None:
        """Note that the server has changed to another timeline after the batch `before`, and what
        of the former one is no part of it. `lines` are the timelines before that of the mark, each
        with the position at which it was left. `anew`: there is a gap between."""
        place = self._services.kinds(self._component.kind).log_place
        left = dict(lines).get(before.end.line, before.end.position)
        text = (
            f"the server of {self._component.name} has changed from timeline {before.end.line} to "
            f"{mark.line} at {place(left)}: a standby took over, or the server was recovered"
        )
        if left < before.end.position:
            text += (
                f". What was committed on the former timeline from there to "
                f"{place(before.end.position)} is not in the server any more; drd has it"
            )
        self._note(f"{self.text}; {text}" if anew and self.text else text)

    def _note(self, text: str) -> None:
        now = self._services.clock.now()
        if text == self.text and self.at is not None and now - self.at < SAME_WITHIN:
            return
        self.text, self.at = text, now
        _log.warning("log.changed", plan=self._plan.name, component=self._component.name, what=text)
