"""The documents of findings: `drd doctor` and `drd readiness` print them, the socket sends them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drd.api.values import Document, text_of, time_of
from drd.bootstrap import App
from drd.model.compliance import assess
from drd.model.finding import Finding
from drd.model.readiness_finding import ReadinessFinding
from drd.model.run import RunKind
from drd.model.run_details import ReadinessDetail
from drd.model.verdicts import Readiness


def finding_document(finding: Finding) -> Document:
    """Return one finding as each document has it. `evidence` is the former key of `text`."""
    return {
        **finding.to_json(),
        "text": (text := text_of(finding.text) or ""),
        "remedy": text_of(finding.remedy) or "",
        "evidence": text,
    }


def doctor_document(plan: str, finding: Finding) -> Document:
    """Return one item of `drd doctor`, also with its former keys."""
    shown = finding_document(finding)
    return {
        **shown,
        "plan": plan,
        "ok": not finding.failed,
        "detail": shown["text"],
        "hint": shown["remedy"],
        "warning": finding.severity == "warning",
    }


def readiness_document(plan: str, readiness: str, findings: Iterable[ReadinessFinding]) -> Document:
    """Return one plan: its verdict and its findings. Findings that withhold `ready` come first."""
    return {
        "plan": plan,
        "readiness": readiness,
        "findings": [_judged(judged) for judged in findings],
    }


def _judged(judged: ReadinessFinding) -> Document:
    kept: dict[str, Any] = judged.to_json()
    return {
        **finding_document(judged.finding),
        "allows": kept["allows"],
        "exception": kept["exception"],
    }


def readiness(app: App, plan: str | None) -> Document:
    """Return the last readiness check of each plan, or of one, with its time."""
    names = (
        [app.plans.known_name(plan)] if plan else [r.name for r in app.catalogue.queue.plan_rows()]
    )
    return {"plans": [_last_check(app, name) for name in names]}


def _last_check(app: App, name: str) -> Document:
    for run in app.catalogue.runs.newest(name, limit=20, kind=RunKind.READINESS):
        detail = run.detail
        if isinstance(detail, ReadinessDetail) and detail.findings is not None:
            document = readiness_document(name, detail.readiness or "", detail.findings)
            return {**document, "run": run.id, "looked_at": time_of(run.finished_at)}
    now = app.clock.now()
    judged = (assess(facts, now).readiness for facts in app.read_facts(name))
    verdict = next(judged, Readiness.NOT_READY)
    text = (
        "no readiness check of this plan has run yet. Judged only by its backups and drills, "
        f"the plan is: {verdict}"
    )
    finding = Finding(
        "readiness-check", "warning", "", text, f"check the plan as root: sudo drd readiness {name}"
    )
    document = readiness_document(name, verdict, [ReadinessFinding(finding, verdict)])
    return {**document, "run": None, "looked_at": None}
