"""`drd rollback`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output
from drd.cli.decide import who
from drd.cli.session import session
from drd.flows.restore.resume import rollback, to_undo
from drd.model.text import noun


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        run = app.catalogue.runs.get(args.run)
        plan = app.plans.load_known(run.plan)
        if args.dry_run:
            records = {r.name: r for r in app.catalogue.steps.of_run(run.id)}
            can, cannot = to_undo(plan, records)
            return _say(args, run.id, can, cannot, dry=True)
        undone = rollback(app.services(plan), plan, run, **who(args, app.settings))
    _say(args, run.id, undone.steps, undone.left, failed=undone.failed)
    if undone.error is not None:
        output.complain(
            f"cannot roll back step {undone.failed}: {undone.error.message}", undone.error.hint
        )
        return 1
    return 0


def _say(
    args: argparse.Namespace,
    run: str,
    steps: Any,
    left: Any,
    *,
    failed: str | None = None,
    dry: bool = False,
) -> int:
    if args.json:
        output.print_json(
            {
                "run": run,
                "dry_run": dry,
                "rolled_back": list(steps),
                "left": list(left),
                "failed": failed,
            }
        )
    elif not args.quiet:
        for name in steps:
            output.say(f"  {'would roll back' if dry else 'rolled back'}  step {name}")
        if left:
            output.say(
                "  not rolled back: "
                f"{noun(len(left), 'step')} {', '.join(left)} "
                f"({noun(len(left), 'it has', 'they have')} no `rollback` in the plan)"
            )
    return 0
