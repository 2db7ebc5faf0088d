"""Rules of drd.yaml by which an alert opens an incident."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from drd.model.alerts import Alert, AlertChange, Transition, rank
from drd.model.incidents.instants import Instant

_LONGEST_TITLE = 160
_LEAST = "warning"


TierOf = Callable[[str], int | None]
"""Returns the tier of a plan, by its name: 1 is the most important; None if the plan has none."""


@dataclass(frozen=True, slots=True)
class OpeningRule:
    """Opens an incident for alerts of this kind, at least this severe, of plans whose names match,
    and that are of this tier or a more important one. An empty value matches every alert of a plan;
    without a severity, an alert of severity `info`, which is not a problem yet, opens no incident.
    """

    alert: str = ""
    severity: str = ""
    plans: str = ""
    tier: int | None = None

    def matches(self, alert: Alert, tier_of: TierOf) -> bool:
        """Return whether the alert opens an incident. An alert about drd itself has no plan. A plan
        without a tier matches no tier."""
        return (
            bool(alert.plan)
            and self.alert in ("", alert.kind)
            and rank(alert.severity) <= rank(self.severity or _LEAST)
            and (not self.plans or fnmatchcase(alert.plan, self.plans))
            and (self.tier is None or self._is_so_important(tier_of(alert.plan)))
        )

    def _is_so_important(self, tier: int | None) -> bool:
        return self.tier is not None and tier is not None and tier <= self.tier

    def key(self, plan: str) -> str:
        """Return the text that an open incident of this rule and plan is recognised by."""
        parts = {
            "alert": self.alert,
            "severity": self.severity,
            "plans": self.plans,
            "tier": str(self.tier or ""),
        }
        return f"{', '.join(f'{k}: {v}' for k, v in parts.items() if v)}; plan {plan}"


def opening(
    rules: Iterable[OpeningRule],
    transitions: Iterable[Transition],
    tier_of: TierOf = lambda _: None,
) -> list[tuple[str, dict[str, Any]]]:
    """Return the incidents that these changes of alerts open: by the key of rule and plan, the
    content of the entry. Incidents that are open with this key are not opened again."""
    changes = (AlertChange.FIRED, AlertChange.ESCALATED)
    alerts = [t.after for t in transitions if t.change in changes]
    return [
        (rule.key(alert.plan), _body(rule, alert))
        for rule in rules
        for alert in alerts
        if rule.matches(alert, tier_of)
    ]


def _body(rule: OpeningRule, alert: Alert) -> dict[str, Any]:
    title = f"{alert.plan}: {alert.text}"
    return {
        "title": title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…",
        "plans": [alert.plan],
        "severity": "",
        "restricted": False,
        "instants": {Instant.FIRST_ALERT.value: alert.since},
        "rule": rule.key(alert.plan),
        "alert": {
            "id": alert.id,
            "kind": alert.kind,
            "subject": alert.subject,
            "severity": alert.severity,
            "text": alert.text,
        },
    }
