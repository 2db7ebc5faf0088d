"""Examine a dump that is not a file of this host, by its first and last bytes; a small packed dump
is read to its end.

How much is read depends on the dump alone, and what cannot be read is an error: the same copy gets
the same answer each time."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import IO, Protocol

from drd.errors import RepositoryError
from drd.repositories.adopted import cut_off
from drd.repositories.adopted.cut_off import Looked

FIRST, LAST = 64 << 10, 4096
"""How many bytes are read at the beginning and at the end of a dump."""


class Afar(Protocol):
    """A dump elsewhere, with so many bytes. All calls raise RepositoryError's children."""

    name: str
    size: int

    def first(self, count: int) -> bytes:
        """Return the first bytes: so many, or more, or all."""

    def last(self, count: int) -> bytes:
        """Return the last bytes, as `first` does."""

    def whole(self, into: IO[bytes]) -> None:
        """Write the whole dump into an empty file."""


def looked(dump: Afar) -> Looked:
    """Examine a dump that is not empty."""
    head = dump.first(min(FIRST, dump.size))
    _require(dump, len(head), min(FIRST, dump.size))
    if cut_off.is_small(head, dump.size):
        with TemporaryFile() as file:
            dump.whole(file)
            _require(dump, file.seek(0, 2), dump.size)
            return cut_off.of_file(file)
    tail = head[-LAST:] if len(head) >= dump.size else dump.last(LAST)
    _require(dump, len(tail), min(LAST, dump.size))
    return cut_off.of_file(cut_off.Ends(head, tail, dump.size), whole=False)


def _require(dump: Afar, got: int, wanted: int) -> None:
    if got < wanted:
        raise RepositoryError(
            f"drd could read only {got:,} of {wanted:,} bytes of {dump.name}",
            hint="it was removed or replaced meanwhile, or lies in an archive from which it must "
            "be restored first. drd tries again at the next listing.",
        )
