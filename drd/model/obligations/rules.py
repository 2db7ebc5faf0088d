"""The rules by which a deadline follows from what is known about an incident."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from drd.model.obligations import arithmetic
from drd.model.obligations.anchors import Anchor
from drd.model.obligations.arithmetic import Ends
from drd.model.obligations.calendars import MEMBER_STATE, BusinessDays, Calendars
from drd.model.obligations.conditions import (
    PLACE_OF_HOLIDAYS,
    Condition,
    Facts,
    both,
    every,
    none_of,
)


class Unit(StrEnum):
    HOURS = "hours"
    DAYS = "days"
    MONTHS = "months"
    BUSINESS_DAYS = "business_days"
    DAYS_AFTER_YEAR_END = "days_after_year_end"


@dataclass(frozen=True, slots=True)
class When:
    """On which facts a rule depends."""

    needs: tuple[Condition, ...] = ()
    excludes: tuple[Condition, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self.needs + self.excludes


@dataclass(frozen=True, slots=True)
class Period:
    """So many of a unit from an anchor: the first known of several, or the `latest` known.

    `calendar` and `until` are for business days. The period does not count if it has ended before
    `lapses_before`: 24 hours from awareness, once an incident was classified later."""

    amount: int
    unit: Unit
    anchors: tuple[Anchor, ...]
    latest: bool = False
    calendar: str = ""
    until: time | None = None
    lapses_before: Anchor | None = None
    when: When = field(default_factory=When)


@dataclass(frozen=True, slots=True)
class NoNumber:
    """A duty without undue delay: no time by law, perhaps a target of one's own."""

    anchors: tuple[Anchor, ...]
    target_s: float | None = None
    when: When = field(default_factory=When)


@dataclass(frozen=True, slots=True)
class Choice:
    """The earliest or the latest of several rules, or the first whose conditions hold."""

    of: Literal["earliest", "latest", "first"]
    rules: tuple[Rule, ...]
    when: When = field(default_factory=When)


Rule = Period | NoNumber | Choice


@dataclass(frozen=True, slots=True)
class Relief:
    """A later due time that a rule allows, with the citation that allows it: a time limit that ends
    on no business day ends at `noon` of the next. The strict target stays."""

    calendar: str
    noon: time
    cite: str
    when: When = field(default_factory=When)


@dataclass(frozen=True, slots=True)
class Times:
    """What a rule says: the times, and since when its clock runs. `due_at` is None if the law names
    no number. `unsure` are conditions of which it is not known whether they hold: the target is
    then the strictest possible time."""

    started_at: datetime
    target_at: datetime | None
    due_at: datetime | None
    last_day: date | None = None
    unsure: tuple[Condition, ...] = ()
    relieved_by: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What rules need in addition to the incident: its zone, its calendars, days of closure.
    `updates` are the newest times of anchors that have several: rules that count from the latest
    use these."""

    facts: Facts
    times: Mapping[Anchor, datetime]
    zone: ZoneInfo
    calendars: Calendars
    closures: Collection[date] = ()
    updates: Mapping[Anchor, datetime] = field(default_factory=dict)

    def time_of(self, anchor: Anchor) -> datetime | None:
        return self.times.get(anchor)

    def days(self, calendar: str) -> BusinessDays:
        """Return the business days of a calendar; `member-state` means the member state that the
        facts name."""
        return BusinessDays(self.calendars, self.calendar(calendar), self.closures)

    def calendar(self, name: str) -> str:
        return str(self.facts.get(PLACE_OF_HOLIDAYS) or "") if name == MEMBER_STATE else name

    def anchored(self, anchors: tuple[Anchor, ...], *, latest: bool) -> datetime | None:
        times = {a: at for a in anchors if (at := self.time_of(a)) is not None}
        if latest:
            return max((self.updates.get(a, at) for a, at in times.items()), default=None)
        return min(times.values(), default=None)

    def applies(self, when: When) -> bool | None:
        return both(every(when.needs, self), none_of(when.excludes, self))


def evaluate(rule: Rule, setting: Setting) -> Times | None:
    """Return the times of a rule; None while its anchor is missing, or if it does not apply. While
    it is not known whether the conditions of a rule hold, the rule counts only for the strict
    target."""
    applies = setting.applies(rule.when)
    if applies is False:
        return None
    if isinstance(rule, Choice):
        times = _chosen(rule, setting)
    elif isinstance(rule, NoNumber):
        times = _without_number(rule, setting)
    else:
        times = _period(rule, setting)
    if times is None or applies is True:
        return times
    unknown = tuple(c for c in rule.when.conditions if c.holds(setting) is None)
    return replace(times, due_at=None, last_day=None, unsure=unknown + times.unsure)


def _period(rule: Period, setting: Setting) -> Times | None:
    start = setting.anchored(rule.anchors, latest=rule.latest)
    if start is None:
        return None
    ends = _ends(rule, start, setting)
    if rule.lapses_before is not None:
        later = setting.time_of(rule.lapses_before)
        if later is not None and ends.due_at < later:
            return None
    return Times(start, ends.target_at, ends.due_at, ends.last_day)


def _ends(rule: Period, start: datetime, setting: Setting) -> Ends:
    zone = setting.zone
    if rule.unit is Unit.HOURS:
        return arithmetic.hours_after(start, rule.amount)
    if rule.unit is Unit.DAYS:
        return arithmetic.days_after(start, rule.amount, zone)
    if rule.unit is Unit.MONTHS:
        return arithmetic.months_after(start, rule.amount, zone)
    if rule.unit is Unit.DAYS_AFTER_YEAR_END:
        return arithmetic.days_after_year_end(start, rule.amount, zone)
    days = setting.days(rule.calendar)
    return arithmetic.business_days_after(start, rule.amount, zone, days, rule.until)


def _without_number(rule: NoNumber, setting: Setting) -> Times | None:
    start = setting.anchored(rule.anchors, latest=False)
    if start is None:
        return None
    target = None if rule.target_s is None else start + timedelta(seconds=rule.target_s)
    return Times(start, target, None)


def _chosen(rule: Choice, setting: Setting) -> Times | None:
    if rule.of == "first":
        return _first(rule, setting)
    evaluated = [evaluate(each, setting) for each in rule.rules]
    known = [times for times in evaluated if times is not None]
    if rule.of == "latest":
        missing = any(
            times is None and setting.applies(each.when) is not False
            for each, times in zip(rule.rules, evaluated, strict=True)
        )
        return None if missing or not known else _together(known, latest=True)
    return _together(known, latest=False) if known else None


def _first(rule: Choice, setting: Setting) -> Times | None:
    """The first alternative that certainly applies, with the strictest target of those before it
    that may apply."""
    possible: list[Times] = []
    for each in rule.rules:
        applies = setting.applies(each.when)
        times = evaluate(each, setting) if applies is not False else None
        if applies is None and times is not None:
            possible.append(times)
        elif applies:
            return None if times is None else _strictest(times, possible)
    return _strictest(possible[0], possible[1:]) if possible else None


def _strictest(times: Times, others: list[Times]) -> Times:
    targets = [t.target_at for t in (times, *others) if t.target_at is not None]
    unsure = times.unsure + tuple(c for other in others for c in other.unsure)
    return replace(times, target_at=min(targets, default=None), unsure=unsure)


def _together(found: list[Times], *, latest: bool) -> Times:
    """The earliest or latest target and due time, each for itself."""
    choose = max if latest else min
    due = choose((t.due_at for t in found if t.due_at is not None), default=None)
    return Times(
        min(t.started_at for t in found),
        choose((t.target_at for t in found if t.target_at is not None), default=None),
        due,
        next((t.last_day for t in found if t.due_at is not None and t.due_at == due), None),
        tuple(condition for t in found for condition in t.unsure),
    )


def relieved(times: Times, relief: Relief | None, setting: Setting) -> Times:
    """Move the due time where the rule's relief certainly applies, and its calendar is known."""
    if relief is None or times.due_at is None or setting.applies(relief.when) is not True:
        return times
    if not setting.calendars.has(setting.calendar(relief.calendar)):
        return times
    days = setting.days(relief.calendar)
    due = arithmetic.noon_of_next_business_day(times.due_at, setting.zone, days, relief.noon)
    if due == times.due_at:
        return times
    return replace(times, due_at=due, last_day=None, relieved_by=relief.cite)


def anchors_of(rule: Rule) -> Iterator[Anchor]:
    """Return all anchors of a rule, including the anchors of its conditions."""
    yield from (anchor for c in rule.when.conditions for anchor in c.anchors)
    if isinstance(rule, Choice):
        for each in rule.rules:
            yield from anchors_of(each)
        return
    yield from rule.anchors
    if isinstance(rule, Period) and rule.lapses_before is not None:
        yield rule.lapses_before
