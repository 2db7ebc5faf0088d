"""What the daemon asks the catalogue: what is due, what waits, what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from drd.model.actor import Actor
from drd.model.job_history import JobHistory
from drd.model.run import Run


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan as it was accepted; `schedule` is what its loader compiled, None of an older drd.
    `broken` says that its file could not be accepted since. `copied` has by second repository the
    data time of the newest complete point that it holds. `undrilled` are the scenarios that it
    wants and that no drill was ever of, `drilled_at` is when the last drill of any ended."""

    name: str
    digest: str
    file: str
    file_mtime_ns: int
    file_size: int
    file_digest: str
    first_loaded_at: datetime
    data_time: datetime | None
    schedule: Mapping[str, Any] | None
    broken: bool = False
    copied: Mapping[str, datetime | None] = field(default_factory=dict)
    undrilled: tuple[str, ...] = ()
    drilled_at: datetime | None = None


class Queue(Protocol):
    """Runs that wait, and the history that the next ones are worked out from.

    Every method is one transaction. Raises CatalogueError.
    """

    def jobs(self, since: int = -1, plan: str | None = None) -> list[JobHistory]:
        """The rows that changed after `since`, of all plans or of one."""

    def plan_rows(self, names: Sequence[str] | None = None) -> list[PlanRow]:
        """Plans that were ever loaded, by name."""

    def accept(self, plan: str, text: str, schedule: Mapping[str, Any]) -> None:
        """Remember the text that runs of the loaded plan go by, and its compiled schedule."""

    def accepted(self, plan: str) -> str | None:
        """That text."""

    def accepted_texts(self, plans: Sequence[str] | None = None) -> dict[str, str]:
        """The texts of these plans, or of all, by plan."""

    def enqueue(self, run: Run) -> Run:
        """Record a pending run; the result has its id, and whoever runs this process as the one who
        asked where it named nobody. When one of the same plan, kind and subject
        is pending already, that one is returned."""

    def open_runs(self) -> list[Run]:
        """Pending and running ones."""

    def drop(self, run: str, state: str, error: str, at: datetime) -> bool:
        """End a run that nobody began; False when somebody did."""

    def ask_cancel(self, run: str, at: datetime, actor: Actor | None = None) -> Run:
        """Note that the run is to end: `cancel_asked`, and who asks (else whoever runs this
        process). Raises UsageError when it is over already."""

    def note(self, key: str, value: Any, at: datetime) -> None:
        """Keep a small fact of the daemon's."""

    def noted(self, key: str) -> tuple[datetime, Any] | None: ...

    def remove_old(self, before: datetime) -> int:
        """Delete finished runs from before that time with their steps and with the points that were
        forgotten before it, too; not those that evidence or other points name, nor the newest of
        each kind. One piece of what there is; how many runs, 0 when none is left."""
