"""What a kit says about drills: which restore points they could not restore. A repository of
another tool does not contain this; a repository of drd contains it only as it was at the last
backup."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.model.adopted import copy_name
from drd.model.check_words import RESTORES
from drd.model.kit import KitDrill, KitFailure
from drd.model.kit_index import reads_back
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Evidence
from drd.model.snapshot import newest_complete
from drd.model.text import escaped, in_one_line, shortened
from drd.ports import Catalogue

_MOST = 100
_MOST_ROWS = 20
_LINE = 200


def known_drills(plan: str, catalogue: Catalogue) -> tuple[KitDrill, ...]:
    """Return the drills that could not restore points that are still kept, newest points first;
    then the last drill, so that nobody takes one of the others for it. Empty if there are no such
    points."""
    tried = catalogue.evidence.unrestorable(plan)
    kept = sorted(catalogue.points.of_plan(plan), key=lambda p: p.data_time, reverse=True)
    runs = [tried[p.id][0] for p in kept if p.id in tried][:_MOST]
    evidence_rows = [e for e in map(catalogue.evidence.of_run, runs) if e is not None]
    if evidence_rows:
        drills = (e for e in catalogue.evidence.newest(plan, limit=100) if e.target is None)
        evidence_rows += [e for e in drills if e.id not in {f.id for f in evidence_rows}][:1]
    return tuple(filter(reads_back, map(_told, evidence_rows)))


def left_out_by_hand(plan: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the points, or adopted copies, that a recovery by hand must not choose: a drill could
    not restore them, and there is an older point. `drd recover` does not choose them either."""
    tried = catalogue.evidence.unrestorable(plan)
    kept = catalogue.points.of_plan(plan)
    left = newest_complete([p for p in kept if p.id not in tried])
    if left is None:
        return ()
    newer = (p for p in kept if p.id in tried and p.data_time > left.data_time)
    return tuple(copy_name(p) for p in newer)


def bring_back(
    catalogue: Catalogue, plan: str, host: str, told: Sequence[KitDrill], now: datetime
) -> None:
    """Record the drills of a kit that was made on `host`. What the catalogue has stays."""
    catalogue.evidence.bring_back(plan, host, [_evidence(plan, one) for one in told], now)


def _told(of: Evidence) -> KitDrill:
    failed = [c for c in of.checks if c.expected == RESTORES and c.verdict is CheckVerdict.FAILED]
    failed.sort(key=lambda c: not c.looked_at_data)
    return KitDrill(
        of.id,
        of.run,
        of.point,
        of.scenario,
        str(of.result),
        of.plan_digest,
        of.started_at,
        of.finished_at,
        None if of.rpa_s is None else max(0.0, of.rpa_s),
        of.rta_s,
        of.judged,
        of.data_time,
        of.restored_bytes,
        tuple(
            KitFailure(c.component, _line(c.observed), c.looked_at_data)
            for c in failed[:_MOST_ROWS]
            if c.component is not None
        ),
        tuple(u._replace(why=_line(u.why)) for u in of.unproven[:_MOST_ROWS]),
    )


def _line(text: str) -> str:
    return shortened(escaped(in_one_line(text)), _LINE)


def _evidence(plan: str, told: KitDrill) -> Evidence:
    return Evidence(
        id=told.evidence,
        run=told.run,
        plan=plan,
        point=told.point,
        scenario=told.scenario,
        result=DrillResult(told.result),
        plan_digest=told.proof,
        started_at=told.started_at,
        finished_at=told.finished_at,
        rpa_s=told.rpa_s,
        rta_s=told.rta_s,
        judged=told.judged,
        phases={},
        checks=tuple(
            CheckResult(
                f"{one.component} can be restored",
                one.component,
                CheckVerdict.FAILED,
                one.why,
                RESTORES,
                looked_at_data=one.of_data,
            )
            for one in told.failed
        ),
        data_time=told.data_time,
        restored_bytes=told.restored_bytes,
        unproven=told.unproven,
    )
