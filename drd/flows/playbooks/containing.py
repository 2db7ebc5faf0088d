"""The surroundings of the steps of a playbook: the services in operation."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from drd import process, secrets
from drd.errors import StepFailed
from drd.flows.durable_steps import Runner
from drd.flows.services import Services
from drd.flows.state.run_dirs import target_place
from drd.masking import MASK, masked
from drd.model.message import INCIDENT
from drd.model.plan import NAME as PLAN_NAME
from drd.model.plan import Plan
from drd.model.playbook import Playbook, reference
from drd.model.recovery_phases import Span
from drd.model.run_details import PlaybookDetail
from drd.model.runbook import Circumstances, OwnRun, Step
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult, StepResult
from drd.model.text import escaped
from drd.model.values import filled
from drd.ports import Inspector
from drd.process import rights
from drd.process.rights import Purpose

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Values:
    """The values that the steps of a run of a playbook use. `inputs` has the inputs by name. For a
    secret input it has the reference: drd reads the secret only when a step uses it."""

    playbook: Playbook
    inputs: Mapping[str, str]
    plan: str = ""
    incident: int | None = None

    @classmethod
    def of_run(cls, playbook: Playbook, detail: PlaybookDetail) -> Values:
        given = {name: str(value) for name, value in detail.inputs.items()}
        return cls(playbook, given, detail.of_plan or "", detail.incident)

    def get(self, name: str, *, shown: bool) -> str | None:
        """Return a value; None if no value has this name. With `shown`, for people, a secret is
        masked. Raises StepFailed, SecretUnavailable."""
        if name == "playbook":
            return self.playbook.name
        if name == "incident":
            return str(self.incident) if self.incident is not None else ""
        if name == "plan":
            return self._plan()
        known = self.playbook.input(name)
        if known is None:
            return None
        given = self.inputs.get(name, known.default)
        if given is None:
            raise StepFailed(
                f"the input {name} has no value",
                hint=f"start the playbook anew: drd playbook run {self.playbook.name} "
                f"--set {name}=VALUE",
            )
        if not known.secret:
            return given
        return MASK if shown else secrets.resolve(reference(given))

    def _plan(self) -> str:
        if not self.plan:
            raise StepFailed(
                "the step works on a plan, but this run was started without --plan",
                hint=f"start the playbook anew: drd playbook run {self.playbook.name} --plan PLAN",
            )
        return self.plan


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
        return self.values.playbook.runbook

    @property
    def circumstances(self) -> Circumstances:
        return Circumstances("", "")

    @property
    def drill(self) -> bool:
        return False

    @property
    def rto_s(self) -> None:
        return None

    @property
    def older(self) -> timedelta:
        return timedelta(0)

    def look(self, step: Step) -> StepResult:
        """Run `drd backup` or `drd recover`, each as a run of its own."""
        settings = step.settings
        assert isinstance(settings, OwnRun)

        def text(written: str) -> str:
            return filled(written, lambda name: self.value(name, shown=False) or "")

        plan = text(settings.plan or "${plan}")
        if not PLAN_NAME.fullmatch(plan):
            raise StepFailed(f"{escaped(plan)!r} is not the name of a plan")
        words = [step.kind, plan, "--json"]
        if settings.recovers:
            target = text(settings.target)
            words.append(f"--target={target}" if target else "--in-place")
            words += [f"--point={text(settings.point)}"] if settings.point else []
            words += [f"--before={text(settings.before)}"] if settings.before else []
            words += ["--clean"] if settings.clean else []
            words += ["--overwrite"] if settings.overwrite else []
            words += [f"--incident={self.values.incident}"] if self.values.incident else []
            words.append("--yes")
        words += [f"--config={Path(self.config).absolute()}"] if self.config else []
        return self._own_command(step, words)

    def _own_command(self, step: Step, words: Sequence[str]) -> ActionStepResult:
        # Root's command: no module of the working directory, which may be anybody's, replaces drd.
        argv = (sys.executable, "-P", "-m", "drd", *words)
        command = process.Command(argv, cwd=Path("/"), deadline_s=step.timeout_s or _DAY_S)
        with rights.root(Purpose.PROCESSES):
            done = process.run(command)
        if done.exit_code != 0:
            says = masked(_why(done))[:300]
            raise StepFailed(
                f"`drd {words[0]} {words[1]}` ended with exit code {done.exit_code}"
                + (f": {says}" if says else ""),
                hint=f"to see the run of this command: drd runs {words[1]}",
            )
        return ActionStepResult.of({"says": f"drd {words[0]} {words[1]}: done"})

    def load_earlier(self, _: Step, __: Collection[StepRecord]) -> None:
        """Nothing was restored."""

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


def _why(done: process.Completed) -> str:
    """Return the error that a command has printed as JSON, or the last line of its output."""
    with suppress(ValueError, TypeError, KeyError):
        return escaped(json.loads(done.stdout)["error"]["message"])
    return done.says[-1] if done.says else ""
