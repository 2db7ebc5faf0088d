"""All metrics, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drd.metrics.daemon import daemon_metrics
from drd.metrics.figures import DaemonFigures
from drd.metrics.gauge import Metric
from drd.metrics.incidents import incident_metrics
from drd.metrics.plans import plan_metrics
from drd.metrics.runs import run_metrics
from drd.model.figures import CatalogueFigures
from drd.model.verdicts import Assessment

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(
    plans: Sequence[Assessment], daemon: DaemonFigures, kept: CatalogueFigures
) -> Iterator[bytes]:
    """The text exposition of everything, in a fixed order, one metric at a time: it has eight
    megabytes for a thousand plans.

    Unknown values have no sample, because a zero would be wrong. Times are absolute if an alerting
    rule needs them: the file remains when the daemon dies, and `time() - ..._timestamp` then
    continues to grow."""
    for metric in _metrics(plans, daemon, kept):
        yield metric.encode()


def _metrics(
    plans: Sequence[Assessment], daemon: DaemonFigures, kept: CatalogueFigures
) -> Iterator[Metric]:
    yield from daemon_metrics(daemon, len(plans))
    yield from plan_metrics(plans, daemon.at)
    yield from run_metrics(kept, frozenset(p.plan for p in plans), daemon.at)
    yield from incident_metrics(kept.incidents)
