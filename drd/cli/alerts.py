"""`drd alerts`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from drd.api import alert_documents
from drd.cli import output, remote
from drd.cli.render import notes, terminal_width
from drd.flows.alerts.messages import acknowledgement
from drd.model.actor import Actor
from drd.model.alerts import Alert
from drd.model.cells import Cell, Note
from drd.model.clock import age
from drd.model.text import counted
from drd.model.units import format_duration, format_time, from_rfc3339


def run(args: argparse.Namespace) -> int:
    document = remote.document(
        args,
        "/v1/alerts",
        lambda app: alert_documents.alerts(app, args.plan, all_of_them=args.all),
        plan=args.plan,
        all=args.all,
    )
    alerts = [alert_of(a) for a in document["alerts"]]
    passing = {a["alert"] for a in document["alerts"] if not a["holds"]}
    if args.json:
        output.print_json(document)
    elif not alerts:
        output.say("there has been no alert yet" if args.all else "no alert is open")
    else:
        _print(alerts, passing, datetime.now(UTC), output.colours(args.no_color))
    if not document["watched"] and not args.json:
        output.warn(
            "no daemon runs, so nothing checks for problems, and drd status shows the last known "
            "state. Start the daemon: systemctl start drd"
        )
    return 0


_SAME = {f.name for f in fields(Alert)} - {"id", "acknowledged_actor"}
"""The fields of an alert that have the same name in its document."""


def alert_of(document: dict[str, Any]) -> Alert:
    """Return the alert from its document."""
    values = {k: v for k, v in document.items() if k in _SAME}
    for key in ("since", "acknowledged_until", "gone_at", "resolved_at"):
        values[key] = from_rfc3339(values[key]) if values[key] else None
    actor = Actor.from_json(document["acknowledged_actor"])
    return Alert(id=document["alert"], acknowledged_actor=actor, **values)


_STYLES = {"critical": "bad", "warning": "warn", "info": ""}


def _print(found: Sequence[Alert], passing: Collection[str], now: datetime, colour: bool) -> None:
    items = [note for alert in found for note in _notes(alert, now, holds=alert.id not in passing)]
    lines = notes(items, width=terminal_width(sys.stdout), colour=colour)
    output.say("\n".join([_counts(found), "", *lines]))


def _counts(found: Sequence[Alert]) -> str:
    still = [a for a in found if a.resolved_at is None]
    if not still:
        return "no alert is open"
    parts = [
        f"{count} {severity}"
        for severity in _STYLES
        if (count := sum(a.severity == severity for a in still))
    ]
    silent = sum(a.state == "acknowledged" for a in still)
    parts += [f"{silent} of them acknowledged"] if silent else []
    return f"{counted(len(still), 'alert')}: {', '.join(parts)}"


def _notes(alert: Alert, now: datetime, *, holds: bool) -> list[Note]:
    """Return the alert's text with the command to run next; then since when, and who takes care. An
    alert whose condition is gone says so before its text, which is in the present tense.
    """
    style = _STYLES.get(alert.severity, "") if alert.state == "firing" and holds else ""
    over = "" if holds and alert.resolved_at is None else f"{_over(alert, now)}: "
    what = Cell(f"{alert.plan or 'drd'}: {over}{alert.text}", style)
    since = Cell(f"{alert.severity}, {_since(alert, now, holds=holds)}", "dim")
    return [Note(alert.id, what, "" if over else alert.remedy), Note(alert.id, since, "")]


def _over(alert: Alert, now: datetime) -> str:
    """Return since when the condition is gone, if the daemon has noticed."""
    gone_at = alert.gone_at or alert.resolved_at
    return (
        f"the problem ended at {_moment(gone_at, now)}"
        if gone_at is not None
        else "the problem has ended"
    )


def _moment(at: datetime, now: datetime) -> str:
    return f"{format_time(at, seconds=True)}, {format_duration(age(at, now))} ago"


def _since(alert: Alert, now: datetime, *, holds: bool) -> str:
    began = format_time(alert.since, seconds=True)
    if alert.resolved_at is not None or not holds:
        gone_at = alert.gone_at or alert.resolved_at
        lasted = f", lasted {format_duration(age(alert.since, gone_at))}" if gone_at else ""
        if alert.resolved_at is not None:
            return f"since {began}{lasted}, resolved"
        return (
            f"since {began}{lasted}; the daemon resolves the alert if the problem does not return"
        )
    lasts = f"since {_moment(alert.since, now)}"
    if alert.state == "acknowledged":
        return f"{lasts}, acknowledged {acknowledgement(alert)}"
    return f"firing {lasts}"
