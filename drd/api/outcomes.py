"""The results of runs: the documents of backups, drills and recoveries, as `--json` prints them."""

from __future__ import annotations

from drd.api.documents import require_plan
from drd.api.values import Document, error_document, text_of, time_of
from drd.bootstrap import App
from drd.flows.backup.run import BackupOutcome
from drd.model.cause import with_remedy
from drd.model.run import CheckResult, Evidence, RunKind
from drd.model.snapshot import ComponentSnapshot
from drd.model.units import to_rfc3339


def evidence(app: App, name: str) -> Document:
    """Return what drills and recoveries of a plan measured, newest first."""
    plan = require_plan(app, name)
    return {
        "plan": plan,
        "evidence": [evidence_document(e) for e in app.catalogue.evidence.newest(plan, limit=50)],
    }


def evidence_document(evidence: Evidence) -> Document:
    """Return the keys that `drd drill --json` and `drd recover --json` share."""
    return {
        "run": evidence.run,
        "plan": evidence.plan,
        "evidence": evidence.id,
        "point": evidence.point,
        "scenario": evidence.scenario,
        "result": str(evidence.result),
        "rpa_s": evidence.rpa_s,
        "rta_s": evidence.rta_s,
        "rpa_judged": evidence.judged,
        "started_at": to_rfc3339(evidence.started_at),
        "finished_at": to_rfc3339(evidence.finished_at),
        "phases": dict(evidence.phases),
        "checks": [check_document(c) for c in evidence.checks],
        "coverage": evidence.coverage.to_json() if evidence.coverage is not None else None,
        "unproven": [
            {"component": u.component, "why": text_of(u.why), "code": u.code}
            for u in evidence.unproven
        ],
        "fence": evidence.fence.to_json() if evidence.fence is not None else None,
        "not_rehearsed": [{"step": s, "reason": r} for s, r in evidence.not_rehearsed],
        "reason": text_of(with_remedy(evidence.reason, evidence.remedy))
        if evidence.reason
        else None,
        "fact": text_of(evidence.reason),
        "remedy": text_of(evidence.remedy or None),
    }


def check_document(check: CheckResult) -> Document:
    return {
        "name": check.name,
        "component": check.component,
        "verdict": str(check.verdict),
        "observed": text_of(check.observed),
        "expected": text_of(check.expected),
        "part": check.part,
        "bound": check.bound,
        "figure": text_of(check.figure),
    }


def backup_document(outcome: BackupOutcome) -> Document:
    """`drd backup --json`."""
    point = outcome.point
    return {
        "run": outcome.run,
        "plan": outcome.plan,
        "point": point.id if point else None,
        "state": str(outcome.state),
        "complete": bool(point and point.complete),
        "data_time": time_of(point.data_time) if point else None,
        "components": [_captured(row) for row in outcome.components],
    }


def _captured(row: ComponentSnapshot) -> Document:
    return {
        "component": row.component,
        "kind": row.kind,
        "snapshot": row.snapshot,
        "data_time": time_of(row.data_time),
        "bytes": row.bytes,
        "added_bytes": row.added_bytes,
        "duration_s": row.duration_s,
        "state": row.state,
        **error_document(row.error, row.remedy),
    }


def outcome(app: App, prefix: str) -> Document:
    """Return the result of a finished backup or drill: the document of its verb, or why there is
    none."""
    run = app.catalogue.runs.get(prefix)
    document: Document | None = None
    if run.kind is RunKind.BACKUP:
        known = app.catalogue.points.of_plan(run.plan, kept_only=False)
        point = next((p for p in known if p.id == run.id), None)
        if point is not None:
            done = BackupOutcome(run.id, run.plan, run.state, point, point.components)
            document = backup_document(done)
    else:
        measured = app.catalogue.evidence.newest(run.plan)
        document = next((evidence_document(e) for e in measured if e.run == run.id), None)
    goals = app.plans.in_force(run.plan).objectives
    return {
        "kind": str(run.kind),
        "state": str(run.state),
        **error_document(run.error, run.detail.remedy),
        "rpo_s": goals.rpo_s,
        "rto_s": goals.rto_s,
        "document": document,
    }
