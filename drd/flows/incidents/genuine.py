"""Whether drd itself recorded a message and its approval, before the message leaves.

Whoever can write the catalogue can write entries that contradict nothing there, but cannot sign
them."""

from __future__ import annotations

from datetime import datetime

from drd.errors import SecretUnavailable, UsageError
from drd.model.chain import ChainCheck, KnownKey
from drd.model.incidents.messages import IncidentMessage
from drd.model.records import KEY, Entry
from drd.ports import Catalogue
from drd.signing import Signer, accepts, public_key

_MOST_KEYS = 1000


def require_genuine(
    catalogue: Catalogue, message: IncidentMessage, number: int, at: datetime
) -> None:
    """Raise UsageError if the draft or the approval of a message of incident `number` to people
    outside is not signed by a key of drd's; SecretUnavailable, which a retry can help, if drd
    cannot read its key. On a host that never had a key there is nothing to compare."""
    assert message.content is not None
    if not message.content.audience.is_external:
        return
    signer = catalogue.records.signer(at)
    if signer is None:
        if current := catalogue.records.current_key():
            raise SecretUnavailable(
                f"drd cannot check that message {message.number} is the one that was approved, "
                f"because drd cannot read the key {current}, which its records name",
                hint="to see why: drd records key",
                permanent=False,
            )
        return
    keys = _keys(catalogue, signer)
    for seq, what in ((message.entry, "draft"), (message.approval, "approval")):
        if not _is_signed(catalogue.records.get(seq), keys):
            raise UsageError(
                f"the {what} of message {message.number}, entry {seq}, is not signed by drd's key: "
                "somebody changed the records, or drd could not read its key then",
                hint="check the records: drd records verify. Then write the message again: "
                f"drd incident message draft {number} {message.content.audience}",
            )


def _keys(catalogue: Catalogue, signer: Signer) -> list[KnownKey]:
    """Return the keys of the chain, the first one first; none if the chain does not end with the
    key of this host."""
    checking = ChainCheck(accepts)
    for entry in reversed(catalogue.records.newest(kind=KEY, limit=_MOST_KEYS)):
        checking.add(entry)
    keys = checking.report.keys
    return keys if keys and keys[-1].public == signer.public.text else []


def _is_signed(entry: Entry, keys: list[KnownKey]) -> bool:
    key = next((k for k in reversed(keys) if k.since < entry.seq), None)
    public = public_key(key.public) if key is not None else None
    return (
        public is not None
        and public.id == entry.key
        and public.accepts(entry.header.message(), entry.signature)
    )
