"""Options of the verbs of `drd incident` for evidence and recovery: preserve, clean-points,
rotated."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, TIMES, author, entry, incident_verb, reader, reason


def recovering(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    _preserve(verbs)
    points = incident_verb(
        verbs,
        "clean-points",
        "which restore point is clean: from before the first sign, and sound",
        "incident_clean_points:run",
        examples="drd incident clean-points\n"
        "drd incident clean-points 3 --plan orders-api\n"
        "drd incident clean-points 3 --all --json",
        description="Show for each plan in the scope the restore points before and after the first "
        "sign of the incident: what a recovery would lose, whether a drill passed, and what "
        "changed unusually since the previous point. drd marks the clean point, and explains the "
        "choice: the newest sound point whose data is all from before the first sign. drd recover "
        "PLAN --incident N --clean restores exactly this point. The first sign is the earliest of "
        "the moments occurred, first_alert, suspected, discovered, aware and "
        "notified_by_third_party, of the times when indicators were seen, and of the time when the "
        "incident was opened.",
    )
    points.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    points.add_argument("--plan", metavar="PLAN", help="show only this plan of the scope")
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
        description="Record that a credential of the service was replaced, so that an attacker "
        "does not know it any more. CREDENTIAL is its name under `credentials:` in the plan. If a "
        "credential was not replaced since the first sign, a person must approve this in drd "
        "recover --incident N --clean before the service is used. drd does not test the "
        "credential.",
    )
    rotated.add_argument(
        "--plan", metavar="PLAN", help="record this only for this plan (default: all plans in the "
        "scope that have a credential of this name)",
    )  # fmt: skip
    rotated.add_argument(
        "--at", metavar="TIME", help=f"when the credential was replaced: {TIMES} (default: now)"
    )
    rotated.add_argument(
        "--withdraw",
        type=count,
        metavar="ENTRY",
        help="withdraw this entry: the credential was not replaced",
    )
    reason(rotated, "why the entry is withdrawn")


def _preserve(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    keep = incident_verb(
        verbs,
        "preserve",
        "preserve evidence (processes, files, databases) before it is overwritten",
        "incident_preserve:run",
        examples='drd incident preserve --reason "before we contain it" --by anna\n'
        'drd incident preserve 3 --plan orders-api --path /var/log/nginx --reason "the logs"\n'
        'drd incident preserve --volatile --reason "before we cut the host off"\n'
        "drd incident preserve --rehearse --plan orders-api\n"
        "drd incident preserve 3 --list\n"
        "drd incident preserve 3 --verify 4f2a\n"
        "drd incident preserve 3 --export 4f2a --output /srv/evidence-3\n"
        'drd incident preserve 3 --release 4f2a --reason "the case is closed" --by anna',
        description="Preserve evidence: take a forensic snapshot of a plan in the scope, without "
        "the hooks of the plan. drd first stores what soon disappears (processes, connections, "
        "logins, states of units, the journal of the last hours), then files, then databases. The "
        "evidence is in a repository of the plan, is not a restore point, and stays until somebody "
        "releases it. drd reads all of it back, keeps a list of SHA-256 digests, and records who "
        "took, verified, exported and released the evidence. drd names what it could not read: run "
        "this command as root, so that drd can read everything.",
    )
    keep.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    keep.add_argument(
        "--plan", metavar="PLAN", help="a plan in the scope (default: the only plan in the scope)"
    )
    keep.add_argument(
        "--component", action="append", default=[], metavar="C", help="preserve only this "
        "component; may be given several times (default: all components of the plan)",
    )  # fmt: skip
    keep.add_argument(
        "--path", action="append", default=[], metavar="PATH", help="also preserve this file or "
        "directory of this host; may be given several times",
    )  # fmt: skip
    keep.add_argument(
        "--volatile", action="store_true", help="preserve no component of the plan, only what soon "
        "disappears and each --path: this takes seconds",
    )  # fmt: skip
    keep.add_argument(
        "--rehearse", action="store_true", help="practise: preserve everything in a new repository "
        "for this run alone, which drd removes afterwards; needs --plan, and no incident",
    )  # fmt: skip
    keep.add_argument(
        "--repository", metavar="NAME", help="keep the evidence in this repository of the plan "
        "(default: the repository of the backups)",
    )  # fmt: skip
    keep.add_argument(
        "--list", action="store_true", help="show the preserved evidence, and its chain of custody"
    )
    keep.add_argument(
        "--verify", metavar="ID", help="read this evidence again, and compare it with its digests"
    )
    keep.add_argument(
        "--export", metavar="ID", help="write this evidence into the new directory of --output"
    )
    keep.add_argument("--output", metavar="DIR", help="the new directory for --export")
    keep.add_argument(
        "--release", metavar="ID", help="release this evidence: forget its snapshots for good"
    )
    author(keep)
    reason(keep, "why the evidence is preserved, or released")
