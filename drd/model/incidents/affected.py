"""The people whose data an incident affects: how many, where they live, and how drd knows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from drd.model.inventory import DataSet
from drd.model.text import escaped
from drd.model.units import from_rfc3339, to_rfc3339


class Known(StrEnum):
    """How the number of people is known."""

    COUNTED = "counted"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Affected:
    """The people of one data set of a plan. `people` is None if nobody knows the number; then the
    worst case counts. `residents` are codes of countries and states, each with a number or None. If
    the number was counted, `point` is the restore point in which drd counted, and `data_time` its
    data time. `why` says why drd could not count, or what of the count is doubtful.
    """

    plan: str
    what: str
    known: Known
    people: int | None = None
    residents: tuple[tuple[str, int | None], ...] = ()
    categories: tuple[str, ...] = ()
    special: bool = False
    encrypted: bool | None = None
    point: str = ""
    data_time: datetime | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        return {
            "plan": self.plan,
            "what": self.what,
            "known": self.known.value,
            "people": self.people,
            "residents": dict(self.residents),
            "categories": list(self.categories),
            "special": self.special,
            "encrypted": self.encrypted,
            "point": self.point,
            "data_time": to_rfc3339(self.data_time) if self.data_time is not None else None,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Affected:
        """Read from an entry. Raises KeyError, TypeError, ValueError for what drd never writes."""
        at = data.get("data_time")
        return cls(
            str(data["plan"]),
            str(data["what"]),
            Known(data["known"]),
            _count(data.get("people")),
            tuple(
                (str(k), int(v) if v is not None else None) for k, v in data["residents"].items()
            ),
            tuple(map(str, data.get("categories", ()))),
            bool(data.get("special")),
            data.get("encrypted"),
            str(data.get("point") or ""),
            from_rfc3339(at) if at else None,
            str(data.get("why") or ""),
        )

    def corrects(self, data: DataSet) -> DataSet:
        """Return the data set with the numbers that drd has counted; as it is if drd has not."""
        if self.known is not Known.COUNTED:
            return data
        return replace(data, people=self.people, residents=self.residents)

    def words(self) -> str:
        """Return the number in words: `5,000 people (counted)`."""
        if self.people is None:
            return "unknown number of people"
        number = f"{self.people:,} {'person' if self.people == 1 else 'people'}"
        return f"{number} ({self.known})"


def _count(value: Any) -> int | None:
    return int(value) if value is not None else None


def declared(plan: str, data: DataSet, why: str = "") -> Affected:
    """Return the number of people that the plan declares for a data set. `why` is the reason why
    drd did not count them."""
    known = Known.UNKNOWN if data.people is None else Known.ESTIMATED
    return Affected(
        plan,
        data.what,
        known,
        data.people,
        data.residents,
        data.categories,
        data.special,
        data.encrypted,
        why=why,
    )


def details(one: Affected) -> str:
    """Return the kind of the data: `; addresses, special category`."""
    details = [*one.categories] + ["special category"] * one.special
    details += ["encrypted"] * (one.encrypted is True)
    return f"; {', '.join(map(escaped, details))}" if details else ""


def unplaced(people: int | None, residents: Collection[tuple[str, int | None]]) -> int | None:
    """Return how many people live where nobody knows; None if even that is unknown. A place without
    a number can be where all others live."""
    if not residents:
        return people
    numbers = [number for _, number in residents]
    if people is None or None in numbers:
        return 0
    return max(people - sum(filter(None, numbers)), 0)


def resident_words(resident: tuple[str, int | None]) -> str:
    """Return where people live, and how many of them: `DE 4,400`."""
    code, number = resident
    return escaped(code) if number is None else f"{escaped(code)} {number:,}"
