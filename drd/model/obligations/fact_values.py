"""The facts that regimes ask for, and which values each can have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass

from drd.model.malformed import Malformed
from drd.model.nearest import closest
from drd.model.obligations.conditions import (
    ANY_STATE,
    PEOPLE,
    PLACE_OF_HOLIDAYS,
    RECORDS,
    RESIDENTS,
    UNKNOWN_RESIDENCE,
    Condition,
    Fact,
)
from drd.model.obligations.regime import Regime
from drd.model.text import some

_CODE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_PLACE = re.compile(re.escape(RESIDENTS) + _CODE.pattern)


@dataclass(frozen=True, slots=True)
class Asked:
    """How conditions ask for a fact: for a number, for yes or no, or for one of some words."""

    counts: bool = False
    flag: bool = False
    words: frozenset[str] = frozenset()


def asked_for(regimes: Iterable[Regime]) -> dict[str, Asked]:
    """Return the facts that the regimes and the drafts of their reports ask for."""
    asked = {PEOPLE: Asked(counts=True), RECORDS: Asked(counts=True), PLACE_OF_HOLIDAYS: Asked()}
    for condition in (c for regime in regimes for c in _conditions(regime)):
        if not condition.fact:
            continue
        before = asked.get(condition.fact, Asked())
        asked[condition.fact] = Asked(
            before.counts or condition.is_count,
            before.flag or condition.operator in ("is", "not"),
            before.words | set(condition.words),
        )
    return asked


def _conditions(value: object) -> Iterator[Condition]:
    if isinstance(value, Condition):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _conditions(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _conditions(getattr(value, each.name))


def require_fact(name: str, value: Fact, known: dict[str, Asked]) -> None:
    """Raise Malformed for a fact that no regime asks for, and for a value that it cannot have: a
    wrong one would make a duty disappear.
    """
    asked = known.get(name)
    if _PLACE.fullmatch(name) or name == UNKNOWN_RESIDENCE:
        asked = Asked(counts=True)
    if asked is None or name == ANY_STATE:
        near = closest(name, [n for n in known if n != ANY_STATE])
        if name.startswith("resident"):
            remedy = f"write {RESIDENTS}DE, with the code of a country or state"
        else:
            remedy = f"did you mean {near}?" if near else f"known: {some(sorted(known), 40)}"
        raise Malformed(f"no regime uses the fact {name}", remedy)
    if value is None:
        return
    if name == PLACE_OF_HOLIDAYS and not (isinstance(value, str) and _CODE.fullmatch(value)):
        remedy = f"write {name}=FR, with the code of a country or a part of one, or {name}=unknown"
        raise Malformed(f"{name} is a place, not {value}", remedy)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if asked.counts and not is_number:
        raise Malformed(f"{name} is a number, not {value}", f"write {name}=5000 or {name}=unknown")
    if asked.flag and not asked.words and not isinstance(value, bool):
        remedy = f"write {name}=true, {name}=false or {name}=unknown"
        raise Malformed(f"{name} is true or false, not {value}", remedy)
    if asked.words and not asked.flag and not isinstance(value, str):
        remedy = f"write one of: {some(sorted(asked.words), 20)}; or {name}=unknown"
        raise Malformed(f"{name} is a word, not {value}", remedy)


def unusual(name: str, value: Fact, known: dict[str, Asked]) -> str:
    """Return a warning for a word that no regime asks for; empty if there is none."""
    words = known.get(name, Asked()).words
    strange = [w for w in str(value).split(",") if w.strip() not in words] if words else []
    if not isinstance(value, str) or not strange:
        return ""
    return (
        f"no regime depends on {name}={', '.join(strange)}; known words: {some(sorted(words), 20)}"
    )
