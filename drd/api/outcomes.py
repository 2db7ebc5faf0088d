"""The results of runs: the documents of backups, drills and recoveries, as `--json` prints them."""

from __future__ import annotations

from drd.api.documents import require_plan
from drd.api.evidence_document import evidence_document
from drd.api.recoveries import loss_document
from drd.api.values import Document, consistency_document, error_document, time_of
from drd.bootstrap import App
from drd.flows.backup.run import BackupOutcome
from drd.model.run import RunKind
from drd.model.run_details import DrillDetail
from drd.model.snapshot import ComponentSnapshot
from drd.registry import how_made


def evidence(app: App, name: str) -> Document:
    """Return what drills and recoveries of a plan measured, newest first."""
    plan = require_plan(app, name)
    return {
        "plan": plan,
        "evidence": [evidence_document(e) for e in app.catalogue.evidence.newest(plan, limit=50)],
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
        "consistency": consistency_document(outcome.plan, outcome.consistency),
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
        "made": how_made(row),
        **error_document(row.error, row.remedy),
    }


def outcome(app: App, prefix: str) -> Document:
    """Return the result of a finished backup or drill: the document of its verb, or why there is
    none."""
    run = app.catalogue.runs.get(prefix)
    document, loss = None, None
    plan = app.plans.in_force(run.plan)
    if run.kind is RunKind.BACKUP:
        known = app.catalogue.points.of_plan(run.plan, kept_only=False)
        point = next((p for p in known if p.id == run.id), None)
        if point is not None:
            done = BackupOutcome(run.id, run.plan, run.state, point, point.components)
            document = backup_document(done)
    else:
        measured = app.catalogue.evidence.newest(run.plan)
        evidence = next((e for e in measured if e.run == run.id), None)
        document = evidence_document(evidence) if evidence is not None else None
        loss = loss_document(app, plan, evidence)
        operator = run.detail.operator if isinstance(run.detail, DrillDetail) else None
        if document is not None and operator is not None:
            document["operator"] = dict(operator)
    return {
        "kind": str(run.kind),
        "state": str(run.state),
        **error_document(run.error, run.detail.remedy),
        "rpo_s": plan.objectives.rpo_s,
        "rto_s": plan.objectives.rto_s,
        "loss": loss,
        "document": document,
    }
