"""The documents of evidence: the list, and one record with all that it holds."""

from __future__ import annotations

from collections.abc import Mapping

from drd.api.evidence_document import evidence_document
from drd.api.values import Document, text_of, time_of
from drd.bootstrap import App
from drd.errors import UsageError
from drd.model.evidence_integrity import (
    SIGNED,
    UNSIGNED,
    Known,
    cited_evidence,
    compare,
    contradicts,
)
from drd.model.records import Entry
from drd.model.run import Evidence, Run
from drd.model.run_details import DrillDetail


def evidence_list(app: App, plan: str | None, limit: int) -> Document:
    """`drd evidence list`: the evidence of a plan, or of all, newest first."""
    name = app.plans.known_name(plan) if plan else None
    newest = app.catalogue.evidence.newest(name, limit=limit)
    return {"evidence": [_row(evidence) for evidence in newest]}


def _row(evidence: Evidence) -> Document:
    return {
        **evidence_document(evidence),
        "target": evidence.target,
        "data_time": time_of(evidence.data_time),
    }


def evidence_record(app: App, prefix: str) -> Document:
    """`drd evidence show`: one record, and how far other records confirm it."""
    evidence = app.catalogue.evidence.find(prefix)
    run = _run_of(app, evidence)
    entry = _entry_of(app, evidence)
    compared = compare(evidence, _known(app, evidence, run, entry))
    signed = entry is not None and bool(entry.signature)
    return {
        **_row(evidence),
        "copy": text_of(app.catalogue.points.copy_name(evidence.point or "") or None),
        "plan_digest": evidence.plan_digest,
        "repository": evidence.repository or None,
        "given_by": list(evidence.given_by),
        "lost_at": time_of(evidence.lost_at),
        "restored_bytes": evidence.restored_bytes,
        "tools": dict(_tools(run)),
        "integrity": {
            "signed": signed,
            "entry": entry.seq if entry is not None else None,
            "contradicted": contradicts(compared),
            "text": SIGNED.format(entry=entry.seq, command="drd records verify")
            if entry is not None and signed
            else UNSIGNED,
            "comparisons": [
                {"what": c.what, "agrees": c.agrees, "text": text_of(c.text)} for c in compared
            ],
        },
    }


def _run_of(app: App, evidence: Evidence) -> Run | None:
    try:
        return app.catalogue.runs.get(evidence.run)
    except UsageError:  # its row was removed, as old ones are
        return None


def _tools(run: Run | None) -> Mapping[str, str]:
    detail = run.detail if run is not None else None
    return detail.tools if isinstance(detail, DrillDetail) else {}


def _entry_of(app: App, evidence: Evidence) -> Entry | None:
    """Return the newest entry of the chain of records that cites the evidence."""
    entries = app.catalogue.records.about(f"{evidence.plan}/{evidence.run}", kind="evidence")
    return next((e for e in entries if cited_evidence(e).get("id") == evidence.id), None)


def _known(app: App, evidence: Evidence, run: Run | None, entry: Entry | None) -> Known:
    catalogue, plan = app.catalogue, evidence.plan
    point = seal = None
    if evidence.point is not None:
        points = catalogue.points.of_plan(plan, kept_only=False, elsewhere=True)
        point = next((p for p in points if p.id == evidence.point), None)
        seal = catalogue.origins.seal(plan, evidence.point)
    proofs = {digest for facts in app.read_facts(plan) for digest in (facts.digest, *facts.proofs)}
    return Known(run, point, seal, proofs, entry)
