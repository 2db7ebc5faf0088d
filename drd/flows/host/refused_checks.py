"""Find the checks of a plan that every drill refuses."""

from __future__ import annotations

from drd.model.finding import Finding
from drd.model.finding_codes import CHECK_QUERY
from drd.model.plan import Plan
from drd.registry import CHECKS, KINDS


def refused_checks(plan: Plan) -> list[Finding]:
    """Return an error for each: such a check proves nothing, and no drill of the plan passes."""
    findings = []
    for check in plan.checks:
        component = plan.components.get(check.component or "")
        if component is None or component.kind not in KINDS:
            continue
        wrong = CHECKS[check.kind].refused(check.settings, KINDS[component.kind])
        if wrong is not None:
            remedy = f"correct the check in {plan.file}: {wrong.hint}"
            findings.append(Finding(CHECK_QUERY, "error", check.name, wrong.message, remedy))
    return findings
