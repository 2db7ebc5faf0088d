"""Owner and mode of a directory that the output of a command replaces."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def as_before(made: Path, target: Path) -> list[str]:
    """Give the directory that a command made the mode of the directory that it replaces. If
    everything in it belongs to root, the dump did not name owners: then it gets the owner of the
    replaced directory, too. Returns a warning if the directory still belongs to root. Nobody else
    can reach `made` yet."""
    try:
        former = target.lstat()
    except OSError:
        former = None
    tree = {path: path.lstat() for path in (made, *made.rglob("*"))}
    is_roots = os.geteuid() == 0 and all(info.st_uid == 0 for info in tree.values())
    if former is None or not stat.S_ISDIR(former.st_mode):
        return [_warning(target)] if is_roots else []
    made.chmod(stat.S_IMODE(former.st_mode))
    if not is_roots or former.st_uid == 0:
        return []
    if not all(map(_may_be_given, tree.values())):
        return [_warning(target)]
    for path in tree:
        os.lchown(path, former.st_uid, former.st_gid)
    return []


def _may_be_given(info: os.stat_result) -> bool:
    """A file with another name may be the system's, and a device leads to what is in the host."""
    is_one_file = stat.S_ISREG(info.st_mode) and info.st_nlink == 1
    return is_one_file or stat.S_ISDIR(info.st_mode) or stat.S_ISLNK(info.st_mode)


def _warning(target: Path) -> str:
    return (
        f"{target} belongs to root. If its service runs as another user, give it to that user: "
        f"chown -R USER: {target}"
    )
