"""The list of a copy's files: which files a restore must contain, and how each file is proven.

Each page of an InnoDB file has a checksum of its own, which innochecksum checks. All other files
have a sha256 in the list. The files of the system tablespace after the first one also have one:
innochecksum cannot check these, because only the first file contains the format of the pages. drd's
manifest has the sha256 of the list.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from drd import process

SYSTEM = "ibdata1"
"""The first file of the system tablespace, unless the server has another name for it."""
_PAGED = re.compile(rf"(?:.*\.ibd|{SYSTEM}|undo\d+)")
_CHUNK = 1 << 20


class Listed(NamedTuple):
    """One file: its bytes, and its sha256, empty if its pages have checksums."""

    bytes: int
    sha256: str


Listing = Mapping[str, Listed]
"""The files below the data directory, by path."""


def has_pages(path: str) -> bool:
    """Return whether innochecksum can check the file: it consists of pages of InnoDB, and contains
    their format."""
    return _PAGED.fullmatch(path.rpartition("/")[2]) is not None


def strangers(data: Path) -> list[str]:
    """Return what is neither a directory nor a plain file, and the files that lead to others."""
    unlisted = []
    for path, mode in _entries(data):
        if not stat.S_ISDIR(mode) and (not stat.S_ISREG(mode) or path.endswith(".isl")):
            unlisted.append(path)
    return unlisted


def listed(data: Path) -> Listing:
    """Describe the files below a directory."""
    listing = {}
    for path, mode in _entries(data):
        if stat.S_ISREG(mode):
            process.check_cancelled()
            file = data / path
            digest = "" if has_pages(path) else sha256(file)
            listing[path] = Listed(file.stat().st_size, digest)
    return listing


def sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def text_of(listing: Listing) -> bytes:
    """Return the list as it is stored."""
    return json.dumps({path: list(one) for path, one in sorted(listing.items())}).encode("ascii")


def parsed(text: bytes) -> Listing:
    """Read a list whose digest is known."""
    return {path: Listed(*one) for path, one in json.loads(text).items()}


def faults(data: Path, known: Listing) -> Iterator[str]:
    """Yield a sentence about each file that is missing, is too many, or is not as listed."""
    here = {path for path, mode in _entries(data) if not stat.S_ISDIR(mode)}
    for path in sorted(known.keys() - here):
        yield f"{path} is missing"
    for path in sorted(here - known.keys()):
        yield f"{path} was not in the backup"
    for path in sorted(here & known.keys()):
        process.check_cancelled()
        size = (data / path).stat().st_size
        if size != known[path].bytes:
            yield f"{path} has {size:,} bytes instead of {known[path].bytes:,}"
        elif known[path].sha256 and sha256(data / path) != known[path].sha256:
            yield f"{path} has another content than the backup stored"


def _entries(data: Path) -> Iterator[tuple[str, int]]:
    for directory, names, files in os.walk(data):
        for name in (*names, *files):
            place = Path(directory, name)
            yield str(place.relative_to(data)), place.lstat().st_mode
