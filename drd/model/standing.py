"""Which older findings still hold, judged by facts that came later. Pure.

An alert stays open for a while after its condition is gone, and a look ahead is as old as its run.
Whoever reads the status meanwhile is told neither of them as a fact of now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from drd.model.facts import AlertFacts, PlanFacts, RepositoryFacts
from drd.model.repositories import DAMAGED, GONE, SILENT, VANISHED
from drd.model.verdicts import Reason

_BY_REASONS = frozenset(
    {
        "rpo",
        "no-point",
        "component-missing",
        "rto",
        "never-drilled",
        "drill-failed",
        "drill-inconclusive",
        GONE,
        DAMAGED,
        VANISHED,
    }
)
"""Kinds of alerts that only a reason of a verdict makes: without the reason nothing is there."""


PAUSED = "retention-paused"
OVER = "retention-over-limit"
"""Alerts on what retention waits for."""

_ASPECTS = (
    "access key",
    "clock",
    "locks",
    "masked password",
    "password",
    "protection",
    "secret key",
    "session token",
    "unit",
)
"""Parts of a repository that findings are about. A point that was stored there says nothing of
them."""


def standing_alerts(
    facts: PlanFacts, reasons: Collection[Reason], behind: Collection[str]
) -> tuple[AlertFacts, ...]:
    """The open alerts of a plan without those whose condition is gone, by the `reasons` of its
    verdicts now, and the copies that are `behind`."""
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
            return _may_be_found(facts, alert.subject)
        return True

    return tuple(alert for alert in facts.alerts if holds(alert))


_VERDICTS = ("not ready: ", "needs drill: ")


def _may_be_found(facts: PlanFacts, finding: str) -> bool:
    """Whether the last look ahead found it, or could not tell, and nothing has disproved it since:
    a look that failed tells nothing, and neither does a repository about its aspects."""
    unready = facts.unready
    if unready is None or disproved(facts, finding):
        return False
    if not unready.error.startswith(_VERDICTS):
        return True
    about = finding.partition(": ")[0]
    begins = tuple(f"{verdict}{about}: " for verdict in ("", *_VERDICTS))
    return any(line.startswith(begins) for line in unready.error.splitlines())


def disproved(facts: PlanFacts, finding: str) -> bool:
    """Whether something that came after the last look ahead shows that what it found under this
    name is over: a point was stored in the repository, all of it was read, a drill passed."""
    unready = facts.unready
    if unready is None:
        return False
    newest, last = facts.newest, facts.last_drill
    if finding == "restore point":
        # It is that there is none. While one repository is gone, only a later point is another one.
        gone = any(r.lost is not None for r in facts.repositories)
        return newest is not None and (not gone or newest.available_at > unready.at)
    if last is not None and finding == f"drill {last.scenario}":
        return last.result == "passed" and last.at > unready.at
    return any(_is_over(r, finding, unready.at) for r in facts.repositories)


def _is_over(repository: RepositoryFacts, finding: str, looked_at: datetime) -> bool:
    name = f"repository {repository.repository}"
    if finding == f"{name} data":
        return repository.damage is None
    if finding == f"{name}: known state":
        return repository.damage is None and repository.lost is None
    if finding not in (name, f"{name}: key"):
        return False
    stored = repository.newest
    is_there = repository.lost is None and repository.unreachable is None
    return is_there and stored is not None and stored.available_at > looked_at


def still_found(facts: PlanFacts, lines: Iterable[str]) -> list[str]:
    """Of the lines of the last look ahead, `NAME: EVIDENCE`, those that nothing has disproved."""
    return [line for line in lines if not any(disproved(facts, name) for name in _names(line))]


def _names(line: str) -> Iterator[str]:
    """What may be the finding's name: it can hold a colon, and so can the evidence."""
    first, *rest = line.split(": ")
    of_repository = first.startswith("repository ") and len(rest) > 1
    if not (of_repository and rest[0] in _ASPECTS):
        yield first
    if of_repository:
        yield f"{first}: {rest[0]}"
