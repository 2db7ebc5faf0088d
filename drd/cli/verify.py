"""`drd verify`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output
from drd.cli.each_repository import each
from drd.cli.session import session
from drd.flows.components.repository_choice import named
from drd.flows.upkeep.verification import VerificationOutcome, verification
from drd.model.units import format_time, to_rfc3339


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        plan = app.plans.load(args.plan)
        services = app.services(plan)
        chosen = named(plan, args.repository) or tuple(plan.repositories)
        done = each(
            chosen, lambda name: verification(services, plan, name, everything=not args.share)
        )
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


def document(outcome: VerificationOutcome) -> dict[str, Any]:
    reading, damage = outcome.reading, outcome.damage
    complete = reading.last_complete_at
    return {
        "run": outcome.run,
        "repository": outcome.repository,
        "state": str(outcome.state),
        "read_parts": outcome.read,
        "parts": reading.parts,
        "all_read_at": to_rfc3339(complete) if complete else None,
        "damage": output.unmarked(output.masked(damage.message)) if damage else None,
        "affected_points": list(outcome.affected) if outcome.affected is not None else None,
    }


def _print(outcome: VerificationOutcome, *, quiet: bool) -> None:
    if outcome.damage is not None:
        output.complain(f"{outcome.repository}: {outcome.damage.message}", outcome.damage.hint)
    elif not quiet:
        output.say(f"{outcome.plan}: {outcome.repository} is sound: {_read(outcome)}")


def _read(outcome: VerificationOutcome) -> str:
    reading = outcome.reading
    if outcome.read == reading.parts:
        return "everything was read"
    words = f"{outcome.read} of {reading.parts} parts were read"
    if reading.last_complete_at is None:
        return f"{words}, some parts were never read"
    return f"{words}, all parts were read by {format_time(reading.last_complete_at)}"
