"""Compose a message of an incident: who gets it, and what it says."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from drd.age import recipient
from drd.api.incident_scope import affected_of
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import zone_of
from drd.cli.incident_scope import readable_plans
from drd.config.templates import templates_of
from drd.errors import DrdError, UsageError
from drd.flows.incidents.messages import Sources, compose
from drd.flows.incidents.times import coming
from drd.model.incidents.audiences import Audience
from drd.model.incidents.incident import Incident
from drd.model.incidents.message_values import values
from drd.model.incidents.messages import Content
from drd.model.incidents.recipients import Addressed, Reach, Wanted, addressed
from drd.model.incidents.timeline import timeline
from drd.model.plan import Plan
from drd.model.text import escaped

_KEY = re.compile(r"[a-z][a-z0-9_]*")


def audience_of(word: str) -> Audience:
    """Return the audience of this name. Raises UsageError."""
    try:
        return Audience(word)
    except ValueError:
        raise UsageError(
            f"there is no audience {escaped(word)!r}", hint=f"use one of: {', '.join(Audience)}."
        ) from None


def reach_of(app: App, plans: Mapping[str, Plan], incident: Incident) -> Reach:
    """Return whom one can reach about an incident."""
    owners = [
        plans[name].inventory.business_owner
        for name in incident.plans
        if name in plans and plans[name].inventory.business_owner
    ]
    return app.channels.reach(list(dict.fromkeys(owners)))


def plans_of(app: App) -> dict[str, Plan]:
    """Return the plans that can be read; none if there are none."""
    try:
        return dict(readable_plans(app))
    except DrdError:
        return {}


def composed(
    app: App,
    args: argparse.Namespace,
    number: int,
    audience: Audience,
    now: datetime,
    *,
    only_shows: bool = False,
) -> Content:
    """Return the message that the options ask for. One that `only_shows` may have no recipients:
    then the person is warned. Raises UsageError, ConfigError."""
    incident = app.catalogue.incidents.get(number)
    plans = plans_of(app)
    wanted = Wanted(tuple(args.to), encrypt=args.encrypt)
    found: Sequence[Addressed] = ()
    try:
        found = addressed(audience, incident, reach_of(app, plans, incident), wanted)
    except UsageError as error:
        if not only_shows:
            raise
        output.complain(error.message, error.hint)
    for one in found:
        if one.recipient.key:
            recipient(one.recipient.key)  # an unusable key must not be found when it is sent
    templates = templates_of(app.settings)
    templates.require()
    promise = _promise(app, args, incident, now)
    said = _said(args)
    lines = timeline(incident, app.catalogue.incidents.entries(incident), UTC)

    def known(language: str) -> Mapping[str, Any]:
        return values(
            incident,
            lines=lines,
            affected=affected_of(incident, plans),
            said=said,
            now=now,
            next_update=promise,
            zone=zone_of(app),
            language=language,
        )

    sources = Sources(templates.texts, templates.files, templates.of, known)
    return compose(audience, args.template or str(audience), found, sources, promise)


def _promise(
    app: App, args: argparse.Namespace, incident: Incident, now: datetime
) -> datetime | None:
    if args.next_update == "none":
        return None
    if args.next_update is not None:
        return coming(args.next_update, now, zone_of(app))
    if not incident.is_open:
        return None
    return app.settings.cadence.promise(incident.severity, now)


def _said(args: argparse.Namespace) -> dict[str, str]:
    found = {"text": args.text} if args.text else {}
    for pair in args.set:
        key, separator, value = pair.partition("=")
        if not separator or not _KEY.fullmatch(key) or not value.strip():
            raise UsageError(
                f"--set {escaped(pair)!r} is not KEY=TEXT",
                hint='write a word and its text: --set action="Change your password."',
            )
        found[key] = value.strip()
    return found
