"""`drd points forget`."""

from __future__ import annotations

import argparse

from drd import process
from drd.cli import output
from drd.cli.session import session
from drd.errors import UsageError
from drd.flows.upkeep.forget_points import GiveUpRequest, give_up


def forget(args: argparse.Namespace) -> int:
    reason = (args.reason or "").strip()
    if not args.point or not reason:
        raise UsageError(
            "drd points forget needs at least one restore point, and a reason",
            hint="drd points forget POINT --reason TEXT",
        )
    with session(args) as app:
        plan_names = [app.catalogue.keeping.plan_of(prefix) for prefix in args.point]
        names = {plan for plan, _ in plan_names}
        if len(names) > 1:
            raise UsageError(
                f"these are points of several plans: {', '.join(sorted(names))}",
                hint="forget the points of one plan at a time.",
            )
        plan = app.plans.load(names.pop())
        points = tuple(dict.fromkeys(point for _, point in plan_names))
        what = GiveUpRequest(
            points, reason, process.actor_here(), args.repository or "", args.force
        )
        gone = give_up(app.services(plan), plan, what)
    if args.json:
        output.print_json({"plan": plan.name, "forgotten": list(gone), "reason": reason})
    elif not args.quiet:
        where = f" in repository {args.repository}" if args.repository else ""
        output.say(
            f"plan {plan.name}: drd forgot restore point {', '.join(gone)}{where} "
            f"(reason: {reason})"
        )
    return 0
