"""`reconcile()`: what becomes of alerts when conditions come, stay and go. Pure.

The same plan, kind and subject is the same alert for as long as its condition does not stay away
for the hold time, so what comes and goes is told once. Nothing here trusts the clock to run on: a
time that lies in the future is counted from now on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from drd.model.actor import Actor
from drd.model.message import SEVERITIES, Severity

State = Literal["firing", "acknowledged", "resolved"]

AT_ONCE = frozenset(
    {
        "no-point",
        "never-drilled",
        "drill-failed",
        "drill-inconclusive",
        "drill-overdue",
        "rto",
        "plan-changed",
        "repository-damaged",
        "plan-not-loaded",
        "plan-text",
        "exposed-file",
        "configuration",
    }
)
"""Kinds that only the end of a rare run or a person's reload takes away: that is the proof, and
waiting would prove nothing more. Backups are none of them: of a flapping source every second one
succeeds."""

Key = tuple[str, str, str]
"""Plan, kind, subject."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something is bad now. `plan` is empty for what concerns the daemon; `subject` tells apart
    what can be bad several times in a plan (a repository, a disk); `command` is what to run next.
    `code` is that of the finding of a look ahead that made it.
    """

    kind: str
    plan: str
    subject: str
    severity: Severity
    message: str
    command: str = ""
    code: str = ""

    @property
    def key(self) -> Key:
        return self.plan, self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Alert:
    """A lasting condition. `since` is when it began to fire.

    `seen_at` is when the condition was last there in this severity, to a fifth of the hold time;
    `gone_at` since when it is not there at all. `told_at` is when somebody was last told. An
    acknowledgement holds until `acknowledged_until`, or without one until the alert is resolved;
    who gave the last one stays on record after that.
    """

    id: str
    plan: str
    kind: str
    subject: str
    state: State
    severity: Severity
    since: datetime
    message: str
    command: str = ""
    seen_at: datetime | None = None
    told_at: datetime | None = None
    gone_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_until: datetime | None = None
    acknowledged_why: str | None = None
    acknowledged_actor: Actor | None = None
    resolved_at: datetime | None = None
    code: str = ""

    @property
    def key(self) -> Key:
        return self.plan, self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Rules:
    """Seconds. `hold_s` is how long a condition has to stay away; `remind_s` after how long an
    alert that nobody acknowledged is told again, one of severity info never."""

    hold_s: float = 300.0
    remind_s: float = 4 * 3600.0
    remind_critical_s: float = 3600.0

    @property
    def refresh_s(self) -> float:
        """How old `seen_at` may get before it is written again."""
        return self.hold_s / 5

    def holds(self, kind: str) -> timedelta:
        return timedelta(seconds=0 if kind in AT_ONCE else self.hold_s)

    def reminds(self, severity: Severity) -> timedelta | None:
        if severity == "info":
            return None
        return timedelta(
            seconds=self.remind_critical_s if severity == "critical" else self.remind_s
        )


class Change(StrEnum):
    """What happened to an alert."""

    FIRED = "fired"
    ESCALATED = "escalated"
    """The condition got graver; that takes an acknowledgement back, which was for less."""
    EXPIRED = "expired"
    """The acknowledgement's time is over and the condition is still there."""
    REMINDED = "reminded"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    KEPT = "kept"
    """Only the record changes; nobody is told."""

    @property
    def event(self) -> Literal["firing", "acknowledged", "resolved"] | None:
        """What channels can ask for; None when nobody is told."""
        if self is Change.KEPT:
            return None
        if self is Change.ACKNOWLEDGED or self is Change.RESOLVED:
            return "acknowledged" if self is Change.ACKNOWLEDGED else "resolved"
        return "firing"


@dataclass(frozen=True, slots=True)
class Transition:
    """`before` is the alert that the decision rests on, None for a new one."""

    change: Change
    before: Alert | None
    after: Alert


def rank(severity: str) -> int:
    """0 for critical, growing as it matters less."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def all_seen(_: Alert) -> bool:
    """Everything was looked at."""
    return True


def reconcile(
    conditions: Iterable[Condition],
    open_alerts: Collection[Alert],
    now: datetime,
    rules: Rules,
    *,
    new_id: Callable[[], str],
    looked_at: Callable[[Alert], bool] = all_seen,
) -> list[Transition]:
    """What changes, by plan, kind and subject; nothing for an alert that stays as it is.

    Of several conditions with the same key the gravest counts. What was not `looked_at` counts as
    still there: no data is no good news. It does not begin anew either how long one that was gone
    has been: looking takes its time.
    """
    there = _by_key(conditions)
    transitions = []
    for alert in open_alerts:
        condition = there.pop(alert.key, None)
        if condition is None and not looked_at(alert):
            if alert.gone_at is not None:
                continue
            condition = _as_before(alert)
        transition = _gone(alert, now, rules) if condition is None else None
        if condition is not None:
            transition = _there(alert, condition, now, rules)
        if transition is not None:
            transitions.append(transition)
    transitions += [_fire(condition, now, new_id()) for condition in there.values()]
    return sorted(transitions, key=lambda t: t.after.key)


def acknowledged(
    alert: Alert,
    *,
    by: str,
    until: datetime | None,
    why: str | None,
    now: datetime,
    actor: Actor | None = None,
) -> Transition:
    """Somebody takes care: silence until then, or until the alert is resolved."""
    after = replace(
        alert,
        state="acknowledged",
        acknowledged_by=by,
        acknowledged_until=until,
        acknowledged_why=why,
        acknowledged_actor=actor,
        told_at=now,
    )
    return Transition(Change.ACKNOWLEDGED, alert, after)


def _by_key(conditions: Iterable[Condition]) -> dict[Key, Condition]:
    by_key: dict[Key, Condition] = {}
    for condition in conditions:
        other = by_key.get(condition.key)
        if other is None or rank(condition.severity) < rank(other.severity):
            by_key[condition.key] = condition
    return by_key


def _as_before(alert: Alert) -> Condition:
    return Condition(
        alert.kind, alert.plan, alert.subject, alert.severity, alert.message, alert.command
    )


def _fire(condition: Condition, now: datetime, new: str) -> Transition:
    alert = Alert(
        id=new,
        plan=condition.plan,
        kind=condition.kind,
        subject=condition.subject,
        state="firing",
        severity=condition.severity,
        since=now,
        message=condition.message,
        command=condition.command,
        code=condition.code,
        seen_at=now,
        told_at=now,
    )
    return Transition(Change.FIRED, None, alert)


def _gone(alert: Alert, now: datetime, rules: Rules) -> Transition | None:
    """A clock that was set back begins the wait anew."""
    hold = rules.holds(alert.kind)
    gone_at = alert.gone_at
    if gone_at is None or gone_at > now:
        gone_at = now
    if now - gone_at >= hold:
        after = replace(alert, state="resolved", gone_at=gone_at, resolved_at=now)
        return Transition(Change.RESOLVED, alert, after)
    if gone_at == alert.gone_at:
        return None
    return Transition(Change.KEPT, alert, replace(alert, gone_at=gone_at))


def _there(alert: Alert, condition: Condition, now: datetime, rules: Rules) -> Transition | None:
    change = _told_again(alert, condition, now, rules)
    if change is not None:
        after = _renewed(alert, condition, now)
        return Transition(change, alert, replace(after, state="firing", told_at=now))
    seen_at = _past(alert.seen_at or alert.since, now)
    told_at = _past(alert.told_at or alert.since, now)
    falls = rank(condition.severity) > rank(alert.severity)
    # One that got less grave keeps its severity for the hold time: coming and going between two
    # would be told at every rise.
    stale_s = rules.hold_s + rules.refresh_s if falls else rules.refresh_s
    if (now - seen_at).total_seconds() >= stale_s:
        return Transition(Change.KEPT, alert, _renewed(alert, condition, now))
    after = replace(alert, seen_at=seen_at, told_at=told_at, gone_at=None)
    return Transition(Change.KEPT, alert, after) if after != alert else None


def _told_again(alert: Alert, condition: Condition, now: datetime, rules: Rules) -> Change | None:
    if rank(condition.severity) < rank(alert.severity):
        return Change.ESCALATED
    if alert.state == "acknowledged":
        until = alert.acknowledged_until
        return Change.EXPIRED if until is not None and now >= until else None
    remind = rules.reminds(alert.severity)
    if remind is not None and now - (alert.told_at or alert.since) >= remind:
        return Change.REMINDED
    return None


def _renewed(alert: Alert, condition: Condition, now: datetime) -> Alert:
    return replace(
        alert,
        severity=condition.severity,
        message=condition.message,
        command=condition.command,
        code=condition.code,
        seen_at=now,
        gone_at=None,
    )


def _past(at: datetime, now: datetime) -> datetime:
    """A time of a clock that was ahead is counted from now."""
    return min(at, now)
