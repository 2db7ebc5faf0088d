"""Decide which older findings still hold, by facts that came later. Pure.

An alert stays open for a while after its condition is gone, and a readiness run may be old. The
status shows neither as a fact of now.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from drd.model.facts import AlertFacts, FindingFacts, PlanFacts, RepositoryFacts
from drd.model.finding_codes import (
    DATA,
    DRILL,
    KEY,
    KNOWN_STATE,
    REPOSITORY,
    RESTORE_POINT,
    SECRETS_OF_REPOSITORY,
    SOURCE,
    WRITING,
    name_of,
)
from drd.model.repositories import DAMAGED, GONE, SILENT, VANISHED
from drd.model.verdicts import NOT_LOADED, UNFINISHED, Reason

_BY_REASONS = frozenset(
    {
        "rpo",
        "no-point",
        "component-missing",
        "rto",
        "never-drilled",
        "time-unmeasured",
        "drill-failed",
        "drill-inconclusive",
        NOT_LOADED,
        GONE,
        DAMAGED,
        VANISHED,
        UNFINISHED,
    }
)
"""Kinds of alerts that only a reason of a verdict raises: without the reason the condition
is gone.
"""


PAUSED = "retention-paused"
OVER = "retention-over-limit"
"""Kinds of alerts about pauses of retention."""


def standing_alerts(
    facts: PlanFacts, reasons: Collection[Reason], behind: Collection[str]
) -> tuple[AlertFacts, ...]:
    """Return the open alerts of a plan, without alerts whose condition is gone by the present
    `reasons` of its verdicts and the copies that are `behind`.
    """
    if not facts.alerts:
        return ()  # most plans
    there = {(reason.kind, reason.subject) for reason in reasons}
    retention = {reason.says_why for reason in reasons}

    def holds(alert: AlertFacts) -> bool:
        if alert.kind in _BY_REASONS:
            return (alert.kind, alert.subject) in there
        if alert.kind in (PAUSED, OVER):
            return alert.kind in retention
        if alert.kind == "copy-behind":
            return alert.subject in behind
        if alert.kind == "backup-failing":
            return facts.failures is not None
        if alert.kind == "point-incomplete":
            return facts.incomplete is not None
        if alert.kind in (SILENT, "not-ready") and (alert.kind, alert.subject) not in there:
            return _may_be_found(facts, alert)
        return True

    return tuple(alert for alert in facts.alerts if holds(alert))


def _may_be_found(facts: PlanFacts, alert: AlertFacts) -> bool:
    """Return whether the last readiness run found it, or could not tell, and nothing has disproved
    it since. A run that failed found out nothing.
    """
    unready = facts.unready
    if unready is None or disproved(facts, alert.code, alert.subject):
        return False
    return not unready.readiness or any(f.name == alert.subject for f in unready.findings)


def disproved(facts: PlanFacts, code: str, name: str) -> bool:
    """Return whether a later event disproves the finding of the last readiness run with this code
    and name: a point was stored in the repository, all of it was read, a drill passed, the
    component was captured. A stored point says nothing about other aspects of the repository.
    """
    unready = facts.unready
    if unready is None:
        return False
    newest, last = facts.newest, facts.last_drill
    if code == RESTORE_POINT:
        # It is that there is none. While one repository is gone, only a later point is another one.
        gone = any(r.lost is not None for r in facts.repositories)
        return newest is not None and (not gone or newest.available_at > unready.at)
    if code == DRILL:
        is_last = last is not None and name == name_of(DRILL, last.scenario)
        return is_last and last is not None and last.result == "passed" and last.at > unready.at
    if code in SOURCE:
        return any(
            name == name_of(code, c.component)
            and c.error is None
            and c.data_time is not None
            and c.data_time > unready.at
            for c in facts.components
        )
    about = (r for r in facts.repositories if name == name_of(code, r.repository))
    return any(_is_over(r, code, unready.at) for r in about)


def _is_over(repository: RepositoryFacts, code: str, checked_at: datetime) -> bool:
    if code == DATA:
        return repository.damage is None
    if code == KNOWN_STATE:
        return repository.damage is None and repository.lost is None
    if code not in (REPOSITORY, KEY, WRITING, *SECRETS_OF_REPOSITORY):
        return False
    stored = repository.newest
    is_there = repository.lost is None and repository.unreachable is None
    return is_there and stored is not None and stored.available_at > checked_at


def still_found(facts: PlanFacts) -> list[FindingFacts]:
    """Return the findings of the last readiness run that nothing has disproved."""
    withheld = facts.unready.findings if facts.unready is not None else ()
    return [f for f in withheld if not disproved(facts, f.code, f.name)]
