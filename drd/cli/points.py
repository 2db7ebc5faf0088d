"""`drd points`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output
from drd.cli.options import global_options

EXAMPLES = """\
examples:
  drd points orders-api
  drd points orders-api --json | jq -r '.points[0].point'"""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "points",
        help="the restore points of a plan",
        description="What the service could go back to, newest first, and which drill proved it.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.points:run")


def run(args: argparse.Namespace) -> int:
    from drd.api import documents
    from drd.cli import remote

    found = remote.document(
        args, f"/v1/plans/{args.plan}/points", lambda app: documents.points(app, args.plan)
    )
    if args.json:
        output.print_json(found)
    else:
        if found["points"] or not found["gone"]:
            _print(found["plan"], found["points"])
        if found["gone"]:
            where = ", ".join(f"{name} is {state}" for name, state in found["lost"].items())
            number = len(found["gone"])
            output.warn(f"{number} restore point{'s' * (number > 1)} cannot be had: {where}")
    return 0


def _print(plan: str, points: list[dict[str, Any]]) -> None:
    from drd.model.units import format_size

    if not points:
        output.say(f"{plan} has no restore point. Make one: drd backup {plan}")
        return
    rows = [
        [
            p["point"],
            p["data_time"][:19].replace("T", " "),
            _state(p)
            + (f", damaged in {', '.join(p['damaged'])}" if p["damaged"] else "")
            + (", made after the kit" if p["after_kit"] else ""),
            format_size(p["size_bytes"]),
            p["proven_by"] or "",
        ]
        for p in points
    ]
    output.say(
        output.table(
            rows, header=["POINT", "DATA TIME (UTC)", "STATE", "SIZE", "PROVEN BY"], keep=3
        )
    )


def _state(point: dict[str, Any]) -> str:
    if not point["repositories"] and point["elsewhere"]:
        places = ", ".join(
            f"{name} {known[:8]}".rstrip() for name, known in point["elsewhere"].items()
        )
        return f"at the old place: {places}"
    return "complete" if point["complete"] else "incomplete: " + _lacking(point["components"])


def _lacking(components: list[dict[str, Any]]) -> str:
    failed = [c["component"] for c in components if c["state"] == "failed"]
    if failed:
        return "lacks " + ", ".join(failed)
    return "only " + ", ".join(c["component"] for c in components)
