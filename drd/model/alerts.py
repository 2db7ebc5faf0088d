"""`reconcile()` decides what happens to alerts when conditions appear, last and end. Pure.

An alert of the same plan, kind and subject is the same alert until its condition has been gone for
the hold time, so a condition that comes and goes is reported once. The clock may be set back: a
time in the future counts as now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from drd.model.actor import Actor
from drd.model.message import SEVERITIES, Urgency

AlertState = Literal["firing", "acknowledged", "resolved"]

AT_ONCE = frozenset(
    {
        "no-point",
        "never-drilled",
        "time-unmeasured",
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
        "credentials",
        "secret-missing",
    }
)
"""Kinds of alerts that are resolved without a hold time, because only the end of a rare run or a
reload can end them, which is proof enough. Backups are not among them: for an unstable source every
second one succeeds.
"""

AlertKey = tuple[str, str, str]
"""What identifies an alert: plan, kind, subject."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A current problem.

    `kind` and `code` are the kind and code of its alert; `code` is empty if it is the same as the
    kind. `plan` is empty if the problem concerns the daemon; `subject` distinguishes problems of
    the same kind in a plan (a repository, a disk). `brief` are words for the title beside the kind.
    `why` is the kind of another condition with the same cause, or the code of the error because of
    which a run failed. `also` are conditions with the same cause that this condition reports as
    well. `runs` are the ids of the runs whose end this condition, or one of `also`, reports. With
    `unless`, the condition is an older finding that is checked again: it is not reported while one
    of these alerts, which report the same, is open. `fact` is what an examination found about the
    subject; conditions with the same kind, code and fact have one cause. `places` are the
    repositories of which one may be the cause, if the subject is none; without them, it may be any
    of the plan. `news`: when this cause began; an alert that is open since before is sent again."""

    kind: str
    severity: Urgency
    subject: str
    text: str
    remedy: str = ""
    plan: str = ""
    code: str = ""
    brief: str = ""
    why: str = ""
    also: tuple[AlertKey, ...] = ()
    runs: tuple[str, ...] = ()
    unless: tuple[AlertKey, ...] = ()
    fact: str = ""
    places: tuple[str, ...] = ()
    news: datetime | None = None

    @property
    def key(self) -> AlertKey:
        return self.plan, self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Alert:
    """A lasting condition. `since` is when it began. `code` is the code of the readiness finding
    that raised the alert; empty if the code is the same as the `kind`. In the catalogue and in
    JSON, `text` is called `message`, and `remedy` `command`.

    `seen_at` is when the condition was last there in this severity, to a fifth of the hold time;
    `gone_at` since when it is gone. `told_at` is when the last message was sent. An acknowledgement
    lasts until `acknowledged_until`, or without one until the alert is resolved; the last person
    stays on record after that."""

    id: str
    plan: str
    kind: str
    subject: str
    state: AlertState
    severity: Urgency
    since: datetime
    text: str
    remedy: str = ""
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
    def key(self) -> AlertKey:
        return self.plan, self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Rules:
    """Times in seconds. `hold_s` is how long a condition must be gone; `remind_s` is the time
    between reminders of an alert that nobody has acknowledged (never for severity info)."""

    hold_s: float = 300.0
    remind_s: float = 4 * 3600.0
    remind_critical_s: float = 3600.0

    @property
    def refresh_s(self) -> float:
        """Return how many seconds old `seen_at` may be before it is written again."""
        return self.hold_s / 5

    def holds(self, kind: str) -> timedelta:
        return timedelta(seconds=0 if kind in AT_ONCE else self.hold_s)

    def reminds(self, severity: Urgency) -> timedelta | None:
        if severity == "info":
            return None
        return timedelta(
            seconds=self.remind_critical_s if severity == "critical" else self.remind_s
        )


ENDED_BY_DRILL = frozenset(
    {
        "never-drilled",
        "time-unmeasured",
        "drill-failed",
        "drill-inconclusive",
        "drill-overdue",
        "rto",
        "plan-changed",
    }
)
"""Kinds of alerts that the next passed drill resolves at once."""


class AlertChange(StrEnum):
    """What happened to an alert."""

    FIRED = "fired"
    ESCALATED = "escalated"
    """The condition got worse. That ends an acknowledgement, which was given for a lesser
    problem.
    """
    CHANGED = "changed"
    """The problem has a new cause. That ends an acknowledgement, which was given for the former
    one."""
    EXPIRED = "expired"
    """The acknowledgement's time is over and the condition is still there."""
    REMINDED = "reminded"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    KEPT = "kept"
    """Only the record changes; no message is sent."""

    @property
    def event(self) -> Literal["firing", "acknowledged", "resolved"] | None:
        """The event for channels; None if no message is sent."""
        if self is AlertChange.KEPT:
            return None
        if self is AlertChange.ACKNOWLEDGED or self is AlertChange.RESOLVED:
            return "acknowledged" if self is AlertChange.ACKNOWLEDGED else "resolved"
        return "firing"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of an alert. `before` is the alert that the decision is based on, None for a new
    alert. `brief` are the words of the condition for the title, `runs` the runs about whose end it
    is.
    """

    change: AlertChange
    before: Alert | None
    after: Alert
    brief: str = ""
    runs: tuple[str, ...] = ()


def rank(severity: str) -> int:
    """Return a number to sort severities by: 0 for critical, higher for less severe."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def reconcile(
    conditions: Iterable[Condition],
    open_alerts: Collection[Alert],
    now: datetime,
    rules: Rules,
    *,
    new_id: Callable[[], str],
    was_checked: Callable[[Alert], bool] | None = None,
) -> list[Transition]:
    """Return the changes by plan, kind and subject; an alert that stays the same has no change.

    Of several conditions with the same key, the most severe counts. A condition that was not
    checked (`was_checked`; None: all were) counts as still there: missing data is not good news. It
    does not restart the hold time of a condition that was gone.

    If another condition reports the condition of an alert as well (`also`), the alert continues as
    the alert of that condition, with its id: it is sent again only if the other condition is more
    severe. If the other condition already has an alert, this alert waits without messages.
    """
    current = _by_key(conditions)
    told = {key: c.key for c in current.values() for key in c.also}
    with_alert = {alert.key for alert in open_alerts}
    transitions = []
    for alert in open_alerts:
        teller = told.get(alert.key)
        if teller in with_alert:
            if alert.gone_at is not None:
                transitions.append(_kept(alert, gone_at=None))
            continue
        if teller is not None:
            with_alert.add(teller)
        condition = current.pop(teller or alert.key, None)
        if condition is None and was_checked is not None and not was_checked(alert):
            if alert.gone_at is not None:
                continue
            condition = _as_before(alert)
        transition = _on_condition_gone(alert, now, rules) if condition is None else None
        if condition is not None:
            transition = _on_condition_present(alert, condition, now, rules)
        if transition is not None:
            transitions.append(transition)
    resolved = {t.after.key for t in transitions if t.change is AlertChange.RESOLVED}
    still = {alert.key for alert in open_alerts} - resolved
    transitions += [_fire(c, now, new_id()) for c in current.values() if still.isdisjoint(c.unless)]
    return sorted(transitions, key=lambda t: t.after.key)


def _kept(alert: Alert, **now: datetime | None) -> Transition:
    return Transition(AlertChange.KEPT, alert, replace(alert, **now))  # type: ignore[arg-type]


def acknowledged(
    alert: Alert,
    *,
    by: str,
    until: datetime | None,
    why: str | None,
    now: datetime,
    actor: Actor | None = None,
) -> Transition:
    """Record that a person takes care of an alert: no reminders until that time, or until the alert
    is resolved.
    """
    after = replace(
        alert,
        state="acknowledged",
        acknowledged_by=by,
        acknowledged_until=until,
        acknowledged_why=why,
        acknowledged_actor=actor,
        told_at=now,
    )
    return Transition(AlertChange.ACKNOWLEDGED, alert, after)


def _by_key(conditions: Iterable[Condition]) -> dict[AlertKey, Condition]:
    by_key: dict[AlertKey, Condition] = {}
    for condition in conditions:
        other = by_key.get(condition.key)
        if other is None or rank(condition.severity) < rank(other.severity):
            by_key[condition.key] = condition
    return by_key


def _as_before(alert: Alert) -> Condition:
    return Condition(
        alert.kind,
        alert.severity,
        alert.subject,
        alert.text,
        alert.remedy,
        alert.plan,
        alert.code,
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
        text=condition.text,
        remedy=condition.remedy,
        code=condition.code,
        seen_at=now,
        told_at=now,
    )
    return Transition(AlertChange.FIRED, None, alert, condition.brief, condition.runs)


def _on_condition_gone(alert: Alert, now: datetime, rules: Rules) -> Transition | None:
    """Note that the condition is gone, or resolve the alert after the hold time. A clock that was
    set back restarts the hold time.
    """
    hold = rules.holds(alert.kind)
    gone_at = alert.gone_at
    if gone_at is None or gone_at > now:
        gone_at = now
    if now - gone_at >= hold:
        after = replace(alert, state="resolved", gone_at=gone_at, resolved_at=now)
        return Transition(AlertChange.RESOLVED, alert, after)
    if gone_at == alert.gone_at:
        return None
    return Transition(AlertChange.KEPT, alert, replace(alert, gone_at=gone_at))


def _on_condition_present(
    alert: Alert, condition: Condition, now: datetime, rules: Rules
) -> Transition | None:
    change = _told_again(alert, condition, now, rules)
    if change is not None:
        after = _renewed(alert, condition, now)
        after = replace(after, state="firing", told_at=now)
        return Transition(change, alert, after, condition.brief, condition.runs)
    seen_at = _past(alert.seen_at or alert.since, now)
    told_at = _past(alert.told_at or alert.since, now)
    falls = rank(condition.severity) > rank(alert.severity)
    # One that got less severe keeps its severity for the hold time: otherwise a condition that
    # alternates would be sent at every rise.
    stale_s = rules.hold_s + rules.refresh_s if falls else rules.refresh_s
    goes_on = alert.key != condition.key and not falls
    if goes_on or (now - seen_at).total_seconds() >= stale_s:
        return Transition(AlertChange.KEPT, alert, _renewed(alert, condition, now))
    after = replace(alert, seen_at=seen_at, told_at=told_at, gone_at=None)
    if falls and alert.key == condition.key and condition.remedy != alert.remedy:
        # Another problem by now, whose text and remedy are shown at once.
        after = replace(_renewed(after, condition, now), severity=alert.severity, seen_at=seen_at)
    return Transition(AlertChange.KEPT, alert, after) if after != alert else None


def _told_again(
    alert: Alert, condition: Condition, now: datetime, rules: Rules
) -> AlertChange | None:
    if rank(condition.severity) < rank(alert.severity):
        return AlertChange.ESCALATED
    if condition.news is not None and (alert.told_at or alert.since) < condition.news <= now:
        return AlertChange.CHANGED
    if alert.state == "acknowledged":
        until = alert.acknowledged_until
        return AlertChange.EXPIRED if until is not None and now >= until else None
    remind = rules.reminds(alert.severity)
    if remind is not None and now - (alert.told_at or alert.since) >= remind:
        return AlertChange.REMINDED
    return None


def _renewed(alert: Alert, condition: Condition, now: datetime) -> Alert:
    return replace(
        alert,
        kind=condition.kind,
        subject=condition.subject,
        severity=condition.severity,
        text=condition.text,
        remedy=condition.remedy,
        code=condition.code,
        seen_at=now,
        gone_at=None,
    )


def _past(at: datetime, now: datetime) -> datetime:
    """Return the time, or now if the time is in the future: the clock was ahead."""
    return min(at, now)
