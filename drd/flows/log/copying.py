"""Copy the log of a component to the repository that is beside a repository with `copy_of`.

The batches are copied in the order of the log, the oldest first: so what the copy has never has a
gap that its source does not have. After a kill at any moment, the next turn copies the rest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from drd import log
from drd.errors import DrdError, UsageError
from drd.flows.log.bases import bases, continued
from drd.flows.log.noted import noted_copy, noted_state
from drd.flows.log.repository import batches_in, log_spec
from drd.flows.log.states import every_s, state_of, with_problem
from drd.flows.log.upkeep import Upkeep, superfluous
from drd.flows.repository.identity import confirm, confirm_or_initialise, same_repository
from drd.flows.services import Services
from drd.model.log import LogBatch, LogState, copy_noted_as, newest_of_each
from drd.model.plan import Component, Plan, RepositorySpec
from drd.model.text import in_one_line

_log = log.get()

COPIES = "copies"
NOT_COPIED = "log-not-copied"
LIST_S = 600.0
"""How often, in seconds, drd lists the copy again: other programs can change it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a repository has of a log: its batches. Everything that was committed before
    `complete_at` is in them; None if nobody knows that."""

    batches: Sequence[LogBatch]
    complete_at: datetime | None


class LogCopy:
    """The copy of the log of one component beside the repository `spec`."""

    def __init__(
        self, services: Services, plan: Plan, component: Component, spec: RepositorySpec
    ) -> None:
        self._services = services
        self._plan = plan
        self._component = component
        self._spec = spec
        self._source = services.open_repository(log_spec(plan, str(spec.copy_of)))
        self._into = services.open_repository(log_spec(plan, spec.name))
        self._upkeep = Upkeep(services, plan, component.name, self._into, spec)
        self._there: list[LogBatch] | None = None
        self._listed_at = 0.0
        noted = noted_copy(services.catalogue.queue, plan.name, spec.name, component.name)
        self._state = noted[1] if noted is not None else None

    def turn(self, source: Stored | None = None, *, tidy: bool = False) -> tuple[int, Stored]:
        """Copy what is missing in the copy. Return how many snapshots were copied, and what the
        copy has then. `source` is what the copied repository has; without it, drd lists this
        repository. With `tidy`, drd also removes at once what the copy does not need any more.
        Notes the errors of the repositories, then raises them."""
        try:
            copied, complete_at = self._turn(source, tidy=tidy)
        except DrdError as error:
            self._there = None
            self._note(None, error)
            raise
        self._note(complete_at)
        return copied, Stored(tuple(self._there or ()), complete_at)

    def failed(self, error: Exception) -> None:
        """Note an error that drd does not know: without it, the status would only say that the copy
        gets older."""
        self._there = None
        text = in_one_line(f"{type(error).__name__}: {error}")
        self._note(None, DrdError(text, hint="this is a bug in drd: please report it."))

    def _turn(self, source: Stored | None, *, tidy: bool) -> tuple[int, datetime | None]:
        source = source or self._listed_source()
        there = self._list() if self._is_old() else list(self._there or ())
        lacking = self._lacking(source.batches, there)
        if lacking:
            self._into.copy_from(
                self._source,
                [b.snapshot for b in lacking],
                expected_bytes=sum(b.size for b in lacking),
                deadline_s=self._plan.copying.timeout_s,
            )
            there += lacking
        self._there = there
        if tidy:
            self._upkeep.hasten()
        if self._upkeep.is_due:
            there = self._list()  # what was copied has other ids here
            last = newest_of_each(there)[-1:]
            self._there = self._upkeep.turn(there, last[0].number if last else 0)
        return len(lacking), source.complete_at

    def _listed_source(self) -> Stored:
        """List the copied repository. The list contains all that was complete before drd listed
        it."""
        queue, plan, name = self._services.catalogue.queue, self._plan.name, self._component.name
        of = str(self._spec.copy_of)
        is_copy = self._plan.repositories[of].copy_of is not None
        noted = noted_copy(queue, plan, of, name) if is_copy else noted_state(queue, plan, name)
        confirm(self._services, self._source, writing=False)
        complete_at = noted[1].complete_at if noted is not None else None
        return Stored(batches_in(self._source, plan, name), complete_at)

    def _is_old(self) -> bool:
        return self._there is None or time.monotonic() - self._listed_at >= LIST_S

    def _list(self) -> list[LogBatch]:
        """Return the batches in the copy. If the repository of the copy does not exist yet, make
        it."""
        made = confirm_or_initialise(self._services, self._into, chunker_from=self._source)
        if made == self._services.catalogue.repositories.id_of(self._source.url):
            text, hint = same_repository(self._into.name, self._source.name, made)
            raise UsageError(text, hint=hint)
        self._listed_at = time.monotonic()
        return batches_in(self._into, self._plan.name, self._component.name)

    def _lacking(self, source: Sequence[LogBatch], there: Sequence[LogBatch]) -> Sequence[LogBatch]:
        """Return the batches that the copy needs and lacks, in the order of the log: of each its
        longest snapshot. What ends before the oldest restore point in the copy is not needed."""
        newest, known = newest_of_each(source), {_content(b) for b in there}
        lacking = [b for b in newest if _content(b) not in known]
        if not lacking:
            return []
        old = superfluous(newest, self._upkeep.oldest(), newest[-1].number)
        return [b for b in lacking if b not in old]

    def _note(self, complete_at: datetime | None, error: DrdError | None = None) -> None:
        services, plan, name = self._services, self._plan, self._component.name
        now, before, code = services.clock.now(), self._state, NOT_COPIED if error else ""
        state = before
        if self._there is not None:
            points = bases(services, plan, name, continued(self._spec))
            state = state_of(services, self._component, self._spec, self._there, points,
                             doing=COPIES, complete_at=complete_at, now=now)  # fmt: skip
        if state is None:
            state = LogState(doing=COPIES, since=now, every_s=every_s(services, self._component))
        self._state = with_problem(state, before, error, code, now)
        if before is None or before.code != code:
            level = _log.warning if code else _log.info
            level("log.copy", plan=plan.name, component=name, repository=self._spec.name,
                  error=self._state.trouble or None)  # fmt: skip
        key = copy_noted_as(plan.name, self._spec.name, name)
        services.catalogue.queue.note(key, dict(self._state.to_json()), now, plan=plan.name)


def _content(batch: LogBatch) -> LogBatch:
    """Return what makes a snapshot of a batch the same in two repositories."""
    return replace(batch, snapshot="", stored_at=None)
