"""`drd rollback`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from drd.cli import output
from drd.cli.decide import who
from drd.cli.playbook_run import ordered_again
from drd.cli.session import session
from drd.flows.playbooks.run import roll_back_playbook
from drd.flows.playbooks.standing import newer
from drd.flows.restore.resume import rollback
from drd.flows.runbook.taking_back import to_undo
from drd.model.plan import Plan
from drd.model.playbook import Playbook
from drd.model.run import RunKind
from drd.model.text import escaped, noun


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        run = app.catalogue.runs.get(args.run)
        contains = run.kind is RunKind.PLAYBOOK
        plan = app.runbook_of(run) if contains else app.plans.load_known(run.plan)
        if args.dry_run:
            records = {r.name: r for r in app.catalogue.steps.of_run(run.id)}
            can, cannot = to_undo(plan.runbook, records)
            if isinstance(plan, Playbook):
                for one in newer(app.catalogue, plan, run):
                    output.warn(
                        f"the later run {one.run.id} still stands (step {', '.join(one.steps)}). "
                        f"Roll it back first: drd rollback {one.run.id}"
                    )
            return _say(args, run.id, can, cannot, dry=True, book=plan)
        said = who(args, app.settings)
        if isinstance(plan, Playbook):
            ordered = ordered_again(app, run, args)
            undone = roll_back_playbook(app.services_without_plan(), ordered, run, **said)
        else:
            undone = rollback(app.services(plan), plan, run, **said)
    _say(args, run.id, undone.steps, undone.left, failed=undone.failed, book=plan)
    if undone.error is not None:
        output.complain(
            f"cannot roll back step {undone.failed}: {undone.error.message}", undone.error.hint
        )
        return 1
    return 0


def _final(book: Plan | Playbook) -> Mapping[str, str]:
    """Return the steps that drd cannot roll back, with the reasons."""
    return {s.name: s.live.final for s in book.runbook if s.live is not None and s.live.final}


def _say(
    args: argparse.Namespace,
    run: str,
    steps: Any,
    left: Any,
    *,
    failed: str | None = None,
    dry: bool = False,
    book: Plan | Playbook,
) -> int:
    final = _final(book)
    file = "playbook" if isinstance(book, Playbook) else "plan"
    stays = {name: final[name] for name in left if name in final}
    left = [name for name in left if name not in stays]
    if args.json:
        output.print_json(
            {
                "run": run,
                "dry_run": dry,
                "rolled_back": list(steps),
                "left": list(left),
                "failed": failed,
                "final": stays,
            }
        )
    elif not args.quiet:
        for name in steps:
            output.say(f"  {'would roll back' if dry else 'rolled back'}  step {name}")
        for name, why in stays.items():
            output.say_below("  stays        ", f"step {name}: {escaped(why)}")
        if left:
            output.say(
                "  not rolled back: "
                f"{noun(len(left), 'step')} {', '.join(left)} "
                f"({noun(len(left), 'it has', 'they have')} no `rollback` in the {file})"
            )
    return 0
