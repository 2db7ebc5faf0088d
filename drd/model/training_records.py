"""What the chain of records says that people learnt: the entries, and which of them count.

The kernel's facts in an entry say who it was. A name that was only claimed counts for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from drd.model.actor import Actor
from drd.model.exercises.played import BEGIN, plays
from drd.model.records import Draft, Entry, body_of
from drd.model.training import Attested, AwarenessText, Drilled, TookPart

ATTESTED = "training.attest"
"""The kind of the entry that somebody attested a text."""

DRILLED = "training.drill"
"""The kind of the entry that people answered the steps of a drill."""

Accepts = Callable[[str, bytes, str], bool]
"""Whether a public key (base64) accepts a message with a signature (base64)."""


def proven_user(actor: Actor | None) -> str | None:
    """Return the user of the person who acts, as the kernel names it; None if it may be anybody:
    root or drd's own user without a login, or a login that could not be read."""
    if actor is None or actor.person is None or actor.came == "schedule":
        return None
    return (actor.login_user if actor.login_uid is not None else actor.user) or None


def of_attestation(text: AwarenessText, at: datetime, actor: Actor) -> Draft:
    """Return the record that a person has read a text."""
    body = {
        "text": text.name,
        "title": text.title,
        "digest": text.digest,
        "user": proven_user(actor),
        "actor": actor,
    }
    return Draft(ATTESTED, f"text:{text.name}", body, at, actor)


def believed(
    entries: Iterable[Entry], keys: Mapping[str, str], accepts: Accepts
) -> Iterator[Entry]:
    """Return the entries that are as they were signed, by one of drd's keys (base64 by id)."""
    for entry in entries:
        as_recorded = entry.header.hash == entry.hash and not entry.is_altered
        public = keys.get(entry.key)
        if as_recorded and public and accepts(public, entry.header.message(), entry.signature):
            yield entry


def attested(entries: Iterable[Entry]) -> Iterator[Attested]:
    """Read these entries; leave out what is not complete."""
    for entry in entries:
        body = body_of(entry)
        user, text, digest = body.get("user"), body.get("text"), body.get("digest")
        if all(isinstance(one, str) and one for one in (user, text, digest)):
            yield Attested(str(user), str(text), str(digest), entry.header.at, entry.seq)


def drilled(entries: Iterable[Entry]) -> Iterator[Drilled]:
    """Read these entries; leave out drills that count for nobody, and what is not complete."""
    for entry in entries:
        body = body_of(entry)
        user, plan, run = body.get("user"), body.get("plan"), body.get("run")
        passed = body.get("counts") is True and body.get("result") == "passed"
        if passed and all(isinstance(one, str) and one for one in (user, plan, run)):
            blind = body.get("blind") is True
            yield Drilled(str(user), str(plan), str(run), entry.header.at, blind, entry.seq)


def took_part(entries: Iterable[Entry]) -> Iterator[TookPart]:
    """Yield who said something in exercises that were played to their end. A name that somebody
    else typed counts for nobody."""
    known = sorted(entries, key=lambda entry: entry.seq)
    users: dict[int, dict[str, None]] = {}
    for entry in known:
        body = body_of(entry)
        number = entry.seq if entry.header.kind == BEGIN else body.get("begun")
        user = proven_user(_actor(body))
        if isinstance(number, int) and user is not None:
            users.setdefault(number, {})[user] = None
    for played in plays(known):
        if played.ended_at is not None:
            for user in users.get(played.number, ()):
                yield TookPart(user, played.exercise.name, played.ended_at, played.number)


def _actor(body: Mapping[str, Any]) -> Actor | None:
    try:
        return Actor.from_json(body.get("actor"))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
