"""What people say about reports of an incident, and what drd shows of these reports, for the
command line and for the socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from drd.api.incident_requests import Act, Word
from drd.api.obligation_documents import clock_document
from drd.api.requests import BoundedText, LongText, Request
from drd.api.values import Document, text_of, time_of
from drd.bootstrap import App
from drd.bootstrap.duties import DutyTable, duty_table
from drd.config.problems import nearest
from drd.config.regimes import Regimes
from drd.config.zones import local_zone
from drd.errors import UsageError
from drd.flows.incidents import obligations as flow
from drd.flows.incidents.writing import Desk
from drd.model.incidents.doubts import UNSEAL, doubts, unread
from drd.model.incidents.duties import Submission
from drd.model.incidents.report_draft import ReportDraft
from drd.model.incidents.timeline import Line, timeline
from drd.model.malformed import Malformed
from drd.model.obligations.case import Hold
from drd.model.obligations.clocks import ClockState
from drd.model.obligations.conditions import Fact
from drd.model.obligations.fact_values import asked_for, require_fact, unusual
from drd.model.obligations.icalendar import icalendar
from drd.model.obligations.paragraphs import paragraphs
from drd.model.obligations.regime import HoldKind, Regime
from drd.model.records import Entry
from drd.model.text import escaped

RegimeId = Annotated[str, Field(max_length=80)]


class ObligationBody(Act):
    regime: RegimeId = Field(
        "", description="The id of the regime. Not needed if only facts are given."
    )
    facts: dict[Word, bool | int | BoundedText | None] = Field(
        default_factory=dict,
        max_length=50,
        description="Facts by name; null means that the fact is no longer known.",
    )
    applies: bool | None = Field(None, description="Whether the regime applies.")
    submitted: Word | None = Field(None, description="When the report was submitted.")
    reference: BoundedText = Field("", description="The reference number that the authority gave.")
    channel: BoundedText = Field("", description="How the report was submitted.")
    proof: BoundedText = Field("", description="What proves the submission.")
    hold: Literal["law-enforcement", "attorney-general"] | None = Field(
        None, description="The authority that asked for a delay."
    )
    since: Word | None = Field(None, description="When the authority asked (default: now).")
    until: Word | None = Field(None, description="The end of the delay.")
    oral: bool = Field(False, description="True if the authority did not ask in writing.")
    reason: LongText = Field("", description="The reason.")
    late: bool = Field(
        False,
        description="Record `reason` as the reason why the submitted report was late. This "
        "does not record another submission.",
    )
    keep: Annotated[str, Field(max_length=flow.LONGEST_REPORT)] | None = Field(
        None,
        description="The text of the report as you will send it; drd keeps it unchanged.",
    )
    version: int | None = Field(
        None, ge=1, description="The number of the kept version that was submitted."
    )


class ObligationsQuery(Request):
    regime: RegimeId | None = Field(None, description="Show only this regime.")
    all: bool = Field(False, description="Whether to show regimes that do not apply as well.")
    draft: bool = Field(False, description="Answer with a draft of the report of the regime.")
    version: int | None = Field(
        None,
        ge=1,
        description="With `draft`: the number of a kept version, to answer with its text.",
    )
    calendar: bool = Field(False, description="Answer with the due times as iCalendar.")


@dataclass(slots=True)
class Said:
    """What was recorded: typed times as drd understood them, and what a person should know."""

    times: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def chosen(known: Mapping[str, Regime], name: str) -> Regime:
    """Return the regime of this id. Raises UsageError."""
    if name not in known:
        raise UsageError(f'there is no regime "{name}"', hint=nearest(name, sorted(known)))
    return known[name]


def unusual_facts(facts: Mapping[str, Fact], regimes: Mapping[str, Regime]) -> list[str]:
    """Return warnings about words that no rule uses. Raises UsageError for facts that cannot be
    right."""
    known, warnings = asked_for(regimes.values()), []
    for name, value in facts.items():
        try:
            require_fact(name, value, known)
        except Malformed as error:
            raise UsageError(error.fact, hint=error.remedy) from None
        if warning := unusual(name, value, known):
            warnings.append(warning)
    return warnings


def record(app: App, found: Regimes, body: ObligationBody, desk: Callable[[], Desk]) -> Said:
    """Record what the body says: facts first, each in an entry of its own. Raises UsageError."""
    given = _acts(body)
    if len(given) > 1:
        hint = "run a separate command for each: each becomes an entry."
        raise UsageError(f"{' and '.join(given)} cannot be combined", hint=hint)
    if given and not body.regime:
        hint = "give the id of a regime. To see all regimes: drd incident obligation"
        raise UsageError("incident obligation: no regime given", hint=hint)
    said = Said()
    if body.facts:
        here = desk()
        table = duty_table(app, here.number, found, here.entries())
        said.warnings += unusual_facts(body.facts, table.regimes)
        flow.state_facts(here, body.facts)
    for act in given.values():
        here = desk()
        act(duty_table(app, here.number, found, here.entries()), here, body)
        said.times += here.typed
    return said


def _acts(body: ObligationBody) -> dict[str, Callable[[DutyTable, Desk, ObligationBody], None]]:
    """Return what the body asks to record, by the option of the command line."""
    every = {
        "--applies": (body.applies is True, _decide),
        "--does-not-apply": (body.applies is False, _decide),
        "--submitted": (body.submitted is not None, _submit),
        "--late": (body.late, _explain_late),
        "--hold": (body.hold is not None, _hold),
        "--keep": (body.keep is not None, _keep),
    }
    return {option: act for option, (is_given, act) in every.items() if is_given}


def _decide(table: DutyTable, desk: Desk, body: ObligationBody) -> None:
    state = table.state(chosen(table.regimes, body.regime), desk.author.at)
    text = table.texts.get(body.regime, {})
    flow.decide(desk, state, text, applies=body.applies is True, reason=body.reason)


def _submit(table: DutyTable, desk: Desk, body: ObligationBody) -> None:
    at = desk.past(body.submitted or "")
    if body.version is not None:
        flow.require_version(desk.number, table.said, body.regime, body.version)
    words = (body.reference, body.channel, body.proof, body.reason)
    report = Submission(at, *words, version=body.version)
    flow.submit(desk, table.state(chosen(table.regimes, body.regime), desk.author.at), report)


def _explain_late(table: DutyTable, desk: Desk, body: ObligationBody) -> None:
    state = table.state(chosen(table.regimes, body.regime), desk.author.at)
    flow.explain_late(desk, state, body.reason)


def _keep(table: DutyTable, desk: Desk, body: ObligationBody) -> None:
    state = table.state(chosen(table.regimes, body.regime), desk.author.at)
    flow.keep(desk, state, body.keep or "")


def _hold(table: DutyTable, desk: Desk, body: ObligationBody) -> None:
    now = desk.author.at
    assert body.hold is not None
    since = desk.past(body.since) if body.since is not None else now
    until = desk.coming(body.until) if body.until is not None else None
    kind = HoldKind(body.hold)
    before = table.said.holds.get(body.regime)
    if before is not None and before.kind is not kind:
        before = None
    hold = Hold(kind, since, until, oral=body.oral, before=before)
    flow.hold(desk, table.state(chosen(table.regimes, body.regime), now), hold, body.reason)


def shown(
    app: App,
    number: int,
    found: Regimes,
    query: ObligationsQuery,
    entries: Sequence[Entry] | None = None,
) -> Document:
    """Return the clocks of an incident, also in words; or a draft, or a calendar. `entries` are the
    entries of the timeline; None means all of them, unchanged. Raises UsageError."""
    if entries is None:
        entries = app.catalogue.incidents.entries(app.catalogue.incidents.get(number))
    table, now = duty_table(app, number, found, entries), app.clock.now()
    name = query.regime
    if query.draft and not name:
        hint = f"give the id of a regime. To see all regimes: drd incident obligation {number}"
        raise UsageError("incident obligation: no regime given", hint=hint)
    if (told := unread(table.incident)) and (query.draft or query.calendar):
        raise UsageError(told, hint=f"to read encrypted entries: {UNSEAL}")
    states = [table.state(chosen(table.regimes, name), now)] if name else table.states(now)
    if query.draft and query.version is not None:
        kept = flow.require_version(number, table.said, name or "", query.version)
        return {"draft": kept.text, "version": kept.entry, "sha256": kept.digest}
    if query.draft:
        lines = timeline(table.incident, entries, local_zone(app.settings.timezone))
        return _drafted(table, states[0], lines)
    if query.calendar:
        calendar = icalendar(number, states, now, table.case.zone, table.incident.last)
        return {"calendar": calendar}
    every = bool(query.all or name)
    if told:
        states = []  # decisions and reports may be among what cannot be read
    words = paragraphs(table.incident, states, table.case, now, every=every) if states else ()
    return {
        "incident": number,
        "clocks": [clock_document(s) for s in states],
        "facts": dict(table.case.facts),
        "changed": list(table.changed),
        "versions": _versions(table),
        "paragraphs": [list(one) for one in words],
        "warnings": _warnings(number, table, found),
    }


def _drafted(table: DutyTable, state: ClockState, lines: Sequence[Line]) -> Document:
    stated = {fact for fact, value in table.said.facts.items() if value is not None}
    draft = ReportDraft(table.incident, state, table.case, lines, data=table.data, stated=stated)
    notes = "".join(f"> {note}\n\n" for note in doubts(table.incident, table.altered))
    return {"draft": notes + draft.text(), "missing": draft.missing()}


def _versions(table: DutyTable) -> list[Document]:
    return [
        {
            "id": name,
            "version": one.entry,
            "at": time_of(one.at),
            "by": text_of(one.by),
            "sha256": one.digest,
        }
        for name, kept in table.said.versions.items()
        for one in kept
    ]


def _warnings(number: int, table: DutyTable, found: Regimes) -> list[str]:
    broken = [
        f"{p}. drd does not use this file. To see all problems: drd obligations check"
        for p in found.problems
    ]
    missing = [
        (
            f"plan {escaped(plan)} cannot be read, so drd does not know whose personal data the "
            f"plan contains: {escaped(why)}"
        )
        for plan, why in table.unread.items()
    ]
    changed = [
        (
            f"the file of regime {each} changed after somebody decided that this regime applies. "
            "drd still calculates the deadline from the former file. To use the new file: drd "
            f"incident obligation {number} {each} --applies --reason TEXT"
        )
        for each in table.changed
    ]
    return [*doubts(table.incident, table.altered), *broken, *missing, *changed]
