"""Conditions and alerts for tests: one that is there, and what differs from it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

from drd.model.alerts import Alert, Condition, Rules, Transition, reconcile
from drd.model.message import Urgency

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
RULES = Rules(hold_s=300, remind_s=4 * 3600, remind_critical_s=3600)


def after(**span: float) -> datetime:
    return NOON + timedelta(**span)


def bad(
    kind: str = "rpo",
    plan: str = "orders-api",
    subject: str = "",
    severity: Urgency = "warning",
    message: str = "late",
) -> Condition:
    return Condition(kind, severity, subject, message, "drd status", plan=plan)


class World:
    """Open alerts that live through looks, as the catalogue would keep them."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.alerts: dict[str, Alert] = {}
        self.resolved: list[Alert] = []
        self._ids = count(1)

    @property
    def one(self) -> Alert:
        [alert] = self.alerts.values()
        return alert

    def look(self, now: datetime, *conditions: Condition, known: Iterable[str] = ()) -> list[str]:
        """What somebody is told, like `fired`; with `known`, nothing was looked at but these
        kinds."""
        return [
            t.change.value
            for t in self.transitions(now, *conditions, known=known)
            if t.change.event
        ]

    def transitions(
        self, now: datetime, *conditions: Condition, known: Iterable[str] = ()
    ) -> list[Transition]:
        kinds = set(known)
        found = reconcile(
            conditions,
            list(self.alerts.values()),
            now,
            self.rules,
            new_id=lambda: f"a{next(self._ids)}",
            was_checked=lambda alert: not kinds or alert.kind in kinds,
        )
        for transition in found:
            self.take(transition)
        return found

    def take(self, transition: Transition) -> None:
        alert = transition.after
        if alert.resolved_at is None:
            self.alerts[alert.id] = alert
        else:
            del self.alerts[alert.id]
            self.resolved.append(alert)
