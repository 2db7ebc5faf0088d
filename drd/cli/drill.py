"""`drd drill`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from drd import process
from drd.api.evidence_document import evidence_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.checks_table import conclusion, evidence_of, loss_in, print_evidence
from drd.cli.follow import asked
from drd.cli.kit import key_of
from drd.cli.operator_drill import followed, print_page
from drd.cli.operator_lines import print_operator
from drd.cli.recorded import failure_of
from drd.cli.remote import Remote
from drd.cli.session import cancelled_as, session
from drd.errors import NotOwner, UsageError
from drd.flows.drill.host_loss import KitAt
from drd.flows.drill.request import DrillOutcome, DrillRequest
from drd.flows.drill.run import drill
from drd.flows.restore.losses import loss_of
from drd.model.adopted import with_copy
from drd.model.losses import Loss
from drd.model.plan import OPERATOR, Objectives, Plan
from drd.model.units import format_duration, format_time
from drd.ports import Destination


def run(args: argparse.Namespace) -> int:
    def keep(outcome: DrillOutcome, destinations: dict[str, Destination]) -> None:
        show(outcome)
        _wait(destinations)

    def show(outcome: DrillOutcome) -> None:
        _show(outcome, plan.name, plan.objectives, args, loss=_loss(app, plan, outcome))

    with session(args) as app:
        if not app.state.is_ours:
            return _by_the_daemon(app, args)
        plan = app.plans.load(args.plan)
        request = DrillRequest(
            args.point,
            args.scenario,
            args.repository,
            keep=keep if args.keep else None,
            kit=_kit(args),
            components=tuple(args.component),
            by=args.by or "",
            blind=args.blind,
        )
        name = plan.name
        shown = followed(app, args, plan) if args.scenario == OPERATOR else nullcontext()
        with shown, cancelled_as(lambda: f"the drill of {name} was cancelled: it proved nothing"):
            outcome = drill(app.services(plan), plan, request)
        if not args.keep or outcome.error is not None:
            show(outcome)
        return exit_code(outcome)


def _kit(args: argparse.Namespace) -> KitAt | None:
    given = args.passphrase_file or args.identity or args.share
    if bool(given) != bool(args.kit):
        raise UsageError(
            "--kit needs one of --passphrase-file, --identity and --share, and each of these "
            "needs --kit",
            hint="without --kit the drill uses the copy of the kit that `kit` in the plan or "
            "drd.yaml names.",
        )
    return KitAt(args.kit, lambda: key_of(args)) if args.kit else None


def _by_the_daemon(app: App, args: argparse.Namespace) -> int:
    """Ask the daemon for it, and show the result."""
    own = next((f"--{name}" for name in ("kit", "keep") if getattr(args, name)), "")
    if own:
        owner = app.state.owner
        raise NotOwner(
            f"only {owner}, who owns drd's state, can use {own}",
            hint=f"run the drill as this user: sudo -u {owner} drd drill …",
        )
    if args.blind and args.scenario == OPERATOR:
        print_page(Remote(app).get(f"/v1/plans/{args.plan}/runbook")["markdown"])
    done = asked(
        app,
        args.plan,
        "drill",
        quiet=args.quiet or args.json,
        blind=args.blind or None,
        point=args.point,
        scenario=args.scenario,
        repository=args.repository,
        components=args.component,
        **({"by": args.by} if args.by else {}),
    )
    if done["document"] is None:
        raise failure_of(done)
    outcome = DrillOutcome(evidence_of(done["document"]), None, None)
    goals, operator = Objectives(done["rpo_s"], done["rto_s"]), done["document"].get("operator")
    _show(outcome, args.plan, goals, args, operator, loss=loss_in(done))
    return exit_code(outcome)


def _loss(app: App, plan: Plan, outcome: DrillOutcome) -> Loss | None:
    evidence, choice = outcome.evidence, outcome.choice
    of = choice.point.data_time if choice is not None else None
    return loss_of(app.catalogue, plan, evidence.run, evidence.rpa_s, evidence.data_time or of)


def exit_code(outcome: DrillOutcome) -> int:
    """4 failed, 5 inconclusive; a repository that is gone, locked or cannot be opened keeps its own
    code."""
    if outcome.evidence.result == "passed":
        return 0
    if outcome.evidence.result == "failed":
        return 4
    if outcome.error is not None and outcome.error.exit_code in (10, 11, 12):
        return outcome.error.exit_code
    return 5


def _show(
    outcome: DrillOutcome,
    plan: str,
    goals: Objectives,
    args: argparse.Namespace,
    operator: Mapping[str, Any] | None = None,
    *,
    loss: Loss | None,
) -> None:
    """`operator` is the people's part of a drill that the daemon executed."""
    if outcome.operator is not None:
        operator = outcome.operator.to_json()
    if args.json:
        whole_s = _whole_s(outcome)
        more: dict[str, Any] = {"whole_s": whole_s} if whole_s is not None else {}
        more |= {"loss": loss._asdict() if loss is not None else None}
        more |= {"operator": dict(operator)} if operator is not None else {}
        output.print_json({**evidence_document(outcome.evidence), **more})
    elif args.quiet:
        if outcome.evidence.result != "passed":
            output.complain(f"drill of {plan}: {conclusion(outcome.evidence, goals, loss)}")
    else:
        _print(outcome, plan, goals, loss, colour=output.colours(args.no_color))
        if operator is not None:
            print_operator(plan, operator)


def _print(
    outcome: DrillOutcome, plan: str, goals: Objectives, loss: Loss | None, *, colour: bool
) -> None:
    evidence, choice = outcome.evidence, outcome.choice
    if choice is not None:
        age = (evidence.started_at - choice.point.data_time).total_seconds()
        at = format_time(choice.point.data_time, seconds=True)
        output.say_below(
            f"{plan}: ",
            f"drill of point {with_copy(choice.point)} (data of {at}, {format_duration(age)} ago) "
            "in a sandbox on this host",
        )
    elif evidence.point is not None:
        output.say(f"{plan}: drill of point {evidence.point} in a sandbox on the daemon's host")
    else:
        output.say(f"{plan}: drill of {evidence.scenario}: drd restored nothing")
    restored = outcome.restoration.restored if outcome.restoration is not None else {}
    notes = [f"{name}: {note}" for name, one in restored.items() for note in one.notes]
    print_evidence(evidence, colour=colour, goals=goals, loss=loss, notes=notes)
    whole_s = _whole_s(outcome)
    if whole_s is not None:
        output.say(f"all components one after the other: about {format_duration(whole_s)}")


def _whole_s(outcome: DrillOutcome) -> float | None:
    """Return how long the whole point would take at the pace of a drill of single components."""
    evidence, choice = outcome.evidence, outcome.choice
    partial = evidence.target is not None and choice is not None
    if not partial or choice is None or evidence.rta_s is None or not evidence.restored_bytes:
        return None
    return round(evidence.rta_s * choice.point.size_bytes / evidence.restored_bytes, 3)


def _wait(destinations: dict[str, Destination]) -> None:
    """Wait for Ctrl-C (or SIGTERM): then the sandboxes are removed."""

    print("the sandbox stays until you press Ctrl-C:", file=sys.stderr)
    for name, destination in destinations.items():
        print(f"  {name}  {destination.inspector().location}", file=sys.stderr)
    while not process.cancelled():
        time.sleep(0.2)
