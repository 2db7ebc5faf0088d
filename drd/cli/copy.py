"""`drd copy`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.bootstrap import App
from drd.cli import output
from drd.cli.each_repository import each
from drd.cli.session import cancelled_as, session
from drd.errors import DrdError, UsageError
from drd.flows.repository.adopted import refuse
from drd.flows.services import Services
from drd.flows.upkeep.copy import CopyOutcome, copy, copy_spec
from drd.model.plan import Plan
from drd.model.text import counted


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        plan = app.plans.load(args.plan)
        services = app.services(plan)
        done = each(_chosen(plan, args.repository), lambda name: _copy(app, services, plan, name))
    if args.json:
        copies = [document(outcome) for outcome in done.outcomes]
        output.print_json({"plan": plan.name, "copies": copies, "errors": done.errors_document()})
    else:
        for outcome in done.outcomes:
            _print(outcome, quiet=args.quiet)
        done.complain()
    failed = [
        error
        for outcome in done.outcomes
        for error in (*outcome.errors.values(), *outcome.logs.errors.values())
    ]
    return done.exit_code(*failed)


def _copy(app: App, services: Services, plan: Plan, name: str) -> CopyOutcome:
    def held() -> int:
        return sum(name in p.repositories for p in app.catalogue.points.of_plan(plan.name))

    def words() -> str:
        copied = max(0, held() - before)
        what = (
            f"{counted(copied, 'restore point')}, which the repository keeps"
            if copied
            else "nothing"
        )
        return f"the copy of {plan.name} to repository {name} was cancelled: it had copied {what}"

    before = held()
    with cancelled_as(words, f"to copy the rest: drd copy {plan.name} --repository {name}"):
        return copy(services, plan, name)


def _chosen(plan: Plan, repository: str | None) -> list[str]:
    if repository is not None and not plan.made_by:
        return [copy_spec(plan, repository).name]
    refuse(plan, "copy them")
    if not plan.copies:
        raise UsageError(
            f"plan {plan.name} does not have a repository with `copy_of:`, so drd cannot "
            "copy restore points",
            hint="add such a repository under `repositories:` in the plan "
            "(docs/copies.md has an example).",
        )
    return [spec.name for spec in plan.copies]


def document(outcome: CopyOutcome) -> dict[str, Any]:
    logs = outcome.logs
    return {
        "run": outcome.run,
        "repository": outcome.repository,
        "copy_of": outcome.copy_of,
        "state": str(outcome.state),
        "copied": list(outcome.copied),
        "held": outcome.held,
        "errors": [
            {"point": point, "message": _text(error)} for point, error in outcome.errors.items()
        ],
        "logs": [
            *({"component": name, "copied": n, "message": None} for name, n in logs.copied.items()),
            *(
                {"component": name, "copied": 0, "message": _text(error)}
                for name, error in logs.errors.items()
            ),
        ],
    }


def _text(error: DrdError) -> str:
    return output.unmarked(output.masked(error.message))


def _print(outcome: CopyOutcome, *, quiet: bool) -> None:
    if not quiet:
        count = len(outcome.copied)
        what = f"{counted(count, 'restore point')} copied" if count else "nothing to copy"
        output.say(
            f"{outcome.plan}: repository {outcome.repository}: {what}; this repository contains "
            f"{counted(outcome.held, 'restore point')}"
        )
        for name, number in outcome.logs.copied.items():
            there = f"the log of {name} in repository {outcome.repository}"
            what = f"{counted(number, 'snapshot')} copied to" if number else "nothing to copy to"
            output.say(f"{outcome.plan}: {what} {there}")
    for point, error in outcome.errors.items():
        output.complain(f"restore point {point} was not copied: {error.message}", error.hint)
    for name, error in outcome.logs.errors.items():
        output.complain(f"the log of {name} was not copied: {error.message}", error.hint)
