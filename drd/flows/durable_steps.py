"""Durable steps: intent row, effect, result row.

A finished step never runs again. A step that was running when its process died runs again, so every
effect first checks whether it already happened, or removes what carries its own mark.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

from drd import log, process
from drd.errors import AlreadyRunning, Cancelled, DrdError, Fenced, StepFailed
from drd.exhaustion import exhausted, text_of
from drd.extension_faults import FOREIGN, fault
from drd.flows.services import Services
from drd.model import step_results
from drd.model.cause import Cause
from drd.model.run import Executed, Run, RunKind, RunState, StepState
from drd.model.run_details import RunDetail
from drd.model.step_results import StepResult
from drd.model.text import in_commands, in_one_line
from drd.ports import RunLease

R = TypeVar("R", bound=StepResult)


class Runner:
    """Runs the steps of one owned run; safe in several threads."""

    def __init__(self, services: Services, owned: RunLease) -> None:
        self.services = services
        self.owned = owned
        self.run = owned.run

    def step(self, name: str, kind: str, effect: Callable[[], R], *, subject: str = "") -> R:
        """Run a step and return its result: the recorded result if the step succeeded before, else
        the result of the effect. If the effect raises, the step is recorded as failed (or
        cancelled), and the error is raised. Later code finds the step by its kind and `subject`.
        """
        process.check_cancelled()
        catalogue, clock = self.services.catalogue, self.services.clock
        record = catalogue.steps.begin(self.owned, name, kind, clock.now(), subject=subject)
        if record.state is StepState.SUCCEEDED:
            return cast("R", record.result)
        try:
            result = effect()
        except Cancelled:
            self._end(name, StepState.CANCELLED, Cause("cancelled"))
            raise
        except Fenced:
            raise
        except FOREIGN as raised:
            error = fault(raised) or raised
            _complete(error, self.owned, subject or "")
            self._end(name, StepState.FAILED, describe(error), result_of(error, kind))
            if error is not raised:
                raise error from raised
            raise
        catalogue.steps.finish(self.owned, name, StepState.SUCCEEDED, at=clock.now(), result=result)
        return result

    def forget(self, name: str, why: str) -> None:
        """Let a step run again although it succeeded, because its result cannot be used: `why`."""
        self._end(name, StepState.FAILED, Cause(why))

    def _end(
        self, name: str, state: StepState, cause: Cause, result: StepResult | None = None
    ) -> None:
        with process.shielded():
            self.services.catalogue.steps.finish(
                self.owned,
                name,
                state,
                at=self.services.clock.now(),
                result=result,
                error=cause.text,
                remedy=cause.remedy,
            )


def _complete(error: BaseException, owned: RunLease, component: str = "") -> None:
    if isinstance(error, DrdError):
        plan, run = owned.run.plan, owned.run.id
        error.hint = in_commands(error.hint, plan=plan, run=run, component=component)


def result_of(error: BaseException, kind: str) -> StepResult:
    """Return what a step of this kind reported before it failed."""
    return step_results.read(kind, error.result if isinstance(error, StepFailed) else {})


def describe(error: BaseException) -> Cause:
    """Return the error as records have it: the fact and the remedy in one line, masked."""
    if not isinstance(error, DrdError):
        return Cause(log.masked(f"{type(error).__name__}: {text_of(error)}"), "bug")
    return Cause(log.masked(error.line), error.code, log.masked(in_one_line(error.hint)))


def require_not_executed(services: Services, run: Run) -> None:
    """Raise AlreadyRunning while a process executes a run of this kind and plan."""
    services.row_trust.require_idle(services.row_trust.plan_of(run))
    dead = {r.id for r in services.catalogue.runs.abandoned(run.plan)}
    for other in services.catalogue.runs.newest(run.plan, limit=200, kind=run.kind):
        if not other.state.final and other.id not in dead:
            raise AlreadyRunning(
                f"process {other.owner_pid} is executing run {other.id} of {run.plan}"
                + (f" on {other.owner_host}" if other.owner_host else ""),
                run=other.id,
                hint=f"to see its progress: `drd run show {other.id}`. To end it: `drd cancel "
                f"{other.id}`",
            )


_NOT_PERMANENT = RunDetail(permanent=False)


@contextmanager
def new_run(
    services: Services,
    plan: Executed,
    kind: RunKind,
    *,
    trigger: str,
    detail: RunDetail | None = None,
    subject: str = "",
) -> Iterator[Runner]:
    """Record a run before anything can fail, own it, and make sure that it ends in a final state. A
    process that was started for a pending run of this kind and subject uses that run.
    """
    claim = services.claim
    owned = services.catalogue.runs.begin(
        plan,
        kind,
        trigger=trigger,
        detail=detail,
        at=services.clock.now(),
        subject=subject,
        claim=claim.id if claim and (claim.kind, claim.subject) == (kind, subject) else "",
    )
    with closing_run(services, owned) as runner:
        yield runner


@contextmanager
def closing_run(services: Services, owned: RunLease) -> Iterator[Runner]:
    """Make sure that a run which this process owns, new or adopted, ends in a final state. If the
    body raises an error, the run ends with it, unless the body has finished the run itself.
    """
    os.environ.update(owned.mark.environment())  # children carry it, so that a sweep finds them
    logger = log.get(run=owned.run.id, plan=owned.run.plan, kind=str(owned.run.kind))
    logger.debug("run.started")
    try:
        yield Runner(services, owned)
    except Fenced:
        services.row_trust.taken_over(owned.run)
        logger.warning("run.fenced")
        raise
    except Cancelled:
        why = process.interruption()
        state = RunState.INTERRUPTED if why else RunState.CANCELLED
        # Also what made a process group of its own, as a hook's may.
        process.kill_marked(owned.mark, roots=True, grace_s=1.0)
        _finish(services, owned, state, why or Cause("cancelled"))
        logger.debug("run.finished", state=str(state))
        raise
    except BaseException as raised:
        error = exhausted(raised, services.work_dir) or fault(raised) or raised
        _complete(error, owned)
        cause = describe(error)
        untouched = isinstance(error, DrdError) and error.untouched
        detail = RunDetail(permanent=is_permanent(error), untouched=untouched)
        _finish(services, owned, RunState.FAILED, cause, detail)
        logger.debug("run.finished", state="failed", error=cause.line)
        if error is not raised:
            raise error from raised
        raise
    finally:
        owned.release()
        for name in process.MARKS:
            os.environ.pop(name, None)


def _finish(
    services: Services,
    owned: RunLease,
    state: RunState,
    cause: Cause,
    found: RunDetail = _NOT_PERMANENT,
) -> None:
    detail = found.merged(RunDetail(error_code=cause.code, remedy=cause.remedy or None))
    with process.shielded():
        services.catalogue.runs.finish(
            owned, state, at=services.clock.now(), error=cause.text, detail=detail
        )


def is_permanent(error: BaseException) -> bool:
    """Return whether a retry cannot help: the error is a bug, or a person has to act."""
    return not isinstance(error, DrdError) or error.permanent
