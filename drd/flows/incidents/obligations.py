"""What people say about duties to report: facts, decisions, submitted reports, holds."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from drd.errors import UsageError
from drd.flows.incidents.texts import text_of
from drd.flows.incidents.writing import Desk
from drd.model.incidents import entries as kinds
from drd.model.incidents.duties import Act, Duties, Submission, Version
from drd.model.incidents.entries import draft
from drd.model.incidents.incident import Incident
from drd.model.obligations.case import Hold, latest_end, rule_of
from drd.model.obligations.clocks import ClockState
from drd.model.obligations.conditions import Fact
from drd.model.text import some
from drd.model.units import format_time
from drd.process import rights

LONGEST_REPORT = 200_000
"""Characters of one version of a report."""

_MORE = {
    True: "A statement in writing can ask for a longer delay: then leave out --oral.",
    False: "Record a further delay when the authority has asked for it.",
}


def state_facts(desk: Desk, facts: Mapping[str, Fact]) -> Incident:
    """Record facts of the incident; None: not known any more."""
    return _add(desk, {"act": Act.FACTS, "facts": dict(facts)})


def decide(
    desk: Desk, state: ClockState, text: Mapping[str, Any], *, applies: bool, reason: str
) -> Incident:
    """Record whether a regime applies, why, and its text as it is in force now. GDPR, article
    33(5), requires that breaches are documented, also those that are not reported: so a reason is
    required."""
    if not reason.strip():
        word = "applies" if applies else "does not apply"
        raise UsageError(
            f"--reason is missing: why {state.regime.id} {word}",
            hint="add --reason TEXT: drd records the reason with the decision.",
        )
    return _add(
        desk,
        {
            "act": Act.DECIDE,
            "regime": state.regime.id,
            "applies": applies,
            "reason": reason.strip(),
            "text": dict(text),
            **_computed(due_at=state.due_at, target_at=state.target_at),
        },
    )


def submit(desk: Desk, state: ClockState, report: Submission) -> Incident:
    """Record that a report was submitted. A reason is required if it is late, or after the target
    of a law that only says `without undue delay`, and if it is not the first report: the first
    report decides what is late."""
    due, name = state.due_at, state.regime.id
    if state.started_at is not None and report.at < state.started_at:
        began = format_time(state.started_at, zone=desk.zone)
        raise UsageError(
            f"{format_time(report.at, zone=desk.zone)} is before {began}, when the clock of "
            f"{name} started",
            hint=f"correct the time, or the moment: drd incident anchor {desk.number} MOMENT TIME "
            "--reason TEXT",
        )
    if state.submitted_at is not None and not report.reason.strip():
        raise UsageError(
            f"a report of {name} is recorded already, submitted "
            f"{format_time(state.submitted_at, zone=desk.zone)}; another report is an "
            "update: only the first report decides whether the report was late",
            hint="to record an update, add --reason TEXT: why there is another report.",
        )
    late = due is not None and report.at > due and state.submitted_at is None
    if late and due is not None and not report.reason.strip():
        raise UsageError(
            f"the report of {name} was due at {format_time(due, zone=desk.zone)}, and is late",
            hint="add --reason TEXT: why the report is late.",
        )
    target = state.target_at if due is None and state.submitted_at is None else None
    if target is not None and report.at > target and not report.reason.strip():
        raise UsageError(
            f"the report of {name} is required without undue delay, and was submitted after its "
            f"target {format_time(target, zone=desk.zone)}",
            hint="add --reason TEXT: why the delay was not undue.",
        )
    return _add(
        desk,
        {
            "act": Act.SUBMIT,
            "regime": state.regime.id,
            "at": report.at,
            "reference": report.reference,
            "channel": report.channel,
            "proof": report.proof,
            "reason": report.reason.strip(),
            "version": report.version,
            **_computed(late=late, due_at=due),
        },
    )


def explain_late(desk: Desk, state: ClockState, reason: str) -> Incident:
    """Record why a report that was submitted was late: it may have become late afterwards, when a
    moment or a fact was corrected."""
    name = state.regime.id
    if state.submitted_at is None:
        raise UsageError(
            f"no report of {name} is recorded, so none was late",
            hint=f"to record a late report: drd incident obligation {desk.number} {name} "
            "--submitted TIME --reason TEXT",
        )
    if not state.late:
        due = state.due_at
        by = f"due {format_time(due, zone=desk.zone)}" if due is not None else "without a due time"
        raise UsageError(
            f"the report of {name} was not late: submitted "
            f"{format_time(state.submitted_at, zone=desk.zone)}, {by}",
            hint="if a moment is wrong, correct it first: drd incident anchor "
            f"{desk.number} MOMENT TIME --reason TEXT",
        )
    if not reason.strip():
        raise UsageError(
            f"--reason is missing: why the report of {name} was late",
            hint="add --reason TEXT: drd records why the report was late.",
        )
    return _add(desk, {"act": Act.LATE, "regime": name, "reason": reason.strip()})


def keep(desk: Desk, state: ClockState, text: str) -> Incident:
    """Record a version of a report as it is to be sent. A version never changes: a later text is
    another version."""
    text = text_of(text, "the report", LONGEST_REPORT)
    digest = sha256(text.encode()).hexdigest()
    body = {"act": Act.KEEP, "regime": state.regime.id, "text": text, "sha256": digest}
    return _add(desk, body)


def require_version(number: int, said: Duties, name: str, version: int) -> Version:
    """Return a version of the report of a regime in incident `number`. Raises UsageError."""
    named_version = next((v for v in said.versions.get(name, ()) if v.entry == version), None)
    if named_version is None:
        known = some([v.entry for v in said.versions.get(name, ())], 10) or "none"
        raise UsageError(
            f"the report of {name} has no version with entry {version}",
            hint=f"kept versions: {known}. To keep a version: drd incident obligation "
            f"{number} {name} --keep FILE",
        )
    return named_version


def hold(desk: Desk, state: ClockState, asked: Hold, reason: str) -> Incident:
    """Record a delay that an authority asked for."""
    regime = state.regime
    rule = rule_of(regime, asked)
    if rule is None:
        allowed = " or ".join(str(each.kind) for each in regime.holds)
        raise UsageError(
            f"{regime.id} does not allow {asked.kind} to delay the report",
            hint=f"only these can delay the report: {allowed}."
            if allowed
            else "nobody can delay this report: submit the report when it is due.",
        )
    latest = latest_end(rule, asked)
    if asked.until is None and latest is None:
        raise UsageError(
            "--until is missing: the time at which the hold ends",
            hint="add --until TIME: the end of the delay that the authority stated.",
        )
    if asked.until is not None and latest is not None and asked.until > latest:
        last = format_time(latest, zone=desk.zone)
        raise UsageError(
            f"{rule.cite} allows {asked.kind} to delay {regime.id} until {last} at the latest, not "
            f"until {format_time(asked.until, zone=desk.zone)}",
            hint=f"leave out --until for the longest delay. {_MORE[asked.oral]}",
        )
    if not reason.strip():
        raise UsageError(
            "--reason is missing: why the report is on hold",
            hint="add --reason TEXT: who asked for the hold, and how.",
        )
    return _add(
        desk,
        {
            "act": Act.HOLD,
            "regime": regime.id,
            "by_authority": str(asked.kind),
            "since": asked.since,
            "until": asked.until,
            "oral": asked.oral,
            "reason": reason.strip(),
        },
    )


def _computed(**values: object) -> Mapping[str, object]:
    """Return what follows from earlier entries; nothing for root on another user's state, who signs
    nothing that the user could have written there."""
    return values if rights.acts_for() is None else {}


def _add(desk: Desk, body: Mapping[str, Any]) -> Incident:
    made = draft(kinds.OBLIGATION, desk.number, desk.author, {**body, "act": str(body["act"])})
    return desk.catalogue.incidents.add(desk.number, lambda _: [made])
