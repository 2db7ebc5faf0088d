"""`drd verify`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output
from drd.cli.each_repository import each
from drd.cli.session import cancelled_as, session
from drd.flows.components.repository_choice import named
from drd.flows.services import Services
from drd.flows.upkeep.verification import VerificationOutcome, verification
from drd.model.plan import Plan
from drd.model.units import format_time, to_rfc3339


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        plan = app.plans.load(args.plan)
        services = app.services(plan)
        chosen = named(plan, args.repository) or tuple(plan.repositories)
        done = each(chosen, lambda name: _verify(services, plan, name, share=args.share))
    if args.json:
        documents = [document(outcome) for outcome in done.outcomes]
        output.print_json(
            {"plan": plan.name, "repositories": documents, "errors": done.errors_document()}
        )
    else:
        for outcome in done.outcomes:
            _print(outcome, quiet=args.quiet)
        done.complain()
    return done.exit_code(*(outcome.damage for outcome in done.outcomes))


def _verify(services: Services, plan: Plan, name: str, *, share: bool) -> VerificationOutcome:
    counts = (
        "drd keeps the result for the parts that it has read"
        if share
        else ("drd does not keep the result of this verification")
    )
    words = f"the verification of repository {name} was cancelled: it changed nothing, and {counts}"
    again = f"drd verify {plan.name} --repository {name}" + (" --share" if share else "")
    with cancelled_as(lambda: words, f"to start again: {again}"):
        return verification(services, plan, name, everything=not share)


def document(outcome: VerificationOutcome) -> dict[str, Any]:
    reading, damage = outcome.reading, outcome.damage
    complete = reading.last_complete_at
    return {
        "run": outcome.run,
        "repository": outcome.repository,
        "state": str(outcome.state),
        "read_parts": outcome.read,
        "verified_by": outcome.verifier or "drd",
        "parts": reading.parts,
        "all_read_at": to_rfc3339(complete) if complete else None,
        "damage": output.unmarked(output.masked(damage.message)) if damage else None,
        "affected_points": list(outcome.affected) if outcome.affected is not None else None,
    }


def _print(outcome: VerificationOutcome, *, quiet: bool) -> None:
    if outcome.damage is not None:
        output.complain(
            f"{outcome.plan}: repository {outcome.repository}: {outcome.damage.message}",
            outcome.damage.hint,
        )
    elif not quiet:
        sound = "" if outcome.verifier else " is sound"
        output.say(f"{outcome.plan}: repository {outcome.repository}{sound}: {_read(outcome)}")


def _read(outcome: VerificationOutcome) -> str:
    reading = outcome.reading
    if outcome.verifier:
        return f"{outcome.verifier} found no damage. drd itself did not read the copies"
    if outcome.read == reading.parts:
        return "drd read all data of this repository"
    words = f"drd read {outcome.read} of {reading.parts} parts of the data of this repository"
    if reading.last_complete_at is None:
        return f"{words}; drd has not read all parts yet"
    return f"{words}; the last complete reading ended at {format_time(reading.last_complete_at)}"
