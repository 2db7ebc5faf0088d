"""How far apart the data times of components are that belong together. Pure.

`drd status` reads it in a cold start, so it imports the standard library and texts alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from drd.model.units import format_duration
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TO_THE_MS = 60.0
"""Up to so many seconds, a spread is shown with its milliseconds: `5.0s` must not look like the
limit `5s` that it missed."""


class Group(NamedTuple):
    """Components of a plan whose data times may differ by at most `within_s`."""

    components: tuple[str, ...]
    within_s: float


class Spread(NamedTuple):
    """The time between the earliest and the latest data time of a group, in one restore point.

    `spread_s` is None if the point does not have every component of the group: nobody knows then
    whether they fit together."""

    components: tuple[str, ...]
    within_s: float
    spread_s: float | None

    @property
    def too_wide(self) -> bool:
        return self.spread_s is not None and self.spread_s > self.within_s

    @property
    def names(self) -> str:
        return ", ".join(self.components)

    @property
    def observed(self) -> str:
        """`data times 0.214s apart`; for a group that was not measured, why."""
        if self.spread_s is None:
            return "not measured, because the restore point does not have all these components"
        return f"data times {apart(self.spread_s)} apart"

    @property
    def limit(self) -> str:
        if self.within_s < 1:
            return f"at most {self.within_s:.6f}".rstrip("0") + "s"
        return f"at most {format_duration(self.within_s)}"

    @property
    def words(self) -> str:
        """`data times 7.214s apart, at most 5s allowed`."""
        if self.spread_s is None:
            return self.observed
        return f"{self.observed}, {self.limit} allowed"

    def remedy(self, plan: str) -> str:
        """Say what to do about a spread that is too wide."""
        return (
            f"make a new restore point when the host has less to do: drd backup {plan}. If this "
            f"happens again, raise `within` of {self.names} under `consistency` in the plan"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "components": list(self.components),
            "within_s": self.within_s,
            "spread_s": self.spread_s,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spread:
        """Raises LookupError, TypeError or ValueError for what drd never writes."""
        spread = data["spread_s"]
        return cls(
            tuple(str(name) for name in data["components"]),
            float(data["within_s"]),
            None if spread is None else float(spread),
        )


def apart(seconds: float) -> str:
    """Format a spread: `0.214s`, `1m 05s`."""
    if seconds < _TO_THE_MS:
        return f"{seconds:.3f}s"
    return format_duration(seconds)


def measured(
    groups: Iterable[Group], data_times: Mapping[str, datetime | None]
) -> tuple[Spread, ...]:
    """Return the spread of each group in a point with these data times, by component."""
    return tuple(
        Spread(group.components, group.within_s, _between(group.components, data_times))
        for group in groups
    )


def _between(names: Sequence[str], data_times: Mapping[str, datetime | None]) -> float | None:
    times = [at for name in names if (at := data_times.get(name)) is not None]
    if len(times) < len(names):
        return None
    return round((max(times) - min(times)).total_seconds(), 3)


def too_wide(spreads: Iterable[Spread]) -> list[Spread]:
    return [spread for spread in spreads if spread.too_wide]


def together(groups: Iterable[Group], chosen: Collection[str]) -> list[frozenset[str]]:
    """Return the sets of chosen components that begin at the same moment: groups that share a
    component are one set."""
    sets: list[frozenset[str]] = []
    for group in groups:
        names = frozenset(group.components)
        joined = [one for one in sets if one & names]
        sets = [one for one in sets if not one & names]
        sets.append(names.union(*joined))
    chosen_sets = (one.intersection(chosen) for one in sets)
    return [one for one in chosen_sets if len(one) > 1]
