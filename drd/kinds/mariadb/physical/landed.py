"""What the repository has restored of a whole server: find it, and prove that it is complete and as
it was, before any program of MariaDB works on it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from drd import process
from drd.errors import RepositoryDamaged
from drd.kinds.file_system import ANOTHER_POINT, remove
from drd.kinds.mariadb.physical import files_list
from drd.kinds.mariadb.physical.files_list import Listing
from drd.kinds.mariadb.physical.manifest import DATA, LIST
from drd.kinds.mariadb.physical.programs import Programs
from drd.log import masked
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import some
from drd.ports import Workplace
from drd.process import Command
from drd.process.fence import require_up
from drd.process.landed import entry_below

TAKEN = "restored"
"""The directory beside the landed tree that receives the server's files."""

_MOST_BYTES = 1 << 30
_SHOWN = 3

_CHECK = r"""
cd "$1" && shift && exec xargs -0 -n 3 -P "$1" sh -c '
    said=$("$0" --start-page="$1" --end-page="$2" "$3" 2>&1) ||
        { printf "%s: %s\n" "$3" "$said" | head -n 3; exit 255; }
' "$2"
"""
"""Runs innochecksum for each range of pages that standard input names: first page, last page (0: to
the end), file."""


def proven(room: Path, snapshot: ComponentSnapshot, programs: Programs, place: Workplace) -> Path:
    """Return the data directory that the repository has restored below `room`, after proving it.
    Raises RepositoryDamaged."""
    data, text = _taken(room, snapshot)
    if odd := files_list.strangers(data):
        raise RepositoryDamaged(
            f"the backup contains {odd[0][:200]}, which leads out of the data directory: drd "
            "stores no such entries",
            hint=ANOTHER_POINT,
        )
    listing = files_list.parsed(text)
    faults = []
    for fault in files_list.faults(data, listing):
        faults.append(fault)
        if len(faults) > _SHOWN:
            break
    if faults:
        raise RepositoryDamaged(
            f"the backup is damaged or incomplete: {some(faults, _SHOWN)}", hint=ANOTHER_POINT
        )
    _check_pages(room, data, _ranges(listing, int(snapshot.facts["page_size"])), programs, place)
    return data


def _taken(room: Path, snapshot: ComponentSnapshot) -> tuple[Path, bytes]:
    """Move the copy out of the directories that stood above it in the source; return its data
    directory and its list of files, which must be the one that drd's manifest knows."""
    taken = room / TAKEN
    remove(taken)
    try:
        with entry_below(room, os.fsencode(snapshot.facts["place"])) as (above, name):
            if not stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
                raise NotADirectoryError
            os.rename(name, taken, src_dir_fd=above)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RepositoryDamaged(
            f"restic restored snapshot {snapshot.snapshot} without the files of the server",
            hint=ANOTHER_POINT,
        ) from error
    data, file, digest = taken / DATA, taken / LIST, ""
    with suppress(OSError):
        if not file.is_symlink() and file.stat().st_size <= _MOST_BYTES:
            digest = files_list.sha256(file)
    if digest != snapshot.facts["files_digest"]:
        raise RepositoryDamaged(
            f"{LIST} in the backup is not the list of files that drd stored", hint=ANOTHER_POINT
        )
    if data.is_symlink() or not data.is_dir():
        raise RepositoryDamaged(
            "the backup does not contain the data directory of a MariaDB server",
            hint=ANOTHER_POINT,
        )
    return data, file.read_bytes()


def _ranges(listing: Listing, page_size: int) -> list[tuple[int, int, str]]:
    """Return the pages to check: first page, last page (0: to the end), path; the largest files
    first. The second and the third extent of the system tablespace are the doublewrite buffer of
    the running server: it has pages of other files, and is written while mariadb-backup copies it.
    Nothing in a copy is read from it, and mariadb-backup does not check it, either."""
    extent = max(64, (1 << 20) // page_size)
    ranges = []
    for path in sorted(filter(files_list.has_pages, listing), key=lambda p: -listing[p].bytes):
        if path != files_list.SYSTEM:
            ranges.append((0, 0, path))
            continue
        ranges.append((0, extent - 1, path))
        if listing[path].bytes > 3 * extent * page_size:
            ranges.append((3 * extent, 0, path))
    return ranges


def _check_pages(
    room: Path,
    data: Path,
    ranges: Sequence[tuple[int, int, str]],
    programs: Programs,
    place: Workplace,
) -> None:
    """Let innochecksum check these pages."""
    if not ranges:
        return
    there = Path(os.path.realpath(room))
    tool = programs.innochecksum.path
    fence = place.fence(place.directory.name, [there], reads=[Path(os.path.realpath(tool))])
    within = os.path.realpath(data)
    command = Command(
        ["/bin/sh", "-c", _CHECK, "sh", within, str(place.jobs), tool],
        env={"LC_ALL": "C"},
        cwd=there,
        drop_capabilities=True,
        fence=fence,
        name="innochecksum",
    )
    words = (os.fsencode(f"{first}\0{last}\0./{path}\0") for first, last, path in ranges)
    done = process.run(command, stdin=b"".join(words))
    if fence is not None:
        require_up(fence, done.exit_code)
    if done.exit_code != 0:
        said = masked(done.stdout.strip() or done.complaint)[:400]
        raise RepositoryDamaged(
            f"the backup has damaged pages, says innochecksum: {said}", hint=ANOTHER_POINT
        )
