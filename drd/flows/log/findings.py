"""Check the repository of a plan's logs for `drd doctor`."""

from __future__ import annotations

from drd.errors import DrdError
from drd.flows.log.repository import log_spec, logged
from drd.flows.services import Services
from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.model.text import some


def findings(services: Services, plan: Plan) -> list[Finding]:
    """Return the finding whether drd can reach the repository of the logs; empty if no component of
    the plan has a log.
    """
    names = logged(services, plan)
    if not names:
        return []
    subject = plan.primary.name
    try:
        spec = log_spec(plan)
        services.open_repository(spec).preflight()
    except DrdError as error:
        return [Finding("log-repository", "error", subject, error.message, error.hint)]
    text = f"the log of {some(names)} goes to {spec.url}"
    if plan.copies:
        text += f", and not to the copies in {some([c.name for c in plan.copies])}"
    return [Finding("log-repository", "ok", subject, text)]
