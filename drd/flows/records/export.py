"""Records in files: written for others, and read on any machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedWriter, TextIOWrapper
from pathlib import Path

from drd.errors import TargetUnwritable, UsageError
from drd.exhaustion import system_reason
from drd.model.chain import ChainReport, Fault, check
from drd.model.file_list import LIST, digest_of, file_faults, list_of, sealed_list
from drd.model.malformed import Malformed
from drd.model.record_file import (
    LONGEST_LINE,
    Hides,
    RecordFile,
    hides_nothing,
    lines_of,
    read,
)
from drd.model.records import Draft, Entry
from drd.modes import open_regular, read_regular
from drd.ports.records import RecordStore
from drd.process import rights
from drd.signing import accepts

RECORDS = "records.txt"
SCRIPT = "verify.sh"
STAMPS = "timestamps"
_LARGEST, _LARGEST_LIST = 4 << 30, 64 << 20
_READ = os.O_RDONLY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export: how many entries were written, and how many of them with their
    bodies. `is_forgeable`: the entry that seals the files lacks the signature of the records'
    key."""

    directory: Path
    entries: int
    bodies: int
    is_forgeable: bool = False


def export(
    records: RecordStore,
    directory: Path,
    *,
    plan: str | None = None,
    only: frozenset[int] | None = None,
    beside: Mapping[str, str] | None = None,
    stamps: Mapping[str, bytes] | None = None,
    hides: Hides = hides_nothing,
    seal: Callable[[str], Draft] | None = None,
) -> Exported:
    """Write all entries, and the script that checks them without drd, into a new directory that
    only its owner can read. The export has all bodies, or only the bodies about `plan`, or only the
    bodies of the entries `only`. `beside` has the texts of more files, by name; `stamps` has the
    files of the directory with time stamps. `hides` encrypts restricted bodies. `seal` makes the
    last entry of the export from the SHA-256 of the list of all other files. Raises UsageError,
    TargetUnwritable."""
    files = _files(beside or {}, stamps or {})
    try:
        _make_new(directory)
        if stamps:
            _make_new(directory / STAMPS)
        for name, data in files.items():
            with _new(directory / name, 0o700 if name == SCRIPT else 0o600) as file:
                file.write(data)
        if seal is not None:
            listed = list_of({name: digest_of(data) for name, data in files.items()}).encode()
            with _new(directory / LIST, 0o600) as file:
                file.write(listed)
            head: Entry | None = records.append(seal(digest_of(listed)))
            assert head is not None
            only = only | {head.seq} if only is not None else None
        else:
            head = records.head()
        until = head.seq if head is not None else 0
        shows = only if plan is None else _of_plan(records, plan, until)
        counted: list[bool] = []

        def entries() -> Iterator[Entry]:
            for entry in records.read(until=until):
                counted.append(entry.body is not None and (shows is None or entry.seq in shows))
                yield entry

        with _new(directory / RECORDS, 0o600) as file:
            for line in lines_of(entries(), shows=shows, hides=hides):
                file.write(f"{line}\n".encode())
    except FileExistsError:
        raise UsageError(
            f"{directory} exists already", hint="name a directory that does not exist yet."
        ) from None
    except OSError as error:
        reason: str | None = system_reason(error)
        hint = "name a directory in which this user may write."
        if isinstance(error, rights.NotFollowed):
            reason, hint = error.strerror, error.hint
        raise TargetUnwritable(
            f"cannot write the records to {directory}: {reason}", hint=hint
        ) from error
    unsigned = seal is not None and head is not None and not head.signature
    return Exported(directory, len(counted), sum(counted), unsigned and bool(records.current_key()))


def _of_plan(records: RecordStore, plan: str, until: int) -> frozenset[int]:
    return frozenset(
        entry.seq
        for entry in records.read(until=until)
        if entry.header.subject == plan or entry.header.subject.startswith(f"{plan}/")
    )


def _files(beside: Mapping[str, str], stamps: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return all files of an export except the records: their contents by their names."""
    return {
        SCRIPT: Path(__file__).with_name(SCRIPT).read_bytes(),
        **{name: text.encode() for name, text in beside.items()},
        **{f"{STAMPS}/{name}": data for name, data in stamps.items()},
    }


def _make_new(directory: Path) -> None:
    """Root makes it where the user for whom root acts may not write: then that user cannot change
    the export."""
    with rights.writing(directory.parent) as place:
        (place / directory.name).mkdir(mode=0o700)


def _new(path: Path, mode: int) -> BufferedWriter:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with rights.writing(path.parent) as place:
        return os.fdopen(os.open(place / path.name, flags, mode), "wb")


def read_export(place: Path) -> RecordFile:
    """Read an export: its directory, or the file in it. Raises UsageError."""
    path = place / RECORDS if place.is_dir() else place
    try:
        with os.fdopen(open_regular(path, _READ), encoding="utf-8", newline="\n") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                raise Malformed("the file is too large")
            return read(_lines(file))
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {system_reason(error)}",
            hint="name the directory that drd records export has written, or the file in it.",
        ) from error
    except (Malformed, ValueError) as error:
        raise UsageError(
            f"{path} is not a file of drd's records: {error}",
            hint="name the directory that drd records export has written, or the file in it.",
        ) from error


def _lines(file: TextIOWrapper) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE + 2):
        yield line


def check_export(exported: RecordFile) -> ChainReport:
    """Check the chain in an export."""
    return check(exported.entries, accepts, exported.withheld)


def check_files(place: Path, exported: RecordFile) -> list[Fault]:
    """Compare the files beside the records with the list that the last entry seals, and return the
    differences. Raises UsageError if a file cannot be read."""
    directory = place if place.is_dir() else place.parent
    if sealed_list(exported.entries) is None and not (directory / LIST).is_file():
        return []
    digests: dict[str, str] = {}
    try:
        listed = read_regular(directory / LIST, _LARGEST_LIST) if _is_there(directory) else None
        for path in sorted(directory.rglob("*")):
            name = str(path.relative_to(directory))
            if name not in (RECORDS, LIST) and (path.is_symlink() or not path.is_dir()):
                digests[name] = "" if path.is_symlink() else _digest(path)
    except OSError as error:
        raise UsageError(
            f"cannot read the files in {directory}: {system_reason(error)}",
            hint="give yourself the right to read these files, or copy the directory again.",
        ) from error
    return file_faults(exported.entries, digests, listed)


def _is_there(directory: Path) -> bool:
    return os.path.lexists(directory / LIST)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, of which little is in memory at a time."""
    with os.fdopen(open_regular(path, _READ | os.O_NOFOLLOW), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
