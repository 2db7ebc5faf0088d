"""What every kind of step promises: it does what it says, once, and names what it found out.

Who makes a kind of step derives a class from `ActionContract`, gives it a fixture `case`, and runs
pytest:

    class TestNote(ActionContract):
        @pytest.fixture
        def case(self, tmp_path: Path) -> ActionCase:
            …
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from drd import process
from drd.actions.settings import StepSettings
from drd.errors import StepFailed
from drd.model.runbook import Step
from drd.ports import Inspector
from drd.ports.action import ActionContext, ActionKind
from drd.ports.by_hand import ByHand
from drd.testing.described import undescribed

VALUES = {
    "plan": "orders",
    "run": "4f2a",
    "point": "7c1e",
    "data_time": "2026-03-01T12:00:00Z",
    "scenario": "database-loss",
    "target": "standby",
}
"""The values of `${…}` in the contract."""


@dataclass
class ActionCase:
    """A step that can be executed here. `effect` returns what it has done so far, as a value that
    can be compared; None for a step that changes nothing, such as a step that only waits. After
    `impossible` was called, the step cannot succeed. `inspectors` has the restored components,
    `directory` is empty, `timeout_s` is the `timeout` of the step.
    """

    kind: ActionKind
    settings: Any
    directory: Path
    effect: Callable[[], object] | None
    impossible: Callable[[], object]
    inspectors: Mapping[str, Inspector] = field(default_factory=dict)
    timeout_s: float | None = None

    @property
    def step(self) -> Step:
        return Step("it", self.kind.name, settings=self.settings, timeout_s=self.timeout_s)

    def done(self) -> object:
        """Return what the step has done so far; None if it changes nothing."""
        return self.effect() if self.effect is not None else None

    def run(self) -> Mapping[str, Any]:
        """Try once, always the same step of the same run, in a recovery."""
        context = ActionContext(
            step=self.step,
            key="4f2a/it",
            value=VALUES.__getitem__,
            environment={"DRD_STEP": "it", "DRD_STEP_KEY": "4f2a/it"},
            inspectors=lambda name: self.inspectors[name],
            directory=self.directory,
            stays=True,
        )
        return self.kind.action.run(context)


class _Shell:
    """See `StepByHand`."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def word(self, text: str) -> str:
        return quote(text)

    def words(self, words: Sequence[str]) -> str:
        return " ".join(map(quote, words))

    def around(self, env: Mapping[str, str], component: str | None = None) -> str:
        del component
        return " ".join(["env", *(f"{name}={quote(value)}" for name, value in env.items())])

    def command(
        self,
        words: Sequence[str],
        env: Mapping[str, str] | None = None,
        component: str | None = None,
    ) -> str:
        return f"{self.around(env or {}, component)} {self.words(words)}"

    def component(self, name: str) -> ByHand | None:
        del name
        return ByHand((), ask="ask", change="change", feed="feed")


class ActionContract:
    """Derive a class whose name begins with `Test`, with a fixture `case`."""

    @pytest.fixture
    def case(self) -> ActionCase:
        raise NotImplementedError("the class lacks a fixture `case`")

    def test_every_key_of_the_settings_has_a_description(self, case: ActionCase) -> None:
        assert case.kind.summary
        assert case.kind.about
        assert undescribed(type(case.settings)) == []

    def test_the_settings_have_no_contradictions(self, case: ActionCase) -> None:
        assert isinstance(case.settings, StepSettings)
        assert list(case.settings.contradictions()) == []
        assert all(words for _, words in case.settings.all_commands())
        assert all(isinstance(text, str) for _, text in case.settings.all_texts())

    def test_preflight_finds_nothing_missing(self, case: ActionCase) -> None:
        assert list(case.kind.action.preflight(case.step)) == []

    def test_run_takes_effect_and_returns_its_results(self, case: ActionCase) -> None:
        before = case.done()
        result = case.run()
        if case.effect is not None:
            assert case.done() != before, (
                "the step ran, and `effect` of the case returns the same as before: let it return "
                "what the step changes, or be None if the step changes nothing"
            )
        assert set(case.kind.gives) <= set(result)
        json.dumps(dict(result))

    def test_a_repeated_run_changes_nothing(self, case: ActionCase) -> None:
        """drd may have died after the effect, before it noted the effect."""
        case.run()
        done = case.done()
        case.run()
        assert case.done() == done

    def test_an_impossible_step_fails(self, case: ActionCase) -> None:
        case.impossible()
        with pytest.raises(StepFailed) as caught:
            case.run()
        assert caught.value.message

    def test_the_step_is_described_in_one_line(self, case: ActionCase) -> None:
        said = case.kind.in_words(case.settings)
        assert said
        assert "\n" not in said

    def test_instructions_by_hand_are_bash(self, case: ActionCase) -> None:
        script = "\n".join(case.kind.by_hand(case.settings, _Shell(case.step)))
        command = process.Command(("bash", "-n"), deadline_s=60.0)
        done = process.run(command, stdin=script.encode())
        assert done.exit_code == 0, done.complaint
