"""Decide whether the next drill is instant, and write into its evidence what an instant drill has
read and measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drd.flows.drill.request import DrillRequest
from drd.flows.services import Services
from drd.model.instant import InstantDrill, Reading
from drd.model.plan import Plan
from drd.model.run import CheckResult, CheckVerdict, Evidence
from drd.model.scenarios import INSTANT
from drd.model.whole_drills import (
    last_whole,
    not_verified,
    projected_s,
    why_whole,
)


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a drill restores. An `instant` drill restores only what the checks read. `why` is
    the reason if a plan has instant drills, but this drill restores everything. `last` is the last
    whole drill."""

    instant: bool = False
    why: str = ""
    last: Evidence | None = None

    def row(self) -> tuple[CheckResult, ...]:
        """Return the row that the evidence of a whole drill gets in a plan with instant drills;
        empty for other drills."""
        return (_whole_row(self.why),) if self.why else ()


WHOLE = Amount()


def restored_whole(component: str, why: str) -> CheckResult:
    """Return the row which says that an instant drill restored this component completely, and
    why.
    """
    return replace(
        _whole_row(why), name=f"{component} was restored as a whole", component=component
    )


def _whole_row(why: str) -> CheckResult:
    return CheckResult(
        "this drill restores everything",
        None,
        CheckVerdict.PASSED,
        why,
        "instant drill",
        part=True,
        looked_at_data=False,
    )


def amount(services: Services, plan: Plan, request: DrillRequest) -> Amount:
    """Return how much the drill that begins now restores. A drill that keeps its sandboxes restores
    everything."""
    policy, scenario = plan.drill, str(request.scenario)
    if policy.full_every_s is None:
        return WHOLE
    if scenario not in INSTANT:
        return Amount(why=f"a drill of {scenario} restores everything")
    drills = services.catalogue.evidence.newest(plan.name, limit=1000)
    last = last_whole(drills, scenario, plan.proof, request.repository or "")
    # The scenarios take turns, so the next drill of this one is after a drill of each other one.
    apart_s = policy.interval_s and policy.interval_s * len(policy.scenarios)
    why = why_whole(last, services.clock.now(), policy.full_every_s, apart_s)
    if why is None and request.keep is not None:
        why = "the sandboxes of this drill are kept"
    return Amount(why is None, why or "", last)


def rows(found: tuple[Reading, ...]) -> tuple[CheckResult, ...]:
    """Return a row for each component of which the drill has not read everything."""
    return tuple(not_verified(one) for one in found if one.read_bytes < one.whole_bytes)


def said(evidence: Evidence, found: tuple[Reading, ...], last: Evidence | None) -> Evidence:
    """Return the evidence of a drill that has passed all its phases. `found` is what an instant
    drill has read, empty for a whole drill. The evidence of an instant drill has the time until the
    checks were answered, and no RTA, because the drill measured no recovery."""
    if not found or evidence.rta_s is None:
        return evidence
    checks_s = evidence.phases.get("validate_s", 0.0)
    computed = None if last is None else projected_s(last, evidence.restored_bytes, checks_s)
    instant = InstantDrill(
        found,
        ready_s=round(max(0.0, evidence.rta_s - checks_s), 3),
        answered_s=evidence.rta_s,
        projected_rta_s=computed,
        projected_from=last.id if last is not None and computed is not None else None,
    )
    return replace(evidence, rta_s=None, instant=instant)
