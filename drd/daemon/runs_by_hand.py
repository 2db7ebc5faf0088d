"""The ends of runs by hand, which commands leave in the outbox for the daemon to be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drd.bootstrap import App
from drd.model.message import Message, Routed
from drd.ports.notify import UNROUTED, Waiting


class RunsByHand:
    def __init__(self, app: App) -> None:
        self._app = app
        self._rows: Sequence[Waiting] = ()

    def note(self) -> set[str]:
        """Read what is to be told; returns the plans, whose alerts may tell the same."""
        self._rows = self._app.catalogue.outbox.waiting(UNROUTED)
        return {row.message.plan for row in self._rows}

    def send_on(self, routed: Callable[[Message], Sequence[Routed]]) -> bool:
        """Give what was noted to the channels that `routed` says; returns whether there was
        anything."""
        rows, self._rows = self._rows, ()
        for row in rows:
            at = self._app.clock.now()
            self._app.catalogue.outbox.send_on(row, routed(row.message), at)
        return bool(rows)
