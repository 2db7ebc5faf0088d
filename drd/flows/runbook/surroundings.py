"""The surroundings of a run: only in these do drills, recoveries and playbooks differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from drd import process
from drd.flows.durable_steps import Runner
from drd.flows.services import Services
from drd.model.recovery_phases import Span
from drd.model.runbook import Circumstances, Step
from drd.model.step_record import StepRecord
from drd.model.step_results import StepResult
from drd.ports import Inspector


class Surroundings(Protocol):
    """`name` is the name of the plan or playbook, and `what` a word for the run. `rto_s` is None if
    no objective is measured. `spans` collects the times of the steps. `older` has the meaning that
    it has in `ActionContext`."""

    @property
    def services(self) -> Services: ...
    @property
    def runner(self) -> Runner: ...
    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def plan(self) -> str:
        """The plan that messages are about; empty if there is none."""
        ...

    @property
    def event(self) -> str:
        """The event of messages to people."""
        ...

    @property
    def steps(self) -> tuple[Step, ...]: ...
    @property
    def circumstances(self) -> Circumstances: ...
    @property
    def drill(self) -> bool: ...
    @property
    def asks_people(self) -> bool:
        """Whether people answer approvals, manual steps and failures. If not, the drill continues
        without them."""
        ...

    @property
    def rto_s(self) -> float | None: ...
    @property
    def spans(self) -> list[Span]: ...
    @property
    def older(self) -> timedelta: ...

    def carry_out(self, step: Step) -> StepResult:
        """Carry out a step that is not an action, for example a restore or a check. Raises
        StepFailed and the errors of the kind of step."""
        ...

    def load_earlier(self, step: Step, records: Collection[StepRecord], /) -> None:
        """Note the components that an earlier process of this run has restored."""
        ...

    def value(self, name: str, *, shown: bool) -> str | None:
        """Return the value of `${name}`; None if these surroundings do not have this value. With
        `shown`, for people, a secret is masked. Raises StepFailed if the value does not exist
        yet."""
        ...

    def environment(self) -> Mapping[str, str]:
        """Return the environment of commands."""
        ...

    def inspector(self, component: str | None) -> Inspector:
        """Return the access to a restored component. Raises StepFailed if it is not restored
        yet."""
        ...

    def fence(self, step: str, written: Sequence[str], /) -> process.Fence | None:
        """Return the fence for a command of a step; None if commands run without a fence."""
        ...
