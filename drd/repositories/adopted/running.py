"""Run a command that a plan names for the copies of another tool.

Its output reaches drd through a pipe, never as a file that the command could change later, and drd
reads no more bytes than it asked for. All programs that the command has started end with it.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from drd import process
from drd.errors import DeadlineExceeded, RepositoryError, RepositoryUnreachable
from drd.exhaustion import place_of
from drd.fence.leash import LEFT_OPEN
from drd.model.units import format_duration, format_size
from drd.process import Command, Completed, programs
from drd.process.room import filling

_AT_ONCE = 1 << 20
_END_S = 5.0


class _Taken(threading.Thread):
    """Moves what comes through a pipe into a file, up to `most` bytes: within the kernel, if the
    file system can."""

    def __init__(self, read_end: int, file: IO[bytes], most: int) -> None:
        super().__init__(name="drd-copies", daemon=True)
        self._read_end, self._file, self._most = read_end, file.fileno(), most
        self.too_much = False
        self.error: OSError | None = None

    def run(self) -> None:
        left = self._most
        try:
            while left and (moved := self._move(min(left, _AT_ONCE))):
                left -= moved
            self.too_much = not left and bool(os.read(self._read_end, 1))
        except OSError as error:
            self.error = error
        finally:
            os.close(self._read_end)  # what still writes gets SIGPIPE

    def _move(self, most: int) -> int:
        try:
            return os.splice(self._read_end, self._file, most)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        read = rest = os.read(self._read_end, min(most, 1 << 16))
        while rest:
            rest = rest[os.write(self._file, rest) :]
        return len(read)


def run_into(
    command: Command,
    output: IO[bytes],
    most: int,
    *,
    on_tick: Callable[[], None] = lambda: None,
    too_long: str = "",
    too_much: type[RepositoryError] = RepositoryError,
) -> Completed:
    """Run the command, with its output in an empty file. Raises `too_much`, with the remedy
    `too_long`, if there are more than `most` bytes, and RepositoryUnreachable if it does not end in
    time."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        child = process.start(command, stdout=write_end)
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    taken = _Taken(read_end, output, most)
    taken.start()
    try:
        done = child.pump(on_tick=on_tick)
    except DeadlineExceeded as error:
        raise RepositoryUnreachable(
            f"{command.title} did not end within {format_duration(command.deadline_s or 0)}",
            hint="run the command by hand to see why.",
        ) from error
    finally:
        taken.join(_END_S)
    if taken.too_much:
        raise too_much(
            f"{command.title} printed more than {format_size(most)}",
            hint=too_long
            or "drd ended the command. Correct the command: a list of copies, or "
            "one copy, does not have so many bytes.",
        )
    if taken.error is not None:
        raise RepositoryError(
            f"drd cannot store what {command.title} prints: {taken.error.strerror}",
            hint="check the free space on the disk to which drd writes.",
        ) from taken.error
    if taken.is_alive() or done.exit_code == LEFT_OPEN:
        raise RepositoryError(
            f"{command.title} {done.failure}",
            hint="change the command: it must wait for the programs that it starts.",
        )
    return done


def keeping_room(place: Path, title: str) -> Callable[[], None]:
    """Return a function that raises RepositoryError when a file system gets full: the list does not
    say how large a tree is."""
    low = filling(place)

    def check() -> None:
        if (free := low()) is not None:
            raise RepositoryError(
                f"{title} has written until only {format_size(free)} were free in "
                f"{place_of(place)}",
                hint=f"free space in {place_of(place)}. Or find out why the command writes more "
                "than the copy contains.",
            )

    return check


def require_program(key: str, words: Sequence[str]) -> None:
    """Raise RepositoryError if there is no such program, or if other users could replace it."""
    where = f"`{key}` in the plan"
    programs.require_program(words, where, missing=RepositoryError, unsafe=RepositoryError)
