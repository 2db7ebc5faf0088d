"""Whether a key of the chain signed something."""

from __future__ import annotations

from functools import lru_cache

from drd.signing import PublicKey, public_key


def accepts(public: str, message: bytes, signature: str) -> bool:
    """Return whether a key of the chain accepts the message."""
    key = _key(public)
    return key is not None and key.accepts(message, signature)


@lru_cache(16)
def _key(public: str) -> PublicKey | None:
    return public_key(public)
