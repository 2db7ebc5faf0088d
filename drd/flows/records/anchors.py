"""Anchors: signed checkpoints of the chain of records in the repositories of the plans."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any

from drd.errors import DrdError, UsageError
from drd.flows.records import segments
from drd.flows.records.export import check_export
from drd.flows.records.unknown_keys import find_unknown, rotations
from drd.model.chain import ChainCheck, ChainReport, Continuation, continuation
from drd.model.checkpoint import (
    HOST,
    TAG,
    Anchor,
    Carried,
    Checkpoint,
    Vouched,
    is_explained,
    judge,
    read_tag,
    to_take_back,
)
from drd.model.kit import KitFormerKey, KitRecords
from drd.model.plan import Plan, RepositorySpec
from drd.model.record_file import Hides, RecordFile, hides_nothing
from drd.model.records import CONTINUED, KEY, Entry, canonical
from drd.model.units import format_time
from drd.ports import Catalogue, Repository
from drd.signing import Signer, accepts

_FILE = "checkpoint.json"
_MOST_KEYS = 1000
_NOT_DELETED = frozenset({"object-lock", "append-only"})
"""The values of a plan which claim that this host's own key cannot delete in the repository; `drd
doctor` checks the claim."""

_MOST_SOON = 3

Open = Callable[[RepositorySpec], Repository]


@dataclass(frozen=True, slots=True)
class Place:
    """A repository for anchors, and how messages name it."""

    spec: RepositorySpec
    plan: str

    @property
    def name(self) -> str:
        return f"repository {self.spec.name} of {self.plan}"

    @property
    def weak(self) -> bool:
        return self.spec.protection not in _NOT_DELETED


@dataclass(frozen=True, slots=True)
class Result:
    """The result at one repository. `stored` is False if nothing had to be stored, or nothing could
    be stored. `ahead` is an anchor that knows more than this host: of another host, or of a time
    before a copy of the state was put back. With an `error` and a `seq`, the anchor is there in
    spite of the error."""

    place: Place
    seq: int = 0
    stored: bool = False
    taken_back: int = 0
    error: str = ""
    ahead: Anchor | None = None


def places(plans: Iterable[Plan]) -> list[Place]:
    """Return the repositories of the plans that drd writes to, each once."""
    by_name: dict[str, Place] = {}
    for plan in plans:
        for spec in () if plan.made_by else plan.repositories.values():
            known = by_name.get(spec.url)
            if known is None or (known.weak and not Place(spec, plan.name).weak):
                by_name[spec.url] = Place(spec, plan.name)
    return list(by_name.values())


def soon(plans: Sequence[Plan], scope: Collection[str]) -> list[Place]:
    """Return the repositories that get anchors at once while an incident is open: some of the plans
    in its scope, and one of another plan. Repositories in which this host cannot delete come first.
    """

    def strong_first(some: Iterable[Plan]) -> list[Place]:
        return sorted(places(some), key=lambda place: place.weak)

    inside = strong_first(p for p in plans if p.name in scope)[:_MOST_SOON]
    urls = {place.spec.url for place in inside}
    outside = strong_first(p for p in plans if p.name not in scope)
    return [*inside, *[place for place in outside if place.spec.url not in urls][:1]]


def installation(catalogue: Catalogue) -> str:
    """Return the id of this installation: of its machine and the path of its catalogue."""
    here = catalogue.custody.here()
    words = (here.machine, here.path) if here is not None else ("", socket.gethostname())
    return sha256("\0".join(words).encode()).hexdigest()[:16]


def checkpoint(
    catalogue: Catalogue,
    head: Entry,
    signer: Signer,
    at: datetime,
    carried: Carried | None = None,
) -> Checkpoint:
    """Return the signed statement that the chain has this entry now."""
    unsigned = Checkpoint(
        chain=catalogue.records.get(1).header.hash,
        seq=head.seq,
        hash=head.header.hash,
        at=at,
        host=socket.gethostname(),
        state=installation(catalogue),
        public=signer.public.text,
        key=signer.public.id,
        carried=carried,
    )
    return replace(unsigned, signature=signer.sign(unsigned.message()))


def found(place: Place, repository: Repository) -> list[Anchor]:
    """List the anchors in a repository, oldest first. Raises RepositoryError's children."""
    listing = repository.snapshots(host=HOST, tags=[TAG], fresh=True)
    anchors = []
    for snapshot in listing:
        read = (read_tag(tag) for tag in snapshot.tags)
        point = next((point for point in read if point is not None), None)
        if point is not None:
            anchors.append(Anchor(point, place.name, snapshot.id, place.weak))
    return anchors


def anchor(
    catalogue: Catalogue,
    place: Place,
    open_repository: Open,
    signer: Signer,
    at: datetime,
    *,
    entries: bool = False,
    anew: bool = False,
    hides: Hides = hides_nothing,
) -> Result:
    """Store an anchor of the newest entry of the chain, unless the repository has one, and remove
    older anchors that it covers. With `entries`, also store the entries that the repository lacks;
    `hides` encrypts their restricted bodies. `anew` stores the files that contain restricted
    entries again. An error is part of the result: other repositories are not affected. If there is
    an anchor of this chain by a key that the chain does not name, the result names it, and it is
    not removed. Only if it is proven, nothing is stored, because whoever has the repository's
    password can store a false anchor."""
    head = catalogue.records.head()
    if head is None:
        return Result(place)
    try:
        repository = open_repository(place.spec)
        repository.preflight()
        here = found(place, repository)
        chain, keys = catalogue.records.get(1).header.hash, chain_keys(catalogue)
        ours = [a for a in here if a.checkpoint.chain == chain and _is_ours(a, keys)]
        if ahead := _ahead(ours, catalogue, head):
            return Result(place, error=_says_more(ahead, head), ahead=ahead)
        unknown = find_unknown(here, chain, _keys(catalogue), continuations(catalogue), repository)
        if unknown is not None and unknown.is_proven:
            return Result(place, error=unknown.text, ahead=unknown.anchor)
        store = _Storing(catalogue, place, repository, signer, at)
        known = [a for a in ours if _hash_of(catalogue, a.checkpoint.seq) == a.checkpoint.hash]
        again = max((a.checkpoint.seq for a in known), default=0) if anew else 0
        if entries or anew:
            there = segments.held(catalogue, known, again)
            stored = store.entries(there, head, hides, anew=anew)
        else:
            stored = [] if any(a.checkpoint.seq == head.seq for a in ours) else [store.bare(head)]
        left = segments.held(catalogue, [*known, *stored], again)
        done = Result(place, seq=head.seq, stored=bool(stored))
        done = _without_older(done, repository, [*ours, *stored], left)
        return replace(done, error=unknown.text, ahead=unknown.anchor) if unknown else done
    except DrdError as error:
        return Result(place, error=error.message)


@dataclass(frozen=True, slots=True)
class _Storing:
    """Stores anchors in one repository."""

    catalogue: Catalogue
    place: Place
    repository: Repository
    signer: Signer
    at: datetime

    def bare(self, head: Entry) -> Anchor:
        point = checkpoint(self.catalogue, head, self.signer, self.at)
        return self._store(point, canonical(point.to_json()) + b"\n", _FILE)

    def entries(
        self, held: segments.Held, head: Entry, hides: Hides, *, anew: bool
    ) -> list[Anchor]:
        """Store the entries that it lacks, up to the newest one; `anew` only if it has some that
        are spoiled."""
        if not held.lacks(head.seq) or (anew and not held.is_spoiled):
            return []
        return [
            self._store(
                checkpoint(self.catalogue, part.last, self.signer, self.at, part.carried),
                part.data,
                segments.FILE,
            )
            for part in segments.parts(self.catalogue, held.begins_after, head.seq, hides)
        ]

    def _store(self, point: Checkpoint, data: bytes, name: str) -> Anchor:
        stored = self.repository.store_bytes(data, name, host=HOST, tags=[TAG, point.tag()])
        return Anchor(point, self.place.name, stored.snapshot, self.place.weak)


def key_records(catalogue: Catalogue) -> Iterator[tuple[Entry, Mapping[str, Any]]]:
    """Yield the entries by which the chain got its keys, oldest first, with their content."""
    for entry in reversed(catalogue.records.newest(kind=KEY, limit=_MOST_KEYS)):
        if entry.body is not None:
            yield entry, json.loads(entry.body.text)


def chain_keys(catalogue: Catalogue) -> frozenset[str]:
    """Return the public keys of the chain, as its records name them."""
    return frozenset(_keys(catalogue).values())


def _keys(catalogue: Catalogue) -> dict[str, str]:
    return {str(body.get("key")): str(body.get("public")) for _, body in key_records(catalogue)}


def _is_ours(anchor: Anchor, keys: frozenset[str]) -> bool:
    """Whether a key of the chain signed it: others could have stored the rest."""
    point = anchor.checkpoint
    return point.public in keys and accepts(point.public, point.message(), point.signature)


def _ahead(ours: Sequence[Anchor], catalogue: Catalogue, head: Entry) -> Anchor | None:
    """Return an anchor that knows an entry which this catalogue does not have, or has otherwise, if
    no record of this chain says why."""
    told = continuations(catalogue)
    for one in (a for a in reversed(ours) if not is_explained(a.checkpoint, told)):
        if one.checkpoint.seq > head.seq:
            return one
        if _hash_of(catalogue, one.checkpoint.seq) != one.checkpoint.hash:
            return one
    return None


def continuations(catalogue: Catalogue) -> list[Continuation]:
    """Return the records by which this chain went on after something was lost."""
    entries = catalogue.records.newest(kind=CONTINUED, limit=_MOST_KEYS)
    return [one for e in entries if e.signature and (one := continuation(e)) is not None]


def _hash_of(catalogue: Catalogue, seq: int) -> str | None:
    try:
        return catalogue.records.get(seq).header.hash
    except UsageError:
        return None


def _says_more(ahead: Anchor, head: Entry) -> str:
    point = ahead.checkpoint
    return (
        f"{ahead.place} has an anchor of entry {point.seq} of "
        f"{format_time(point.at, seconds=True)}, stored by host {point.host}, but the chain "
        f"of this host is a different one, which ends with entry {head.seq}"
    )


def _without_older(
    done: Result, repository: Repository, ours: Sequence[Anchor], held: segments.Held
) -> Result:
    """Forget anchors that later ones cover, where this host may forget anything. If that fails, for
    example while a backup runs there, the new anchor is there all the same."""
    covered = to_take_back(ours, held.needed, held.spoiled) if done.place.weak else []
    if not covered:
        return done
    try:
        repository.forget([a.snapshot for a in covered])
    except DrdError as error:
        return replace(done, error=f"older anchors were not removed: {error.message}")
    return replace(done, taken_back=len(covered))


def noted(results: Iterable[Result], before: Mapping[str, object]) -> dict[str, object]:
    """Return the facts to note about the results, by URL."""
    now: dict[str, object] = {}
    for result in results:
        url = result.place.spec.url
        known = before.get(url)
        seq = result.seq or (known.get("seq", 0) if isinstance(known, Mapping) else 0)
        now[url] = {
            "place": result.place.name,
            "seq": seq,
            "error": result.error,
            "failed": bool(result.error) and not result.seq,
            "forked": result.ahead is not None,
        }
    return now


def compare(
    catalogue: Catalogue,
    wanted: Sequence[Place],
    open_repository: Open,
    others: Sequence[Anchor] = (),
    own: str | None = None,
) -> tuple[ChainReport, Vouched]:
    """Check the whole chain, and compare it with the anchors in these places, and with others.
    `own` is the public key of this host, None if it cannot be read.

    The chain is read after the anchors, so that it has every entry that they know."""
    anchors, unreached = list(others), {}
    opened: dict[str, Repository] = {}
    for place in wanted:
        try:
            repository = open_repository(place.spec)
            repository.preflight(writing=False)
            anchors += found(place, repository)
            opened[place.name] = repository
        except DrdError as error:
            unreached[place.name] = error.message
    checking = ChainCheck(accepts).keeping(a.checkpoint.seq for a in anchors)
    for entry in catalogue.records.read():
        checking.add(entry)
    report = checking.done()
    keys = {key.id: key.public for key in report.keys}
    rotated = rotations(keys, report.chain, anchors, opened)
    here = installation(catalogue)
    vouched = judge(report, checking.hashes, anchors, here, accepts, rotated=rotated, own=own)
    vouched.unreached = unreached
    return report, vouched


def of_export(exported: RecordFile, place: str) -> Anchor | None:
    """Return the newest entry of the chain by an export, as a trusted anchor: whoever kept the
    export elsewhere trusts it."""
    report = check_export(exported)
    if report.faults or report.last is None or not report.keys:
        return None
    last, key = report.last, report.keys[-1]
    point = Checkpoint(
        report.chain, last.seq, last.hash, last.header.at, "", "0" * 16, key.public, key.id
    )
    return Anchor(point, place, weak=False, trusted=True)


def standing(catalogue: Catalogue, at: datetime) -> KitRecords | None:
    """Return the newest state of the chain, for a recovery kit; None if the chain has no
    signatures."""
    head = catalogue.records.head()
    keys = list(key_records(catalogue))
    if head is None or not keys:
        return None
    _, body = keys[-1]
    first = catalogue.records.get(1).header.hash
    former = tuple(
        KitFormerKey(str(old["key"]), str(old["public"]), by.header.at, by.seq)
        for (_, old), (by, _) in pairwise(keys)
    )
    key, public = str(body["key"]), str(body["public"])
    return KitRecords(first, head.seq, head.hash, at, key, public, former)


def of_kit(known: KitRecords, place: str) -> Anchor:
    """Return the newest entry of the chain by a kit, as a trusted anchor: whoever has opened the
    kit trusts it."""
    point = Checkpoint(
        known.chain, known.seq, known.hash, known.at, "", "0" * 16, known.public, known.key
    )
    return Anchor(point, place, weak=False, trusted=True)
