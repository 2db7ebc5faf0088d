"""Whether the chain of records is whole."""

from __future__ import annotations

from functools import lru_cache

from drd.model.chain import ChainReport, check
from drd.ports.records import RecordStore
from drd.signing import PublicKey, public_key


def check_chain(records: RecordStore) -> ChainReport:
    """Check all entries of the catalogue."""
    return check(records.read(), accepts)


def accepts(public: str, message: bytes, signature: str) -> bool:
    """Return whether a key of the chain accepts the message."""
    key = _key(public)
    return key is not None and key.accepts(message, signature)


@lru_cache(16)
def _key(public: str) -> PublicKey | None:
    return public_key(public)
