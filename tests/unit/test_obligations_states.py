"""The states of clocks, and what a person should check of regimes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest

from drd.model.finding import Finding
from drd.model.incidents.instants import Instant
from drd.model.obligations.anchors import Anchor
from drd.model.obligations.case import Case, Decision, Hold
from drd.model.obligations.clocks import ClockKind, ClockState, clock, clocks
from drd.model.obligations.regime import HoldRule, Prompt, Regime, Status
from drd.model.obligations.rules import (
    Choice,
    NoNumber,
    Period,
    Relief,
    Unit,
)
from drd.model.obligations.upkeep import findings, unknown_calendars
from tests.obligation_support import (
    AT,
    AWARE,
    DAY,
    DAYS,
    DECIDED,
    HOUR,
    HOURS,
    POLICE,
    SENT,
    SOON,
    Holidays,
    regime,
    state,
    when,
)

# --- regimes and clocks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "why"),
    [
        ({}, ""),
        ({"status": Status.PROPOSED}, "this regime is not law yet"),
        ({"status": Status.REPEALED}, "the status of this regime is repealed"),
        ({"confidence": "C"}, "nobody has recorded that they read the source of this regime"),
        ({"confidence": "C", "checked_by": "anna"}, ""),
        ({"rule": None}, "the duty has no time limit"),
    ],
)
def test_a_regime_without_a_clock_has_a_reason_and_no_due_time(
    of: dict[str, object], why: str
) -> None:
    made = replace(regime(anchors=(AWARE,)), **of)  # type: ignore[arg-type]
    found = state(made)
    assert found.no_clock == why
    assert made.has_clock is (why == "")
    assert (found.due_at is None) is bool(why)
    waiting = state(replace(made, prompt=Prompt("is it?", HOURS)), instants={})
    assert waiting.awaits == (() if why else (AWARE,))
    prompted = state(
        replace(
            made, rule=made.rule and replace(HOURS, anchors=(SENT,)), prompt=Prompt("is it?", HOURS)
        )
    )
    assert prompted.prompt_at == (None if why else AT + DAY)


@pytest.mark.parametrize(
    ("amount", "unit", "lead"),
    [
        (8, Unit.HOURS, 2 * HOUR),
        (2, Unit.HOURS, HOUR),
        (0, Unit.HOURS, timedelta(0)),
        (100, Unit.DAYS, 7 * DAY),
    ],
)
def test_a_clock_is_due_soon_in_the_last_quarter(amount: int, unit: Unit, lead: timedelta) -> None:
    found = state(regime(rule=Period(amount, unit, (AWARE,))))
    assert found.target_at is not None
    assert found.soon_at == found.target_at - lead


@pytest.mark.parametrize(
    ("now", "case", "kind"),
    [
        (AT, {}, ClockKind.UNDECIDED),
        (AT, {"decisions": DECIDED}, ClockKind.RUNNING),
        (AT, {"decisions": {"acme": Decision(False, "x")}}, ClockKind.NOT_APPLICABLE),
        (AT, {"decisions": {"acme": Decision(False, "x", outdated=True)}}, ClockKind.UNDECIDED),
        (AT, {"submissions": {"acme": AT}}, ClockKind.FILED),
        (AT, {"submissions": {"acme": AT + 2 * DAY}}, ClockKind.FILED_LATE),
        (AT + 2 * DAY, {"decisions": DECIDED}, ClockKind.OVERDUE),
        (AT, {"decisions": DECIDED, "instants": {}}, ClockKind.NOT_STARTED),
        (AT + 18 * HOUR, {"decisions": DECIDED}, ClockKind.DUE_SOON),
        (AT, {"decisions": DECIDED, "holds": {"acme": Hold(POLICE, AT, AT + HOUR)}},
         ClockKind.ON_HOLD),
        (AT + HOUR, {"decisions": DECIDED, "holds": {"acme": Hold(POLICE, AT, AT + HOUR)}},
         ClockKind.RUNNING),
    ],
)  # fmt: skip
def test_the_state_of_a_clock(now: datetime, case: dict[str, object], kind: ClockKind) -> None:
    assert state(regime(holds=(HoldRule(POLICE, "c"),)), now, **case).kind is kind


def test_a_report_that_became_late_lacks_a_reason_until_somebody_gives_it() -> None:
    late = {"submissions": {"acme": AT + 2 * DAY}, "decisions": DECIDED}
    assert state(regime(), **late).lacks_reason
    told = state(regime(), **late, late_reasons={"acme": "aware earlier"})
    assert (told.lacks_reason, told.late_reason) == (False, "aware earlier")
    assert not state(regime(), AT + 2 * DAY, decisions=DECIDED).lacks_reason, "it runs"
    assert not state(regime(), submissions={"acme": AT}).lacks_reason
    late["decisions"] = {"acme": Decision(False, "x")}
    assert not state(regime(), **late).lacks_reason


def test_only_a_missing_number_makes_the_scope_not_declared() -> None:
    assert state(regime(when=when("people > 5"))).kind is ClockKind.SCOPE_NOT_DECLARED
    assert state(regime(when=when("ours"))).kind is ClockKind.UNDECIDED
    both_ = state(regime(when=when("ours", excludes=("people > 5",))))
    assert (both_.kind, both_.missing) == (ClockKind.SCOPE_NOT_DECLARED, ("ours", "people"))
    assert both_.proposed is None


def test_a_clock_says_by_which_conditions_it_is_proposed() -> None:
    made = regime(when=when("ours", "open", "known", excludes=("late", "early", "odd")))
    facts = {"ours": True, "open": False, "late": True, "early": False}
    found = state(made, facts=facts)
    assert found.because == ("ours", "open does not hold", "late holds")
    assert found.proposed is False
    assert found.is_quiet
    assert not state(made, facts=facts, decisions=DECIDED).is_quiet
    assert not state(regime()).is_quiet


def test_a_hold_moves_what_ends_before_it() -> None:
    made = regime(rule=DAYS, holds=(HoldRule(POLICE, "c"),))
    free = state(made)
    assert free.last_day == date(2026, 12, 4)
    for until, target, due, last in (
        (AT + DAY, free.target_at, free.due_at, free.last_day),
        (AT + 3 * DAY + HOUR, AT + 3 * DAY + HOUR, free.due_at, free.last_day),
        (free.due_at, free.due_at, free.due_at, free.last_day),
        (AT + 9 * DAY, AT + 9 * DAY, AT + 9 * DAY, None),
    ):
        found = state(made, holds={"acme": Hold(POLICE, AT, until)})
        assert (found.target_at, found.due_at, found.last_day) == (target, due, last)
        assert found.hold_until == until
    open_ = state(replace(made, rule=NoNumber((AWARE,))), holds={"acme": Hold(POLICE, AT, AT)})
    assert (open_.target_at, open_.due_at) == (None, None)


def test_a_running_clock_changes_at_each_of_its_times_and_a_filed_one_never() -> None:
    made = ClockState(
        regime(),
        ClockKind.RUNNING,
        soon_at=AT,
        target_at=AT + HOUR,
        due_at=AT + 2 * HOUR,
        prompt_at=AT + 3 * HOUR,
        hold_until=AT + 4 * HOUR,
    )
    now, seen = AT - HOUR, []
    while (at := made.changes_after(now)) is not None:
        seen.append((at - AT) // HOUR)
        now = at
    assert seen == [0, 1, 2, 3, 4]
    assert replace(made, kind=ClockKind.FILED).changes_after(AT - HOUR) is None


def test_deadlines_that_wait_for_one_another_have_no_time() -> None:
    one = replace(regime(rule=Period(1, Unit.HOURS, (Anchor.parse("due(b)"),))), id="a")
    two = replace(one, id="b", rule=Period(1, Unit.HOURS, (Anchor.parse("due(a)"),)))
    known = {"a": one, "b": two, "c": replace(regime(), id="c")}
    assert clock(one, known, Case(), AT, Holidays()).started_at is None
    waits = replace(one, rule=Period(1, Unit.HOURS, (Anchor.parse("due(c)"),)))
    case = Case({Instant.AWARE: AT})
    assert clock(waits, known, case, AT, Holidays()).started_at == AT + DAY
    for other in (
        replace(case, submissions={"c": AT}),
        replace(case, decisions={"c": Decision(False, "x")}),
        Case(),
    ):
        assert clock(waits, known, other, AT, Holidays()).started_at is None
    applies = replace(case, decisions={"c": Decision(True, "x")})
    assert clock(waits, known, applies, AT, Holidays()).started_at == AT + DAY
    assert clock(waits, {}, case, AT, Holidays()).started_at is None


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (None, None, True),
        (date(2026, 12, 3), None, True),  # it is law by now
        (date(2026, 12, 4), None, False),
        (None, date(2026, 12, 1), True),  # it was law then
        (None, date(2026, 11, 30), False),
    ],
)
def test_a_regime_is_shown_that_was_law_then_or_is_now(
    start: date | None, end: date | None, *, shown: bool
) -> None:
    made = regime(applies_from=start, applies_to=end)
    case = Case({Instant.AWARE: AT + HOUR, Instant.OCCURRED: AT})
    assert bool(clocks([made], case, AT + 2 * DAY, Holidays())) is shown
    decided = replace(case, decisions=DECIDED)
    assert clocks([made], decided, AT + 2 * DAY, Holidays()) != []


def test_a_regime_of_another_place_is_not_shown() -> None:
    assert clocks([regime()], Case(jurisdictions=("GB",)), AT, Holidays()) == []
    assert clocks([replace(regime(), status=Status.TEMPLATE)], Case(), AT, Holidays()) == []


# --- upkeep -----------------------------------------------------------------------------------

TODAY = date(2026, 12, 1)


def told(*regimes: Regime, places: tuple[str, ...] = ()) -> list[Finding]:
    return list(findings({str(n): r for n, r in enumerate(regimes)}, places, TODAY))


@pytest.mark.parametrize(
    ("checked", "stale"),
    [(TODAY, False), (TODAY - 180 * DAY, False), (TODAY - 181 * DAY, True), (TODAY + DAY, True)],
)
def test_a_source_is_read_again_after_half_a_year(checked: date, *, stale: bool) -> None:
    own = replace(regime(), checked=checked, own=True)
    assert [f.code for f in told(own)] == ["regime-source"] * stale
    shipped = told(replace(own, own=False))
    assert len(shipped) == stale
    assert told(replace(own, status=Status.REPEALED)) == []
    assert told(replace(own, status=Status.TEMPLATE)) == []


def test_the_sources_of_drd_are_one_finding_with_the_oldest() -> None:
    old = [replace(regime(), id=f"r{n}", checked=date(2026, 1, 5 - n)) for n in range(3)]
    [found] = told(*old)
    assert "the sources of 3 regimes of drd were last checked" in found.text
    assert "the oldest on 2026-01-03: r0, r1, r2" in found.text


@pytest.mark.parametrize(
    ("begins", "told_"), [(None, 0), (TODAY, 0), (TODAY + DAY, 1), (TODAY + 60 * DAY, 1),
                          (TODAY + 61 * DAY, 0)],
)  # fmt: skip
def test_a_rule_that_begins_within_two_months_is_announced(begins: date | None, told_: int) -> None:
    found = told(replace(regime(), applies_from=begins))
    assert [f.code for f in found] == ["regime-begins"] * told_


def test_a_place_without_a_regime_is_named() -> None:
    found = told(regime(), places=("DE", "CH"))
    assert [(f.code, f.subject) for f in found] == [("regime-missing", "CH")]
    repealed = told(replace(regime(), status=Status.REPEALED), places=("DE",))
    assert [f.subject for f in repealed] == ["DE"]


def test_calendars_that_a_regime_names_and_that_do_not_exist() -> None:
    def business(calendar: str) -> Period:
        return Period(1, Unit.BUSINESS_DAYS, (AWARE,), calendar=calendar)

    rule = Choice("first", (business("X"), business("Z"), business("member-state"), business("Z")))
    assert unknown_calendars(regime(rule=rule), Holidays()) == ["Z"]
    both_ = regime(rule=SOON, relief=Relief("W", time(12), "art. 4"))
    assert unknown_calendars(both_, Holidays()) == ["W"]
    assert unknown_calendars(regime(rule=None), Holidays()) == []
    assert unknown_calendars(regime(), Holidays()) == []
