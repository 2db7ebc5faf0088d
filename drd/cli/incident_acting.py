"""Act in an incident: users who own the state act here, others through the daemon."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from drd.api.incident_acts import ACTS, acted_document, opened
from drd.api.incident_asked import ONLY
from drd.api.incident_documents import incident_document
from drd.api.incident_requests import OpenBody
from drd.bootstrap import App
from drd.cli import output
from drd.cli.decide import who
from drd.cli.remote import Remote
from drd.cli.session import session
from drd.config.zones import local_zone
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk
from drd.model.clock import doubt
from drd.model.incidents.entries import Author


def author(app: App, args: argparse.Namespace, *, left_out: bool = False) -> Author:
    """Return who makes an entry now. `left_out`: no number was given. Warns if the time of the
    entry is evidently wrong: a signed entry is never changed."""
    head, now = app.catalogue.records.head(), app.clock.now()
    newest = head.header.at if head is not None else None
    what = f"entry {head.seq} of the records" if head is not None else ""
    why = doubt(now, newest, what)
    if why is not None and not args.quiet:
        output.warn(
            f"{why}. Check the clock: timedatectl. To give the right time of an entry: --at TIME"
        )
    said = who(args, app.settings)
    name = app.settings.users.get(said["by"], said["by"]) if args.by is None else args.by
    return Author(str(name), now, said["actor"], left_out)


def zone_of(app: App) -> ZoneInfo:
    """Return the zone in which people type times without an offset, and in which screens of
    incidents show times."""
    return local_zone(app.settings.timezone)


def acted(
    app: App, args: argparse.Namespace, verb: str, number: int | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Execute the verb, and return the document of the incident. Raises UsageError."""
    if not app.state.is_ours:
        return Remote(app).post(f"{path_of(number)}/{verb}", by=args.by, **given)
    takes, act = ACTS[verb]
    which = chosen(app.catalogue, number)
    said = author(app, args, left_out=number is None)
    desk = Desk(app.catalogue, which, said, zone_of(app))
    # Not validated: on this host, a text may be longer than in a request.
    return acted_document(act(app, desk, takes.model_construct(**given)), desk)


def warn_of_notes(document: Mapping[str, Any]) -> None:
    """Warn the person who acted of what drd noticed about the act."""
    for note in document.get("notes", ()):  # an older service gives none
        output.warn(note)


def newly_opened(app: App, args: argparse.Namespace, given: Mapping[str, Any]) -> dict[str, Any]:
    """Open an incident, and return its document. Raises UsageError."""
    if not app.state.is_ours:
        return Remote(app).post("/v1/incidents/open", by=args.by, **given)
    return incident_document(opened(app, author(app, args), OpenBody.model_construct(**given)))


def path_of(number: int | None) -> str:
    """Return the path of an incident in the daemon's API; None: the only open one."""
    return f"/v1/incidents/{ONLY if number is None else number}"


def zoned(
    args: argparse.Namespace, path: str, here: Callable[[App], Mapping[str, Any]], **query: Any
) -> tuple[dict[str, Any], ZoneInfo]:
    """Return the document, from here or from the daemon, and the zone of its times."""
    with session(args, reading=True) as app:
        told = dict(here(app)) if app.state.is_ours else Remote(app).get(path, **query)
        return told, zone_of(app)
