"""`drd undo`."""

from __future__ import annotations

import argparse
from dataclasses import replace

from drd.cli import output
from drd.cli.aside import documents, line, run_and_plan, say_all
from drd.cli.confirm import confirm
from drd.cli.decide import who
from drd.cli.session import session
from drd.flows.restore.kept_copies import KeptState, is_so, require_undoable, standing_of, undo


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        run, plan = run_and_plan(app, args.run)
        services = app.services(plan)
        standing = standing_of(services, plan, run, args.component)
        if args.dry_run:
            return _say(standing, args, dry=True)
        require_undoable(services, plan, standing)
        if not args.yes and not is_so(standing, back=not args.redo):
            _say(standing, args, dry=True)
            confirm(
                plan.name,
                "an undo",
                "add --yes to confirm, or --dry-run to see what would happen.",
            )
        done = undo(
            services,
            plan,
            run,
            **who(args),
            back=not args.redo,
            components=args.component,
        )
    return _say(replace(done, gone=()), args, before=standing)


def _say(
    standing: KeptState,
    args: argparse.Namespace,
    *,
    dry: bool = False,
    before: KeptState | None = None,
) -> int:
    run = standing.run
    if args.json:
        if not dry or args.dry_run:
            output.print_json(
                {
                    "run": run.id,
                    "plan": run.plan,
                    "dry_run": dry,
                    "redo": args.redo,
                    "aside": documents(standing.held),
                    "missing": documents(standing.gone),
                }
            )
        return 0
    if args.quiet and not dry:
        return 0
    for aside in standing.gone:
        output.say(f"  missing    {line(aside)}")
    if before is not None:
        now = (
            "the data that the recovery restored"
            if args.redo
            else "the data from before the recovery"
        )
        for component, place in dict.fromkeys((a.component, a.place) for a in before.held):
            output.say(f"  in place   {component}: {place} now has {now}")
        say_all(standing.held, run.id)
        return 0
    for aside in standing.held:
        if aside.former is not args.redo:
            output.say(f"  would be put back           {line(aside)}")
        else:
            output.say(f"  stays a kept copy           {line(aside)}")
    if not standing.held:
        output.say(f"  there are no kept copies of run {run.id}")
    return 0
