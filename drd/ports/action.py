"""What the steps of a runbook do, apart from restoring and checking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from drd.model.down import NO_EFFECT, Effect
from drd.model.finding import Finding
from drd.model.runbook import Service, Step
from drd.ports.by_hand import ByHand
from drd.ports.inspector import Inspector
from drd.ports.kinds import Ability, KindSpec, any_kind
from drd.process import Fence

WHOLE = "whole answer"
"""The key under which an action keeps its whole answer, of which a result has only a part."""


def no_fence(_: Sequence[str]) -> Fence | None:
    """Return no fence: in a recovery, everybody on the host may use what was restored."""
    return None


def keep_nothing(_: str, __: str) -> None:
    """Keep no value: for a caller that carries out one step and no later one."""


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action may know.

    `key` is `run/step`, the same in every attempt: by this key, the receiver of an effect
    recognises that it has already happened. `value` gives the value of `${…}`, and raises
    StepFailed for an unknown name. `environment` is for commands. In `directory` the action notes
    what it has started; `stays` says whether the directory is kept after the run. `inspectors` has
    the restored components by name. `fence` gives the fence that a command has in a drill, by the
    words of the command as the plan has them. `keep` keeps a value under its key for later steps,
    unmasked and in memory alone; the result of an action is stored and shown, and therefore masked.
    What was written up to `older` before the data time may be missing in the restored data.
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
    older: timedelta = timedelta(0)

    @property
    def rehearsing(self) -> bool:
        return not self.stays


class Action(Protocol):
    """One kind of step. Stateless; used from several threads."""

    def preflight(self, step: Step) -> Sequence[Finding]:
        """Return what the step lacks on this host, as warnings, because an earlier step may provide
        it."""

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        """Carry out the step. The result is JSON, masked, and later steps read it as
        `${steps.NAME.…}`.

        Raises StepFailed with the reason in plain words, DeadlineExceeded, Cancelled.
        """


@runtime_checkable
class Lasting(Protocol):
    """An action whose effect can disappear later, by itself or with the host."""

    def lasts(self, context: ActionContext) -> bool:
        """Return whether the effect of the step is still there."""


class StepByHand(Protocol):
    """The text of the printed runbook for a step that a person executes without drd. The words are
    for bash; they already contain the values of `${…}`."""

    step: Step

    def word(self, text: str) -> str:
        """Quote one word of a command."""

    def words(self, words: Sequence[str]) -> str:
        """Quote the words of a command."""

    def around(self, env: Mapping[str, str], component: str | None = None) -> str:
        """Return the words before a command that set its environment: the variables that every
        command of a step gets, where the component is, and `env`."""

    def command(
        self,
        words: Sequence[str],
        env: Mapping[str, str] | None = None,
        component: str | None = None,
    ) -> str:
        """Return a command with the words that set its environment."""

    def component(self, name: str) -> ByHand | None:
        """How a person restores this component by hand."""


def no_service(_: Any) -> Service | None:
    """Return no service: for a kind of step that starts and stops nothing."""
    return None


def no_ability(_: Any) -> Ability | None:
    """Return None, for a kind of step whose settings make no difference to what the component must
    be able to do."""
    return None


def no_effect(_: Any) -> Effect:
    """Return the effect that nothing is down or up after the step."""
    return NO_EFFECT


def component_of(settings: Any) -> str | None:
    """Return the component under `component` in the settings; None if they have no such key."""
    name: str | None = getattr(settings, "component", None)
    return name


def no_lines(_: Any, __: StepByHand) -> Iterable[str]:
    """Give no commands: for a step that a person cannot carry out by commands."""
    return ()


@dataclass(frozen=True, eq=False, slots=True)
class ActionKind:
    """All that drd has to know of one kind of step.

    `settings` is the type of the value under the step's key in a plan, usually a model derived from
    `Rehearsed`. `component` gives the component that the step works on, by the settings (the
    default: their key `component`): it is restored before the step begins. `action` carries the
    step out. In the plan reference, `summary` says what the step does, and
    `about` describes the value under its key. `gives` are the values that the step has for later
    steps (`${steps.NAME.…}`). `fits` says which kinds of component it can work on, `needs` what
    else the component must be able to do, by the settings: for their key `database`. A step that
    `frees_ports` may end the process that listens where a later step starts something. `service`
    says what the step starts or stops: after a reboot drd does that again if the action is
    `Lasting`, and a rollback ends a program that the step started. `effect` says what is down or up
    after the step, for people who find a recovery that stopped in the middle. `answer` is the key
    of the result under which the answer of the other side stands, if there is one. `in_words` and
    `by_hand` describe the step, by its settings, in a sentence and in lines for bash.
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
    needs: Callable[[Any], Ability | None] = no_ability
    frees_ports: bool = True
    service: Callable[[Any], Service | None] = no_service
    component: Callable[[Any], str | None] = component_of
    effect: Callable[[Any], Effect] = no_effect
    answer: str = ""


ActionFactory = Callable[[str], Action]
"""Returns the action of a kind of step. `simulate` runs the command that stands in for a step,
`rollback` rolls a step back. `start` and `stop` share what they note in `directory`."""
