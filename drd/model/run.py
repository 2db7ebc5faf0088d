"""Runs, their steps, and the results of drills."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from drd.model.actor import Actor
from drd.model.cause import Cause
from drd.model.coverage import Coverage
from drd.model.drill_facts import Unproven
from drd.model.fencing import FenceReport
from drd.model.former_rows import bound_of, figure_of
from drd.model.instant import InstantDrill
from drd.model.run_details import RunDetail

SET_ASIDE = "set aside"
"""The step of a run that records which data the run has set aside. It is only a reminder: the
places themselves decide.
"""

_ID = re.compile(r"[0-9a-z][0-9a-z-]{0,39}")


def sound_id(run: str) -> str:
    """Return the id, which becomes part of a path, a name of a lock and a word of a command. Raises
    ValueError if a row contains something else.
    """
    if not _ID.fullmatch(run):
        raise ValueError(f"{run!r} is not the id of a run: somebody has changed the catalogue")
    return run


RECOVERY = "recovery"
PARTIAL = "partial-recovery"
"""The scenario in the evidence of a recovery of single components or items: its times say nothing
about the whole service.
"""

PARTIAL_DRILL = "partial-drill"
"""The scenario in the evidence of a drill of single components. Such evidence has a target, so that
nobody mistakes it for evidence of a complete drill.
"""


class RunKind(StrEnum):
    BACKUP = "backup"
    DRILL = "drill"
    RECOVERY = "recovery"
    COPY = "copy"
    RETENTION = "retention"
    PRUNE = "prune"
    VERIFICATION = "verification"
    READINESS = "readiness"
    KIT = "kit"
    REKEY = "rekey"
    LISTING = "listing"
    CONTROL = "control"
    PRESERVATION = "preservation"
    PLAYBOOK = "playbook"

    @property
    def is_peoples(self) -> bool:
        """Whether people decide in a run of this kind, and continue the run after its process
        died."""
        return self in (RunKind.RECOVERY, RunKind.PLAYBOOK)


class RunState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"  # it decided to change nothing for now: no failure, and no success

    @property
    def final(self) -> bool:
        return self not in (RunState.PENDING, RunState.RUNNING, RunState.WAITING)


class StepState(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class CheckVerdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


class DrillResult(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Executed(Protocol):
    """What a run executes: a plan or a playbook. `name` is its name in rows of runs."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `detail` holds the request and the outcome, in the class of the run's kind
    (`drd.model.run_details`). `actor` requested it, `cancel_actor` cancelled it; None if an older
    drd recorded nobody.
    """

    id: str
    plan: str
    kind: RunKind
    trigger: str  # manual | schedule | catch-up | retry
    state: RunState
    started_at: datetime | None
    due_at: datetime | None = None
    finished_at: datetime | None = None
    plan_digest: str = ""
    token: int = 0
    owner_pid: int | None = None
    owner_host: str = ""
    owner_boot: str = ""
    detail: RunDetail = field(default_factory=RunDetail)
    error: str | None = None
    error_code: str = ""  # why it ended, as code goes by it
    subject: str = ""  # the repository of a copy, verification or prune; what is done with a kit
    cancel_asked: bool = False
    actor: Actor | None = None
    cancel_actor: Actor | None = None
    cancel_asked_at: datetime | None = None
    stamp: str | None = None  # a random text that its directories have too; None of old ones
    reopened: bool = False  # after its end, by a person: it waits for a process, and none died

    @property
    def left_by_its_process(self) -> bool:
        """Whether drd noted that the run's process died: the run waits for a process that takes it
        over."""
        return self.state is RunState.WAITING and self.owner_pid is None

    @property
    def by_schedule(self) -> bool:
        """Whether the daemon started the run when it was due, and not a person."""
        return self.trigger != "manual"

    @property
    def cause(self) -> Cause | None:
        """Return why the run ended without a result; None if it has one."""
        if not self.error:
            return None
        return Cause(self.error, self.error_code, self.detail.remedy or "")

    @property
    def duration_s(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return took_s(self.started_at, self.finished_at, self.detail.took_s)


def took_s(started_at: datetime, finished_at: datetime, measured: float | None) -> float | None:
    """Return the duration of a run: if the wall clock was set meanwhile, the time `measured` by a
    clock that nobody can set. None if the wall clock was set and nothing was measured.
    """
    if measured is not None:
        return measured
    passed_s = (finished_at - started_at).total_seconds()
    return passed_s if passed_s >= 0 else None


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision about a step of a run; about the whole run if `step` is empty. `attempt`
    is the attempt of the step that the person saw. `by` is a name; `actor` is the person by the
    kernel's facts.
    """

    step: str
    action: Literal["approve", "done", "retry", "skip", "rollback", "undo", "redo", "resume"]
    by: str
    comment: str
    attempt: int
    at: datetime
    actor: Actor | None = None


def operators(run: Run, said: Sequence[Decision]) -> list[Actor | None]:
    """Return who started the run, and who resumed it."""
    return [run.actor, *(d.actor for d in said if d.action == "resume")]


def about_all(said: Iterable[Decision]) -> list[str]:
    """Return the actions that people decided on for a whole run."""
    return [str(d.action) for d in said if not d.step]


def last_turn(said: Sequence[str]) -> str | None:
    """Return the last undo or redo of a whole run."""
    return next((a for a in reversed(said) if a in ("undo", "redo")), None)


def taken_back(said: Sequence[str]) -> Literal["undone", "rolled back"] | None:
    """Return whether a recovery was undone or rolled back, by the decisions about the whole run;
    None while its result is in effect.
    """
    if last_turn(said) == "undo":
        return "undone"
    return "rolled back" if "rollback" in said else None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. `part` marks a row about a part that could not be compared
    (ownership as non-root, a table past the budget): it is reported by name and does not change the
    result. `looked_at_data` is false for checks that examined something else than the data. `bound`
    marks an expectation that is a comparison, `> 0`, which is shown also if the check passed;
    `figure` is the observed number, with which a later drill may compare.
    """

    name: str
    component: str | None
    verdict: CheckVerdict
    observed: str
    expected: str
    part: bool = False
    looked_at_data: bool = True
    bound: bool = False
    figure: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        return {**asdict(self), "verdict": str(self.verdict)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CheckResult:
        """Read a check; unknown keys are of later versions. Former versions did not write `bound`
        and `figure`.
        """
        observed, expected = data["observed"], data["expected"]
        return cls(
            name=data["name"],
            component=data["component"],
            verdict=CheckVerdict(data["verdict"]),
            observed=observed,
            expected=expected,
            part=data.get("part", False),
            looked_at_data=data.get("looked_at_data", True),
            bound=data["bound"] if "bound" in data else bound_of(expected),
            figure=data["figure"] if "figure" in data else figure_of(observed, expected),
        )


def drill_result(checks: Sequence[CheckResult], *, cut_short: bool = False) -> DrillResult:
    """Combine checks: failed if a check failed; inconclusive if something `cut_short` the work, if
    no check looked at data or a whole check was not run; else passed.
    """
    whole = [c for c in checks if not c.part]
    if any(c.verdict is CheckVerdict.FAILED for c in checks):
        return DrillResult.FAILED
    if cut_short:
        return DrillResult.INCONCLUSIVE
    if any(c.verdict is CheckVerdict.NOT_RUN for c in whole):
        return DrillResult.INCONCLUSIVE
    if not any(c.looked_at_data and c.verdict is CheckVerdict.PASSED for c in whole):
        return DrillResult.INCONCLUSIVE
    return DrillResult.PASSED


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a drill or a recovery measured. `phases` and the two actuals are seconds. `rpa_s` is T0
    - data time, `rta_s` is end of validation - T0; None if the run did not get so far. `judged` is
    false if the point was chosen on purpose, so its RPA says nothing about the RPO.
    `restored_bytes` is the size of the restored data; projections scale with it. `data_time` is the
    data time of the point, or an earlier time that a replayed log reached; `repository` is the
    repository to which the run was limited, `given_by` are the repositories from which data was
    read. `unproven` are components that were not restored or not compared, each with the reason.
    `plan_digest` is the proof hash of the plan; in evidence of an older drd, the hash of the whole
    plan. `signature` says how far drd trusts the manifest of the point (`Trust`). `instant` is
    about a drill that did not restore everything, and so measured no `rta_s`. `reason` says why
    there is no result, and `remedy` what to do about it.
    """

    id: str
    run: str
    plan: str
    point: str | None
    scenario: str
    result: DrillResult
    plan_digest: str
    started_at: datetime
    finished_at: datetime
    rpa_s: float | None
    rta_s: float | None
    judged: bool
    phases: Mapping[str, float]
    checks: tuple[CheckResult, ...]
    not_rehearsed: tuple[tuple[str, str], ...] = ()
    target: str | None = None
    lost_at: datetime | None = None
    restored_bytes: int = 0
    reason: str | None = None
    coverage: Coverage | None = None
    data_time: datetime | None = None
    repository: str = ""
    given_by: tuple[str, ...] = ()
    unproven: tuple[Unproven, ...] = ()
    fence: FenceReport | None = None
    remedy: str = ""
    signature: str | None = None
    instant: InstantDrill | None = None
