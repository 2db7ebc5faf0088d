"""The surroundings of the steps of a playbook: the services in operation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from drd import process
from drd.errors import StepFailed
from drd.flows.durable_steps import Runner
from drd.flows.playbooks.own_commands import OwnCommand
from drd.flows.playbooks.values import Values
from drd.flows.services import Services
from drd.flows.state.run_dirs import target_place
from drd.model.message import INCIDENT
from drd.model.new_secrets import of_run
from drd.model.plan import Plan
from drd.model.recovery_phases import Span
from drd.model.runbook import Circumstances, Step
from drd.model.step_record import StepRecord
from drd.model.step_results import StepResult
from drd.ports import Inspector


@dataclass(frozen=True, slots=True)
class Containing:
    """Implements `Surroundings` for a playbook. `plan_of` loads a plan by its name, for steps that
    work on a component. `config` is the drd.yaml for the drd commands that steps run."""

    services: Services
    runner: Runner
    values: Values
    plan_of: Callable[[str], Plan]
    config: str | None = None
    spans: list[Span] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.values.playbook.name

    @property
    def what(self) -> str:
        return "playbook"

    @property
    def plan(self) -> str:
        return self.values.plan

    @property
    def event(self) -> str:
        return INCIDENT

    @property
    def steps(self) -> tuple[Step, ...]:
        run, practised = self.runner.run.id, bool(self.values.practised_in)
        return tuple(of_run(s, run, practised=practised) for s in self.values.playbook.runbook)

    @property
    def circumstances(self) -> Circumstances:
        return Circumstances("", "")

    @property
    def drill(self) -> bool:
        return False

    @property
    def asks_people(self) -> bool:
        return True

    @property
    def rto_s(self) -> None:
        return None

    @property
    def older(self) -> timedelta:
        return timedelta(0)

    def carry_out(self, step: Step) -> StepResult:
        """Run `drd backup`, `drd recover` or `drd incident preserve`, each as a run of its own."""
        return OwnCommand(self.values, self.config, self.runner.run.id).execute(
            step, self.services.catalogue
        )

    def load_earlier(self, _: Step, __: Collection[StepRecord]) -> None:
        """Do nothing: a playbook restores nothing."""

    def value(self, name: str, *, shown: bool) -> str | None:
        return self.values.get(name, shown=shown)

    def environment(self) -> Mapping[str, str]:
        values = self.values
        incident = str(values.incident) if values.incident is not None else ""
        return {
            "DRD_MODE": self.what,
            "DRD_PLAYBOOK": self.name,
            "DRD_PLAN": values.plan,
            "DRD_INCIDENT": incident,
        }

    def inspector(self, component: str | None) -> Inspector:
        """Return the access to a component of the plan where it is in operation."""
        plan = self.plan_of(self.value("plan", shown=False) or "")
        if component is None or component not in plan.components:
            raise StepFailed(
                f"plan {plan.name} has no component {component}",
                hint=f"choose one of the plan's components: {', '.join(plan.components)}. Correct "
                "`component` in the playbook.",
            )
        known = plan.components[component]
        place = target_place(self.services, self.runner.run.id, known)
        return self.services.kinds(known.kind).target(known, known.settings, place).inspector()

    def fence(self, _: str, __: Sequence[str]) -> process.Fence | None:
        return None
