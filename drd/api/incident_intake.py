"""Alerts of other systems, from wherever they come: the command line, the socket, the listener."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drd.api.incident_acts import known_plans
from drd.bootstrap import App
from drd.config.intake import load_mapping
from drd.flows.incidents.intake import Intake, Result
from drd.flows.incidents.writing import require_plans
from drd.model.incidents.entries import Author
from drd.model.intake.mapped import Mapped
from drd.model.intake.reading import signals


def take_in(
    app: App,
    author: Author,
    raw: bytes,
    *,
    mapping: Mapped | None = None,
    scope: Sequence[str] = (),
    of: str = "",
) -> Result:
    """Record what is new in a message of another system. `of` is a user who may only report: what
    they bring becomes suspicions. Without a mapping, that of drd.yaml counts. Raises UsageError,
    ConfigError."""
    known = known_plans(app)
    require_plans(scope, known)
    own = app.settings.intake.mapping
    if mapping is None and own:
        mapping = load_mapping(Path(own))
    found = signals(raw, mapping)
    return intake_of(app, author, frozenset(known), scope=scope, of=of).take(found)


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
