"""The request for a drill, and its result."""

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
    """The measurements. `restoration` has notes for a person, `error` is why the drill is
    inconclusive, `operator` the people's part of an operator drill."""

    evidence: Evidence
    restoration: Restoration | None
    choice: Choice | None
    error: DrdError | None = None
    operator: OperatorDrill | None = None


ShowSandboxes = Callable[[DrillOutcome, dict[str, Destination]], None]


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """`point` is an id, `latest`, `random`, or None. If `point` or `scenario` is None, the plan's
    drill policy decides. If `repository` is given, drd reads only this one. If `components` is not
    empty, drd restores only these, which proves nothing about the whole service. `keep` is called
    before the sandboxes are removed. `kit` is the recovery kit that is left after the loss of the
    host; None: the copy that the plan or drd.yaml name. `by` is the name that the operator of an
    operator drill gave. If the drill is `blind`, the operator gets no hints."""

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
        """Return the repositories that may be used; None means all. Raises UsageError."""
        return usable_repositories(plan, self.repository, self.scenario)
