"""Read what the receiver of a log has noted about it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from drd.model.log import LogState, noted_as
from drd.ports import Queue


def noted_state(queue: Queue, plan: str, component: str) -> tuple[datetime, LogState] | None:
    """Return the time at which a receiver noted the state of a component's log, and this state;
    None if no receiver has noted it yet, or if drd cannot read the note."""
    noted = queue.noted(noted_as(plan, component))
    with suppress(KeyError, TypeError, ValueError):
        return (noted[0], LogState.from_json(noted[1])) if noted is not None else None
    return None
