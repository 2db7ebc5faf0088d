"""A service whose catalogue cannot be opened: it alerts a person, and continues to try.

Without this, the service would end and be restarted again and again, each time as if it had sent no
alert yet."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence

from drd import log
from drd.bootstrap import App
from drd.bootstrap.state import state_directory
from drd.daemon.reload import reread
from drd.daemon.sd_notify import ServiceManager
from drd.errors import CatalogueError, DrdError
from drd.flows.alerts.direct import deliver_repeatedly
from drd.flows.alerts.messages import routed
from drd.flows.alerts.patience import Patience
from drd.flows.alerts.unrecorded import UnrecordedAlerts
from drd.model.alert_facts import HostFacts
from drd.model.alerts import Alert, AlertChange, Condition, Rules, Transition, reconcile
from drd.model.host_conditions import CATALOGUE, host_conditions
from drd.model.message import ChannelSpec, Message

PAUSE_S = 5.0

_OF_THE_DISK = frozenset({"full", "read-only", "disk"})
"""The problems for which every daemon waits until they are over, even a daemon that a person or a
container started. With other problems such a daemon ends, and the person sees the error at once."""

_log = log.get()


class Standby:
    """Sends an alert once, reminders as drd.yaml says, and a message when the trouble is over:
    without the outbox, which is in the catalogue."""

    def __init__(self, app: App, manager: ServiceManager, *, pause_s: float = PAUSE_S) -> None:
        self._app = app
        self._manager = manager
        self._pause_s = pause_s
        self._alerts: list[Alert] = []
        self._trouble: CatalogueError | None = None
        self._patience = Patience()
        self._unrecorded = UnrecordedAlerts(state_directory(app.settings))
        self._others: list[Transition] = []
        self._reload_asked = threading.Event()

    def reload_soon(self) -> None:
        """Read drd.yaml again; for a signal handler or another thread."""
        self._reload_asked.set()

    def wait(self, *, only_for_disk: bool = False) -> None:
        """Wait until the catalogue is open. Signals may end the process, because it has not begun
        anything. With `only_for_disk`, raise CatalogueError for problems that do not concern the
        disk."""
        while (error := self._error()) is not None:
            if only_for_disk and error.trouble not in _OF_THE_DISK:
                raise error
            self._report_trouble(error)
            now = self._app.clock.now()
            if not self._patience.bears(error.trouble, now):
                conditions = host_conditions(HostFacts(catalogue_error=error.line), None, now)
                self._send_messages(conditions, self._app.settings.alert_rules)
            if self._reload_asked.wait(self._pause_s):
                self._reload_asked.clear()
                self._reload()
            self._manager.watchdog()
        if self._trouble is not None:
            _log.info("catalogue.works_again")
            self._send_messages([], Rules(hold_s=0.0))

    def _reload(self) -> None:
        """Read drd.yaml for other recipients; the plans are read when the catalogue is open."""
        self._manager.reloading("reading drd.yaml")
        try:
            self._app.settings = reread(self._app).settings
        except DrdError as error:
            _log.error("configuration.refused", error=error.message, hint=error.hint)
        self._manager.ready(f"catalogue: {self._trouble}")

    def _error(self) -> CatalogueError | None:
        try:
            _ = self._app.catalogue
        except CatalogueError as error:
            return error
        return None

    def _report_trouble(self, error: CatalogueError) -> None:
        if self._trouble is None:
            self._take_over()
        elif error.trouble == self._trouble.trouble:
            return
        self._trouble = error
        _log.error("catalogue.trouble", error=error.message, hint=error.hint)
        # systemd would end a start that takes too long.
        self._manager.ready(f"catalogue: {error.message}")

    def _take_over(self) -> None:
        """Continue the alert about the catalogue that a former daemon has sent, and leave its other
        alerts to the watch."""
        for change in self._unrecorded.read():
            if change.before is None and change.after.kind == CATALOGUE:
                self._alerts.append(change.after)
            else:
                self._others.append(change)

    def _send_messages(self, conditions: Sequence[Condition], rules: Rules) -> None:
        now = self._app.clock.now()
        transitions = reconcile(
            conditions, self._alerts, now, rules, new_id=lambda: secrets.token_hex(4)
        )
        alerts = {a.id: a for a in self._alerts} | {t.after.id: t.after for t in transitions}
        self._alerts = [a for a in alerts.values() if a.resolved_at is None]
        mine = [Transition(AlertChange.FIRED, None, alert) for alert in self._alerts]
        self._unrecorded.write([*self._others, *mine])
        channels = {c.name: c for c in self._app.settings.channels}
        for name, message in routed(transitions, self._app.settings.channels):
            work = threading.Thread(
                target=self._deliver, args=(message, channels[name]), daemon=True
            )
            work.start()

    def _deliver(self, message: Message, channel: ChannelSpec) -> None:
        deliver_repeatedly([message], channel, self._app.channels.open, self._app.clock)
