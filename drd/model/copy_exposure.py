"""Judge the exposure of copies in further repositories."""

from __future__ import annotations

from datetime import datetime, timedelta

from drd.model.clock import age
from drd.model.exposure_reasons import against
from drd.model.facts import CopyFacts, PlanFacts, RepositoryFacts
from drd.model.own_objectives import has_logs, points_may_be_s
from drd.model.repositories import of_what_counts
from drd.model.verdicts import CopyAssessment, Verdict

COPY_BOUND = 2.0
"""The exposure of a copy may be this multiple of the RPO: the interval of backups and both
durations add up.
"""


def copy_bound_s(plan: PlanFacts, facts: CopyFacts) -> float:
    """Return the largest allowed exposure of a copy: twice the largest allowed age of restore
    points, plus the pause that the plan allows. If the copy has the logs of all components, twice
    the RPO counts instead of this age.
    """
    by_logs = has_logs(plan) and {c.component for c in plan.components} <= {
        n for n, _ in facts.logs
    }
    old_s = plan.points_within_s if by_logs else points_may_be_s(plan)
    return COPY_BOUND * old_s + facts.pause_s


def copied_up_to(plan: PlanFacts, facts: CopyFacts) -> datetime | None:
    """Return the time of the data that a recovery from a copy alone would restore: that of the
    component with the oldest data. None if the copy has no restore point."""
    of_point = facts.data_time
    if of_point is None or not plan.components:
        return of_point
    logs = dict(facts.logs)
    return min(max(of_point, logs.get(c.component) or of_point) for c in plan.components)


def judge_copy(plan: PlanFacts, facts: CopyFacts, now: datetime) -> CopyAssessment:
    """Judge a copy by its own exposure, from the points that can be read there. A copy that has not
    received a point yet is unknown.
    """
    data_time = copied_up_to(plan, facts)
    place = next((r for r in plan.repositories if r.repository == facts.repository), None)
    if place is not None and _is_hurt(place):
        kept = place.sound if place.lost is None and not place.same else None
        data_time = kept.data_time if kept is not None else None
    verdict = against(age(data_time, now), copy_bound_s(plan, facts))
    if data_time is None and facts.data_time is not None:
        verdict = Verdict.BREACHED
    # Points with what an undo took back were copied in time: that the plan needs a newer point is
    # said of the plan.
    data_time = of_what_counts(plan, data_time)
    exposure_s = age(data_time, now)
    first_by = None if place is not None and _is_hurt(place) else first_copy_by(plan, facts, now)
    return CopyAssessment(facts.repository, facts.copy_of, data_time, exposure_s, verdict, first_by)


def first_copy_by(plan: PlanFacts, facts: CopyFacts, now: datetime) -> datetime | None:
    """Return until when the first copy may come to a repository that the plan has lately; None if
    something is there already, or if that time is over.
    """
    if facts.data_time is not None:
        return None
    since = facts.added_at or plan.first_loaded_at
    due = timedelta(seconds=copy_bound_s(plan, facts))
    return since + due if now - since <= due else None


def _is_hurt(repository: RepositoryFacts) -> bool:
    wrong = repository.lost is not None or repository.damage is not None or repository.same
    return wrong or repository.missing > 0
