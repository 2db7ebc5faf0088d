"""Brings entries that anchors carry back into the catalogue, after a loss.

Whoever has a repository's password can store anything there. An entry is restored only if it
follows the entries of the catalogue, and if a key that this host knows has signed it, or a later
entry, or the anchor that carries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from drd.errors import DrdError
from drd.flows.records import segments
from drd.flows.records.anchors import Open, Place, found, key_records
from drd.model.chain import ChainCheck, KnownKey, in_force
from drd.model.checkpoint import Anchor, Checkpoint
from drd.model.kit import KitRecords
from drd.model.malformed import Malformed
from drd.model.records import Entry
from drd.model.text import counted, some
from drd.ports import Catalogue, Repository
from drd.signing import accepts, public_key

_MOST_READ = 2000
_AT_ONCE = 500
_MOST_REFUSED = 50
_MOST_HELD = 256 << 20
"""The largest size in bytes of files in memory whose entries no known key has confirmed yet."""


@dataclass(slots=True)
class CameBack:
    """The restored entries: from `first` to `last`, whose time is `at`; none if `count` is 0.
    `newest` is the last anchor that was found of the chain. `refused` says which anchor or entry
    drd did not trust, and why; `unreached` which places could not be read. `on_trust` is the id of
    the key if nothing on this host says that it is drd's."""

    count: int = 0
    first: int = 0
    last: int = 0
    at: datetime | None = None
    newest: Anchor | None = None
    refused: list[str] = field(default_factory=list)
    unreached: dict[str, str] = field(default_factory=dict)
    on_trust: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What this host knows about the chain from other sources: the ids of keys, and what a recovery
    kit says."""

    keys: frozenset[str] = frozenset()
    kit: KitRecords | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    anchor: Anchor
    repository: Repository

    @property
    def point(self) -> Checkpoint:
        return self.anchor.checkpoint

    @property
    def after(self) -> int:
        carried = self.point.carried
        return carried.after if carried is not None else self.point.seq

    @property
    def name(self) -> str:
        return f"the anchor {self.anchor.snapshot[:8]} in {self.anchor.place}"


def bring_back(
    catalogue: Catalogue,
    wanted: Iterable[Place],
    open_repository: Open,
    known: Known,
    copied: Iterable[Entry] = (),
) -> CameBack:
    """Add the entries after the newest entry of the catalogue: first the entries `copied` from
    another file of the catalogue, then the entries that anchors in these places carry."""
    done = CameBack()
    if known.keys:
        _take_copied(catalogue, copied, known, done)
    sources = list(_sources(wanted, open_repository, done))
    chain = _chain(catalogue, sources, known, done)
    if chain is None:
        return done
    sources = [s for s in sources if s.point.chain == chain]
    verifier = _Verifier(catalogue, known)
    _read_all(catalogue, sources, verifier, done)
    genuine = [s.anchor for s in sources if verifier.signed_by_known(s.point)]
    done.newest = max(genuine, key=lambda a: (a.checkpoint.seq, not a.weak), default=None)
    done.on_trust = verifier.on_trust if done.count else ""
    if done.count:
        catalogue.incidents.rebuild()
    return done


def _take_copied(
    catalogue: Catalogue, copied: Iterable[Entry], known: Known, done: CameBack
) -> None:
    """Add the entries of a copy of the catalogue, as far as a known key confirms them."""
    verifier, left = _Verifier(catalogue, known), iter(copied)
    while some := list(islice(left, _AT_ONCE)):
        try:
            verifier.add(some, None)
        except (Malformed, ValueError, TypeError, KeyError, RecursionError) as error:
            done.refused.append(f"drd does not use the rest of the copy of its catalogue: {error}")
            left = iter(())
        _import(catalogue, verifier.confirmed(), done)


def _sources(wanted: Iterable[Place], open_repository: Open, done: CameBack) -> Iterator[_Source]:
    for place in wanted:
        try:
            repository = open_repository(place.spec)
            repository.preflight(writing=False)
            for anchor in found(place, repository):
                if _is_whole(anchor.checkpoint):
                    yield _Source(anchor, repository)
        except DrdError as error:
            done.unreached[place.name] = error.message


def _is_whole(point: Checkpoint) -> bool:
    """Whether the key that it names has signed it: nothing yet says whose key that is."""
    key = public_key(point.public)
    is_named = key is not None and key.id == point.key
    return is_named and accepts(point.public, point.message(), point.signature)


def _chain(
    catalogue: Catalogue, sources: Sequence[_Source], known: Known, done: CameBack
) -> str | None:
    """Return the chain that this installation continues; None if drd cannot tell."""
    head = catalogue.records.head()
    if head is not None:
        chain = next(catalogue.records.read(until=head.seq)).header.hash
        if known.kit is not None and known.kit.chain != chain:
            done.refused.append(
                "the kit contains a different chain of records than this catalogue, so drd "
                "did not add its entries. Use a kit that was made from this catalogue"
            )
            return None
        return chain
    if known.kit is not None:
        return known.kit.chain
    carrying = [s for s in sources if s.point.carried is not None]
    ours = {s.point.chain for s in carrying if s.point.key in known.keys}
    chains = ours or ({s.point.chain for s in carrying} if not known.keys else set())
    if len(chains) == 1:
        return chains.pop()
    if carrying:
        ids = some(sorted({s.point.key for s in carrying}), 5)
        done.refused.append(
            f"the repositories have entries of {len(chains) or 'other'} chains, signed by "
            f"keys {ids}. drd does not know which chain belongs to this host. Restore the "
            "file with the key of this host, or use the kit"
        )
    return None


def _read_all(
    catalogue: Catalogue, sources: list[_Source], verifier: _Verifier, done: CameBack
) -> None:
    """Read file after file, as long as one goes on where the one before has ended."""
    left, held = [s for s in sources if s.point.carried is not None], 0
    for _ in range(_MOST_READ):
        fit = [s for s in left if s.after <= verifier.reached < s.point.seq]
        if fit and held <= _MOST_HELD:
            # Files of keys that nobody here knows come last: there may be many of them.
            source = max(fit, key=lambda s: (verifier.signed_by_known(s.point), s.point.seq))
            left.remove(source)
            why = _added(verifier, source)
            confirmed = verifier.confirmed()
            _import(catalogue, confirmed, done)
            held = 0 if confirmed else held + _size(source.point)
            if why:
                done.refused.append(f"drd does not use {source.name}: {why}")
                verifier.forget_pending()
        elif verifier.pending:
            done.refused.append(
                f"drd does not use {counted(len(verifier.pending), 'entry', 'entries')} "
                f"after entry {verifier.confirmed_up_to}, because this host does not know "
                "the key that signed them"
            )
            verifier.forget_pending()
            held = 0
        else:
            break
        if len(done.refused) >= _MOST_REFUSED:
            break


def _added(verifier: _Verifier, source: _Source) -> str:
    """Add the entries of a file; returns why not all of them were added."""
    try:
        verifier.add(segments.carried_by(source.anchor, source.repository), source.point)
    except DrdError as error:
        return error.message
    except (Malformed, ValueError, TypeError, KeyError, RecursionError) as error:
        return str(error)
    return ""


def _size(point: Checkpoint) -> int:
    return point.carried.size if point.carried is not None else 0


def _import(catalogue: Catalogue, entries: Sequence[Entry], done: CameBack) -> None:
    if not entries:
        return
    catalogue.records.bring_back(entries)
    done.first = done.first or entries[0].seq
    done.last, done.at = entries[-1].seq, entries[-1].header.at
    done.count += len(entries)


class _Verifier:
    """Follows the chain, and knows up to which entry a known key has confirmed it."""

    def __init__(self, catalogue: Catalogue, known: Known) -> None:
        self._head = catalogue.records.head()
        self._keys = list(_keys_in(catalogue))
        self._trusted = {*known.keys, *(key.id for key in self._keys)}
        self._kit = known.kit
        if self._kit is not None:
            self._trusted.add(self._kit.key)
        self._replaced = _replaced(catalogue, self._kit)
        self._knew_nothing = not self._trusted
        self.on_trust = ""
        self.pending: list[Entry] = []
        self._good = 0

    @property
    def confirmed_up_to(self) -> int:
        return self._head.seq if self._head is not None else 0

    @property
    def reached(self) -> int:
        return self.pending[-1].seq if self.pending else self.confirmed_up_to

    def signed_by_known(self, point: Checkpoint | None) -> bool:
        """Whether a key that this host knows, and that none had replaced by then, signed it."""
        return (
            point is not None
            and point.key in self._trusted
            and in_force(self._keys, point.key, point.seq)
            and self._still_signs(point.key, point.seq)
        )

    def _still_signs(self, key: str, seq: int) -> bool:
        """Return whether no kit says that another key had replaced this one at the entry."""
        return key not in self._replaced or seq <= self._replaced[key]

    def add(self, entries: Iterable[Entry], point: Checkpoint | None) -> None:
        """Add the entries of a file that go on from here; `point` carries them. Raises Malformed
        for one that does not; those before it stay.

        Only who signs for a file may leave bodies out. The record of the key that signs for it may
        be in the file itself, after such an entry."""
        begun = len(self.pending)
        try:
            self._add(entries, point)
        finally:
            self._require_bodies(begun, point)

    def _require_bodies(self, begun: int, point: Checkpoint | None) -> None:
        if point is None or self.signed_by_known(point):
            return
        added = self.pending[begun:]
        short = next((n for n, entry in enumerate(added) if entry.body is None), None)
        if short is not None:
            del self.pending[begun + short :]
            self._good = min(self._good, len(self.pending))
            self._keys = [key for key in self._keys if key.since <= self.reached]
            raise Malformed(f"entry {added[short].seq} has no body")

    def _add(self, entries: Iterable[Entry], point: Checkpoint | None) -> None:
        last = self.pending[-1] if self.pending else self._head
        checking = ChainCheck.going_on(accepts, last, self._keys)
        for entry in entries:
            if entry.seq <= self.reached:
                continue
            checking.add(entry)
            faults = checking.report.faults
            if faults:
                raise Malformed(f"entry {entry.seq}: {faults[0].text}")
            self._knows(entry)
            self.pending.append(entry)
            self._keys = list(checking.report.keys)
            self._judge(entry)
        end = self.pending[-1] if self.pending else None
        if point is not None and end is not None and (end.seq, end.hash) == (point.seq, point.hash):
            self._good = len(self.pending) if self.signed_by_known(point) else self._good

    def _knows(self, entry: Entry) -> None:
        kit = self._kit
        if kit is None:
            return
        wrong_first = self.reached == 0 and entry.hash != kit.chain
        if wrong_first or (entry.seq == kit.seq and entry.hash != kit.hash):
            raise Malformed(f"entry {entry.seq} differs from the entry in the kit")

    def _judge(self, entry: Entry) -> None:
        key = self._keys[-1] if self._keys else None
        if key is None or not entry.signature:
            return
        if key.since == entry.seq:
            if self._knew_nothing and len(self._keys) == 1:
                self.on_trust = key.id
                self._trusted.add(key.id)
            former = self._keys[-2:-1]
            if key.attested and former and former[0].id in self._trusted:
                self._trusted.add(key.id)
        if key.id in self._trusted and self._still_signs(key.id, entry.seq):
            self._good = len(self.pending)

    def confirmed(self) -> list[Entry]:
        """Return the entries that are confirmed by now, once."""
        done, self.pending = self.pending[: self._good], self.pending[self._good :]
        self._good = 0
        if done:
            self._head = done[-1]
        return done

    def forget_pending(self) -> None:
        """Go back to the newest entry that is confirmed."""
        self.pending, self._good = [], 0
        self._keys = [key for key in self._keys if key.since <= self.confirmed_up_to]


def _replaced(catalogue: Catalogue, kit: KitRecords | None) -> dict[str, int]:
    """Return the entries by which kits say that keys were replaced."""
    told = catalogue.signatures.trusted().replaced
    replaced = {key: end.seq for key, end in told.items() if end.seq is not None}
    return replaced | {key.key: key.replaced_seq for key in (kit.former if kit is not None else ())}


def _keys_in(catalogue: Catalogue) -> Iterator[KnownKey]:
    for entry, body in key_records(catalogue):
        public = public_key(str(body.get("public")))
        if public is not None:
            yield KnownKey(public.id, public.text, entry.seq, attested=not body.get("lost"))
