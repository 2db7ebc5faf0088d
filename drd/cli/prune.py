"""`drd prune`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output
from drd.cli.options import global_options

EXAMPLES = """\
examples:
  drd prune orders-api                          in every repository of the plan
  drd prune orders-api --repository offsite     only in this one

No backup can be stored in a repository meanwhile. exit codes: 0 done, 1 failed, 10 a repository
is gone, 11 locked or another drd works on it, 12 wrong repository password, 130 cancelled."""


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
    from drd.flows.holders import named
    from drd.flows.pruning import prune

    with session(args) as app:
        plan = app.load(args.plan)
        services = app.services(plan)
        chosen = named(plan, args.repository) or tuple(plan.repositories)
        done = each(chosen, lambda name: (name, prune(services, plan, name)))
    if args.json:
        output.print_json(
            {
                "plan": plan.name,
                "repositories": [{"repository": n, "pruned": said} for n, said in done.outcomes],
                "errors": done.errors_document(),
            }
        )
    else:
        for name, said in done.outcomes if not args.quiet else ():
            output.say(f"{plan.name}: {name}: {said}")
        done.complain()
    return done.exit_code()
