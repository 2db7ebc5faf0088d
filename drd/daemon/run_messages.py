"""Messages about runs that have ended, for the channels that do not get an alert about the same
run.

The daemon knows its own runs; commands put the messages about runs by hand into the outbox."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from drd.bootstrap import App
from drd.flows.alerts.messages import routed
from drd.model.alerts import Transition
from drd.model.message import Message, Routed, is_told, route
from drd.model.run import Run, RunKind
from drd.model.run_message import message_of_run
from drd.ports.notify import UNROUTED, Waiting

REMEMBERED = 1000
"""Messages of alerts about runs that are remembered, since an alert may fire just before the end of
its run is noted."""


class RunMessages:
    """Belongs to the monitor's thread alone."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._ended: deque[Run] = deque()
        self._by_hand: Sequence[Waiting] = ()
        self._fired: deque[Routed] = deque(maxlen=REMEMBERED)

    def fired(self, transitions: Iterable[Transition]) -> None:
        """Remember the alerts about runs: their channels then get no message about these runs."""
        about_runs = (t for t in transitions if t.runs)
        self._fired.extend(routed(about_runs, self._app.settings.channels))

    def ended(self, run: Run) -> None:
        """Note a run of the daemon's that has ended."""
        if run.kind is not RunKind.READINESS and run.finished_at is not None:
            self._ended.append(run)

    def note_by_hand(self) -> set[str]:
        """Read the messages about runs by hand. Returns their plans, whose alerts may report the
        same."""
        self._by_hand = self._app.catalogue.outbox.waiting(UNROUTED)
        return {row.message.plan for row in self._by_hand}

    def send(self) -> bool:
        """Send the messages: after the plans were assessed, which raises the alerts. Returns
        whether there was a message."""
        outbox, changed = self._app.catalogue.outbox, False
        while self._ended:
            run = self._ended[0]
            told = message_of_run(run, self._app.catalogue.evidence.of_run(run.id))
            if to := self._untold(told):
                outbox.add(to, self._app.clock.now())
                changed = True
            self._ended.popleft()
        rows, self._by_hand = self._by_hand, ()
        for row in rows:
            at = self._app.clock.now()
            outbox.send_on(row, self._untold(row.message), at)
        return changed or bool(rows)

    def _untold(self, message: Message) -> list[Routed]:
        """Return the message for the channels that get no alert about the same."""
        told = {name for name, alert in self._fired if is_told(message, alert)}
        return [pair for pair in route(message, self._app.settings.channels) if pair[0] not in told]
