"""The control `unchanged`: a component is still as the newest restore point has it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drd.controls.settings import ControlSettings
from drd.fields import Name
from drd.model.controls import ControlResult, ControlSpec
from drd.model.text import some
from drd.ports.control import ControlContext, ControlKind


class UnchangedControl(ControlSettings):
    """Configuration that nobody changes without a backup: the policy of a gateway, for example."""

    kind: Literal["unchanged"]
    component: Name = Field(description="The component that drd compares with the newest point.")


class Unchanged:
    """Holds if nothing differs."""

    def run(self, spec: ControlSpec, context: ControlContext) -> ControlResult:
        settings = spec.settings
        assert isinstance(settings, UnchangedControl)
        differs, point = context.changes(settings.component)
        expected = f"component {settings.component} as in restore point {point}"
        if differs:
            remedy = (
                f"find out who changed it: drd diff {context.plan} --component "
                f"{settings.component} --point {point}"
            )
            return ControlResult(False, f"it differs: {some(differs)}", expected, remedy)
        return ControlResult(True, "nothing differs", expected)


SPEC = ControlKind("unchanged", UnchangedControl, Unchanged())
