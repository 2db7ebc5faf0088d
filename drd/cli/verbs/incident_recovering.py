"""Options of the verbs of `drd incident` about the way back: clean-points, rotated."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, TIMES, entry, incident_verb, reader, reason


def recovering(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    points = incident_verb(
        verbs,
        "clean-points",
        "which restore point is from before the first sign, and can be relied on",
        "incident_clean_points:run",
        examples="drd incident clean-points\n"
        "drd incident clean-points 3 --plan orders-api\n"
        "drd incident clean-points 3 --all --json",
        description="Show for each plan in the scope the restore points before and after the first "
        "sign of the incident: what a recovery would lose, whether a drill passed, and what "
        "changed unusually against the point before. drd marks the newest one that is sound and "
        "whose data is all from before the first sign, and says why. drd recover PLAN --incident N "
        "--clean restores exactly that one. The first sign is the earliest of the moments "
        "occurred, first_alert and suspected, and of the times when indicators were seen; else "
        "the time when the incident was opened.",
    )
    points.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    points.add_argument("--plan", metavar="PLAN", help="only this plan of the scope")
    points.add_argument(
        "--all", action="store_true", help="show all restore points, not only those nearest to the "
        "first sign",
    )  # fmt: skip
    reader(points)
    rotated = entry(
        verbs,
        "rotated",
        "record that a credential was replaced",
        "CREDENTIAL",
        examples="drd incident rotated stripe-key --by anna\n"
        "drd incident rotated 3 stripe-key --plan orders-api --at 14:30\n"
        'drd incident rotated --withdraw 214 --reason "the old key still works"',
        description="Record that a credential of the service was replaced, by its name under "
        "`credentials:` of the plan: an attacker does not know it any more. What was not rotated "
        "since the first sign must be approved in drd recover --incident N --clean before the "
        "service is used. drd records what you say; it does not try the credential.",
    )
    rotated.add_argument(
        "--plan", metavar="PLAN", help="only for this plan (default: all of the scope that name "
        "the credential)",
    )  # fmt: skip
    rotated.add_argument(
        "--at", metavar="TIME", help=f"when it was replaced: {TIMES} (default: now)"
    )
    rotated.add_argument(
        "--withdraw", type=count, metavar="ENTRY", help="withdraw this entry: it was not rotated"
    )
    reason(rotated, "why it is withdrawn")
