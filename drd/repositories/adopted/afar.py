"""Examine a dump that is not a file of this host, by its first and last bytes; a small packed dump
is read to its end.

How much is read depends on the dump alone, and what cannot be read is an error: the same copy gets
the same answer each time."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import IO, Protocol

from drd.errors import RepositoryError
from drd.model.units import format_size
from drd.ports import OnProgress, Progress
from drd.ports.adopted import ReadToEnd
from drd.repositories.adopted import cut_off
from drd.repositories.adopted.cut_off import Looked
from drd.repositories.restic.examined_stream import ExaminedStream

_LONGER_S = 60.0
"""The program that downloads may run so much longer than drd reads: then drd's own deadline comes
first."""
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

    def through(self, stream: ExaminedStream, seconds: float) -> None:
        """Give the whole dump to `stream`. Stop after `seconds`."""


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


def read_to_end(dump: Afar, seconds: float, on_progress: OnProgress) -> ReadToEnd:
    """Read a packed dump to its end while it is downloaded. drd stores nothing of it."""
    head = dump.first(min(FIRST, dump.size))
    _require(dump, len(head), min(FIRST, dump.size))

    def examine(file: IO[bytes]) -> str | None:
        return cut_off.read_to_its_end(head, file, seconds, told)

    def told() -> None:
        on_progress(Progress(dump.name, "read", stream.size, dump.size))

    stream = ExaminedStream(dump.size, examine)
    try:
        dump.through(stream, seconds + _LONGER_S)
    except RepositoryError:
        if not stream.cut_short:  # else the program only failed because nobody read on
            raise
    if not stream.cut_short:
        _require(dump, stream.size, dump.size)
    return cut_off.as_read(stream.result, seconds)


def too_large(most: int) -> ReadToEnd:
    """Return the answer for a dump of more than `most` bytes, which drd does not read."""
    return ReadToEnd("too-large", f"it is larger than `read_up_to` ({format_size(most)})")


def _require(dump: Afar, got: int, wanted: int) -> None:
    if got < wanted:
        raise RepositoryError(
            f"drd could read only {got:,} of {wanted:,} bytes of {dump.name}",
            hint="it was removed or replaced meanwhile, or lies in an archive from which it must "
            "be restored first. drd tries again at the next listing.",
        )
