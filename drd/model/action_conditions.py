"""Action items that are overdue, as conditions for alerts. Pure.

An alert names the incident and the item, and neither text nor people: not everybody who reads
alerts may know them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from drd.model.alerts import Condition
from drd.model.incidents.incident import Incident
from drd.model.titles import ACTION
from drd.model.units import format_time


def action_conditions(incident: Incident, now: datetime, zone: tzinfo) -> Iterator[Condition]:
    """Return a condition for each item that is overdue, also of a closed incident."""
    for item in incident.open_actions:
        if item.is_overdue(now):
            yield Condition(
                ACTION,
                "warning",
                f"incident {incident.number}, action item {item.entry}",
                f"action item {item.entry} of incident {incident.number} was due "
                f"{format_time(item.due, zone=zone)}, and is not done",
                f"drd incident action {incident.number} list",
            )
