"""`drd obligations due`: when reports would be due, without an incident."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from drd.api.obligation_acts import chosen
from drd.api.obligation_documents import clock_document
from drd.cli import output
from drd.cli.enduring import quick_settings
from drd.cli.obligations import fact_of, pair_of, require_facts, usable
from drd.config.daemon import DaemonSettings
from drd.config.regimes import regimes_of
from drd.config.zones import host_zone, time_zone
from drd.errors import UsageError
from drd.flows.incidents.times import ambiguity, past, typed
from drd.flows.incidents.writing import instant_of
from drd.holiday_calendars import HolidayCalendars
from drd.model.malformed import Malformed
from drd.model.obligations.case import Case, Decision
from drd.model.obligations.clocks import ClockState, clocks
from drd.model.obligations.paragraphs import DISCLAIMER
from drd.model.obligations.regime import Regime
from drd.model.obligations.words import local_time
from drd.model.text import counted, escaped
from drd.model.units import bare_time, to_rfc3339


def run(args: argparse.Namespace) -> int:
    settings = quick_settings(args)
    known = usable(regimes_of(settings))
    named = [chosen(known, name) for name in args.ids]
    case = case_of(args, settings, known, named)
    states = clocks(known.values(), case, datetime.now(UTC), HolidayCalendars())
    shown = [s for s in states if _is_shown(s, named)]
    for name, doubt in _doubts(args, case.zone):
        output.warn(f"{name}: {doubt}")
    if args.json:
        output.print_json({"zone": case.zone, "clocks": [clock_document(s) for s in shown]})
        return 0
    for line in _read_as(args, case.zone):
        output.say(line)
    if shown:
        output.say(output.table([_row(s, case.zone) for s in shown], header=_HEADER))
    else:
        output.say(
            "no deadline counts from these moments. To see from which moments each "
            "regime counts: drd obligations list"
        )
    for state in shown:
        for note in _notes(state, case.zone):
            output.say_below(f"{state.regime.id}: ", escaped(note))
    if missing := list(dict.fromkeys(name for state in shown for name in state.missing)):
        names = ", ".join(missing)
        output.say(
            f"these facts are not known: {names}. The times are for the worst case. To "
            "give a fact: --fact NAME=VALUE"
        )
    if not named and len(shown) < len(states):
        rest = counted(len(states) - len(shown), "regime")
        output.say(
            f"{rest} not shown, because no time was given for the anchor or because the known "
            "facts exclude the regime"
        )
    output.say(DISCLAIMER)
    return 0


def case_of(
    args: argparse.Namespace,
    settings: DaemonSettings,
    known: dict[str, Regime],
    named: Sequence[Regime],
) -> Case:
    """Return the case that the options describe. A regime that is named applies."""
    zone = _zone(args.zone, settings)
    given = dict(fact_of(text) for text in args.fact)
    require_facts(given, known)
    facts = {**settings.facts, **given}
    return Case(
        instants={instant_of(n): _at(t, zone) for n, t in map(pair_of, args.at)},
        facts=facts,
        submissions={chosen(known, n).id: _at(t, zone) for n, t in map(pair_of, args.submitted)},
        decisions={regime.id: Decision(True, "named") for regime in named},
        jurisdictions=settings.jurisdictions,
        zone=zone,
    )


def _zone(given: str | None, settings: DaemonSettings) -> str:
    if given is None:
        return settings.timezone or host_zone()
    try:
        return time_zone(given)
    except Malformed as error:
        raise UsageError(error.fact, hint=error.hint()) from None


def _at(text: str, zone: str) -> datetime:
    """Return a time; without an offset it is one of the zone, and a date alone is its noon, which
    the output says. Also `now`, `-2h` and `14:30`, as in an incident."""
    if text == "now" or text.startswith("-") or ":" in text[:3]:
        return past(text, datetime.now(UTC), ZoneInfo(zone))
    try:
        return typed(f"{text}T12:00" if _is_date(text) else text, ZoneInfo(zone))
    except (ValueError, OverflowError):
        hint = "write it like 2026-12-31T09:15, 2026-12-31T08:15Z or 2026-12-31."
        raise UsageError(f'"{text}" is not a time', hint=hint) from None


def _is_shown(state: ClockState, named: Sequence[Regime]) -> bool:
    if named:
        return state.regime in named
    return state.started_at is not None and state.proposed is not False


def _is_date(text: str) -> bool:
    return len(text) <= len("2026-12-31") and ":" not in text


def _read_as(args: argparse.Namespace, zone: str) -> Iterator[str]:
    """Say how each time was read that has no zone, and each date without a time of day."""
    here = ZoneInfo(zone)
    for name, text in map(pair_of, [*args.at, *args.submitted]):
        noon = ": noon, since no time of day was given" if _is_date(text) else ""
        yield f"{name} {local_time(_at(text, zone), here)}{noon}"


def _doubts(args: argparse.Namespace, zone: str) -> Iterator[tuple[str, str]]:
    """Say which time drd took where the clock of the zone showed one twice, or never."""
    for name, text in map(pair_of, [*args.at, *args.submitted]):
        if not _is_date(text) and (doubt := ambiguity(text, _at(text, zone), ZoneInfo(zone))):
            yield name, doubt


_HEADER = ("ID", "DUE", "DUE (UTC)", "TARGET")


def _row(state: ClockState, zone: str) -> list[str]:
    here = ZoneInfo(state.regime.zone or zone)
    target = local_time(state.target_at, here, state.last_day) if state.target_at else "-"
    if state.due_at is None:
        due = "no clock" if state.started_at is None else "without undue delay"
        return [state.regime.id, due, "-", target]
    due = local_time(state.due_at, here, state.last_day)
    return [state.regime.id, due, bare_time(to_rfc3339(state.due_at)), target]


def _notes(state: ClockState, zone: str) -> Iterator[str]:
    if state.no_clock:
        yield f"no clock: {state.no_clock}"
    elif state.started_at is None:
        yield (
            f"no deadline yet: give the time of {' or '.join(map(str, state.awaits))}, from "
            "which this deadline counts"
        )
    if state.prompt_at is not None and state.regime.prompt is not None:
        by = local_time(state.prompt_at, ZoneInfo(state.regime.zone or zone))
        yield f"determine by {by}: {state.regime.prompt.ask}"
    if state.relieved_by:
        yield f"due later, as {state.relieved_by} allows"
    if state.proposed is False:
        yield f"does not apply according to the known facts: {'; '.join(state.because)}"
