"""Looking ahead: would everything that a run of the plan needs be there now?

The same attempts as `drd doctor`, as a run with a record, so that what breaks between two drills is
an alert and not a surprise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drd.flows.doctor import examine
from drd.flows.runner import new_run
from drd.flows.services import Services
from drd.model.plan import Plan, SecretRef
from drd.model.run import RunKind, RunState
from drd.ports import Finding


def evaluate(
    services: Services, plan: Plan, resolve: Callable[[SecretRef], str], *, trigger: str
) -> list[Finding]:
    """Try everything and record what was found: the run fails when something is not in order."""
    with new_run(services, plan, RunKind.READINESS, trigger=trigger, detail={}) as runner:
        findings = examine(services, plan, resolve)
        bad = [f for f in findings if not f.ok]
        services.catalogue.finish(
            runner.owned,
            RunState.FAILED if bad else RunState.SUCCEEDED,
            at=services.clock.now(),
            error="; ".join(f"{f.name}: {f.detail}" for f in bad) or None,
            detail={"findings": [_row(f) for f in findings if not f.ok or f.warning]},
        )
        return findings


def _row(finding: Finding) -> Mapping[str, Any]:
    return {
        "name": finding.name,
        "ok": finding.ok,
        "detail": finding.detail,
        "hint": finding.hint,
    }
