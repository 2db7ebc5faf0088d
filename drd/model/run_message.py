"""Make the message about a run that ended."""

from __future__ import annotations

from typing import Any

from drd.model.cause import STOPPED, with_remedy
from drd.model.check_words import check_name, failed_words
from drd.model.message import Message, Urgency
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Evidence, Run, RunKind, RunState
from drd.model.run_details import DrillDetail
from drd.model.titles import titled
from drd.model.units import format_duration

_GRAVE = (RunKind.DRILL, RunKind.RECOVERY)
"""Kinds of runs after whose failure nobody knows whether the service can be restored."""


def message_of_run(run: Run, evidence: Evidence | None = None) -> Message:
    """Make the message about a final run; its event is the run's kind. `evidence` is that of a
    drill or a recovery.

    Succeeded and cancelled runs are `info`, and so is a run that was only stopped with the service,
    because drd repeats it. A failed drill or recovery is `critical`. Other results, including an
    inconclusive drill, are a `warning`.
    """
    assert run.finished_at is not None, "a run is reported after its end"
    outcome = _outcome(run, evidence)
    failed = _failed(evidence)
    more = f" after {format_duration(run.duration_s)}" if run.duration_s is not None else ""
    if failed:
        more = f": {check_name(failed[0].name, failed[0].expected)}"
    subject = f" of {run.subject}" if run.subject else ""
    return Message(
        event=str(run.kind),
        plan=run.plan,
        severity=_severity(run, evidence),
        title=titled(run.plan, f"{run.kind}{subject} {outcome}{more}"),
        text="\n".join(_lines(run, evidence)),
        at=run.finished_at,
        run=run.id,
        details=_details(run, evidence),
    )


_DRILLED = {DrillResult.INCONCLUSIVE: "proved nothing"}
_RECOVERED = {
    DrillResult.PASSED: "done, and checks passed",
    DrillResult.INCONCLUSIVE: "done, but no check proved the data",
}


def _outcome(run: Run, evidence: Evidence | None) -> str:
    """Return how the run ended. What no check judged is not what did not succeed."""
    if evidence is None or run.state not in (RunState.SUCCEEDED, RunState.FAILED):
        return str(run.state)
    if run.kind is not RunKind.RECOVERY:
        return _DRILLED.get(evidence.result, str(evidence.result))
    if run.state is RunState.FAILED:
        return str(run.state)
    return _RECOVERED.get(evidence.result, str(evidence.result))


def _severity(run: Run, evidence: Evidence | None) -> Urgency:
    lost = run.kind is RunKind.RECOVERY and run.state is RunState.FAILED
    if evidence is not None and evidence.result is DrillResult.INCONCLUSIVE and not lost:
        return "warning"
    if run.state in (RunState.SUCCEEDED, RunState.CANCELLED, RunState.PAUSED):
        return "info"
    if _is_repeated(run):
        return "info"
    if run.state is RunState.FAILED and run.kind in _GRAVE:
        return "critical"
    return "warning"


def _is_repeated(run: Run) -> bool:
    """Return whether the end of the service has ended the run, and the next start repeats it."""
    return run.error_code == STOPPED.code and run.trigger != "manual"


def _failed(evidence: Evidence | None) -> list[CheckResult]:
    checks = evidence.checks if evidence is not None else ()
    return [c for c in checks if c.verdict is CheckVerdict.FAILED]


def _lines(run: Run, evidence: Evidence | None) -> list[str]:
    failed = _failed(evidence)
    lines = [f"failed: {failed_words(c.name, c.observed, c.expected)}" for c in failed]
    # With failed checks, the error of the run has their names, and nothing more.
    if run.error and not (failed and _ended_by_its_evidence(run)):
        lines.append(with_remedy(run.error, run.detail.remedy))
    if _is_repeated(run):
        lines.append("drd repeats this run by itself when the service runs again")
    if evidence is None:
        return lines
    if evidence.rta_s is not None:
        lines.append(f"recovered in {format_duration(evidence.rta_s)}")
    if evidence.instant is not None:
        lines += [f"instant drill: {r.component}: {r.words}" for r in evidence.instant.readings]
    if evidence.rpa_s is not None:
        lost = format_duration(evidence.rpa_s)
        is_drill = run.kind is RunKind.DRILL
        lines.append(
            f"the data was {lost} old" if is_drill else f"lost: the data of the last {lost}"
        )
    if evidence.reason and not (run.error and _ended_by_its_evidence(run)):
        lines.append(with_remedy(evidence.reason, evidence.remedy))
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
