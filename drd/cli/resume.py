"""`drd resume`."""

from __future__ import annotations

import argparse
from contextlib import suppress

from drd.bootstrap import App
from drd.cli import output, playbook_run
from drd.cli.confirm import confirm
from drd.cli.live import watched
from drd.cli.recover import execute
from drd.cli.session import session
from drd.errors import UsageError
from drd.flows.restore.resume import resume_plan
from drd.flows.restore.unfinished import unfinished
from drd.model.plan import Plan
from drd.model.playbook_names import of_words, playbook_of
from drd.model.run import Run, RunKind
from drd.model.text import escaped
from drd.model.units import format_time


def run(args: argparse.Namespace) -> int:
    with session(args) as app, watched(app, args):
        run = app.catalogue.runs.get(args.run) if args.run else _only_one(app)
        if run.kind is RunKind.PLAYBOOK:
            if not args.run:
                _confirm_playbook(run, args)
            return playbook_run.resume(app, run, args)
        plan = app.plans.load_known(run.plan)
        services = app.services(plan)
        if not args.run:
            _confirm(app, plan, run, args)
        return execute(app, services, resume_plan(services, plan, run), args)


def _only_one(app: App) -> Run:
    """Return the recovery that stopped before its end, or the recovery or playbook whose process
    died. Raises UsageError for none, or several."""
    stopped = {facts.unfinished.run for facts in app.read_facts() if facts.unfinished is not None}
    died = [r for r in app.catalogue.runs.abandoned() if r.kind.is_peoples]
    resumable = {r.id: r for r in [*died, *map(app.catalogue.runs.get, stopped)]}
    if len(resumable) == 1:
        return next(iter(resumable.values()))
    if not resumable:
        raise UsageError(
            "no recovery over production is unfinished, and no recovery or playbook was "
            "interrupted",
            hint="to see all runs: `drd runs`; then: `drd resume RUN`",
        )
    names = "\n".join(f"drd resume {r.id}    ({_words(r)})" for r in resumable.values())
    raise UsageError(f"{len(resumable)} runs are not finished", hint=f"choose one:\n{names}")


def _words(run: Run) -> str:
    at = run.started_at
    whose = of_words(run.plan) if run.kind is RunKind.PLAYBOOK else run.plan
    return f"of {whose}" + (f", begun {format_time(at, seconds=True)}" if at else "")


def _confirm_playbook(run: Run, args: argparse.Namespace) -> None:
    """Name the run that drd chose, and ask before drd continues it."""
    output.say_below("resume ", f"run {run.id} {escaped(_words(run))}", beside=args.json)
    if not args.yes:
        name = playbook_of(run.plan) or run.plan
        confirm(name, f"to resume run {run.id} without naming it", f"drd resume {run.id}")


def _confirm(app: App, plan: Plan, run: Run, args: argparse.Namespace) -> None:
    """Name the recovery that drd chose, and ask before drd continues it."""
    output.say_below("resume ", f"recovery {run.id} {_words(run)}", beside=args.json)
    with suppress(UsageError):
        words = unfinished(app.catalogue, plan, run).words()
        output.say_below("  so far     ", words, beside=args.json)
    if not args.yes:
        what = f"to resume recovery {run.id} without naming it"
        confirm(plan.name, what, f"drd resume {run.id}")
