"""`drd runs`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.api import documents
from drd.cli import output, remote
from drd.cli.recorded import recorded_error
from drd.model.actor import Actor
from drd.model.text import without_output
from drd.model.units import bare_time, format_duration


def run(args: argparse.Namespace) -> int:
    document = remote.document(
        args,
        "/v1/runs",
        lambda app: documents.runs(app, args.plan, args.limit),
        plan=args.plan,
        limit=args.limit,
    )
    if args.json:
        output.print_json(document)
    elif not document["runs"]:
        output.say("nothing has run yet")
    else:
        rows = [_row(r) for r in document["runs"]]
        output.say(output.table(rows, header=_HEADER))
    return 0


_HEADER = ["RUN", "PLAN", "KIND", "STATE", "STARTED (UTC)", "TOOK", "TRIGGER", "WHAT WENT WRONG"]


def _row(run: dict[str, Any]) -> list[str]:
    took_s = run["duration_s"]
    started = bare_time(run["started_at"]) if run["started_at"] else ""
    took = format_duration(took_s) if took_s is not None else ""
    fact, _ = recorded_error(run)
    why = without_output(fact)
    kind = f"{run['kind']} {run['repository'] or ''}".rstrip()
    return [run["run"], run["plan"], kind, run["state"], started, took, _trigger(run), why]


def _trigger(run: dict[str, Any]) -> str:
    """`manual, root, logged in as anna`; for scheduled runs only the trigger."""
    actor = Actor.from_json(run["actor"])
    if actor is None or actor.came == "schedule":
        return str(run["trigger"])
    return f"{run['trigger']}, {actor.short()}"
