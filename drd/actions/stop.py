"""The step `stop`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

from pydantic import Field

from drd.actions.command import TIMEOUT_S, in_backticks, missing, missing_rollback, run_command
from drd.actions.settings import Rehearsed, Words
from drd.actions.units import is_absent, nothing_to_stop, unit_findings, unit_state
from drd.fields import Contradiction, Placed
from drd.model.down import NO_EFFECT, Effect, for_result, of_command, of_unit, whole
from drd.model.runbook import Service, Step
from drd.model.values import filled
from drd.ports import Finding
from drd.ports.action import ActionContext, ActionKind, StepByHand
from drd.process.background import stop


class StopSettings(Rehearsed):
    """What to stop: the service that an earlier step started, a unit, or a service that a command
    stops. Give exactly one of the keys."""

    step: str | None = Field(
        None, description="The earlier step that started the service: this step stops that service."
    )
    unit: str | None = Field(None, min_length=1, description="A systemd unit of the host.")
    command: Words | None = Field(
        None, description="A command that stops the service; drd does not use a shell."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if sum(one is not None for one in (self.step, self.unit, self.command)) != 1:
            hint = "give one of `step`, `unit` and `command`."
            yield Contradiction((), "needs exactly one of the keys step, unit and command", hint)

    def all_commands(self) -> Iterator[Placed]:
        if self.command:
            yield ("command",), self.command

    def host_needs(self) -> Iterator[str]:
        if self.unit:
            yield f"systemd unit {self.unit}"


class Stop:
    """Idempotent: a stopped service stays stopped."""

    def preflight(self, step: Step) -> list[Finding]:
        assert isinstance(step.settings, StopSettings)
        words = ["systemctl"] if step.settings.unit else step.settings.command or []
        units = unit_findings(step.settings.unit, starts=False)
        return [*missing(words), *units, *missing_rollback(step)]

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, StopSettings)
        timeout_s = context.step.timeout_s or TIMEOUT_S
        if settings.step is not None:
            key = f"{context.key.rpartition('/')[0]}/{settings.step}"
            return {"stopped": stop(context.directory, settings.step, key=key)}
        if settings.unit is not None:
            if is_absent(settings.unit):
                return {"stopped": True, "down": [], "says": nothing_to_stop(settings.unit)}
            run_command(["systemctl", "stop", "--", settings.unit], context, timeout_s=timeout_s)
        else:
            words = [filled(w, context.value) for w in settings.command or ()]
            written = settings.command or ()
            run_command(words, context, written=written, timeout_s=timeout_s)
        return {"stopped": True, **for_result(context.step.effect)}

    def lasts(self, context: ActionContext) -> bool:
        settings = context.step.settings
        assert isinstance(settings, StopSettings)
        return settings.unit is None or unit_state(settings.unit) != "up"


def _in_words(stop: StopSettings) -> str:
    if stop.step:
        return f"stop the service that {stop.step} started"
    return f"stop {stop.unit or in_backticks(stop.command)}"


def _by_hand(stop: StopSettings, hand: StepByHand) -> Iterator[str]:
    if stop.step is not None:
        yield f'! kill -0 "$(cat {stop.step}.pid)" 2>/dev/null || kill -- "$(cat {stop.step}.pid)"'
    elif stop.unit is not None:
        unit = quote(stop.unit)
        yield f"! systemctl cat {unit} >/dev/null 2>&1 || systemctl stop {unit}"
    else:
        yield hand.command(stop.command or [])


def _service(stop: StopSettings) -> Service:
    return Service("stop", unit=stop.unit, step=stop.step)


def _effect(stop: StopSettings) -> Effect:
    if stop.unit is not None:
        return of_unit("stop", stop.unit)
    if stop.command is None:
        return NO_EFFECT
    known = of_command(stop.command)
    return known if known != NO_EFFECT else Effect(down=(whole(stop.command),))


SPEC = ActionKind(
    "stop",
    StopSettings,
    Stop(),
    summary="Stop a service.",
    about="What to stop.",
    in_words=_in_words,
    by_hand=_by_hand,
    service=_service,
    effect=_effect,
)
