"""Copies that another tool has made: what drd asks of the tool, and of a kind.

Whatever a tool says is input: anybody who can write to its repository can have written it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from drd.errors import RepositoryDamaged, RepositoryError
from drd.model.finding import Finding
from drd.model.plan import Component
from drd.ports.common import OnProgress


class CopyDamaged(RepositoryDamaged):
    """The data read from a copy differs from what it should be; no other copy depends on it."""


class NotInCopy(RepositoryError):
    """The copy does not contain the component, and the tool or the kind knows why."""


MOST_COPIES = 1000
"""The largest number of copies that drd examines, newest first."""


@dataclass(frozen=True, slots=True)
class ForeignCopy:
    """One finished copy. `name` is the name that the tool gives to it, `id` are 64 hexadecimal
    digits that no other copy has. No data in it is newer than `data_time`. `ended_at` is since when
    it can be restored.
    """

    id: str
    name: str
    data_time: datetime
    ended_at: datetime
    bytes: int = 0
    paths: tuple[str, ...] = ()
    server: ServerState | None = None


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state in a copy of a whole server. `wal_bytes` of its log are replayed, up to
    `rolled_to`, which is empty for the state at the end of the backup."""

    version: str
    backup: str
    wal_bytes: int = 0
    rolled_to: str = ""


@dataclass(frozen=True, slots=True)
class ForeignCopies:
    """What the tool lists, oldest first. `refused` has by id what drd does not accept as a copy,
    and why; `untold` counts further ones; `left_out` counts older copies beyond the limit.
    `between` are states that can be restored as well although they are not listed: the log of a
    server leads to each of them."""

    copies: Sequence[ForeignCopy]
    refused: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0
    between: Sequence[ForeignCopy] = ()
    untold: int = 0


Head = bytes


class DumpOrigin(NamedTuple):
    """What a dump says about its origin: the database, and the versions of its server and of the
    program that made it (`17.2 (Debian 17.2-1)`); empty if the dump does not say it."""

    database: str
    server: str
    program: str


class FoundFile(NamedTuple):
    """An entry of a copy; its `changed_at` is when it was written before it was copied. `is_empty`
    is a file of 0 bytes, or a directory in which nothing is. `leads_to` is where a symbolic link
    leads; empty if the tool does not say. `cut_off` says by which sign a dump shows that it is
    incomplete; if that is `unknown`, only a restore shows it. `to_read`: it is packed, and only
    reading it to its end shows that. `origin` is None if drd has not read
    the dump, or the dump does not say it. `head` and `tail` are the first and last bytes of the
    file as it is restored, if drd has read it, and if it is not packed."""

    is_file: bool
    bytes: int
    changed_at: datetime | None
    mode: int
    uid: int
    gid: int
    is_directory: bool = False
    is_empty: bool = False
    leads_to: str | None = None
    cut_off: str = ""
    origin: DumpOrigin | None = None
    head: Head = b""
    tail: Head = b""
    unknown: bool = False
    to_read: bool = False


class ReadToEnd(NamedTuple):
    """The result of reading a dump to its end. `state`: the dump is whole, cut off (or damaged),
    still being written, larger than the plan allows drd to read, or reading it takes too long.
    `why` is the reason in words."""

    state: Literal["whole", "cut-off", "being-written", "too-large", "too-long"]
    why: str = ""


class Landing(NamedTuple):
    """What to write below a directory: these paths under their whole names; or the single file
    `file` of the copy under the name `called`, with so many bytes; or the `server`: its directory,
    because of this database in it. A file that does not end with `ends_with` is incomplete."""

    paths: tuple[str, ...] = ()
    file: str = ""
    called: str = ""
    bytes: int = 0
    server: str = ""
    ends_with: str = ""


class ForeignTool(Protocol):
    """The other tool, and the place of its copies. It is only read. All calls have deadlines, and
    raise RepositoryError's children."""

    def preflight(self) -> None:
        """Check that the place answers."""

    def probe(self) -> str | None:
        """See `Repository.probe`."""

    def identity(self) -> str | None:
        """Return a text that no other place has; None if the place is empty."""

    def copies(self) -> ForeignCopies:
        """Return the finished copies."""

    def find(self, copy: ForeignCopy, path: str) -> FoundFile | None:
        """Return the entry at an absolute path of the copy; None if there is none. Raises
        NotInCopy if the reason is known."""

    def read_to_end(
        self, copy: ForeignCopy, path: str, seconds: float, on_progress: OnProgress
    ) -> ReadToEnd:
        """Read a file to its end for which `find` returned `to_read`, for at most `seconds`, and
        store nothing of it."""

    def fetch(
        self,
        copy: ForeignCopy,
        what: Landing,
        into: Path,
        *,
        deadline_s: float | None,
        on_progress: OnProgress,
    ) -> int:
        """Write the data below the empty directory `into`; return the number of bytes."""

    def check(self, read_subset: str | None, deadline_s: float | None) -> None:
        """Let the tool verify its copies. Raises RepositoryDamaged."""

    def size_bytes(self) -> int:
        """Return the size of all copies as stored."""

    def versions(self) -> Mapping[str, str]:
        """Return the programs that read the copies: versions by name."""

    def doctor(self) -> list[Finding]:
        """Try the tool and the place, and report each."""

    def cold(self, cache: Path) -> ForeignTool:
        """See `Repository.cold`."""


class AdoptedPart(NamedTuple):
    """How a kind restores its part of a copy: what is restored, and what the manifest says about
    it."""

    landing: Landing
    facts: Mapping[str, Any]
    private: Mapping[str, Any] = {}


class AdoptsOf(Protocol):
    """The function in `adopted.py` of the package of a kind."""

    def __call__(self, component: Component, file: FoundFile | None) -> AdoptedPart:
        """`file` is the component's one file in the copy, for kinds that have one. Raises NotInCopy
        if this file belongs to another component."""


class AdoptsServerOf(Protocol):
    """The function of the package of a kind for copies of whole servers."""

    def __call__(self, component: Component, copy: ForeignCopy) -> AdoptedPart: ...


__all__ = [
    "MOST_COPIES",
    "AdoptedPart",
    "AdoptsOf",
    "AdoptsServerOf",
    "DumpOrigin",
    "ForeignCopies",
    "ForeignCopy",
    "ForeignTool",
    "FoundFile",
    "Landing",
    "NotInCopy",
    "ReadToEnd",
    "ServerState",
]
