"""Make the state of a log that is beside a repository: what its receiver, and those who copy it,
note of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from drd.errors import DrdError
from drd.flows.log.bases import Base, reaches, spans
from drd.flows.services import Services
from drd.model.log import LogBatch, LogState, ranges
from drd.model.plan import Component, RepositorySpec


def every_s(services: Services, component: Component) -> float:
    """Return how often, in seconds, drd stores the log of a component that has one."""
    policy = services.kinds(component.kind).spec.log(component.settings)
    assert policy is not None
    return policy.every_s


def state_of(
    services: Services,
    component: Component,
    beside: RepositorySpec,
    batches: Iterable[LogBatch],
    points: Sequence[Base],
    *,
    doing: str,
    complete_at: datetime | None,
    now: datetime,
) -> LogState:
    """Return the state of the log that is beside a repository and consists of these batches.
    `points` are those that it continues."""
    known = ranges(batches)
    place = services.kinds(component.kind).log_place
    return LogState(
        doing=doing,
        since=now,
        every_s=every_s(services, component),
        complete_at=complete_at,
        end=place(known[-1].end.position) if known else "",
        spans=tuple(spans(known, points, component.name)),
        reaches=reaches(known, points, complete_at, now),
        repository=beside.name,
    )


def with_problem(
    state: LogState, before: LogState | None, error: DrdError | None, code: str, now: datetime
) -> LogState:
    """Return the state with the present problem, or without one. `before` is the state noted last:
    a problem with the same code is still the same problem."""
    return replace(
        state,
        since=before.since if before is not None and before.code == code else now,
        trouble=error.message if error is not None else "",
        remedy=(error.hint or "") if error is not None else "",
        code=code,
        error=error.code if error is not None else "",
    )
