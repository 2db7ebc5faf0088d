"""Numbers of transactions: the server counts in 64 bits, and its WAL has the lower 32. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OLDEST, NEXT = "oldest_transaction", "next_transaction"
"""Facts of a copy: the oldest transaction that had not ended when the copying began, and the number
of the next one when it had ended."""

MOST = (1 << 63) - 1

_WRAP = 1 << 32


def in_wal(transaction: int) -> int:
    """Return the number by which the WAL has a transaction."""
    return transaction % _WRAP


def whole(transaction: int, near: int) -> int:
    """Return all 64 bits of a transaction: those nearest to another one, if only 32 are given."""
    if transaction >= _WRAP:
        return transaction
    found = near - near % _WRAP + transaction
    if found > near + _WRAP // 2:
        return found - _WRAP if found >= _WRAP else found
    return found + _WRAP if found + _WRAP // 2 < near else found


def facts(oldest: int, following: int | None) -> dict[str, int]:
    return {OLDEST: oldest, NEXT: following} if following is not None else {}


def comes_after(known: Mapping[str, Any], transaction: int) -> bool | None:
    """Return whether a transaction was committed after a copy with these facts; None if only the
    WAL tells it, because it ran during the copying, or an earlier version of drd made the copy."""
    if NEXT not in known:
        return None
    asked = whole(transaction, int(known[NEXT]))
    if asked >= known[NEXT]:
        return True
    return False if asked < known[OLDEST] else None
