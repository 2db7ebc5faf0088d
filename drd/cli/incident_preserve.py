"""`drd incident preserve`: preserve evidence, verify, export and release it; each is recorded."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drd.api.values import time_of
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import author, zone_of
from drd.cli.session import require_owner, session
from drd.errors import UsageError
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk
from drd.flows.upkeep import evidence_sets
from drd.flows.upkeep.preserving import Wanted, preserve, rehearse
from drd.model.incidents.preservation import Preserved, preserved
from drd.model.text import counted, escaped, some
from drd.model.units import format_time, from_rfc3339


def run(args: argparse.Namespace) -> int:
    acts = [name for name in ("list", "verify", "export", "release") if getattr(args, name)]
    if len(acts) > 1:
        raise UsageError(
            f"--{acts[0]} and --{acts[1]} cannot be combined",
            hint="run a separate command for each.",
        )
    with session(args, reading=acts == ["list"], records=True) as app:
        require_owner(
            app,
            "incident preserve",
            "this command reads what only root may read, and restores data with the secrets of the "
            "plan",
            "To see what was preserved: drd incident show.",
        )
        if args.rehearse:
            return _rehearsed(app, args, acts)
        number = chosen(app.catalogue, args.number)
        desk = Desk(app.catalogue, number, author(app, args, left_out=args.number is None))
        if acts == ["list"]:
            return _list(app, args, desk)
        if not acts:
            return _taken(app, args, desk)
        return _later(app, args, desk, acts[0])


def _taken(app: App, args: argparse.Namespace, desk: Desk) -> int:
    plan = app.plans.load(_plan_of(args, desk))
    services, spec = app.services(plan), evidence_sets.spec_of(plan, args.repository)
    made = preserve(services, plan, desk, spec, _wanted(args))
    if args.json:
        output.print_json({"incident": desk.number, **_document(made)})
        return 0
    for text in made.missing:
        output.warn(f"not preserved: {text}")
    if not args.quiet:
        files = sum(item.files for item in made.items)
        output.say(
            f"incident {desk.number}: evidence {made.id} of {plan.name} is preserved in "
            f"{made.repository}: {counted(len(made.items), 'item')}, {counted(files, 'file')}"
        )
        output.say(f"  SHA-256 of the list of digests: {made.sha256}")
        output.say("  to export the evidence:")
        output.say(f"  > drd incident preserve {desk.number} --export {made.id} --output DIR")
    return 0


def _wanted(args: argparse.Namespace) -> Wanted:
    if args.volatile and args.component:
        raise UsageError(
            "--volatile and --component cannot be combined",
            hint="leave out --volatile, or preserve the component by a second command.",
        )
    return Wanted(args.reason, tuple(args.component), tuple(args.path), args.volatile)


def _rehearsed(app: App, args: argparse.Namespace, acts: Sequence[str]) -> int:
    """Preserve everything, and keep nothing. Needs no incident."""
    if acts or args.number is not None or args.repository is not None or args.plan is None:
        raise UsageError(
            "--rehearse needs --plan, and is not possible with an incident, --repository, --list, "
            "--verify, --export and --release: nothing of a rehearsal is kept",
            hint="to rehearse: drd incident preserve --rehearse --plan PLAN",
        )
    plan = app.plans.load(args.plan)
    made = rehearse(app.services(plan), plan, _wanted(args))
    if args.json:
        output.print_json({"rehearsed": True, "plan": plan.name, **made})
        return 0
    for text in made["missing"]:
        output.warn(f"not preserved: {text}")
    if not args.quiet:
        files = sum(one["file_count"] for one in made["items"])
        output.say(
            f"{plan.name}: rehearsed: {counted(len(made['items']), 'item')}, "
            f"{counted(files, 'file')} stored and read back; drd has kept nothing"
        )
    return 0


def _later(app: App, args: argparse.Namespace, desk: Desk, act: str) -> int:
    which = evidence_sets.find(desk, getattr(args, act))
    plan = app.plans.load(which.plan)
    services = app.services(plan)
    if act == "release":
        count = evidence_sets.release(services, plan, desk, which, args.reason)
        done = f"released: {counted(count, 'snapshot')} forgotten; drd prune removes their data"
        return _say(args, desk, which, done, ())
    if act == "verify":
        wrong = evidence_sets.verify(services, plan, desk, which)
        return _say(args, desk, which, "every file is as it was taken", wrong)
    if args.output is None:
        raise UsageError(
            "--output is missing", hint="name a new directory for the evidence: --output DIR"
        )
    wrong = evidence_sets.export(services, plan, desk, which, Path(args.output))
    done = (
        f"exported. To check the files: cd {escaped(args.output)} && sha256sum -c "
        f"{evidence_sets.DIGESTS}"
    )
    return _say(args, desk, which, done, wrong)


def _say(
    args: argparse.Namespace, desk: Desk, which: Preserved, done: str, wrong: tuple[str, ...]
) -> int:
    now = evidence_sets.find(desk, which.id)
    if args.json:
        output.print_json({"incident": desk.number, **_document(now), "wrong": list(wrong)})
    elif wrong:
        output.complain(
            f"evidence {which.id} of {which.plan} is not as it was taken: {some(wrong, 10)}",
            f"find out who can write to repository {which.repository}. To check its data: drd "
            f"verify {which.plan}",
        )
    elif not args.quiet:
        output.say(f"incident {desk.number}: evidence {which.id} of {which.plan}: {done}")
    return 1 if wrong else 0


def _plan_of(args: argparse.Namespace, desk: Desk) -> str:
    """Return the plan whose evidence is preserved: the plan of --plan, or the only plan in the
    scope."""
    plans: tuple[str, ...] = desk.catalogue.incidents.get(desk.number).plans
    if args.plan is None and len(plans) == 1:
        return plans[0]
    if args.plan is None or args.plan not in plans:
        fact = (
            f"{counted(len(plans), 'plan')} in the scope of incident {desk.number}"
            if args.plan is None
            else f"{args.plan} is not in the scope of incident {desk.number}"
        )
        adding = f"To add a plan to the scope: drd incident scope {desk.number} --add PLAN"
        raise UsageError(
            fact,
            hint=f"name a plan in the scope with --plan: {some(plans, 10)}. {adding}"
            if plans
            else adding,
        )
    return str(args.plan)


# --- the list ---------------------------------------------------------------------------------


def _list(app: App, args: argparse.Namespace, desk: Desk) -> int:
    sets = preserved(desk.entries())
    if args.json:
        output.print_json({"incident": desk.number, "preserved": [_document(p) for p in sets]})
        return 0
    if not sets:
        output.say(f"incident {desk.number}: no evidence is preserved")
    zone = zone_of(app)
    for one in sets:
        for line in _lines(one, lambda text: format_time(from_rfc3339(text), zone=zone)):
            output.say(line)
    return 0


def _lines(one: Preserved, shown: Any) -> Iterator[str]:
    yield f"{one.id}  {escaped(one.plan)} in {escaped(one.repository)}: {one.state}"
    if not one.is_whole:
        yield "  not whole: the run has not finished. Stored copies stay until you release them"
    for item in one.items:
        yield f"  {item.name}: {item.what}, {counted(item.files, 'file')}"
    for text in one.missing:
        yield f"  not preserved: {text}"
    for step in one.custody:
        who = f"{step.act} by {escaped(step.by)} (entry {step.entry})"
        yield f"  {shown(time_of(step.at))}  {who}: {escaped(step.words)}"


def _document(one: Preserved) -> dict[str, Any]:
    return {
        "preserved": one.id,
        "plan": one.plan,
        "repository": one.repository,
        "state": one.state,
        "whole": one.is_whole and not one.altered,
        "reason": one.reason,
        "items": [
            {"item": i.name, "what": i.what, "snapshot": i.snapshot, "file_count": i.files}
            for i in one.items
        ],
        "digests_sha256": one.sha256 or None,
        "missing": list(one.missing),
        "custody": [
            {
                "act": str(step.act),
                "at": time_of(step.at),
                "by": step.by,
                "entry": step.entry,
                "words": step.words,
            }
            for step in one.custody
        ],
    }
