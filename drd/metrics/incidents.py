"""The metrics of open incidents. They have neither title nor scope: everybody reads metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drd.metrics.gauge import Metric, gauge, moment, printable
from drd.model.figures import IncidentFigures


def incident_metrics(incidents: Sequence[IncidentFigures]) -> Iterator[Metric]:
    """Return the metrics of incidents that are not closed."""
    yield gauge(
        "drd_incident_open",
        "1 for each incident that is not closed, and for each reported suspicion.",
        ("incident", "state", "severity"),
        (((str(i.number), printable(i.state), printable(i.severity)), 1.0) for i in incidents),
    )
    yield gauge(
        "drd_incident_next_due_timestamp_seconds",
        "When the incident's next task, update or report is due; in the past when it is late.",
        ("incident",),
        (((str(i.number),), moment(i.next_at)) for i in incidents),
    )
