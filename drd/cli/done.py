"""`drd done`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from drd.cli import output
from drd.cli.aside import documents, line, run_and_plan
from drd.cli.confirm import confirm
from drd.cli.decide import agreed, who
from drd.cli.session import session
from drd.flows.restore.kept_copies import KeptState, remove_kept_copies, standing_of
from drd.ports import Aside


def run(args: argparse.Namespace) -> int:
    if args.step is None:
        return _with_all(args)
    return agreed(args, "done", "done")


def _with_all(args: argparse.Namespace) -> int:
    with session(args) as app:
        run, plan = run_and_plan(app, args.run)
        services = app.services(plan)
        standing = standing_of(services, plan, run)
        held = standing.held
        if args.dry_run:
            return _say(args, standing)
        if held and not args.yes:
            _tell(held, "would remove")
            confirm(
                plan.name,
                "removing kept copies",
                "add --yes to confirm, or --dry-run to see what would happen.",
            )
        remove_kept_copies(services, plan, run, comment=args.comment, **who(args))
    return _say(args, standing)


def _say(args: argparse.Namespace, standing: KeptState) -> int:
    run, held = standing.run, standing.held
    if args.json:
        removed = documents(held)
        output.print_json(
            {
                "run": run.id,
                "plan": run.plan,
                "dry_run": args.dry_run,
                "removed": removed,
                "missing": documents(standing.gone),
            }
        )
    elif not args.quiet:
        _tell(held, "would remove" if args.dry_run else "removed")
        _tell(standing.gone, "already missing")
        if not held:
            output.say(f"there are no kept copies of run {run.id}")
    return 0


def _tell(held: Sequence[Aside], what: str) -> None:
    for aside in held:
        output.say(f"  {what}  {line(aside)}")
