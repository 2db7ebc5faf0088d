"""`drd prune`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.flows.upkeep.prune import PruneOutcome

EXAMPLES = """\
examples:
  drd prune orders-api                          in every repository of the plan
  drd prune orders-api --repository offsite     only in this one

No backup can be stored in a repository meanwhile. It is paused, which is no failure, while others
removed snapshots there, since it would make that final. exit codes: 0 done or paused, 1 failed, 10
a repository is gone, 11 locked or another drd works on it, 12 wrong repository password, 130
cancelled."""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "prune",
        help="remove data that no restore point needs",
        description="Remove the data of forgotten restore points from a plan's repositories.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument("--repository", metavar="NAME", help="only in this one")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.prune:run")


def run(args: argparse.Namespace) -> int:
    from drd.cli.each_repository import each
    from drd.cli.session import session
    from drd.flows.restore.repository_choice import named
    from drd.flows.upkeep.prune import prune

    with session(args) as app:
        plan = app.load(args.plan)
        services = app.services(plan)
        chosen = named(plan, args.repository) or tuple(plan.repositories)
        done = each(chosen, lambda name: prune(services, plan, name))
    if args.json:
        output.print_json(
            {
                "plan": plan.name,
                "repositories": [_document(outcome) for outcome in done.outcomes],
                "errors": done.errors_document(),
            }
        )
    else:
        for outcome in done.outcomes if not args.quiet else ():
            output.say(f"{plan.name}: {outcome.repository}: {outcome.said}")
            for pause in outcome.pauses:
                output.say(f"  HINT: {pause.hint}")
        done.complain()
    return done.exit_code()


def _document(outcome: PruneOutcome) -> dict[str, Any]:
    return {
        "repository": outcome.repository,
        "state": str(outcome.state),
        "pruned": None if outcome.pauses else outcome.said,
        "pauses": [pause.to_json() for pause in outcome.pauses],
    }
