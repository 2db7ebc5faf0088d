"""The step `stop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.actions.command import TIMEOUT_S, carry_out, missing, missing_rollback
from drd.actions.settings import StopSettings
from drd.actions.start import unit_state
from drd.model.runbook import Step
from drd.model.values import filled
from drd.ports import Finding
from drd.ports.action import ActionContext
from drd.process.started import stop


class Stop:
    """What does not run any more has been stopped already."""

    def preflight(self, step: Step) -> list[Finding]:
        assert isinstance(step.settings, StopSettings)
        words = ["systemctl"] if step.settings.unit else step.settings.command or []
        return [*missing(words), *missing_rollback(step)]

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, StopSettings)
        timeout_s = context.step.timeout_s or TIMEOUT_S
        if settings.step is not None:
            key = f"{context.key.rpartition('/')[0]}/{settings.step}"
            return {"stopped": stop(context.directory, settings.step, key=key)}
        if settings.unit is not None:
            carry_out(["systemctl", "stop", "--", settings.unit], context, timeout_s=timeout_s)
        else:
            words = [filled(w, context.value) for w in settings.command or ()]
            written = settings.command or ()
            carry_out(words, context, written=written, timeout_s=timeout_s)
        return {"stopped": True}

    def lasts(self, context: ActionContext) -> bool:
        settings = context.step.settings
        assert isinstance(settings, StopSettings)
        return settings.unit is None or unit_state(settings.unit) != "up"
