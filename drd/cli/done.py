"""`drd done`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from drd.cli import output
from drd.cli.aside import documents, line, run_and_plan
from drd.cli.confirm import confirm
from drd.cli.decide import agreed, who
from drd.cli.session import session
from drd.errors import UsageError
from drd.flows.restore import usage
from drd.flows.restore.kept_copies import KeptState, remove_kept_copies, standing_of
from drd.flows.restore.own_runs import waiting
from drd.flows.restore.unfinished import unfinished
from drd.model.plan import Plan
from drd.model.recovered import restart
from drd.model.restored import Usage
from drd.model.run import Run, RunState, about_all, taken_back
from drd.model.text import some
from drd.model.unfinished import Unfinished
from drd.ports import Aside, Catalogue


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
        left = _left(services.catalogue, plan, run)
        mixture = left.mixture() if left is not None else None
        in_use = _in_use(usage.of_kept_copies(services, plan, run), held) if held else []
        if args.dry_run:
            for one in in_use:
                output.warn(f"{_would_lose(one)}. {_first(one)}")
            if held and mixture is not None:
                output.warn(
                    f"{mixture}. To remove the kept copies all the same, drd done {run.id} needs "
                    "--accept-unfinished"
                )
            return _say(args, standing)
        if held and left is not None and mixture is not None:
            if args.yes and not args.accept_unfinished:
                raise UsageError(
                    f"{mixture}. drd done would delete the old data for good",
                    hint=f"{left.ways_out()}. To keep production as it is: `drd done {run.id} "
                    "--yes --accept-unfinished`",
                )
            output.warn(f"{mixture}. To put the old data back: drd undo {run.id}")
        if in_use and args.yes:
            raise UsageError(
                "; ".join(_would_lose(one) for one in in_use),
                hint="\n".join([*map(_first, in_use), f"then: drd done {run.id}"]),
            )
        for one in in_use:
            output.warn(f"{_would_lose(one)}. {_first(one)}")
        if held and not args.yes:
            _tell(held, "would remove")
            confirm(
                plan.name,
                "removing kept copies",
                "add --yes to confirm, or --dry-run to see what would happen.",
            )
        remove_kept_copies(services, plan, run, comment=args.comment, **who(args, app.settings))
    return _say(args, standing)


def _in_use(users: Sequence[Usage], held: Sequence[Aside]) -> list[Usage]:
    """Return those who have a kept copy open."""
    kept = {aside.kept for aside in held}
    return [one for one in users if one.former and one.what in kept]


def _would_lose(one: Usage) -> str:
    return f"{one.words}: what a program writes there is lost when drd done removes this kept copy"


def _first(one: Usage) -> str:
    if one.runs:
        return f"first {waiting(one).removesuffix(',')}"
    task = restart(one)
    return f"first restart {some(one.by)}{f': {task.command}' if task.command else ''}"


def _left(catalogue: Catalogue, plan: Plan, run: Run) -> Unfinished | None:
    """Return how far the recovery came, if it stopped in the middle and was not taken back."""
    if run.state is RunState.SUCCEEDED or taken_back(about_all(catalogue.decisions.of_run(run.id))):
        return None
    return unfinished(catalogue, plan, run)


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
        _tell(standing.gone, "was missing already")
        if not held:
            output.say(f"there are no kept copies of run {run.id}, so drd had nothing to remove")
    return 0


def _tell(held: Sequence[Aside], what: str) -> None:
    for aside in held:
        output.say_below(f"  {what}  ", line(aside))
