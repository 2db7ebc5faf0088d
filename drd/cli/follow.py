"""Runs that another process carries out: asking the daemon for one, watching one to its end."""

from __future__ import annotations

import getpass
import sys
import time

from drd import process
from drd.bootstrap import App
from drd.catalogue.summary import HEARTBEAT, daemon_facts
from drd.cli import output
from drd.errors import Cancelled, DrdError, NotOwner
from drd.flows.status import daemon_state
from drd.model.run import Run, RunKind, RunState, StepState
from drd.model.units import format_duration

_LOOK_S = 0.5


def asked(app: App, name: str, kind: RunKind, refused: str, *, quiet: bool) -> Run:
    """Have the daemon do what this user may not, and watch it; the run when it is over. One that is
    going on already is watched as it is.

    `refused` is an option that only the state's owner can use, or empty. Raises NotOwner for it,
    and where there is no daemon.
    """
    plan = app.known_plan(name)
    owner = app.state_owner
    what = f"the state belongs to {owner}"
    if refused:
        raise NotOwner(f"{what}, who alone can use {refused}", hint=f"sudo -u {owner} drd …")
    _require_daemon(app, what, f"sudo drd {kind} {plan}, or systemctl start drd")
    queue = app.catalogue.queue
    for run in queue.open_runs():
        if (run.plan, run.kind, run.subject) == (plan, kind, ""):
            return follow(app, run.id, quiet=quiet)
    [row] = queue.plan_rows([plan])
    run = queue.enqueue(
        Run(
            id="",
            plan=plan,
            kind=kind,
            trigger="manual",
            state=RunState.PENDING,
            started_at=None,
            plan_digest=row.digest,
            detail={"why": f"asked for by {getpass.getuser()}"},
        )
    )
    return follow(app, run.id, quiet=quiet)


def follow(app: App, run_id: str, *, quiet: bool) -> Run:
    """Until it is over; its steps are told on stderr as they end. Raises Cancelled when whoever
    watches has seen enough: the run goes on."""
    run = app.catalogue.run(run_id)
    told: set[str] = set()
    _say(f"following {run.kind} {run.id} of {run.plan}; Ctrl-C leaves it alone", quiet=quiet)
    while True:
        run = app.catalogue.run(run.id)
        for step in app.catalogue.steps(run.id):
            if step.state is not StepState.RUNNING and step.name not in told:
                told.add(step.name)
                took_s = (step.finished_at or step.started_at) - step.started_at
                took = format_duration(took_s.total_seconds())
                _say(f"  {step.name}  {step.state}  {took}", quiet=quiet)
        if run.state.final:
            return run
        if run.state is RunState.PENDING:
            _require_daemon(
                app, f"run {run.id} waits", f"systemctl start drd, or drd cancel {run.id}"
            )
        if process.cancelled():
            raise Cancelled(f"run {run.id} goes on; end it with: drd cancel {run.id}")
        time.sleep(_LOOK_S)


def _require_daemon(app: App, what: str, hint: str) -> None:
    noted = app.catalogue.queue.noted(HEARTBEAT)
    facts = daemon_facts(*noted) if noted is not None else None
    state = daemon_state(facts, app.clock.now(), installed=False)
    if state is None or state.state != "running":
        raise NotOwner(f"{what}, and no daemon runs that could do it", hint=hint)


def failure(run: Run) -> DrdError:
    """What to say of a run that left nothing but its error."""
    return DrdError(run.error or f"it ended {run.state}", hint=f"drd run show {run.id}")


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        print(output.unmarked(text), file=sys.stderr)
