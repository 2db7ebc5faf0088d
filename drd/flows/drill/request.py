"""What a drill is asked for, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drd.errors import DrdError
from drd.flows.components.repository_choice import usable_repositories
from drd.flows.components.restoration import Restoration
from drd.flows.drill.host_loss import KitAt
from drd.flows.restore.point_choice import Choice
from drd.model.operator_drill import OperatorDrill
from drd.model.plan import Plan
from drd.model.run import Evidence
from drd.ports import Destination


@dataclass(frozen=True, slots=True)
class DrillOutcome:
    """The measurements; `restoration` has notes for a person; `error` is why it is inconclusive,
    `operator` the people's part of an operator drill."""

    evidence: Evidence
    restoration: Restoration | None
    choice: Choice | None
    error: DrdError | None = None
    operator: OperatorDrill | None = None


ShowSandboxes = Callable[[DrillOutcome, dict[str, Destination]], None]


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """`point` is an id, `latest`, `random`, or None for the plan's drill policy, as is
    a `scenario` of None. If `repository` is given, only that is read.
    `components` alone are restored, none: all; a part proves nothing about the whole service.
    `keep` is
    called before the sandboxes are removed. `kit` is what a loss of the
    host leaves, None for the copy that the plan or drd.yaml name. `by` is the name that the
    operator of an operator drill gave, who gets no hints if it is `blind`."""

    point: str | None = None
    scenario: str | None = None
    repository: str | None = None
    trigger: str = "manual"
    keep: ShowSandboxes | None = None
    kit: KitAt | None = None
    components: tuple[str, ...] = ()
    by: str = ""
    blind: bool = False

    def only(self, plan: Plan) -> tuple[str, ...] | None:
        """Return the repositories that may be used; None for all. Raises UsageError."""
        return usable_repositories(plan, self.repository, self.scenario)
