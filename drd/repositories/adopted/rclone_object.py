"""Read a part of an object that `rclone cat` prints, as the `restore` of a plan names it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from drd.errors import RepositoryUnreachable
from drd.process import Completed
from drd.repositories.adopted.packers import SMALL
from drd.repositories.restic.examined_stream import ExaminedStream

READ_S = 60.0

_NOT_WHOLE = ("--head", "--tail", "--offset", "--count", "--discard", "--separator")
"""Options with which rclone prints something else than one whole object."""

Run = Callable[[Sequence[str], IO[bytes], int, float], Completed]
"""Runs a command, with at most so many bytes of output in a file, for so many seconds."""


def reads_whole(words: Sequence[str]) -> bool:
    """Return whether the words of `restore` print one whole object."""
    if len(words) < 3 or Path(words[0]).name != "rclone" or words[1] != "cat":
        return False
    of_copy = [word for word in words if "${copy}" in word]
    return of_copy == [words[-1]] and not any(word.startswith(_NOT_WHOLE) for word in words)


class RcloneObject:
    """Implements `Afar`. `words` print the object."""

    def __init__(self, name: str, size: int, words: Sequence[str], run: Run) -> None:
        self.name = name
        self.size = size
        self._words = words
        self._run = run

    def first(self, count: int) -> bytes:
        return self._part(0, count)

    def last(self, count: int) -> bytes:
        begin = max(0, self.size - count)
        return self._part(begin, self.size - begin)

    def whole(self, into: IO[bytes]) -> None:
        self._into(into, self._words, SMALL)

    def through(self, stream: ExaminedStream, seconds: float) -> None:
        try:
            with os.fdopen(stream.begin(), "wb", buffering=0) as pipe:
                self._into(pipe, self._words, stream.most, seconds)
        finally:
            stream.ended()

    def _part(self, begin: int, count: int) -> bytes:
        program, verb, *rest = self._words
        words = [program, verb, f"--offset={begin}", f"--count={count}", *rest]
        with TemporaryFile() as answer:
            self._into(answer, words, count)
            answer.seek(0)
            return answer.read()

    def _into(
        self, answer: IO[bytes], words: Sequence[str], most: int, seconds: float = READ_S
    ) -> None:
        done = self._run(words, answer, most, seconds)
        if done.exit_code != 0:
            raise RepositoryUnreachable(
                f"drd cannot read copy {self.name} to examine it: rclone {done.failure}",
                hint="check the place with rclone. drd tries again at the next listing.",
            )
