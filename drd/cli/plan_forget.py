"""`drd plan forget`: make drd forget a plan."""

from __future__ import annotations

import argparse
from pathlib import Path

from drd.bootstrap import App
from drd.cli import output
from drd.cli.confirm import confirm
from drd.cli.enduring import app_of
from drd.config.plan_search import plans_by_name
from drd.errors import UsageError
from drd.flows.log.left import Left
from drd.flows.log.left import forget as forget_kept
from drd.flows.log.left import kept as kept_by_servers
from drd.flows.restore.kept_copies import reminders
from drd.model.holds import held_points
from drd.model.text import counted
from drd.plan_files import plan_name
from drd.ports.plans import Records


def forget(args: argparse.Namespace) -> int:
    with app_of(args) as opened:
        known = opened.catalogue.plans.records(args.plan)
        _require_gone(opened, args.plan, known)
        kept = reminders(opened.catalogue, args.plan)
        for run, aside in kept:
            output.warn(
                f"recovery {run.id} keeps {output.unmarked(aside.kept)}, a copy of "
                f"{aside.component}. drd does not delete this copy, but without the plan no "
                "drd command can restore or remove it"
            )
        if not args.yes:
            output.say(f"plan {args.plan}: drd will remove from its records: {_counts(known)}")
            confirm(args.plan, "forgetting a plan", "add --yes to confirm.")
        now = opened.clock.now()
        held = held_points(opened.catalogue.keeping.holds(args.plan), now)
        gone = opened.catalogue.plans.forget(args.plan, now)
        left = _left(opened, args.plan)
        if args.json:
            output.print_json(
                {
                    "plan": args.plan,
                    "points": gone.points,
                    "runs": gone.runs,
                    "evidence": gone.evidence,
                    "held": sorted(held),
                    "kept": [aside.kept for _, aside in kept],
                    "slots": [{"component": one.component, "name": one.name} for one in left],
                }
            )
        elif not args.quiet:
            output.say(
                f"plan {args.plan}: removed from drd's records: {_counts(gone)}. Its open alerts "
                "are closed."
            )
            for point, reason in held.items():
                output.say(
                    f"  restore point {point} is held, so it stays in its repositories. "
                    f"Reason: {output.unmarked(reason)}"
                )
            output.say("  the backups of this plan stay: drd did not change the repositories")
    return 0


def _left(opened: App, plan: str) -> list[Left]:
    """Tell how a person removes what servers keep for the plan: without the plan, drd does not know
    how to reach them."""
    slots = kept_by_servers(opened.catalogue.queue, opened.services_without_plan().kinds, plan)
    for one in slots:
        output.warn(
            f"{one.text}, up to its max_slot_wal_keep_size. Without the plan, drd cannot drop the "
            f"slot. Run there as a superuser: {one.command}"
        )
        forget_kept(opened.catalogue.queue, one, opened.clock.now())
    return slots


def _require_gone(app: App, name: str, known: Records) -> None:
    files = plans_by_name(app.settings.plans_dir).get(name, [])
    if not files and Path(known.file).is_file() and plan_name(known.file) == name:
        files = [Path(known.file)]
    if files:
        raise UsageError(
            f"drd does not forget plan {name}, because its file still exists: {files[0]}",
            hint=f"if nobody needs the plan any more: rm {files[0]} && systemctl reload drd",
        )


def _counts(known: Records) -> str:
    numbers = (
        (known.points, "restore point", "restore points"),
        (known.runs, "run", "runs"),
        (known.evidence, "piece of evidence", "pieces of evidence"),
    )
    first, second, third = (counted(n, one, many) for n, one, many in numbers)
    return f"{first}, {second} and {third}"
