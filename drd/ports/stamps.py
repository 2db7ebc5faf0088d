"""Time stamps of the records."""

from __future__ import annotations

from typing import Protocol

from drd.model.timestamps import Stamp


class StampStore(Protocol):
    """The answers of authorities that have stamped entries of the records. They are not trusted:
    code that reads them checks the signature."""

    def keep(self, stamp: Stamp) -> None:
        """Keep a stamp. It replaces an earlier stamp of the same entry."""

    def newest(self, limit: int) -> list[Stamp]:
        """The stamps; the stamp of the newest entry comes first."""
