"""The document of the evidence of a drill or recovery, which several documents contain."""

from __future__ import annotations

from dataclasses import asdict

from drd.api.values import Document, text_of
from drd.model.cause import with_remedy
from drd.model.instant import InstantDrill
from drd.model.run import CheckResult, Evidence
from drd.model.units import to_rfc3339


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
        "signature": evidence.signature,
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
        "instant": instant_document(evidence.instant),
        "not_rehearsed": [{"step": s, "reason": r} for s, r in evidence.not_rehearsed],
        "reason": text_of(with_remedy(evidence.reason, evidence.remedy))
        if evidence.reason
        else None,
        "fact": text_of(evidence.reason),
        "remedy": text_of(evidence.remedy or None),
    }


def instant_document(instant: InstantDrill | None) -> Document | None:
    """Return the key `instant`: null for a drill that restored everything."""
    if instant is None:
        return None
    shares = [
        {**asdict(r), "share": round(r.read_bytes / r.whole_bytes, 6) if r.whole_bytes else 1.0}
        for r in instant.readings
    ]
    return {**instant.to_json(), "readings": shares}


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
