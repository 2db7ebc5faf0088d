"""Read what the receiver of a log, and those who copy the log, have noted about it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from drd.model.log import LogState, copy_noted_as, noted_as
from drd.ports import Queue


def noted_state(queue: Queue, plan: str, component: str) -> tuple[datetime, LogState] | None:
    """Return the time at which a receiver noted the state of a component's log, and this state;
    None if no receiver has noted it yet, or if drd cannot read the note."""
    return _read(queue, noted_as(plan, component))


def noted_copy(
    queue: Queue, plan: str, repository: str, component: str
) -> tuple[datetime, LogState] | None:
    """Return when the state of the copy of this log was last noted, and this state. `repository` is
    one with `copy_of`; None as in `noted_state`."""
    return _read(queue, copy_noted_as(plan, repository, component))


def noted_copies(queue: Queue, plan: str, component: str) -> list[tuple[str, datetime, LogState]]:
    """Return the last noted state of each copy of this log: repository, time, state."""
    copies = []
    for key in queue.notes(copy_noted_as(plan)):
        repository, _, name = key.removeprefix(copy_noted_as(plan)).partition(":")
        noted = _read(queue, key) if name == component else None
        if noted is not None:
            copies.append((repository, *noted))
    return copies


def _read(queue: Queue, key: str) -> tuple[datetime, LogState] | None:
    noted = queue.noted(key)
    with suppress(KeyError, TypeError, ValueError):
        return (noted[0], LogState.from_json(noted[1])) if noted is not None else None
    return None
