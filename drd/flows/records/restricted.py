"""Restricted entries: which they are, and how they leave this host, encrypted to the keys of the
roles."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from drd import age
from drd.errors import RepositoryDamaged, WrongKey
from drd.model.actor import Actor
from drd.model.incidents.entries import OPEN, PREFIX, REPORT, number_of
from drd.model.record_drafts import of_unsealing
from drd.model.record_file import Hides
from drd.model.records import Body, Entry
from drd.ports import Catalogue

_MOST = 1_000_000
_CONCEALED = "concealed"
_MARK = '"restricted":true'
"""In canonical JSON no text has this: its quotes are escaped."""


def hiding(catalogue: Catalogue, keys: Mapping[str, Iterable[str]], *, plain: bool = True) -> Hides:
    """Return what seals the bodies of restricted entries to the keys of the roles. Without any key
    they stay `plain`, or are left out."""
    return _Hiding(
        restricted_incidents(catalogue),
        recipients(keys),
        plain,
    )


def recipients(keys: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the keys of all roles, each once."""
    return tuple(dict.fromkeys(key for some in keys.values() for key in some))


@dataclass(frozen=True, slots=True)
class _Hiding:
    incidents: Mapping[str, int]
    recipients: tuple[str, ...]
    plain: bool

    def __call__(self, entry: Entry) -> str | None:
        if entry.body is None or not is_restricted(entry, self.incidents):
            return None
        if not self.recipients:
            return None if self.plain else ""
        return b64encode(age.encrypt(entry.body.whole, self.recipients)).decode()


def restricted_incidents(catalogue: Catalogue) -> Mapping[str, int]:
    """Return the subjects of all restricted incidents, each with the entry that made it one."""
    numbers: dict[str, int] = {}
    for kind in (OPEN, REPORT):
        for entry in catalogue.records.newest(kind=kind, limit=_MOST):
            if entry.sealed or _says_so(entry):
                subject = entry.header.subject
                numbers[subject] = min(numbers.get(subject, entry.seq), entry.seq)
    return numbers


def is_restricted(entry: Entry, incidents: Mapping[str, int]) -> bool:
    """Return whether only people with a role may read an entry: every entry of a restricted
    incident, and single entries of other incidents."""
    return entry.header.subject in incidents or (
        entry.header.kind.startswith(f"{PREFIX}.") and _says_so(entry)
    )


def _says_so(entry: Entry) -> bool:
    return entry.body is not None and _MARK in entry.body.text


def restricted_later(catalogue: Catalogue) -> Mapping[int, int]:
    """Return the entries of incidents that were not restricted when they were made, with the entry
    that has restricted them."""
    numbers: dict[int, int] = {}
    for subject, since in restricted_incidents(catalogue).items():
        for report in catalogue.records.about(subject, kind=REPORT):
            number = number_of(subject)
            if report.seq < since and number is not None:
                entries = catalogue.incidents.entries(catalogue.incidents.get(number))
                numbers |= {
                    e.seq: since for e in entries if e.header.subject == subject and e.seq < since
                }
    return numbers


def concealed(entries: Iterable[Entry], incidents: Mapping[str, int]) -> list[Entry]:
    """Return the entries without the bodies of restricted ones, for readers without a role."""
    return [
        replace(e, body=None, sealed=_CONCEALED) if is_restricted(e, incidents) else e
        for e in entries
    ]


def unsealed(entries: Iterable[Entry], identity: bytes) -> list[Entry]:
    """Return the entries with the bodies that the identity opens. `identity` is the text of an
    identity file. Raises UsageError, WrongKey, and RepositoryDamaged if the digest of a body
    differs from the digest in the chain."""
    return [_unsealed(entry, identity) if entry.sealed else entry for entry in entries]


@dataclass(frozen=True, slots=True)
class Opened:
    """What an identity opened: the entries whose bodies are back in the catalogue; the entries that
    it does not open; and the entries whose encrypted body is not the recorded one. `record` is the
    entry that says who opened them; None if nothing was opened."""

    entries: Sequence[Entry]
    closed: Sequence[int]
    false: Sequence[int]
    record: Entry | None = None


def put_back(catalogue: Catalogue, identity: bytes, at: datetime, actor: Actor) -> Opened:
    """Replace encrypted bodies in the catalogue by the bodies that an identity decrypts, and record
    who did this. `identity` is the text of an identity file. Raises UsageError."""
    age.identities(identity)
    opened: list[Entry] = []
    closed: list[int] = []
    false: list[int] = []
    for entry in catalogue.records.read():
        if not entry.sealed:
            continue
        try:
            opened.append(_unsealed(entry, identity))
        except WrongKey:
            closed.append(entry.seq)
        except (RepositoryDamaged, ValueError):
            false.append(entry.seq)
    if not opened:
        return Opened(opened, closed, false)
    with catalogue.together():
        catalogue.records.open_bodies(opened)
        said = of_unsealing([entry.seq for entry in opened], at, actor)
        record = catalogue.records.append(said)
    catalogue.incidents.rebuild()
    return Opened(opened, closed, false, record)


def _unsealed(entry: Entry, identity: bytes) -> Entry:
    whole = age.decrypt(b64decode(entry.sealed), identity)
    try:
        body = Body.read(whole)
    except ValueError:
        body = None
    if body is None or body.digest != entry.header.digest:
        raise RepositoryDamaged(
            f"the encrypted body of entry {entry.seq} differs from the body that was recorded: "
            "somebody replaced it",
            hint="use another copy: an export, or another repository.",
        )
    return replace(entry, body=body, sealed="")
