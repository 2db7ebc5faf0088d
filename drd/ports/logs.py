"""The log of a server, which a kind receives and replays (`Ability.LOG`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from drd.errors import RepositoryError, SourceError
from drd.model.log import LogMark, LogTarget
from drd.process import Child


class LogLost(SourceError):
    """The server does not have the next part of its log any more."""


class LogStart(NamedTuple):
    """From where the log leads on from a copy: the `source`, the position, and the timeline."""

    source: str
    position: int
    line: int = 1


@dataclass(frozen=True, slots=True)
class LogReplay:
    """What a restore replays: the files in `directory`, which together lead from the copy to the
    mark `end` of the log of `source`, and where to stop. If the files are damaged, `elsewhere`
    fetches the same part of the log from another repository. If no other repository has it,
    `elsewhere` raises the error that it got."""

    directory: Path
    source: str
    end: LogMark
    target: LogTarget
    elsewhere: Callable[[RepositoryError], LogReplay] | None = None

    def instead(self, error: RepositoryError) -> LogReplay:
        """Return the same part of the log from another repository, because these files are damaged.
        Raises `error` if no other repository has it."""
        if self.elsewhere is None:
            raise error
        return self.elsewhere(error)


class LogReceiver(Protocol):
    """Receives the log of one server into a directory. Every method raises SourceError's children:
    LogLost when the server does not have the next part any more."""

    source: str
    """The server, as a later one of the same name would not be called."""

    program: str
    """The name of the program that receives."""

    connected: str
    """The statement with which a person lists the connected receivers on the server."""

    dated: bool
    """Whether a timeline is named by the second in which it began (`LogBatch.dated`)."""

    def start(self, said: int) -> Child:
        """Start the program that receives, which ends with this process, and writes what it says to
        the open file `said`."""

    def require(self) -> None:
        """Make sure that the server keeps what has not arrived yet. Raises LogLost."""

    def lost(self, said: str) -> str:
        """Return why the program cannot go on, by its last words, if the server lacks the next part
        of the log; else an empty text."""

    def mark(self) -> LogMark | None:
        """Mark the end of the log. None: no transaction has ended since the last mark."""

    def forget_mark(self) -> None:
        """Mark again next time, whatever has happened on the server."""

    def arrived(self, mark: LogMark) -> bool:
        """Return whether all of the log up to a mark is in the directory."""

    def stage(self, mark: LogMark, into: Path) -> int:
        """Put the files of the log up to a mark into a directory, instead of what an earlier mark
        has left there, and return the position from which they lead to the mark without a gap.
        Files that are complete already stay untouched."""

    def lines(self, line: int) -> tuple[tuple[int, int], ...]:
        """Return the timelines before this one, each with the position at which it was left. Raises
        SourceError if nothing that has arrived says it."""

    def received_bytes(self) -> int:
        """How many bytes of the log are in the directory."""

    def drop(self, mark: LogMark) -> None:
        """Remove what is not needed to go on from a mark."""

    def begin_anew(self) -> None:
        """Remove everything, and go on with what the server has."""


class LogSource(Protocol):
    """A server that has a log."""

    def open(self, directory: Path, name: str) -> AbstractContextManager[LogReceiver]:
        """Connect, and make what the server keeps for drd alone, called `name`, of
        which the beginning is `drd_wal_`. Raises SourceError
        with the remedy where the server is not set up for it."""


@runtime_checkable
class ReplaysLog(Protocol):
    """A destination that can replay a log."""

    def replay(self, log: LogReplay) -> None:
        """Replay this log in the next `restore`."""


class RolledTo(NamedTuple):
    """How far a log was replayed: words for a person, and the time of the data."""

    words: str
    data_time: datetime
