"""The verdicts, and the shape of what `assess()` returns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from drd.model.drill_facts import DrillFacts, Unproven
from drd.model.facts import (
    AlertFacts,
    BackupFacts,
    FailureFacts,
    HoldFacts,
    LogFacts,
    PausedFacts,
    PointFacts,
)
from drd.model.own_objectives import Achievable
from drd.named import NamedTuple

SECRET_MISSING = "secret-missing"  # noqa: S105
"""The kind of the alert that a secret's file is gone: the plan's, if no other plan names it."""

UNFINISHED = "recovery-unfinished"
"""The kind of the alert about a recovery over production that stopped in the middle."""
NOT_LOADED = "plan-not-loaded"
"""The kind of the alert that the plan's file is not in force."""


class Verdict(StrEnum):
    """The verdicts from best to worst, in the order in which several are combined."""

    MET = "met"
    AT_RISK = "at_risk"
    UNKNOWN = "unknown"
    BREACHED = "breached"

    @property
    def severity(self) -> int:
        """0 for met to 3 for breached."""
        return _ORDER.index(self)

    @property
    def words(self) -> str:
        """The verdict for people: `at risk`."""
        return self.value.replace("_", " ")


_ORDER = tuple(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst verdict: breached before unknown before at risk before met; unknown if there
    are none."""
    return max(verdicts, key=_ORDER.index, default=Verdict.UNKNOWN)


class Readiness(StrEnum):
    """Whether a plan, as it stands now, has been proven."""

    READY = "ready"
    NEEDS_DRILL = "needs drill"
    NOT_READY = "not ready"


class PlanState(StrEnum):
    """The one word for a plan, from best to worst (`drd.model.plan_state`)."""

    OK = "ok"
    AT_RISK = "at risk"
    NEEDS_DRILL = "needs drill"
    NOT_READY = "not ready"
    UNKNOWN = "unknown"
    BREACHED = "breached"

    @property
    def severity(self) -> int:
        """0 for ok to 5 for breached."""
        return _STATES.index(self)


_STATES = tuple(PlanState)

STATE_OF_VERDICT = {
    Verdict.MET: PlanState.OK,
    Verdict.AT_RISK: PlanState.AT_RISK,
    Verdict.UNKNOWN: PlanState.UNKNOWN,
    Verdict.BREACHED: PlanState.BREACHED,
}
STATE_OF_READINESS = {
    Readiness.READY: PlanState.OK,
    Readiness.NEEDS_DRILL: PlanState.NEEDS_DRILL,
    Readiness.NOT_READY: PlanState.NOT_READY,
}


def worst_state(states: Iterable[PlanState]) -> PlanState:
    """Return the worst state; unknown if there are none."""
    return max(states, key=_STATES.index, default=PlanState.UNKNOWN)


class Reason(NamedTuple):
    """A finding about a verdict: why the verdict is what it is, and the command to run next, if a
    command helps.

    In place of a severity it has the `verdict` that it would cause alone; `met` for a mere note.
    `kind` is the kind of its alert; empty if it raises none. `says_why` is the kind of an alert
    about runs, if the text includes the words of that alert; else empty. `subject` is the part of
    the plan that it is about, if there may be several: a repository, a scenario. `code` is the code
    of the readiness finding that says the same. `brief` are words that the title of its alert has
    beside the kind: the check that failed. `at_least` is a state that it causes in addition to its
    verdict. `run` is the run about whose end it is; empty if it is not about a run.
    """

    verdict: Verdict
    text: str
    remedy: str = ""
    kind: str = ""
    says_why: str = ""
    subject: str = ""
    code: str = ""
    brief: str = ""
    at_least: PlanState = PlanState.OK
    run: str = ""

    @property
    def state(self) -> PlanState:
        """The state that a plan with this reason alone has."""
        return worst_state((STATE_OF_VERDICT[self.verdict], self.at_least))

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}" if self.remedy else self.text


class Remark(NamedTuple):
    """A sentence about a plan, with the command to run next, and the state that it would cause
    alone. `alert` is the open alert that reports the same; None if there is none. `first`: a
    person has to know it before remarks with the same state or a less bad one, for example that a
    repository cannot be read; 2: before all others, because production itself may be half restored.
    """

    state: PlanState
    text: str
    remedy: str = ""
    alert: AlertFacts | None = None
    first: int = 0


class RpoAssessment(NamedTuple):
    """The judgement of the RPO. `exposure_s` is what would be lost now, `achievable_s` what the
    schedule can hold; both None if unknown. `attainment` is a share, None for an empty window;
    `kept` is the same share, but None until the window is long enough to be meaningful; `window_s`
    is the length of the window. If the objective is breached and there is no exposure, everything
    would be lost. If a component has an RPO of its own, `component` is the one that is worst
    against its own objective, and the first three figures are of this component. `slowest` is the
    component of which the schedule comes nearest to the RPO or exceeds it most. `data_time` is the
    time of the data that the exposure is the age of, `points_within_s` the RPO that restore points
    have to keep.
    """

    objective_s: float | None
    exposure_s: float | None
    achievable_s: float | None
    attainment: float | None
    verdict: Verdict
    kept: float | None = None
    window_s: float | None = None
    component: str = ""
    slowest: Achievable | None = None
    data_time: datetime | None = None
    points_within_s: float | None = None

    @property
    def loses_everything(self) -> bool:
        """Whether no point is left that could be restored."""
        return self.exposure_s is None and self.verdict is Verdict.BREACHED


class RtoAssessment(NamedTuple):
    """The judgement of the RTO. `actual_s` is the duration of the last passed drill, `projected_s`
    the same scaled to the current data: None if there is no point to restore. `drill` names that
    drill, empty without `actual_s`: of a plan with instant drills it is a whole one.
    """

    objective_s: float | None
    actual_s: float | None
    projected_s: float | None
    verdict: Verdict
    drill: str = ""


class ScenarioAssessment(NamedTuple):
    """The judgement of one scenario. `result` is the result of the drill that counts, None if there
    was no drill; `valid_until` is when a pass stops counting, `unproven` which components the drill
    did not restore or compare. `last` is this drill.
    """

    scenario: str
    wanted: bool
    repository: str
    last_at: datetime | None
    result: str | None
    due_at: datetime | None
    valid_until: datetime | None
    verdict: Verdict
    unproven: tuple[Unproven, ...] = ()
    last: DrillFacts | None = None


class DrillAssessment(NamedTuple):
    """The judgement of the last drill, whatever its scenario, and of each scenario. `result` is
    `passed`, `failed`, `inconclusive`, or None for never. `rehearsed` is how many of how many steps
    were executed. `proven` is the verdict of the drills alone: `verdict` also says whether the
    plan's file is in force. `before_loss` is, if no drill ran here, the evidence of a drill on a
    lost host that proved a point; empty if none is known.
    """

    last_at: datetime | None
    result: str | None
    due_at: datetime | None
    verdict: Verdict
    rehearsed: tuple[int, int] | None = None
    scenarios: tuple[ScenarioAssessment, ...] = ()
    proven: Verdict = Verdict.UNKNOWN
    before_loss: str = ""


class ComponentAssessment(NamedTuple):
    """The judgement of a component against `rpo_s`, its own RPO (`has_own_rpo`) or the RPO of the
    plan. `achievable_s` is the exposure that the schedule can hold, None if unknown."""

    component: str
    kind: str
    data_time: datetime | None
    exposure_s: float | None
    size_bytes: int | None
    verdict: Verdict
    log: LogFacts | None = None
    rpo_s: float | None = None
    achievable_s: float | None = None
    has_own_rpo: bool = False


class CopyAssessment(NamedTuple):
    """The judgement of a second repository: `exposure_s` is what would be lost now if only this one
    were left. `first_by` is until when the first copy has time; None if there was one, or if this
    time is over.
    """

    repository: str
    copy_of: str
    data_time: datetime | None
    exposure_s: float | None
    verdict: Verdict
    first_by: datetime | None = None


def same_words(name: str, other: str | None) -> str:
    """Return words about a copy that is the same repository as the original."""
    return f"copy {name} is the same repository as {other}: one loss destroys both"


def lost_words(lost: str) -> str:
    """Return the words that follow the name of a repository in which nothing can be read."""
    words = {
        "replaced": "was replaced by another repository",
        "emptied": "was emptied",
        "shut": "does not open with the password of the plan",
    }
    return words.get(lost, f"is {lost}")


class RepositoryAssessment(NamedTuple):
    """The judgement of a repository. `state` is the most severe state that is known: `ok`, `gone`,
    `emptied`, `replaced`, `unreachable`, `damaged` or `absent` (drd has not yet found or made it);
    `since` is when drd noticed it. `data_time` is the data time of the newest point in it that can
    be read; `stored` says whether a point was ever stored there.
    """

    repository: str
    copy_of: str | None
    state: str
    since: datetime | None
    data_time: datetime | None
    stored: bool


class Assessment(NamedTuple):
    """Everything that `status` says about one plan; the most severe reason first. `owner` is None
    for a plan that was never loaded; `load_error` is why its file is not in force. `paused` and
    `waiting` are about retention; `holds` are the active holds. `points` counts the complete points
    that are kept; `newest` is the point with the latest data, `backup` its run. `state` is the one
    word for all of it; `remarks` are the reasons, alerts and copies behind it, the worst first.
    """

    plan: str
    owner: str | None
    verdict: Verdict
    readiness: Readiness
    rpo: RpoAssessment
    rto: RtoAssessment
    drill: DrillAssessment
    components: tuple[ComponentAssessment, ...]
    alerts: tuple[AlertFacts, ...]
    reasons: tuple[Reason, ...]
    load_error: str | None = None
    copies: tuple[CopyAssessment, ...] = ()
    repositories: tuple[RepositoryAssessment, ...] = ()
    paused: PausedFacts | None = None
    waiting: int = 0
    holds: tuple[HoldFacts, ...] = ()
    file: str = ""
    loaded_at: datetime | None = None
    newest: PointFacts | None = None
    points: int = 0
    backup: BackupFacts | None = None
    failures: FailureFacts | None = None
    state: PlanState = PlanState.UNKNOWN
    remarks: tuple[Remark, ...] = ()
    description: str = ""

    @property
    def why(self) -> Remark | None:
        """The one reason for the state; None if it is ok."""
        return self.remarks[0] if self.state is not PlanState.OK and self.remarks else None

    @property
    def beside(self) -> tuple[Reason, ...]:
        """Return the reasons that the plan's row shows in addition to the reason for its state."""
        why = self.why
        if why is None:
            return ()
        hidden = (r for r in self.reasons if r.text != why.text)
        return tuple(r for r in hidden if _is_never_hidden(r, self.state))


_NEVER_HIDDEN = frozenset({NOT_LOADED, UNFINISHED})
"""Kinds of reasons that a person has to see at once, whatever else is wrong."""


def _is_never_hidden(reason: Reason, state: PlanState) -> bool:
    """Also failing backups, of which an unknown or unproven plan says nothing."""
    if reason.kind in _NEVER_HIDDEN:
        return True
    return state is not PlanState.BREACHED and reason.says_why == "backup-failing"


def exit_code(state: PlanState) -> int:
    """Return the exit code of `drd status`: 3 for breached, unknown or not ready, else 0."""
    return 3 if state.severity >= PlanState.NOT_READY.severity else 0
