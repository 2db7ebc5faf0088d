"""Keep the repository of a log small: remove the snapshots whose content a later snapshot also has,
and the snapshots that no restore point needs any more."""

from __future__ import annotations

import time

from drd import log
from drd.errors import DrdError
from drd.flows.log.bases import bases, continued
from drd.flows.services import Services
from drd.model.log import LogBatch, newest_of_each
from drd.model.plan import Plan, RepositorySpec
from drd.ports import Repository

_log = log.get()

FORGET_S = 3600.0
PRUNE_S = 6 * 3600.0
"""How often, in seconds, drd forgets snapshots, and how often it removes the data that no snapshot
needs any more."""
PRUNE_WITHIN_S = 3600.0


class Upkeep:
    """The upkeep of one log. An error in the upkeep never stops the receiver."""

    def __init__(
        self,
        services: Services,
        plan: Plan,
        component: str,
        repository: Repository,
        beside: RepositorySpec,
    ) -> None:
        """`repository` has the log; it is beside the repository `beside` of the plan."""
        self._services = services
        self._plan = plan
        self._component = component
        self._repository = repository
        self._beside = beside
        self._forget_at = time.monotonic() + FORGET_S
        self._prune_at = time.monotonic() + PRUNE_S

    def turn(self, batches: list[LogBatch], open_number: int) -> list[LogBatch]:
        """Forget snapshots and prune, if this is due. Return the batches that are left;
        `open_number` is the number of the batch that still grows.
        """
        if not self.is_due:
            return batches
        self._forget_at = time.monotonic() + FORGET_S
        out = superfluous(batches, self.oldest(), open_number)
        try:
            if out:
                self._repository.forget([b.snapshot for b in out])
                batches = [b for b in batches if b not in out]
            if time.monotonic() >= self._prune_at:
                self._prune_at = time.monotonic() + PRUNE_S
                self._repository.prune(deadline_s=PRUNE_WITHIN_S)
        except DrdError as error:
            _log.warning("log.upkeep", plan=self._plan.name, repository=self._repository.name,
                         error=error.message)  # fmt: skip
        return batches

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._forget_at and self._beside.protection != "append-only"

    def hasten(self) -> None:
        """Make the next turn forget and prune, however short ago the last one was."""
        self._forget_at = self._prune_at = time.monotonic()

    def oldest(self) -> dict[str, int]:
        """Return, by server, the first position in the log that the oldest restore point in the
        repository needs."""
        by_source: dict[str, int] = {}
        held_by = continued(self._beside)
        for _, start in bases(self._services, self._plan, self._component, held_by):
            by_source[start.source] = min(
                start.position, by_source.get(start.source, start.position)
            )
        return by_source


def superfluous(
    batches: list[LogBatch], oldest: dict[str, int], open_number: int
) -> list[LogBatch]:
    """Return the snapshots that drd can remove: snapshots whose content a later snapshot also has,
    and snapshots that end before the oldest restore point of their server. If a server has no
    restore point, drd keeps its snapshots, however old they are."""
    newest = newest_of_each(batches)
    kept = {b.snapshot for b in newest}
    old = {
        b.snapshot
        for b in newest
        if b.number != open_number
        and b.number != newest[-1].number
        and b.source in oldest
        and b.end.position < oldest[b.source]
    }
    return [b for b in batches if b.snapshot not in kept or b.snapshot in old]
