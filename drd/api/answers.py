"""The action and the answer for each endpoint, once the caller is known and has the right."""

from __future__ import annotations

from drd.api import (
    alert_documents,
    documents,
    evidence_documents,
    findings,
    outcomes,
    requests,
)
from drd.api.acknowledging import acknowledge, known_person
from drd.api.exercise_answers import EXERCISE_ANSWERS
from drd.api.incident_access import readable_run, require_run_access
from drd.api.incident_answers import INCIDENT_ANSWERS
from drd.api.incident_documents import incident_document
from drd.api.requested import AdmittedRequest, AnswerFunction
from drd.api.requests import Request
from drd.api.rights import ENDPOINTS, Right
from drd.api.training_answers import TRAINING_ANSWERS
from drd.api.values import Document
from drd.errors import AlreadyRunning, UsageError
from drd.flows.component_names import require_components
from drd.flows.incidents.opening import report
from drd.flows.runbook.permissions import Deciding, RecordedDecision
from drd.kit.members_page import members_page
from drd.model.incidents.entries import Author
from drd.model.plan import OPERATOR
from drd.model.run import Run, RunKind, RunState
from drd.model.run_details import AskedOptions, RunDetail
from drd.model.units import to_rfc3339


def _whoami(asked: AdmittedRequest) -> Document:
    caller = asked.caller
    actor = caller.actor()
    return {
        "actor": actor.to_json(),
        "person": caller.person or None,
        "roles": list(caller.roles) if caller.roles is not None else None,
        "groups": {"read": caller.reads, "operate": caller.operates},
        "may": [e.name for e in ENDPOINTS if caller.may(e.right)],
    }


def _status(asked: AdmittedRequest) -> Document:
    query = asked.of(requests.OptionalPlanQuery)
    return documents.status(asked.app, _known_plan(asked, query.plan))


def _runs(asked: AdmittedRequest) -> Document:
    query = asked.of(requests.RunsQuery)
    app = asked.app
    return documents.runs(
        app,
        _known_plan(asked, query.plan),
        query.limit,
        lambda run: readable_run(app.catalogue, asked.caller, run, app.settings),
    )


def _readable(asked: AdmittedRequest) -> Run:
    """Return the run in the path. Raises Refused if the caller may not read it."""
    app = asked.app
    run = app.catalogue.runs.get(asked.names["run"])
    require_run_access(app.catalogue, asked.caller, run, app.settings)
    return run


def _run(asked: AdmittedRequest) -> Document:
    return documents.run(asked.app, _readable(asked).id)


def _outcome(asked: AdmittedRequest) -> Document:
    return outcomes.outcome(asked.app, _readable(asked).id)


def _cancel(asked: AdmittedRequest) -> Document:
    app = asked.app
    run = _readable(asked).id
    cancelled = app.catalogue.queue.ask_cancel(run, app.clock.now(), asked.caller.actor())
    asked.wake()
    return documents.run_document(cancelled)


def _approve(asked: AdmittedRequest) -> Document:
    return _agreed(asked, "approve")


def _done(asked: AdmittedRequest) -> Document:
    return _agreed(asked, "done")


def _agreed(asked: AdmittedRequest, action: str) -> Document:
    body, settings = asked.of(requests.AnswerBody), asked.app.settings
    caller = asked.caller
    name = caller.name(body.by, settings)
    people = caller.people(body.by, settings)
    deciding = _deciding(asked, body.by)
    return said_document(deciding.agree(asked.names["step"], action, name, body.comment, people))


def _retry(asked: AdmittedRequest) -> Document:
    body = asked.of(requests.RetryBody)
    name = asked.caller.name(body.by, asked.app.settings)
    return said_document(_deciding(asked, body.by).retry(asked.names["step"], name))


def _skip(asked: AdmittedRequest) -> Document:
    body = asked.of(requests.SkipBody)
    if not body.reason.strip():
        raise UsageError("the reason is empty", hint="write a reason: drd stores it with the run.")
    name = asked.caller.name(body.by, asked.app.settings)
    return said_document(_deciding(asked, body.by).skip(asked.names["step"], name, body.reason))


def _deciding(asked: AdmittedRequest, by: str | None) -> Deciding:
    app = asked.app
    run = _readable(asked)
    plan = app.runbook_of(run)
    return Deciding(app.catalogue, plan, run, app.clock.now(), asked.caller.actor(by))


def said_document(said: RecordedDecision) -> Document:
    """Return the document of a decision about a step, and of what happens next."""
    decision = said.decision
    return {
        "run": said.run.id,
        "plan": said.run.plan,
        "kind": str(said.run.kind),
        "step": decision.step,
        "action": decision.action,
        "by": decision.by,
        "comment": decision.comment,
        "at": to_rfc3339(decision.at),
        "actor": decision.actor.to_json() if decision.actor is not None else None,
        "started_the_run": str(said.own),
        "alive": said.alive,
    }


def _plans(asked: AdmittedRequest) -> Document:
    return documents.plans(asked.app)


def _plan(asked: AdmittedRequest) -> Document:
    return documents.plan(asked.app, asked.names["plan"])


def _runbook(asked: AdmittedRequest) -> Document:
    app, name = asked.app, asked.names["plan"]
    # Refuses a plan that contains what only root may see; the page does not show the controls.
    documents.plan(app, name, without=("controls",))
    page = members_page(app.plans.in_force(name), app.settings, app.catalogue, app.clock.now())
    return {"plan": name, "markdown": page}


def _points(asked: AdmittedRequest) -> Document:
    return documents.points(asked.app, documents.require_plan(asked.app, asked.names["plan"]))


def _evidence(asked: AdmittedRequest) -> Document:
    return outcomes.evidence(asked.app, asked.names["plan"])


def _evidence_list(asked: AdmittedRequest) -> Document:
    query = asked.of(requests.RunsQuery)
    return evidence_documents.evidence_list(asked.app, _known_plan(asked, query.plan), query.limit)


def _evidence_record(asked: AdmittedRequest) -> Document:
    return evidence_documents.evidence_record(asked.app, asked.names["evidence"])


def _backup(asked: AdmittedRequest) -> Document:
    body = asked.of(requests.BackupBody)
    return _enqueued(asked, RunKind.BACKUP, body)


def _drill(asked: AdmittedRequest) -> Document:
    body = asked.of(requests.DrillBody)
    return _enqueued(asked, RunKind.DRILL, body)


def _enqueued(asked: AdmittedRequest, kind: RunKind, body: Request) -> Document:
    """Return a new run of the plan that waits for the loop, or the one that is under way already.

    Raises AlreadyRunning when that one has other options."""
    app, caller = asked.app, asked.caller
    plan = documents.require_plan(app, asked.names["plan"])
    given = {k: v for k, v in body.model_dump().items() if v}
    by = given.pop("by", None)
    options = AskedOptions.from_json(given)
    subject = OPERATOR if options.scenario == OPERATOR else ""
    if options.blind and not subject:
        raise UsageError(
            f"`blind` is allowed only with the scenario {OPERATOR}", hint="leave out `blind`."
        )
    if by is not None and not subject:
        raise UsageError(
            f"`by` is allowed only with the scenario {OPERATOR}", hint="leave out `by`."
        )
    known = app.plans.in_force(plan)
    require_components(plan, known.components, options.components)
    queue = app.catalogue.queue
    for run in queue.open_runs():
        if (run.plan, run.kind, run.subject) == (plan, kind, subject):
            return _joined(run, options)
    [row] = queue.plan_rows([plan])
    run = queue.enqueue(
        Run(
            id="",
            plan=plan,
            kind=kind,
            trigger="manual",
            state=RunState.PENDING,
            started_at=None,
            plan_digest=row.digest,
            subject=subject,
            detail=RunDetail(why=f"asked for by {caller.person or caller.user}", asked=options),
            actor=caller.actor(by),
        )
    )
    asked.wake()
    return {**documents.run_document(run), "joined": False}


def _joined(run: Run, options: AskedOptions) -> Document:
    if options != AskedOptions() and run.detail.asked != options:
        raise AlreadyRunning(
            f"a {run.kind} of {run.plan} is already running: run {run.id}",
            run=run.id,
            hint=f"wait until this run ends (drd run show {run.id} --follow), then run the "
            "command again.",
        )
    return {**documents.run_document(run), "joined": True}


def _schedule(asked: AdmittedRequest) -> Document:
    query = asked.of(requests.OptionalPlanQuery)
    return documents.schedule(asked.app, _known_plan(asked, query.plan))


def _alerts(asked: AdmittedRequest) -> Document:
    query = asked.of(requests.AlertsQuery)
    return alert_documents.alerts(asked.app, _known_plan(asked, query.plan), all_of_them=query.all)


def _ack(asked: AdmittedRequest) -> Document:
    body, app, caller = asked.of(requests.AckBody), asked.app, asked.caller
    name = caller.name(body.by, app.settings)
    if body.by is not None and not caller.person:
        known_person(name, app.settings.people)
    alert = acknowledge(
        app,
        asked.names["alert"],
        by=name,
        until=body.until,
        why=body.reason,
        actor=caller.actor(body.by),
    )
    asked.wake()
    return alert_documents.alert_document(alert)


def _report(asked: AdmittedRequest) -> Document:
    body, app = asked.of(requests.ReportBody), asked.app
    name = asked.caller.name(body.by, app.settings)
    author = Author(name, app.clock.now(), asked.caller.actor(body.by))
    plans = [documents.require_plan(app, plan) for plan in body.plans]
    most = None if asked.caller.may(Right.OPERATE) else app.settings.intake.open_at_most
    made = report(app.catalogue, author, body.text, app.settings.triage_s, plans, most=most)
    return incident_document(made)


def _readiness(asked: AdmittedRequest) -> Document:
    query = asked.of(requests.OptionalPlanQuery)
    return findings.readiness(asked.app, _known_plan(asked, query.plan))


def _known_plan(asked: AdmittedRequest, plan: str | None) -> str | None:
    return documents.require_plan(asked.app, plan) if plan is not None else None


ANSWERS: dict[str, AnswerFunction] = {
    "whoami": _whoami,
    "status": _status,
    "runs": _runs,
    "run": _run,
    "outcome": _outcome,
    "cancel": _cancel,
    "approve": _approve,
    "done": _done,
    "retry": _retry,
    "skip": _skip,
    "plans": _plans,
    "plan": _plan,
    "runbook": _runbook,
    "points": _points,
    "evidence": _evidence,
    "evidence-list": _evidence_list,
    "evidence-record": _evidence_record,
    "backup": _backup,
    "drill": _drill,
    "schedule": _schedule,
    "alerts": _alerts,
    "ack": _ack,
    "report": _report,
    "readiness": _readiness,
    **INCIDENT_ANSWERS,
    **TRAINING_ANSWERS,
    **EXERCISE_ANSWERS,
}
"""The functions that answer, by the name of the endpoint."""
