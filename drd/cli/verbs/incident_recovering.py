"""Options of the verbs of `drd incident` about the way back: clean-points."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, incident_verb, reader


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
