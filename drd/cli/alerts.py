"""`drd alerts`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from datetime import datetime

    from drd.cli.render import Note
    from drd.model.alerts import Alert

EXAMPLES = """\
examples:
  drd alerts                    what is bad now, the worst first
  drd alerts orders-api --all   also what is over
  drd alerts --json | jq -r '.alerts[] | select(.severity == "critical") | .message'"""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "alerts",
        help="what is bad now, and who takes care of it",
        description="Lasting bad conditions that drd found by itself. The daemon looks for them, "
        "tells the channels of drd.yaml, and resolves them when they stayed away.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="only this plan's")
    parser.add_argument("--all", action="store_true", help="also the newest that are resolved")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.alerts:run")


def run(args: argparse.Namespace) -> int:
    from drd.bootstrap import app

    with app(args.config, reading=True) as opened:
        plan = opened.known_plan(args.plan) if args.plan else None
        found = _sorted(opened.catalogue.alerts.history(plan, limit=50 if args.all else 0))
        now = opened.clock.now()
    if args.json:
        output.print_json({"alerts": [document(a) for a in found]})
    elif not found:
        output.say("there was no alert yet" if args.all else "no alert is open")
    else:
        _print(found, now, output.colours(args.no_color))
    return 0


def document(alert: Alert) -> dict[str, Any]:
    from drd.model.units import to_rfc3339

    def time(at: datetime | None) -> str | None:
        return to_rfc3339(at) if at else None

    return {
        "alert": alert.id,
        "plan": alert.plan,
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": alert.severity,
        "state": alert.state,
        "since": time(alert.since),
        "message": alert.message,
        "command": alert.command,
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_until": time(alert.acknowledged_until),
        "acknowledged_why": alert.acknowledged_why,
        "acknowledged_actor": actor.to_json() if (actor := alert.acknowledged_actor) else None,
        "resolved_at": time(alert.resolved_at),
    }


_STATES = ("firing", "acknowledged", "resolved")
_STYLES = {"critical": "bad", "warning": "warn", "info": ""}


def _sorted(found: Sequence[Alert]) -> list[Alert]:
    """What nobody takes care of first, then the worst, then the oldest; of what is over, the
    newest."""
    from drd.model.alerts import rank

    def order(alert: Alert) -> tuple[int, int, float]:
        if alert.resolved_at is not None:
            return _STATES.index("resolved"), 0, -alert.resolved_at.timestamp()
        return _STATES.index(alert.state), rank(alert.severity), alert.since.timestamp()

    return sorted(found, key=order)


def _print(found: Sequence[Alert], now: datetime, colour: bool) -> None:
    import sys

    from drd.cli.render import notes, terminal_width

    items = [note for alert in found for note in _notes(alert, now)]
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
    return f"{len(still)} alert{'s' if len(still) != 1 else ''}: {', '.join(parts)}"


def _notes(alert: Alert, now: datetime) -> list[Note]:
    """What it is, with the command to run next; then since when, and who takes care."""
    from drd.cli.render import Cell, Note

    is_open = alert.resolved_at is None
    style = _STYLES.get(alert.severity, "") if alert.state == "firing" else ""
    text = f"{alert.plan or 'drd'}: {alert.message}"
    what = Note(alert.id, Cell(text, style), alert.command if is_open else "")
    return [what, Note(alert.id, Cell(f"{alert.severity}, {_since(alert, now)}", "dim"), "")]


def _since(alert: Alert, now: datetime) -> str:
    from drd.flows.alert_messages import acknowledgement
    from drd.model.exposure import age
    from drd.model.units import format_duration

    if alert.resolved_at is not None:
        lasted = age(alert.since, alert.gone_at or alert.resolved_at)
        ago = format_duration(age(alert.resolved_at, now))
        return f"resolved {ago} ago, lasted {format_duration(lasted)}"
    lasts = f"for {format_duration(age(alert.since, now))}"
    if alert.state == "acknowledged":
        return f"{lasts}, acknowledged {acknowledgement(alert)}"
    return f"firing {lasts}"
