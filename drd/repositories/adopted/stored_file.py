"""Read the first and last pieces of a file as restic stores it, without the others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any

from drd.errors import RepositoryError
from drd.model.text import escaped
from drd.repositories.adopted.packers import SMALL
from drd.repositories.restic.examined_stream import ExaminedStream
from drd.repositories.restic.payload import ids
from drd.repositories.restic.runner import ResticRunner

_MOST_PIECE = 16 << 20
"""No piece is larger than some megabytes, however large the file is."""
_MOST_PIECES = 64
"""No piece except the last one is smaller than some hundred kilobytes: so one or two are enough."""
_PIECE = re.compile("[0-9a-f]{64}")


class StoredFile:
    """Implements `Afar`. `pieces` is what restic stores as the content of the file."""

    def __init__(
        self, path: str, size: int, snapshot: str, pieces: Any, runner: ResticRunner
    ) -> None:
        self.name = escaped(path)
        self.size = size
        self._path = path
        self._snapshot = snapshot
        self._runner = runner
        if (
            not isinstance(pieces, list)
            or not pieces
            or not all(isinstance(piece, str) and _PIECE.fullmatch(piece) for piece in pieces)
        ):
            raise RepositoryError(f"drd cannot read what restic stores of {self.name}")
        self._pieces: list[str] = pieces
        self._read: dict[str, bytes] = {}

    def first(self, count: int) -> bytes:
        return self._joined(self._pieces, count, lambda known, piece: known + piece)

    def last(self, count: int) -> bytes:
        return self._joined(reversed(self._pieces), count, lambda known, piece: piece + known)

    def whole(self, into: IO[bytes]) -> None:
        self._runner.capture_into(into, self._dump(), most=SMALL)

    def through(self, stream: ExaminedStream, seconds: float) -> None:
        self._runner.examine(self._dump(), stream, seconds)

    def _dump(self) -> list[str]:
        return ["dump", *ids([self._snapshot]), self._path]

    def _joined(self, pieces: Iterable[str], count: int, add: Any) -> bytes:
        known = b""
        for piece in islice(pieces, _MOST_PIECES):
            known = add(known, self._piece(piece))
            if len(known) >= count:
                break
        return known

    def _piece(self, piece: str) -> bytes:
        if piece not in self._read:
            with TemporaryFile() as answer:
                self._runner.capture_into(answer, ["cat", "blob", piece], most=_MOST_PIECE)
                answer.seek(0)
                self._read = {piece: answer.read()}
        return self._read[piece]
