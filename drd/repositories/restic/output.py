"""Read restic's output: into a file, or only count its length."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from drd.errors import RepositoryError
from drd.model.units import format_size
from drd.repositories.restic.examined_stream import ExaminedStream


class ResticOutput(ABC):
    """The output of one restic process. `begin` returns the descriptor for the output, and drops
    the output of an earlier try; call `ended` when restic has ended.
    """

    def __init__(self, most: int) -> None:
        self._most = most

    @abstractmethod
    @contextmanager
    def begin(self) -> Iterator[int]: ...

    @abstractmethod
    def ended(self) -> None: ...

    @abstractmethod
    def size(self) -> int: ...

    def check_size(self) -> None:
        """Raise RepositoryError when the output is longer than any answer of restic."""
        if self.size() > self._most:
            raise RepositoryError(f"restic's answer exceeds {format_size(self._most)}")


class InFile(ResticOutput):
    """Keeps the output in a file."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        super().__init__(most)
        self._file = file

    @contextmanager
    def begin(self) -> Iterator[int]:
        self._file.truncate(0)
        self._file.seek(0)
        yield self._file.fileno()

    def ended(self) -> None:
        """Do nothing: the file contains the whole output."""

    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size


class Counted(ResticOutput):
    """Counts the output and drops it."""

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


class Examined(ResticOutput):
    """Gives the output to an `ExaminedStream`."""

    def __init__(self, stream: ExaminedStream) -> None:
        super().__init__(stream.most)
        self._stream = stream

    @contextmanager
    def begin(self) -> Iterator[int]:
        descriptor = self._stream.begin()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def ended(self) -> None:
        self._stream.ended()

    def size(self) -> int:
        return self._stream.size
