"""The beginning of an incident: somebody opens it or reports a suspicion, or a rule opens it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from drd.flows.incidents.texts import text_of
from drd.model.alerts import Transition
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import LONGEST_TITLE, Author, draft
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.incidents.rules import OpeningRule, TierOf, opening
from drd.model.records import Draft
from drd.ports import Catalogue
from drd.ports.intake import TooMany

LONGEST_REPORT = 1000


def open_incident(
    catalogue: Catalogue,
    author: Author,
    title: str,
    *,
    plans: Sequence[str] = (),
    severity: str = "",
    restricted: bool = False,
    instants: Mapping[Instant, datetime] | None = None,
) -> Incident:
    """Open an incident: only the title has to be known."""
    body = {
        "title": text_of(title, "the title", LONGEST_TITLE),
        "plans": list(dict.fromkeys(plans)),
        "severity": severity,
        "restricted": restricted,
        "instants": {str(i): at for i, at in (instants or {}).items()},
    }
    return catalogue.incidents.begin(lambda number: draft(kinds.OPEN, number, author, body))


def report(
    catalogue: Catalogue,
    author: Author,
    text: str,
    triage_s: float,
    plans: Sequence[str] = (),
    *,
    most: int | None = None,
) -> Incident:
    """File a suspicion, which somebody has to examine in time. This opens no incident; if an
    incident is opened from it, the plans are in its scope. Raises TooMany if so many of the
    author's suspicions wait already."""
    body = {
        "text": text_of(text, "the report", LONGEST_REPORT),
        "due": _after(author.at, triage_s),
        "plans": list(dict.fromkeys(plans)),
    }
    if most is None or author.actor is None:
        return catalogue.incidents.begin(lambda number: draft(kinds.REPORT, number, author, body))
    user = author.actor.user
    made = catalogue.intake.report(
        user, most, lambda number: draft(kinds.REPORT, number, author, body)
    )
    if made is None:
        raise TooMany(
            f"{user} has reported {most} suspicions that nobody has examined yet",
            hint="ask an operator to examine them: drd incident list",
        )
    return made


def _after(at: datetime, seconds: float) -> datetime:
    return at + timedelta(seconds=seconds)


def open_by_rules(
    catalogue: Catalogue,
    rules: Iterable[OpeningRule],
    transitions: Iterable[Transition],
    now: datetime,
    tier_of: TierOf = lambda _: None,
) -> list[Incident]:
    """Open the incidents that rules of drd.yaml require for these changes of alerts: one for each
    rule and plan. Only a person can close them."""
    author, opened = Author("drd", now), []
    for key, body in opening(rules, transitions, tier_of):
        make = partial(_opened, author, body)
        if (incident := catalogue.incidents.begin_by_rule(key, make)) is not None:
            opened.append(incident)
    return opened


def _opened(author: Author, body: Mapping[str, Any], number: int) -> Draft:
    return draft(kinds.OPEN, number, author, body)
