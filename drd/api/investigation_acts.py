"""What people record of an investigation: for the command line and the socket alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from drd.api.incident_requests import Act, Number, Word
from drd.api.requests import RUN, BoundedText, LongText
from drd.bootstrap import App
from drd.errors import UsageError
from drd.flows.incidents import investigating as flow
from drd.flows.incidents.writing import Desk
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import Standing

Entries = Annotated[list[Number], Field(max_length=100)]


class HypothesisBody(Act):
    text: LongText = Field("", description="The hypothesis: what may have happened.")
    supported: Number | None = Field(
        None, description="The number of the entry with the hypothesis to mark as supported."
    )
    refuted: Number | None = Field(
        None, description="The number of the entry with the hypothesis to mark as refuted."
    )
    reopen: Number | None = Field(
        None, description="The number of the entry with the hypothesis to open again."
    )
    evidence: Entries = Field(
        default_factory=list, description="The numbers of the entries with the evidence."
    )
    reason: BoundedText = Field("", description="The reason.")


class IndicatorBody(Act):
    value: BoundedText = Field("", description="The indicator: an address, a name or a digest.")
    type: Word | None = Field(
        None, description="The type of the indicator (default: drd recognises it)."
    )
    seen: Word | None = Field(None, description="When the indicator was first seen.")
    expires: Word | None = Field(None, description="The time until which the indicator is useful.")
    text: LongText = Field("", description="What the indicator means.")
    withdraw: Number | None = Field(
        None,
        description="The number of the entry with the indicator to withdraw.",
    )
    reason: BoundedText = Field("", description="Why the indicator is withdrawn.")


class EvidenceBody(Act):
    text: LongText = Field(description="What the evidence is.")
    where: BoundedText = Field("", description="Where the evidence is kept.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="The SHA-256 of the file, as you computed it."
    )
    bytes: int | None = Field(None, ge=0, lt=10**18, description="The size of the file in bytes.")
    taken: Word | None = Field(None, description="When the evidence was taken.")
    run: Annotated[str, Field(pattern=RUN)] | None = Field(
        None, description="The id of a run of drd that is the evidence."
    )


class CauseBody(Act):
    text: LongText = Field(description="The root cause.")
    evidence: Entries = Field(
        default_factory=list, description="The numbers of the entries with the evidence."
    )
    hypotheses: Entries = Field(
        default_factory=list,
        description="The numbers of the entries with the hypotheses that the root cause confirms.",
    )
    reason: BoundedText = Field("", description="Why the root cause changed.")


def _hypothesis(_: App, desk: Desk, body: HypothesisBody) -> Incident:
    judged = {
        Standing.SUPPORTED: body.supported,
        Standing.REFUTED: body.refuted,
        Standing.OPEN: body.reopen,
    }
    given = {state: entry for state, entry in judged.items() if entry is not None}
    if len(given) > 1:
        hint = "run a separate command for each: each becomes an entry."
        raise UsageError(f"{' and '.join(map(str, given))} cannot be combined", hint=hint)
    for state, entry in given.items():
        return flow.judge(desk, entry, state, evidence=body.evidence, reason=body.reason)
    if body.evidence or body.reason:
        raise UsageError(
            "--evidence and --reason were given without --supported, --refuted or --reopen",
            hint=f"name the hypothesis by its entry: drd incident hypothesis {desk.number} "
            "--supported ENTRY --evidence ENTRY",
        )
    return flow.suppose(desk, body.text)


def _indicator(_: App, desk: Desk, body: IndicatorBody) -> Incident:
    if body.withdraw is not None:
        return flow.withdraw_indicator(desk, body.withdraw, body.reason)
    return flow.note_indicator(
        desk,
        flow.typed_value(body.value, body.type),
        seen=desk.past(body.seen) if body.seen is not None else None,
        expires=desk.coming(body.expires) if body.expires is not None else None,
        text=body.text,
    )


def _evidence(_: App, desk: Desk, body: EvidenceBody) -> Incident:
    taken = desk.past(body.taken) if body.taken is not None else None
    return flow.collect(
        desk,
        body.text,
        where=body.where,
        sha256=body.sha256 or "",
        size=body.bytes,
        taken_at=taken,
        run=body.run or "",
    )


def _cause(_: App, desk: Desk, body: CauseBody) -> Incident:
    return flow.explain(
        desk,
        body.text,
        evidence=body.evidence,
        hypotheses=body.hypotheses,
        reason=body.reason,
    )


INVESTIGATION_ACTS: Mapping[str, tuple[type[Act], Callable[[App, Desk, Any], Incident]]] = {
    "hypothesis": (HypothesisBody, _hypothesis),
    "indicator": (IndicatorBody, _indicator),
    "evidence": (EvidenceBody, _evidence),
    "cause": (CauseBody, _cause),
}
"""The acts of an investigation by the verb, in the same form as `ACTS` of
`drd.api.incident_acts`."""
