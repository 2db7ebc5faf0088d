"""Where goes what restic prints: into a file, or nowhere, so that only its length is known."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from drd.errors import RepositoryError
from drd.model.units import format_size


class Answer(ABC):
    """What a restic prints: `begin` gives the descriptor for it, without what an earlier one printed, and
    `ended` is called when it has ended."""

    def __init__(self, most: int) -> None:
        self._most = most

    @abstractmethod
    @contextmanager
    def begin(self) -> Iterator[int]: ...

    @abstractmethod
    def ended(self) -> None: ...

    @abstractmethod
    def size(self) -> int: ...

    def bounded(self) -> None:
        """Raise RepositoryError when it is longer than it may be: that is no answer."""
        if self.size() > self._most:
            raise RepositoryError(f"restic's answer exceeds {format_size(self._most)}")


class InFile(Answer):
    """In a file."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        super().__init__(most)
        self._file = file

    @contextmanager
    def begin(self) -> Iterator[int]:
        self._file.truncate(0)
        self._file.seek(0)
        yield self._file.fileno()

    def ended(self) -> None:
        """The file has all of it."""

    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size


class Counted(Answer):
    """Dropped as it comes."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._size = 0
        self._counter: threading.Thread | None = None

    @contextmanager
    def begin(self) -> Iterator[int]:
        self.ended()
        self._size = 0
        read_end, write_end = os.pipe()
        self._counter = threading.Thread(target=self._count, args=(read_end,), name="drd-count")
        self._counter.start()
        try:
            yield write_end
        finally:
            os.close(write_end)

    def ended(self) -> None:
        if self._counter is not None:
            self._counter.join()

    def size(self) -> int:
        return self._size

    def _count(self, fd: int) -> None:
        buffer = bytearray(1 << 20)
        with os.fdopen(fd, "rb", buffering=0) as printed:
            while count := printed.readinto(buffer):
                self._size += count
