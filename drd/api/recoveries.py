"""The result of a recovery, in documents: where the data is, who uses it, what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from drd.api.values import Document, text_of
from drd.bootstrap import App
from drd.errors import ConfigError, NoRestorePoint, UnknownPlan, UsageError
from drd.flows.restore.losses import loss_of, losses_of_run
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.restore.unfinished import stopped_services, unfinished
from drd.flows.state.kept_notes import noted
from drd.model.check_words import RESTORES
from drd.model.down import units_of
from drd.model.plan import NAME as PLAN_NAME
from drd.model.plan import Plan
from drd.model.recovered import Ended, tasks
from drd.model.restored import RestoredPlace, Task, Usage
from drd.model.run import (
    PARTIAL,
    PARTIAL_DRILL,
    CheckVerdict,
    DrillResult,
    Evidence,
    Run,
    RunKind,
    RunState,
    StepState,
    about_all,
    taken_back,
)
from drd.model.run_details import RecoveryDetail
from drd.model.snapshot import newest_complete
from drd.model.unfinished import Unfinished


def aftermath(app: App, run: Run, evidence: Evidence | None) -> Document:
    """Return the keys that `drd recover --json` and `drd run show --json` share. They are empty for
    other runs, before the end, and for a recovery that was undone. For root on another user's state
    they come from root's record; without one, `doubt` says why places and tasks are left out."""
    plan = _plan(app, run) if evidence is not None else None
    measured = _measured(app, evidence, plan)
    catalogue, row_trust = app.row_trust()
    taken = taken_back(about_all(catalogue.decisions.of_run(run.id))) is not None
    so_far = None if taken else _unfinished(app, run)
    measured["unfinished"] = so_far._asdict() if so_far is not None else None
    if evidence is None or taken or run.kind is not RunKind.RECOVERY:
        return {**measured, "now_at": [], "in_use": [], "next": [], "doubt": None}
    detail, doubt = row_trust.ended(run)
    ended = _ended(app, run, detail, evidence, plan)
    return {
        **measured,
        "now_at": [_place(p) for p in detail.places],
        "in_use": [usage_document(u, _units_started(plan, ended.started)) for u in detail.usage],
        "next": [task_document(t) for t in tasks(ended)],
        "doubt": doubt,
    }


def as_they_are(app: App, runs: Sequence[Run]) -> list[Run]:
    """Return the runs as a person has to see them: a run whose process died, or that somebody has
    reopened and nobody has resumed yet, is `interrupted`. The row of such a run is still open,
    because a process may resume the recovery, or because drd has not cleaned up after the run
    yet."""
    plans = {r.plan for r in runs if not r.state.final and r.state is not RunState.PENDING}
    dead = {r.id for plan in sorted(plans) for r in app.catalogue.runs.abandoned(plan)}
    return [
        replace(r, state=RunState.INTERRUPTED, error=_why_interrupted(r)) if r.id in dead else r
        for r in runs
    ]


def _why_interrupted(run: Run) -> str:
    if run.reopened:
        return f"the {run.kind} stopped, and waits for drd resume"
    return f"the process of this {run.kind} died"


def _unfinished(app: App, run: Run) -> Unfinished | None:
    """Return how far a recovery came that stopped before its end; None for other runs."""
    stopped = (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)
    plan = _plan(app, run) if run.kind is RunKind.RECOVERY and run.state in stopped else None
    if plan is not None:
        with suppress(UsageError):  # it stopped before its request was recorded
            return unfinished(app.catalogue, plan, run)
    return None


def _plan(app: App, run: Run) -> Plan | None:
    with suppress(UnknownPlan, ConfigError):
        return app.plans.in_force(run.plan)
    return None


def _measured(app: App, evidence: Evidence | None, plan: Plan | None) -> Document:
    """Return the measured times, and whether they keep the objectives of the plan in force. The
    times of a part of the service do not show whether the objectives are kept. `loss` is the loss
    of the component that is worst against its own RPO."""
    rta, rpa = (evidence.rta_s, evidence.rpa_s) if evidence is not None else (None, None)
    goals = plan.objectives if plan is not None else None
    whole = evidence is not None and evidence.scenario not in (PARTIAL, PARTIAL_DRILL)
    kept = rta <= goals.rto_s if whole and goals is not None and rta is not None else None
    return {
        "rta_s": rta,
        "rpa_s": rpa,
        "loss": loss_document(app, plan, evidence),
        "losses": [one._asdict() for one in losses_of_run(app.catalogue, evidence)]
        if evidence is not None
        else [],
        "rto_s": goals.rto_s if goals is not None else None,
        "rpo_s": goals.rpo_s if goals is not None else None,
        "within_rto": kept,
    }


def loss_document(app: App, plan: Plan | None, evidence: Evidence | None) -> Document | None:
    """Return the value of the key `loss`: the loss, and the RPO that it counts against. Return None
    if no loss was measured."""
    if plan is None or evidence is None:
        return None
    rpa_s, data_time = evidence.rpa_s, evidence.data_time
    loss = loss_of(app.catalogue, plan, evidence.run, rpa_s, data_time)
    return loss._asdict() if loss is not None else None


def _ended(
    app: App, run: Run, detail: RecoveryDetail, evidence: Evidence, plan: Plan | None
) -> Ended:
    failed = any(c.verdict is CheckVerdict.FAILED for c in evidence.checks)
    return Ended(
        run=run.id,
        plan=run.plan if PLAN_NAME.fullmatch(run.plan) else "PLAN",
        file=plan.file if plan is not None else "the plan",
        detail=detail,
        back=evidence.rta_s is not None,
        failed=failed and evidence.result is DrillResult.FAILED,
        started=_started(app, run, plan),
        stopped=stopped_services(app.catalogue, plan, run) if plan is not None else (),
        not_started=_not_started(app, run, plan),
        outlived=plan is not None and not plan.made_by and _is_outlived(app, run),
        unbacked=plan is not None and not plan.made_by and _is_unbacked(app, run),
        keeps=any(a.former for a in noted(app.catalogue, run)),
        older=_older(app, run, evidence) if evidence.rta_s is None else "",
    )


def _older(app: App, run: Run, evidence: Evidence) -> str:
    """Return the next older restore point, if the data of the one that was restored is at fault;
    empty if it is not, or there is no other."""
    at_fault = any(
        c.verdict is CheckVerdict.FAILED and c.expected == RESTORES and c.looked_at_data
        for c in evidence.checks
    )
    points = app.catalogue.points.of_plan(run.plan) if at_fault else []
    restored = next((p for p in points if p.id == run.detail.point), None)
    tried = app.catalogue.evidence.unrestorable(run.plan)
    older = newest_complete(
        [
            p
            for p in points
            if restored is not None and p.data_time < restored.data_time and p.id not in tried
        ]
    )
    return older.id if older is not None else ""


def _started(app: App, run: Run, plan: Plan | None) -> tuple[str, ...]:
    """Return the steps of the runbook that have started a service."""
    starting = {s.name for s in plan.runbook if s.starts} if plan is not None else set()
    records = app.catalogue.steps.of_run(run.id)
    return tuple(r.name for r in records if r.name in starting and r.state is StepState.SUCCEEDED)


def _is_outlived(app: App, run: Run) -> bool:
    """Return whether the newest complete point has later data than the one that was restored over
    production, from before the recovery."""
    began, over = run.started_at, RecoveryRequest.of_run(run).over_production
    newest = newest_complete(app.catalogue.points.of_plan(run.plan))
    if newest is None or began is None or not over or run.detail.point is None:
        return False
    with suppress(NoRestorePoint, UsageError):
        restored = app.catalogue.points.get(run.plan, run.detail.point)
        return restored.data_time < newest.data_time <= began
    return False


def _is_unbacked(app: App, run: Run) -> bool:
    """Return whether no complete point is from after the recovery over production."""
    if run.started_at is None or not RecoveryRequest.of_run(run).over_production:
        return False
    newest = newest_complete(app.catalogue.points.of_plan(run.plan))
    return newest is None or newest.data_time <= run.started_at


def _not_started(app: App, run: Run, plan: Plan | None) -> tuple[str, ...]:
    """Return the units that steps of the runbook could not start."""
    units = {s.name: units_of(s.effect.up) for s in (plan.runbook if plan is not None else ())}
    failed = [r for r in app.catalogue.steps.of_run(run.id) if r.state is StepState.FAILED]
    return tuple(unit for r in failed for unit in units.get(r.name, ()))


def _place(place: RestoredPlace) -> Document:
    return {
        "component": place.component,
        "kind": place.kind,
        "places": [text_of(p) for p in place.places],
        "address": text_of(place.address),
        "values": {k: text_of(str(v)) for k, v in place.values.items()},
    }


def _units_started(plan: Plan | None, steps: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the units of the steps that have started a service."""
    effects = {s.name: s.effect for s in (plan.runbook if plan is not None else ())}
    return {step: units_of(effects[step].up) for step in steps}


def usage_document(usage: Usage, started: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """`seen_after` has the steps that had started services when drd looked."""
    return {
        "component": usage.component,
        "what": text_of(usage.what),
        "by": [text_of(b) for b in usage.by],
        "units": list(usage.units),
        "holds": "former" if usage.former else "recovered",
        "started_by": list(usage.started_by(started)),
        "seen_after": list(started) if not usage.former else [],
    }


def task_document(task: Task) -> Document:
    return {
        "code": task.code,
        "component": task.component,
        "text": text_of(task.text),
        "command": text_of(task.command),
    }
