"""`drd prune`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output
from drd.cli.each_repository import each
from drd.cli.session import cancelled_as, session
from drd.flows.components.repository_choice import named
from drd.flows.services import Services
from drd.flows.upkeep.prune import PruneOutcome, prune
from drd.model.plan import Plan


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        plan = app.plans.load(args.plan)
        services = app.services(plan)
        chosen = named(plan, args.repository) or tuple(plan.repositories)
        done = each(chosen, lambda name: _prune(services, plan, name))
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
            output.say(f"{plan.name}: repository {outcome.repository}: {outcome.said}")
            for pause in outcome.pauses:
                output.say_remedy("  HINT: ", pause.remedy)
        done.complain()
    return done.exit_code()


def _prune(services: Services, plan: Plan, name: str) -> PruneOutcome:
    words = (
        f"the prune of repository {name} was cancelled: all restore points are still there, and "
        "a part of the unused data, too"
    )
    with cancelled_as(
        lambda: words, f"to remove the rest: drd prune {plan.name} --repository {name}"
    ):
        return prune(services, plan, name)


def _document(outcome: PruneOutcome) -> dict[str, Any]:
    return {
        "repository": outcome.repository,
        "state": str(outcome.state),
        "pruned": None if outcome.pauses else outcome.said,
        "pauses": [pause.to_json() for pause in outcome.pauses],
    }
