"""Makes drd's key, and replaces it by a signed record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from drd.errors import UsageError
from drd.flows.records.key import RecordKey
from drd.flows.repository.drd_keys import points_of_key
from drd.model.manifest_signature import of_new_key
from drd.model.record_drafts import of_key
from drd.model.records import moment
from drd.ports import Catalogue
from drd.ports.records import RecordStore
from drd.process import actor_here
from drd.signing import PublicKey, Signer, new_key


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What was done with the key: `made` a file, `recorded` it, or finished an interrupted
    change."""

    public: PublicKey
    former: str = ""
    made: bool = False
    recorded: bool = False


def initialise(records: RecordStore, key: RecordKey, at: datetime) -> KeyChange:
    """Make the key if there is none, and record it. Does nothing if both are done. Raises
    UsageError if the chain has another key."""
    made = not key.exists
    if made:
        key.make(new_key())
    signer = key.read()
    current = records.current_key()
    if current == signer.public.id:
        return KeyChange(signer.public, made=made)
    if current:
        raise UsageError(
            f"the records are signed by key {current}, but {key.ref.describe()} contains key "
            f"{signer.public.id}",
            hint=f"restore the file of key {current}. If this key is lost: drd records "
            "rotate --lost",
        )
    _record(records, signer.public, signer, "", at)
    return KeyChange(signer.public, made=made, recorded=True)


def rotate(catalogue: Catalogue, key: RecordKey, at: datetime, *, lost: bool) -> KeyChange:
    """Replace the key. The former key signs the record of the new one, unless it is `lost`. The
    record lists the restore points of the former key: a point of this key that appears later was
    not made by drd. An interrupted change is finished."""
    records = catalogue.records
    current = records.current_key()
    if not current:
        raise UsageError("the records have no key yet", hint="make a key: drd records init")
    begun = key.prepared()
    if begun is not None and begun.public.id == current:
        key.put_next()
        return KeyChange(begun.public, current)
    former = None if lost else key.read()
    if former is not None and former.public.id != current:
        raise UsageError(
            f"the records are signed by key {current}, but {key.ref.describe()} contains key "
            f"{former.public.id}",
            hint=f"restore the file of key {current}. If this key is lost: drd records "
            "rotate --lost",
        )
    pem = new_key()
    signer = Signer(pem, "the new key of the records")
    key.prepare(pem)
    with catalogue.together():
        points = None if lost else points_of_key(catalogue, current)
        signed_by = former or signer
        _record(records, signer.public, signed_by, current, at, lost=lost, points=points)
    key.put_next()
    return KeyChange(signer.public, current, made=True, recorded=True)


def _record(
    records: RecordStore,
    public: PublicKey,
    signer: Signer,
    former: str,
    at: datetime,
    *,
    lost: bool = False,
    points: Collection[str] | None = None,
) -> None:
    said = of_new_key(public.text, moment(at))
    endorsed = signer.sign(said) if former and not lost else ""
    by = actor_here()
    draft = of_key(
        public.id, public.text, former, at, by, lost=lost, endorsed=endorsed, points=points
    )
    records.record_key(draft, signer, expecting=former)
