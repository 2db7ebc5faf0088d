"""The history of each plan's kinds of run, updated in the transactions that change the runs.

The next start is computed from it: from one row instead of a million runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select, union_all, update

from drd.catalogue.daemon_tables import jobs, plan_changes
from drd.catalogue.engine import upsert
from drd.catalogue.summaries import USUAL_RUNS, durations, percentile_95
from drd.catalogue.tables import FIRST_TOKEN, runs
from drd.model.run import DrillResult, Run, RunKind, RunState
from drd.model.run_details import DrillDetail, ReadinessDetail, RecoveryDetail, RunDetail
from drd.model.text import without_output

_DONE = (RunState.SUCCEEDED, RunState.PAUSED)
_LAST_CHANGES = union_all(
    *(select(func.coalesce(func.max(c), 0)) for c in (jobs.c.changed, plan_changes.c.seq))
)
_FAILURES = (RunState.FAILED, RunState.INCOMPLETE, RunState.INTERRUPTED)


def began(connection: Connection, run: Run) -> None:
    """Record the start of a run. A run by hand counts for the schedule only if it does its work."""
    started = {"last_started_at": run.started_at} if run.by_schedule else {}
    _set(connection, run, last_run=run.id, **started)


def ended(connection: Connection, run: Run) -> None:
    """Record the end of a run. A cancelled run counts neither as a success nor as a failure.

    A run by hand that did not do its work does not delay runs of the schedule: if it was cancelled,
    it changes nothing; if it failed, only the failure counts. A run with a bad result, such as a
    failed drill, has done its work.

    A recovery that was refused before drd changed anything is no failure either: the person who
    asked for it has read why.

    A run that began before a newer one, and whose process is found dead long after, changes nothing
    unless it succeeded. A run that failed before it began counts as the newest: otherwise its job
    would be due again at once.
    """
    before = connection.execute(select(jobs).where(*_same_job(run))).one_or_none()
    unbegun = run.started_at is None and run.state is RunState.FAILED
    older = before is not None and before.last_run != run.id and not unbegun
    if older and run.state is not RunState.SUCCEEDED:
        return
    if _was_refused(run):
        _set(connection, run, last_run=_last_not_refused(connection, run))
        return
    if run.state is RunState.CANCELLED and not run.by_schedule:
        _set(connection, run)
        return
    values: dict[str, Any] = {
        "last_run": run.id,
        "last_finished_at": run.finished_at,
        "last_state": str(run.state),
        "last_error": run.error,
        "last_error_code": run.error_code or None,
        "last_duration_s": run.duration_s,
    }
    if run.by_schedule or run.state in _DONE or _has_answered(run.detail):
        # A run that never began counts from its end.
        values["last_started_at"] = run.started_at or run.finished_at
    if run.kind is RunKind.READINESS:
        values["withheld"] = withheld(run.detail)
    if run.state is RunState.SUCCEEDED:
        values |= {"last_success_at": run.finished_at, "tries": 0, "permanent": False}
        usual = durations(connection, run.plan, USUAL_RUNS, run.kind, run.subject)
        values["p95_s"] = percentile_95(usual)
        values["last_bytes"] = run.detail.bytes
    elif run.state is RunState.PAUSED:
        values |= {"tries": 0, "permanent": False}
    elif run.state in _FAILURES:
        values["tries"] = (before.tries if before else 0) + 1
        # What only a person's terminal lacks ends no retries of the schedule.
        retried = before is not None and before.tries > 0 and not before.permanent
        values["permanent"] = run.detail.permanent and (run.by_schedule or not retried)
    _set(connection, run, **values)
    if run.kind is RunKind.RECOVERY and run.state is RunState.SUCCEEDED:
        _end_findings_of_target(connection, run)


def given_up(connection: Connection, run: str) -> None:
    """Record that a person is done with the run, or has undone it: its failure is no problem any
    more."""
    mine = update(jobs).where(jobs.c.last_run == run, jobs.c.kind == str(RunKind.RECOVERY))
    values = {"tries": 0, "permanent": False, "changed": _next_change(connection)}
    connection.execute(mine.values(**values))


def recompute_schedule(connection: Connection, plan: str) -> None:
    """Let the schedule of the plan be computed anew, because something else changed than a run."""
    recovery = (jobs.c.plan == plan, jobs.c.kind == str(RunKind.RECOVERY))
    connection.execute(update(jobs).where(*recovery).values(changed=_next_change(connection)))


def moved(connection: Connection, plan: str, repository: str) -> None:
    """Forget what runs found in a repository whose place in the plan has changed: the findings are
    not true for the new place, and the next runs are due as if there had been none."""
    nothing = {
        column.name: None
        for column in jobs.c
        if column.nullable and column.name.startswith(("last_", "p95_", "withheld"))
    }
    connection.execute(
        update(jobs)
        .where(jobs.c.plan == plan, jobs.c.subject == repository)
        .values(**nothing, tries=0, permanent=False, changed=_next_change(connection))
    )


def forget(connection: Connection, plan: str) -> None:
    """Remove the histories of a plan. Readers ask what changed after the last change that they
    know, so the count has to continue although the rows that had it are gone."""
    count_change(connection, plan)
    connection.execute(delete(jobs).where(jobs.c.plan == plan))


def count_change(connection: Connection, plan: str) -> None:
    """Note that the status of the plan has changed; if `plan` is empty, that of drd itself."""
    upsert(connection, plan_changes, {"plan": plan, "seq": _next_change(connection)})


def _was_refused(run: Run) -> bool:
    """Return whether a recovery ended before it changed anything; not if it was resumed, as an
    earlier process of it may have changed something."""
    detail = run.detail
    refused = run.state is RunState.FAILED and isinstance(detail, RecoveryDetail)
    return refused and detail.untouched and run.token == FIRST_TOKEN


def _last_not_refused(connection: Connection, run: Run) -> str | None:
    """Return the run before a refused recovery: an alert about its failure is still about it."""
    before = (
        select(runs.c.id, runs.c.detail, runs.c.token)
        .where(runs.c.plan == run.plan, runs.c.kind == str(run.kind))
        .where(runs.c.id != run.id, runs.c.started_at.is_not(None))
        .order_by(runs.c.started_at.desc(), runs.c.id)
    )
    for row in connection.execute(before):
        if not RunDetail.from_json(row.detail).untouched or row.token != FIRST_TOKEN:
            return str(row.id)
    return None


def _has_answered(detail: RunDetail) -> bool:
    """Return whether a check of readiness or a drill came to a result, which may be a bad one."""
    if isinstance(detail, ReadinessDetail):
        return detail.readiness is not None
    return isinstance(detail, DrillDetail) and detail.result == DrillResult.FAILED


def withheld(detail: RunDetail) -> dict[str, Any] | None:
    """Return what `status` shows of a readiness check: the findings that withhold `ready`; None
    when the check itself failed."""
    if not isinstance(detail, ReadinessDetail) or detail.readiness is None:
        return None
    findings = [judged.finding for judged in detail.findings or () if judged.counts]
    return {
        "readiness": detail.readiness,
        "findings": [
            {"code": f.code, "subject": f.subject, "name": f.name, "text": without_output(f.text)}
            for f in findings
        ],
    }


def end_finding(connection: Connection, code: str) -> None:
    """Remove a finding from the findings of the last readiness checks of all plans that withheld
    `ready`."""
    _end_findings(connection, lambda finding: finding["code"] == code)


def _end_findings_of_target(connection: Connection, run: Run) -> None:
    """Remove the findings of the last readiness check about the components that this recovery has
    restored to the target: the recovery has proven that drd can restore them there.
    """
    detail = run.detail
    if not isinstance(detail, RecoveryDetail) or detail.part is not None:
        return
    there, restored = f"target {detail.target}: ", detail.begun

    def is_over(finding: dict[str, str]) -> bool:
        return finding["name"].startswith(there) and finding["subject"] in restored

    _end_findings(connection, is_over, jobs.c.plan == run.plan)


def _end_findings(
    connection: Connection, is_over: Callable[[dict[str, str]], bool], *where: ColumnElement[bool]
) -> None:
    checks = select(jobs).where(jobs.c.kind == str(RunKind.READINESS), *where)
    for row in connection.execute(checks).all():
        codes = (row.withheld or {}).get("findings", ())
        left = [finding for finding in codes if not is_over(finding)]
        if len(left) < len(codes):
            values = {"withheld": {**row.withheld, "findings": left}}
            mine = (jobs.c.plan == row.plan, jobs.c.kind == row.kind)
            changed = _next_change(connection)
            connection.execute(update(jobs).where(*mine).values(**values, changed=changed))


def _same_job(run: Run) -> tuple[Any, ...]:
    return (jobs.c.plan == run.plan, jobs.c.kind == str(run.kind), jobs.c.subject == run.subject)


def _set(connection: Connection, run: Run, **values: Any) -> None:
    key = {"plan": run.plan, "kind": str(run.kind), "subject": run.subject}
    values["changed"] = _next_change(connection)
    if connection.execute(update(jobs).where(*_same_job(run)).values(**values)).rowcount == 0:
        connection.execute(jobs.insert().values(**key, **{"tries": 0, "permanent": False} | values))


def _next_change(connection: Connection) -> int:
    """Return the next number of a change. `plan_changes` counts on when rows are removed."""
    return max(connection.execute(_LAST_CHANGES).scalars(), default=0) + 1
