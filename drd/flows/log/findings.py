"""Check the repository of a plan's logs, and what drd knows of the logs, for `drd doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from drd.errors import DrdError, NotSupported
from drd.flows.log.noted import noted_copy, noted_state
from drd.flows.log.repository import log_spec, logged
from drd.flows.services import Services
from drd.model.finding import Finding
from drd.model.log import LogState
from drd.model.log_conditions import log_condition, log_copy_condition
from drd.model.plan import Plan, RepositorySpec
from drd.model.text import some
from drd.model.units import format_time

_GAP = "log-gap"


def findings(services: Services, plan: Plan) -> list[Finding]:
    """Return the findings whether drd can reach the repository of the logs, whether they arrive
    there, and whether they have gaps; empty if no component of the plan has a log.
    """
    names = logged(services, plan)
    if not names:
        return []
    subject = plan.primary.name
    of_logs = [finding for name in names for finding in _of_log(services, plan, name)]
    try:
        spec = log_spec(plan)
        services.open_repository(spec).preflight()
    except DrdError as error:
        return [Finding("log-repository", "error", subject, error.message, error.hint), *of_logs]
    text = f"drd stores the log of {some(names)} in {spec.url}"
    of_copies = [
        finding for copy in plan.copies for finding in _of_copy(services, plan, copy, names)
    ]
    return [Finding("log-repository", "ok", subject, text), *of_logs, *of_copies]


def _of_copy(
    services: Services, plan: Plan, copy: RepositorySpec, names: Sequence[str]
) -> list[Finding]:
    """Return findings that say whether drd can reach the copy of the logs beside a repository with
    `copy_of`, and whether drd copies the logs there."""
    try:
        spec = log_spec(plan, copy.name)
        log_spec(plan, str(copy.copy_of))
    except NotSupported as error:
        text = f"drd does not copy the log of {some(names)} to {copy.name}: {error.message}"
        return [Finding("log-repository", "warning", copy.name, text, error.hint)]
    try:
        services.open_repository(spec).preflight()
    except DrdError as error:
        return [Finding("log-repository", "error", copy.name, error.message, error.hint)]
    return [_arrival_there(services, plan, copy, name) for name in names]


def _arrival_there(services: Services, plan: Plan, copy: RepositorySpec, name: str) -> Finding:
    noted = noted_copy(services.catalogue.queue, plan.name, copy.name, name)
    command = f"drd copy {plan.name} --repository {copy.name}"
    if noted is None:
        text = f"drd has not copied the log of {name} to repository {copy.name} yet"
        hint = f"start the daemon, which copies it after each push; or copy it now: {command}"
        if not plan.copying.follows:
            hint = f"copy it now: {command}"
        return Finding("log-copy", "warning", copy.name, text, hint)
    state = noted[1]
    wrong = log_copy_condition(plan.name, name, copy.name, state, services.clock.now())
    if wrong is not None:
        return Finding("log-copy", "warning", copy.name, wrong.text, state.remedy or command)
    text = f"drd copies the log of {name} to repository {copy.name}"
    if state.complete_at is not None:
        at = format_time(state.complete_at, seconds=True)
        text += f", which has everything up to {at}"
    return Finding("log-copy", "ok", copy.name, text)


def _of_log(services: Services, plan: Plan, name: str) -> list[Finding]:
    """Return findings from what the receiver of a log has noted; empty if no receiver has started
    yet."""
    noted = noted_state(services.catalogue.queue, plan.name, name)
    if noted is None:
        return []
    at, state = noted
    return [_arrival(plan, name, state, at, services.clock.now()), *_gaps(plan, name, state)]


def _arrival(plan: Plan, name: str, state: LogState, noted_at: datetime, now: datetime) -> Finding:
    """Return a finding that says whether drd receives the log. If there is an alert about the log,
    the finding has its text."""
    wrong = log_condition(plan.name, name, state, noted_at, now)
    if wrong is not None:
        code = _GAP if state.code == _GAP else "log-arrival"
        # The remedy of an alert of severity warning is `drd doctor`: the person runs this already.
        remedy = state.remedy if wrong.severity == "warning" else ""
        return Finding(
            code, "warning", name, wrong.text, remedy or f"to see more: `{wrong.remedy}`"
        )
    text = f"the log of {name} arrives"
    if state.complete_at is not None:
        at = format_time(state.complete_at, seconds=True)
        text += f"; the repository has everything up to {at}"
    return Finding("log-arrival", "ok", name, text)


def _gaps(plan: Plan, name: str, state: LogState) -> list[Finding]:
    """Return the gaps between the times to which the component can be recovered."""
    gaps = []
    for (_, left), (begins, _) in pairwise(sorted(state.spans)):
        if begins > left:
            since, until = (format_time(at, seconds=True) for at in (left, begins))
            text = (
                f"the log of {name} has a gap: drd cannot recover {name} to a time between {since} "
                f"and {until}"
            )
            remedy = (
                "the gap cannot be closed. drd reports it until retention has removed the restore "
                f"points from before the gap. To see the times that drd can recover: "
                f"`drd points {plan.name}`"
            )
            gaps.append(Finding(_GAP, "warning", name, text, remedy))
    return gaps
