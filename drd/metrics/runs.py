"""The metrics of runs, copies, verifications and alerts, from the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from drd.metrics.gauge import Metric, gauge, gauge_of, labelled, moment, printable
from drd.model.clock import age
from drd.model.figures import AlertFigures, CatalogueFigures, CopyFigures, RunFigures
from drd.model.run import RunState

_NO_FAILURE = (RunState.SUCCEEDED, RunState.PAUSED)

_RUN_FIGURES: tuple[tuple[str, str, Callable[[RunFigures], float | None]], ...] = (
    (
        "drd_run_timestamp_seconds",
        "Time when the last run of the kind ended.",
        lambda r: moment(r.finished_at),
    ),
    (
        "drd_run_success_timestamp_seconds",
        "Time when the last successful run of the kind ended.",
        lambda r: moment(r.succeeded_at),
    ),
    (
        "drd_run_succeeded",
        "1 if the last finished run of the kind succeeded or was paused.",
        lambda r: None if r.state is None else float(r.state in _NO_FAILURE),
    ),
    (
        "drd_run_failures",
        "Failed runs of the kind since the last successful run.",
        lambda r: r.failures,
    ),
    (
        "drd_run_duration_seconds",
        "Duration of the last run of the kind.",
        lambda r: r.duration_s,
    ),
    (
        "drd_run_size_bytes",
        "Bytes that the last successful run of the kind processed.",
        lambda r: r.size_bytes,
    ),
)


def run_metrics(kept: CatalogueFigures, plans: frozenset[str], at: datetime) -> Iterator[Metric]:
    """Return the metrics of `plans` only, because the catalogue also remembers removed plans.
    Alerts of all subjects are included.
    """
    labels = ("plan", "kind", "repository")
    runs = [
        (labelled(labels, (r.plan, r.kind, r.repository)), r) for r in kept.runs if r.plan in plans
    ]
    for name, text, figure in _RUN_FIGURES:
        yield gauge_of(name, text, [(of, figure(r)) for of, r in runs])
    yield from _copy_metrics([c for c in kept.copies if c.plan in plans], at)
    verifications = [((v.plan, v.repository), v) for v in kept.verifications if v.plan in plans]
    yield gauge(
        "drd_verification_timestamp_seconds",
        "Time when verifications last had read all data of the repository.",
        ("plan", "repository"),
        ((values, moment(v.complete_at)) for values, v in verifications),
    )
    yield gauge(
        "drd_repository_damaged",
        "1 if the last verification of the repository found damage.",
        ("plan", "repository"),
        ((values, float(v.damaged)) for values, v in verifications),
    )
    yield _alert_metric(kept.alerts)


def _copy_metrics(copies: Sequence[CopyFigures], at: datetime) -> Iterator[Metric]:
    labels = ("plan", "repository")
    named = [((c.plan, c.repository), c) for c in copies]
    yield gauge(
        "drd_copy_timestamp_seconds",
        "Data time of the newest complete restore point in the second repository.",
        labels,
        ((values, moment(c.data_time)) for values, c in named),
    )
    yield gauge(
        "drd_copy_exposure_seconds",
        "Data that would have been lost when drd last checked the plan, if the first repository "
        "were lost, too.",
        labels,
        ((values, age(c.data_time, at)) for values, c in named),
    )


def _alert_metric(alerts: Sequence[AlertFigures]) -> Metric:
    return gauge(
        "drd_alerts",
        "Unresolved alerts; the plan is empty for alerts about drd itself.",
        ("plan", "kind", "severity", "state"),
        (((printable(a.plan), a.kind, a.severity, a.state), a.number) for a in alerts),
    )
