"""Options of the verbs of `drd incident` about what is kept and the way back: preserve,
clean-points, rotated."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, TIMES, author, entry, incident_verb, reader, reason


def recovering(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    _preserve(verbs)
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
        "occurred, first_alert, suspected, discovered, aware and notified_by_third_party, of the "
        "times when indicators were seen, and of the time when the incident was opened.",
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


def _preserve(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    keep = incident_verb(
        verbs,
        "preserve",
        "preserve evidence before it is overwritten: processes, files, databases",
        "incident_preserve:run",
        examples='drd incident preserve --reason "before we contain it" --by anna\n'
        'drd incident preserve 3 --plan orders-api --path /var/log/nginx --reason "the logs"\n'
        "drd incident preserve 3 --list\n"
        "drd incident preserve 3 --verify 4f2a\n"
        "drd incident preserve 3 --export 4f2a --output /srv/for-the-police\n"
        'drd incident preserve 3 --release 4f2a --reason "the case is closed" --by anna',
        description="Take a forensic snapshot of a plan in the scope, without its hooks: first "
        "what is gone soon (processes, connections, logins, states of units, the journal of the "
        "last hours), then files, then databases. It lies in a repository of the plan, is no "
        "restore point, and stays until somebody releases it. drd reads all of it back, keeps a "
        "list of SHA-256 digests, and records who took, verified, exported and released it. What "
        "could not be read is named: run it as root.",
    )
    keep.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    keep.add_argument(
        "--plan", metavar="PLAN", help="a plan in the scope (default: the only one there)"
    )
    keep.add_argument(
        "--component", action="append", default=[], metavar="C", help="only this component; may be "
        "given several times (default: all of the plan)",
    )  # fmt: skip
    keep.add_argument(
        "--path", action="append", default=[], metavar="PATH", help="also this file or directory "
        "of this host; may be given several times",
    )  # fmt: skip
    keep.add_argument(
        "--repository", metavar="NAME", help="keep it in this repository of the plan (default: "
        "that of the backups)",
    )  # fmt: skip
    keep.add_argument(
        "--list", action="store_true", help="show what was preserved, and its chain of custody"
    )
    keep.add_argument(
        "--verify", metavar="ID", help="read it all again, and compare it with its digests"
    )
    keep.add_argument("--export", metavar="ID", help="write it into the new directory of --output")
    keep.add_argument("--output", metavar="DIR", help="a new directory for --export")
    keep.add_argument(
        "--release", metavar="ID", help="hold it no longer: forget its snapshots for good"
    )
    author(keep)
    reason(keep, "why it is preserved, or released")
