"""What the daemon asks the catalogue: which jobs are due, which runs wait, what has changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from drd.model.actor import Actor
from drd.model.job_history import JobHistory
from drd.model.run import Run


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan as it was accepted. `schedule` is what the loader compiled; None in a row of an older
    drd. `broken` says that a later version of the file could not be accepted. `copied` has, by
    second repository, the data time of the newest complete point that it keeps. `undrilled` are the
    scenarios that the plan wants and that were never drilled. `drilled_at` is the end of the last
    drill of any scenario. `undone` is when an undo removed data that the newest points contain, and
    the data time of the newest point without this data; None if they contain no such data."""

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
    undone: tuple[datetime, datetime] | None = None


class Queue(Protocol):
    """Pending runs, and the history from which the next runs are computed.

    Every method is one transaction. Raises CatalogueError.
    """

    def jobs(self, since: int = -1, plan: str | None = None) -> list[JobHistory]:
        """Return the histories that changed after `since`, of all plans or of one."""

    def plan_rows(self, names: Sequence[str] | None = None) -> list[PlanRow]:
        """Plans that were ever loaded, by name."""

    def accept(self, plan: str, text: str, schedule: Mapping[str, Any]) -> None:
        """Record the text that runs of the loaded plan use, and its compiled schedule."""

    def accepted(self, plan: str) -> str | None:
        """Return the text of the plan that its runs use; None if no text was accepted yet."""

    def accepted_texts(self, plans: Sequence[str] | None = None) -> dict[str, str]:
        """Return the texts that runs use, by plan: of these plans, or of all."""

    def enqueue(self, run: Run) -> Run:
        """Record a pending run, and return it with its id. A run without an actor gets the user who
        runs this process. When a run of the same plan, kind and subject is pending already, this
        run is returned."""

    def open_runs(self) -> list[Run]:
        """Pending and running runs."""

    def drop(self, run: str, state: str, error: str, at: datetime) -> bool:
        """End a run that is still pending. False when it is not pending any more."""

    def ask_cancel(self, run: str, at: datetime, actor: Actor | None = None) -> Run:
        """Record that the run is to end (`cancel_asked`), and who asks: `actor`, or the user who
        runs this process. Raises UsageError when the run is over already."""

    def note(self, key: str, value: Any, at: datetime, *, plan: str = "") -> None:
        """Keep a small fact of the daemon, or about a plan, whose status changes with it."""

    def forget_notes(self, plan: str, beginning: str, but: Collection[str]) -> None:
        """Forget the facts about a plan whose keys begin so, except these."""

    def noted(self, key: str) -> tuple[datetime, Any] | None:
        """Return the fact that was kept under this key, with its time."""

    def notes(self, beginning: str) -> dict[str, Any]:
        """Return the facts whose keys begin so, by key."""

    def remove_old(self, before: datetime) -> int:
        """Delete runs that finished before that time, with their steps and the points that were
        forgotten before it. Runs that evidence or kept points name stay, and so does the newest run
        of each kind. Each call deletes one portion and returns the number of runs, 0 when none is
        left."""
