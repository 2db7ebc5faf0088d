"""Time stamps of others (RFC 3161), which prove that an entry of the records existed at a time.
Pure.

What is stamped is the hash of the entry, which covers all entries before it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drd.model.chain import Fault

TAG = "drd-timestamp"
FILE = "timestamp.tsr"

INSTALL = f"install it beside drd: {sys.executable} -m pip install 'rfc3161-client>=1.0.6,<2'"
"""The remedy where the library is missing, which is optional."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Who stamps: the URL, the file with the certificates (PEM) that are trusted, and after how
    many seconds the newest entry is stamped again."""

    url: str
    ca: str
    every_s: float


@dataclass(frozen=True, slots=True)
class Stamp:
    """The answer of an authority about entry `seq` with this `hash`, which reached this host at
    `at`. `response` is a whole TimeStampResp (DER), as openssl reads it."""

    seq: int
    hash: str
    at: datetime
    authority: str
    response: bytes

    @property
    def tags(self) -> tuple[str, str]:
        """The tags of the stamp's snapshot, by which a listing shows what is stamped."""
        return (TAG, f"stamp.{self.seq}.{self.hash}")

    @property
    def file(self) -> str:
        """Its name in an export."""
        return f"entry-{self.seq}.tsr"


@dataclass(slots=True)
class Stamped:
    """What time stamps prove about a chain. `proven` has the valid stamps, each with the time that
    the authority signed, oldest entry first; `wrong` says why others prove nothing. `faults` are
    about stamps of entries that differ from the chain's. `unchecked` says why no stamp could be
    checked, `failing` why the authority stamped nothing at the last try; `count` is the number of
    all stamps."""

    count: int = 0
    proven: list[tuple[Stamp, datetime]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unchecked: str = ""
    failing: str = ""


def is_due(newest: Stamp | None, head: int, every_s: float, now: datetime) -> bool:
    """Return whether the newest entry `head` is to be stamped. A time in the future is ignored: the
    clock was set."""
    if newest is None:
        return True
    waited = newest.at > now or now - newest.at >= timedelta(seconds=every_s)
    return newest.seq < head and waited
