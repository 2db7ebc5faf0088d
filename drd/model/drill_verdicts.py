"""Judge drills: what each scenario that the plan wants has proven. Pure.

A plan is as good as its worst scenario. Never drilled is unknown, and so is a proof that is too
old.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from drd.model.check_words import RESTORES, check_name, failed_words
from drd.model.clock import age, at_time
from drd.model.drill_facts import DrillFacts, ScenarioFacts, Unproven
from drd.model.facts import PlanFacts
from drd.model.not_loaded import not_loaded
from drd.model.scenarios import INSTANT, OPERATOR, turn_s, valid_s, valid_until
from drd.model.text import some, without_output
from drd.model.units import format_duration, format_time
from drd.model.verdicts import (
    NOT_LOADED,
    DrillAssessment,
    PlanState,
    Reason,
    ScenarioAssessment,
    Verdict,
    worst,
)

UNPROVEN = "drill-unproven"
"""The kind of the alert for components that a passed drill did not restore or did not compare."""


def is_overdue(late_s: float, period_s: float) -> bool:
    """Return whether work is overdue: by an hour or a tenth of its period, whichever is longer."""
    return late_s > max(3600.0, 0.1 * period_s)


def judge_drill(facts: PlanFacts, now: datetime) -> tuple[DrillAssessment, list[Reason]]:
    """Judge one scenario: a failed drill is breached, a pass of this very plan in time is met,
    anything else is in between.
    """
    scenarios = of_plan(facts)
    wanted = wanted_of(scenarios)
    judged = [_judge(facts, s, wanted, now) for s in scenarios]
    reasons = [reason for _, reasons_of_one in judged for reason in reasons_of_one]
    # Another text of the plan changes nothing about what is in force; another package does.
    reasons += not_loaded(facts)
    proven = worst(
        (
            Verdict.MET,
            *(r.verdict for r in reasons if r.kind != NOT_LOADED or facts.package_changed),
        )
    )
    last = facts.last_drill
    due = [a.due_at for a, _ in judged if a.due_at is not None and a.wanted and not a.repository]
    return DrillAssessment(
        last.at if last is not None else None,
        last.result if last is not None else None,
        min(due, default=None),
        worst((Verdict.MET, *(r.verdict for r in reasons))),
        last.rehearsed if last is not None else None,
        tuple(assessment for assessment, _ in judged),
        proven,
        facts.proven_elsewhere,
    ), reasons


def of_plan(facts: PlanFacts) -> tuple[ScenarioFacts, ...]:
    """Judge all scenarios. For a plan without noted scenarios, the last drill counts for the usual
    one.
    """
    usual = ScenarioFacts("database-loss", last=facts.last_drill, passed=facts.last_passed_drill)
    return facts.scenarios or (usual,)


def wanted_of(scenarios: Sequence[ScenarioFacts]) -> int:
    """Return how many scenarios take turns."""
    return sum(s.wanted and not s.repository for s in scenarios)


def _judge(
    facts: PlanFacts, scenario: ScenarioFacts, wanted: int, now: datetime
) -> tuple[ScenarioAssessment, list[Reason]]:
    scenario = _as_now(facts, scenario)
    last, every_s = scenario.last, facts.drill_every_s
    reasons = _of_result(facts, scenario, wanted, now)
    due_at = facts.first_loaded_at if every_s is not None else None
    if last is not None and every_s is not None:
        due_at = last.at + timedelta(seconds=turn_s(every_s, wanted))
    passed = last is not None and last.result == "passed"
    return ScenarioAssessment(
        scenario.scenario,
        scenario.wanted,
        scenario.repository,
        last.at if last is not None else None,
        last.result if last is not None else None,
        due_at,
        valid_until(last.at, every_s, wanted) if last is not None and passed else None,
        worst((Verdict.MET, *(r.verdict for r in reasons))),
        last.unproven if last is not None else (),
        last,
    ), reasons


def _as_now(facts: PlanFacts, scenario: ScenarioFacts) -> ScenarioFacts:
    """Return the scenario without those gaps of its last drill that the plan has no more."""
    if scenario.last is None or not scenario.last.unproven:
        return scenario
    left = of_components(scenario.last.unproven, [c.component for c in facts.components])
    return scenario._replace(last=scenario.last._replace(unproven=left))


def of_components(
    unproven: Sequence[Unproven], components: Collection[str]
) -> tuple[Unproven, ...]:
    """Return what is about these components only: a component that the plan no longer has cannot be
    proven."""
    return tuple(one for one in unproven if one.component in components)


def _of_result(
    facts: PlanFacts, scenario: ScenarioFacts, wanted: int, now: datetime
) -> list[Reason]:
    """Judge the result that counts. If `wanted` is more than one, the scenario is named."""
    last = scenario.last
    named = wanted > 1 or not scenario.wanted or bool(scenario.repository)
    drill = f"drill of {_name(scenario)}" if named else "drill"
    again = again_of(facts, scenario, named=named)
    subject = _name(scenario) if named else ""

    def reason(
        verdict: Verdict,
        text: str,
        kind: str,
        remedy: str = again,
        *,
        brief: str = "",
        run: str = "",
    ) -> Reason:
        state = PlanState.NOT_READY if kind == UNPROVEN else PlanState.NEEDS_DRILL
        return Reason(
            verdict, text, remedy, kind, subject=subject, brief=brief, at_least=state, run=run
        )

    if last is None:
        return [_without_drill(facts, scenario, now, reason, named=named)]
    if last.result == "failed":
        return [_failed(facts, last, drill, now, reason, again=again)]
    if not scenario.wanted:
        return []
    if last.result != "passed":
        return [_inconclusive(last, drill, now, reason, again=again)]
    since_s = age(last.at, now)
    if since_s is None:
        text = (
            f"the last {drill} is dated {format_time(last.at, seconds=True)}, which is in the "
            "future: a clock was set back"
        )
        return [reason(Verdict.UNKNOWN, text, "drill-inconclusive")]
    if scenario.repository:
        return []  # a drill that somebody held to a repository: it has no turn
    return [
        *_unproven(last, drill, reason),
        *_changed(facts, scenario, drill, reason, named=named),
        *_late_reasons(facts, last, drill, since_s, reason),
        *_whole_late(facts, scenario, drill, now, reason),
    ]


MakeReason = Callable[..., Reason]


def _without_drill(
    facts: PlanFacts, scenario: ScenarioFacts, now: datetime, reason: MakeReason, *, named: bool
) -> Reason:
    """Return the reason that this scenario was not drilled yet."""
    by_people = _proven_by_people(facts, scenario, now)
    text = by_people or _never(facts)
    text = f"{_name(scenario)}: {text}" if named else text
    if by_people:
        return reason(Verdict.AT_RISK, text, "time-unmeasured")
    return reason(Verdict.UNKNOWN, text, "never-drilled")


def _failed(
    facts: PlanFacts, last: DrillFacts, drill: str, now: datetime, reason: MakeReason, *, again: str
) -> Reason:
    """Return the reason that the last drill failed."""
    first = check_name(last.failed[0].name, last.failed[0].expected) if last.failed else ""
    more, what_next = _after_failure(facts, last, again)
    why = _failed_text(last) or _reason_of(last)
    text = f"the last {drill} failed {at_time(last.at, now)}{why}{more}"
    return reason(Verdict.BREACHED, text, "drill-failed", what_next, brief=first, run=last.run)


def _inconclusive(
    last: DrillFacts, drill: str, now: datetime, reason: MakeReason, *, again: str
) -> Reason:
    """Return the reason that the last drill proved nothing. Its cause may be over now."""
    why = _reason_of(last)
    why = f". The reason at that time{why}" if why else _left_out_text(last)
    text = f"the last {drill} was inconclusive {at_time(last.at, now)}{why}"
    remedy = remedy_of(last.unproven) or again
    return reason(Verdict.UNKNOWN, text, "drill-inconclusive", remedy, run=last.run)


def _reason_of(last: DrillFacts) -> str:
    return f": {without_output(last.reason)}" if last.reason else ""


def _after_failure(facts: PlanFacts, last: DrillFacts, again: str) -> tuple[str, str]:
    """Return what changed since a drill failed, and the command to go on with."""
    if _has_left(facts, last):
        more = (
            f"; its restore point {last.point} has been removed, and no drill with the newest "
            "remaining point has passed"
        )
        return more, again
    if _was_unreadable(facts, last):
        return "; drd does not know of damage in a repository now, so drill again", again
    show, later = f"drd run show {last.run}", facts.last_drill
    if later is None or later.result != "passed" or later.at <= last.at:
        return "", show
    if later.scenario != last.scenario or later.point == last.point:
        return "", show
    more = f"; a later drill passed with restore point {later.point}, which does not prove "
    return f"{more}restore point {last.point}", show


def _never(facts: PlanFacts) -> str:
    """Say that there was no drill, on this host at least."""
    if not facts.proven_elsewhere:
        return "never drilled, so nobody knows whether the data can be restored"
    return (
        "not drilled since this host took over. A drill on the lost host had proven a "
        f"restore point (evidence {facts.proven_elsewhere}); the details of that drill are "
        "lost"
    )


def _proven_by_people(facts: PlanFacts, scenario: ScenarioFacts, now: datetime) -> str:
    """Say that an operator drill, which restores what a drill of database-loss restores, has proven
    the data, but not the time of a recovery; empty if no such drill counts."""
    passed = facts.last_passed_drill
    if scenario.scenario != "database-loss" or passed is None or passed.scenario != OPERATOR:
        return ""
    since_s = age(passed.at, now)
    valid = valid_s(facts.drill_every_s, wanted_of(of_plan(facts)))
    gaps = of_components(passed.unproven, [c.component for c in facts.components])
    changed = passed.plan_digest not in (facts.digest, *facts.proofs)
    if since_s is None or since_s > valid or gaps or changed:
        return ""
    return (
        f"no drill has measured the time yet; an operator drill passed {at_time(passed.at, now)} "
        f"with restore point {passed.point}, so the data can be restored"
    )


def _was_unreadable(facts: PlanFacts, drill: DrillFacts) -> bool:
    """Return whether a drill failed only because a repository could not be read, and drd knows of
    nothing that is wrong with one now."""
    if not drill.failed or any(check.expected != RESTORES for check in drill.failed):
        return False
    wrong = any(r.damage or r.lost or r.unreachable or r.missing for r in facts.repositories)
    return facts.unrestorable is None and not wrong


def _has_left(facts: PlanFacts, drill: DrillFacts) -> bool:
    """Return whether the point of a drill, which was the newest, is not kept any more."""
    newest, data_time = facts.newest, drill.data_time
    return newest is not None and data_time is not None and data_time > newest.data_time


def _unproven(last: DrillFacts, drill: str, reason: MakeReason) -> list[Reason]:
    """Return the reason that components were not proven: the restored components say nothing about
    the others.
    """
    if not last.unproven:
        return []
    text = f"the last {drill} did not prove everything{_left_out_text(last)}"
    remedy = remedy_of(last.unproven)
    given = [remedy] if remedy else []
    return [reason(Verdict.AT_RISK, text, UNPROVEN, *given, run=last.run)]


EMPTY, IN_NO_STEP, NO_CHECK = "empty", "in-no-step", "no-check"
"""Codes of reasons with remedies of their own: the component may be empty, the runbook does not
restore it, no check covers it.
"""


def remedy_of(unproven: Sequence[Unproven]) -> str:
    """Return what to do about components that a drill did not prove, if another drill cannot help;
    empty if it can.
    """

    def about(code: str) -> list[str]:
        return [u.component for u in unproven if u.code == code]

    if empty := about(EMPTY):
        return (
            f"check the source of {', '.join(empty)}; if it may be empty, write "
            "`may_be_empty: true` in the plan"
        )
    if left_out := about(IN_NO_STEP):
        return (
            f"add a step to the plan's runbook that restores {', '.join(left_out)}: `restore: "
            f"{left_out[0]}` (with `rehearse: skip` and a reason if drills cannot do this)"
        )
    if not (unseen := about(NO_CHECK)):
        return ""
    return (
        f"add a check for {', '.join(unseen)} under `checks` in the plan, and, if the plan has a "
        "runbook, a step `check: all`"
    )


def _failed_text(last: DrillFacts) -> str:
    """Return the failed checks, each with the value that it found and the one that it expected."""
    failed = [failed_words(*check) for check in last.failed]
    return f": {some(failed, between='; ')}" if failed else ""


def _left_out_text(last: DrillFacts) -> str:
    left = "; ".join(map(str, last.unproven))
    return f": {left}" if left else ""


def _changed(
    facts: PlanFacts, scenario: ScenarioFacts, drill: str, reason: MakeReason, *, named: bool
) -> list[Reason]:
    """Return the reason that something else was drilled: another text of the plan, or another
    version of a package that it uses."""
    if scenario.last is None or scenario.last.plan_digest in (facts.digest, *facts.proofs):
        return []
    that = f"{'the' if named else 'its'} last {drill}"
    used = " and ".join(package.words() for package in scenario.packages)
    text = f"the last {drill} used {used}" if used else f"the plan changed since {that}"
    return [reason(Verdict.AT_RISK, text, "plan-changed")]


def _late_reasons(
    facts: PlanFacts, last: DrillFacts, drill: str, since_s: float, reason: MakeReason
) -> list[Reason]:
    """Return the reason for a late drill: overdue is at risk; a proof that is too old is
    unknown.
    """
    every_s, wanted = facts.drill_every_s, wanted_of(of_plan(facts))
    valid = valid_s(every_s, wanted)
    if since_s > valid:
        at, counts = format_time(last.at, seconds=True), format_duration(valid)
        text = f"the last {drill} passed at {at}, but a passed drill counts only for {counts}"
        return [reason(Verdict.UNKNOWN, text, "drill-overdue")]
    if every_s is None:
        return []
    turn = turn_s(every_s, wanted)
    if not is_overdue(since_s - turn, turn):
        return []
    due = format_time(last.at + timedelta(seconds=turn), seconds=True)
    text = f"{drill} is overdue: it was due at {due} (every {format_duration(turn)})"
    return [reason(Verdict.AT_RISK, text, "drill-overdue")]


def _whole_late(
    facts: PlanFacts, scenario: ScenarioFacts, drill: str, now: datetime, reason: MakeReason
) -> list[Reason]:
    """Return the reason that too long ago a drill of a plan with instant drills restored
    everything."""
    every_s, whole = facts.drill_full_every_s, scenario.passed
    if every_s is None or scenario.scenario not in INSTANT:
        return []
    every = format_duration(every_s)
    if whole is None:
        text = f"no {drill} has restored everything, and the plan wants one every {every}"
        return [reason(Verdict.UNKNOWN, text, "drill-overdue")]
    since_s = age(whole.at, now)
    if since_s is None or not is_overdue(since_s - every_s, every_s):
        return []
    text = (
        f"the last {drill} that restored everything passed at "
        f"{format_time(whole.at, seconds=True)}, and the plan wants one every {every}"
    )
    return [reason(Verdict.AT_RISK, text, "drill-overdue")]


def _name(scenario: ScenarioFacts) -> str:
    at = f" from {scenario.repository}" if scenario.repository else ""
    return f"{scenario.scenario}{at}"


def again_of(facts: PlanFacts, scenario: ScenarioFacts, *, named: bool) -> str:
    """Return the command that drills the scenario again."""
    words = f"drd drill {facts.plan}"
    words += f" --scenario {scenario.scenario}" if named else ""
    return words + (f" --repository {scenario.repository}" if scenario.repository else "")
