"""The step `await_file`: wait until a file exists on this host."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import Field

from drd import process
from drd.actions.settings import Rehearsed
from drd.errors import StepFailed
from drd.fields import AbsolutePath
from drd.model.finding import Finding
from drd.model.runbook import Step
from drd.model.units import format_duration
from drd.ports.action import ActionContext, ActionKind, StepByHand

_USUAL_S = 60.0
_PAUSE_S = 0.2


class AwaitFileSettings(Rehearsed):
    """A file to wait for."""

    file: AbsolutePath = Field(description="The file.")


class AwaitFile:
    """Changes nothing, so that drd may repeat it."""

    def preflight(self, step: Step) -> list[Finding]:
        return []

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, AwaitFileSettings)
        within = context.step.timeout_s or _USUAL_S
        limit = time.monotonic() + within
        while not Path(settings.file).exists():
            process.check_cancelled()
            if time.monotonic() > limit:
                raise StepFailed(
                    f"{settings.file} did not appear within {format_duration(within)}",
                    hint="check the service that writes it, or raise `timeout` of the step.",
                )
            time.sleep(_PAUSE_S)
        return {"says": f"{settings.file} exists"}


def _by_hand(wait: AwaitFileSettings, _: StepByHand) -> Iterator[str]:
    yield f"until test -e {quote(wait.file)}; do sleep 1; done"


SPEC = ActionKind(
    "await_file",
    AwaitFileSettings,
    AwaitFile(),
    summary="Wait until a file exists.",
    about="The file.",
    in_words=lambda wait: f"wait until {wait.file} exists",
    by_hand=_by_hand,
    frees_ports=False,
)
