"""Find out which keys belong to drd, and until when each of them signed.

On a host that was made from a recovery kit, the kit names these keys: its own key, the keys before
it, and the keys after it whose record the former key has signed. A copy of the catalogue from a
repository cannot add further keys. A key that this host has recorded since then belongs to drd.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from drd.model.chain import ChainCheck
from drd.model.kit import KitRecords
from drd.model.manifest_signature import Endorsement, ManifestKeys, Replaced, mark_of
from drd.model.records import KEY, Entry, body_of
from drd.ports import Catalogue
from drd.signing import accepts, public_key

_MOST_KEYS = 1000
_MOST_POINTS = 200_000
"""The record of a new key lists at most so many points: it is part of each export."""


def keys_of(catalogue: Catalogue) -> ManifestKeys:
    """Return the keys by which manifests may be signed."""
    told = catalogue.signatures.trusted()
    own: dict[str, str] = {}
    copied: dict[str, str] = {}
    entries = catalogue.records.newest(kind=KEY, limit=_MOST_KEYS)
    for entry in entries:
        is_own = told.after is None or entry.seq > told.after
        (own if is_own else copied).update(_named_by(entry))
    confirmed, claimed = {**own, **told.keys}, {} if told.keys else copied
    ends, points = _replaced(reversed(entries), {**claimed, **confirmed}, told.after)
    for key, end in told.replaced.items():
        ends[key] = end.at if end.seq is not None else min(end.at, ends.get(key, end.at))
    before_kit = frozenset(key for key, end in told.replaced.items() if end.seq is not None)
    return ManifestKeys(confirmed, claimed, ends, points, before_kit)


def _replaced(
    entries: Iterable[Entry], known: Mapping[str, str], after: int | None
) -> tuple[dict[str, datetime], dict[str, frozenset[str]]]:
    """Return when keys were replaced by others that are known, and what each had signed by then, by
    records that the former key signed, or that this host wrote itself (after entry `after`)."""
    ends: dict[str, datetime] = {}
    points: dict[str, frozenset[str]] = {}
    former = ""
    for entry in entries:
        for key in _named_by(entry):
            own = after is None or entry.seq > after
            message, signature = entry.header.message(), entry.signature
            by_former = own or accepts(known.get(former, ""), message, signature)
            if former and key in known and by_former:
                ends.setdefault(former, entry.header.at)
                listed = body_of(entry).get("points")
                if isinstance(listed, list):
                    points.setdefault(former, frozenset(map(str, listed)))
            ends.pop(key, None)
            points.pop(key, None)
            former = key
    return ends, points


def _named_by(entry: Entry) -> Mapping[str, str]:
    """Return the key that a record names, by its id."""
    values = body_of(entry)
    public = public_key(str(values.get("public")))
    if public is not None and public.id == values.get("key"):
        return {public.id: public.text}
    return {}


def points_of_key(catalogue: Catalogue, key: str) -> list[str] | None:
    """Return the marks of all manifests that a key has signed, for the record of the next one. None
    on a host that may not have seen all of them, and where there are too many."""
    if catalogue.signatures.trusted().after is not None:
        return None
    marks = [mark_of(digest) for digest in catalogue.signatures.by_key(key)]
    return marks if len(marks) <= _MOST_POINTS else None


def trust_kit(catalogue: Catalogue, kit: KitRecords | None, *, copied: bool) -> None:
    """Record which keys belong to drd by a kit: the key of the kit, the keys before it, and the
    keys in the records here that it proves. `copied`: the records came out of a repository."""
    keys: dict[str, str] = {}
    replaced: dict[str, Replaced] = {}
    key = public_key(kit.public) if kit is not None else None
    if kit is not None and key is not None:
        for former in kit.former:
            public = public_key(former.public)
            if public is not None and public.id == former.key:
                keys[public.id] = public.text
                replaced[public.id] = Replaced(former.replaced_at, former.replaced_seq)
        keys[key.id] = key.text
        keys |= _proven(catalogue.records.read(), kit, key.text)
    head = catalogue.records.head()
    if copied or keys:
        after = head.seq if copied and head is not None else 0
        catalogue.signatures.trust(keys, after=after, replaced=replaced)


def _proven(entries: Iterable[Entry], kit: KitRecords, current: str) -> dict[str, str]:
    """Return the keys of the records, if they are the ones from which the kit was made: those up to
    the entry that the kit knows, and those after it, of which each is in a record that the one in
    use (`current`, that of the kit first) has signed."""
    check, proven_keys = ChainCheck(accepts).keeping([kit.seq]), dict[str, str]()
    is_kits = False
    for entry in entries:
        if entry.seq > kit.seq and not is_kits:
            report = check.report
            is_kits = report.chain == kit.chain and check.hashes.get(kit.seq) == kit.hash
            if not is_kits:
                return {}
        check.add(entry)
        if check.report.faults:
            break
        if entry.header.kind != KEY:
            continue
        named = _named_by(entry)
        if entry.seq > kit.seq:
            if not accepts(current, entry.header.message(), entry.signature):
                continue
            current = next(iter(named.values()), current)
        proven_keys |= named
    is_kits = is_kits or (check.report.chain == kit.chain and check.hashes.get(kit.seq) == kit.hash)
    return proven_keys if is_kits else {}


def endorsements(catalogue: Catalogue) -> tuple[Endorsement, ...]:
    """Return how the keys replaced each other, by the records, the first change first."""
    signed = []
    for entry in reversed(catalogue.records.newest(kind=KEY, limit=_MOST_KEYS)):
        values = body_of(entry)
        if values.get("endorsed"):
            texts = (str(values.get(name, "")) for name in ("public", "former", "endorsed", "at"))
            signed.append(Endorsement(*texts))
    return tuple(signed)
