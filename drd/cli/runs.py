"""`drd runs`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import count, global_options

if TYPE_CHECKING:
    from datetime import datetime

    from drd.model.run import Run

EXAMPLES = """\
examples:
  drd runs                    the newest of all plans
  drd runs orders-api --limit 5
  drd runs --json | jq '.runs[] | select(.state == "failed")'"""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "runs",
        help="what ran, and how it ended",
        description="Runs, newest first.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="only this plan's")
    parser.add_argument("--limit", type=count, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.runs:run")


def run(args: argparse.Namespace) -> int:
    from drd.bootstrap import app

    with app(args.config, reading=True) as opened:
        plan = opened.known_plan(args.plan) if args.plan else None
        runs = opened.catalogue.runs(plan, limit=args.limit)
        if args.json:
            output.print_json({"runs": [document(r) for r in runs]})
        elif not runs:
            output.say("nothing has run yet")
        else:
            output.say(output.table([_row(r) for r in runs], header=_HEADER, keep=4, shorten=True))
    return 0


def document(run: Run) -> dict[str, Any]:
    from drd.model.units import to_rfc3339

    return {
        "run": run.id,
        "plan": run.plan,
        "kind": str(run.kind),
        "repository": run.subject or None,
        "trigger": run.trigger,
        "actor": run.actor.to_json() if run.actor else None,
        "cancel_actor": run.cancel_actor.to_json() if run.cancel_actor else None,
        "why": run.detail.get("why"),
        "state": str(run.state),
        "due_at": to_rfc3339(run.due_at) if run.due_at else None,
        "started_at": to_rfc3339(run.started_at) if run.started_at else None,
        "finished_at": to_rfc3339(run.finished_at) if run.finished_at else None,
        "deadline_at": to_rfc3339(at) if (at := deadline(run)) else None,
        "duration_s": run.duration_s,
        "error": output.unmarked(run.error) if run.error else None,
    }


def deadline(run: Run) -> datetime | None:
    """By when it has to be over, or is ended; None without a bound, or as long as it waits."""
    from datetime import timedelta

    timeout_s = run.detail.get("timeout_s")
    if timeout_s is None or run.started_at is None:
        return None
    return run.started_at + timedelta(seconds=float(timeout_s))


_HEADER = ["RUN", "PLAN", "KIND", "STATE", "STARTED (UTC)", "TOOK", "TRIGGER", "WHAT WENT WRONG"]


def _row(run: Run) -> list[str]:
    from drd.model.units import format_duration

    started = f"{run.started_at:%Y-%m-%d %H:%M:%S}" if run.started_at else ""
    took = format_duration(run.duration_s) if run.duration_s is not None else ""
    why = _in_a_line(run.error.partition(" (hint: ")[0]) if run.error else ""
    kind = f"{run.kind} {run.subject}".rstrip()
    return [run.id, run.plan, kind, str(run.state), started, took, _trigger(run), why]


def _trigger(run: Run) -> str:
    """`manual, root, logged in as anna`; of what was due nothing but how it came."""
    if run.actor is None or run.actor.came == "schedule":
        return run.trigger
    return f"{run.trigger}, {run.actor.short()}"


def _in_a_line(error: str) -> str:
    """The first line, and what it announces."""
    first, *others = error.splitlines() or [""]
    announced = "; ".join(line.strip() for line in others)
    return f"{first} {announced}" if first.endswith(":") else first
