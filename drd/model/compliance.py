"""`assess()`: whether a plan keeps its promises now, from a few facts and a time. Pure.

Each judge returns its figures together with its reasons, so that a verdict other than `met` never
stands without a word about why. What nobody measured is `unknown`, and unknown is never green.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from drd.model.exposure import age, first_line, in_short, judge_component, judge_copy, judge_rpo
from drd.model.facts import DrillFacts, NotLoaded, PlanFacts
from drd.model.units import format_duration, format_size
from drd.model.verdicts import (
    Assessment,
    DrillAssessment,
    Readiness,
    Reason,
    RpoAssessment,
    RtoAssessment,
    Verdict,
    worst,
)

MEASURABLE_BYTES = 64 << 20
"""What a restore brings back in about the time that starting and checking take anyway."""


LOOKING_AHEAD = ("not-ready", "repository-unreachable", "repository-unprotected")
"""Alerts on what a look ahead found."""


def is_overdue(late_s: float, period_s: float) -> bool:
    """Work is overdue by an hour or a tenth of its period, whichever is longer."""
    return late_s > max(3600.0, 0.1 * period_s)


def assess(subject: PlanFacts | NotLoaded, now: datetime) -> Assessment:
    """The verdicts of one plan at `now`, with the gravest reason first.

    The plan's verdict is the worst of RPO, RTO and drill; a copy's stands beside it.
    """
    if isinstance(subject, NotLoaded):
        return _never_loaded(subject)
    rpo, rpo_reasons = judge_rpo(subject, now)
    drill, drill_reasons = judge_drill(subject, now)
    rto, rto_reasons = judge_rto(subject)
    readiness, readiness_reasons = judge_readiness(subject, drill)
    return Assessment(
        plan=subject.plan,
        owner=subject.owner,
        verdict=worst((rpo.verdict, rto.verdict, drill.verdict)),
        readiness=readiness,
        rpo=rpo,
        rto=rto,
        drill=drill,
        components=tuple(judge_component(c, subject.rpo_s, now) for c in subject.components),
        alerts=subject.alerts,
        reasons=tuple(
            sorted(
                rpo_reasons + drill_reasons + rto_reasons + readiness_reasons,
                key=lambda r: -r.verdict.severity,
            )
        ),
        load_error=subject.load_error,
        copies=tuple(judge_copy(c, subject.rpo_s, now) for c in subject.copies),
    )


def _never_loaded(plan: NotLoaded) -> Assessment:
    unknown = Verdict.UNKNOWN
    return Assessment(
        plan=plan.plan,
        owner=None,
        verdict=unknown,
        readiness=Readiness.NEEDS_DRILL,
        rpo=RpoAssessment(None, None, None, None, unknown),
        rto=RtoAssessment(None, None, None, unknown),
        drill=DrillAssessment(None, None, None, unknown),
        components=(),
        alerts=plan.alerts,
        reasons=(Reason(unknown, plan.why, plan.command, "plan-not-loaded"),),
        load_error=plan.why,
    )


# --- drill ----------------------------------------------------------------------------------


def judge_drill(facts: PlanFacts, now: datetime) -> tuple[DrillAssessment, list[Reason]]:
    """Failed is breached, a pass of this very plan in time is met, anything else in between.

    A plan that was never drilled is due since it was first loaded.
    """
    last = facts.last_drill
    due_at = None
    if facts.drill_every_s is not None:
        due_at = facts.first_loaded_at
        if last is not None:
            due_at = last.at + timedelta(seconds=facts.drill_every_s)
    reasons = _judge_result(facts, now) or _unproven(facts, due_at, now)
    if facts.load_error is not None:
        # Doctor says what is wrong with the file, and loads one that is sound.
        doctor = f"drd doctor {facts.file or facts.plan}"
        text = f"not loaded: {in_short(facts.load_error)}"
        command = f"drd plan forget {facts.plan}" if facts.file_gone else doctor
        reasons.append(Reason(Verdict.AT_RISK, text, command, "plan-not-loaded"))
    verdict = worst((Verdict.MET, *(r.verdict for r in reasons)))
    at, result = (last.at, last.result) if last is not None else (None, None)
    rehearsed = last.rehearsed if last is not None else None
    return DrillAssessment(at, result, due_at, verdict, rehearsed), reasons


def _judge_result(facts: PlanFacts, now: datetime) -> list[Reason]:
    """Of the last drill by itself; empty when it passed."""
    last = facts.last_drill
    again = f"drd drill {facts.plan}"
    if last is None:
        text = "never drilled, so nobody knows whether it comes back"
        return [Reason(Verdict.UNKNOWN, text, again, "never-drilled")]
    why = f": {in_short(last.reason)}" if last.reason else ""
    since_s = age(last.at, now)
    ago = "in the future" if since_s is None else f"{format_duration(since_s)} ago"
    if last.result == "failed":
        show = f"drd run show {last.run}"
        return [Reason(Verdict.BREACHED, f"drill failed {ago}{why}", show, "drill-failed")]
    if last.result != "passed":
        text = f"drill was inconclusive {ago}{why}"
        return [Reason(Verdict.UNKNOWN, text, again, "drill-inconclusive")]
    if since_s is None:
        ahead = format_duration((last.at - now).total_seconds())
        text = f"last drill is dated {ahead} in the future: a clock was set back"
        return [Reason(Verdict.UNKNOWN, text, again, "drill-inconclusive")]
    return []


def _unproven(facts: PlanFacts, due_at: datetime | None, now: datetime) -> list[Reason]:
    """Why a passed drill does not speak for the plan as it stands now."""
    last = facts.last_drill
    reasons = []
    again = f"drd drill {facts.plan}"
    if last is not None and last.plan_digest != facts.digest:
        text = "plan changed since its last drill"
        reasons.append(Reason(Verdict.AT_RISK, text, again, "plan-changed"))
    if due_at is not None and facts.drill_every_s is not None:
        late_s = (now - due_at).total_seconds()
        if is_overdue(late_s, facts.drill_every_s):
            every = format_duration(facts.drill_every_s)
            text = f"drill overdue by {format_duration(late_s)} (every {every})"
            reasons.append(Reason(Verdict.AT_RISK, text, again, "drill-overdue"))
    return reasons


def judge_readiness(facts: PlanFacts, drill: DrillAssessment) -> tuple[Readiness, list[Reason]]:
    """Only a plan whose drill verdict is met is ready, and only while there is something to go
    back to and the last look ahead found nothing amiss.

    What that found is told where the drill's own reasons do not say it. That a drill is needed is
    outdone by a drill since, except for other scenarios than that drill's.
    """
    proven = _proven(facts, drill)
    unready = facts.unready
    if unready is None:
        return proven, []
    needs = f"{Readiness.NEEDS_DRILL}: "
    if unready.error.startswith(needs):
        missing = unready.error.removeprefix(needs).splitlines()
        last = facts.last_drill
        if last is not None and last.at > unready.at:
            others = (f for f in missing if f.startswith("drill "))
            missing = [f for f in others if not f.startswith(f"drill {last.scenario}:")]
        if not missing or proven is not Readiness.READY:
            return proven, []
        found, text = Readiness.NEEDS_DRILL, needs + "\n".join(missing)
    else:
        found = Readiness.NOT_READY
        text = f"{found}: {unready.error.removeprefix(f'{found}: ')}"
    first = first_line(text).removeprefix(f"{found}: ")
    if any(alert.kind in LOOKING_AHEAD and alert.message == first for alert in facts.alerts):
        return found, []  # it says it
    command = f"drd readiness {facts.plan}"
    return found, [Reason(Verdict.MET, in_short(text), command)]


def _proven(facts: PlanFacts, drill: DrillAssessment) -> Readiness:
    if drill.verdict is Verdict.BREACHED:
        return Readiness.NOT_READY
    if facts.newest is None and drill.last_at is not None:
        return Readiness.NOT_READY
    return Readiness.READY if drill.verdict is Verdict.MET else Readiness.NEEDS_DRILL


# --- RTO ------------------------------------------------------------------------------------


def judge_rto(facts: PlanFacts) -> tuple[RtoAssessment, list[Reason]]:
    """By the last passed drill and what it would take with the data of now.

    A drill that did not pass proves no time. Without any the verdict is unknown; the drill's own
    reason says so already.
    """
    proof = facts.last_passed_drill
    if proof is None and facts.last_drill is not None and facts.last_drill.result == "passed":
        proof = facts.last_drill
    if proof is None:
        return RtoAssessment(facts.rto_s, None, None, Verdict.UNKNOWN), []
    if proof.rta_s is None:
        text = "last passed drill measured no time"
        reason = Reason(Verdict.UNKNOWN, text, f"drd drill {facts.plan}", "rto")
        return RtoAssessment(facts.rto_s, None, None, Verdict.UNKNOWN), [reason]
    projected_s = _projected(proof.rta_s, proof, facts)
    reasons = _judge_time(facts, proof, proof.rta_s, projected_s)
    verdict = worst((Verdict.MET, *(r.verdict for r in reasons)))
    return RtoAssessment(facts.rto_s, proof.rta_s, projected_s, verdict), reasons


def _judge_time(
    facts: PlanFacts, proof: DrillFacts, actual_s: float, projected_s: float
) -> list[Reason]:
    rto = format_duration(facts.rto_s)
    if actual_s > facts.rto_s:
        text = f"coming back took {format_duration(actual_s)}, promised are {rto}"
        return [Reason(Verdict.BREACHED, text, f"drd run show {proof.run}", "rto")]
    if projected_s > facts.rto_s:
        now_bytes = facts.newest.bytes if facts.newest else 0
        grown = f"{format_size(proof.restored_bytes)} to {format_size(now_bytes)}"
        text = f"data grew from {grown}: coming back would take {format_duration(projected_s)}"
        return [Reason(Verdict.AT_RISK, f"{text} of {rto}", f"drd drill {facts.plan}", "rto")]
    return []


def _projected(actual_s: float, proof: DrillFacts, facts: PlanFacts) -> float:
    """The measured time, scaled by how much the data grew since; never less than measured.

    All of it is scaled, also what does not depend on the data (starting a server): that errs on
    the safe side, and the share is small where the RTO is in danger. Of less than
    `MEASURABLE_BYTES` nearly all of the time is such, which says nothing about more.
    """
    if facts.newest is None or proof.restored_bytes <= 0:
        return actual_s
    measured = max(proof.restored_bytes, MEASURABLE_BYTES)
    return actual_s * max(1.0, facts.newest.bytes / measured)
