"""The threats to a service, and whether what a plan names against them exists."""

from __future__ import annotations

from drd.flows.host.control import Standing, State, standings
from drd.flows.services import Services
from drd.model import drill_readiness, risks
from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.model.risks import Judged, Lack


def threats(services: Services, plan: Plan) -> list[Judged]:
    """Judge the risks of a plan, and the usual threats that it does not name. A scenario counts if
    its drill counts for the readiness of the plan, a control if it held when it was checked last.
    """
    now = services.clock.now()
    drills = drill_readiness.of_drills(
        plan,
        services.catalogue.evidence.newest(plan.name, limit=200),
        now,
        proofs=services.catalogue.plans.proofs(plan),
    )
    lacks = {d.finding.subject: _lack(d.finding) for d in drills}
    wanted = {name: lacks[name] for name in plan.drill.scenarios}
    holding = {
        name: _unheld(plan_standings) for name, plan_standings in standings(services, plan).items()
    }
    there = risks.Evidence(wanted, services.playbooks(), services.refused_playbooks(), holding)
    return risks.judge(plan.inventory.risks, there, now.date())


def _unheld(standing: Standing) -> Lack | None:
    if standing.state is State.HOLDS:
        return None
    text = standing.text or standing.state.value
    return Lack(f"control:{standing.spec.name}: {text}", standing.remedy)


def _lack(drill: Finding) -> Lack | None:
    if drill.severity == "ok":
        return None
    return Lack(f"{drill.subject}: {drill.text}", drill.remedy)
