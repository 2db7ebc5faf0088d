"""`drd schedule`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from drd.api import documents
from drd.cli import output, remote
from drd.model.text import escaped, left_out
from drd.model.units import bare_time, format_duration, format_rfc3339, from_rfc3339

SCREEN = 40
"""Starts that a terminal shows without --all or --limit."""


def run(args: argparse.Namespace) -> int:
    document = remote.document(
        args, "/v1/schedule", lambda app: documents.schedule(app, args.plan), plan=args.plan
    )
    dues = document["items"]
    if args.json:
        output.print_json({**document, "items": dues[: args.limit]})
        return 0
    limit = args.limit or (SCREEN if sys.stdout.isatty() and not args.all else None)
    if dues:
        now = datetime.now(UTC)
        header = ["PLAN", "KIND", "DUE (UTC)", "IN", "USUALLY", "WHY"]
        output.say(output.table([_row(d, now) for d in dues[:limit]], header=header))
    else:
        output.say(
            "no run is scheduled: either the plans do not have a schedule, or the daemon has "
            "not loaded a plan yet."
        )
    if limit is not None and len(dues) > limit:
        last = format_rfc3339(dues[-1]["due_at"])
        output.say(f"{left_out(len(dues) - limit).strip()} until {last}: drd schedule --all")
    for name in document["unknown"]:
        output.warn(
            f"an older drd loaded plan {escaped(name)}: its schedule is unknown until the daemon "
            "loads the plan again"
        )
    for name, file in document["gone"].items():
        output.warn(
            f"no run of plan {escaped(name)} starts any more, because its file {escaped(file)} is "
            f"gone. To put the file back, print its text: drd plan show {escaped(name)} --loaded. "
            f"To forget the plan: drd plan forget {escaped(name)}"
        )
    return 0


def _row(due: dict[str, Any], now: datetime) -> list[str]:
    at = from_rfc3339(due["due_at"])
    ahead = (at - now).total_seconds()
    kind = f"{due['kind']} {due['repository'] or ''}".rstrip()
    return [
        due["plan"],
        kind,
        bare_time(due["due_at"]),
        format_duration(ahead) if ahead > 0 else "now",
        format_duration(due["expected_s"]) if due["expected_s"] is not None else "",
        due["why"],
    ]
