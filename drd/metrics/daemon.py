"""The metrics of the daemon itself."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from drd.metrics.figures import DaemonFigures
from drd.metrics.gauge import Metric, gauge, moment, printable
from drd.model.run import RunKind


def daemon_metrics(daemon: DaemonFigures, plans: int) -> Iterator[Metric]:
    """Metrics of a daemon with `plans` plans."""
    yield gauge(
        "drd_build_info",
        "Versions of drd and of the Python that runs drd.",
        ("version", "python_version"),
        [((daemon.version, platform.python_version()), 1.0)],
    )
    yield gauge(
        "drd_start_timestamp_seconds",
        "Time of the daemon's start.",
        (),
        [((), moment(daemon.started_at))],
    )
    yield gauge(
        "drd_heartbeat_timestamp_seconds",
        "Time when the daemon last checked the plans (its last tick).",
        (),
        [((), moment(daemon.at))],
    )
    yield gauge(
        "drd_tick_duration_seconds",
        "Duration of the daemon's last check of the plans (its last tick).",
        (),
        [((), daemon.tick_duration_s)],
    )
    yield gauge("drd_plans", "Plans that drd knows.", (), [((), plans)])
    kinds = dict.fromkeys(map(str, RunKind), 0) | dict(daemon.running)
    yield gauge(
        "drd_runs_running",
        "Runs that are being executed.",
        ("kind",),
        (((kind,), count) for kind, count in kinds.items()),
    )
    yield gauge("drd_runs_queued", "Runs that are due and waiting.", (), [((), daemon.queued)])
    yield gauge(
        "drd_notification_channel_up",
        "1 if the channel's last message was delivered.",
        ("channel",),
        (((printable(name),), float(up)) for name, up in daemon.channels.items()),
    )
