"""The chain of records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from drd.model.actor import Actor
from drd.model.records import Draft, Entry

if TYPE_CHECKING:
    from drd.signing import Signer


class RecordStore(Protocol):
    """The append-only chain of records. The other stores add entries about what they write, in the
    same transaction."""

    def append(self, draft: Draft) -> Entry:
        """Add an entry at the end. It is signed if the key can be read."""

    def extend(self, subject: str, drafts: Callable[[list[Entry]], Sequence[Draft]]) -> list[Entry]:
        """Call `drafts` with the entries about exactly this subject, and add the returned drafts at
        the end of the chain, in one transaction: nobody adds an entry in between. Returns the
        entries about the subject, then the new ones, oldest first."""

    def head(self) -> Entry | None:
        """The newest entry, without its body; None while there are no entries."""

    def get(self, seq: int) -> Entry:
        """Return the entry with this number. Raises UsageError if there is none."""

    def newest(
        self, *, plan: str | None = None, kind: str | None = None, limit: int = 50
    ) -> list[Entry]:
        """The newest entries, newest first, with their bodies."""

    def about(self, subject: str, *, kind: str) -> list[Entry]:
        """The entries of this kind about exactly this subject, newest first."""

    def read(self, *, after: int = 0, until: int | None = None) -> Iterator[Entry]:
        """All entries in order, with their bodies."""

    def redact(self, seq: int, *, reason: str, at: datetime, actor: Actor) -> Entry:
        """Remove the body of an entry, and record who did this and why. Raises UsageError if there
        is no such body, or if the record of this cannot be signed."""

    def go_on(self, draft: Draft, *, beyond: int) -> Entry:
        """Add an entry whose number is higher than `beyond`, because another copy of the chain has
        entries up to there. Raises UsageError if the entry cannot be signed."""

    def bring_back(self, entries: Sequence[Entry]) -> None:
        """Add entries of this chain, as they were, that another place has kept. Raises UsageError
        if they do not follow the newest one."""

    def open_bodies(self, entries: Sequence[Entry]) -> None:
        """Replace the encrypted bodies of these entries by the given bodies. Raises UsageError if a
        body does not have the digest in its entry."""

    def newest_about(self, kinds: str) -> Entry | None:
        """Return the newest entry, without its body, whose kind begins with these letters; None if
        there is none."""

    def current_key(self) -> str:
        """Return the id of the key that signs now; empty if there is none."""

    def missing_guards(self) -> list[str]:
        """The triggers of the database that refuse changes of entries, and that somebody
        removed."""

    def restore_guards(self) -> list[str]:
        """Make these triggers again. Returns their names."""

    def signer(self, at: datetime) -> Signer | None:
        """The key that signs now, recorded if it is the first; None if it cannot be read."""

    def record_key(self, draft: Draft, signer: Signer, *, expecting: str) -> Entry:
        """Record a key, by which entries are signed from now on. `signer` signs the record itself.
        Raises UsageError unless the present key is `expecting`."""
