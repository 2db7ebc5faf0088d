"""Messages about runs by hand that have ended: commands put them into the outbox, and the daemon
sends them."""

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
        """Read the messages. Returns their plans, whose alerts may report the same."""
        self._rows = self._app.catalogue.outbox.waiting(UNROUTED)
        return {row.message.plan for row in self._rows}

    def send_on(self, routed: Callable[[Message], Sequence[Routed]]) -> bool:
        """Give the messages to the channels that `routed` names. Returns whether there was a
        message."""
        rows, self._rows = self._rows, ()
        for row in rows:
            at = self._app.clock.now()
            self._app.catalogue.outbox.send_on(row, routed(row.message), at)
        return bool(rows)
