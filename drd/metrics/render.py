"""All figures as one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import Metric, generate_latest

from drd.metrics.daemon import daemon_metrics
from drd.metrics.figures import DaemonFigures
from drd.metrics.plans import plan_metrics
from drd.metrics.runs import run_metrics
from drd.model.figures import CatalogueFigures
from drd.model.verdicts import Assessment

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(plans: Sequence[Assessment], daemon: DaemonFigures, kept: CatalogueFigures) -> bytes:
    """The text exposition of everything, in an order that does not change.

    What nobody knows has no sample: a zero would be a claim. Times are absolute where an alerting
    rule needs them, since a file stays behind when the daemon dies, and `time() - ..._timestamp`
    goes on growing then. A thousand plans of three components take a quarter of a second of CPU.
    """
    return generate_latest(_Everything(plans, daemon, kept))


class _Everything:
    """Makes one metric after the other, so that only one has its samples in memory."""

    def __init__(
        self, plans: Sequence[Assessment], daemon: DaemonFigures, kept: CatalogueFigures
    ) -> None:
        self._plans = plans
        self._daemon = daemon
        self._kept = kept

    def collect(self) -> Iterable[Metric]:
        return self._metrics()

    def _metrics(self) -> Iterator[Metric]:
        at = self._daemon.at
        yield from daemon_metrics(self._daemon, len(self._plans))
        yield from plan_metrics(self._plans, at)
        yield from run_metrics(self._kept, frozenset(p.plan for p in self._plans), at)
