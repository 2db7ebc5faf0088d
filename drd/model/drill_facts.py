"""The facts about drills that `assess()` judges; `drd.model.facts` says what holds for all."""

from __future__ import annotations

from datetime import datetime

from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class Unproven(NamedTuple):
    """A component of the plan that a drill did not restore or did not compare, and why: `code` is
    `not-restored`, `in-no-step`, `empty`, `no-check` or `not-compared`; empty in evidence of an
    older drd."""

    component: str
    why: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.component} {self.why}"


class FailedCheck(NamedTuple):
    """A failed check of a drill: what was observed, and what was expected."""

    name: str
    observed: str
    expected: str


class DrillFacts(NamedTuple):
    """The evidence of one drill. `at` is when it finished. `judged` is false if the point was
    chosen on purpose, so its RPA says nothing about the RPO. `restored_bytes` is the size of the
    restored data. `rehearsed` is how many of how many steps of the runbook it executed, None if
    nobody counted. `data_time` is the data time of the point. `repository` is the repository to
    which the drill was limited, empty if it could use all. `failed` are its failed checks, of a
    drill that counts.
    """

    evidence: str
    run: str
    point: str | None
    at: datetime
    result: Literal["passed", "failed", "inconclusive"]
    plan_digest: str
    rta_s: float | None
    rpa_s: float | None
    judged: bool
    restored_bytes: int
    reason: str | None = None
    rehearsed: tuple[int, int] | None = None
    scenario: str = ""
    data_time: datetime | None = None
    repository: str = ""
    unproven: tuple[Unproven, ...] = ()
    failed: tuple[FailedCheck, ...] = ()


class PackageFacts(NamedTuple):
    """A package of others that a plan uses: the version in the drill that counts, and the first
    number of the version in use, if it differs from the drill's."""

    name: str
    then: str
    now: str

    def words(self) -> str:
        """Return in words which version the drill used, and which is in use."""
        return f"package {self.name} {self.then}, which is version {self.now} now"


class ScenarioFacts(NamedTuple):
    """The results of drills of one scenario, by `model.scenarios.standing`.

    `last` is the result that counts: a pass with an older point does not clear a failure with a
    newer one; None if the scenario was never drilled. `passed` is the newest drill that passed. A
    `repository` that is not empty limits this to drills of that repository. `wanted` says that the
    plan wants the scenario. `packages` are the packages of which `last` had another version.
    """

    scenario: str
    wanted: bool = True
    repository: str = ""
    last: DrillFacts | None = None
    passed: DrillFacts | None = None
    packages: tuple[PackageFacts, ...] = ()
