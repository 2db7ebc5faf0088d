"""Find out whether an entry of a copy is data: an empty file, an empty directory or a link is
not."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from drd.ports.adopted import CopyDamaged, FoundFile
from drd.process.landed import entry_below

ANOTHER_PATH = (
    "in the plan, write the path that the link leads to, and let the tool copy this path: a copy "
    "of the link contains no data."
)


def why_no_data(found: FoundFile, path: str, paths: Collection[str]) -> str | None:
    """Return why an entry at one of the `paths` of a component contains no data of it, as words
    that follow the entry's name. A link to something that is copied as well is fine."""
    if found.leads_to is not None:
        if _leads_to_another(found.leads_to, path, paths):
            return None
        to = f" to {found.leads_to}" if found.leads_to else ""
        return f"is a symbolic link{to} in the copy, which holds only the link"
    if found.is_empty:
        return "is an empty directory in the copy" if found.is_directory else "is empty in the copy"
    if not found.is_file and not found.is_directory:
        return "is neither a file nor a directory in the copy"
    return None


def require_data(into: Path, paths: Collection[str], copy: str) -> None:
    """Raise CopyDamaged if what was restored at one of the paths is not data. A missing path is
    left to the kind."""
    for path in paths:
        landed_path = _landed(into, path)
        why = landed_path and why_no_data(landed_path, path, paths)
        if landed_path is not None and why:
            raise CopyDamaged(
                f"{path} {why} ({copy})",
                hint=ANOTHER_PATH
                if landed_path.leads_to is not None
                else "find out why the tool copied nothing, and choose another restore "
                "point: drd points PLAN",
            )


def _landed(into: Path, path: str) -> FoundFile | None:
    try:
        with entry_below(into, os.fsencode(path)) as (above, name):
            info = os.stat(name, dir_fd=above, follow_symlinks=False)
            link = stat.S_ISLNK(info.st_mode)
            leads_to = os.fsdecode(os.readlink(name, dir_fd=above)) if link else None
            folder = stat.S_ISDIR(info.st_mode)
            empty = _is_bare(name, above) if folder else info.st_size == 0
    except (FileNotFoundError, NotADirectoryError):
        return None
    file = stat.S_ISREG(info.st_mode)
    return FoundFile(
        is_file=file,
        bytes=info.st_size,
        changed_at=None,
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        is_directory=folder,
        is_empty=(file or folder) and empty,
        leads_to=leads_to,
    )


def _is_bare(name: bytes, above: int) -> bool:
    """Return whether there are only directories below a directory."""
    return not any(files for _, _, files, _ in os.fwalk(name, dir_fd=above))


def _leads_to_another(target: str, path: str, paths: Collection[str]) -> bool:
    """Return whether a link leads to, or into, another path of the component."""
    place = os.path.normpath(os.path.join(os.path.dirname(path), target))  # noqa: PTH118, PTH120
    return any(place == p or place.startswith(f"{p.rstrip('/')}/") for p in paths if p != path)
