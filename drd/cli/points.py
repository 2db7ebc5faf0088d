"""`drd points`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from collections.abc import Collection

    from drd.model.snapshot import RestorePoint

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
    from drd.bootstrap import app

    with app(args.config, reading=True) as opened:
        name = opened.known_plan(args.plan)
        points = opened.catalogue.points(name, elsewhere=True)
        base = opened.catalogue.kit_base(name)
        known = set(opened.catalogue.seals(name)) if base is not None else {p.id for p in points}
        after = {p.id for p in points if p.id not in known}
        if args.json:
            documents = [_document(p) | {"after_kit": p.id in after} for p in points]
            output.print_json({"plan": name, "points": documents})
        else:
            _print(name, points, after)
    return 0


def _document(point: RestorePoint) -> dict[str, Any]:
    from drd.model.units import to_rfc3339

    return {
        "point": point.id,
        "data_time": to_rfc3339(point.data_time),
        "available_at": to_rfc3339(point.available_at),
        "complete": point.complete,
        "size_bytes": point.size_bytes,
        "repositories": sorted(point.repositories),
        "elsewhere": dict(point.elsewhere),
        "proven_by": point.proven_by,
        "components": [
            {
                "component": c.component,
                "kind": c.kind,
                "state": c.state,
                "snapshot": c.snapshot,
                "data_time": to_rfc3339(c.data_time) if c.data_time else None,
                "bytes": c.bytes,
                "error": output.unmarked(c.error) if c.error else None,
            }
            for c in point.components
        ],
    }


def _print(plan: str, points: list[RestorePoint], after: Collection[str]) -> None:
    from drd.model.units import format_size

    if not points:
        output.say(f"{plan} has no restore point. Make one: drd backup {plan}")
        return
    rows = [
        [
            p.id,
            f"{p.data_time:%Y-%m-%d %H:%M:%S}",
            _state(p) + (", made after the kit" if p.id in after else ""),
            format_size(p.size_bytes),
            p.proven_by or "",
        ]
        for p in points
    ]
    output.say(
        output.table(
            rows, header=["POINT", "DATA TIME (UTC)", "STATE", "SIZE", "PROVEN BY"], keep=3
        )
    )


def _state(point: RestorePoint) -> str:
    if not point.repositories and point.elsewhere:
        places = ", ".join(
            f"{name} {known[:8]}".rstrip() for name, known in point.elsewhere.items()
        )
        return f"at the old place: {places}"
    return "complete" if point.complete else "incomplete: " + _lacking(point)


def _lacking(point: RestorePoint) -> str:
    failed = [c.component for c in point.components if c.state == "failed"]
    return (
        "lacks " + ", ".join(failed)
        if failed
        else "only " + ", ".join(c.component for c in point.components)
    )
