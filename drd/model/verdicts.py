"""The words of a verdict, and the shape of what `assess()` answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from drd.model.facts import AlertFacts, HoldFacts, PausedFacts, Unproven
from drd.named import NamedTuple


class Verdict(StrEnum):
    """From best to worst; the order is the one in which several are combined."""

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
        """As a person reads it: `at risk`."""
        return self.value.replace("_", " ")


_ORDER = tuple(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Breached before unknown before at risk before met; of nothing, nothing is known."""
    return max(verdicts, key=_ORDER.index, default=Verdict.UNKNOWN)


class Readiness(StrEnum):
    """Whether a plan, as it stands now, has been proven."""

    READY = "ready"
    NEEDS_DRILL = "needs drill"
    NOT_READY = "not ready"


class Reason(NamedTuple):
    """Why a verdict is what it is, and the command to run next, if one helps.

    `verdict` is the one that this reason alone leads to; `met` for what is only worth saying.
    `kind` is the alert's that it makes; empty for what is no alert.
    `says_why` is that of an alert about runs whose words the text has; empty where it has none.
    `subject` is what of the plan it is about, where there may be several: a repository, a scenario.
    `code` is that of the finding which says the same, where a look ahead makes this alert, too.
    """

    verdict: Verdict
    text: str
    command: str = ""
    kind: str = ""
    says_why: str = ""
    subject: str = ""
    code: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {self.command}" if self.command else self.text


class RpoAssessment(NamedTuple):
    """`exposure_s` is what would be lost now, `achievable_s` what the schedule can hold; both None
    where nobody knows. `attainment` is a share, None for no window yet. Without an exposure a
    breached objective means that everything would be lost."""

    objective_s: float | None
    exposure_s: float | None
    achievable_s: float | None
    attainment: float | None
    verdict: Verdict

    @property
    def loses_everything(self) -> bool:
        """Nothing is left that could be gone back to."""
        return self.exposure_s is None and self.verdict is Verdict.BREACHED


class RtoAssessment(NamedTuple):
    """`actual_s` is what the last passed drill took, `projected_s` the same scaled to the data of
    now: None where nothing is left to come back from."""

    objective_s: float | None
    actual_s: float | None
    projected_s: float | None
    verdict: Verdict


class ScenarioAssessment(NamedTuple):
    """One scenario. `result` is that of the drill that counts, None for never; `valid_until` is
    when a pass stops counting, `unproven` which components it did not restore or compare."""

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
    """Of the last drill, whatever its scenario, and of each scenario. `result` is `passed`,
    `failed`, `inconclusive`, or None for never. `rehearsed` is how many of how many steps were
    carried out."""

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
    """A second repository: `exposure_s` is what would be lost now if only it were left."""

    repository: str
    copy_of: str
    data_time: datetime | None
    exposure_s: float | None
    verdict: Verdict


def lost_words(lost: str) -> str:
    """What follows the name of a repository in which nothing can be read."""
    return "is another one" if lost == "replaced" else f"is {lost}"


class RepositoryAssessment(NamedTuple):
    """`state` is `ok`, `gone`, `emptied`, `replaced`, `unreachable` or `damaged`: the gravest that
    is known, `since` when drd learnt it. `data_time` is of the newest point that can be read
    there."""

    repository: str
    copy_of: str | None
    state: str
    since: datetime | None
    data_time: datetime | None


class Assessment(NamedTuple):
    """Everything that `status` says about one plan; the gravest reason first. `owner` is None for
    a plan that was never loaded; `load_error` is why its file is not in force. `paused` and
    `waiting` are about retention, `holds` the ones that are active."""

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
    """Of `drd status`: 0 for met or at risk, 3 for breached or unknown."""
    return 0 if verdict in (Verdict.MET, Verdict.AT_RISK) else 3
