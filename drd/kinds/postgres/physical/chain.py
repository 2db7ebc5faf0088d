"""A chain: a full copy of a server, and the incremental copies that build on it.

A snapshot contains its whole chain: the full copy in the directories `data` and `tablespaces`, the
copies after it in `increments/1`, `increments/2` and so on. The fact `chain` describes all copies
before the newest one, which the other facts describe. Imports nothing heavy: `drd status` reads
it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

CHAIN, WHY = "chain", "full_because"
"""Facts: the copies before the newest one, oldest first; and why a copy is a full one."""

PARTS_BYTES = "parts_bytes"
"""The fact that has the size of all copies of the chain; `cluster_bytes` is that of the server that
is made of them."""

INCREMENTS = "increments"
MOST = 1000
"""No chain is longer."""

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Part:
    """A copy in a chain: the restore point that made it, with the snapshot and the repository in
    which it was stored first, and what pg_basebackup says of it. `at` is its data time."""

    point: str
    snapshot: str
    repository: str
    at: str
    label: str
    system_identifier: str
    timeline: int
    start_lsn: str
    end_lsn: str
    manifest_digest: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def chain_of(facts: Mapping[str, Any]) -> list[Part]:
    """Return the copies before the newest one; none of them before a full copy."""
    return [Part(**one) for one in facts.get(CHAIN, ())]


def directory_of(number: int) -> str:
    """Return where the copy with this number in its chain is, below the place of the snapshot."""
    return f"{INCREMENTS}/{number}" if number else "."


def room(facts: Mapping[str, Any]) -> int:
    """Return how many bytes a restore needs: of a chain the copies, and the server made of them."""
    whole = int(facts["cluster_bytes"])
    return whole + (int(facts[PARTS_BYTES]) if facts.get(CHAIN) else 0)


def size(facts: Mapping[str, Any]) -> int:
    """Return the size in bytes of the server, however many copies of it a snapshot contains."""
    return int(facts["cluster_bytes"])


def made(facts: Mapping[str, Any]) -> str:
    """Say how a snapshot was made, for people."""
    if facts.get(CHAIN):
        return copy_words(facts)
    why = short(str(facts.get(WHY) or ""))
    return f"full copy, because {why}" if why else "full copy"


def copy_words(facts: Mapping[str, Any]) -> str:
    """Name the copy, without the reason for a full one."""
    chain = facts.get(CHAIN)
    if not chain:
        return "full copy"
    return f"incremental copy {len(chain)} after the full copy of {chain[0]['point']}"


def base(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return for the evidence from which copies a server was made: `incremental`, and each copy by
    its restore point, with its positions in the WAL."""
    keys = ("point", "at", "start_lsn", "end_lsn")
    chain = [{key: part[key] for key in keys} for part in facts.get(CHAIN, ())]
    return {"incremental": bool(chain), **({CHAIN: chain} if chain else {})}


def short(why: str) -> str:
    """Return a reason as the facts keep it: one line of bounded length."""
    return " ".join("".join(c if c.isprintable() else " " for c in why).split())[:_LONGEST]


def position(lsn: str) -> int:
    """Return a position in the WAL as a number."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
