"""Judge the RPO: what would be lost now, and what the schedule can achieve."""

from __future__ import annotations

from datetime import datetime, timedelta

from drd.model.attainment import attainment
from drd.model.clock import age
from drd.model.copies_without_log import copies_without_log
from drd.model.exposure_reasons import AT_RISK_SHARE, against, at_stake, judge_exposure, leads_on
from drd.model.facts import AUTO, ComponentFacts, PlanFacts
from drd.model.own_objectives import (
    Achievable,
    Exposed,
    achievable,
    achievable_of,
    points_may_be_s,
    points_tell,
    rpo_of,
    strictest_s,
)
from drd.model.repositories import (
    judge_repositories,
    newest_ever,
    of_what_counts,
    outage,
    readable,
    undoing,
)
from drd.model.units import format_duration, format_time
from drd.model.verdicts import (
    ComponentAssessment,
    Reason,
    RpoAssessment,
    Verdict,
)
from drd.model.verdicts import worst as worst_verdict

MEANINGFUL_S = 86400.0
"""Seconds that a plan has to be known before people see its attainment: the minutes before the
first backup count as missed, and would be most of the time.
"""

RECENT = timedelta(days=1)
"""How long a past miss of the objective is shown."""


def judge_rpo(facts: PlanFacts, now: datetime) -> tuple[RpoAssessment, list[Reason]]:
    """Judge the RPO: the verdict is the worst of its reasons, and `met` without any. The exposure
    and the objective are those of the component that is worst against its own objective."""
    stake = at_stake(facts, now)
    worst, exposure_s = (stake.worst, stake.exposure_s) if stake is not None else (None, None)
    wrong = judge_repositories(facts, now)
    reasons = [*wrong, *judge_exposure(facts, stake, wrong, now), *_never_captured(facts)]
    reasons += copies_without_log(facts)
    slowest = achievable(facts)
    if slowest is not None and slowest.exposure_s > AT_RISK_SHARE * slowest.rpo_s:
        reasons.append(_schedule_too_slow(facts, slowest))
    verdict = worst_verdict((Verdict.MET, *(r.verdict for r in reasons)))
    share, kept, window_s = None, None, min(facts.window_s, _known_s(facts, now))
    if points_tell(facts):
        # If a log must keep a shorter RPO, the intervals between restore points do not show it.
        reasons += _crossed_lately(facts, now) if verdict is not Verdict.BREACHED else []
        share = _attained(facts, now)
        kept = share if _known_s(facts, now) >= MEANINGFUL_S else None
    return RpoAssessment(
        worst.rpo_s if worst is not None else strictest_s(facts),
        exposure_s,
        _achievable_s(facts, slowest, worst),
        share,
        verdict,
        kept,
        window_s,
        worst.component if worst is not None else "",
        slowest,
        worst.data_time if exposure_s is not None and worst is not None else None,
        points_may_be_s(facts),
    ), reasons


def _known_s(facts: PlanFacts, now: datetime) -> float:
    return (now - facts.first_loaded_at).total_seconds()


def _attained(facts: PlanFacts, now: datetime) -> float | None:
    """Return the share of the window in which restore points kept the RPO."""
    lasting = outage(facts, now)
    return attainment(
        facts.missed,
        newest_ever(facts),
        rpo_s=facts.points_within_s,
        first_loaded_at=facts.first_loaded_at,
        window_s=facts.window_s,
        now=now,
        outages=(*facts.outages, *((lasting,) if lasting else ())),
    )


def _achievable_s(
    facts: PlanFacts, slowest: Achievable | None, worst: Exposed | None
) -> float | None:
    """Return the exposure that the schedule allows, for the `worst` component if components have an
    RPO of their own: so both exposures are compared with the same RPO."""
    if worst is not None and worst.component:
        one = next(c for c in facts.components if c.component == worst.component)
        slowest = achievable_of(facts, one)
    return slowest.exposure_s if slowest is not None else None


def judge_component(
    plan: PlanFacts, facts: ComponentFacts, lost_since: datetime | None, now: datetime
) -> ComponentAssessment:
    """Judge one component by its own newest capture, while points can be read (`lost_since` is
    `unreadable_since(plan)`). If the newest capture of a component failed, the component is at
    least at risk.
    """
    data_time = facts.data_time
    lost = data_time is not None and lost_since is not None
    if lost and data_time is not None:
        left = readable(plan)
        data_time = min(data_time, left.data_time) if left is not None else None
    undone = undoing(plan)
    if undone is not None and facts.component in undone.components:
        data_time = of_what_counts(plan, data_time)
    if data_time is not None and facts.log_at is not None and leads_on(plan):
        data_time = max(data_time, facts.log_at)
    exposure_s, rpo_s = age(data_time, now), rpo_of(plan, facts)
    verdict = against(exposure_s, rpo_s)
    if lost and data_time is None:
        verdict = Verdict.BREACHED
    if facts.error is not None:
        verdict = worst_verdict((verdict, Verdict.AT_RISK))
    holds = achievable_of(plan, facts)
    return ComponentAssessment(
        facts.component,
        facts.kind,
        data_time,
        exposure_s,
        facts.size_bytes,
        verdict,
        facts.log,
        rpo_s,
        holds.exposure_s if holds is not None else None,
        facts.rpo_s is not None,
    )


def _never_captured(facts: PlanFacts) -> list[Reason]:
    """Return the reason that a component is new in the plan: the newest point was complete for the
    earlier plan, and holds nothing of this component.
    """
    never = [c.component for c in facts.components if c.data_time is None]
    if not never or facts.newest is None:
        return []
    names = ", ".join(never)
    text = f"drd has never backed up {names}"
    return [Reason(Verdict.UNKNOWN, text, facts.anew, "component-missing", brief=names)]


def _schedule_too_slow(facts: PlanFacts, slowest: Achievable) -> Reason:
    reaches = f"up to {format_duration(slowest.exposure_s)} of data can be lost"
    of = f"the RPO of {slowest.component}" if slowest.component else "the RPO"
    allowed = f"{reaches}, but {of} is {format_duration(slowest.rpo_s)}"
    if slowest.log_every_s is not None:
        stored = f"the log is stored every {format_duration(slowest.log_every_s)}"
        return Reason(Verdict.AT_RISK, f"{stored}: {allowed}", kind="schedule-too-slow")
    every = f"every {format_duration(facts.interval_s)}"
    if facts.cron == AUTO:
        every = "when the previous backup has ended"
    takes = f"a backup starts {every}"
    if facts.backup_p95_s is not None:
        takes = f"most backups take up to {format_duration(facts.backup_p95_s)}, and {takes}"
    return Reason(Verdict.AT_RISK, f"{takes}: {allowed}", kind="schedule-too-slow")


def _crossed_lately(facts: PlanFacts, now: datetime) -> list[Reason]:
    """Return the reason that the objective was missed between two backups lately. Waiting for the
    very first backup does not count.
    """
    for start, end in reversed(facts.missed):
        if end <= now - RECENT or end > now:
            return []
        if start > facts.first_loaded_at:
            lasted = format_duration((end - start).total_seconds())
            text = f"the RPO was exceeded for {lasted}, until "
            text += format_time(end, seconds=True)
            return [Reason(Verdict.MET, text, f"drd runs {facts.plan}")]
    return []
