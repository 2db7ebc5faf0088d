"""The documents of the verbs that read: `--json` and the socket give the same documents, and the
command line makes its text from them. The sender adds `schema`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from drd.api.evidence_document import evidence_document
from drd.api.log_documents import logs
from drd.api.recoveries import aftermath, as_they_are
from drd.api.values import Document, consistency_document, error_document, text_of, time_of
from drd.bootstrap import App
from drd.catalogue.summary import read_status
from drd.errors import Refused, UnknownPlan
from drd.flows.repository.renamed import left_behind
from drd.flows.repository.signatures import signatures_of
from drd.flows.runbook.permissions import compare_with_starter
from drd.flows.schedules import Agenda
from drd.flows.state.kept_notes import noted
from drd.flows.state.restored_points import restored_points
from drd.flows.status.document import status_json
from drd.flows.status.overview import collect
from drd.model.adopted import copy_name
from drd.model.copy_names import READ, UNREAD, is_to_read, reading
from drd.model.due import Due
from drd.model.holds import Hold
from drd.model.run import Decision, Run, RunKind, RunState, StepState
from drd.model.schedule import Schedule
from drd.model.snapshot import RestorePoint
from drd.model.step_record import StepRecord
from drd.model.step_results import PersonStepResult
from drd.model.units import to_rfc3339
from drd.plan_files import plan_files
from drd.ports import Aside
from drd.ports.health import KnownRepository
from drd.registry import how_made

# --- the one screen ---------------------------------------------------------------------------


def status(app: App, plan: str | None) -> Document:
    """`drd status --json`."""
    settings = app.settings
    return status_json(
        collect(
            lambda: read_status(settings.state_url, plan, settings.state_password),
            plan_files(settings.plans_dir),
            app.clock.now(),
            plan=plan,
        )
    )


# --- runs -------------------------------------------------------------------------------------


def runs(
    app: App, plan: str | None, limit: int, readable: Callable[[Run], Run] = lambda run: run
) -> Document:
    """`drd runs`; `readable` returns what the caller may read of a run."""
    name = app.plans.known_name(plan) if plan else None
    newest = app.catalogue.runs.newest(name, limit=limit)
    return {"runs": [run_document(readable(r)) for r in as_they_are(app, newest)]}


def run_document(run: Run) -> Document:
    """One run, as a row of the list of runs."""
    return {
        "run": run.id,
        "plan": run.plan,
        "kind": str(run.kind),
        "repository": run.subject or None,
        "trigger": run.trigger,
        "actor": run.actor.to_json() if run.actor else None,
        "cancel_actor": run.cancel_actor.to_json() if run.cancel_actor else None,
        "cancel_asked_at": time_of(run.cancel_asked_at),
        "why": run.detail.why,
        "state": str(run.state),
        "due_at": time_of(run.due_at),
        "started_at": time_of(run.started_at),
        "finished_at": time_of(run.finished_at),
        "deadline_at": time_of(deadline(run)),
        "duration_s": run.duration_s,
        **error_document(run.error, run.detail.remedy),
        "error_code": run.error_code or None,
    }


def deadline(run: Run) -> datetime | None:
    """Return the time by which the run must end; None if it has no limit, and while it waits."""
    timeout_s = run.detail.timeout_s
    if timeout_s is None or run.started_at is None:
        return None
    return run.started_at + timedelta(seconds=timeout_s)


def run(app: App, prefix: str) -> Document:
    """`drd run show`."""
    [run] = as_they_are(app, [app.catalogue.runs.get(prefix)])
    said = app.catalogue.decisions.of_run(run.id)
    measured = run.kind in (RunKind.DRILL, RunKind.RECOVERY)
    evidence = app.catalogue.evidence.of_run(run.id) if measured else None
    return {
        **run_document(run),
        "token": run.token,
        "detail": run.detail.to_json(),
        "copy": copy_of(app, getattr(run.detail, "point", None)),
        "aside": asides(noted(app.catalogue, run)),
        "phases": dict(evidence.phases) if evidence is not None else {},
        "evidence": evidence_document(evidence) if evidence is not None else None,
        **aftermath(app, run, evidence),
        "steps": [_step(s, over=run.state.final) for s in app.catalogue.steps.of_run(run.id)],
        "decisions": [_decision(run, said, d) for d in said],
    }


def copy_of(app: App, point: str | None) -> str | None:
    """Return the name that another tool gives to the copy of a point; None if drd made the copy."""
    return text_of(app.catalogue.points.copy_name(point) or None) if point else None


def asides(found: Sequence[Aside]) -> list[Document]:
    """Kept copies; sizes in bytes."""
    return [
        {
            "component": a.component,
            "place": a.place,
            "kept": a.kept,
            "size_bytes": a.bytes,
            "holds": "former" if a.former else "recovered",
        }
        for a in found
    ]


def _step(step: StepRecord, *, over: bool) -> Document:
    """`over`: no process executes the run, so a step that was running was interrupted."""
    result = step.result
    cut_off = over and step.state is StepState.RUNNING
    by = result if isinstance(result, PersonStepResult) else PersonStepResult()
    return {
        "name": step.name,
        "kind": step.kind,
        "subject": step.subject or None,
        "state": str(RunState.INTERRUPTED if cut_off else step.state),
        "attempt": step.attempt,
        "started_at": to_rfc3339(step.started_at),
        "finished_at": time_of(step.finished_at),
        "waiting_for": text_of(step.waiting_for),
        "wanted": text_of(result.wanted),
        "command": result.command,
        **error_document(step.error, step.remedy),
        "reason": text_of(result.reason) if result.reason else None,
        "by": by.by,
        "comment": by.comment,
        "self_approved": by.self_approved,
    }


def _decision(run: Run, all_said: Sequence[Decision], said: Decision) -> Document:
    return {
        "step": said.step or None,
        "action": said.action,
        "by": said.by,
        "comment": text_of(said.comment),
        "attempt": said.attempt,
        "at": to_rfc3339(said.at),
        "actor": said.actor.to_json() if said.actor is not None else None,
        "started_the_run": str(compare_with_starter(run, all_said, said.actor)),
    }


# --- restore points ---------------------------------------------------------------------------


def points(app: App, plan: str) -> Document:
    """`drd points`: the restore points. A point is `gone` if, as far as drd knows, no repository
    has a copy of it any more; `damaged` names repositories that cannot restore it completely,
    `torn` the repositories from which others removed snapshots of it; `restored` is the recovery
    whose restored data it holds, `unrestorable` the drill that could not restore it. If the plan
    has no point, `left` has the number of points of each plan that has no file here."""
    name = app.plans.known_name(plan)
    points = app.catalogue.points.of_plan(name, elsewhere=True)
    base = app.catalogue.origins.kit_base(name)
    known = set(app.catalogue.origins.seals(name)) if base is not None else {p.id for p in points}
    places = app.catalogue.health.of_plan(name)
    lost = {k.repository: k.lost for k in places if k.lost is not None}
    restored = restored_points(app.catalogue, name, points)
    tried = app.catalogue.evidence.unrestorable(name)
    now, signed = app.clock.now(), signatures_of(app.catalogue, name)
    holds = [h for h in app.catalogue.keeping.holds(name) if h.is_active(now)]
    shown = [
        {
            **_point(p),
            "after_kit": p.id not in known and not signed.is_signed(p),
            "signature": str(signed.trust(p)) if signed.judges else None,
            "doubt": text_of(signed.why_not(p, points)) if signed.judges else None,
            "damaged": _damaged(p, places),
            "torn": [k.repository for k in places if p.id in k.missing],
            "gone": bool(p.repositories) and not p.repositories.keys() - lost.keys(),
            "restored": asdict(restored[p.id]) if p.id in restored else None,
            "unrestorable": _drill(*tried[p.id]) if p.id in tried else None,
            "holds": [hold_document(h) for h in holds if h.point == p.id],
        }
        for p in points
    ]
    return {
        "plan": name,
        "points": shown,
        "lost": lost,
        "vanished": _vanished(app, name),
        "left": {} if points else left_behind(app.catalogue, name),
        "logs": logs(app, name, {c.component for p in points for c in p.components}),
    }


def _vanished(app: App, plan: str) -> list[Document]:
    """Return the complete points that others removed, and that nobody has given up yet."""
    keeping = app.catalogue.keeping
    given_up = {g.point for g in keeping.given_up(plan) if not g.repository}
    gone = set(keeping.vanished(plan)) - given_up
    points = app.catalogue.points.of_plan(plan, kept_only=False) if gone else []
    return [
        {**_point(p), "noticed_at": time_of(p.forgotten_at)}
        for p in points
        if p.id in gone and p.complete
    ]


def _damaged(point: RestorePoint, places: Iterable[KnownRepository]) -> list[str]:
    return [
        k.repository
        for k in places
        if k.repository in point.repositories
        and k.damage is not None
        and (k.affected is None or point.id in k.affected)
    ]


def _drill(run: str, at: datetime) -> Document:
    return {"run": run, "at": to_rfc3339(at)}


def hold_document(hold: Hold) -> Document:
    """Who holds a point, why and until when."""
    return {
        "point": hold.point,
        "plan": hold.plan,
        "reason": text_of(hold.reason),
        "held_at": to_rfc3339(hold.held_at),
        "until": time_of(hold.until),
        "by": hold.by.to_json() if hold.by is not None else None,
    }


def _point(point: RestorePoint) -> Document:
    return {
        "point": point.id,
        "copy": text_of(name) if (name := copy_name(point)) != point.id else None,
        "data_time": to_rfc3339(point.data_time),
        "available_at": to_rfc3339(point.available_at),
        "complete": point.complete,
        "consistency": consistency_document(point.plan, point.consistency),
        "size_bytes": point.size_bytes,
        "repositories": sorted(point.repositories),
        "elsewhere": dict(point.elsewhere),
        "proven_by": point.proven_by,
        "components": [
            {
                "component": c.component,
                "kind": c.kind,
                "state": c.state,
                "snapshot": c.snapshot,
                "data_time": time_of(c.data_time),
                "bytes": c.bytes,
                "made": how_made(c),
                "unread": UNREAD in c.facts and reading(c.facts) != READ,
                "to_read": is_to_read(c.facts),
                **error_document(c.error, c.remedy),
            }
            for c in point.components
        ],
    }


# --- what comes next --------------------------------------------------------------------------


def schedule(app: App, plan: str | None) -> Document:
    """`drd schedule`: the next starts in order; `unknown` are plans whose schedule the daemon has
    not worked out yet, `gone` includes plans whose files are gone."""
    now = app.clock.now()
    name = app.plans.known_name(plan) if plan else None
    queue = app.catalogue.queue
    agenda = Agenda(queue)
    unknown, gone = [], {}
    for row in queue.plan_rows(None if name is None else [name]):
        if row.schedule is None:
            unknown.append(row.name)
        elif row.file and not os.path.exists(row.file):  # noqa: PTH110 (thousands of plans)
            gone[row.name] = row.file
        else:
            agenda.set_plan(row, Schedule.from_json(row.schedule), now)
    agenda.refresh(now, name)
    items = [_due(d, agenda.pause_of(d.job)) for d in agenda.items()]
    return {"items": items, "unknown": unknown, "gone": gone}


def _due(due: Due, pause: str | None) -> Document:
    """A job whose last run was paused says so: the next run checks again."""
    return {
        "plan": due.job.plan,
        "kind": str(due.job.kind),
        "repository": (due.job.subject or None) if due.job.kind != "kit" else None,
        "due_at": to_rfc3339(due.at),
        "deadline": to_rfc3339(due.deadline),
        "expected_s": due.expected_s,
        "trigger": due.trigger,
        "why": text_of(due.why if pause is None else f"{pause}; {due.why}"),
    }


# --- plans ------------------------------------------------------------------------------------


def plans(app: App) -> Document:
    """Names and hashes of the plans that are known."""
    rows = app.catalogue.queue.plan_rows()
    return {"plans": [{"plan": r.name, "digest": r.digest, "file": r.file} for r in rows]}


def require_plan(app: App, name: str) -> str:
    """Return the plan, if the catalogue knows it: the disk is not searched. Raises UnknownPlan."""
    if name not in app.catalogue.plans.names():
        raise UnknownPlan(
            f'there is no plan "{name}"', hint="run drd status, which lists the plans."
        )
    return name


_RESTRICTED = frozenset({"env", "headers", "body"})
"""Keys of steps, checks and controls in which people put secrets, against the advice."""


def plan(app: App, name: str, *, without: Collection[str] = ()) -> Document:
    """`drd plan show --json` of the plan in force. Raises Refused if it contains something that
    only root may see, other than in the top-level keys `without`, which the caller does not
    show."""
    plan = app.plans.in_force(require_plan(app, name))
    shown = {key: value for key, value in plan.resolved.items() if key not in without}
    for section, value in shown.items():
        if (where := _restricted(value)) is not None:
            raise Refused(
                f"plan {name} contains {where} under `{section}`, which only root may see",
                hint=f"show the plan as root: sudo drd plan show {name}. For a blind drill: "
                f"sudo drd drill {name} --scenario operator --blind. drd also refuses a reference "
                "{env: NAME}, because some people write the secret itself there. It shows {file: "
                "PATH} and {credential: NAME}",
            )
    document = {"plan": plan.name, "file": plan.file, "digest": plan.digest, "proof": plan.proof}
    return {**document, "resolved": shown}


def _restricted(value: Any, key: str = "") -> str | None:
    """Return the key that holds values that may be secrets; None if there is none."""
    if key in _RESTRICTED and value:
        return f'"{key}"'
    if isinstance(value, str) and _WITH_PASSWORD.search(value):
        return "a password in a URL"
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, (list, tuple)):
        inner = (("", item) for item in value)
    return next(
        (restricted for k, v in inner if (restricted := _restricted(v, k)) is not None), None
    )


_WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@|\bpassword=")
