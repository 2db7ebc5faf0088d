"""What a person should check about regimes because law changes: old sources, rules that begin soon,
places without a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from drd.model.finding import Finding
from drd.model.obligations.calendars import MEMBER_STATE, Calendars
from drd.model.obligations.places import without_file
from drd.model.obligations.regime import Regime, Status
from drd.model.obligations.rules import Choice, Period, Rule
from drd.model.text import counted, some

STALE_DAYS = 180
AHEAD_DAYS = 60


def findings(
    known: Mapping[str, Regime], jurisdictions: Iterable[str], today: date
) -> Iterator[Finding]:
    """Yield what a person should check. All shipped files that are too old are one finding."""
    live = [r for r in known.values() if r.status not in (Status.REPEALED, Status.TEMPLATE)]
    for regime in (regime for regime in live if regime.checked > today):
        yield Finding(
            "regime-source",
            "warning",
            regime.id,
            f"its source was checked on {regime.checked}, which is in the future",
            f"correct `checked` in {regime.file}",
        )
    stale = [regime for regime in live if (today - regime.checked).days > STALE_DAYS]
    for regime in (regime for regime in stale if regime.own):
        yield Finding(
            "regime-source",
            "warning",
            regime.id,
            f"its source was last checked on {regime.checked}, more than {STALE_DAYS} days ago",
            f"read {regime.sources[0].cite}, and write the day to `checked` in {regime.file}",
        )
    shipped = [regime for regime in stale if not regime.own]
    if shipped:
        oldest = min(regime.checked for regime in shipped)
        yield Finding(
            "regime-source",
            "warning",
            "",
            f"the sources of {counted(len(shipped), 'regime')} of drd were last checked more than "
            f"{STALE_DAYS} days ago, the oldest on {oldest}: {some([r.id for r in shipped])}",
            "upgrade drd. Or read the sources (drd obligations show ID), and write files of your "
            "own that extend these regimes",
        )
    yield from _beginning(live, today)
    for place in without_file(jurisdictions, {r.jurisdiction for r in live}):
        yield Finding(
            "regime-missing",
            "warning",
            place,
            "drd.yaml names this place, but drd has no regime for it. So drd does not "
            "calculate deadlines of the law of this place",
            "ask your counsel which reports this law requires, and write a file for each: "
            "docs/obligations.md",
        )


def _beginning(live: Iterable[Regime], today: date) -> Iterator[Finding]:
    for regime in live:
        begins = regime.applies_from
        if begins is not None and 0 < (begins - today).days <= AHEAD_DAYS:
            yield Finding(
                "regime-begins",
                "warning",
                regime.id,
                f"it applies from {begins}, in {counted((begins - today).days, 'day')}",
                f"to see what this regime requires: drd obligations show {regime.id}",
            )


def unknown_calendars(regime: Regime, calendars: Calendars) -> list[str]:
    """Return the calendars that a regime names and that do not exist: without their holidays its
    business days end too early."""
    named = list(_calendars(regime.rule))
    named += [regime.relief.calendar] if regime.relief is not None else []
    return [n for n in dict.fromkeys(named) if n != MEMBER_STATE and not calendars.has(n)]


def _calendars(rule: Rule | None) -> Iterator[str]:
    if isinstance(rule, Choice):
        for each in rule.rules:
            yield from _calendars(each)
    elif isinstance(rule, Period) and rule.calendar:
        yield rule.calendar
