"""The steps of runs, and what people decide about them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from drd.model.run import Decision, RunKind, StepState
from drd.model.step_record import StepRecord
from drd.model.step_results import StepResult
from drd.ports.runs import RunLease


class StepStore(Protocol):
    """Steps of runs. A method that takes a RunLease raises Fenced when another process has taken
    over the run."""

    def begin(
        self, owned: RunLease, name: str, kind: str, at: datetime, *, subject: str = ""
    ) -> StepRecord:
        """Record the intent: the step is `running`, and its number of attempts grows by one. A step
        that succeeded before is not changed, and its record is returned. `subject` is what the step
        is about: code finds the step by its subject, never by its name."""

    def finish(
        self,
        owned: RunLease,
        name: str,
        state: StepState,
        *,
        at: datetime,
        result: StepResult | None = None,
        error: str | None = None,
        remedy: str = "",
    ) -> None:
        """Record the result of a step that has begun. If it failed, record the fact and the
        remedy."""

    def wait(self, owned: RunLease, name: str, waiting_for: str, result: StepResult) -> None:
        """Record that a step which has begun waits for a person."""

    def note(self, run: str, name: str, kind: str, *, at: datetime, result: StepResult) -> None:
        """Record a step that a person did by hand after the run was over, or replace its result."""

    def of_run(self, run: str) -> list[StepRecord]:
        """Return the steps of a run, in the order in which they first began."""

    def runs_with(self, key: str, kind: RunKind) -> list[str]:
        """Return the ids of the runs of a kind, however old, in which a step has this key in its
        result."""


class DecisionStore(Protocol):
    """What people decided about the steps of a run, or about the whole run."""

    def add(self, run: str, decision: Decision, *, plan: str = "") -> None:
        """Record a decision. The process that carries the run out reads it, now or when it resumes
        the run. Without an actor, the decision belongs to the user who runs this process. `plan` is
        the plan whose data it is about, if the caller knows the plan from more than the row of the
        run."""

    def of_run(self, run: str) -> list[Decision]:
        """Return the decisions about a run, oldest first."""
