"""The control `unchanged`: a component is still as it was when a person last accepted it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drd.controls.settings import ControlSettings
from drd.fields import Name
from drd.model.controls import ControlResult, ControlSpec
from drd.model.text import some
from drd.ports.control import ControlContext, ControlKind


class UnchangedControl(ControlSettings):
    """Configuration that nobody may change unnoticed: the policy of a gateway, for example. A
    backup does not accept a change: a person does, with `drd plan controls PLAN --accept NAME`."""

    kind: Literal["unchanged"]
    component: Name = Field(
        description="The component. drd compares it with the restore point of the last check that "
        "passed; the first check uses the newest restore point."
    )


class Unchanged:
    """The control holds if nothing differs."""

    def run(self, spec: ControlSpec, context: ControlContext) -> ControlResult:
        settings = spec.settings
        assert isinstance(settings, UnchangedControl)
        changes = context.changes(settings.component)
        expected = f"component {settings.component} as in restore point {changes.point}"
        if not changes.words:
            return ControlResult(True, "nothing differs", expected, reference=changes.newest)
        remedy = (
            f"drd diff {context.plan} --component {settings.component} --point {changes.point}\n"
            f"drd plan controls {context.plan} --accept {spec.name}"
        )
        observed = f"it differs: {some(changes.words)}"
        return ControlResult(False, observed, expected, remedy, reference=changes.point)


SPEC = ControlKind("unchanged", UnchangedControl, Unchanged())
