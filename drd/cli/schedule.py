"""`drd schedule`."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import count, global_options

if TYPE_CHECKING:
    from drd.bootstrap import App
    from drd.model.due import Due

SCREEN = 40
"""Starts that a terminal shows unless more are asked for."""

EXAMPLES = """\
examples:
  drd schedule                   what runs next, for how long, and why
  drd schedule orders-api        of one plan
  drd schedule --limit 5         the next five
  drd schedule --json | jq '.items[0]'"""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "schedule",
        help="what runs next, for how long, and why",
        description="The next start of every kind of run, as the daemon works it out.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="name of a plan")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--limit", type=count, metavar="N", help="the next N starts")
    length.add_argument(
        "--all", action="store_true", help="all, also where a terminal shows the next ones only"
    )
    parser.set_defaults(handler="drd.cli.schedule:run")


def run(args: argparse.Namespace) -> int:
    from drd.bootstrap import app

    with app(args.config, reading=True) as opened:
        now = opened.clock.now()
        plan = opened.known_plan(args.plan) if args.plan else None
        dues, unscheduled, gone = _agenda(opened, plan, now)
        if args.json:
            output.print_json({"items": [_item(d) for d in dues[: args.limit]]})
            return 0
        limit = args.limit or (SCREEN if sys.stdout.isatty() and not args.all else None)
        if dues:
            rows = [["PLAN", "KIND", "DUE (UTC)", "IN", "USUALLY", "WHY"]]
            output.say(output.table(rows + [_row(d, now) for d in dues[:limit]], shorten=True))
        else:
            output.say("nothing is scheduled: no plan says when, or no daemon has loaded one yet.")
        if limit is not None and len(dues) > limit:
            last = f"{dues[-1].at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            output.say(f"and {len(dues) - limit:,} more until {last}: drd schedule --all")
        for name in unscheduled:
            output.warn(f"{name} was loaded by an older drd: the daemon will work out its schedule")
        for name, file in gone.items():
            output.warn(f"nothing of {name} starts, since {file} is gone: drd plan forget {name}")
    return 0


def _agenda(
    app: App, plan: str | None, now: datetime
) -> tuple[list[Due], list[str], dict[str, str]]:
    """The next starts in order, the plans whose schedule is not known here, and those whose files are
    gone, with them."""
    from drd.flows.agenda import Agenda
    from drd.model.schedule import Schedule

    queue = app.catalogue.queue
    agenda = Agenda(queue)
    unknown, gone = [], {}
    for row in queue.plan_rows(None if plan is None else [plan]):
        if row.schedule is None:
            unknown.append(row.name)
        elif row.file and not os.path.exists(row.file):  # noqa: PTH110 (thousands of plans)
            gone[row.name] = row.file
        else:
            agenda.set_plan(row, Schedule.from_json(row.schedule), now)
    agenda.refresh(now, plan)
    return agenda.items(), unknown, gone


def _item(due: Due) -> dict[str, Any]:
    from drd.model.units import to_rfc3339

    return {
        "plan": due.job.plan,
        "kind": str(due.job.kind),
        "repository": (due.job.subject or None) if due.job.kind != "kit" else None,
        "due_at": to_rfc3339(due.at),
        "deadline": to_rfc3339(due.deadline),
        "expected_s": due.expected_s,
        "trigger": due.trigger,
        "why": due.why,
    }


def _row(due: Due, now: datetime) -> list[str]:
    from drd.model.units import format_duration

    ahead = (due.at - now).total_seconds()
    kind = f"{due.job.kind} {due.job.subject}".rstrip()
    return [
        due.job.plan,
        kind,
        f"{due.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        format_duration(ahead) if ahead > 0 else "now",
        format_duration(due.expected_s) if due.expected_s is not None else "",
        output.unmarked(due.why),
    ]
