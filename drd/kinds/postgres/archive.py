"""Select parts of a dump: list its entries, and restore some of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from drd.errors import TargetError
from drd.kinds.postgres.load import Load
from drd.kinds.postgres.refusals import of_pg_restore
from drd.process import Completed

_ENTRY = re.compile(r"(\d+); \d+ \d+ (.*)")
_FROM = re.compile(r"pg_restore: from TOC entry (\d+); \d+ \d+ (.*)")
_IGNORED = re.compile(r"pg_restore: warning: errors ignored on restore: \d+")
_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One line of the listing: its number, and its text (`TABLE public orders alice`)."""

    number: int
    text: str

    def is_a(self, kinds: Collection[str]) -> bool:
        """Return whether the entry is of one of these kinds; kinds are written as in the
        listing."""
        return any(self.text.startswith(f"{kind} ") for kind in kinds)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An entry that pg_restore could not restore completely and skipped, with its message."""

    entry: ArchiveEntry
    said: str


def _unreadable(done: Completed) -> TargetError:
    return TargetError(
        f"pg_restore cannot read the dump: {done.complaint}",
        hint="choose another restore point (drd points PLAN), or use a newer pg_restore: "
        "set `bin_dir` of the component.",
    )


class Archive:
    """A dump in custom format; parts of it are restored into the database of `load`."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def entries(self, *chosen: str) -> list[ArchiveEntry]:
        """Return its entries, limited by pg_restore's options. Raises TargetError."""
        done = self._load.listing(*chosen)
        if done.exit_code != 0:
            raise _unreadable(done)
        entries = (_ENTRY.match(line) for line in done.stdout.splitlines())
        return [ArchiveEntry(int(m[1]), m[2]) for m in entries if m]

    def script(self, entries: Sequence[ArchiveEntry]) -> str:
        """Return the SQL of these entries. Raises TargetError."""
        if not entries:
            return ""
        done = self._load.script(_lines(entries))
        if done.exit_code != 0:
            raise _unreadable(done)
        return done.stdout

    def restore(
        self, entries: Sequence[ArchiveEntry], jobs: int, on_tick: Callable[[], None]
    ) -> Completed:
        """Restore all of these entries; stops at the first error."""
        return self._load.some(_lines(entries), jobs, on_tick)

    def restore_what_can_be(
        self, entries: Sequence[ArchiveEntry], on_tick: Callable[[], None]
    ) -> tuple[Completed, list[Trouble]]:
        """Restore as many of these entries as possible; return what was skipped. The restore
        succeeded if the exit code is 0 or something was skipped.
        """
        if not entries:
            return self._load.listing("--section=pre-data"), []
        done = self._load.some(_lines(entries), 1, on_tick, passing_over=True)
        ended = any(_IGNORED.match(line) for line in done.stderr.splitlines()[-3:])
        return done, list(_troubles(done.stderr)) if ended else []


def _lines(entries: Sequence[ArchiveEntry]) -> list[str]:
    """Return lines for `--use-list`, which reads the numbers alone: names are in whatever
    encoding.
    """
    return [f"{e.number};" for e in entries]


def _troubles(stderr: str) -> Iterator[Trouble]:
    entry: ArchiveEntry | None = None
    said: list[str] = []
    for line in [*stderr.splitlines(), "pg_restore:"]:
        if line.startswith("pg_restore:") and said:
            if entry is not None:
                yield Trouble(entry, of_pg_restore(said))
            said = []
        if match := _FROM.match(line):
            entry = ArchiveEntry(int(match[1]), match[2])
        elif line.startswith("pg_restore: error: "):
            words = line.removeprefix("pg_restore: error: ")
            said = [words.removeprefix("could not execute query: ").strip()]
        elif said:
            said.append(line.strip())
