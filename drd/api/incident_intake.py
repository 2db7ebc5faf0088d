"""Alerts of other systems, and reports of mail servers, from wherever they come: the command line,
the socket, the listener."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from drd.api.incident_acts import known_plans
from drd.bootstrap import App
from drd.config.intake import load_mapping
from drd.errors import Refused, UsageError
from drd.flows.incidents.bounces import Returned, returned
from drd.flows.incidents.intake import Intake, Result
from drd.flows.incidents.writing import require_plans
from drd.model.incidents.bounces import bounces_in
from drd.model.incidents.entries import Author
from drd.model.incidents.incident import Incident
from drd.model.intake.mapped import Mapped
from drd.model.intake.reading import MOST, MOST_OF_READERS, signals


def take_in(
    app: App,
    author: Author,
    raw: bytes,
    *,
    mapping: Mapped | None = None,
    scope: Sequence[str] = (),
    of: str = "",
    may_add: Callable[[Incident], bool] | None = None,
    ends_at: float = math.inf,
) -> Result | Returned:
    """Record what is new in a message of another system. `of` is a user who may only report: such
    alerts become suspicions. `may_add` says to which incidents the author may add. Without a
    mapping, reports of mail servers are recognised, and other messages are read by the mapping in
    drd.yaml. Raises UsageError, ConfigError; Refused if the sender may not record a report of a
    mail server."""
    bounces = bounces_in(raw) if mapping is None else None
    if bounces is not None:
        if of:
            raise Refused(
                "this is the report of a mail server, which only operators may record",
                hint="let a user of the group drd-operator send this report, or post the "
                "report to the listener (docs/intake.md).",
            )
        if scope:
            raise UsageError(
                "the report of a mail server cannot be combined with plans",
                hint="leave out the plans: the report contains the id of the mail.",
            )
        return returned(app.catalogue, author, bounces, may_add or _anywhere)
    known = known_plans(app)
    require_plans(scope, known)
    own = app.settings.intake.mapping
    if mapping is None and own:
        mapping = load_mapping(Path(own))
    parsed = signals(raw, mapping, MOST_OF_READERS if of else MOST)
    intake = intake_of(app, author, frozenset(known), scope=scope, of=of)
    if may_add is not None and author.actor is not None:
        intake = replace(intake, user=author.actor.user, may_add=may_add)
    return replace(intake, ends_at=ends_at).take(parsed)


def _anywhere(_: Incident) -> bool:
    return True


def intake_of(
    app: App,
    author: Author,
    known: frozenset[str] = frozenset(),
    *,
    scope: Sequence[str] = (),
    of: str = "",
) -> Intake:
    """Return where alerts come in, by drd.yaml; `known` are the plans that drd knows."""
    settings = app.settings
    return Intake(
        app.catalogue,
        settings.intake,
        settings.severities,
        known,
        author,
        of,
        settings.triage_s,
        tuple(scope),
    )
