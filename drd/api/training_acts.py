"""What people do about training, and what drd shows of it, for the command line and for the
socket."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from drd.api.requests import OptionalPlanQuery, PersonName, Request
from drd.api.training_documents import (
    Sources,
    text_document,
    texts_document,
    training_document,
)
from drd.api.values import Document, time_of
from drd.bootstrap import App
from drd.config.awareness import texts_of
from drd.errors import UsageError
from drd.flows.host.training import attest, known
from drd.model.actor import Actor
from drd.model.plan import Plan
from drd.model.training import Crew
from drd.model.training_records import proven_user

DIGEST = r"^[0-9a-f]{64}$"
TEXT = r"^[a-z0-9-]{1,40}$"


class TrainingQuery(OptionalPlanQuery):
    person: PersonName | None = Field(None, description="Show only this person.")


class TextQuery(Request):
    text: str | None = Field(
        None,
        pattern=TEXT,
        description="Name of the text to return (default: the list of all texts).",
    )


class AttestBody(Request):
    text: str = Field(pattern=TEXT, description="Name of the text that you have read.")
    digest: str = Field(
        pattern=DIGEST,
        description="The digest of the text that you have read, as GET /v1/training/texts returns "
        "it. If the text has changed since, drd refuses the request.",
    )
    by: PersonName | None = Field(
        None, description="Your own name. drd refuses the name of another person."
    )


def crew_of(app: App) -> Crew:
    """Return the people of drd.yaml."""
    return Crew(app.settings.roles, app.settings.users)


def overview(app: App, plans: Mapping[str, Plan], person: str | None) -> Document:
    """Return who practised and read what, and what the plans require."""
    texts = texts_of(app.settings).known
    sources = Sources(known(app.catalogue), crew_of(app), texts, plans, app.clock.now())
    document = training_document(sources, person)
    if person is not None and not document["people"]:
        raise UsageError(
            f"drd does not know a person or user {person!r}",
            hint="to see all people: drd training",
        )
    return document


def attested(app: App, name: str, digest: str, by: str, actor: Actor) -> Document:
    """Record that the actor has read the text with this digest. Raises UsageError."""
    text = texts_of(app.settings).get(name)
    if digest != text.digest:
        raise UsageError(
            f"the text {name} changed after you read it",
            hint=f"read it again, then attest it: drd training attest {name}",
        )
    crew = crew_of(app)
    entry = attest(app.catalogue, text, crew, by=by, at=app.clock.now(), actor=actor)
    return {
        "text": name,
        "digest": digest,
        "person": crew.person(proven_user(actor) or ""),
        "at": time_of(entry.header.at),
        "entry": entry.seq,
    }


def texts(app: App, name: str | None) -> Document:
    """Return one text, or the list of all. Raises UsageError, ConfigError."""
    own_texts = texts_of(app.settings)
    if name is not None:
        return text_document(own_texts.get(name))
    return {**texts_document(own_texts.known), "problems": [str(p) for p in own_texts.problems]}
