"""`drd worker`: what the daemon starts for each run. Not for people."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable

from drd import log, process
from drd.bootstrap import App, Console, app
from drd.config.run_settings import PlanInForce, from_environment
from drd.errors import AlreadyRunning, DrdError
from drd.flows.run_kinds import FLOWS
from drd.flows.state.crash_cleanup import Ending, settle
from drd.model.cause import STOPPED, Cause
from drd.model.plan import Plan
from drd.model.run import Run, RunState
from drd.model.units import format_duration


def run(args: argparse.Namespace) -> int:
    process.offer_to_oom_killer()
    handed = handed_plan() if args.plan_on_stdin else None
    with app(args.config, settings=from_environment(os.environ)) as opened:
        settings = opened.settings
        log.configure(level=settings.log_level, style=settings.log_format)
        opened.handed = lambda name: handed if handed and handed.plan == name else None
        opened.console = Console(warn=_say("warning", args.run), note=_say("info", args.run))
        listen()
        run = opened.catalogue.runs.get(args.run)
        try:
            plan = opened.plans.in_force(run.plan)
            if args.settle is not None:
                return _settle(opened, plan, run, args)
            _bound(run)
            return execute(opened, plan, run)
        except DrdError as error:
            # Only the daemon reads this process's exit code, and logs the end of the run: the error
            # is in the run's row, unless the run never began.
            state = "cancelled" if _is_done_elsewhere(opened, run, error) else "failed"
            opened.catalogue.queue.drop(run.id, state, error.message, opened.clock.now())
            log.get(run=run.id, plan=run.plan).debug(f"run.{state}", error=error.message)
            return error.exit_code


def handed_plan() -> PlanInForce:
    """Return the text that the daemon has in force. After us nothing is left on stdin."""
    with os.fdopen(os.dup(0), "rb") as file:
        handed = PlanInForce.from_bytes(file.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return handed


def _is_done_elsewhere(app: App, run: Run, error: DrdError) -> bool:
    """Return whether another command began the same a moment before: that is not a failure."""
    if not isinstance(error, AlreadyRunning):
        return False
    other = app.catalogue.runs.get(error.run)
    return (other.kind, other.subject) == (run.kind, run.subject)


def execute(app: App, plan: Plan, run: Run) -> int:
    """Execute the run by the flow of its kind; the result is in the catalogue."""
    FLOWS[run.kind](app.services(plan, claim=run), plan, run)
    return 0


def _settle(app: App, plan: Plan, run: Run, args: argparse.Namespace) -> int:
    state = RunState.CANCELLED if args.cancelled else RunState.INTERRUPTED
    cause = Cause(args.settle, args.code)
    settle(app.services(plan), plan, {run.id: Ending(state, cause)})
    return 0


def _say(level: str, run: str) -> Callable[[str], None]:
    logger = log.get(run=run)
    return lambda sentence: getattr(logger, level)("run.said", text=sentence)


def listen() -> None:
    """SIGINT cancels the run; SIGTERM (the service stops, or the daemon died) interrupts it."""
    signal.signal(signal.SIGINT, lambda *_: process.cancel())
    signal.signal(signal.SIGTERM, lambda *_: process.cancel(STOPPED))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.environ.get("DRD_DAEMON", str(os.getppid())) != str(os.getppid()):
        process.cancel(STOPPED)  # the daemon died before we could receive its signal


def _bound(run: Run) -> None:
    """End the run when it takes longer than its schedule allows."""
    timeout_s = run.detail.timeout_s
    if timeout_s is None:
        return
    cause = Cause(f"the run did not finish within {format_duration(timeout_s)}")
    timer = threading.Timer(timeout_s, lambda: process.cancel(cause))
    timer.daemon = True
    timer.start()
