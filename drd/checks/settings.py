"""The keys that every check has in a plan. Other keys are in the module of each check."""

from __future__ import annotations

from pydantic import Field

from drd.fields import Settings


class CheckSettings(Settings):
    """A kind of check sets the name of `kind`, and its own description of `component`."""

    kind: str
    name: str = Field(min_length=1, max_length=80, description="The name of this check.")
    component: str | None
