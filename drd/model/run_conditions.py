"""Find the runs of one plan that fail, are overdue, or wait. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from drd.errors import RepositoryDamaged
from drd.model.alert_facts import JobFacts, PlanMore, VerificationFacts
from drd.model.alerts import Condition
from drd.model.cause import STOPPED
from drd.model.clock import tried
from drd.model.compliance import over_limit, standing_pauses
from drd.model.drill_verdicts import is_overdue
from drd.model.exposure_reasons import incomplete_point
from drd.model.facts import PlanFacts
from drd.model.finding_codes import COPIED_STATE
from drd.model.job_history import JobHistory
from drd.model.kit_findings import EXPORT, VERIFY
from drd.model.known_findings import OVER, PAUSED
from drd.model.one_cause import OTHERS_TELL, is_over
from drd.model.text import without_output
from drd.model.units import format_time

_WORDS = {"copy": "copying", "prune": "pruning", "readiness": "the readiness check"}
_ENDS_RECOVERY = (
    "to end this alert: drd undo RUN (the old data comes back) or drd done RUN (the data stays as "
    "it is)"
)
_KIT_WORDS = {EXPORT: "export of the recovery kit", VERIFY: "test of the recovery kit"}


def of_backup(facts: PlanFacts, more: PlanMore, now: datetime) -> Iterator[Condition]:
    """Return the condition of failing backups. A single failure that a retry may solve is only a
    note.
    """
    failures, incomplete = facts.failures, facts.incomplete
    if incomplete is not None:
        text, command = incomplete_point(incomplete), f"drd points {facts.plan}"
        why = failures.code if failures is not None and failures.run == incomplete.id else ""
        yield Condition(
            "point-incomplete",
            "warning",
            "",
            text,
            command,
            plan=facts.plan,
            why=why,
            runs=run_ids(incomplete.id),
        )
    if failures is None or (incomplete is not None and incomplete.id == failures.run):
        return
    if _was_only_stopped(failures.code, failures.tries):
        return
    if is_over(failures.code, "", failures.at, facts.repositories):
        return
    permanent = any(j.history.permanent for j in more.jobs if j.history.kind == "backup")
    yield Condition(
        "backup-failing",
        "warning" if failures.tries > 1 or permanent else "info",
        "",
        _failed("backup", failures.error, failures.tries, failures.at, now),
        f"drd run show {failures.run}",
        plan=facts.plan,
        why=failures.code,
        runs=run_ids(failures.run),
    )


def of_job(facts: PlanFacts, job: JobFacts, now: datetime) -> Iterator[Condition]:
    """Return the condition of a job that fails or is overdue, never both. Objectives judge whether
    backups and drills come in time, evidence judges a failed drill, and the findings of a readiness
    run are separate conditions.
    """
    runs = job.history
    what = _WORDS.get(runs.kind, runs.kind) + (f" of {runs.subject}" if runs.subject else "")
    if runs.kind == "control":
        what = f"control {runs.subject}"
    elif runs.kind == "kit":
        what = _KIT_WORDS.get(runs.subject, runs.kind)
    if runs.kind == "recovery" and _is_unfinished(facts, runs):
        return  # this alert is critical, and says why the recovery failed
    if runs.tries and runs.kind != "readiness" and not _works_again(facts, runs):
        if runs.kind == "drill" and facts.last_drill and facts.last_drill.result != "passed":
            return
        if _was_only_stopped(runs.last_error_code, runs.tries):
            return
        remedy = f"drd run show {runs.last_run}" if runs.last_run else ""
        yield Condition(
            f"{runs.kind}-failing",
            "warning" if runs.tries > 1 or runs.permanent else "info",
            runs.subject,
            _failed(what, runs.last_error, runs.tries, runs.last_finished_at, now),
            f"{remedy}\n{_ENDS_RECOVERY}" if runs.kind == "recovery" else remedy,
            plan=facts.plan,
            why=runs.last_error_code or "",
            runs=run_ids(runs.last_run),
            places=_with_source(facts, runs.subject) if runs.kind == "copy" else (),
        )
    elif runs.paused is not None and runs.kind == "prune":
        text = f"{what} is {runs.paused}"
        command = f"drd runs {facts.plan}"
        yield Condition("prune-paused", "warning", runs.subject, text, command, plan=facts.plan)
    elif job.due_at is not None and _is_overdue(job.since, job.due_at, now):
        due = format_time(job.due_at, seconds=True)
        last = "it was never done"
        if job.done_at is not None:
            last = f"it was last done at {format_time(job.done_at, seconds=True)}"
        text = f"{what} is overdue: it was due at {due}, and {last}"
        command = f"drd schedule {facts.plan}"
        yield Condition(
            f"{runs.kind}-overdue", "warning", runs.subject, text, command, plan=facts.plan
        )


def _with_source(facts: PlanFacts, copy: str) -> tuple[str, ...]:
    """Return the names of a copy and of the repository that it copies: either may be why a copy
    fails."""
    sources = [r.copy_of for r in facts.repositories if r.repository == copy and r.copy_of]
    return copy, *sources


_TOLD_OTHERWISE = frozenset(
    {"backup-failed", "rpo", "no-point", "damage", COPIED_STATE, "unreadable"}
)
"""Reasons to wait that have their own alerts."""


def of_retention(facts: PlanFacts, now: datetime) -> Iterator[Condition]:
    """Return the condition that retention waits. It lasts as long as the pause, so it is reported
    once.
    """
    command = f"drd retention {facts.plan}"
    pauses = standing_pauses(facts, now)
    if pauses:
        all_have_alerts = {pause.code for pause in pauses} <= _TOLD_OTHERWISE
        text = "; ".join(pause.text for pause in pauses)
        remedies = dict.fromkeys(pause.remedy for pause in pauses)
        yield Condition(
            PAUSED,
            "info" if all_have_alerts else "warning",
            "",
            f"retention is paused: {text}",
            "\n".join((*remedies, command)),
            plan=facts.plan,
            why=OTHERS_TELL if all_have_alerts else "",
        )
    if facts.waiting:
        text = over_limit(facts.plan, facts.waiting)
        yield Condition(OVER, "warning", "", text, f"{command} --dry-run", plan=facts.plan)


def of_verification(
    plan: str, verification: VerificationFacts, now: datetime
) -> Iterator[Condition]:
    """Return the condition that verification has not read all of a repository in time."""
    repository = verification.repository
    since = verification.last_complete_at or verification.cycle_started_at
    if verification.all_read_by is not None and _is_overdue(since, verification.all_read_by, now):
        text = (
            f"verification has not read all of repository {repository} since "
            f"{format_time(since, seconds=True)}"
        )
        command = f"drd schedule {plan}"
        yield Condition("reading-overdue", "warning", repository, text, command, plan=plan)


def _works_again(facts: PlanFacts, runs: JobHistory) -> bool:
    """Return whether the repository that made the runs fail works again; of a copy, it and the
    repository that it copies."""
    code, at = runs.last_error_code or "", runs.last_finished_at
    names = _with_source(facts, runs.subject) if runs.kind == "copy" else (runs.subject,)
    return at is not None and all(is_over(code, name, at, facts.repositories) for name in names)


def _is_unfinished(facts: PlanFacts, runs: JobHistory) -> bool:
    """Return whether the last recovery stopped in the middle, which has its own alert."""
    return facts.unfinished is not None and facts.unfinished.run == runs.last_run


def _was_only_stopped(code: str | None, tries: int) -> bool:
    """Return whether only a restart of the service ended the run. That is no failure, since the run
    is repeated. Work that is stopped again and again is never done, which is a failure.
    """
    return tries == 1 and code == STOPPED.code


def is_told_as_damage(job: JobFacts, more: PlanMore) -> bool:
    """Return whether the run is a verification that found damage: it did its work, and the damage
    has its own alert.
    """
    runs = job.history
    return (
        runs.kind == "verification"
        and runs.last_error_code == RepositoryDamaged.code
        and any(v.error is not None and v.repository == runs.subject for v in more.verifications)
    )


def _is_overdue(since: datetime | None, due_at: datetime, now: datetime) -> bool:
    period_s = (due_at - since).total_seconds() if since is not None else 0.0
    return is_overdue((now - due_at).total_seconds(), period_s)


def _failed(what: str, error: str | None, tries: int, at: datetime | None, now: datetime) -> str:
    why = f": {without_output(error)}" if error else ""
    return f"{what} failed{why} ({tried(tries, at, now)})"


def run_ids(run: str | None) -> tuple[str, ...]:
    """Return the run whose end a condition is about, if there is one."""
    return (run,) if run else ()
