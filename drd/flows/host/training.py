"""Read from the chain of records what people practised and read, and record that somebody read a
text."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from drd.errors import UsageError
from drd.flows.records.anchors import key_records
from drd.flows.services import Services
from drd.model.actor import Actor
from drd.model.exercises.played import KINDS as EXERCISES
from drd.model.person_names import is_same
from drd.model.plan import Plan
from drd.model.readiness_finding import ReadinessFinding
from drd.model.records import Entry
from drd.model.training import AwarenessText, Crew, Known
from drd.model.training_findings import of_review, of_training
from drd.model.training_records import (
    ATTESTED,
    DRILLED,
    Belief,
    attested,
    drilled,
    of_attestation,
    proven_user,
    took_part,
)
from drd.ports import Catalogue
from drd.signing import accepts

MOST = 10_000
"""How many of the newest entries of each kind drd reads."""
_accepts = lru_cache(MOST)(accepts)
"""Remembers results: to check a signature takes milliseconds, and many plans may need it."""


def known(catalogue: Catalogue, *, exercises: bool = True) -> Known:
    """Return what people did, from the entries that are unchanged since drd signed them."""
    keys = {str(body.get("key")): str(body.get("public")) for _, body in key_records(catalogue)}
    belief = Belief(keys, _accepts)

    def entries(kind: str) -> list[Entry]:
        return catalogue.records.newest(kind=kind, limit=MOST)

    played = [entry for kind in EXERCISES for entry in entries(kind)] if exercises else []
    return Known(
        attested=tuple(attested(entries(ATTESTED), belief)),
        drilled=tuple(drilled(entries(DRILLED), belief)),
        took_part=tuple(took_part(played, belief)),
    )


def findings(services: Services, plan: Plan) -> list[ReadinessFinding]:
    """Return the findings about what a plan requires of people."""
    now = services.clock.now()
    training_results = list(of_review(plan, now))
    if plan.training.requires_nothing:
        return training_results
    crew = Crew(services.roles, services.users)
    did = known(services.catalogue, exercises=False)
    return [*of_training(plan, did, crew, services.awareness(), now), *training_results]


def attest(
    catalogue: Catalogue, text: AwarenessText, crew: Crew, *, by: str, at: datetime, actor: Actor
) -> Entry:
    """Record that the person whom the kernel names has read a text. Raises UsageError if drd cannot
    know who this person is, if the person is not `by`, or if drd cannot sign the record."""
    user = proven_user(actor)
    if user is None:
        raise UsageError(
            f"you are {actor.anybody()}, so drd cannot prove who read the text",
            hint="log in with your own account (ssh), then attest the text, also with sudo: drd "
            f"training attest {text.name}",
        )
    person = crew.person(user)
    if by and not is_same(by, person):
        raise UsageError(
            f"you are {person} (user {user}), so you cannot attest a text for {by!r}",
            hint="each person attests a text with their own account. Leave out --by to attest the "
            "text for yourself",
        )
    if catalogue.records.signer(at) is None:
        raise UsageError(
            "drd cannot sign the record that you read the text, because it cannot read the key of "
            "the records; a record without a signature proves nothing",
            hint="to see why: drd records key. To make the first key: drd records init",
        )
    return catalogue.records.append(of_attestation(text, at, actor))
