"""Tell from the names of dumps which of them are a series: what changes in their names are dates,
times, counters, days of the week and months."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from drd.model.dump_dates import DAYS, MONTHS, Numbered, counts_dumps, dated, is_rotated

NUMBERS = "[0-9]+"
"""For a counter. Each number has its place, since `shop-2-2026-11-28` is another database than
`shop-2026-11-28`."""

_DAY, _MONTH = (re.compile("|".join(f"{d}(day)?" for d in DAYS)), re.compile("|".join(MONTHS)))
_TOKEN = re.compile("[0-9]+|[A-Za-z]+")
_SPECIAL = re.compile(r"[][\\^$.|?*+(){}]")
_YEAR, _OF_MONTH = re.compile(r"(19|20)\d\d"), re.compile(r"0?[1-9]|[12]\d|3[01]")
_WHOLE_DATE = re.compile(r"(19|20)\d\d-?\d\d-?\d\d")

_DATED = re.compile(r"\d{4}-?\d\d-?\d\d|\d{8,}")

_SURELY = 4
"""If a place in the names has at least this many different days or months, they are dates and not
names of databases or people."""

_COUNTS = re.compile(r"[-_.]?\d(?:[-_.:]?(?:\d|[hmsTWZ](?![A-Za-z])))*")


class Series(NamedTuple):
    """What the names of a series have in common: a shell pattern for people, and the exact
    expression, as an extended regular expression of POSIX, and of Python."""

    pattern: str
    expression: str


class _Part(NamedTuple):
    """A piece of a name. `place` is the expression for what may stand there instead, empty for
    what does not change. `is_guess`: it may be a part of what was dumped. `is_rotated`: a number at
    the end, as in `shop.dump.1`."""

    text: str
    place: str = ""
    is_guess: bool = False
    is_rotated: bool = False

    @property
    def is_number(self) -> bool:
        return self.place.startswith("[0-9]")

    @property
    def is_word(self) -> bool:
        return bool(self.place) and not self.is_number


def series_of(
    names: Iterable[str], times: Mapping[str, datetime] | None = None
) -> Mapping[str, Series]:
    """Return the series of each name. Names may have `/`. `times` is when the dumps were finished:
    it shows which numbers without a date are counters."""
    parts = _without_numbers_of_names({name: _parts(name) for name in names}, times or {})
    words: dict[tuple[str, int], set[str]] = {}
    for known in parts.values():
        alike = _alike(known)
        for number, part in enumerate(known):
            if part.is_guess:
                words.setdefault((alike, number), set()).add(part.text.lower()[:3])
    made = {}
    for name, known in parts.items():
        alike = _alike(known)
        surely = [not p.is_guess or len(words[alike, n]) >= _SURELY for n, p in enumerate(known)]
        made[name] = _series(
            part if sure else _Part(part.text) for part, sure in zip(known, surely, strict=True)
        )
    return made


def _without_numbers_of_names(
    names: Mapping[str, list[_Part]], times: Mapping[str, datetime]
) -> dict[str, list[_Part]]:
    """Return the pieces of the names, without a place where a number belongs to the name."""
    groups: dict[str, list[str]] = {}
    for name, known in names.items():
        groups.setdefault(_alike(known), []).append(name)
    made = {name: list(known) for name, known in names.items()}
    for group in groups.values():
        for place, part in enumerate(names[group[0]]):
            if part.is_number:
                for name, counts in _not_dated(names, group, place, times):
                    text = made[name][place].text
                    made[name][place] = _Part(text, NUMBERS) if counts else _Part(text)
    return made


def _not_dated(
    names: Mapping[str, list[_Part]], group: list[str], place: int, times: Mapping[str, datetime]
) -> Iterator[tuple[str, bool]]:
    """Yield the names in which the number at this place is not of a date, and whether it counts
    the dumps."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in group:
        others = (p for n, p in enumerate(names[name]) if n != place)
        if names[name][place].is_guess:
            key = tuple(p.text for p in others if p.is_guess)
            alike.setdefault(key, []).append(name)
    for same in alike.values():
        first = names[same[0]]
        attached = place > 1 and not first[place - 1].text  # to letters, as in `tenant1`
        numbered = [
            Numbered(
                int(names[name][place].text),
                tuple(p.text for p in names[name] if p.place and not p.is_guess),
                times.get(name),
            )
            for name in same
        ]
        rotated = all(names[name][place].is_rotated for name in same)
        counts = not attached and counts_dumps(numbered, rotated=rotated)
        yield from ((name, counts) for name in same)


def base_of(name: str) -> str:
    """Return a name without the numbers, days and months in it; empty if the name contains nothing
    else."""
    fixed = ""
    for part in _parts(name):
        is_word = part.is_word and not part.is_guess
        fixed = fixed.rstrip("-_.") if is_word else fixed + part.text
    return next((b for t in (fixed, name) if (b := _COUNTS.sub("", t).strip("-_."))), "")


def is_dated(name: str) -> bool:
    """Return whether the name of one copy shows that the next one will have another name: the name
    contains a date, a day or a month."""
    return bool(_DATED.search(name)) or any(p.is_word and not p.is_guess for p in _parts(name))


def _series(parts: Iterable[_Part]) -> Series:
    pattern, expression = "", ""
    for part in parts:
        if not part.place:
            pattern += part.text
            expression += exactly(part.text)
        else:
            pattern += _shown(part)
            expression += part.place
    return Series(pattern, expression)


def exactly(text: str) -> str:
    """Return the regular expression that matches exactly a text."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _shown(part: _Part) -> str:
    if part.is_number:
        return "*"
    return "[a-z]*" if part.text.islower() else "[A-Z]*"


def _alike(parts: Iterable[_Part]) -> str:
    return _series(p._replace(place=NUMBERS) if p.is_number else p for p in parts).expression


def _parts(name: str) -> list[_Part]:
    tokens, dates = list(_TOKEN.finditer(name)), dated(name)
    parts, end = [], 0
    for number, token in enumerate(tokens):
        text = token[0]
        parts.append(_Part(name[end : token.start()]))
        place = _place(text)
        if not place:
            parts.append(_Part(text))
        elif _DAY.fullmatch(text.lower()):
            parts.append(_Part(text, place, not _is_day(name, token)))
        elif _MONTH.fullmatch(text.lower()):
            parts.append(_Part(text, place, not _is_month(name, tokens, number)))
        else:
            in_date = any(a <= token.start() < b for a, b in dates)
            rotated = not dates and is_rotated(name, token.start())
            parts.append(_Part(text, _digits(text), not in_date, rotated))
        end = token.end()
    return [*parts, _Part(name[end:])]


def _digits(text: str) -> str:
    """Return the expression for a number of a date: `shop-2.dump` is not of the series
    `shop-20261128.dump`."""
    return "[0-9]{1,2}" if len(text) <= 2 else f"[0-9]{{{len(text)}}}"


def _place(text: str) -> str:
    """Return the expression for what may stand in the place of a number, a day or a month."""
    if text.isdigit():
        return NUMBERS
    word = text.lower()
    cased = {word: str.lower, word.upper(): str.upper, word.capitalize(): str.capitalize}.get(text)
    if cased is None:
        return ""
    if _DAY.fullmatch(word):
        return f"({'|'.join(map(cased, DAYS))})({'DAY' if text.isupper() else 'day'})?"
    return f"({'|'.join(map(cased, MONTHS))})" if _MONTH.fullmatch(word) else ""


def _is_day(name: str, token: re.Match[str]) -> bool:
    """Return whether a word is surely a day: a database may have such a name, as `mon-2026-11-28`
    or `sun-shop`."""
    if name[: token.start()].rpartition("/")[2]:
        return True
    rest = name[token.end() :].partition("/")[0]
    return not rest or (rest.startswith(".") and not re.search("[0-9]", rest))


def _is_month(name: str, tokens: list[re.Match[str]], number: int) -> bool:
    """Return whether a word is surely a month: people have such names, as `home-april`."""
    if _WHOLE_DATE.search(name):
        return False
    token = tokens[number]
    if number and token.start() - tokens[number - 1].end() <= 1:
        before = tokens[number - 1][0]
        if _YEAR.fullmatch(before) or _OF_MONTH.fullmatch(before):
            return True
    after = tokens[number + 1] if number + 1 < len(tokens) else None
    return bool(after and after.start() - token.end() <= 1 and _YEAR.fullmatch(after[0]))
