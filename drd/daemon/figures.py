"""Metrics for monitoring: rendered after assessments, to a file and over HTTP."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import drd
from drd import log
from drd.bootstrap import App
from drd.errors import MetricsUnwritable
from drd.flows.alerts.outbox import still_there
from drd.flows.alerts.watch import WatchResult
from drd.metrics import DaemonFigures, render, write_textfile
from drd.model.figures import IncidentFigures
from drd.web import DaemonHealth, MetricsServer, OpenIncidents

_log = log.get()

SHARE = 400.0
"""Rendering may take a four-hundredth of the time; with few plans that allows it after each run."""

OLDEST_S = 55.0
"""The upper limit, for any number of plans: a scrape once a minute finds new metrics each time."""

LIMIT_S = 120.0
"""Four ticks: a daemon whose last tick is older hangs."""


@dataclass(frozen=True, slots=True)
class DaemonReport:
    """What the loop reports about itself at each tick."""

    running: Mapping[str, int]
    queued: int
    duration_s: float
    sentence: str


class Figures:
    """Publishes figures for monitoring; renders nothing if no metrics are configured."""

    def __init__(self, app: App, tick_age_s: Callable[[], float]) -> None:
        self._app = app
        self._tick_age_s = tick_age_s
        self._address: tuple[str, int] | None = None
        self._started_at = app.clock.now()
        self._packed: Sequence[bytes] = ()
        self._server: MetricsServer | None = None
        self._trouble: int | None = None
        self._rests_until = 0.0
        self._incidents: OpenIncidents | None = None

    @property
    def _wanted(self) -> bool:
        settings = self._app.settings
        return settings.metrics_textfile is not None or settings.metrics_http is not None

    def listen(self, address: tuple[str, int] | None) -> None:
        """Serve metrics at this address from now on. Raises DrdError when the address is not
        available; then the old address stays."""
        if address == self._address:
            return
        before, self._server = self._server, self._serve(address)
        self._address = address
        if before is not None:
            before.close()

    def stop(self) -> None:
        self.listen(None)

    def _serve(self, address: tuple[str, int] | None) -> MetricsServer | None:
        if address is None:
            return None

        return MetricsServer.start(
            address,
            lambda: b"".join(self._metrics()),
            lambda: DaemonHealth(
                drd.__version__, self._tick_age_s(), LIMIT_S, incidents=self._incidents
            ),
        )

    def publish(
        self,
        result: WatchResult,
        report: DaemonReport,
        now: datetime,
        reports: Mapping[int, datetime],
    ) -> None:
        """Publish, unless this was done recently ("recently" grows with the number of plans).
        `reports` is when the first report of an incident is due. An error of writing is logged
        once, and has no other effect."""
        if not self._wanted or time.monotonic() < self._rests_until:
            return
        began = time.thread_time()
        self._publish(result, report, now, reports)
        took_s = time.thread_time() - began
        self._rests_until = time.monotonic() + min(SHARE * took_s, OLDEST_S)

    def _metrics(self) -> Iterator[bytes]:
        return map(zlib.decompress, self._packed)

    def _publish(
        self,
        result: WatchResult,
        report: DaemonReport,
        now: datetime,
        reports: Mapping[int, datetime],
    ) -> None:
        catalogue = self._app.catalogue
        states = still_there(catalogue.outbox.channels(), self._app.settings.channels)
        channels = {c.name: c.failing_since is None for c in states}
        daemon = DaemonFigures(
            drd.__version__,
            self._started_at,
            now,
            report.duration_s,
            report.running,
            report.queued,
            channels,
        )
        # Compressed, because they are kept until the next ones: eight megabytes for a thousand
        # plans.
        kept = catalogue.figures()
        kept = kept._replace(incidents=tuple(with_reports(kept.incidents, reports)))
        self._incidents = OpenIncidents.of(kept.incidents)
        metrics = render(result.plans, daemon, kept)
        self._packed = [zlib.compress(metric, 1) for metric in metrics]
        path = self._app.settings.metrics_textfile
        if path is None:
            return
        try:
            write_textfile(path, self._metrics())
            self._trouble = None
        except MetricsUnwritable as error:
            if error.number != self._trouble:
                _log.error("metrics.not_written", error=error.message, hint=error.hint)
            self._trouble = error.number


def with_reports(
    incidents: Iterable[IncidentFigures], reports: Mapping[int, datetime]
) -> Iterator[IncidentFigures]:
    """Yield the incidents with their next due time, including reports: `reports` is when the first
    report of each incident is due, by the number of the incident."""
    for incident in incidents:
        known = (incident.next_at, None if incident.restricted else reports.get(incident.number))
        yield incident._replace(next_at=min((at for at in known if at is not None), default=None))
