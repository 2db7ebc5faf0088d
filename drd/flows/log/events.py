"""Note changes of a log that drd handles by itself, but that a person must know: a gap, and a
change of the server to another timeline, or of its clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from drd import log
from drd.flows.log.noted import noted_state
from drd.flows.services import Services
from drd.flows.state.restored_points import Replaced, replaced_since
from drd.model.log import LogBatch, LogMark
from drd.model.plan import Component, Plan
from drd.model.units import format_time
from drd.ports.logs import LogLost

_log = log.get()

SET_BACK = timedelta(seconds=2)
"""If a mark is older than the mark before it by more than this, the server's clock was set back."""
SAME_WITHIN = timedelta(minutes=10)
"""The same words within this time are about the same change."""


class Events:
    """The last change of the log of a component: `text`, noticed at the time `at`. After a restart
    of drd, it is the change that was noted before the restart."""

    def __init__(self, services: Services, plan: Plan, component: Component) -> None:
        self._services = services
        self._plan = plan
        self._component = component
        self.text = ""
        self.at: datetime | None = None
        noted = noted_state(services.catalogue.queue, plan.name, component.name)
        if noted is not None:
            self.text, self.at = noted[1].event, noted[1].event_at

    def gap(self, lost: LogLost, since: datetime | None) -> LogLost:
        """Note that the server lacks a part of the log that drd has not received, of which the last
        part is from `since`. Return the reason: drd itself, if it has replaced the server's data
        since then."""
        replaced = self._replaced(since)
        if replaced is not None:
            begins = f"the log of {self._component.name} begins anew, because {replaced.words}"
            self._note(begins)
            return LogLost(begins, hint=lost.hint)
        self._note(f"the log of {self._component.name} has a gap: {lost.message}")
        return lost

    def _replaced(self, since: datetime | None) -> Replaced | None:
        if since is None:
            return None
        catalogue, plan = self._services.catalogue, self._plan.name
        return replaced_since(catalogue, plan, self._component.name, since)

    def switched(
        self, before: LogBatch, mark: LogMark, lines: tuple[tuple[int, int], ...], *, anew: bool
    ) -> None:
        """Note that the server has changed to another timeline after the batch `before`, and which
        part of the former timeline the new one lacks. `lines` are the timelines before that of the
        mark, each with the position at which the server left it. With `anew`, there is a gap
        between the batch and the mark."""
        place = self._services.kinds(self._component.kind).log_place
        left = dict(lines).get(before.end.line, before.end.position)
        replaced = self._replaced(before.end.at)
        why = "a standby took over, or the server was recovered"
        text = (
            f"the server of {self._component.name} has changed from timeline {before.end.line} to "
            f"{mark.line} at {place(left)}: {why if replaced is None else replaced.words}"
        )
        if left < before.end.position:
            text += (
                f". The server no longer has the transactions of timeline {before.end.line} from "
                f"{place(left)} to {place(before.end.position)}; drd has them"
            )
        self._note(f"{self.text}; {text}" if anew and self.text else text)

    def clock(self, before: LogBatch, mark: LogMark) -> None:
        """Note if the clock of the server was set back between the batch `before` and the mark."""
        if before.end.at - mark.at <= SET_BACK:
            return
        place = self._services.kinds(self._component.kind).log_place
        self._note(
            f"the clock of the server of {self._component.name} was set back from "
            f"{format_time(before.end.at, seconds=True)} to {format_time(mark.at, seconds=True)}. "
            "Times between these two now name two places in its log: to recover to a place after "
            f"the change, give drd recover a position after {place(before.end.position)} "
            "instead of a time"
        )

    def _note(self, text: str) -> None:
        now = self._services.clock.now()
        if text == self.text and self.at is not None and now - self.at < SAME_WITHIN:
            return
        self.text, self.at = text, now
        _log.warning("log.changed", plan=self._plan.name, component=self._component.name, what=text)
