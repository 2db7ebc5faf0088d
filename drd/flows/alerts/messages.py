"""The messages about an alert, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drd.model.alerts import Alert, AlertChange, Transition
from drd.model.host_conditions import CATALOGUE
from drd.model.message import ChannelSpec, Message, Routed, route
from drd.model.text import escaped
from drd.model.titles import title_of, titled
from drd.model.units import format_duration, format_time, to_rfc3339

_LEADS = {
    AlertChange.ESCALATED: "now {severity}: ",
    AlertChange.CHANGED: "new cause: ",
    AlertChange.EXPIRED: "acknowledgement ended: ",
    AlertChange.REMINDED: "still: ",
    AlertChange.ACKNOWLEDGED: "acknowledged: ",
    AlertChange.RESOLVED: "resolved: ",
}


def routed(transitions: Iterable[Transition], channels: Sequence[ChannelSpec]) -> list[Routed]:
    """Return the messages about these changes, and the channels that carry each."""
    messages = (message(transition) for transition in transitions)
    return [pair for each in messages if each is not None for pair in route(each, channels)]


def message(transition: Transition) -> Message | None:
    """Return the message; None for a change that is not notified."""
    event = transition.change.event
    if event is None:
        return None
    alert = transition.after
    lead = _LEADS.get(transition.change, "").format(severity=alert.severity)
    return Message(
        event=event,
        plan=alert.plan,
        severity=alert.severity,
        title=titled(
            alert.plan or "drd",
            lead + title_of(alert.kind, alert.severity, alert.subject, transition.brief),
        ),
        text="\n".join(_lines(transition)),
        at=alert.resolved_at or alert.told_at or alert.since,
        alert=alert.id,
        details={
            "change": transition.change.value,
            "kind": alert.kind,
            "subject": alert.subject,
            "state": alert.state,
            "since": to_rfc3339(alert.since),
            "message": alert.text,
            "command": alert.remedy,
            "runs": list(transition.runs),
        },
    )


def _lines(transition: Transition) -> list[str]:
    alert = transition.after
    since = format_time(alert.since, seconds=True)
    if alert.resolved_at is not None:
        gone_at = alert.gone_at or alert.resolved_at
        lasted = format_duration(max(0.0, (gone_at - alert.since).total_seconds()))
        over = f"the problem ended at {format_time(gone_at, seconds=True)}"
        by = [f"Resolved by: drd run show {run}" for run in transition.runs]
        return [
            f"{over}; the problem had lasted {lasted}, since {since}",
            f"The problem was: {alert.text}",
            *by,
        ]
    lines = [alert.text, f"{alert.severity}, since {since}"]
    if transition.change is AlertChange.ACKNOWLEDGED:
        lines.append(acknowledgement(alert))
        return lines
    if alert.remedy:
        lines.append(f"Next: {alert.remedy}")
    if alert.kind != CATALOGUE:
        lines.append(f"To silence this alert: drd ack {alert.id} --by NAME")
    return lines


def acknowledgement(alert: Alert) -> str:
    """`by NAME (USER) until TIME: why`; with the user if the kernel reports another name."""
    until, actor = alert.acknowledged_until, alert.acknowledged_actor
    user = f" ({actor.short()})" if actor and actor.short() != alert.acknowledged_by else ""
    words = f"by {escaped(alert.acknowledged_by or '')}{user} until "
    words += to_rfc3339(until.replace(microsecond=0)) if until else "the alert is resolved"
    return f"{words}: {escaped(alert.acknowledged_why)}" if alert.acknowledged_why else words
