"""Restore the holds of a lost catalogue, from the damaged file that was set aside, and from drd's
own state in the repositories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from drd.catalogue.replica import holds_of
from drd.errors import DrdError
from drd.flows.services import Services
from drd.kit.state_snapshots import fetch, newest_own
from drd.model.holds import Hold
from drd.model.plan import Plan


@dataclass(frozen=True, slots=True)
class RestoredHolds:
    """`stored_at` is when the state was stored that was read; None if there is none, then `why`
    says why it could not be read. Holds that were made later are unknown."""

    holds: tuple[Hold, ...]
    stored_at: datetime | None
    why: str = ""


def restore_holds(services: Services, plan: Plan, aside: Path | None) -> RestoredHolds:
    """Record the plan's holds from `aside`, a damaged catalogue, and from the newest state in its
    repositories. Trouble with a repository is in the result."""
    keeping = services.catalogue.keeping
    back = keeping.bring_back(holds_of(aside, plan.name)) if aside is not None else []
    repositories = [services.open_repository(spec) for spec in plan.repositories.values()]
    newest_state, why = None, ""
    for repository in repositories:
        try:
            newest = newest_own([repository])
        except DrdError as error:
            why = why or error.message
            continue
        if newest is not None and (newest_state is None or newest[1].time > newest_state[1].time):
            newest_state = newest
    if newest_state is None:
        return RestoredHolds(tuple(back), None, why)
    with _room(services) as room:
        try:
            own = fetch(*newest_state, room / "own", services.clock.now())
        except DrdError as error:
            return RestoredHolds(tuple(back), None, error.message)
        if own.catalogue is None:
            return RestoredHolds(tuple(back), None, own.why)
        back += keeping.bring_back(holds_of(own.catalogue, plan.name))
    return RestoredHolds(tuple(back), own.taken_at)


@contextmanager
def _room(services: Services) -> Iterator[Path]:
    services.work_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="drd-holds-", dir=services.work_dir) as room:
        yield Path(room)
