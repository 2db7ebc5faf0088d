"""Conditions on what is known about an incident: `people >= 500`, `entity in bank, insurer`.

The result is true, false, or None: not known. Law has both `people >= 500` (500 or more) and
`people > 500` (more than 500); nothing here rounds one to the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from drd.model.incidents.instants import Instant
from drd.model.malformed import Malformed
from drd.model.obligations.anchors import ID, Anchor, Source

Fact = int | bool | str | None
Facts = Mapping[str, Fact]

PEOPLE = "people"
RECORDS = "records"
PLACE_OF_HOLIDAYS = "member_state"
"""The place whose holidays count, where a regime leaves it to the organisation."""
RESIDENTS = "residents."
"""The beginning of facts that count the residents of a State or country: `residents.US-CA`."""
UNKNOWN_RESIDENCE = "residents.unknown"
"""The number of people of whom nobody knows where they live: they may all live in one place."""
ANY_STATE = "residents.*"
"""The largest of these counts."""
PERSONAL_DATA = "personal_data"
_IN_STATES = RESIDENTS + "US"
"""Residents of a country whose States have laws of their own, and whose State nobody knows."""

_NAME = r"[a-z_]+(?:\.(?:[A-Z]{2}(?:-[A-Z0-9]{1,3})?|\*))?"
_COUNTED = re.compile(rf"({_NAME}) *(>=|<=|>|<) *(\d+)")
_WORD = re.compile(rf"({_NAME}) *(=|!=) *([a-z0-9-]+)")
_AMONG = re.compile(rf"({_NAME}) +in +([a-z0-9-]+(?: *, *[a-z0-9-]+)*)")
_FLAG = re.compile(rf"(not +)?({_NAME})")
_SUBMITTED = re.compile(rf"submitted\({ID}\)")
_IN_TIME = re.compile(rf"([a-z_]+) *<= *(due\({ID}\))")

FORMS = "people >= 500, entity in a, b, risk = high, encrypted, not encrypted, submitted(ID)"

_MANY = 10**12

_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
}


class View(Protocol):
    """The values that conditions need about an incident."""

    @property
    def facts(self) -> Facts: ...

    def time_of(self, anchor: Anchor) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as it was written; `fact` is the name of the fact that it needs."""

    text: str
    fact: str
    operator: str
    words: tuple[str, ...] = ()
    number: int = 0
    anchors: tuple[Anchor, ...] = ()

    @property
    def is_count(self) -> bool:
        """Whether the condition compares a number; while the number is missing, the worst case is
        assumed."""
        return self.operator in _ORDER

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition. Raises Malformed."""
        if match := _COUNTED.fullmatch(text):
            return cls(text, match[1], match[2], number=int(match[3]))
        if _SUBMITTED.fullmatch(text):
            return cls(text, "", "submitted", anchors=(Anchor.parse(text),))
        if (match := _IN_TIME.fullmatch(text)) and match[1] in set(Instant):
            both = Anchor(Source.INSTANT, match[1]), Anchor.parse(match[2])
            return cls(text, "", "in time", anchors=both)
        if match := _AMONG.fullmatch(text):
            words = tuple(word.strip() for word in match[2].split(","))
            return cls(text, match[1], "in", words)
        if match := _WORD.fullmatch(text):
            return cls(text, match[1], match[2], (match[3],))
        if match := _FLAG.fullmatch(text):
            return cls(text, match[2], "not" if match[1] else "is")
        raise Malformed(f'"{text}" is not a condition', f"write a condition like {FORMS}")

    def holds(self, view: View) -> bool | None:
        """Whether the condition holds; None while a fact that it needs is missing."""
        if self.operator == "submitted":
            return view.time_of(self.anchors[0]) is not None
        if self.operator == "in time":
            at, limit = map(view.time_of, self.anchors)
            return at is not None and limit is not None and at <= limit
        if self.is_count:
            return self._compared(view.facts)
        value = view.facts.get(self.fact)
        if value is None:
            return None
        if self.operator in ("is", "not"):
            # Another value may mean anything, and must not make a duty disappear.
            return value is (self.operator == "is") if isinstance(value, bool) else None
        given = {word.strip() for word in str(value).split(",")}
        return given.isdisjoint(self.words) is (self.operator == "!=")

    def _compared(self, facts: Facts) -> bool | None:
        compare = _ORDER[self.operator]
        if self.fact == ANY_STATE:
            return _in_any_state(facts, lambda count: compare(count, self.number))
        name = self.fact
        count = _number(facts.get(name))
        if count is None:
            return self._within_all(facts) if name.startswith(RESIDENTS) else None
        holds = compare(count, self.number)
        more = sum(_most(facts, other) for other in elsewhere(name) if other in facts)
        return None if compare(count + more, self.number) is not holds else holds

    def _within_all(self, facts: Facts) -> bool | None:
        """Return whether the condition holds, if that is the same for every number of residents
        from none to all people; else None."""
        people = _number(facts.get(PEOPLE))
        if people is None:
            return None
        compare = _ORDER[self.operator]
        holds = compare(0, self.number)
        return holds if compare(people, self.number) is holds else None


def elsewhere(name: str) -> tuple[str, ...]:
    """Return the facts with the numbers of people who may be residents of the place of this fact as
    well, because nobody knows better: for a State, also those of its country without a State."""
    if not name.startswith(RESIDENTS):
        return ()
    country, dash, _ = name.partition("-")
    return (UNKNOWN_RESIDENCE, country) if dash else (UNKNOWN_RESIDENCE,)


def _most(facts: Facts, name: str) -> int:
    """Return the largest number that the fact can be: without a number, all people."""
    number = _number(facts.get(name))
    people = _number(facts.get(PEOPLE))
    return number if number is not None else _MANY if people is None else people


def _in_any_state(facts: Facts, holds: Callable[[int], bool]) -> bool | None:
    """Whether the condition holds for the residents of one State. No State has more than all
    people, and those whose State is not known may all live in one."""
    named = {k: v for k, v in facts.items() if k not in (UNKNOWN_RESIDENCE, _IN_STATES)}
    counts = (_number(v) for k, v in named.items() if k.startswith(RESIDENTS))
    known = [count for count in counts if count is not None]
    if any(map(holds, known)):
        return True
    people = _number(facts.get(PEOPLE))
    if people is None:
        return None
    rest = max(0, people - sum(known))
    return None if holds(rest + max(known, default=0)) else False


def _number(value: Fact) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def every(conditions: tuple[Condition, ...], view: View) -> bool | None:
    """Return whether all conditions hold: False as soon as one does not, else None while one is
    unknown."""
    results = [condition.holds(view) for condition in conditions]
    if False in results:
        return False
    return None if None in results else True


def none_of(conditions: tuple[Condition, ...], view: View) -> bool | None:
    """Return whether no condition holds; None while this is unknown."""
    results = [condition.holds(view) for condition in conditions]
    if True in results:
        return False
    return None if None in results else True


def both(one: bool | None, other: bool | None) -> bool | None:
    """Return whether both are True; None stands for an unknown value."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True
