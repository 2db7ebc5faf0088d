"""What people do with messages of an incident: for the command line and the socket alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from drd.api.incident_requests import Act, Name, Word
from drd.api.incident_scope import affected_of
from drd.api.message_documents import content_document, message_document
from drd.api.requests import BoundedText, LongText
from drd.api.values import Document
from drd.bootstrap import App
from drd.config.templates import templates_of
from drd.errors import UsageError
from drd.flows.incidents import messages as flow
from drd.flows.incidents.messages import Sources, compose
from drd.flows.incidents.writing import Desk
from drd.flows.records.restricted import concealed, restricted_incidents
from drd.model.incidents.audiences import Audience
from drd.model.incidents.entries import subject
from drd.model.incidents.incident import Incident
from drd.model.incidents.message_values import values
from drd.model.incidents.messages import Act as Deed
from drd.model.incidents.messages import Content, IncidentMessage
from drd.model.incidents.objections import approval_lacks
from drd.model.incidents.recipients import Addressed, Reach, Wanted, addressed
from drd.model.incidents.timeline import timeline
from drd.model.nearest import meant
from drd.model.plan import Plan
from drd.model.records import Entry
from drd.model.text import escaped

_KEY = re.compile(r"[a-z][a-z0-9_]*")


class ComposeBody(Act):
    audience: Word = Field(description="The audience: internal, customers, …")
    text: LongText = Field("", description="Your text: the value of `said.text` in the template.")
    values: dict[Word, LongText] = Field(
        default_factory=dict,
        max_length=50,
        description='Other values for the template, by key: `{"action": "…"}` is the value of '
        "`said.action`.",
    )
    to: Annotated[list[Name], Field(max_length=50)] = Field(
        default_factory=list, description="Send the message only to these contacts or people."
    )
    template: Name | None = Field(
        None, description="The name of a template (default: the template of the audience)."
    )
    next_update: Word | None = Field(
        None, description="When the next update is due: 1h (from now), 16:00, or none."
    )
    encrypt: bool = Field(False, description="Whether mails are encrypted to the contacts' keys.")


class ApproveBody(Act):
    digest: Name = Field(
        description="The first 12 or more digits of the digest that the preview of the "
        "message shows. They prove that you have read this text."
    )


class SendBody(Act):
    again: bool = Field(
        False, description="Whether to send the message again to the recipients in `to`."
    )
    to: Annotated[list[Name], Field(max_length=50)] = Field(
        default_factory=list, description="Send the message only to these recipients."
    )


class SettleBody(Act):
    to: Name | None = Field(None, description="The recipient: a name or an address.")
    said: BoundedText = Field(
        "",
        description="The reference that the recipient gave, or the text of the returned mail.",
    )
    at: Word | None = Field(
        None, description="When the recipient was told, or the mail came back (default: now)."
    )


class WithdrawBody(Act):
    reason: BoundedText = Field("", description="Why.")


@dataclass(frozen=True, slots=True)
class Outbox:
    """The place where somebody works on the messages of one incident. `plans` are the plans that
    can be read, `people` the people of drd.yaml with their roles."""

    app: App
    desk: Desk
    plans: Callable[[], Mapping[str, Plan]]
    people: Mapping[str, Sequence[str]]

    @property
    def incident(self) -> Incident:
        return self.app.catalogue.incidents.get(self.desk.number)

    def told(self, message: IncidentMessage) -> Document:
        """Return the document of a message, with what still waits to be sent."""
        number = self.desk.number
        return {"incident": number, **_document(self.app, number, message)}


def _document(app: App, number: int, message: IncidentMessage) -> Document:
    waits = flow.queued(app.catalogue, number, message)
    return message_document(message, waits, _lacking(app, message))


def _lacking(app: App, message: IncidentMessage) -> str:
    """Return what the approval of a message lacks by the rule of drd.yaml; empty for nothing."""
    if message.content is None or message.withdrawn:
        return ""
    lack = approval_lacks(message, app.channels.reach())
    return lack.message if lack is not None else ""


def audience_of(word: str) -> Audience:
    """Return the audience of this name. Raises UsageError."""
    try:
        return Audience(word)
    except ValueError:
        hint = meant(word, Audience)
        raise UsageError(f"there is no audience {escaped(word)!r}", hint=hint) from None


def listed(app: App, number: int) -> Document:
    """Return the messages of an incident."""
    messages = flow.known(app.catalogue, number)
    return {
        "incident": number,
        "messages": [_document(app, number, message) for message in messages],
    }


def kept(app: App, number: int, which: int) -> Document:
    """Return what a message says. Raises UsageError if it was redacted."""
    message = flow.message_of(app.catalogue, number, which)
    if message.sealed:
        raise flow.encrypted(which)
    if message.content is None:
        raise UsageError(
            f"the text of message {which} was redacted",
            hint=f"to see the rest of the incident: drd incident show {number}",
        )
    return {"incident": number, **content_document(message.content)}


def preview(box: Outbox, body: ComposeBody) -> Document:
    """Return what a message would say. If nobody would get the message, `problem` says why."""
    content, problem = _composed(box, body, only_shows=True)
    told = {"message": problem.message, "hint": problem.hint} if problem is not None else None
    return {"incident": box.desk.number, **content_document(content), "problem": told}


def draft(box: Outbox, body: ComposeBody) -> Document:
    """Keep a message exactly as it is to be sent."""
    content, _ = _composed(box, body)
    return box.told(flow.draft(box.desk, content))


def approve(box: Outbox, which: int, body: ApproveBody) -> Document:
    reach = box.app.channels.reach()
    return box.told(flow.approve(box.desk, which, body.digest, reach, box.people))


def send(box: Outbox, which: int, body: SendBody) -> Document:
    """Hand a message over; whoever owns the state sends it."""
    reach = _reach(box, box.incident)
    return box.told(flow.send(box.desk, which, reach, again=body.again, to=body.to))


def _settle(deed: Deed) -> Callable[[Outbox, int, SettleBody], Document]:
    def settle(box: Outbox, which: int, body: SettleBody) -> Document:
        at = box.desk.past(body.at) if body.at is not None else None
        message = flow.message_of(box.app.catalogue, box.desk.number, which)
        name = body.to or _only(message)
        return box.told(flow.settle(box.desk, which, name, deed, said=body.said, happened_at=at))

    return settle


def _only(message: IncidentMessage) -> str:
    """Return the only recipient. Raises UsageError if there are several."""
    names = {one.name for one in message.content.recipients} if message.content else set()
    if len(names) != 1:
        raise UsageError(
            f"message {message.number} has {len(names)} recipients",
            hint="name one recipient: --to NAME",
        )
    return names.pop()


def withdraw(box: Outbox, which: int, body: WithdrawBody) -> Document:
    return box.told(flow.withdraw(box.desk, which, body.reason))


MESSAGE_ACTS: Mapping[str, tuple[type[Act], Callable[[Outbox, int, Any], Document]]] = {
    "approve": (ApproveBody, approve),
    "send": (SendBody, send),
    "told": (SettleBody, _settle(Deed.TOLD)),
    "bounced": (SettleBody, _settle(Deed.BOUNCED)),
    "withdraw": (WithdrawBody, withdraw),
}
"""The acts on a message that was drafted. Each raises UsageError."""
COMPOSING: Mapping[str, Callable[[Outbox, ComposeBody], Document]] = {
    "preview": preview,
    "draft": draft,
}
"""The acts that make a message. Each raises UsageError and ConfigError."""


def _reach(box: Outbox, incident: Incident) -> Reach:
    plans = box.plans()
    owners = [
        plans[name].inventory.business_owner
        for name in incident.plans
        if name in plans and plans[name].inventory.business_owner
    ]
    return box.app.channels.reach(list(dict.fromkeys(owners)))


def _composed(
    box: Outbox, body: ComposeBody, *, only_shows: bool = False
) -> tuple[Content, UsageError | None]:
    """Return the message. One that `only_shows` may have no recipients: then why is returned, too.
    Raises UsageError, ConfigError."""
    app, incident, now = box.app, box.incident, box.desk.author.at
    audience, plans = audience_of(body.audience), box.plans()
    recipients: Sequence[Addressed] = ()
    problem = None
    try:
        wanted = Wanted(tuple(body.to), encrypt=body.encrypt)
        recipients = addressed(audience, incident, _reach(box, incident), wanted)
    except UsageError as error:
        if not only_shows:
            raise
        problem = error
    templates = templates_of(app.settings)
    templates.require()
    promise, said = _promise(box, body, incident, now), _said(body)
    lines = timeline(incident, _tellable(app, incident), UTC)

    def known(language: str) -> Mapping[str, Any]:
        return values(
            incident,
            lines=lines,
            affected=affected_of(incident, plans),
            said=said,
            now=now,
            next_update=promise,
            zone=box.desk.zone,
            language=language,
        )

    sources = Sources(templates.texts, templates.files, templates.of, known)
    return compose(audience, body.template or str(audience), recipients, sources, promise), problem


def _tellable(app: App, incident: Incident) -> list[Entry]:
    """Return the entries that a message may cite: restricted ones only in messages of the
    restricted incident that they are about, which reach nobody without a role in it."""
    entries = app.catalogue.incidents.entries(incident)
    own = {subject(incident.number)} if incident.restricted else set()
    rest = (e for e in entries if e.header.subject not in own)
    hidden = {e.seq: e for e in concealed(rest, restricted_incidents(app.catalogue))}
    return [hidden.get(e.seq, e) for e in entries]


def _promise(box: Outbox, body: ComposeBody, incident: Incident, now: datetime) -> datetime | None:
    if body.next_update == "none":
        return None
    if body.next_update is not None:
        return box.desk.coming(body.next_update)
    if not incident.is_open:
        return None
    return box.app.settings.cadence.promise(incident.severity, now)


def _said(body: ComposeBody) -> dict[str, str]:
    fields = {"text": body.text} if body.text else {}
    for key, value in body.values.items():
        if not _KEY.fullmatch(key) or not value.strip():
            raise UsageError(
                f"--set {escaped(f'{key}={value}')!r} is not KEY=TEXT",
                hint="write a key of lower-case letters, digits and _, then = and a text: "
                '--set action="Change your password."',
            )
        fields[key] = value.strip()
    return fields
