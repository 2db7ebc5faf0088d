"""`drd retention`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from drd import process
from drd.cli import output
from drd.cli.session import cancelled_as, session
from drd.errors import UsageError
from drd.flows.upkeep.retention import RetentionRequest, retention
from drd.flows.upkeep.retention_plan import Forgetting, plan_forgetting
from drd.model.snapshot import RestorePoint
from drd.model.text import counted


def run(args: argparse.Namespace) -> int:
    reason = _reason(args)
    with session(args) as app:
        plan = app.plans.load(args.plan)
        services = app.services(plan)
        points = {p.id: p for p in app.catalogue.points.of_plan(plan.name)}
        again = f"to start again: drd retention {plan.name}" + (" --dry-run" * args.dry_run)
        if args.dry_run:
            with cancelled_as(lambda: "the dry run was cancelled: it changed nothing", again):
                forgetting = plan_forgetting(services, plan, writing=False, force=args.force)
            _show(plan.name, forgetting, points, args, {"dry_run": True})
            return 0
        request = RetentionRequest(
            force=reason if args.force else None,
            clock_is_right=reason if args.clock_is_right else None,
            by=process.actor_here(),
        )
        words = (
            f"the retention of {plan.name} was cancelled: the restore points that drd had "
            "forgotten by then are gone, all others are still there"
        )
        with cancelled_as(lambda: words, again):
            outcome = retention(services, plan, request)
        result: dict[str, Any] = {"run": outcome.run, "forgotten": list(outcome.forgotten)}
        _show(plan.name, outcome.forgetting, points, args, result)
    return 0


def _reason(args: argparse.Namespace) -> str | None:
    reason: str | None = (args.reason or "").strip() or None
    asked = "--force" if args.force else "--clock-is-right" if args.clock_is_right else ""
    if asked and reason is None and not args.dry_run:
        raise UsageError(f"{asked} needs a reason", hint=f"add --reason TEXT: why you use {asked}")
    return reason


def _show(
    plan: str,
    forgetting: Forgetting,
    points: dict[str, RestorePoint],
    args: argparse.Namespace,
    result: dict[str, Any],
) -> None:
    if args.json:
        output.print_json({"plan": plan, **result, **_document(forgetting)})
        return
    if args.quiet:
        return
    for pause in forgetting.pauses:
        output.say(f"{plan}: retention is paused, so drd forgets nothing. Reason: {pause.text}")
        output.say_remedy("  HINT: ", pause.remedy)
    stay = len(forgetting.chosen.keep)
    output.say(
        f"{plan}: {counted(stay, 'restore point stays', 'restore points stay')}, "
        f"{len(forgetting.chosen.forget)} {'would be forgotten' if args.dry_run else 'forgotten'}"
    )
    rows = [["  keep", i, _time(points, i), _why(why)] for i, why in forgetting.chosen.keep]
    rows += [["  forget", i, _time(points, i), ""] for i in forgetting.chosen.forget]
    if rows:
        output.say(output.table(rows, header=("", "POINT", "DATA TIME (UTC)", "KEPT BECAUSE")))
    _say_more(plan, forgetting, "would be forgotten" if args.dry_run else "forgotten")


def _why(reasons: Iterable[str]) -> str:
    return ", ".join("retention is paused" if one == "refused" else one for one in reasons)


def _say_more(plan: str, forgetting: Forgetting, goes: str) -> None:
    if forgetting.leftovers:
        output.say(
            f"  also {goes}: {counted(forgetting.leftovers, 'snapshot')} of backups that never "
            "finished"
        )
    for share in forgetting.shares[1:]:
        number = len(share.snapshots)
        what = counted(number, "snapshot") if number else "nothing"
        output.say_below("  ", f"copy {share.name}: {what} {goes}")
    if forgetting.chosen.over:
        output.complain(
            f"{counted(len(forgetting.chosen.over), 'more restore point')} must wait: one run "
            f"forgets at most {forgetting.limit}",
            f"to forget them now: drd retention {plan} --force --reason TEXT",
        )
    for name, error in forgetting.unreached.items():
        output.complain(
            f"cannot forget restore points in repository {name} now: {error.message}", error.hint
        )
    if forgetting.snapshots:
        output.say(
            "  the data of forgotten points stays in the repository until the next scheduled "
            f"prune. To remove it now: drd prune {plan}"
        )


def _document(forgetting: Forgetting) -> dict[str, Any]:
    shares: dict[str, dict[str, Any]] = {
        s.name: {"snapshots": len(s.snapshots), "error": None} for s in forgetting.shares
    }
    for name, error in forgetting.unreached.items():
        shares[name] = {"snapshots": 0, "error": output.unmarked(output.masked(error.message))}
    return {
        "state": "paused" if forgetting.pauses else "succeeded",
        "pauses": [
            {k: output.unmarked(output.masked(v)) for k, v in p.to_json().items()}
            for p in forgetting.pauses
        ],
        "keep": [{"point": i, "reasons": list(why)} for i, why in forgetting.chosen.keep],
        "forget": list(forgetting.chosen.forget),
        "due": list(forgetting.due),
        "waiting": list(forgetting.chosen.over),
        "limit": forgetting.limit,
        "leftovers": forgetting.leftovers,
        "repositories": [{"repository": n, **share} for n, share in shares.items()],
    }


def _time(points: dict[str, RestorePoint], point: str) -> str:
    return f"{points[point].data_time:%Y-%m-%d %H:%M:%S}" if point in points else ""
