"""The step `command`, and the commands that simulate steps or roll them back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from drd import process
from drd.actions.settings import Rehearsed, Text, Words, named_texts
from drd.errors import DeadlineExceeded, StepFailed
from drd.fields import Placed
from drd.log import masked
from drd.model.down import for_result, of_command
from drd.model.runbook import Step
from drd.model.units import format_duration
from drd.model.values import filled, references
from drd.ports import Finding
from drd.ports.action import WHOLE, ActionContext, ActionKind, StepByHand
from drd.process.background import stop
from drd.process.fence import refused_hint, require_up

TIMEOUT_S = 3600.0
_KEPT = 1 << 16
_OUTPUT = 4000
"""The bytes of the output that later steps can use."""


class CommandSettings(Rehearsed):
    """A command of your own; exit 0 is success. It gets no secret."""

    run: Words = Field(
        description="The program and its arguments, as a list; drd does not use a shell."
    )
    component: str | None = Field(
        None,
        description="The component whose address the command gets in its environment (PGHOST…, "
        "DRD_PATH).",
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables of the command; must not contain secrets.",
    )

    def all_commands(self) -> Iterator[Placed]:
        yield ("run",), self.run

    def all_texts(self) -> Iterator[Text]:
        yield from named_texts("env", self.env)


class CommandAction:
    """Exit 0 is success. The command runs as drd's user, without the additional rights that a unit
    gives to drd; in a drill it runs behind a fence. It gets no secret."""

    def preflight(self, step: Step) -> list[Finding]:
        assert isinstance(step.settings, CommandSettings)
        return [*missing(step.settings.run), *missing_rollback(step)]

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, CommandSettings)
        address = context.inspectors(settings.component).environment if settings.component else {}
        own = {k: filled(v, context.value) for k, v in settings.env.items()}
        words = [filled(w, context.value) for w in settings.run]
        timeout_s = context.step.timeout_s or TIMEOUT_S
        around = {**address, **own}
        done = run_command(words, context, written=settings.run, timeout_s=timeout_s, env=around)
        output = _masked_output(done, context)
        return {"exit": 0, "output": output, **for_result(context.step.effect)}


class SimulationCommand:
    """What a drill runs instead of a step."""

    def preflight(self, step: Step) -> list[Finding]:
        return missing(step.stand_in)

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        words = [filled(w, context.value) for w in context.step.stand_in]
        timeout_s = context.step.timeout_s or TIMEOUT_S
        done = run_command(words, context, written=context.step.stand_in, timeout_s=timeout_s)
        return {"simulated": True, "exit": 0, "output": _masked_output(done, context)}


class RollbackCommand:
    """The command that rolls a step back; what the step has started is ended."""

    def preflight(self, step: Step) -> list[Finding]:
        return missing_rollback(step)

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        undo = context.step.rollback
        if undo is None:
            return {"stopped": stop(context.directory, context.step.name, key=context.key)}
        words = [filled(w, context.value) for w in undo.command]
        done = run_command(words, context, written=undo.command, timeout_s=undo.timeout_s)
        return {"exit": 0, "output": _masked_output(done, context)}


def run_command(
    words: Sequence[str],
    context: ActionContext,
    *,
    timeout_s: float,
    written: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    limit: int = _KEPT,
    fenced: bool = True,
) -> process.Completed:
    """Run a command that must exit with 0; `fenced` in a drill, where it may read the files that
    `written`, its words as the plan has them, names. Raises StepFailed for any other end."""
    title = Path(words[0]).name
    if not is_there(words[0]):
        raise StepFailed(
            f"program {words[0]} is not installed on this host",
            hint="install this program, or correct the command of the step.",
            result={"exit": None, "output": ""},
        )
    command = process.Command(
        tuple(words),
        env={**environment(context), **(env or {})},
        cwd=Path("/"),
        deadline_s=timeout_s,
        drop_capabilities=True,
        fence=context.fence(written) if fenced else None,
    )
    try:
        done = process.run(command, stdin=stdin, limit=limit)
    except DeadlineExceeded as error:
        raise StepFailed(
            f"`{title}` did not finish within {format_duration(timeout_s)}",
            hint="if the command needs more time, give the step a longer `timeout`.",
        ) from error
    except OSError as error:
        raise StepFailed(f"cannot start `{title}`: {error.strerror}") from error
    if command.fence is not None:
        require_up(command.fence, done.exit_code)
    if done.exit_code != 0:
        ended = (
            f"was ended by signal {-done.exit_code}"
            if done.exit_code < 0
            else f"ended with exit code {done.exit_code}"
        )
        raise StepFailed(
            f"`{title}` {ended}{_last_line(done, context)}",
            hint=refused_hint("\n".join(done.says)) if command.fence is not None else "",
            result={"exit": done.exit_code, "output": _masked_output(done, context)},
        )
    return done


def _last_line(done: process.Completed, context: ActionContext) -> str:
    """Return the end of the sentence about a command that failed. If a new secret is expected in
    the output, the sentence does not contain any output."""
    live = context.step.live
    if live is not None and live.new_secret is not None:
        return " (drd does not show its output, because a new secret may be in it)"
    return f": {done.says[-1][:300]}" if done.says else ""


def _masked_output(done: process.Completed, context: ActionContext) -> str:
    """Return the catalogue's version of its output: masked, since people read it. Later steps get
    the original."""
    context.keep("output", done.stdout.strip()[-_OUTPUT:])
    context.keep(WHOLE, done.stdout.strip())
    return masked(done.stdout).strip()[-_OUTPUT:]


def missing(words: Sequence[str]) -> list[Finding]:
    """Return a warning when the program of these words is not on this host."""
    if not words or references(words[0]) or is_there(words[0]):
        return []
    hint = "install this program, or correct the command of the step."
    detail = f"program {words[0]} is not installed on this host"
    return [Finding("program", "warning", "", detail, hint)]


def missing_rollback(step: Step) -> list[Finding]:
    return missing(step.rollback.command) if step.rollback is not None else []


def environment(context: ActionContext) -> dict[str, str]:
    """Return environment variables for every command of a step. In a recovery they do not contain
    the run's mark: processes that the command leaves running belong to the service, and must not be
    ended when the run is resumed later."""
    return {**context.environment, **({"DRD_RUN": ""} if context.stays else {})}


def is_there(program: str) -> bool:
    """Checked beforehand, because the starter of children reports a missing program only by its
    exit code."""
    if "/" in program:
        return os.access(program, os.X_OK) and not Path(program).is_dir()
    return shutil.which(program) is not None


def in_backticks(words: Sequence[str] | None) -> str:
    """Return a command in a sentence, with its empty words."""
    shown = " ".join(word or "''" for word in words or ())
    return f"`{shown}`"


def _by_hand(command: CommandSettings, hand: StepByHand) -> Iterator[str]:
    yield hand.command(command.run, command.env, command.component)


SPEC = ActionKind(
    "command",
    CommandSettings,
    CommandAction(),
    summary="Run a command of your own.",
    about="What to run.",
    gives=("output", "exit"),
    answer="output",
    in_words=lambda command: f"run {in_backticks(command.run)}",
    by_hand=_by_hand,
    effect=lambda command: of_command(command.run),
)
