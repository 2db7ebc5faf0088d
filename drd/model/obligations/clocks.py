"""The clock of each regime for one incident: whether it runs, and when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from drd.model.incidents.instants import Instant
from drd.model.obligations.anchors import Anchor, Source
from drd.model.obligations.calendars import Calendars
from drd.model.obligations.case import Case, Decision, end_of_hold, held_until
from drd.model.obligations.conditions import (
    PERSONAL_DATA,
    RESIDENTS,
    Condition,
    both,
    elsewhere,
)
from drd.model.obligations.places import EVERYWHERE, is_in, places_of
from drd.model.obligations.regime import Regime, Status
from drd.model.obligations.rules import Setting, Times, evaluate, relieved


class ClockKind(StrEnum):
    """The state of a clock."""

    NOT_APPLICABLE = "not-applicable"
    """A person decided so, with a reason."""
    UNDECIDED = "undecided"
    """Nobody has decided yet whether the regime applies, or the facts changed after somebody
    decided that it does not. It is shown as prominently as a report that is due."""
    SCOPE_NOT_DECLARED = "scope-not-declared"
    """A number of people or residents is missing, so the times are calculated for the worst
    case."""
    NOT_STARTED = "not-started"
    """The regime applies, but the moment that starts the clock is missing."""
    RUNNING = "running"
    DUE_SOON = "due-soon"
    OVERDUE = "overdue"
    FILED = "filed"
    FILED_LATE = "filed-late"
    ON_HOLD = "on-hold"


CLOSED = frozenset({ClockKind.NOT_APPLICABLE, ClockKind.FILED, ClockKind.FILED_LATE})
"""States in which nothing is left to do."""

_SOONEST, _LATEST = timedelta(hours=1), timedelta(days=7)
"""The shortest and the longest time before a target at which a clock is due soon."""


@dataclass(frozen=True, slots=True)
class ClockState:
    """The clock of one regime.

    `target_at` is by the strictest reading of the rule, which reminders follow; `due_at` by its
    letter, which decides what is late. `proposed` is whether the regime applies by the facts, None
    if the facts do not decide it. `missing` names facts that are not known, `awaits` the anchors
    that would start the clock. `prompt_at`: by then the determination that starts the clock should
    be made. `late` holds for a clock that passed its due time without a report, whatever its state;
    `late_reason` says why the report that was submitted was late. `placed` is False for the law of
    a place while no place of the organisation or of people is known. `outdated`: somebody decided
    for `reason` that the regime does not apply, but by the present facts it applies."""

    regime: Regime
    kind: ClockKind
    started_at: datetime | None = None
    target_at: datetime | None = None
    due_at: datetime | None = None
    last_day: date | None = None
    soon_at: datetime | None = None
    prompt_at: datetime | None = None
    hold_until: datetime | None = None
    submitted_at: datetime | None = None
    proposed: bool | None = None
    because: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    awaits: tuple[Anchor, ...] = ()
    relieved_by: str = ""
    reason: str = ""
    late: bool = False
    late_reason: str = ""
    no_clock: str = ""
    placed: bool = True
    outdated: bool = False

    @property
    def ends_at(self) -> datetime | None:
        """When the report is due. If the regime names no number of hours or days, this is its
        target."""
        return self.due_at or self.target_at

    @property
    def is_unplaced(self) -> bool:
        """Whether nobody has decided on the regime, and drd knows no place by which to propose a
        decision."""
        return self.is_undecided and not self.placed and not self.is_quiet

    @property
    def is_undecided(self) -> bool:
        return self.kind in (ClockKind.UNDECIDED, ClockKind.SCOPE_NOT_DECLARED)

    @property
    def doubt(self) -> int:
        """Return how doubtful it is that the regime applies: 0 if a person has decided, 1 if it
        applies by the facts, 2 if they do not decide it."""
        return 0 if not self.is_undecided else 1 if self.proposed else 2

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has decided on the regime, and by the facts it does not apply."""
        return self.kind is ClockKind.UNDECIDED and self.proposed is False

    @property
    def lacks_reason(self) -> bool:
        """Whether the report was late and nobody has said why. A report that was submitted in time
        can become late when a moment is corrected."""
        return self.kind is ClockKind.FILED_LATE and not self.late_reason

    def changes_after(self, now: datetime) -> datetime | None:
        """Return the next instant at which this state changes by itself."""
        if self.kind in CLOSED:
            return None
        instants = (self.soon_at, self.target_at, self.due_at, self.prompt_at, self.hold_until)
        return min((at for at in instants if at is not None and at > now), default=None)


def clocks(
    regimes: Iterable[Regime], case: Case, now: datetime, calendars: Calendars
) -> list[ClockState]:
    """Return the clocks of all regimes that can apply to the incident, in the order of their
    regimes; templates, and regimes of other places, have no clock unless a person decided on them.
    """
    known = {regime.id: regime for regime in regimes}
    work = _Clocks(known, case, now, calendars)
    return [
        work.state(regime)
        for regime in known.values()
        if regime.id in case.decisions or _is_possible(regime, case, work.places, now)
    ]


def clock(
    regime: Regime, regimes: Mapping[str, Regime], case: Case, now: datetime, calendars: Calendars
) -> ClockState:
    """Return the clock of one regime, wherever it applies."""
    return _Clocks(regimes, case, now, calendars).state(regime)


def _is_possible(regime: Regime, case: Case, places: tuple[str, ...], now: datetime) -> bool:
    first = min(case.instants.values(), default=now)
    in_force = regime.is_in_force_on(first.date()) or regime.is_in_force_on(now.date())
    return in_force and (
        is_in(regime.jurisdiction, places) or bool(_may_have_residents(regime, case))
    )


def _may_have_residents(regime: Regime, case: Case) -> tuple[str, ...]:
    """Return the facts with people of whom nobody knows whether they live at the place of a regime
    that depends on where people live: one that is about personal data, or counts residents."""
    here = RESIDENTS + regime.jurisdiction
    if not any(c.fact in (here, PERSONAL_DATA) for c in regime.when.conditions):
        return ()
    return tuple(name for name in elsewhere(here) if case.facts.get(name, 0) != 0)


class _Clocks:
    def __init__(
        self, regimes: Mapping[str, Regime], case: Case, now: datetime, calendars: Calendars
    ) -> None:
        self.regimes = regimes
        self.case = case
        self.now = now
        self.calendars = calendars
        self.known: dict[str, Times | None] = {}
        self.places = places_of(case.jurisdictions, case.facts)

    def state(self, regime: Regime) -> ClockState:
        case = self.case
        times = self._times(regime)
        setting = self._setting(regime)
        proposed = setting.applies(regime.when)
        unsettled = (
            () if is_in(regime.jurisdiction, self.places) else _may_have_residents(regime, case)
        )
        if unsettled:
            proposed = both(proposed, None)
        unknown = [c for c in regime.when.conditions if c.holds(setting) is None]
        unsure = tuple(unknown) + (times.unsure if times is not None else ())
        decision = case.decisions.get(regime.id)
        state = ClockState(
            regime,
            ClockKind.UNDECIDED,
            proposed=proposed,
            because=tuple(_reasons(regime, setting)),
            missing=tuple(dict.fromkeys((*unsettled, *(c.fact for c in unsure if c.fact)))),
            reason=decision.reason if decision is not None else "",
            outdated=decision is not None and decision.outdated,
            no_clock=_why_no_clock(regime),
            placed=bool(self.places) or regime.own or regime.jurisdiction in EVERYWHERE,
        )
        if times is None:
            state = replace(state, awaits=_awaited(regime), prompt_at=_prompt(regime, setting))
        else:
            state = _timed(state, times)
        hold = case.holds.get(regime.id)
        until = end_of_hold(regime, hold) if hold is not None else None
        state = replace(state, hold_until=until, submitted_at=case.submissions.get(regime.id))
        why = case.late_reasons.get(regime.id, "")
        state = replace(state, late=_is_late(state, self.now), late_reason=why)
        return replace(state, kind=self._kind(state, unknown))

    def _decision(self, name: str) -> Decision | None:
        """The decision that counts: facts that change make it one to decide again."""
        decision = self.case.decisions.get(name)
        return None if decision is None or decision.outdated else decision

    def _kind(self, state: ClockState, unknown: list[Condition]) -> ClockKind:
        decision = self._decision(state.regime.id)
        if decision is not None and not decision.applies:
            return ClockKind.NOT_APPLICABLE
        if state.submitted_at is not None:
            return ClockKind.FILED_LATE if state.late else ClockKind.FILED
        if decision is None:
            counts = any(condition.is_count for condition in unknown)
            return ClockKind.SCOPE_NOT_DECLARED if counts else ClockKind.UNDECIDED
        if state.late:  # also if somebody asked for a delay after the report was due
            return ClockKind.OVERDUE
        if state.hold_until is not None and self.now < state.hold_until:
            return ClockKind.ON_HOLD
        if state.started_at is None:
            return ClockKind.NOT_STARTED
        soon = state.soon_at is not None and state.soon_at <= self.now
        return ClockKind.DUE_SOON if soon else ClockKind.RUNNING

    def _times(self, regime: Regime) -> Times | None:
        """The times of a regime, with its holds and relief; each is calculated once, and a circle
        of deadlines that wait for one another has none."""
        if regime.id not in self.known:
            self.known[regime.id] = None
            setting = self._setting(regime)
            times = None
            if regime.has_clock and regime.rule is not None:
                times = evaluate(regime.rule, setting)
            if times is not None:
                times = self._held(regime, relieved(times, regime.relief, setting))
            self.known[regime.id] = times
        return self.known[regime.id]

    def _held(self, regime: Regime, times: Times) -> Times:
        """Return the times after a delay that the law allows and that was asked for in time: what
        would be due before the end of the delay is due at its end."""
        hold = self.case.holds.get(regime.id)
        target, due = times.target_at, times.due_at
        until = held_until(regime, hold, due) if hold is not None else None
        if until is None:
            return times
        moved = due is not None and due < until
        return replace(
            times,
            target_at=None if target is None else max(target, until),
            due_at=None if due is None else max(due, until),
            last_day=None if moved else times.last_day,
        )

    def _setting(self, regime: Regime) -> Setting:
        anchors = regime.all_anchors()
        times = {anchor: at for anchor in anchors if (at := self._time_of(anchor)) is not None}
        updates = {a: self.case.updates[a.name] for a in times if a.name in self.case.updates}
        zone = ZoneInfo(regime.zone or self.case.zone)
        return Setting(self.case.facts, times, zone, self.calendars, regime.closures, updates)

    def _time_of(self, anchor: Anchor) -> datetime | None:
        if anchor.source is Source.INSTANT:
            return self.case.instants.get(Instant(anchor.name))
        submitted = self.case.submissions.get(anchor.name)
        if anchor.source is Source.SUBMITTED or submitted is not None:
            return submitted if anchor.source is Source.SUBMITTED else None
        decision = self._decision(anchor.name)
        other = self.regimes.get(anchor.name)
        if other is None or (decision is not None and not decision.applies):
            return None
        times = self._times(other)
        return times.due_at if times is not None else None


def _timed(state: ClockState, times: Times) -> ClockState:
    target = times.target_at
    soon = None
    if target is not None:
        lead = min(max((target - times.started_at) / 4, _SOONEST), _LATEST)
        soon = max(target - lead, times.started_at)
    return replace(
        state,
        started_at=times.started_at,
        target_at=target,
        due_at=times.due_at,
        last_day=times.last_day,
        soon_at=soon,
        relieved_by=times.relieved_by,
    )


def _is_late(state: ClockState, now: datetime) -> bool:
    """Lateness goes by the time of submission, and by the present only while there is none."""
    by = state.submitted_at or now
    return state.due_at is not None and by > state.due_at


def _awaited(regime: Regime) -> tuple[Anchor, ...]:
    return regime.anchors if regime.has_clock else ()


def _prompt(regime: Regime, setting: Setting) -> datetime | None:
    if regime.prompt is None or not regime.has_clock:
        return None
    times = evaluate(regime.prompt.rule, setting)
    return times.target_at if times is not None else None


def _reasons(regime: Regime, setting: Setting) -> Iterator[str]:
    """The conditions that decide what is proposed."""
    for condition in regime.when.needs:
        if condition.holds(setting) is False:
            yield f"{condition.text} does not hold"
        elif condition.holds(setting):
            yield condition.text
    for condition in regime.when.excludes:
        if condition.holds(setting):
            yield f"{condition.text} holds"


def _why_no_clock(regime: Regime) -> str:
    if regime.status is Status.PROPOSED:
        return "this regime is not law yet"
    if regime.status is not Status.IN_FORCE:
        return f"the status of this regime is {regime.status}"
    if not regime.is_vouched_for:
        return "nobody has recorded that they read the source of this regime"
    return "" if regime.rule is not None else "the duty has no time limit"
