"""What people said about duties to report in an incident: facts, decisions, reports, holds.

Each is an entry `incident.obligation` with an `act`. The last statement counts. A report that was
submitted again is an update: the first report decides what is late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

from drd.model.incidents import entries as kinds
from drd.model.incidents.affected import unplaced
from drd.model.incidents.fold import time_in
from drd.model.incidents.incident import Incident
from drd.model.inventory import DataSet
from drd.model.obligations.case import Case, Decision, Hold
from drd.model.obligations.conditions import PEOPLE, RESIDENTS, UNKNOWN_RESIDENCE, Fact, Facts
from drd.model.obligations.regime import HoldKind
from drd.model.records import Entry, body_of
from drd.model.units import format_time, from_rfc3339


class Act(StrEnum):
    """What an entry about duties to report says."""

    FACTS = "facts"
    DECIDE = "decide"
    SUBMIT = "submit"
    LATE = "late"
    KEEP = "keep"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a report, which never changes: its text, and the SHA-256 of the text. `entry` is
    the number of the entry that keeps it."""

    entry: int
    at: datetime
    by: str
    digest: str
    text: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A report that was submitted; `reference` is the reference of the authority, `version` the
    entry of the version that was sent."""

    at: datetime
    reference: str = ""
    channel: str = ""
    proof: str = ""
    reason: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Duties:
    """What people said, by id of regime. `texts` are the regimes as they were when somebody decided
    that they apply: if a file changes later, no clock changes by itself. `late_reasons` say why a
    report was late."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    submissions: Mapping[str, tuple[Submission, ...]] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    versions: Mapping[str, tuple[Version, ...]] = field(default_factory=dict)
    late_reasons: Mapping[str, str] = field(default_factory=dict)

    def case(
        self, incident: Incident, known: Facts, jurisdictions: tuple[str, ...], zone: str
    ) -> Case:
        """Return the case of an incident; `known` are the facts of the organisation and of the
        plans in the scope, which a person may have corrected."""
        return Case(
            instants=incident.instants,
            facts={**known, **self.facts},
            submissions={name: all_[0].at for name, all_ in self.submissions.items()},
            updates={name: all_[-1].at for name, all_ in self.submissions.items()},
            late_reasons=self.late_reasons,
            decisions=self.decisions,
            holds=self.holds,
            jurisdictions=jurisdictions,
            zone=zone,
        )


def duties(entries: Iterable[Entry]) -> Duties:
    """Return what the entries of an incident say, with the entries of incidents that continue in
    it. An entry that cannot be read has no effect."""
    said = Duties()
    for entry in entries:
        if entry.header.kind != kinds.OBLIGATION:
            continue
        body = body_of(entry)
        with suppress(KeyError, ValueError, TypeError, AttributeError):
            said = _CHANGES[Act(body["act"])](said, entry, body)
    return said


def _facts(said: Duties, _: Entry, body: Mapping[str, Any]) -> Duties:
    return replace(said, facts={**said.facts, **body["facts"]})


def _decided(said: Duties, entry: Entry, body: Mapping[str, Any]) -> Duties:
    name, applies = str(body["regime"]), bool(body["applies"])
    decision = Decision(applies, str(body.get("reason") or ""), entry.seq)
    texts = {known: text for known, text in said.texts.items() if known != name}
    if applies and isinstance(body.get("text"), dict):
        texts[name] = body["text"]
    return replace(said, decisions={**said.decisions, name: decision}, texts=texts)


def _submitted(said: Duties, _: Entry, body: Mapping[str, Any]) -> Duties:
    name, at = str(body["regime"]), from_rfc3339(body["at"])
    words = {k: str(body.get(k) or "") for k in ("reference", "channel", "proof", "reason")}
    version = body.get("version")
    report = Submission(at, **words, version=int(version) if version is not None else None)
    before = said.submissions.get(name, ())
    reports = tuple(sorted((*before, report), key=lambda one: one.at))
    said = replace(said, submissions={**said.submissions, name: reports})
    # Root on another user's state records no `late`. The reason of an update is another one.
    is_why = bool(body["late"]) if "late" in body else not before
    return _with_late_reason(said, name, report.reason) if is_why and report.reason else said


def _late(said: Duties, _: Entry, body: Mapping[str, Any]) -> Duties:
    return _with_late_reason(said, str(body["regime"]), str(body["reason"]))


def _with_late_reason(said: Duties, name: str, reason: str) -> Duties:
    return replace(said, late_reasons={**said.late_reasons, name: reason})


def _kept(said: Duties, entry: Entry, body: Mapping[str, Any]) -> Duties:
    name, text = str(body["regime"]), str(body["text"])
    by = str(body.get("by") or entry.header.actor_name)
    made = Version(entry.seq, entry.header.at, by, str(body["sha256"]), text)
    versions = (*said.versions.get(name, ()), made)
    return replace(said, versions={**said.versions, name: versions})


def _held(said: Duties, entry: Entry, body: Mapping[str, Any]) -> Duties:
    since = time_in(body, "since") or entry.header.at
    kind = HoldKind(body["by_authority"])
    before = said.holds.get(str(body["regime"]))
    if before is not None and before.kind is not kind:
        before = None
    hold = Hold(kind, since, time_in(body, "until"), oral=bool(body.get("oral")), before=before)
    return replace(said, holds={**said.holds, str(body["regime"]): hold})


_CHANGES: Mapping[Act, Callable[[Duties, Entry, Mapping[str, Any]], Duties]] = {
    Act.FACTS: _facts,
    Act.DECIDE: _decided,
    Act.SUBMIT: _submitted,
    Act.LATE: _late,
    Act.HOLD: _held,
    Act.KEEP: _kept,
}


def words(body: Mapping[str, Any], zone: tzinfo) -> str:
    """Return what an entry says, for the timeline."""
    act = Act(body["act"])
    if act is Act.FACTS:
        said = ", ".join(f"{k} {_value(v)}" for k, v in body["facts"].items())
        return f"facts: {said}"
    name = str(body["regime"])
    if act is Act.DECIDE:
        return f"{name} {'applies' if body['applies'] else 'does not apply'}"
    if act is Act.LATE:
        return f"{name}: why the report was late"
    if act is Act.KEEP:
        return f"{name}: version of the report kept, SHA-256 {body['sha256']}"
    if act is Act.HOLD:
        until = time_in(body, "until")
        end = f" until {format_time(until, zone=zone)}" if until is not None else ""
        return f"{name} is on hold by {body['by_authority']}{end}"
    reference = f", reference {body['reference']}" if body.get("reference") else ""
    reference += f", version {body['version']}" if body.get("version") else ""
    late = ", late" if body.get("late") else ""
    at = format_time(from_rfc3339(body["at"]), zone=zone)
    return f"{name} submitted {at}{reference}{late}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)


def facts_of(data: Iterable[DataSet]) -> dict[str, Fact]:
    """Return what the inventory of the plans in the scope says about people. A person may be in
    several data sets, and is counted in each: this is the worst case. Of data without `residents`,
    and of people whom the numbers of `residents` leave over, nobody knows where they live."""
    sets = list(data)
    if not sets:
        return {}
    facts: dict[str, Fact] = {"personal_data": True, PEOPLE: _sum(one.people for one in sets)}
    places = dict.fromkeys(place for one in sets for place, _ in one.residents)
    for place in places:
        counts = (count for one in sets for where, count in one.residents if where == place)
        facts[RESIDENTS + place] = _sum(counts)
    astray = [rest for one in sets if (rest := unplaced(one.people, one.residents)) != 0]
    if astray:
        counted = facts.get(UNKNOWN_RESIDENCE, 0)
        facts[UNKNOWN_RESIDENCE] = _sum((*astray, counted if isinstance(counted, int) else None))
    kept = {one.encrypted for one in sets}
    facts["encrypted"] = False if False in kept else (None if None in kept else True)
    return facts


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum, or None if one is unknown."""
    known_counts = list(counts)
    return None if None in known_counts else sum(filter(None, known_counts))
