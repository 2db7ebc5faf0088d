"""Alerts of other systems, from wherever they come: the command line, the socket, the listener."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from drd.api.incident_acts import known_plans
from drd.bootstrap import App
from drd.config.intake import load_mapping
from drd.flows.incidents.intake import Intake, Result
from drd.flows.incidents.writing import require_plans
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
) -> Result:
    """Record what is new in a message of another system. `of` is a user who may only report: what
    they bring becomes suspicions. `may_add` says to which incidents the author may add. Without a
    mapping, that of drd.yaml counts. Raises UsageError, ConfigError."""
    known = known_plans(app)
    require_plans(scope, known)
    own = app.settings.intake.mapping
    if mapping is None and own:
        mapping = load_mapping(Path(own))
    found = signals(raw, mapping, MOST_OF_READERS if of else MOST)
    intake = intake_of(app, author, frozenset(known), scope=scope, of=of)
    if may_add is not None and author.actor is not None:
        intake = replace(intake, user=author.actor.user, may_add=may_add)
    return replace(intake, ends_at=ends_at).take(found)


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
