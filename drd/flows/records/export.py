"""Records in files: written for others, and read on any machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from drd.errors import TargetUnwritable, UsageError
from drd.exhaustion import system_reason
from drd.model.chain import ChainReport, check
from drd.model.malformed import Malformed
from drd.model.record_file import (
    LONGEST_LINE,
    Hides,
    RecordFile,
    hides_nothing,
    lines_of,
    read,
)
from drd.model.records import Entry
from drd.ports.records import RecordStore
from drd.signing import accepts

RECORDS = "records.txt"
SCRIPT = "verify.sh"
STAMPS = "timestamps"
_LARGEST = 4 << 30


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: how many entries, and of how many the bodies."""

    directory: Path
    entries: int
    bodies: int


def export(
    records: RecordStore,
    directory: Path,
    *,
    plan: str | None = None,
    only: frozenset[int] | None = None,
    beside: Mapping[str, str] | None = None,
    stamps: Mapping[str, bytes] | None = None,
    hides: Hides = hides_nothing,
) -> Exported:
    """Write all entries and the script that checks them without drd into a new directory that only
    its owner can read, with all bodies, those of a plan, or those of the entries `only`. `beside`
    are the texts of more files by their names, `stamps` those of the directory with time stamps.
    `hides` seals restricted bodies."""
    head = records.head()
    until = head.seq if head is not None else 0
    shows = only if plan is None else _of_plan(records, plan, until)
    counted: list[bool] = []

    def entries() -> Iterator[Entry]:
        for entry in records.read(until=until):
            counted.append(entry.body is not None and (shows is None or entry.seq in shows))
            yield entry

    try:
        directory.mkdir(mode=0o700, parents=False)
        with _new(directory / RECORDS, 0o600) as file:
            file.writelines(f"{line}\n" for line in lines_of(entries(), shows=shows, hides=hides))
        with _new(directory / SCRIPT, 0o700) as file:
            file.write(Path(__file__).with_name(SCRIPT).read_text(encoding="utf-8"))
        for name, text in (beside or {}).items():
            with _new(directory / name, 0o600) as file:
                file.write(text)
        if stamps:
            (directory / STAMPS).mkdir(mode=0o700)
        for name, data in (stamps or {}).items():
            with _new(directory / STAMPS / name, 0o600) as file:
                file.buffer.write(data)
    except FileExistsError:
        raise UsageError(
            f"{directory} exists already", hint="name a directory that does not exist yet."
        ) from None
    except OSError as error:
        raise TargetUnwritable(
            f"cannot write the records to {directory}: {system_reason(error)}",
            hint="name another directory, where this user may write.",
        ) from error
    return Exported(directory, len(counted), sum(counted))


def _of_plan(records: RecordStore, plan: str, until: int) -> frozenset[int]:
    return frozenset(
        entry.seq
        for entry in records.read(until=until)
        if entry.header.subject == plan or entry.header.subject.startswith(f"{plan}/")
    )


def _new(path: Path, mode: int) -> TextIOWrapper:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, mode), "w", encoding="utf-8")


def read_export(place: Path) -> RecordFile:
    """Read an export: its directory, or the file in it. Raises UsageError."""
    path = place / RECORDS if place.is_dir() else place
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
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
