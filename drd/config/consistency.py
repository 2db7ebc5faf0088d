"""The groups of components that belong together in time."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from drd.fields import Duration, Name, Settings
from drd.model.consistency import Group


class ConsistencyGroup(Settings):
    """Components that belong together: drd captures them at the same moment, and measures how far
    apart their data times are."""

    components: list[Name] = Field(
        min_length=1,
        description="Names of at least two components. A component can be in several groups.",
    )
    within: Duration = Field(
        description="The longest time that may be between the earliest and the latest data time of "
        "these components, for example `5s`. A restore point with a longer one is incomplete: "
        "it does not count for the RPO.",
    )


def groups(settings: Iterable[ConsistencyGroup]) -> tuple[Group, ...]:
    return tuple(Group(tuple(one.components), one.within) for one in settings)
