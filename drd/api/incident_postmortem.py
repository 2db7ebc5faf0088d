"""The post-mortem of an incident, from its record, the drills before it, and the plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from drd.api.action_documents import action_document
from drd.api.incident_scope import affected_of
from drd.api.postmortem_page import about, as_html, as_markdown
from drd.api.values import Document, text_of, time_of
from drd.bootstrap import App
from drd.bootstrap.duties import duty_table
from drd.config.regimes import regimes_of
from drd.config.zones import local_zone
from drd.errors import DrdError
from drd.flows.restore.losses import loss_of
from drd.model.incidents.doubts import altered, doubts, unread
from drd.model.incidents.durations import durations
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import investigation
from drd.model.incidents.lessons import went_badly, went_well
from drd.model.incidents.message_fold import messages
from drd.model.incidents.review import (
    Contained,
    Goals,
    Prediction,
    Recovery,
    Review,
    drill_before,
    playbook_runs,
    promises,
    recoveries,
    step_differences,
    unfinished,
)
from drd.model.incidents.timeline import timeline
from drd.model.losses import Loss
from drd.model.marked_parts import texts
from drd.model.plan import Plan
from drd.model.playbook_conditions import measures
from drd.model.records import Entry
from drd.ports import Catalogue

_DRILLS = 50
"""How many of the newest evidence records drd searches for the drill before a recovery."""


def reviewed(
    app: App, incident: Incident, entries: Sequence[Entry], plans: Mapping[str, Plan]
) -> Review:
    """Return what these entries of the incident show, with the objectives of these plans."""
    now, zone = app.clock.now(), local_zone(app.settings.timezone)
    restored = recoveries(entries)
    review = Review(
        incident,
        now,
        zone,
        lines=timeline(incident, entries, zone),
        affected=affected_of(incident, plans),
        found=investigation(entries),
        messages=messages(incident.number, entries),
        recoveries=restored,
        unfinished=unfinished(entries),
        goals={
            name: Goals(plan.objectives.rpo_s, plan.objectives.rto_s)
            for name, plan in plans.items()
        },
        predictions={one.run: _prediction(app.catalogue, one) for one in restored},
        losses=_losses(app.catalogue, restored, plans),
        promises=promises(incident, entries, now),
        contained=[
            Contained(run, name, tuple(measures(app.catalogue.steps.of_run(run))))
            for run, name in playbook_runs(entries).items()
        ],
        warnings=tuple(doubts(incident, altered(entries))),
    )
    try:
        table = duty_table(app, incident.number, regimes_of(app.settings), entries)
        if told := unread(table.incident):
            return replace(review, clocks_unknown=told)
        return replace(review, clocks=table.states(now))
    except DrdError as error:
        return replace(review, clocks_unknown=error.line)


def _losses(
    catalogue: Catalogue, found: Sequence[Recovery], plans: Mapping[str, Plan]
) -> dict[str, Loss]:
    """Return, by run, the loss of the component that is worst against its own RPO."""
    losses: dict[str, Loss] = {}
    for one in found:
        plan = plans.get(one.plan)
        if plan is not None and plan.own_objectives:
            loss = loss_of(catalogue, plan, one.run, one.loss_s, one.data_time)
            if loss is not None:
                losses[one.run] = loss
    return losses


def _prediction(catalogue: Catalogue, one: Recovery) -> Prediction:
    drill = drill_before(catalogue.evidence.newest(one.plan, limit=_DRILLS), one.started_at)
    drilled = catalogue.steps.of_run(drill.run) if drill is not None else []
    left = dict(drill.not_rehearsed) if drill is not None else {}
    differences = step_differences(catalogue.steps.of_run(one.run), drilled, left)
    return Prediction(drill, tuple(differences))


def postmortem_document(review: Review) -> Document:
    """Return the post-mortem: both texts, and the facts in them. Durations are in seconds, null if
    not measured."""
    incident, page = review.incident, as_markdown(review)
    return {
        "incident": incident.number,
        "title": text_of(incident.title),
        "restricted": incident.restricted,
        "at": time_of(review.now),
        "entry": incident.last,
        "took_s": dict(durations(incident)),
        "recoveries": [_recovery(review, one) for one in review.recoveries],
        "unfinished": list(review.unfinished),
        "affected": [one.to_json() for one in review.affected],
        "updates": [
            {
                "audience": text_of(one.audience),
                "due_at": time_of(one.due),
                "sent_at": time_of(one.told_at),
                "in_time": one.is_kept,
            }
            for one in review.promises
        ],
        "actions": [action_document(incident.number, item) for item in incident.actions],
        "well": [text_of(one) for one in went_well(review)],
        "badly": [text_of(one) for one in went_badly(review)],
        "starred": [line.entry for line in review.lines if line.starred],
        "warnings": list(review.warnings),
        "parts": list(texts(page, about(incident.number))),
        "markdown": page,
        "html": as_html(review),
    }


def _recovery(review: Review, one: Recovery) -> Document:
    goals, prediction = review.goals.get(one.plan), review.predictions.get(one.run)
    drill = prediction.drill if prediction is not None else None
    loss = review.loss_of(one)
    return {
        "run": one.run,
        "plan": one.plan,
        "state": one.state or None,
        "result": one.result or None,
        "taken_back": one.back or None,
        "partial": one.partial,
        "point": one.point or None,
        "rpa_s": one.loss_s,
        "judged": not one.on_purpose,
        "rpo_s": goals.rpo_s if goals is not None else None,
        "loss": loss._asdict() if loss is not None else None,
        "rta_s": one.took_s,
        "rto_s": goals.rto_s if goals is not None else None,
        "drill": {
            "run": drill.run,
            "finished_at": time_of(drill.finished_at),
            "result": str(drill.result),
            "rta_s": drill.rta_s,
        }
        if drill is not None
        else None,
        "differences": [text_of(d) for d in prediction.differences] if prediction else [],
    }
