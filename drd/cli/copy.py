"""`drd copy`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.flows.upkeep.copy import CopyOutcome
    from drd.model.plan import Plan

EXAMPLES = """\
examples:
  drd copy orders-api                          every complete point into every copy that lacks it
  drd copy orders-api --repository offsite     only into this one
  drd copy orders-api --json | jq '.copies[].held'

The daemon does this by itself, after each backup or when the plan's `copy` says. A copy that
was killed goes on with what has arrived. exit codes: 0 all arrived, 1 something did not, 10 a
repository is gone, 11 another drd copies to it, 12 wrong repository password, 130 cancelled."""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "copy",
        help="bring restore points into the plan's other repositories",
        description="Copy every complete restore point to the repositories with copy_of.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument("--repository", metavar="NAME", help="only to this copy")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.copy:run")


def run(args: argparse.Namespace) -> int:
    from drd.cli.each_repository import each
    from drd.cli.session import session
    from drd.flows.upkeep.copy import copy

    with session(args) as app:
        plan = app.load(args.plan)
        services = app.services(plan)
        done = each(_chosen(plan, args.repository), lambda name: copy(services, plan, name))
    if args.json:
        copies = [document(outcome) for outcome in done.outcomes]
        output.print_json({"plan": plan.name, "copies": copies, "errors": done.errors_document()})
    else:
        for outcome in done.outcomes:
            _print(outcome, quiet=args.quiet)
        done.complain()
    failed = [error for outcome in done.outcomes for error in outcome.errors.values()]
    return done.exit_code(*failed)


def _chosen(plan: Plan, repository: str | None) -> list[str]:
    from drd.errors import UsageError
    from drd.flows.upkeep.copy import copy_spec

    if repository is not None:
        return [copy_spec(plan, repository).name]
    if not plan.copies:
        raise UsageError(
            f"{plan.name} has no copy", hint="give the plan a repository with `copy_of`."
        )
    return [spec.name for spec in plan.copies]


def document(outcome: CopyOutcome) -> dict[str, Any]:
    return {
        "run": outcome.run,
        "repository": outcome.repository,
        "copy_of": outcome.copy_of,
        "state": str(outcome.state),
        "copied": list(outcome.copied),
        "held": outcome.held,
        "errors": [
            {"point": point, "message": output.unmarked(output.masked(error.message))}
            for point, error in outcome.errors.items()
        ],
    }


def _print(outcome: CopyOutcome, *, quiet: bool) -> None:
    if not quiet:
        count = len(outcome.copied)
        what = f"{count} restore point{'s' if count != 1 else ''} copied" if count else "up to date"
        output.say(f"{outcome.plan}: {outcome.repository}: {what}, {outcome.held} there")
    for point, error in outcome.errors.items():
        output.complain(f"point {point} was not copied: {error.message}", error.hint)
