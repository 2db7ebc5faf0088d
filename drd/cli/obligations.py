"""`drd obligations list|show|check|schema`: duties to report an incident, as data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from drd.api.obligation_acts import chosen, unusual_facts
from drd.api.obligation_documents import regime_document
from drd.cli import output
from drd.cli.enduring import quick_settings
from drd.cli.own_files import how_many, say_checked, warn_of
from drd.config.places import is_place
from drd.config.regimes import Regimes, regime_schema, regimes_of
from drd.errors import Problem, UsageError
from drd.holiday_calendars import HolidayCalendars, code_of
from drd.model.obligations.conditions import Fact
from drd.model.obligations.paragraphs import DISCLAIMER
from drd.model.obligations.places import covering
from drd.model.obligations.regime import HoldRule, Regime, Status
from drd.model.obligations.upkeep import findings, unknown_calendars
from drd.model.obligations.words import time_limit
from drd.model.text import counted, escaped


def usable(regimes: Regimes) -> dict[str, Regime]:
    """Return the regimes by id; warn of files that are broken, whose regimes are missing."""
    warn_of(regimes.problems, "drd obligations check")
    return dict(regimes.known)


def pair_of(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise UsageError(
            f'"{text}" is not of the form NAME=VALUE',
            hint="write a name, =, and a value, for example people=5000.",
        )
    return name, value


def fact_of(text: str) -> tuple[str, Fact]:
    """Return the name and the value of `people=5000`, `encrypted=false`, `people=unknown`."""
    name, value = pair_of(text)
    if value in _VALUES:
        return name, _VALUES[value]
    return name, int(value) if value.isdecimal() else value


def require_facts(facts: Mapping[str, Fact], regimes: Mapping[str, Regime]) -> None:
    """Refuse facts that cannot be right, and warn about words that no rule uses."""
    for warning in unusual_facts(facts, regimes):
        output.warn(warning)


_VALUES: dict[str, Fact] = {"true": True, "false": False, "unknown": None}


# --- list and show ----------------------------------------------------------------------------


def list_(args: argparse.Namespace) -> int:
    known = usable(regimes_of(quick_settings(args)))
    place = _place(args.place) if args.place is not None else None
    shown = [r for r in known.values() if place is None or _is_of(r, place)]
    if args.json:
        output.print_json({"regimes": [regime_document(regime) for regime in shown]})
        return 0
    if not shown:
        output.say(
            f"drd does not know a regime of {place}. docs/obligations.md describes how to "
            "write a regime"
        )
        return 0
    output.say(output.table([_row(regime) for regime in shown], header=_HEADER))
    if not args.quiet:
        output.say(DISCLAIMER)
    return 0


_HEADER = ("ID", "PLACE", "TIME LIMIT", "REPORT")


def _place(text: str) -> str:
    """Return the code of a place that is given by its code or its name. Raises UsageError."""
    code = text.upper() if is_place(text.upper()) else code_of(text)
    if code is None:
        raise UsageError(
            f'"{text}" is neither the code nor the name of a place that drd knows',
            hint="write EU, a country like DE or Germany, or a part of one like US-CA.",
        )
    if code != text:
        output.say(f"{escaped(text)}: {code}", beside=True)
    return code


def _is_of(regime: Regime, place: str) -> bool:
    return regime.jurisdiction in covering(place)


def _row(regime: Regime) -> list[str]:
    return [
        regime.id + (" (own)" if regime.own else ""),
        regime.jurisdiction,
        _limit(regime),
        escaped(regime.title),
    ]


def _limit(regime: Regime) -> str:
    if regime.status is not Status.IN_FORCE:
        return f"{regime.status}: no clock"
    if regime.rule is not None and not regime.is_vouched_for:
        return "no clock: nobody has recorded that they read the source of this regime"
    return escaped(time_limit(regime))


def show(args: argparse.Namespace) -> int:
    regime = chosen(usable(regimes_of(quick_settings(args))), args.id)
    if args.json:
        output.print_json(regime_document(regime))
        return 0
    for name, text in _lines(regime):
        output.say_below(f"{name:<12} ", escaped(text))
    output.say(DISCLAIMER)
    return 0


def _lines(regime: Regime) -> Iterator[tuple[str, str]]:
    yield "id", regime.id
    yield "report", regime.title
    yield "place", regime.jurisdiction
    yield "status", f"{regime.status}{_since(regime)}"
    yield "trigger", regime.trigger
    conditions = [c.text for c in regime.when.needs]
    conditions += [f"not {c.text}" for c in regime.when.excludes]
    if conditions:
        yield "proposed if", " and ".join(conditions)
    yield from _when_due(regime)
    yield from _what_to_send(regime)
    for name, text in (("call", regime.call), ("note", regime.note)):
        if text:
            yield name, text
    for citation in regime.sources:
        yield "source", f"{citation.cite} {citation.url}".strip()
    by = f" by {regime.checked_by}" if regime.checked_by else ""
    yield "checked", f"{regime.checked}{by}, confidence {regime.confidence}"
    yield "file", regime.file


def _when_due(regime: Regime) -> Iterator[tuple[str, str]]:
    yield "time limit", _limit(regime)
    if regime.relief is not None:
        clock, calendar = f"{regime.relief.noon:%H:%M}", regime.relief.calendar
        text = f"{clock} on the next business day ({calendar}), by {regime.relief.cite}"
        yield "relief", text
    if regime.prompt is not None:
        yield "determine", regime.prompt.ask
    if regime.zone:
        yield "zone", regime.zone
    for hold in regime.holds:
        yield "may be held", f"by {hold.kind}, {hold.cite}{_limits(hold)}"
    if regime.late_needs_reasons:
        yield "late", "a late report must give the reasons"


def _what_to_send(regime: Regime) -> Iterator[tuple[str, str]]:
    yield "recipient", str(regime.recipient)
    if regime.how or regime.form:
        yield "how", "; ".join(filter(None, (regime.how, regime.form)))
    for item in regime.content:
        source = "" if item.source == "ask" else f" (from {item.source})"
        yield "content", f"{item.key}: {item.text}{source}"


def _since(regime: Regime) -> str:
    since = f" since {regime.applies_from}" if regime.applies_from is not None else ""
    until = f" until {regime.applies_to}" if regime.applies_to is not None else ""
    return since + until


# --- check and schema -------------------------------------------------------------------------


def check(args: argparse.Namespace) -> int:
    """Check all files, and the named ones as well; return 2 when a file has an error."""
    settings = quick_settings(args)
    files = tuple(Path(file) for file in args.files)
    regimes = regimes_of(settings, files)
    problems = list(regimes.problems)
    for regime in regimes.known.values():
        problems += _calendar_problems(regime)
    today = datetime.now(UTC).date()
    found_findings = list(findings(regimes.known, settings.jurisdictions, today))
    count = how_many((regime.own for regime in regimes.known.values()), "regime")
    return say_checked(args, problems, found_findings, count, named=True)


def _calendar_problems(regime: Regime) -> Iterator[Problem]:
    for name in unknown_calendars(regime, HolidayCalendars()):
        message = f'there is no calendar "{name}"'
        hint = "write US-federal, a country like FR, or a part of one like DE-BY."
        yield Problem(regime.file, 1, "rule.calendar", message, hint)


def schema(_: argparse.Namespace) -> int:
    output.say(json.dumps(regime_schema(), indent=2))
    return 0


def _limits(hold: HoldRule) -> str:
    """Return how long the delay may last, if the law says so."""
    limits = []
    if hold.oral_days is not None:
        limits.append(f"{counted(hold.oral_days, 'day')} after a statement that is not in writing")
    if hold.at_most_days:
        each = ", then ".join(str(days) for days in hold.at_most_days)
        limits.append(f"{each} days")
    return f"; at most {'; '.join(limits)}" if limits else ""
