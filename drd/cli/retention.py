"""`drd retention`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.flows.forgetting import Forgetting
    from drd.model.snapshot import RestorePoint

EXAMPLES = """\
examples:
  drd retention orders-api --dry-run     which points stay, and why; which go
  drd retention orders-api               forget them, then remove their data (prune)
  drd retention orders-api --no-prune    forget only"""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "retention",
        help="forget restore points by the plan's policy",
        description="Forget whole restore points that the plan's retention does not keep. The "
        "newest point that passed a drill is never forgotten.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument("--dry-run", action="store_true", help="say what would be forgotten")
    parser.add_argument("--no-prune", action="store_true", help="leave the data for a later prune")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.retention:run")


def run(args: argparse.Namespace) -> int:
    from drd.cli.session import session
    from drd.flows.forgetting import plan_forgetting
    from drd.flows.pruning import prune
    from drd.flows.retention import retention

    with session(args) as app:
        plan = app.load(args.plan)
        services = app.services(plan)
        points = {p.id: p for p in app.catalogue.points(plan.name)}
        if args.dry_run:
            forgetting = plan_forgetting(services, plan, writing=False)
            _show(plan.name, forgetting, points, args, {"dry_run": True})
            return 0
        outcome = retention(services, plan)
        result: dict[str, Any] = {"run": outcome.run, "forgotten": list(outcome.forgotten)}
        changed = [s.name for s in outcome.forgetting.shares if s.snapshots]
        if changed and not args.no_prune:
            pruned = {name: prune(services, plan, name) for name in changed}
            result["pruned"] = pruned.get(plan.primary.name)
            result["pruned_copies"] = {n: t for n, t in pruned.items() if n != plan.primary.name}
        _show(plan.name, outcome.forgetting, points, args, result)
    return 0


def _show(
    plan: str,
    forgetting: Forgetting,
    points: dict[str, RestorePoint],
    args: argparse.Namespace,
    result: dict[str, Any],
) -> None:
    if args.json:
        keep = [{"point": i, "reasons": list(why)} for i, why in forgetting.chosen.keep]
        forget = list(forgetting.chosen.forget)
        shares: dict[str, dict[str, Any]] = {
            s.name: {"snapshots": len(s.snapshots), "error": None} for s in forgetting.shares
        }
        for name, error in forgetting.unreached.items():
            shares[name] = {"snapshots": 0, "error": output.unmarked(output.masked(error.message))}
        output.print_json(
            {
                "plan": plan,
                **result,
                "keep": keep,
                "forget": forget,
                "leftovers": forgetting.leftovers,
                "repositories": [{"repository": n, **share} for n, share in shares.items()],
            }
        )
        return
    if args.quiet:
        return
    rows = [["  keep", i, _time(points, i), ", ".join(why)] for i, why in forgetting.chosen.keep]
    rows += [["  forget", i, _time(points, i), ""] for i in forgetting.chosen.forget]
    stay = len(forgetting.chosen.keep)
    output.say(
        f"{plan}: {stay} restore point{'s stay' if stay != 1 else ' stays'}, "
        f"{len(forgetting.chosen.forget)} {'would go' if args.dry_run else 'went'}"
    )
    if rows:
        output.say(output.table(rows))
    if forgetting.leftovers:
        output.say(f"  and {forgetting.leftovers} snapshots of backups that never finished")
    for share in forgetting.shares[1:]:
        output.say(f"  {len(share.snapshots)} snapshots in the copy {share.name}")
    for name, error in forgetting.unreached.items():
        output.complain(f"the copy {name} has to wait: {error.message}", error.hint)
    if result.get("pruned"):
        output.say(f"pruned: {result['pruned']}")
    for name, summary in result.get("pruned_copies", {}).items():
        output.say(f"pruned {name}: {summary}")


def _time(points: dict[str, RestorePoint], point: str) -> str:
    return f"{points[point].data_time:%Y-%m-%d %H:%M:%S}" if point in points else ""
