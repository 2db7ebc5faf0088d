"""What is known about one incident that duties to report depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drd.model.incidents.instants import Instant
from drd.model.obligations.conditions import Facts
from drd.model.obligations.regime import HoldKind, HoldRule, Regime

_ANOTHER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision about one regime, with the reason, and the number of its entry.
    `outdated`: it said that the regime does not apply, but since then the facts say that it does.
    """

    applies: bool
    reason: str
    entry: int = field(default=0, compare=False)
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """A delay that an authority asked for: since when, until when (None if the authority did not
    say), and whether the statement was oral. `before` is the statement of the same authority before
    it."""

    kind: HoldKind
    since: datetime
    until: datetime | None = None
    oral: bool = False
    before: Hold | None = None

    @property
    def statements(self) -> tuple[Hold, ...]:
        """Return all statements of the authority, the first one first."""
        earlier = self.before.statements if self.before is not None else ()
        return tuple(sorted((*earlier, self), key=lambda one: one.since))


@dataclass(frozen=True, slots=True)
class Case:
    """The moments and facts of an incident, and what was submitted and decided, by id of regime.

    `submissions` are the first reports, which decide what is late; `updates` are the newest
    reports, for rules that count from the latest report. `late_reasons` say why a report was late.

    `jurisdictions` are the jurisdictions of the organisation; in `zone`, regimes without a zone of
    their own count days."""

    instants: Mapping[Instant, datetime] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)
    submissions: Mapping[str, datetime] = field(default_factory=dict)
    updates: Mapping[str, datetime] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    jurisdictions: tuple[str, ...] = ()
    zone: str = "UTC"
    late_reasons: Mapping[str, str] = field(default_factory=dict)


def rule_of(regime: Regime, hold: Hold) -> HoldRule | None:
    """Return the rule of the regime that allows this delay."""
    return next((rule for rule in regime.holds if rule.kind is hold.kind), None)


def end_of_hold(regime: Regime, hold: Hold) -> datetime | None:
    """Return until when the regime allows this delay; None if it does not allow the delay, or if
    neither the statement nor the regime names an end."""
    rule = rule_of(regime, hold)
    if rule is None:
        return None
    limits = [hold.until] if hold.until is not None else []
    if (latest := latest_end(rule, hold)) is not None:
        limits.append(latest)
    return min(limits, default=None)


def latest_end(rule: HoldRule, hold: Hold) -> datetime | None:
    """Return until when the rule allows this delay, whatever the statement says; None if the rule
    has no limit. Limits count from the first statement: repeating one does not prolong the
    delay."""
    limits = []
    if hold.oral and rule.oral_days is not None:
        first = min(one.since for one in hold.statements if one.oral)
        limits.append(first + timedelta(days=rule.oral_days))
    if rule.at_most_days:
        days = rule.at_most_days[: _place(hold)]
        limits.append(hold.statements[0].since + timedelta(days=sum(days)))
    return min(limits, default=None)


def _place(hold: Hold) -> int:
    """Return the number of the statement: 1 for the first one, 2 for the second one. A statement
    within a day of another one only corrects it, and does not count."""
    place, counted = 1, hold.statements[0].since
    for one in hold.statements[1:]:
        if one.since <= hold.since and one.since - counted >= _ANOTHER:
            place, counted = place + 1, one.since
    return place


def held_until(regime: Regime, hold: Hold, due: datetime | None) -> datetime | None:
    """Return until when a delay moves what is due at `due`; None if it moves nothing. A later
    statement replaces an earlier one. A statement from after the report was due comes too late."""
    end: datetime | None = None
    for one in hold.statements:
        current = due if due is None or end is None else max(due, end)
        if current is None or one.since <= current:
            end = end_of_hold(regime, one) or end
    return end
