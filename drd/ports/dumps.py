"""Contracts for dumps that lie in a directory: who recognises one says how a plan can begin with
it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

FILE = "${file}"
"""In the words of `FoundDump.unpack`: the path of the dump."""


class DumpFile(NamedTuple):
    """A finished dump. `head` has its first bytes. If it is packed, `packed` names the program that
    did it, and `inner` has the first bytes of what it packed; otherwise `inner` is `head`."""

    path: Path
    head: bytes
    packed: str
    inner: bytes


class FoundDump(NamedTuple):
    """How a plan begins with a dump. `name` is what is dumped, `holds` what is in it, for people.
    `keys` are those of a component as in `Wish`: the key `#` is a comment. `checks` leave out the
    component. `suggested` is a check that needs somebody who knows the data. `unpack` is the
    command that restores the dump, if it is not restored as the file that it is; it may contain
    `${file}`, `${copy}` and `${into}`."""

    name: str
    holds: str
    keys: Sequence[tuple[str, Any]]
    checks: Sequence[Mapping[str, Any]]
    suggested: Mapping[str, Any] | None = None
    unpack: Sequence[str] = ()


class RecognisesOf(Protocol):
    """The function in `dump_file.py` of the package of a kind."""

    def __call__(self, file: DumpFile) -> FoundDump | None:
        """Return None if it is no dump of this kind. Raises NotSupported for one that this kind
        recognises, but cannot restore."""
