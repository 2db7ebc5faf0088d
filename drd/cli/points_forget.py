"""`drd points forget`."""

from __future__ import annotations

import argparse
import sys

from drd import process
from drd.cli import output
from drd.cli.confirm import confirm
from drd.cli.session import session
from drd.errors import UsageError
from drd.flows.services import Services
from drd.flows.upkeep.forget_loss import loss_lines
from drd.flows.upkeep.forget_points import GiveUpRequest, give_up, require_givable
from drd.model.plan import Plan


def forget(args: argparse.Namespace) -> int:
    reason = (args.reason or "").strip()
    if not args.point or not reason:
        raise UsageError(
            "drd points forget needs at least one restore point, and a reason",
            hint="name the points and the reason: drd points forget POINT --reason TEXT",
        )
    with session(args) as app:
        plan_names = [app.catalogue.keeping.plan_of(prefix) for prefix in args.point]
        names = {plan for plan, _ in plan_names}
        if len(names) > 1:
            raise UsageError(
                f"these restore points belong to several plans: {', '.join(sorted(names))}",
                hint="forget the points of one plan at a time.",
            )
        plan = app.plans.load(names.pop())
        points = tuple(dict.fromkeys(point for _, point in plan_names))
        what = GiveUpRequest(
            points, reason, process.actor_here(), args.repository or "", args.force
        )
        services = app.services(plan)
        if sys.stdin.isatty() and not args.yes:
            _ask(services, plan, what, args)
        gone = give_up(services, plan, what)
    if args.json:
        output.print_json({"plan": plan.name, "forgotten": list(gone), "reason": reason})
    elif not args.quiet:
        where = f" in repository {args.repository}" if args.repository else ""
        output.say(
            f"plan {plan.name}: drd forgot restore point {', '.join(gone)}{where} "
            f"(reason: {reason})"
        )
    return 0


def _ask(services: Services, plan: Plan, what: GiveUpRequest, args: argparse.Namespace) -> None:
    """Say what is forgotten and what is left, and have it confirmed. Without a terminal nobody is
    asked: the reason, and what drd refuses without --force, decide."""
    require_givable(services, plan, what)
    output.say(
        f"plan {plan.name}: drd will forget these restore points for good:", beside=args.json
    )
    for line in loss_lines(services, plan, what):
        output.say_below("  ", line, beside=args.json)
    confirm(plan.name, "forgetting restore points", "add --yes to confirm.")
