"""A regime of the tests, with a rule, facts and calendars of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from drd.model.incidents.instants import Instant
from drd.model.obligations.anchors import Anchor
from drd.model.obligations.case import Case, Decision
from drd.model.obligations.clocks import ClockState, clock
from drd.model.obligations.conditions import Condition, Facts
from drd.model.obligations.regime import Citation, HoldKind, Regime, Status
from drd.model.obligations.rules import (
    NoNumber,
    Period,
    Setting,
    Unit,
    When,
)

AT = datetime(2026, 12, 1, 9, tzinfo=UTC)  # a Tuesday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AWARE, SENT, DUE = Anchor.parse("aware"), Anchor.parse("submitted(r1)"), Anchor.parse("due(r2)")


class Holidays:
    """The calendars X and Y; in X the first Monday of December is a holiday."""

    def has(self, calendar: str) -> bool:
        return calendar in ("X", "Y")

    def is_holiday(self, calendar: str, day: date) -> bool:
        return calendar == "X" and day == date(2026, 12, 7)


def setting(
    facts: Facts | None = None,
    times: Mapping[Anchor, datetime] | None = None,
    updates: Mapping[Anchor, datetime] | None = None,
    zone: str = "UTC",
) -> Setting:
    known = {AWARE: AT} if times is None else times
    return Setting(facts or {}, known, ZoneInfo(zone), Holidays(), (), updates or {})


def when(*needs: str, excludes: tuple[str, ...] = ()) -> When:
    return When(tuple(map(Condition.parse, needs)), tuple(map(Condition.parse, excludes)))


DAYS = Period(3, Unit.DAYS, (AWARE,))
HOURS = Period(24, Unit.HOURS, (AWARE,))
SOON = NoNumber((AWARE,), 3600.0)
POLICE = HoldKind.LAW_ENFORCEMENT
DECIDED = {"acme": Decision(True, "ours")}


def regime(**of: object) -> Regime:
    known: dict[str, object] = {"rule": HOURS, "anchors": (), **of}
    return Regime(
        "acme", "A duty", "EU", Status.IN_FORCE, "x", date(2026, 11, 1), "A", (Citation("art. 1"),),
        **known,  # type: ignore[arg-type]
    )  # fmt: skip


def state(made: Regime, now: datetime = AT, **case: object) -> ClockState:
    given = {"instants": {Instant.AWARE: AT}, **case}
    return clock(made, {}, Case(**given), now, Holidays())  # type: ignore[arg-type]
