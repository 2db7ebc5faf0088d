"""Make the message about a run that ended."""

from __future__ import annotations

from typing import Any

from drd.model.cause import with_remedy
from drd.model.message import Message, Urgency
from drd.model.run import CheckVerdict, DrillResult, Evidence, Run, RunKind, RunState
from drd.model.run_details import DrillDetail
from drd.model.units import format_duration

_GRAVE = (RunKind.DRILL, RunKind.RECOVERY)
"""Kinds of runs whose failure means that nobody knows any more whether the service can be
restored.
"""


def message_of_run(run: Run, evidence: Evidence | None = None) -> Message:
    """Make the message about a final run; its event is the run's kind. `evidence` is that of a
    drill or a recovery.

    Succeeded and cancelled runs are `info`; a failed drill or recovery is `critical`; the rest,
    including an inconclusive drill, is a `warning`.
    """
    assert run.finished_at is not None, "a run is reported after its end"
    outcome = _outcome(run, evidence)
    took = f" after {format_duration(run.duration_s)}" if run.duration_s is not None else ""
    subject = f" of {run.subject}" if run.subject else ""
    return Message(
        event=str(run.kind),
        plan=run.plan,
        severity=_severity(run, evidence),
        title=f"{run.plan}: {run.kind}{subject} {outcome}{took}",
        text="\n".join(_lines(run, evidence)),
        at=run.finished_at,
        run=run.id,
        details=_details(run, evidence),
    )


def _outcome(run: Run, evidence: Evidence | None) -> str:
    if evidence is not None and run.state in (RunState.SUCCEEDED, RunState.FAILED):
        return str(evidence.result)
    return str(run.state)


def _severity(run: Run, evidence: Evidence | None) -> Urgency:
    if evidence is not None and evidence.result is DrillResult.INCONCLUSIVE:
        return "warning"
    if run.state in (RunState.SUCCEEDED, RunState.CANCELLED, RunState.PAUSED):
        return "info"
    if run.state is RunState.FAILED and run.kind in _GRAVE:
        return "critical"
    return "warning"


def _lines(run: Run, evidence: Evidence | None) -> list[str]:
    lines = [with_remedy(run.error, run.detail.remedy)] if run.error else []
    if evidence is None:
        return lines
    if evidence.rta_s is not None:
        lines.append(f"recovered in {format_duration(evidence.rta_s)}")
    if evidence.rpa_s is not None:
        lines.append(f"lost: the data of the last {format_duration(evidence.rpa_s)}")
    if evidence.reason and not (run.error and _ended_by_its_evidence(run)):
        lines.append(with_remedy(evidence.reason, evidence.remedy))
    failed = [c for c in evidence.checks if c.verdict is CheckVerdict.FAILED]
    lines += [f"failed check {c.name}: {c.observed}, expected {c.expected}" for c in failed]
    return lines


def _ended_by_its_evidence(run: Run) -> bool:
    """Return whether the error of the run is the reason in its evidence. A process that died after
    it recorded the evidence left no result: its run has another error.
    """
    return isinstance(run.detail, DrillDetail) and run.detail.result is not None


def _details(run: Run, evidence: Evidence | None) -> dict[str, Any]:
    """Return the details for programs. Durations are seconds; the actuals are None if the run
    measured none.
    """
    return {
        "kind": str(run.kind),
        "state": str(run.state),
        "subject": run.subject or None,
        "trigger": run.trigger,
        "error": with_remedy(run.error, run.detail.remedy) if run.error else run.error,
        "fact": run.error,
        "remedy": run.detail.remedy,
        "duration_s": run.duration_s,
        "result": str(evidence.result) if evidence is not None else None,
        "rta_s": evidence.rta_s if evidence is not None else None,
        "rpa_s": evidence.rpa_s if evidence is not None else None,
        "point": evidence.point if evidence is not None else run.detail.point,
    }
