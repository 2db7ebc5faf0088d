"""`drd cancel`."""

from __future__ import annotations

import argparse
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from drd.api.documents import run_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.enduring import app_of
from drd.cli.remote import Remote
from drd.cli.session import tell_of_daemon
from drd.errors import DrdError
from drd.flows.state.crash_cleanup import Ending, settle
from drd.model.actor import Actor
from drd.model.cause import Cause
from drd.model.run import Run, RunState
from drd.model.units import format_rfc3339
from drd.ports.runs import RunStore
from drd.process import rights

_ASK_AGAIN_S = 7.0
"""After this many seconds a process that was asked to end is killed: a run ends within 10 s."""
_LIMIT_S = 15.0


def run(args: argparse.Namespace) -> int:
    with app_of(args) as opened:
        if opened.state.is_ours:
            tell_of_daemon(opened, args)
            asked = opened.catalogue.queue.ask_cancel(args.run, opened.clock.now())
            ended = _until_over(opened, asked)
            document, hint = run_document(ended), _hint(ended)
        else:
            document, hint = _by_the_daemon(opened, args)
    over = document["finished_at"] is not None
    what = f"{document['kind']} {document['run']} of {document['plan']}"
    if args.json:
        output.print_json(document)
    elif not over:
        output.complain(f"{what} has not ended yet", hint)
    elif not args.quiet:
        output.say(f"{what} has ended: {document['state']}{_asked(document)}")
    return 0 if over else 1


def _asked(document: dict[str, Any]) -> str:
    """Return when somebody asked to end it, and who."""
    actor, at = Actor.from_json(document["cancel_actor"]), document["cancel_asked_at"]
    if actor is None or at is None:
        return ""
    return f" (drd cancel at {format_rfc3339(at, seconds=True)} by {actor.words()})"


def _by_the_daemon(app: App, args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Ask the daemon to end it; report what to do if it has not ended."""
    remote = Remote(app)
    run = remote.post(f"/v1/runs/{args.run}/cancel")["run"]
    limit = time.monotonic() + _LIMIT_S
    while True:
        run_document = remote.get(f"/v1/runs/{run}")
        if run_document["finished_at"] is not None or time.monotonic() > limit:
            other = "the run may belong to another user, whose processes the daemon cannot end"
            return run_document, f"{other}; then: sudo drd cancel {run}"
        time.sleep(0.3)


def _hint(run: Run) -> str:
    with suppress(OSError):
        if os.getuid() not in (0, Path(f"/proc/{run.owner_pid}").stat().st_uid):
            return (
                f"process {run.owner_pid} of the run belongs to another user: run the command "
                "again as that user or as root."
            )
    return (
        f"drd is still cleaning up after the run; to see when this has ended: drd run show {run.id}"
    )


def _until_over(app: App, run: Run) -> Run:
    """Return the run when it has reached a final state, or when waiting is of no more use.

    The daemon ends its own runs, and we the others, if we may; a process that does not end is
    killed with everything that it started, and its run is settled."""
    began = time.monotonic()
    _signal(app, run, signal.SIGINT)
    killed = False
    while True:
        now = app.catalogue.runs.get(run.id)
        waited = time.monotonic() - began
        if now.state.final or waited > _LIMIT_S:
            return now
        if str(now.state) == "pending" and waited > 2.0:
            # No daemon will end it before it begins.
            app.catalogue.queue.drop(run.id, "cancelled", "cancelled", app.clock.now())
        if waited > _ASK_AGAIN_S and not killed:
            killed = True
            _kill(app, now)
        if any(r.id == run.id for r in _runs(app).abandoned(run.plan)):
            _settle(app, now)
        time.sleep(0.1)


def _runs(app: App) -> RunStore:
    """Return the runs as root's own record has them: its living processes are no dead ones."""
    return app.row_trust()[0].runs


def _signal(app: App, run: Run, number: signal.Signals) -> None:
    if str(run.state) not in ("running", "waiting"):
        return
    with rights.root(rights.Purpose.PROCESSES):
        pid = _runs(app).process_of(run)
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, number)


def _kill(app: App, run: Run) -> None:
    _signal(app, run, signal.SIGKILL)
    app.catalogue.runs.end_left(run)


def _settle(app: App, run: Run) -> None:
    """Clean up after the dead process of the run, if its plan is known."""
    ending = Ending(RunState.CANCELLED, Cause("cancelled"))
    try:
        if not run.kind.is_peoples:
            plan = app.plans.in_force(run.plan)
            settle(app.services(plan), plan, {run.id: ending})
            return
    except DrdError as error:
        output.warn(
            f"run {run.id} is cancelled, but its unfinished data may still be in the repository: "
            f"{error.message}. A later run of the plan removes such data"
        )
    catalogue, _ = app.row_trust()
    owned = catalogue.runs.adopt(run, app.clock.now())
    if owned is not None:
        catalogue.runs.finish(owned, ending.state, at=app.clock.now(), error=ending.cause.text)
        owned.release()
