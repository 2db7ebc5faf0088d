"""Action items of incidents: people add and finish them; drd closes an item when its proof has
passed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from drd import log
from drd.errors import DrdError, UsageError
from drd.flows.incidents.merged import hides
from drd.flows.incidents.texts import name_of, reason_of, text_of
from drd.flows.incidents.writing import Desk
from drd.model.incidents import entries as kinds
from drd.model.incidents.actions import ActionAct, ActionItem, Proof, VerifiedBy
from drd.model.incidents.entries import Author, draft, number_of
from drd.model.incidents.incident import Incident
from drd.model.records import Draft
from drd.model.rehearsals import executed_all
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Evidence, Run, RunKind, RunState
from drd.model.run_details import ReadinessDetail
from drd.model.text import some
from drd.ports import Catalogue
from drd.process import rights

_Place = tuple[str, str]

_log = log.get()
_MOST = 100_000
_NEWEST = 50
"""How many of the newest runs of a plan drd searches for a proof. drd searches after every run."""


def add(
    desk: Desk, text: str, owner: str, due: datetime, verified_by: VerifiedBy | None
) -> Incident:
    """Add an action item. Raises UsageError."""
    body = {
        "act": ActionAct.ADD,
        "text": text_of(text),
        "owner": name_of(owner),
        "due": due,
        "verified_by": str(verified_by) if verified_by is not None else "",
    }
    return desk.catalogue.incidents.add(
        desk.number, lambda _: [draft(kinds.ACTION, desk.number, desk.author, body)]
    )


def finish(desk: Desk, entry: int, reason: str) -> Incident:
    """Record that an item is done, and why. Raises UsageError."""
    why = reason_of(reason)

    def drafts(incident: Incident) -> list[Draft]:
        _require_open(incident, entry)
        body = {"act": ActionAct.DONE, "action": entry, "reason": why}
        return [draft(kinds.ACTION, desk.number, desk.author, body)]

    return desk.catalogue.incidents.add(desk.number, drafts)


def _require_open(incident: Incident, entry: int) -> None:
    if entry in {item.entry for item in incident.open_actions}:
        return
    done = next((item for item in incident.actions if item.entry == entry), None)
    if done is not None:
        raise UsageError(
            f"action item {entry} of incident {incident.number} is done already",
            hint=f"to see this item: drd incident action {incident.number} list",
        )
    known = some([item.entry for item in incident.open_actions], 10) or "none"
    raise UsageError(
        f"incident {incident.number} has no action item {entry}",
        hint=f"open items: {known}. To list them: drd incident action {incident.number} list",
    )


def with_items(catalogue: Catalogue) -> list[Incident]:
    """Return the incidents that have action items, also closed ones, newest first."""
    action_entries = catalogue.records.newest(kind=kinds.ACTION, limit=_MOST)
    named = (number_of(entry.header.subject) for entry in action_entries)
    numbers = sorted({number for number in named if number is not None}, reverse=True)
    return [i for i in map(catalogue.incidents.get, numbers) if i.actions]


def settle(
    catalogue: Catalogue,
    now: datetime,
    plan: str = "",
    incidents: Sequence[Incident] | None = None,
) -> int:
    """Close the items whose proof has passed since the item was added, each by an entry that cites
    the proof: with `plan`, only items about this plan; with `incidents`, only items of these.
    Returns the number of closed items. Never fails: an item that could not be closed now is closed
    the next time. Root closes nothing on another user's state, because root must not sign what that
    user could have written."""
    if rights.acts_for() is not None:
        return 0
    try:
        settled = with_items(catalogue) if incidents is None else incidents
        return sum(_settled(catalogue, incident, now, plan) for incident in settled)
    except DrdError as error:
        _log.warning("incident.actions", error=error.message)
        return 0


def _settled(catalogue: Catalogue, incident: Incident, now: datetime, plan: str) -> int:
    closed = 0
    for item in incident.open_actions:
        wanted = item.awaits
        if wanted is None or (plan and wanted.runs_of != plan):
            continue
        cited = next(_proofs(catalogue, item, wanted), None)
        if cited is not None:
            closed += _close(catalogue, incident.number, item, cited, now)
    return closed


def _close(
    catalogue: Catalogue, number: int, item: ActionItem, cited: Mapping[str, Any], now: datetime
) -> bool:
    """Record that an item is done, unless somebody else has already recorded this."""
    closed = False

    def drafts(incident: Incident) -> Sequence[Draft]:
        nonlocal closed
        closed = item.entry in {one.entry for one in incident.open_actions}
        if not closed:
            return ()
        body = {"act": ActionAct.VERIFIED, "action": item.entry, "verified_by": item.verified_by}
        return [draft(kinds.ACTION, number, Author("", now), {**body, **cited})]

    catalogue.incidents.add(number, drafts)
    return closed


def _proofs(
    catalogue: Catalogue, item: ActionItem, wanted: VerifiedBy
) -> Iterator[Mapping[str, Any]]:
    """Yield each proof that an item is done, as the fields of its entry. Only runs that began after
    the item was added are proofs."""
    if wanted.proof in (Proof.CHECK, Proof.DRILL):
        for evidence in catalogue.evidence.newest(wanted.plan, limit=_NEWEST):
            if evidence.started_at > item.at and (proof := _of_evidence(evidence, wanted)):
                yield proof
        return
    if wanted.proof is Proof.PLAYBOOK:
        yield from _rehearsals(catalogue, item, wanted)
        return
    kind = RunKind.CONTROL if wanted.proof is Proof.CONTROL else RunKind.READINESS
    runs = catalogue.runs.newest(wanted.plan, kind=kind, limit=_NEWEST)
    stood = _places(runs, wanted.name, stands=True)
    for run in runs:
        began = run.started_at
        if began is not None and began > item.at and (proof := _of_run(run, wanted, stood)):
            yield proof


def _rehearsals(
    catalogue: Catalogue, item: ActionItem, wanted: VerifiedBy
) -> Iterator[Mapping[str, Any]]:
    """Yield each run of a playbook in which every step was executed, as the fields of an entry."""
    for run in catalogue.runs.newest(wanted.runs_of, kind=RunKind.PLAYBOOK, limit=_NEWEST):
        if run.started_at is None or run.started_at <= item.at or hides(catalogue, run):
            continue
        said = catalogue.decisions.of_run(run.id)
        if executed_all(run, catalogue.steps.of_run(run.id), said):
            cited = {
                "run": run.id,
                "playbook": wanted.plan,
                "digest": run.plan_digest,
                "finished_at": run.finished_at,
            }
            yield {"run": run.id, "evidence": cited}


def _of_evidence(evidence: Evidence, wanted: VerifiedBy) -> Mapping[str, Any]:
    """Return the fields of an entry that cites a drill, or for a check also a recovery; empty if
    this does not prove what is wanted."""
    cited: dict[str, Any] = {
        "id": evidence.id,
        "run": evidence.run,
        "plan": evidence.plan,
        "scenario": evidence.scenario,
        "result": evidence.result,
        "point": evidence.point,
        "finished_at": evidence.finished_at,
    }
    if wanted.proof is Proof.CHECK:
        rows = [row for row in evidence.checks if row.name == wanted.name]
        if not _passed(rows):
            return {}
        cited["check"] = rows[0].to_json()
    elif (
        evidence.target is not None
        or evidence.result is not DrillResult.PASSED
        or wanted.name not in ("", evidence.scenario)
    ):
        return {}
    return {"run": evidence.run, "evidence": cited}


def _passed(rows: Sequence[CheckResult]) -> bool:
    verdicts = {row.verdict for row in rows if not row.part}
    return verdicts == {CheckVerdict.PASSED}


def _of_run(run: Run, wanted: VerifiedBy, stood: set[_Place]) -> Mapping[str, Any]:
    """Return the fields of an entry that cites a control or a readiness check; empty if this does
    not prove what is wanted. `stood` are the places where the finding was a problem once."""
    cited: dict[str, Any] = {"run": run.id, "plan": run.plan, "finished_at": run.finished_at}
    if wanted.proof is Proof.CONTROL:
        if run.subject != wanted.name or run.state is not RunState.SUCCEEDED:
            return {}
        return {"run": run.id, "evidence": {**cited, "control": run.subject}}
    detail = run.detail
    if not isinstance(detail, ReadinessDetail) or detail.findings is None or not run.finished_at:
        return {}
    if wanted.name in standing_codes(detail):
        return {}
    # An error can have kept drd from looking, so it needs a result for each place.
    seen = bool(stood) and _places([run], wanted.name, stands=False) >= stood
    if not seen and any(f.finding.failed and not f.proof for f in detail.findings):
        return {}
    return {"run": run.id, "evidence": {**cited, "readiness": detail.readiness}}


def _places(runs: Iterable[Run], code: str, *, stands: bool) -> set[_Place]:
    """Return the subjects and targets for which readiness checks had a finding with this code: as a
    problem (`stands`), or as ok."""
    return {
        (one.finding.subject, one.finding.where)
        for run in runs
        if isinstance(run.detail, ReadinessDetail)
        for one in run.detail.findings or ()
        if one.finding.code == code and (one.finding.severity != "ok") is stands
    }


def standing_codes(detail: ReadinessDetail) -> list[str]:
    """Return the codes of the findings that are a problem, each once."""
    bad = (f.finding.code for f in detail.findings or () if f.finding.severity != "ok")
    return list(dict.fromkeys(bad))
