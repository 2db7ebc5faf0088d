"""Find the dumps that another tool writes into a directory or a bucket. drd recognises them by
their content."""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory

from drd import process
from drd.errors import DrdError, NotSupported, RepositoryError
from drd.exhaustion import system_reason
from drd.model import dump_names
from drd.model.clock import FAR_AHEAD
from drd.ports.dumps import DumpFile, FoundDump, RecognisesOf, Unreadable
from drd.process import Command
from drd.registry import KINDS
from drd.repositories.adopted import one_database
from drd.repositories.adopted.command import is_copy_name
from drd.repositories.adopted.cut_off import SQLITE, unpack_whole, why_cut_off
from drd.repositories.adopted.dump_sources import Dump, DumpSource, Fetched

FINISHED_S = 600.0
"""A dump counts as finished if nobody has changed it for this many seconds."""

_MOST_SERIES, _MOST_CUT = 40, 5
_ROOM = "/var/tmp"  # noqa: S108 - a new directory of our own in it
LARGEST = 256 << 20
"""The largest size in bytes of a file that drd copies to examine it."""
_TOO_LARGE = "drd did not read this dump, because it is large: add a check that reads its rows"

LOOK_S = 20.0
"""How many seconds drd reads a packed dump to find out whether it is complete."""

_HEAD, _BLOCK, _MEMORY = 1024, 1 << 20, 128 << 20


@dataclass(frozen=True, slots=True)
class Series:
    """Dumps of the same thing, oldest first. `names` is what their names, below the directory, have
    in common; `kind` and `found` come from the newest finished dump that is complete. `cut_off`
    has, by name, why the newer ones are incomplete. `unfit` is how many dumps do not match the
    pattern that somebody gave; a plan lists them all the same."""

    names: dump_names.Series
    kind: str
    found: FoundDump
    dumps: Sequence[Dump]
    cut_off: Mapping[str, str] = field(default_factory=dict)
    unfit: int = 0


@dataclass(slots=True)
class Dumps:
    """The content of a place: the series that drd can adopt, the largest first, and by pattern why
    it cannot adopt the others. `unknown` has the patterns of files that are not dumps, `unsafe`
    names that drd refuses, `ahead` dumps that are dated in the future, and `empty` dumps of 0
    bytes. `beyond` is how many series drd did not examine."""

    where: str
    series: list[Series] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    unsafe: list[str] = field(default_factory=list)
    ahead: list[Dump] = field(default_factory=list)
    empty: list[Dump] = field(default_factory=list)
    beyond: int = 0


def search_dumps(source: DumpSource, wanted: str = "*") -> Dumps:
    """Search a place for series of dumps; at least one dump of each has a name that matches a
    pattern. Raises OSError, and RepositoryError for a bucket that does not answer."""
    seen = Dumps(source.where)
    grouped = _grouped(seen, source.files(), wanted)
    seen.beyond = max(0, len(grouped) - _MOST_SERIES)
    for names, dumps in grouped[:_MOST_SERIES]:
        pattern = names.pattern
        dumps.sort(key=lambda dump: dump.changed_at)
        cut: dict[str, str] = {}
        try:
            known = _known(source, dumps, cut)
            sound = [dump for dump in dumps if dump.name not in cut]
            several = _several_databases(source, sound) if known is not None else ""
        except OSError as error:  # it vanished meanwhile, or its disk is damaged
            seen.refused[pattern] = f"cannot be read: {error.strerror or error}"
            continue
        except RepositoryError:
            raise
        except DrdError as error:
            seen.refused[pattern] = f"{error.message}: {error.hint}".rstrip(": .")
            continue
        if known is None:
            seen.unknown.append(pattern)
            continue
        if several:
            seen.refused[pattern] = several
            continue
        unfit = sum(not _fits(dump.name, wanted) for dump in dumps)
        seen.series.append(Series(names, *known, dumps, cut, unfit))
    return seen


def _several_databases(source: DumpSource, dumps: Sequence[Dump]) -> str:
    """Say of which databases these dumps are, if their headers name several; empty otherwise."""
    databases: dict[str, str] = {}
    for dump in reversed(dumps[-source.most_heads :]):
        if database := one_database.database_in(source.beginning(dump)):
            databases.setdefault(database, dump.name)
    if len(databases) < 2:
        return ""
    return (
        f"these are dumps of {len(databases)} databases, {one_database.named(databases)}, but "
        "their file names look like one series: let the script write the name of the database, as "
        "a separate word, into the name of each dump, or dump each database into a separate "
        "directory"
    )


def _grouped(
    seen: Dumps, files: Iterable[Dump], wanted: str
) -> list[tuple[dump_names.Series, list[Dump]]]:
    """Return the dumps by series, the series of exactly this pattern first, then the largest; note
    the files that cannot count."""
    latest = datetime.now(UTC) + FAR_AHEAD
    usable = []
    for dump in files:
        is_safe = is_copy_name(dump.name)
        if is_safe and dump.bytes and dump.changed_at <= latest:
            usable.append(dump)
        elif _fits(dump.name, wanted):
            noted = seen.ahead if dump.bytes else seen.empty
            if is_safe:
                noted.append(dump)
            else:
                seen.unsafe.append(dump.name)
    times = {dump.name: dump.changed_at for dump in usable}
    series = dump_names.series_of(times, times)
    grouped: dict[dump_names.Series, list[Dump]] = {}
    for dump in usable:
        grouped.setdefault(series[dump.name], []).append(dump)
    fitting = [g for g in grouped.items() if any(_fits(dump.name, wanted) for dump in g[1])]
    return sorted(fitting, key=lambda g: (g[0].pattern != wanted, -len(g[1]), g[0].pattern))


def _fits(name: str, wanted: str) -> bool:
    """Return whether a name fits a pattern as in a shell: `*` stands for no `/`, but alone for
    everything."""
    if wanted == "*":
        return True
    parts, patterns = name.split("/"), wanted.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _known(
    source: DumpSource, dumps: Sequence[Dump], cut: dict[str, str]
) -> tuple[str, FoundDump] | None:
    """Return the kind of the newest finished dump, else of the newest, that is whole, and what is
    in it; note in `cut` those that are not. Raises NotSupported, also if there is none."""
    old_enough = datetime.now(UTC).timestamp() - FINISHED_S
    finished = [d for d in dumps if d.changed_at.timestamp() <= old_enough]
    candidates = list(reversed(finished or dumps))[:_MOST_CUT]
    unreadable: Unreadable | None = None
    unknown = 0
    for dump in candidates:
        try:
            file = source.fetched(dump)
            if why := _why_cut_off(file):
                cut[dump.name] = f"is cut off: {why}"
                continue
            if (known := recognised(*file)) is not None:
                return known
            unknown += 1
            cut[dump.name] = "is not a dump that drd recognises"
        except Unreadable as error:
            unreadable = unreadable or error
            cut[dump.name] = f"is {error.message}"
    if unreadable is not None:
        raise unreadable
    if unknown == len(candidates):
        return None
    with suppress(NotSupported):  # that it is cut off explains more
        if recognised(*source.fetched(candidates[0])) is None:
            return None
    name, why = next(iter(cut.items()))
    raise NotSupported(f"{name} {why}", hint="")


def _why_cut_off(file: Fetched) -> str:
    """Return how a dump shows that it is cut off; empty if drd has only its beginning. Raises
    Unreadable if drd cannot read it."""
    if not file.whole:
        return ""
    try:
        with file.path.open("rb") as opened:
            return why_cut_off(opened, unpacks=True, seconds=LOOK_S)
    except OSError as error:
        reason = system_reason(error)
        raise Unreadable(
            f"a file that drd cannot read: {reason}",
            hint="give the user that runs drd the right to read this file.",
        ) from error


def recognised(path: Path, whole: bool = True) -> tuple[str, FoundDump] | None:
    """Return the kind of a dump, and what it contains. If it is not `whole`, the file has only the
    beginning of the dump. Raises NotSupported and OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    packed, inner = _unpacked(path, head)
    dump = DumpFile(path, head, packed, inner, whole)
    for spec in KINDS:
        if spec.recognises:
            recognises: RecognisesOf = resolve_name(spec.recognises)
            content = recognises(dump)
            if content is not None:
                content = content._replace(packed=packed)
                within = packed and inner.startswith(SQLITE)
                return spec.name, _by_what_is_packed(dump, content) if within else content
    return None


def _by_what_is_packed(dump: DumpFile, found: FoundDump) -> FoundDump:
    """Return the dump with the checks that the file has which is packed in it."""
    if not dump.whole:
        return found._replace(checks=(), unseen=_TOO_LARGE)
    with TemporaryDirectory(prefix="drd-", dir=room()) as place:
        file = Path(place, dump.path.stem)
        most = min(LARGEST, shutil.disk_usage(place).free // 2)
        try:
            if not unpack_whole(dump.path, file, most):
                return found._replace(checks=(), unseen=_TOO_LARGE)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            text = f"a packed SQLite file that cannot be unpacked: {error}"
            raise Unreadable(text, hint="this copy is damaged: make a new copy.") from error
        seen = recognised(file)
    if seen is None:
        return found
    of = seen[1]
    return found._replace(checks=of.checks, suggested=of.suggested, unseen=of.unseen)


def room() -> str | None:
    """Return where to make a directory for files that drd examines; None means the usual place."""
    return _ROOM if os.access(_ROOM, os.W_OK) else None


_PACKERS: Mapping[bytes, tuple[str, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": ("gzip", lambda data: zlib.decompressobj(31).decompress(data, _HEAD)),
    b"BZh": ("bzip2", lambda data: bz2.BZ2Decompressor().decompress(data, _HEAD)),
    b"\xfd7zXZ\0": (
        "xz",
        lambda data: lzma.LZMADecompressor(memlimit=_MEMORY).decompress(data, _HEAD),
    ),
}
_ZSTD = b"\x28\xb5\x2f\xfd"


def _unpacked(path: Path, head: bytes) -> tuple[str, bytes]:
    """Return what packed a file, and the first bytes of what it packed."""
    if head.startswith(_ZSTD):
        words = ["sh", "-c", f'zstd --decompress --stdout "$1" | head --bytes={_HEAD}', "sh"]
        return "zstd", process.run(Command([*words, str(path)], deadline_s=10.0)).printed
    for magic, (program, unpack) in _PACKERS.items():
        if head.startswith(magic):
            with path.open("rb") as file:
                beginning = file.read(_BLOCK)
            try:
                return program, unpack(beginning)
            except (zlib.error, OSError, lzma.LZMAError, EOFError):
                return program, b""
    return "", head
