"""What every check has in a plan. The rest of a check's keys stands in its own module."""

from __future__ import annotations

from pydantic import Field

from drd.fields import Settings


class CheckSettings(Settings):
    """A kind of check gives `kind` its name, and `component` a description of its own."""

    kind: str
    name: str = Field(min_length=1, max_length=80, description="How people call this check.")
    component: str | None
