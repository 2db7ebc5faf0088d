"""The surroundings of the steps of a drill or a recovery: the restored components."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from drd import process
from drd.errors import StepFailed
from drd.flows.components import restoration, restored_checks
from drd.flows.components.restoration import Restoration
from drd.flows.durable_steps import Runner
from drd.flows.runbook.engine import Engine
from drd.flows.runbook.outcome import failures
from drd.flows.services import Services
from drd.model.adopted import OLDER
from drd.model.recovery_phases import Span
from drd.model.run import CheckResult
from drd.model.runbook import Circumstances, Step, plain_runbook
from drd.model.step_record import StepRecord
from drd.model.step_results import StepResult
from drd.model.units import to_rfc3339
from drd.ports import Inspector


@dataclass(frozen=True, slots=True)
class Restoring:
    """Implements `Surroundings` for a restoration. A drill `by_people` asks people as a recovery
    does."""

    work: Restoration
    circumstances: Circumstances
    drill: bool
    by_people: bool = False

    @property
    def asks_people(self) -> bool:
        return self.by_people or not self.drill

    @property
    def services(self) -> Services:
        return self.work.services

    @property
    def runner(self) -> Runner:
        return self.work.runner

    @property
    def name(self) -> str:
        return self.work.plan.name

    @property
    def what(self) -> str:
        return "drill" if self.drill else "recovery"

    @property
    def plan(self) -> str:
        return self.work.plan.name

    @property
    def event(self) -> str:
        return self.what

    @property
    def steps(self) -> tuple[Step, ...]:
        """The plan's steps; without any, restore everything and run every check."""
        plan = self.work.plan
        return plan.runbook or plain_runbook(
            self.work.destinations, (check.name for check in plan.checks)
        )

    @property
    def rto_s(self) -> float:
        return self.work.plan.objectives.rto_s

    @property
    def spans(self) -> list[Span]:
        return self.work.spans

    @property
    def older(self) -> timedelta:
        return OLDER if self.work.plan.made_by else timedelta(0)

    def carry_out(self, step: Step) -> StepResult:
        if step.kind == "restore":
            return restoration.restore_components(self.work, step.subjects)
        return restored_checks.run_checks(self.work, step.subjects)

    def load_earlier(self, step: Step, records: Collection[StepRecord]) -> None:
        restoration.load_earlier_results(self.work, step.subjects, records)

    def environment(self) -> Mapping[str, str]:
        work = self.work
        return {
            "DRD_PLAN": work.plan.name,
            "DRD_POINT": work.point.id,
            "DRD_DATA_TIME": to_rfc3339(work.point.data_time),
            "DRD_TARGET": self.circumstances.target,
            "DRD_SCENARIO": self.circumstances.scenario,
            "DRD_MODE": self.what,
        }

    def value(self, name: str, *, shown: bool) -> str | None:  # noqa: ARG002 - none is secret
        head, _, rest = name.partition(".")
        work = self.work
        plain = {
            "plan": work.plan.name,
            "point": work.point.id,
            "data_time": to_rfc3339(work.point.data_time),
            "scenario": self.circumstances.scenario,
            "target": self.circumstances.target,
        }
        if name in plain:
            return plain[name]
        if head == "target":
            return self._place(*rest.partition(".")[::2])
        return self._place(head, rest) if head in work.plan.components else None

    def _place(self, component: str, key: str) -> str:
        inspector = self.inspector(component)
        if key in ("", "location"):
            return inspector.location
        kind = self.services.kinds(self.work.plan.components[component].kind)
        value = inspector.environment.get(kind.spec.values.get(key, ""))
        if value is not None:
            return value
        raise StepFailed(
            f"component {component} has no value {key!r}",
            hint="correct ${…} in the step; docs/recovery.md lists the values of each kind.",
        )

    def inspector(self, component: str | None) -> Inspector:
        if component is None or component not in self.work.restored:
            raise StepFailed(
                f"this step needs component {component}, which was not restored",
                hint="add a restore step for this component before this step, or find out why "
                "the restore step failed.",
            )
        return self.work.destinations[component].inspector()

    def fence(self, step: str, written: Sequence[str]) -> process.Fence | None:
        return restoration.fence(self.work, step, written)


def evidence_rows(engine: Engine, work: Restoration) -> tuple[CheckResult, ...]:
    """Return the rows for the evidence of a runbook that has ended: what could not be restored, the
    results of its checks, what another repository provided, and its other failures."""
    return (
        *restored_checks.restore_failures(work),
        *engine.check_results,
        *restored_checks.rows_of_passed_over(work),
        *failures(engine.steps, engine.outcome),
    )
