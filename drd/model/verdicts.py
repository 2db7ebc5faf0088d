"""The verdicts, and the shape of what `assess()` returns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from drd.model.facts import AlertFacts, HoldFacts, PausedFacts, Unproven
from drd.named import NamedTuple


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
    """Return the worst: breached before unknown before at risk before met; unknown for none."""
    return max(verdicts, key=_ORDER.index, default=Verdict.UNKNOWN)


class Readiness(StrEnum):
    """Whether a plan, as it stands now, has been proven."""

    READY = "ready"
    NEEDS_DRILL = "needs drill"
    NOT_READY = "not ready"


class Reason(NamedTuple):
    """A finding about a verdict: why it is what it is, and the command to run next, if one helps.
    In place of a severity it has the `verdict` that it leads to alone; `met` for a mere note.

    `kind` is that of its alert; empty if it raises none. `says_why` is the kind of an alert about
    runs whose words the text includes; empty if none. `subject` is the part of the plan that it is
    about, if there may be several: a repository, a scenario. `code` is that of the readiness
    finding that says the same.
    """

    verdict: Verdict
    text: str
    remedy: str = ""
    kind: str = ""
    says_why: str = ""
    subject: str = ""
    code: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}" if self.remedy else self.text


class RpoAssessment(NamedTuple):
    """The judgement of the RPO. `exposure_s` is what would be lost now, `achievable_s` what the
    schedule can hold; both None if unknown. `attainment` is a share, None for an empty window. A
    breached objective without an exposure means that everything would be lost.
    """

    objective_s: float | None
    exposure_s: float | None
    achievable_s: float | None
    attainment: float | None
    verdict: Verdict

    @property
    def loses_everything(self) -> bool:
        """Whether no point is left that could be restored."""
        return self.exposure_s is None and self.verdict is Verdict.BREACHED


class RtoAssessment(NamedTuple):
    """The judgement of the RTO. `actual_s` is the duration of the last passed drill, `projected_s`
    the same scaled to the current data: None if there is no point to restore.
    """

    objective_s: float | None
    actual_s: float | None
    projected_s: float | None
    verdict: Verdict


class ScenarioAssessment(NamedTuple):
    """The judgement of one scenario. `result` is that of the drill that counts, None for never;
    `valid_until` is when a pass stops counting, `unproven` which components it did not restore or
    compare.
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


class DrillAssessment(NamedTuple):
    """The judgement of the last drill, whatever its scenario, and of each scenario. `result` is
    `passed`, `failed`, `inconclusive`, or None for never. `rehearsed` is how many of how many steps
    were executed.
    """

    last_at: datetime | None
    result: str | None
    due_at: datetime | None
    verdict: Verdict
    rehearsed: tuple[int, int] | None = None
    scenarios: tuple[ScenarioAssessment, ...] = ()


class ComponentAssessment(NamedTuple):
    component: str
    kind: str
    data_time: datetime | None
    exposure_s: float | None
    size_bytes: int | None
    verdict: Verdict


class CopyAssessment(NamedTuple):
    """The judgement of a second repository: `exposure_s` is what would be lost now if only this one
    were left.
    """

    repository: str
    copy_of: str
    data_time: datetime | None
    exposure_s: float | None
    verdict: Verdict


def lost_words(lost: str) -> str:
    """Return the words that follow the name of a repository in which nothing can be read."""
    return "was replaced by another repository" if lost == "replaced" else f"is {lost}"


class RepositoryAssessment(NamedTuple):
    """The judgement of a repository. `state` is the most severe that is known: `ok`, `gone`,
    `emptied`, `replaced`, `unreachable` or `damaged`; `since` is when drd noticed it. `data_time`
    is that of the newest point that can be read there.
    """

    repository: str
    copy_of: str | None
    state: str
    since: datetime | None
    data_time: datetime | None


class Assessment(NamedTuple):
    """Everything that `status` says about one plan; the most severe reason first. `owner` is None
    for a plan that was never loaded; `load_error` is why its file is not in force. `paused` and
    `waiting` are about retention; `holds` are the active ones.
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


def exit_code(verdict: Verdict) -> int:
    """Return the exit code of `drd status`: 0 for met or at risk, 3 for breached or unknown."""
    return 0 if verdict in (Verdict.MET, Verdict.AT_RISK) else 3
