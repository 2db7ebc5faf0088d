"""Contracts for dumps in a directory or a bucket: the code that recognises a dump says how a plan
can begin with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from drd.errors import NotSupported

FILE = "${file}"
"""In the words of `FoundDump.unpack`: the path of the dump."""


class DumpFile(NamedTuple):
    """A finished dump. `head` has its first bytes. If it is packed, `packed` names the program that
    packed it, and `inner` has the first bytes of the unpacked data; otherwise `inner` is `head`. If
    it is not `whole`, the dump is large and in a bucket, and the file has only the first megabytes
    of the dump."""

    path: Path
    head: bytes
    packed: str
    inner: bytes
    whole: bool = True


class FoundDump(NamedTuple):
    """How a plan begins with a dump. `name` is what is dumped, `holds` what is in it, for people.
    `keys` are the keys of a component as in `Wish`: the key `#` is a comment. `checks` do not name
    the component. `suggested` is a check that somebody who knows the data has to complete. `unpack`
    is the command that restores the dump, if it is not restored unchanged as a file; it may contain
    `${file}`, `${copy}` and `${into}`. `unseen` says why no check examines the data, and the
    remedy: then a drill proves nothing about the data. `packed` is as in `DumpFile`."""

    name: str
    holds: str
    keys: Sequence[tuple[str, Any]]
    checks: Sequence[Mapping[str, Any]]
    suggested: Mapping[str, Any] | None = None
    unpack: Sequence[str] = ()
    unseen: str = ""
    packed: str = ""


class NotLoaded(NotSupported):
    """A dump that no kind can load. `better` is what the other tool could make instead; without it,
    only the hint helps."""

    def __init__(self, message: str, *, hint: str, better: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.better = hint if better else ""


class Unreadable(NotLoaded):
    """A dump of this kind that is cut off or damaged; an older dump of its series may be
    complete."""

    def __init__(self, message: str, *, hint: str, better: bool = False) -> None:
        super().__init__(message, hint=hint, better=better)


class KeepsOf(Protocol):
    """The function that `KindSpec.keeps` names."""

    def __call__(self, name: str, packed: str, what: str, better: str = "") -> FoundDump:
        """Return how a plan begins with a dump that no kind loads: it is restored as a file,
        unpacked with the program `packed`. `what` says what it is, `better` what the other tool
        could do instead."""


class UnpacksOf(Protocol):
    """The function that `KindSpec.unpacks` names."""

    def __call__(self, archive: FoundDump) -> FoundDump:
        """Return how a plan begins with an archive that is one file of a larger copy; it has
        `unpack`."""


class RecognisesOf(Protocol):
    """The function in `dump_file.py` of the package of a kind."""

    def __call__(self, file: DumpFile) -> FoundDump | None:
        """Return how a plan begins with the dump; None if it is not a dump of this kind. Raises
        NotSupported if this kind recognises the dump but cannot restore it, and Unreadable if the
        dump is damaged."""


class ServerPlace(NamedTuple):
    """A database of a running server of this host: where its socket is, and as whom to connect,
    empty for the user of the operating system. `system` is the server's own id."""

    database: str
    directory: str
    port: int
    system: str
    user: str = ""


class FirstChecks(NamedTuple):
    """Checks of a component of a new plan, as in `FoundDump`. `is_empty`: the running server says
    that the database has no rows. `unseen` is as in `FoundDump`."""

    checks: Sequence[Mapping[str, Any]]
    suggested: Mapping[str, Any] | None = None
    is_empty: bool = False
    unseen: str = ""


class FirstChecksOf(Protocol):
    """The function that `KindSpec.first_checks` names."""

    def __call__(self, place: ServerPlace | None) -> FirstChecks:
        """Without a place, or if nobody answers there, return what can be checked in any
        database."""
