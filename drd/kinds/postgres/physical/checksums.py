"""Compare large files of a copy with the checksums in its manifest, while pg_verifybackup, which
computes one checksum at a time, compares the other files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drd import modes, process
from drd.errors import RepositoryDamaged
from drd.exhaustion import system_reason
from drd.kinds.file_system import ANOTHER_POINT
from drd.kinds.postgres.physical.base_backup import MANIFEST

_WORTH_BYTES = 64 << 20
"""If the copy has fewer bytes, pg_verifybackup alone is as fast."""
_LEAST_BYTES = 1 << 20
_MOST_FILES = 500
"""The most files that drd compares itself: each of them needs an argument of pg_verifybackup, which
leaves the file out."""
_CHUNK = 1 << 20
_TABLES = "base/"
"""drd compares only files of tables and indexes; pg_verifybackup compares all others."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the manifest, by its path below the data directory."""

    path: str
    bytes: int
    sha256: str


def share(data: Path, jobs: int) -> list[Listed]:
    """Return the files that drd compares itself: the largest files, with at most (jobs - 1) / jobs
    of all bytes, because pg_verifybackup uses one processor for the others. The digest of the
    manifest was compared before. If drd cannot read the manifest, the list is empty, and
    pg_verifybackup reports the error."""
    if jobs < 2:
        return []
    try:
        files = json.loads((data / MANIFEST).read_bytes())["Files"]
        total = sum(int(file["Size"]) for file in files)
        eligible = [_listed(file) for file in files if _is_taken(file)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if total < _WORTH_BYTES:
        return []
    taken, left = [], total * (jobs - 1) // jobs
    for file in sorted(eligible, key=lambda f: -f.bytes)[:_MOST_FILES]:
        if file.bytes <= left:
            taken.append(file)
            left -= file.bytes
    return taken


def _is_taken(file: dict[str, Any]) -> bool:
    return (
        str(file.get("Path", "")).startswith(_TABLES)
        and int(file["Size"]) >= _LEAST_BYTES
        and file.get("Checksum-Algorithm") == "SHA256"
    )


def _listed(file: dict[str, Any]) -> Listed:
    return Listed(str(file["Path"]), int(file["Size"]), str(file["Checksum"]).lower())


@contextmanager
def compared(data: Path, files: list[Listed], jobs: int) -> Iterator[None]:
    """Compare the files while the body runs. At the end of the body, raises RepositoryDamaged for
    the first file that differs."""
    if not files:
        yield
        return
    with ThreadPoolExecutor(max(1, jobs - 1), thread_name_prefix="drd-checksums") as pool:
        futures: list[Future[str]] = [pool.submit(_fault, data, file) for file in files]
        try:
            yield
            faults = [fault for one in futures if (fault := one.result())]
        finally:
            for one in futures:
                one.cancel()
    if faults:
        raise RepositoryDamaged(
            f"the backup is damaged or incomplete: {faults[0]}, by the list of pg_basebackup",
            hint=ANOTHER_POINT,
        )


def _fault(data: Path, file: Listed) -> str:
    """Return how a file differs from the manifest; empty if it does not differ."""
    digest, size = hashlib.sha256(), 0
    try:
        descriptor = modes.open_regular(data / file.path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb", buffering=0) as opened:
            while chunk := opened.read(_CHUNK):
                process.check_cancelled()
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return f"{file.path} is missing"
    except OSError as error:
        return f"{file.path} cannot be read ({system_reason(error)})"
    if size != file.bytes:
        return f"{file.path} has {size:,} bytes instead of {file.bytes:,}"
    return "" if digest.hexdigest() == file.sha256 else f"{file.path} has a wrong checksum"
