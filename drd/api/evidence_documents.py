"""The documents of evidence: the list, and one record with all that it holds."""

from __future__ import annotations

from collections.abc import Mapping

from drd.api.evidence_document import evidence_document
from drd.api.values import Document, text_of, time_of
from drd.bootstrap import App
from drd.errors import UsageError
from drd.model.evidence_integrity import UNSIGNED, Known, compare, contradicts
from drd.model.run import Evidence, Run
from drd.model.run_details import DrillDetail


def evidence_list(app: App, plan: str | None, limit: int) -> Document:
    """`drd evidence list`: the evidence of a plan, or of all, newest first."""
    name = app.plans.known_name(plan) if plan else None
    found = app.catalogue.evidence.newest(name, limit=limit)
    return {"evidence": [_row(evidence) for evidence in found]}


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
    compared = compare(evidence, _known(app, evidence, run))
    return {
        **_row(evidence),
        "plan_digest": evidence.plan_digest,
        "repository": evidence.repository or None,
        "given_by": list(evidence.given_by),
        "lost_at": time_of(evidence.lost_at),
        "restored_bytes": evidence.restored_bytes,
        "tools": dict(_tools(run)),
        "integrity": {
            "signed": False,
            "contradicted": contradicts(compared),
            "text": UNSIGNED,
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


def _known(app: App, evidence: Evidence, run: Run | None) -> Known:
    catalogue, plan = app.catalogue, evidence.plan
    point = seal = None
    if evidence.point is not None:
        points = catalogue.points.of_plan(plan, kept_only=False, elsewhere=True)
        point = next((p for p in points if p.id == evidence.point), None)
        seal = catalogue.origins.seal(plan, evidence.point)
    proofs = {digest for facts in app.read_facts(plan) for digest in (facts.digest, *facts.proofs)}
    return Known(run, point, seal, proofs)
