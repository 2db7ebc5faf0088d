"""What drills say about the point that a recovery would restore."""

from __future__ import annotations

from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.run import Evidence
from drd.model.snapshot import RestorePoint
from drd.model.units import format_time


def failed_drill(services: Services, plan: Plan, point: RestorePoint) -> tuple[str, ...]:
    """Return a sentence for somebody who is about to recover the point if its last drill failed,
    with the command that chooses another one."""
    last: dict[str, Evidence] = {}
    for evidence in services.catalogue.evidence.newest(plan.name, limit=1000):  # newest first
        if evidence.target is None and evidence.point and evidence.result != "inconclusive":
            last.setdefault(evidence.point, evidence)
    drill = last.get(point.id)
    if drill is None or drill.result != "failed":
        return ()
    failed = {name for name, evidence in last.items() if evidence.result == "failed"}
    others = [
        p for p in services.catalogue.points.of_plan(plan.name) if p.complete and p.id not in failed
    ]
    other = next((p for p in others if p.data_time <= point.data_time), next(iter(others), None))
    remedy = (
        f"to choose restore point {other.id} (data of "
        f"{format_time(other.data_time, seconds=True)}) instead: `--point {other.id}`"
        if other is not None
        else "the plan has no other complete restore point whose drill did not fail. To see "
        f"all points: `drd points {plan.name}`"
    )
    at = format_time(drill.finished_at, seconds=True)
    run = f"`drd run show {drill.run}`"
    return (
        f"the last drill of restore point {point.id} failed at {at}. To see why: {run}; {remedy}",
    )
