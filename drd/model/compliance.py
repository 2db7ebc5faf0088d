"""`assess()`: whether a plan meets its objectives now, from a few facts and a time. Pure.

Each judge returns its figures together with its reasons, so that a verdict other than `met` always
has a reason. What was not measured is `unknown`, and `unknown` is never green."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.model.copy_exposure import judge_copy
from drd.model.drill_facts import DrillFacts, ScenarioFacts
from drd.model.drill_verdicts import judge_drill, of_plan
from drd.model.exposure import judge_component, judge_rpo
from drd.model.facts import FindingFacts, NotLoaded, PlanFacts, UnfinishedFacts, UnreadyFacts
from drd.model.finding_codes import DRILL
from drd.model.known_findings import OVER, PAUSED, standing_alerts, still_found
from drd.model.own_objectives import has_logs, oldest_s
from drd.model.plan_state import LOOKING_AHEAD, Judged, state_of
from drd.model.repositories import assess_repository, readable, standing, unreadable_since
from drd.model.text import and_more, counted, noun, without_output
from drd.model.unfinished import Unfinished
from drd.model.units import format_duration, format_sizes, format_time
from drd.model.verdicts import (
    NOT_LOADED,
    STATE_OF_READINESS,
    UNFINISHED,
    Assessment,
    DrillAssessment,
    PlanState,
    Readiness,
    Reason,
    RpoAssessment,
    RtoAssessment,
    Verdict,
    worst,
)

MEASURABLE_BYTES = 64 << 20
"""A restore of less data than this takes mostly the time for starting and checking."""


def assess(subject: PlanFacts | NotLoaded, now: datetime) -> Assessment:
    """Judge one plan at `now`; the most severe reason comes first. The plan's verdict is the worst
    of RPO, RTO and drill. A copy has its own verdict.
    """
    if isinstance(subject, NotLoaded):
        return _never_loaded(subject)
    rpo, rpo_reasons = judge_rpo(subject, now)
    drill, drill_reasons = judge_drill(subject, now)
    rto, rto_reasons = judge_rto(subject)
    if rpo.loses_everything and rto.actual_s is not None:
        # However fast the last drill was: what it restored no longer exists.
        rto = rto._replace(projected_s=None, verdict=Verdict.BREACHED)
    readiness, readiness_reasons = judge_readiness(subject, rpo, drill)
    lost_since = unreadable_since(subject)
    reasons = rpo_reasons + drill_reasons + rto_reasons + readiness_reasons
    reasons += judge_retention(subject, now) + judge_unfinished(subject)
    copies = tuple(judge_copy(subject, c, now) for c in subject.copies)
    behind = [c.repository for c in copies if c.verdict is not Verdict.MET]
    alerts = standing_alerts(subject, reasons, behind)
    sorted_reasons = tuple(sorted(reasons, key=lambda r: -r.verdict.severity))
    repositories = tuple(assess_repository(r) for r in subject.repositories)
    judged = Judged(subject.plan, readiness, sorted_reasons, alerts, copies, repositories)
    state, remarks = state_of(judged)
    return Assessment(
        plan=subject.plan,
        owner=subject.owner,
        verdict=worst((rpo.verdict, rto.verdict, drill.verdict)),
        readiness=readiness,
        rpo=rpo,
        rto=rto,
        drill=drill,
        components=tuple(
            [judge_component(subject, c, lost_since, now) for c in subject.components]
        ),
        alerts=alerts,
        reasons=sorted_reasons,
        load_error=subject.load_error,
        copies=copies,
        repositories=repositories,
        paused=subject.paused,
        waiting=subject.waiting,
        holds=tuple(h for h in subject.holds if h.until is None or now < h.until),
        file=subject.file,
        loaded_at=subject.loaded_at,
        newest=standing(subject) or subject.newest,
        points=subject.complete_points,
        backup=subject.backup,
        failures=subject.failures,
        state=state,
        remarks=remarks,
        description=subject.description,
    )


def _never_loaded(plan: NotLoaded) -> Assessment:
    unknown = Verdict.UNKNOWN
    reasons = (Reason(unknown, plan.why, plan.command, NOT_LOADED),)
    judged = Judged(plan.plan, Readiness.NEEDS_DRILL, reasons, plan.alerts)
    state, remarks = state_of(judged)
    return Assessment(
        plan=plan.plan,
        owner=None,
        verdict=unknown,
        readiness=judged.readiness,
        rpo=RpoAssessment(None, None, None, None, unknown),
        rto=RtoAssessment(None, None, None, unknown),
        drill=DrillAssessment(None, None, None, unknown),
        components=(),
        alerts=plan.alerts,
        reasons=reasons,
        load_error=plan.why,
        file=plan.file,
        state=state,
        remarks=remarks,
    )


def judge_retention(facts: PlanFacts, now: datetime) -> list[Reason]:
    """Return the reasons why retention waits. They do not change the verdict: points that are kept
    for too long can still be restored.
    """
    reasons = []
    pauses = standing_pauses(facts, now)
    if pauses:
        why = "; ".join(pause.text for pause in pauses)
        command = f"drd retention {facts.plan}"  # names the remedy, and goes on after that
        text = f"retention is paused: {why}"
        reasons.append(Reason(Verdict.MET, text, command, says_why=PAUSED))
    if facts.waiting:
        text = over_limit(facts.plan, facts.waiting)
        command = f"drd retention {facts.plan} --dry-run"
        reasons.append(Reason(Verdict.MET, text, command, says_why=OVER))
    return reasons


def judge_unfinished(facts: PlanFacts) -> list[Reason]:
    """Return the reason that a recovery over production stopped in the middle: production may be
    replaced only partly, and services that the recovery stopped are down.
    """
    if facts.unfinished is None:
        return []
    run = facts.unfinished.run
    so_far = Unfinished.of(facts.plan, facts.unfinished, over=True)
    how = _ended(facts.unfinished)
    ways = so_far.ways_out()
    text = f"a recovery in place was not finished ({how}; {so_far.words()}). {ways[0].upper()}"
    text += ways[1:]
    if so_far.undoable and so_far.mixture() is not None:
        text += (
            f". drd done {run} would keep this mixture of old and restored data, and delete the "
            "kept old data for good"
        )
    # Another recovery that stops has an alert of its own, with its own time.
    remedy = f"drd resume {run}"
    # Production is a mixture or down then: the plan is no better than one that cannot recover.
    hurt = so_far.mixture() is not None or bool(so_far.stopped)
    state = PlanState.NOT_READY if hurt else PlanState.OK
    return [Reason(Verdict.AT_RISK, text, remedy, UNFINISHED, subject=run, at_least=state, run=run)]


def _ended(unfinished: UnfinishedFacts) -> str:
    at = format_time(unfinished.at)
    match unfinished.state:
        case "waiting":
            return f"its process died, noticed at {at}"
        case "running":
            return f"begun at {at}; its process died"
        case "reopened":
            step = f" in step {unfinished.failed.name}" if unfinished.failed is not None else ""
            return (
                f"run {unfinished.run} stopped{step}; a person decided at {at} how to go on, but "
                "nobody has resumed the run"
            )
        case "failed" if unfinished.failed is not None:
            failed = unfinished.failed
            why = f": {without_output(failed.error)}" if failed.error else ""
            return f"run {unfinished.run} failed at {at} in step {failed.name}{why}"
        case state:
            return f"{state} at {at}"


def standing_pauses(facts: PlanFacts, now: datetime) -> list[FindingFacts]:
    """Return the reasons why the last retention waited that still hold. Only backups that succeed
    again are noticed here; the next retention notices everything else.
    """
    if facts.paused is None:
        return []
    newest = facts.newest
    allowed_s = oldest_s(facts.points_within_s, facts.interval_s if has_logs(facts) else None)
    late = newest is None or (now - newest.data_time).total_seconds() > allowed_s
    holds = {"backup-failed": facts.failures is not None, "rpo": late, "no-point": newest is None}
    return [pause for pause in facts.paused.pauses if holds.get(pause.code, True)]


def over_limit(plan: str, waiting: int) -> str:
    """Describe how many points are over the limit of one retention run."""
    these = counted(waiting, "restore point")
    they = noun(waiting, "it stays", "they stay")
    return (
        f"retention kept {these} that no rule keeps, because one run may not forget so many: "
        f"{they} until somebody runs drd retention {plan} --force"
    )


def judge_readiness(
    facts: PlanFacts, rpo: RpoAssessment, drill: DrillAssessment
) -> tuple[Readiness, list[Reason]]:
    """Judge the readiness of a plan. The plan is ready only if its drills prove it, a restore point
    exists, its repositories are whole and the last readiness check found no problems.

    Findings of this check are shown if the drill's own reasons do not cover them. The finding that
    a drill is needed ends with a newer drill, except for other scenarios.
    """
    proven = _proven(facts, rpo, drill)
    unready = facts.unready
    if unready is None:
        return proven, []
    if not unready.readiness:  # the check itself failed
        text = f"the readiness check failed: {without_output(unready.error)}{_before(facts)}"
        return Readiness.NOT_READY, [_withholding(facts, text, Readiness.NOT_READY)]
    verdict, missing = _found_ahead(facts, unready)
    if not missing or (verdict is Readiness.NEEDS_DRILL and proven is not Readiness.READY):
        return proven, []
    first = missing[0]
    text = f"{first.name}: {first.text}{and_more(len(missing) - 1)}{_before(facts)}"
    return verdict, _reasons_ahead(facts, text, first, verdict)


def _before(facts: PlanFacts) -> str:
    """Return when the last readiness check was, if it examined another text of the plan or an older
    restore point than there is now.
    """
    if facts.unready is None:
        return ""
    at, newest = facts.unready.at, facts.newest
    if facts.unready.digest not in ("", facts.digest):
        since = "the plan was changed"
    elif newest is not None and newest.available_at > at:
        since = "the newest restore point"
    else:
        return ""
    return f" (found at {format_time(at)}, before {since})"


def _reasons_ahead(
    facts: PlanFacts, text: str, first: FindingFacts, verdict: Readiness
) -> list[Reason]:
    """Return the reason from the last readiness check; none if an alert shows its first finding
    already.
    """
    if any(alert.kind in LOOKING_AHEAD and alert.subject == first.name for alert in facts.alerts):
        return []
    return [_withholding(facts, text, verdict)]


def _withholding(facts: PlanFacts, text: str, verdict: Readiness) -> Reason:
    state = STATE_OF_READINESS[verdict]
    return Reason(Verdict.MET, text, f"drd readiness {facts.plan}", at_least=state)


def _found_ahead(
    facts: PlanFacts, unready: UnreadyFacts
) -> tuple[Readiness, Sequence[FindingFacts]]:
    """Return the findings of the last readiness check that no later fact outdates."""
    if unready.readiness == Readiness.NOT_READY:
        missing = still_found(facts)
        only_drills = len(missing) < len(unready.findings) and all(f.code == DRILL for f in missing)
        return (Readiness.NEEDS_DRILL if only_drills else Readiness.NOT_READY), missing
    last = facts.last_drill
    if last is None or last.at <= unready.at:
        return Readiness.NEEDS_DRILL, unready.findings
    others = (f for f in unready.findings if f.code == DRILL)
    return Readiness.NEEDS_DRILL, [f for f in others if f.subject != last.scenario]


def _proven(facts: PlanFacts, rpo: RpoAssessment, drill: DrillAssessment) -> Readiness:
    if drill.proven is Verdict.BREACHED or facts.package_missing:
        return Readiness.NOT_READY
    if readable(facts) is None and (drill.last_at is not None or rpo.loses_everything):
        return Readiness.NOT_READY
    hurt = any(r.lost is not None or r.damage is not None or r.missing for r in facts.repositories)
    if hurt or any(s.unproven for s in drill.scenarios if s.wanted and s.result == "passed"):
        return Readiness.NOT_READY
    return Readiness.READY if drill.proven is Verdict.MET else Readiness.NEEDS_DRILL


# --- RTO ------------------------------------------------------------------------------------


def judge_rto(facts: PlanFacts) -> tuple[RtoAssessment, list[Reason]]:
    """Judge the RTO by the last passed drill of each scenario that the plan wants, scaled to the
    current data: the slowest counts. A drill that did not pass proves no time. Without any passed
    drill the verdict is unknown; the drill's own reason says so already.
    """
    proofs = [p for s in of_plan(facts) if s.wanted and (p := _proof(s)) is not None]
    timed = [(p.rta_s, _projected(p.rta_s, p, facts), p) for p in proofs if p.rta_s is not None]
    if not proofs:
        return RtoAssessment(facts.rto_s, None, None, Verdict.UNKNOWN), []
    if len(timed) < len(proofs):
        text = f"{_drill(facts)} did not measure how long the recovery took"
        reason = Reason(Verdict.UNKNOWN, text, f"drd drill {facts.plan}", "rto")
        return RtoAssessment(facts.rto_s, None, None, Verdict.UNKNOWN), [reason]
    # One that missed the objective, else the slowest.
    actual_s, projected_s, proof = max(timed, key=lambda t: (t[0] > facts.rto_s, t[1]))
    reasons = _judge_time(facts, proof, actual_s, projected_s)
    verdict = worst((Verdict.MET, *(r.verdict for r in reasons)))
    return RtoAssessment(facts.rto_s, actual_s, projected_s, verdict, _drill(facts)), reasons


def _drill(facts: PlanFacts) -> str:
    """Return which drill measured the time. An instant one measures none."""
    return f"the last {'passed' if facts.drill_full_every_s is None else 'whole'} drill"


def _proof(scenario: ScenarioFacts) -> DrillFacts | None:
    if scenario.passed is not None:
        return scenario.passed
    last = scenario.last
    return last if last is not None and last.result == "passed" else None


def _judge_time(
    facts: PlanFacts, proof: DrillFacts, actual_s: float, projected_s: float
) -> list[Reason]:
    rto = format_duration(facts.rto_s)
    if actual_s > facts.rto_s:
        took = format_duration(actual_s)
        text = f"the recovery in {_drill(facts)} took {took}, but the RTO is {rto}"
        return [Reason(Verdict.BREACHED, text, f"drd run show {proof.run}", "rto")]
    if projected_s > facts.rto_s:
        now_bytes = facts.newest.bytes if facts.newest else 0
        grown = " to ".join(format_sizes(proof.restored_bytes, now_bytes))
        text = (
            f"the data grew from {grown} since {_drill(facts)}: a recovery would now take "
            f"about {format_duration(projected_s)}, but the RTO is {rto}"
        )
        return [Reason(Verdict.AT_RISK, text, f"drd drill {facts.plan}", "rto")]
    return []


def _projected(actual_s: float, proof: DrillFacts, facts: PlanFacts) -> float:
    """Scale the measured time by how much the data grew since; never return less than measured.

    All of it is scaled, including the share that does not depend on the data (starting a server):
    an error on the safe side, and a small one where the RTO is in danger. A time that was measured
    with less than `MEASURABLE_BYTES` is not scaled.
    """
    if facts.newest is None or proof.restored_bytes <= 0:
        return actual_s
    measured = max(proof.restored_bytes, MEASURABLE_BYTES)
    return actual_s * max(1.0, facts.newest.bytes / measured)
