"""Find directories that the kernel does not rename: directories of a lower layer of an overlay,
such as the image of a container.
"""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

from drd.kinds.file_system import remove
from drd.process.mounts import mounted

_OTHERS_WRITE = 0o022


def is_in_lower_layer(place: Path, mark: str) -> bool:
    """Return whether a directory cannot be renamed because it is in a lower layer. Only the kernel
    knows this: drd asks it for a rename onto a directory with an entry, which is never executed.
    drd asks only if nobody else can exchange this directory; otherwise the answer is False.
    """
    parent = place.parent
    if place.is_symlink() or not place.is_dir() or not _is_on_overlay(parent):
        return False
    info = parent.stat()
    if info.st_mode & _OTHERS_WRITE or info.st_uid not in (0, os.geteuid()):
        return False
    trial = parent / f".{mark}.rename"
    try:
        trial.mkdir(mode=0o700)
        (trial / "entry").mkdir()
        place.rename(trial)
    except OSError as error:
        return error.errno == errno.EXDEV
    finally:
        remove(trial)
    return False


def way_out(place: Path) -> str:
    """Return shell commands that make such a directory one that can be renamed."""
    old, copy = (shlex.quote(os.fspath(p)) for p in (place, place.with_name(f"{place.name}.copy")))
    return (
        "restore to a target and move the files from there; or replace the directory by a copy of "
        f"itself, which can be renamed: cp -a {old} {copy} && rm -r {old} && mv {copy} {old}"
    )


def _is_on_overlay(directory: Path) -> bool:
    device = directory.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = [mount.kind for mount in mounted() if mount.device == number]
    return kinds[:1] == ["overlay"]
