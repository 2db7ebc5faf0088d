"""Overdue action items, as conditions for alerts. Pure.

An alert names the incident and the number of the item, but not its text and its owner, because not
everybody who reads alerts may read these."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from drd.model.alerts import Condition
from drd.model.incidents.incident import Incident
from drd.model.titles import ACTION
from drd.model.units import format_time


def action_conditions(incident: Incident, now: datetime, zone: tzinfo) -> Iterator[Condition]:
    """Yield a condition for each overdue item, even if the incident is closed."""
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
