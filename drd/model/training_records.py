"""The entries in the chain of records about what people learnt, and which of these entries count.

The kernel's facts in an entry say who it was. A name that was only claimed counts for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model.actor import Actor
from drd.model.exercises.played import BEGIN, END, plays
from drd.model.records import Draft, Entry, body_of
from drd.model.training import Attested, AwarenessText, Drilled, TookPart

ATTESTED = "training.attest"
"""The kind of the entry that somebody attested a text."""

DRILLED = "training.drill"
"""The kind of the entry that people answered the steps of a drill."""

Accepts = Callable[[str, bytes, str], bool]
"""Of a public key (base64), a message and a signature (base64): return whether the signature of the
message was made with this key."""


def proven_user(actor: Actor | None) -> str | None:
    """Return the user of the person who acts, by the kernel; None if drd cannot know the person:
    root or drd's own user without a login, or a login that drd could not read."""
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


@dataclass(frozen=True, slots=True)
class Belief:
    """Checks whether an entry was signed with one of drd's `keys` (public keys in base64, by id)
    and has not changed since."""

    keys: Mapping[str, str]
    accepts: Accepts

    def __call__(self, entry: Entry) -> bool:
        public = self.keys.get(entry.key)
        if public is None or entry.header.hash != entry.hash or entry.is_altered:
            return False
        return self.accepts(public, entry.header.message(), entry.signature)


def newest_believed(
    entries: Iterable[Entry], about: Callable[[Entry], object], belief: Belief
) -> Iterator[Entry]:
    """Yield for each thing that entries are `about` the newest entry with a valid signature. An
    entry that is about None does not count. `entries` are newest first. To check a signature takes
    milliseconds, so older entries about the same thing are not checked."""
    known: set[object] = set()
    for entry in entries:
        thing = about(entry)
        if thing is not None and thing not in known and belief(entry):
            known.add(thing)
            yield entry


def attested(entries: Iterable[Entry], belief: Belief) -> Iterator[Attested]:
    """Yield the newest attestation of each text by each user, newest first. Leave out entries that
    are not complete."""

    def about(entry: Entry) -> object:
        return _texts(body_of(entry), "user", "text", "digest")

    for entry in newest_believed(entries, about, belief):
        user, text, digest = _texts(body_of(entry), "user", "text", "digest") or ("", "", "")
        yield Attested(user, text, digest, entry.header.at, entry.seq)


def drilled(entries: Iterable[Entry], belief: Belief) -> Iterator[Drilled]:
    """Yield the newest operator drill of each plan by each user, newest first. Leave out drills
    that count for nobody, and entries that are not complete."""

    def about(entry: Entry) -> object:
        body = body_of(entry)
        counts = body.get("counts") is True and body.get("result") == "passed"
        return _texts(body, "user", "plan") if counts else None

    for entry in newest_believed(entries, about, belief):
        body = body_of(entry)
        user, plan, run = _texts(body, "user", "plan", "run") or ("", "", "")
        yield Drilled(user, plan, run, entry.header.at, body.get("blind") is True, entry.seq)


def took_part(entries: Iterable[Entry], belief: Belief) -> Iterator[TookPart]:
    """Yield the people who took part in exercises that were played to their end, each with the last
    time that counts. A name that somebody else typed does not count."""
    known = sorted(entries, key=lambda entry: entry.seq)
    said: dict[int, dict[str, Entry]] = {}
    ends: dict[int, Entry] = {}
    for entry in known:
        body = body_of(entry)
        number = entry.seq if entry.header.kind == BEGIN else body.get("begun")
        user = proven_user(_actor(body))
        if isinstance(number, int) and entry.header.kind == END:
            ends.setdefault(number, entry)
        if isinstance(number, int) and user is not None:
            said.setdefault(number, {}).setdefault(user, entry)
    by_number, people = {entry.seq: entry for entry in known}, set()
    for played in reversed(plays(known)):
        users = said.get(played.number, {})
        new = {u: e for u, e in users.items() if (u, played.exercise.name) not in people}
        if played.ended_at is None or played.untold or not new:
            continue
        if not (belief(by_number[played.number]) and belief(ends[played.number])):
            continue
        for user, entry in new.items():
            if belief(entry):
                people.add((user, played.exercise.name))
                yield TookPart(user, played.exercise.name, played.ended_at, played.number)


def _texts(body: Mapping[str, Any], *keys: str) -> tuple[str, ...] | None:
    """Return these values if each is a text."""
    values = [body.get(key) for key in keys]
    texts = tuple(value for value in values if isinstance(value, str) and value)
    return texts if len(texts) == len(keys) else None


def _actor(body: Mapping[str, Any]) -> Actor | None:
    try:
        return Actor.from_json(body.get("actor"))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
