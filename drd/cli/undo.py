"""`drd undo`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from drd.api.recoveries import task_document, usage_document
from drd.api.values import text_of
from drd.cli import output
from drd.cli.aftermath import print_next, print_places
from drd.cli.aside import documents, line, run_and_plan, say_all
from drd.cli.confirm import confirm
from drd.cli.decide import who
from drd.cli.session import session
from drd.flows.restore import usage
from drd.flows.restore.blockers import before_changes
from drd.flows.restore.exchange import is_so, not_undone, require_undoable, undo
from drd.flows.restore.kept_copies import KeptState, reminders, standing_of
from drd.flows.restore.unfinished import stopped_services
from drd.flows.services import Services
from drd.model.down import in_words, start_commands, units_of
from drd.model.plan import Plan
from drd.model.recovered import restarts
from drd.model.restored import RestoredPlace, Usage
from drd.model.run import Run
from drd.model.text import escaped, noun, some
from drd.model.units import format_time
from drd.ports import Aside


def run(args: argparse.Namespace) -> int:
    if args.run is None:
        return _list(args)
    with session(args) as app:
        run, plan = run_and_plan(app, args.run)
        services = app.services(plan)
        with before_changes():
            standing = standing_of(services, plan, run, args.component)
            stopped = stopped_services(services.catalogue, plan, run)
            stays = () if args.redo else not_undone(services, standing, args.component)
            if args.dry_run and not args.json:
                _say(standing, args, dry=True, stopped=stopped, stays=stays)
            if standing.held or not args.dry_run:
                require_undoable(
                    services, plan, standing, back=not args.redo, components=args.component
                )
        users = _warn_of_users(services, plan, standing, args)
        if args.dry_run:
            if not args.json:
                return 0
            return _say(standing, args, dry=True, stopped=stopped, users=users, stays=stays)
        if not args.yes and not is_so(standing, back=not args.redo):
            _say(standing, args, dry=True, stays=stays)
            confirm(
                plan.name,
                "an undo",
                "add --yes to confirm, or --dry-run to see what would happen.",
            )
        done = undo(
            services,
            plan,
            run,
            **who(args, app.settings),
            back=not args.redo,
            components=args.component,
        )
        users = usage.of_kept_copies(services, plan, done.run, args.component)
    done = replace(done, gone=())
    return _say(done, args, before=standing, stopped=stopped, users=users, stays=stays)


def _list(args: argparse.Namespace) -> int:
    """List the recoveries whose kept copies are recorded."""
    kept_copies: dict[str, tuple[Run, list[Aside]]] = {}
    with session(args, reading=True) as app:
        for plan in app.catalogue.plans.names():
            for recovery, aside in reminders(app.catalogue, plan):
                kept_copies.setdefault(recovery.id, (recovery, []))[1].append(aside)
    if args.json:
        runs = [
            {"run": run.id, "plan": run.plan, "aside": documents(kept)}
            for run, kept in kept_copies.values()
        ]
        output.print_json({"runs": runs})
        return 0
    if not kept_copies:
        output.say("there is nothing to undo: no recovery has left a kept copy")
    for recovery, kept in kept_copies.values():
        since = format_time(recovery.started_at) if recovery.started_at is not None else "-"
        output.say(f"run {recovery.id}, a recovery of {recovery.plan} of {since}")
        say_all(kept, recovery.id)
    return 0


def _warn_of_users(
    services: Services, plan: Plan, standing: KeptState, args: argparse.Namespace
) -> list[Usage]:
    """Name those who use data that would become a kept copy: they would go on with it."""
    moved = sorted({a.component for a in standing.held if a.former is not args.redo})
    users = usage.of_kept_copies(services, plan, standing.run, moved) if moved else []
    for one in users:
        if not one.former:
            output.warn(usage.before_exchange(one, "redo" if args.redo else "undo"))
    return users


def _say(
    standing: KeptState,
    args: argparse.Namespace,
    *,
    dry: bool = False,
    before: KeptState | None = None,
    stopped: tuple[str, ...] = (),
    users: Sequence[Usage] = (),
    stays: Sequence[RestoredPlace] = (),
) -> int:
    run = standing.run
    left: dict[str, Any] = {
        "in_use": [usage_document(one, {}) for one in users],
        "next": [] if dry else [task_document(task) for task in restarts(users)],
    }
    if args.json:
        if not dry or args.dry_run:
            output.print_json(
                {
                    "run": run.id,
                    "plan": run.plan,
                    "dry_run": dry,
                    "redo": args.redo,
                    "aside": documents(standing.held),
                    "missing": documents(standing.gone),
                    "not_undone": [_stays_document(one) for one in stays],
                    "stopped_units": list(units_of(stopped)),
                    **left,
                }
            )
        return 0
    if args.quiet and not dry:
        return 0
    for aside in standing.gone:
        output.say_below("  missing    ", line(aside))
    if before is not None:
        now = (
            "the data that the recovery restored"
            if args.redo
            else "the data from before the recovery"
        )
        for component, place in dict.fromkeys((a.component, a.place) for a in before.held):
            output.say_below("  in place   ", f"{component}: {place} now has {now}")
        _say_stays(stays)
        print_places(left)
        say_all(standing.held, run.id)
        _say_stopped(stopped)
        print_next(left)
        return 0
    for aside in standing.held:
        if aside.former is not args.redo:
            output.say_below("  would be put back  ", line(aside))
        else:
            output.say_below("  stays a kept copy  ", line(aside))
    _say_stays(stays)
    if not standing.held:
        output.say(f"  there are no kept copies of run {run.id}, so drd has nothing to put back")
    _say_stopped(stopped)
    return 0


def _stays_document(place: RestoredPlace) -> dict[str, Any]:
    return {"component": place.component, "places": [text_of(p) for p in place.places]}


def _say_stays(stays: Sequence[RestoredPlace]) -> None:
    """Name the components that the recovery restored without a kept copy: an undo does not change
    these."""
    for one in stays:
        at = escaped(f" of {some(one.places)}") if one.places else ""
        output.say_below(
            "  not undone ",
            f"{one.component}: the recovery did not keep earlier data{at}, so an undo does not "
            "change what the recovery restored. If nobody needs this restored data, remove it "
            "yourself",
        )


def _say_stopped(stopped: tuple[str, ...]) -> None:
    """Name what the recovery stopped: an undo exchanges data, and starts nothing."""
    if stopped:
        output.say_below(
            "  stopped    ",
            f"the recovery stopped {in_words(stopped)} and did not start "
            f"{noun(len(stopped), 'it', 'them')} again. An undo does not start "
            f"{noun(len(stopped), 'it', 'them')}, either",
        )
    for command in start_commands(stopped):
        output.say(f"  to start {noun(len(units_of(stopped)), 'it', 'them')}: {command}")
