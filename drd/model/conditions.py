"""Find the current problems of one plan, by its verdicts and histories. Pure.

Unknown states count as problems, too: missing data raises a condition, and a condition that was not
checked stays (`blind`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from drd.model.alert_facts import PlanMore
from drd.model.alerts import Condition
from drd.model.clock import age
from drd.model.copy_exposure import copied_up_to, copy_bound_s, first_copy_by
from drd.model.facts import CopyFacts, NotLoaded, PlanFacts
from drd.model.finding import Finding
from drd.model.finding_codes import (
    OF_REPOSITORY,
    PROTECTION,
    REPOSITORY,
    SOURCE,
    name_of,
)
from drd.model.host_conditions import missing_secret
from drd.model.known_findings import disproved
from drd.model.message import Urgency
from drd.model.one_cause import SOURCE_FAILS, of_places, one_for_each_cause
from drd.model.plan_state import LOOKING_AHEAD
from drd.model.repositories import DAMAGED, GONE
from drd.model.run import RunKind
from drd.model.run_conditions import (
    is_told_as_damage,
    of_backup,
    of_job,
    of_retention,
    of_verification,
    run_ids,
)
from drd.model.text import without_output
from drd.model.units import format_duration, format_time
from drd.model.verdicts import UNFINISHED, Assessment, Reason, Verdict, same_words

FIRST_DRILL = timedelta(days=1)
"""Time for the first drill of a new plan, after its first backup."""

_IN_REACH = ("repository-clock", "repository-locks")
"""Codes of findings that prove that a repository was reached."""


def conditions(
    assessment: Assessment, facts: PlanFacts | NotLoaded, more: PlanMore, now: datetime
) -> list[Condition]:
    """Return all problems of one plan, in no order."""
    runs = [j.history for j in more.jobs]
    codes = {run.last_run: run.last_error_code or "" for run in runs if run.last_run}
    conditions = [
        replace(c, why=c.why or codes.get(r.run, ""))
        for r in assessment.reasons
        if (c := _of_reason(r, assessment, facts, now))
    ]
    if isinstance(facts, NotLoaded):
        return conditions
    conditions += of_backup(facts, more, now)
    conditions += of_retention(facts, now)
    for job in more.jobs:
        if job.history.kind != "backup" and not is_told_as_damage(job, more):
            conditions += of_job(facts, job, now)
    for copy in more.copies:
        conditions += _copy(facts, copy, now)
    for verification in more.verifications:
        conditions += of_verification(facts.plan, verification, now)
    if more.readiness is not None:
        conditions += _readiness(facts, more.readiness)
    conditions += [missing_secret(gone) for gone in more.gone_secrets]
    return one_for_each_cause(conditions)


def blind(more: PlanMore) -> dict[str, Collection[str] | None]:
    """Return the alerts of a plan that cannot be judged now: the subjects by kind, None for all
    subjects. If a repository cannot be reached, nothing else about it is known.
    """
    if more.readiness is None:
        return dict.fromkeys(LOOKING_AHEAD)
    out_of_reach = [f.subject for f in more.readiness if f.failed and f.code == REPOSITORY]
    aspects = OF_REPOSITORY - {REPOSITORY}
    unknown = {name_of(code, name) for name in out_of_reach for code in aspects}
    return dict.fromkeys(LOOKING_AHEAD, unknown) if unknown else {}


_LATE = frozenset(f"{kind}-overdue" for kind in (*RunKind, "reading"))


def stored_text_differs(plan: str, message: str) -> Condition:
    """Return the condition that the stored text of the plan differs from the text in force."""
    return Condition("plan-text", "critical", "", message, "systemctl reload drd", plan=plan)


def exposed_file(plan: str, message: str, remedy: str) -> Condition:
    """Return the condition that others can read a secret of the plan, or can write one of its
    files."""
    return Condition("exposed-file", "warning", "", message, remedy, plan=plan)


def is_late(condition: Condition) -> bool:
    """Return the condition that work was not done in time. What would be lost meanwhile is a
    separate condition.
    """
    return condition.kind in _LATE


# --- verdicts -------------------------------------------------------------------------------


def _of_reason(
    reason: Reason, assessment: Assessment, facts: PlanFacts | NotLoaded, now: datetime
) -> Condition | None:
    if not reason.kind or _is_as_scheduled(reason, assessment):
        return None
    severity = _severity(reason, assessment, facts, now)
    return Condition(
        reason.kind,
        severity,
        reason.subject,
        reason.text,
        reason.remedy,
        plan=assessment.plan,
        code=reason.code,
        brief=reason.brief,
        why=reason.says_why,
        runs=run_ids(reason.run),
    )


def _is_as_scheduled(reason: Reason, assessment: Assessment) -> bool:
    """Return whether a plan is near its RPO only because its schedule uses up the RPO in every
    round. That is one lasting fact (`schedule-too-slow`), and not news each time.
    """
    rpo = assessment.rpo
    now_s, most_s = rpo.exposure_s, rpo.achievable_s
    is_near = reason.kind == "rpo" and reason.verdict is Verdict.AT_RISK
    return is_near and now_s is not None and most_s is not None and now_s <= most_s


def _severity(
    reason: Reason, assessment: Assessment, facts: PlanFacts | NotLoaded, now: datetime
) -> Urgency:
    if reason.verdict is Verdict.BREACHED or reason.kind in (GONE, DAMAGED, UNFINISHED):
        return "critical"
    if reason.kind == "plan-changed":
        return "info"
    if reason.kind == "no-point":
        return "info"  # the first backup may still come in time
    if reason.kind == "schedule-too-slow":
        slowest = assessment.rpo.slowest
        holds = slowest is None or slowest.exposure_s <= slowest.rpo_s
        return "info" if holds else "warning"
    if reason.kind in ("never-drilled", "time-unmeasured") and isinstance(facts, PlanFacts):
        young = now - facts.first_loaded_at <= FIRST_DRILL + timedelta(seconds=facts.rpo_s)
        return "info" if young and facts.drill_every_s is not None else "warning"
    return "warning"


# --- repositories ---------------------------------------------------------------------------


def _copy(facts: PlanFacts, copy: CopyFacts, now: datetime) -> Iterator[Condition]:
    """Return the condition of a copy, by its own exposure. A copy that received nothing yet is
    unknown, which is a condition.
    """
    bound_s, data_time = copy_bound_s(facts, copy), copied_up_to(facts, copy)
    exposure_s = age(data_time, now)
    command = f"drd runs {facts.plan}"
    if any(r.same for r in facts.repositories if r.repository == copy.repository):
        text, command = same_words(copy.repository, copy.copy_of), f"drd doctor {facts.plan}"
    elif first_copy_by(facts, copy, now) is not None:
        return  # its time has not passed; `drd status PLAN` says that it is to come
    elif data_time is None:
        text = f"copy {copy.repository} does not contain a complete restore point"
    elif exposure_s is None:
        text = (
            f"the newest restore point in copy {copy.repository} is dated in the future: a clock "
            "is or was wrong"
        )
    elif exposure_s > bound_s:
        at = format_time(data_time, seconds=True)
        text = (
            f"copy {copy.repository} is behind: its newest data is of {at}, which is older than "
            f"the allowed {format_duration(bound_s)}"
        )
    else:
        return
    yield Condition("copy-behind", "warning", copy.repository, text, command, plan=facts.plan)


def _readiness(facts: PlanFacts, findings: Iterable[Finding]) -> Iterator[Condition]:
    """Return the conditions of the last readiness check. A warning raises an alert only if it is
    about protection: unknown means unprotected. Other conditions cover a repository that is gone or
    does not answer.
    """
    plan = facts.plan
    told = {
        r.repository for r in facts.repositories if r.lost is not None or r.unreachable is not None
    }
    failing = _failing_components(facts)
    for finding in findings:
        about_repository = finding.code in OF_REPOSITORY
        if about_repository and finding.subject in told:
            continue
        kind = "not-ready"
        if finding.code == PROTECTION:
            kind = "repository-unprotected"
        elif about_repository and finding.code not in _IN_REACH:
            kind = "repository-unreachable"
        if not finding.failed and kind != "repository-unprotected":
            continue
        if finding.failed and disproved(facts, finding.code, finding.name):
            continue
        severity: Urgency = "warning" if finding.failed else "info"
        fact = without_output(finding.text)
        text = f"{finding.name}: {fact}"
        why = SOURCE_FAILS if finding.code in SOURCE and finding.subject in failing else ""
        yield Condition(
            kind,
            severity,
            finding.name,
            text,
            f"drd readiness {plan}",
            plan=plan,
            code=finding.code,
            why=why,
            unless=of_places(plan, finding.subject) if about_repository else (),
            fact="" if about_repository else fact,  # each repository is a cause of its own
        )


def _failing_components(facts: PlanFacts) -> set[str]:
    """Return the components whose last capture failed. A run that stored nothing at all left no
    record of its only component.
    """
    failing = {c.component for c in facts.components if c.error is not None}
    if facts.incomplete is not None:
        failing |= {name for name, _ in facts.incomplete.failed}
    if facts.failures is not None and len(facts.components) == 1:
        failing.add(facts.components[0].component)
    return failing
