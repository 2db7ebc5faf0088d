"""The document of `drd incident clean-points`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from drd.api.requests import PlanName, Request
from drd.api.values import Document, text_of, time_of
from drd.bootstrap import App
from drd.errors import UnknownPlan, UsageError
from drd.flows.restore.clean_points import CleanPoints, clean_points, described
from drd.model.clean_points import Candidate, Described
from drd.model.incidents.doubts import altered, doubts
from drd.model.incidents.first_sign import FirstSign, first_sign, remarks
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import investigation
from drd.model.records import Entry
from drd.model.snapshot import made_by
from drd.model.text import counted, some


class CleanPointsQuery(Request):
    plan: PlanName | None = Field(
        None, description="Show only this plan (default: all plans in the scope)."
    )
    all: bool = Field(
        False,
        description="If true, describe all restore points; otherwise those nearest to the first "
        "sign.",
    )


def clean_points_document(
    app: App,
    incident: Incident,
    entries: Sequence[Entry],
    *,
    plan: str | None = None,
    everything: bool = False,
) -> Document:
    """Return for each plan in the scope its restore points and the choice. `entries` are the
    entries of the incident that the caller may read. Raises UsageError for a plan that is not in
    the scope, and for an incident without any time."""
    sign = sign_of(incident, entries)
    hidden = sum(1 for entry in entries if entry.body is None)
    return {
        "incident": incident.number,
        "title": text_of(incident.title),
        "first_sign": {"at": time_of(sign.at), "what": sign.what, "entry": sign.entry},
        "plans": [_plan(app, name, sign, everything=everything) for name in _asked(incident, plan)],
        "remarks": remarks(incident, sign),
        "warnings": [*doubts(incident, altered(entries)), *_unread(hidden)],
    }


def sign_of(incident: Incident, entries: Sequence[Entry]) -> FirstSign:
    """Return the first sign of an incident. Raises UsageError if its entries have no time at all:
    they were redacted."""
    sign = first_sign(incident, investigation(entries))
    if sign is None:
        raise UsageError(
            f"drd does not know the first sign of incident {incident.number}: its entries do not "
            "contain a time",
            hint=f"record when it began: drd incident anchor {incident.number} occurred TIME",
        )
    return sign


def _unread(hidden: int) -> list[str]:
    if not hidden:
        return []
    return [
        (
            f"drd did not use {counted(hidden, 'entry', 'entries')} that you may not read "
            "(restricted or redacted), so there can be an earlier sign. If entries are "
            "restricted, ask somebody with a role in the incident to run this command"
        )
    ]


def _asked(incident: Incident, plan: str | None) -> tuple[str, ...]:
    if plan is None:
        return incident.plans
    if plan not in incident.plans:
        raise UsageError(
            f"{plan} is not in the scope of incident {incident.number}",
            hint=f"in its scope: {some(incident.plans, 10) or 'no plan'}. To add a plan: drd "
            f"incident scope {incident.number} --add {plan}",
        )
    return (plan,)


def _plan(app: App, name: str, sign: FirstSign, *, everything: bool) -> Document:
    now = app.clock.now()
    try:
        name = app.plans.known_name(name)
    except UnknownPlan as unknown:
        return {
            "plan": name,
            "choice": None,
            "why": unknown.message,
            "remedy": unknown.hint,
            "made_by": None,
            "points": [],
            "left_out": 0,
        }
    clean = clean_points(app.catalogue, name, sign.at, now)
    told = described(app.catalogue, clean, now, everything=everything)
    return {
        "plan": name,
        "choice": clean.choice.point.id if clean.choice is not None else None,
        "why": text_of(clean.why),
        "remedy": text_of(clean.remedy or None),
        "made_by": next((made_by(one.point.id) for one in clean.candidates), "") or None,
        "points": [_point(one, clean) for one in told],
        "left_out": len(clean.candidates) - len(told),
    }


def _point(one: Described, found: CleanPoints) -> Document:
    point = one.of.point
    return {
        "point": point.id,
        "data_time": time_of(point.data_time),
        "data_until": time_of(one.of.until),
        "before_first_sign": one.of.is_before(found.sign),
        "chosen": found.choice is not None and point.id == found.choice.point.id,
        "complete": point.complete,
        "doubts": [text_of(doubt) for doubt in one.of.doubts],
        "drill": _drill(one.of),
        "loss_s": one.loss_s,
        "loss_rows": [
            {"component": loss.component, "rows": loss.rows, "counted": loss.counted}
            for loss in one.rows
        ],
        "rows_unknown": list(one.uncounted),
        "compared_with": one.compared,
        "unusual": [text_of(text) for text in one.changes.unusual],
        "not_compared": [text_of(text) for text in one.changes.unknown],
    }


def _drill(one: Candidate) -> Document | None:
    drill = one.drill
    if drill is None:
        return None
    result = drill.result if drill.restored else "refuted"
    return {"run": drill.run, "at": time_of(drill.at), "result": result}
