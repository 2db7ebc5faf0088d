"""The steps of a runbook by hand: bash for what a machine does, a sentence for what a person
does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote

from drd.actions.settings import StepSettings
from drd.actions.start import StartSettings
from drd.flows.drill.host_loss import HOST_LOSS
from drd.kit.document import Block, Commands, Paragraph
from drd.kit.steps import step_in_words
from drd.model.plan import Plan
from drd.model.runbook import Step, Wait
from drd.model.values import pieces
from drd.ports.by_hand import ByHand
from drd.registry import ACTIONS


def once(step: Step) -> str:
    """Return the name of a step that later runs of a script leave out; empty for the others: a
    start or a stop must hold in each run, and a wait is for a start before it."""
    return "" if step.service is not None or isinstance(step.settings, Wait) else step.name


class StepsByHand:
    """The steps other than restoring and checking, for one target (None: the original places)."""

    def __init__(self, plan: Plan, target: str | None, components: Mapping[str, ByHand]) -> None:
        self.plan = plan
        self.target = target
        self.components = components
        self._unknown: list[str] = []
        self._port: int | None = None

    def begin(self) -> Iterator[Block]:
        """Return the variables that the commands of steps get in their environment."""
        if not any(
            s.rollback or (isinstance(s.settings, StepSettings) and any(s.settings.all_commands()))
            for s in self.plan.runbook
        ):
            return
        yield Paragraph("Set the environment of the runbook's commands:")
        yield Commands(
            f"export DRD_PLAN={quote(self.plan.name)} DRD_TARGET={quote(self.target or 'here')}\n"
            f"export DRD_MODE=recovery DRD_SCENARIO={HOST_LOSS}\n"
            "export DRD_POINT=$(jq -er .point manifest.json)"
            " DRD_DATA_TIME=$(jq -er .data_time manifest.json)\n"
        )

    def step(self, step: Step) -> Iterator[Block]:
        """Return the lines of one step; empty if its condition names other targets or scenarios:
        whoever has only the kit has lost the host.
        """
        when = step.when
        if when is not None and when.targets and self.target not in when.targets:
            return
        if when is not None and when.scenarios and HOST_LOSS not in when.scenarios:
            return
        self._unknown = []
        self._port = step.service.port if step.service is not None else None
        lines = list(self._lines(step))
        does = step_in_words(self.plan, step).replace("${target}", self.target or "here")
        said = f"{step.name}: {does}."
        if self._unknown:
            names = ", ".join(f"${{{name}}}" for name in dict.fromkeys(self._unknown))
            said += f" Replace {names} by the real value:"
        yield Paragraph(said, waits=bool(self._unknown) or not lines)
        if lines:
            yield Commands("\n".join(lines) + "\n", shown=bool(self._unknown))

    def _lines(self, step: Step) -> Iterable[str]:
        if isinstance(step.settings, Wait):
            return [f"sleep {step.settings.seconds:g}"]
        if step.kind not in ACTIONS:
            return []
        return ACTIONS[step.kind].by_hand(step.settings, _OneStep(step, self))

    def environment(self, step: Step, env: Mapping[str, str], component: str | None = None) -> str:
        """See `StepByHand.around`."""
        variables = [f"DRD_STEP={step.name}", f"DRD_STEP_KEY=by-hand/{step.name}"]
        if component is not None and component in self.components:
            variables.append(self.components[component].environment)
        variables += [f"{name}={self.word(value)}" for name, value in env.items()]
        return " ".join(w for w in ["env", *variables] if w)

    def word(self, text: str) -> str:
        """Return one word for bash, with its values filled in; unknown values stay."""
        words = []
        for reference, piece in pieces(text):
            value = self._value(piece) if reference else quote(piece)
            if value is None:
                self._unknown.append(piece)
                value = quote(f"${{{piece}}}")
            words.append(value)
        return "".join(words) or "''"

    def _value(self, name: str) -> str | None:
        """Return the value of the reference, as a part of a word."""
        plain = {
            "plan": quote(self.plan.name),
            "run": "by-hand",
            "point": '"$DRD_POINT"',
            "data_time": '"$DRD_DATA_TIME"',
            "scenario": '"$DRD_SCENARIO"',
            "target": quote(self.target or "here"),
        }
        if name in plain:
            return plain[name]
        if name == "port" and self._port is not None:
            return str(self._port)
        head, _, rest = name.removeprefix("target.").partition(".")
        if head in self.components:
            return self.components[head].values.get(rest or "location")
        return self._started(head, rest)

    def _started(self, head: str, rest: str) -> str | None:
        """The address of what another step has started."""
        for step in self.plan.runbook:
            start = step.settings
            if not isinstance(start, StartSettings):
                continue
            if (head, rest) == ("steps", f"{step.name}.port") and start.port is not None:
                return str(start.port)
            if start.known_as == head or (head, rest) == ("steps", f"{step.name}.url"):
                kept, self._port = self._port, start.port
                address = self.word(start.address) if start.address else None
                self._port = kept
                return address
        return None


class _OneStep:
    """See `StepByHand`."""

    def __init__(self, step: Step, all_steps: StepsByHand) -> None:
        self.step = step
        self._all = all_steps

    def word(self, text: str) -> str:
        return self._all.word(text)

    def words(self, words: Sequence[str]) -> str:
        return " ".join(map(self.word, words))

    def around(self, env: Mapping[str, str], component: str | None = None) -> str:
        return self._all.environment(self.step, env, component)

    def command(
        self,
        words: Sequence[str],
        env: Mapping[str, str] | None = None,
        component: str | None = None,
    ) -> str:
        return f"{self.around(env or {}, component)} {self.words(words)}"

    def component(self, name: str) -> ByHand | None:
        return self._all.components.get(name)
