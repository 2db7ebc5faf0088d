"""What drd.yaml says about alerts of other systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from drd.model.intake.mapped import PLAN
from drd.model.intake.signal import Signal
from drd.model.plan import SecretRef

OPEN_AT_MOST = 10
PER_MINUTE = 60
PRODUCTS = 5
"""All products of one source together have so many times the limits of one: whoever sends names
the products."""


@dataclass(frozen=True, slots=True)
class PlanRule:
    """Puts plans into the scope of alerts whose labels match all these patterns."""

    match: Mapping[str, str]
    plans: tuple[str, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(
            name in labels and fnmatchcase(labels[name], pattern)
            for name, pattern in self.match.items()
        )


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """`listen` is an address on loopback and a port, None without a listener; clients need the
    `token`. A source may have at most `open_at_most` open incidents, and make at most `per_minute`
    entries a minute. `mapping` is the file for JSON of other systems."""

    listen: tuple[str, int] | None = None
    token: SecretRef | None = None
    label: str = PLAN
    rules: tuple[PlanRule, ...] = ()
    severities: Mapping[str, str] = field(default_factory=dict)
    open_at_most: int = OPEN_AT_MOST
    per_minute: int = PER_MINUTE
    mapping: str = ""

    def severity_of(self, signal: Signal, known: Iterable[str]) -> str:
        """Return the severity that an incident gets; empty if drd.yaml does not contain the word:
        then a person decides."""
        severity = self.severities.get(signal.severity, signal.severity.lower())
        return severity if severity in known else ""

    def plans_of(self, signal: Signal, known: Iterable[str]) -> list[str]:
        """Return the plans that an alert is about: the plans in its label, and the plans of the
        rules that match. Plans that drd does not know are left out."""
        named = signal.labels.get(self.label, "").replace(",", " ").split()
        ruled = [p for rule in self.rules if rule.matches(signal.labels) for p in rule.plans]
        every = frozenset(known)
        return [plan for plan in dict.fromkeys([*named, *ruled]) if plan in every]
