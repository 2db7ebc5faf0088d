"""Rules and times in words for people."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from drd.model.obligations.anchors import Anchor
from drd.model.obligations.arithmetic import last_day_of
from drd.model.obligations.regime import Regime
from drd.model.obligations.rules import Choice, NoNumber, Rule, Unit, When
from drd.model.text import counted
from drd.model.units import format_duration, format_time, zone_name

_UNITS = {
    Unit.HOURS: "hour",
    Unit.DAYS: "day",
    Unit.MONTHS: "month",
    Unit.BUSINESS_DAYS: "business day",
    Unit.DAYS_AFTER_YEAR_END: "day",
}


def time_limit(regime: Regime) -> str:
    """Return the time limit of a regime: `72 hours from aware`."""
    return rule_words(regime.rule) if regime.rule is not None else "no time limit"


def rule_words(rule: Rule) -> str:
    """Return a rule in words."""
    return f"{_bare(rule)}{_condition(rule.when)}"


def _bare(rule: Rule) -> str:
    if isinstance(rule, Choice):
        parts = [rule_words(each) for each in rule.rules]
        if rule.of == "first":
            return ", else ".join(parts)
        return f"the {'earlier' if rule.of == 'earliest' else 'later'} of {' and '.join(parts)}"
    if isinstance(rule, NoNumber):
        own = rule.target_s is not None
        target = f" (target {format_duration(rule.target_s)})" if own else ""
        return f"without undue delay{target} from {_anchors(rule.anchors)}"
    amount = counted(rule.amount, _UNITS[rule.unit])
    if rule.unit is Unit.DAYS_AFTER_YEAR_END:
        return f"{amount} after the end of the year of {_anchors(rule.anchors)}"
    until = f" until {rule.until:%H:%M}" if rule.until is not None else ""
    which = "the latest of " if rule.latest else ""
    lapses = ""
    if rule.lapses_before is not None:
        lapses = f", unless that was before {rule.lapses_before}"
    if rule.amount == 0:
        return f"by {which}{_anchors(rule.anchors)}{lapses}"
    return f"{amount}{until} from {which}{_anchors(rule.anchors)}{lapses}"


def _anchors(anchors: tuple[Anchor, ...]) -> str:
    return " or ".join(map(str, anchors))


def _condition(when: When) -> str:
    words = [c.text for c in when.needs] + [f"not {c.text}" for c in when.excludes]
    return f" if {' and '.join(words)}" if words else ""


def local_time(at: datetime, zone: ZoneInfo, last_day: date | None = None) -> str:
    """Return a time as it is at its place: `2027-03-01 24:00 EST`. If a period ends with a day, the
    end is written as 24:00 of this day, because 00:00 of the next day would be read as one day
    more."""
    local = at.astimezone(zone)
    if last_day is not None and last_day_of(at, zone) == last_day and local.date() != last_day:
        return f"{last_day} 24:00 {zone_name(local)}"
    return format_time(local, zone=zone)
