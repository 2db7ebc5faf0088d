"""The repositories that drd has used."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class RepositoryStore(Protocol):
    """Which repository was found at which URL, and when drd's own state was last stored there."""

    def id_of(self, url: str) -> str | None:
        """Return the id that was recorded last for this URL; None when none was recorded."""

    def record(self, url: str, repository_id: str, at: datetime) -> None:
        """Record the id of the repository at this URL. If the id is the same as before, nothing
        changes."""

    def count(self) -> int:
        """Return how many repositories were ever used."""

    def last_self_backup(self, url: str) -> datetime | None:
        """Return when drd's own state was last stored at this URL."""

    def record_self_backup(self, url: str, at: datetime) -> None:
        """Record that drd's own state was stored at this URL."""
