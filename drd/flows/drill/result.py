"""What a drill proved, and the end of its run."""

from __future__ import annotations

from dataclasses import replace

from drd.errors import (
    DeadlineExceeded,
    DrdError,
    ManifestRefused,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    TargetUnwritable,
)
from drd.flows.components.restored_checks import cannot_be_restored
from drd.flows.drill.operator import outcome_of, unanswered
from drd.flows.drill.phases import Phase, PointChosen, RunBegun, RunbookBegun, RunbookEnded
from drd.flows.drill.request import DrillOutcome
from drd.flows.durable_steps import describe
from drd.flows.incidents.actions import settle
from drd.flows.repository import adopted, read_dumps
from drd.flows.repository.identity import probe_repository
from drd.flows.repository.missing import forgotten_since
from drd.flows.repository.observed_state import note_damage
from drd.model.run import DrillResult, Evidence, RunState, drill_result
from drd.model.run_details import DrillDetail


def judge(restored: RunbookEnded) -> DrillOutcome:
    """Judge the restored data; if the request says so, it is kept before it would be removed."""
    restoring = restored.restoring
    work = restoring.work
    why = _inconclusive_cause(restoring, list(work.errors.values()))
    if why is not None:
        return inconclusive(restored, why)
    _note_damage(restoring)
    if (late := unanswered(restored)) is not None:
        return inconclusive(restored, late)
    result = drill_result(restored.checks)
    outcome = end_run(restored, restored.evidence(result, None), None)
    keep = restored.begun.request.keep
    if keep is not None:
        keep(outcome, dict(work.destinations))
    return outcome


def inconclusive(reached: Phase, error: DrdError) -> DrillOutcome:
    """Return the outcome of a drill that could not be carried out: it proves nothing, but a check
    that failed before still counts."""
    evidence = reached.evidence(DrillResult.INCONCLUSIVE, describe(error))
    result = drill_result(evidence.checks, cut_short=True)
    return end_run(reached, replace(evidence, result=result), error)


def unreadable(reached: Phase, error: RepositoryDamaged | PointGone) -> DrillOutcome:
    """The point's manifest cannot be read, so it cannot be restored: a failure, unless the
    repository is not the expected one."""
    if isinstance(reached, RunbookBegun):
        try:
            for repository in reached.work.holders.repositories:
                probe_repository(reached.chosen.host.work_services, repository)
            other = _forgotten(reached)
        except RepositoryError as elsewhere:
            other = elsewhere
        if other is not None:
            return inconclusive(reached, other)
        _note_damage(reached)
    return end_run(reached, reached.evidence(DrillResult.FAILED, describe(error)), error)


def refused(reached: PointChosen, error: ManifestRefused) -> DrillOutcome:
    """The catalogue has something about the point that drd does not write, so that no recovery
    takes it: nothing of it can be restored."""
    request, plan = reached.begun.request, reached.host.plan
    names = request.components or tuple(plan.components)
    rows = (cannot_be_restored(name, error, by_the_data=True) for name in names)
    evidence = reached.evidence(DrillResult.FAILED, describe(error))
    return end_run(reached, replace(evidence, checks=(*evidence.checks, *rows)), error)


def _inconclusive_cause(restoring: RunbookBegun, errors: list[DrdError]) -> DrdError | None:
    """Why components were not restored, if that proves nothing about the backup."""
    if errors and all(_proves_nothing(e) for e in errors):
        return errors[0]
    return _forgotten(restoring) if errors else None


def _forgotten(restoring: RunbookBegun) -> RepositoryError | None:
    """Why the point is missing, if that proves nothing about the others."""
    host, work = restoring.chosen.host, restoring.work
    if host.plan.made_by:
        return adopted.gone_meanwhile(host.work_services, host.plan, work.point.id)
    return forgotten_since(
        host.work_services, host.plan.name, work.point.id, work.holders.repositories, host.begun.t0
    )


def _note_damage(restoring: RunbookBegun) -> None:
    host, work = restoring.chosen.host, restoring.work
    note_damage(host.work_services, host.plan.name, work.point.id, work.holders.damaged)


def end_run(reached: Phase, evidence: Evidence, error: DrdError | None) -> DrillOutcome:
    """Record the evidence and how the run has ended; returns the outcome for the caller."""
    restoring = reached.restoring if isinstance(reached, RunbookEnded) else reached
    begun = reached if isinstance(reached, RunBegun) else reached.begun
    catalogue, owned = begun.services.catalogue, begun.runner.owned
    operator = outcome_of(reached, evidence)
    catalogue.evidence.record(owned, evidence, operator)
    read_dumps.settle_drilled(begun.services, begun.plan)
    failed = evidence.result is DrillResult.FAILED
    catalogue.runs.finish(
        owned,
        RunState.FAILED if failed or error is not None else RunState.SUCCEEDED,
        at=begun.services.clock.now(),
        error=_error_text(evidence),
        detail=DrillDetail(
            result=str(evidence.result),
            remedy=evidence.remedy or None,
            error_code=describe(error).code or None if error is not None else None,
            point=evidence.point,
            bytes=evidence.restored_bytes,
            fence=evidence.fence,
            tools=restoring.tools.result() if isinstance(restoring, RunbookBegun) else {},
            # Data that was restored wrong will be wrong again; what could not be tried may work
            # next time.
            permanent=failed or (error is not None and error.permanent),
            operator=operator.to_json() if operator is not None else None,
        ),
    )
    settle(catalogue, begun.services.clock.now(), evidence.plan)
    if isinstance(restoring, RunbookBegun):
        choice = restoring.chosen.choice
        return DrillOutcome(evidence, restoring.work, choice, error, operator)
    chosen = restoring.choice if isinstance(restoring, PointChosen) else None
    return DrillOutcome(evidence, None, chosen, error, operator)


def _proves_nothing(error: DrdError) -> bool:
    """Return whether a component that was not restored may still be restorable elsewhere, or the
    next time."""
    lost = isinstance(error, RepositoryDamaged | PointGone)
    return isinstance(error, TargetUnwritable | RepositoryError | DeadlineExceeded) and not lost


def _error_text(evidence: Evidence) -> str | None:
    if evidence.reason is not None:
        return evidence.reason
    failed = [c.name for c in evidence.checks if c.verdict == "failed"]
    return f"checks failed: {', '.join(failed)}" if failed else None
