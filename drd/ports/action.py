"""What the steps of a runbook do, beside restoring and checking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from drd.model.finding import Finding
from drd.model.runbook import Service, Step
from drd.ports.by_hand import ByHand
from drd.ports.destinations import Inspector
from drd.ports.kinds import KindSpec, any_kind
from drd.process import Fence


def no_fence(_: Sequence[str]) -> Fence | None:
    """In a recovery: what is brought back works for everybody."""
    return None


def keep_nothing(_: str, __: str) -> None:
    """For whoever carries out one step and no later one."""


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action may know.

    `key` is `run/step`, the same in every try: by it an effect recognises that it has happened.
    `value` gives what `${…}` stands for; it raises StepFailed for what is not there. `environment`
    is for commands. `directory` is where what was started leaves its word; `stays` whether that
    outlives the run. `inspectors` has what came back, by component. `fence` gives what a command,
    by its words as the plan has them, runs behind in a drill. `keep` takes a value by its key as it
    is, for later steps and in memory alone: what an action returns is stored and shown, and so
    masked.
    """

    step: Step
    key: str
    value: Callable[[str], str]
    environment: Mapping[str, str]
    inspectors: Callable[[str], Inspector]
    directory: Path
    stays: bool
    fence: Callable[[Sequence[str]], Fence | None] = no_fence
    keep: Callable[[str, str], None] = keep_nothing

    @property
    def rehearsing(self) -> bool:
        return not self.stays


class Action(Protocol):
    """One kind of step. Stateless; used from several threads."""

    def preflight(self, step: Step) -> Sequence[Finding]:
        """What it would miss on this host: warnings, since a step before may see to it."""

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        """Do it; what it found out is JSON, masked, for `${steps.NAME.…}` of later steps.

        Raises StepFailed with what went wrong in plain words, DeadlineExceeded, Cancelled.
        """


@runtime_checkable
class Lasting(Protocol):
    """An action whose effect may be gone later, by itself or with the host."""

    def lasts(self, context: ActionContext) -> bool:
        """Whether what it did is still so."""


class StepByHand(Protocol):
    """What the printed runbook has for the step that a person carries out without drd. The words
    are for bash, with `${…}` put in."""

    step: Step

    def word(self, text: str) -> str:
        """One word of a command."""

    def words(self, words: Sequence[str]) -> str:
        """Several."""

    def around(self, env: Mapping[str, str], component: str | None = None) -> str:
        """The words before a command that give it its environment: what every command of a step is
        told, where the component is, and `env`."""

    def command(
        self,
        words: Sequence[str],
        env: Mapping[str, str] | None = None,
        component: str | None = None,
    ) -> str:
        """A command with its environment."""

    def component(self, name: str) -> ByHand | None:
        """How this component comes back by hand."""


def no_service(_: Any) -> Service | None:
    """For a kind of step that starts and stops nothing."""
    return None


def no_lines(_: Any, __: StepByHand) -> Iterable[str]:
    """For a step of which nobody can say in commands how a person does it."""
    return ()


@dataclass(frozen=True, eq=False, slots=True)
class ActionKind:
    """All that drd has to know of one kind of step.

    `settings` is the type of what stands behind the step's key in a plan, usually a model derived
    from `Rehearsed`; where it has a `component`, that one has to be back before the step begins.
    `action` carries the step out. `summary` says in the plan reference what the step does, `about`
    what stands behind its key. `gives` are the values that it has for later steps
    (`${steps.NAME.…}`). `fits` tells which kinds of component it can work on. One that
    `frees_ports` may end what listens where a later step starts something. `service` says what it
    starts or stops: after a reboot drd does that again if the action is `Lasting`, and a rollback
    ends a program that it started. `in_words` and `by_hand` say what it does, by its settings, in a
    sentence and in lines for bash.
    """

    name: str
    settings: Any
    action: Action
    summary: str
    about: str
    in_words: Callable[[Any], str]
    by_hand: Callable[[Any, StepByHand], Iterable[str]] = no_lines
    gives: tuple[str, ...] = ()
    fits: Callable[[KindSpec], bool] = any_kind
    frees_ports: bool = True
    service: Callable[[Any], Service | None] = no_service


ActionFactory = Callable[[str], Action]
"""By the kind of a step; `simulate` runs what stands in for one, `rollback` takes one back. `start`
and `stop` share what they know by `directory`."""
