"""Make the condition for an alert if something is wrong with the log of a component. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from drd.model.alerts import Condition
from drd.model.host_conditions import TOLD_FOR
from drd.model.log import KIND, LogState
from drd.model.message import Urgency
from drd.model.units import format_duration, format_time

GAP = "log-gap"
AT_ONCE = frozenset({GAP, "log-no-base"})
PATIENCE = timedelta(seconds=60)
"""drd does not alert about a problem that ends within this time."""
SILENT_S = 120.0


def log_condition(
    plan: str, component: str, state: LogState | None, noted_at: datetime | None, now: datetime
) -> Condition | None:
    """Return what is wrong with the log as a condition; None if nothing is wrong. `state` is None
    if the receiver has just begun.
    """
    if state is None or noted_at is None:
        return None
    behind = _behind(state, now)
    silent_s = (now - noted_at).total_seconds()
    if silent_s > SILENT_S + 3 * state.every_s:
        text = (
            f"the receiver of the log of {component} has not reported since "
            f"{format_time(noted_at, seconds=True)}{behind}"
        )
        return _condition(plan, component, "critical", text, "journalctl -u drd")
    if state.code in AT_ONCE:
        text = f"{state.trouble}{behind}"
        found = _condition(plan, component, "critical", text, f"drd runs {plan}")
        return replace(found, code=GAP, news=state.event_at) if state.code == GAP else found
    if not state.code or now - state.since < PATIENCE:
        return _event(plan, component, state, now)
    text = f"drd does not receive or store the log of {component}: {state.trouble}{behind}"
    found = _condition(plan, component, "warning", text, f"drd doctor {plan}")
    places = (state.repository,) if state.repository else ()
    return replace(found, why=state.error, places=places)


def _event(plan: str, component: str, state: LogState, now: datetime) -> Condition | None:
    """Return the last change of the log as a condition, for the time TOLD_FOR after the change."""
    if state.event_at is None or not timedelta() <= now - state.event_at <= TOLD_FOR:
        return None
    text = f"{state.event} (noticed at {format_time(state.event_at, seconds=True)})"
    return _condition(plan, component, "warning", text, f"drd points {plan}")


def log_copy_condition(
    plan: str, component: str, repository: str, state: LogState, now: datetime
) -> Condition | None:
    """Return the condition that drd does not copy the log to a repository; None if drd copies
    it."""
    if not state.code or now - state.since < PATIENCE:
        return None
    text = f"drd does not copy the log of {component} to repository {repository}: {state.trouble}"
    subject = f"{component} in {repository}"
    found = _condition(
        plan, subject, "warning", f"{text}{_behind(state, now)}", f"drd doctor {plan}"
    )
    # Whether the copy or what it copies is the cause, only the alerts of the two say.
    return replace(found, why=state.error)


def left_condition(plan: str, component: str, text: str, command: str) -> Condition:
    """Return the condition that a server keeps its log for a slot that no receiver of drd uses."""
    told = f"{text}, and drd could not drop it. Run on that server as a superuser: {command}"
    return _condition(plan, component, "warning", told, f"drd doctor {plan}")


def _condition(plan: str, component: str, severity: Urgency, text: str, remedy: str) -> Condition:
    return Condition(KIND, severity, component, text, remedy, plan=plan)


def _behind(state: LogState, now: datetime) -> str:
    if state.complete_at is None:
        return ""
    since = (now - state.complete_at).total_seconds()
    at = format_time(state.complete_at, seconds=True)
    return f". The repository has everything up to {at}, {format_duration(max(0.0, since))} ago"
