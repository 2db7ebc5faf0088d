"""The progress of a runbook, for watchers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Stage = Literal["to come", "running", "waiting", "succeeded", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a step waits for, and the command that answers it."""

    what: str
    command: str

    def __str__(self) -> str:
        return f"{self.what}  {self.command}".rstrip()


@dataclass(frozen=True, slots=True)
class StepView:
    """One step. `says` is what the step waits for, or why it failed or was skipped; `command`
    answers a step that waits. Durations are seconds. `earlier`: an earlier process of the run
    executed it.
    """

    name: str
    kind: str
    stage: Stage
    took_s: float | None = None
    says: str = ""
    earlier: bool = False
    command: str = ""


@dataclass(frozen=True, slots=True)
class Progression:
    """All steps of a run at one moment; `since` is when the service was lost, if somebody has
    `stated` this time, else when the run began. `rto_s` is None for a run without an objective.
    `over_production`: restored data replaces production data. `by` is who started the run.
    """

    run: str
    plan: str
    since: datetime
    now: datetime
    rto_s: float | None
    steps: tuple[StepView, ...]
    over: bool = False
    over_production: bool = False
    by: str = ""
    stated: bool = False
