"""When a started service counts as ready, and the wait for that."""

from __future__ import annotations

import time
from collections.abc import Callable
from shlex import quote
from typing import Any

from pydantic import Field

from drd import process
from drd.actions.command import run_command
from drd.actions.http import ask
from drd.actions.launch import require_fence_up
from drd.actions.settings import Words
from drd.actions.units import has_ended
from drd.errors import StepFailed
from drd.fields import Duration, Settings
from drd.model.units import format_duration
from drd.model.values import filled
from drd.ports.action import ActionContext
from drd.process.background import BackgroundProgram
from drd.process.fence import refused_hint
from drd.process.listeners import last_line, require_own

_LOOK_S = 0.2
_SETTLE_S = 0.3
"""A program without `ready` that ends within this many seconds did not start."""
_SETTLE_UNIT_S = 2.0
"""The same of a unit."""


class Ready(Settings):
    """When a started service counts as ready."""

    http: str | None = Field(
        None,
        min_length=1,
        description="A URL that answers with a status of 200 to 299 when the service is ready; "
        "`/health` is relative to the step's `url`.",
    )
    command: Words | None = Field(
        None,
        description="A command that exits with 0 when the service is ready; drd does not "
        "use a shell.",
    )
    within: Duration = Field(60.0, description="How long the service may take to become ready.")


def until_ready(
    ready: Ready | None, context: ActionContext, started: BackgroundProgram, *, unit: str = ""
) -> None:
    """Wait until the program, or the unit, is ready; without a `Ready`, whether it keeps running.
    Raises StepFailed."""
    if ready is None:
        if unit:
            _refuse_ended(unit)
        else:
            time.sleep(_SETTLE_S)
            _refuse_dead(context, started)
        return
    limit = time.monotonic() + ready.within
    while True:
        process.check_cancelled()
        if not unit:
            _refuse_dead(context, started)
        why = _not_ready(ready, context, started, max(0.5, limit - time.monotonic()))
        if why is None:
            if not unit:
                _refuse_dead(context, started)
                _refuse_others(context, started)
            return
        if time.monotonic() > limit:
            raise StepFailed(
                f"{unit or context.step.name} was not ready within "
                f"{format_duration(ready.within)}: {why}",
                hint=_last_line(context)
                or "raise `within` under `ready` if the service needs longer to start.",
            )
        time.sleep(_LOOK_S)


def _not_ready(
    ready: Ready, context: ActionContext, started: BackgroundProgram, left_s: float
) -> str | None:
    """Say why the service is not ready yet; None if it is."""
    value = with_port(context, started.port)
    try:
        if ready.http is not None:
            url = filled(ready.http, value)
            whole = f"{started.url}{url}" if url.startswith("/") else url
            status, _ = ask(whole, timeout_s=min(5.0, left_s))
            if not 200 <= status <= 299:
                return f"{whole} answers {status}"
        if ready.command is not None:
            words = [filled(w, value) for w in ready.command]
            run_command(words, context, written=ready.command, timeout_s=left_s)
    except StepFailed as error:
        return error.message
    return None


def _refuse_dead(context: ActionContext, started: BackgroundProgram) -> None:
    if not started.is_alive():
        require_fence_up(started.pid)
        said = _last_line(context)
        raise StepFailed(
            f"the program of step {context.step.name} ended right after its start"
            + (f": {said}" if said else ""),
            hint=(refused_hint(said) if context.rehearsing else "")
            or "the command of a start step must stay in the foreground. To see its output, run "
            "the command by hand.",
        )


def _refuse_ended(unit: str) -> None:
    how = has_ended(unit, _SETTLE_UNIT_S)
    if how is not None:
        raise StepFailed(how, hint=why_not_started(unit))


def _refuse_others(context: ActionContext, started: BackgroundProgram) -> None:
    """Refuse the answers of another user's program, where drd has chosen the port: the program has
    the user of the drill.
    """
    if started.port is None or not context.rehearsing:
        return
    what = f"the service of {context.step.name}"
    require_own(started.port, started.pid, what, StepFailed)


def why_not_started(unit: str) -> str:
    """Return the remedy for a unit that has not started."""
    return (
        f"to see why: `journalctl -u {quote(unit)} -n 20`. Before another start: `systemctl "
        f"reset-failed {quote(unit)}`"
    )


def with_port(context: ActionContext, port: int | None) -> Callable[[str], Any]:
    """Return the values for the texts of the step, with `${port}` among them."""

    def value(name: str) -> str:
        return str(port) if name == "port" and port is not None else context.value(name)

    return value


def _last_line(context: ActionContext) -> str:
    return last_line(context.directory / f"{context.step.name}.log")
