"""Facts for monitoring in addition to the verdicts: a few rows that the catalogue keeps anyway.

Times are aware UTC, durations seconds, sizes bytes; None is unknown."""

from __future__ import annotations

from datetime import datetime

from drd.named import NamedTuple


class RunFigures(NamedTuple):
    """The last run of a kind. `repository` is the repository of a copy, verification or prune, else
    empty. `state` is the state of the last run that ended; `size_bytes` the size of the last run
    that succeeded; `failures` counts failed runs since then.
    """

    plan: str
    kind: str
    repository: str
    finished_at: datetime | None
    succeeded_at: datetime | None
    state: str | None
    duration_s: float | None
    size_bytes: int | None
    failures: int


class CopyFigures(NamedTuple):
    """The newest complete point that a second repository holds, by its data time."""

    plan: str
    repository: str
    data_time: datetime | None


class VerificationFigures(NamedTuple):
    """When the last cycle ended that read all of a repository, and whether the last verification
    found a problem.
    """

    plan: str
    repository: str
    complete_at: datetime | None
    damaged: bool


class AlertFigures(NamedTuple):
    """How many alerts of a kind are open; `plan` is empty for those about drd itself."""

    plan: str
    kind: str
    severity: str
    state: str
    number: int


class IncidentFigures(NamedTuple):
    """An incident that is not closed, or a suspicion that nobody has examined. `severity` is empty
    while nobody has set one. `next_at` is when its next task, update or report is due. Reports of a
    restricted incident do not count, because a time limit shows what the incident is about.
    """

    number: int
    state: str
    severity: str
    restricted: bool
    next_at: datetime | None


class CatalogueFigures(NamedTuple):
    """The figures of all plans, in no order, including plans that no longer exist."""

    runs: tuple[RunFigures, ...] = ()
    copies: tuple[CopyFigures, ...] = ()
    verifications: tuple[VerificationFigures, ...] = ()
    alerts: tuple[AlertFigures, ...] = ()
    incidents: tuple[IncidentFigures, ...] = ()
