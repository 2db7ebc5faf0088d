"""Find directories in the places of runs that no run of this catalogue has made. drd reports them
and never removes them by itself.

After a loss of the catalogue nobody can distinguish them from the work of another drd, or from what
somebody has put there for drd to find.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from drd.flows.services import Services
from drd.flows.state import run_dirs, run_stamps
from drd.model.units import format_size
from drd.ports import Finding
from drd.process import rights
from drd.process.private import why_not_private
from drd.users import which_user

OLD_OUTSIDE = Path("/var/tmp/drd-sandboxes")  # noqa: S108 - looked at, never used
"""The place where drd before version 0.3 kept sandboxes."""

_NAME = re.compile(rf"(?:{run_dirs.RUN}|{run_dirs.STARTED})([A-Za-z0-9-]+)")
_MEASURED_S = 1.0
_PROBE_S = 86400.0
"""`drd doctor` and `drd diff` have directories without a run's row: after this time they are no
longer in use.
"""


def leftovers(services: Services) -> list[Finding]:
    """Return findings about directories that would never be removed, each with its size and the
    command that removes it; and why nothing is removed at all, if others could have created them.
    """
    findings: list[Finding] = []
    for root in (*run_dirs.roots(services), OLD_OUTSIDE):
        if not root.is_dir() or root.is_symlink() or _is_roots_to_judge(root):
            continue
        if root != OLD_OUTSIDE and (why := why_not_private(root)):
            findings.append(_open(root, why))
        findings += _below(services, root)
    return findings


def _is_roots_to_judge(root: Path) -> bool:
    """Return whether the place is root's and we are not root, who alone can tell whose work it
    contains.
    """
    return root != OLD_OUTSIDE and root.stat().st_uid == 0 and not rights.may_be_root()


def _open(root: Path, why: str) -> Finding:
    detail = (
        f"other users can change the files in {root}, so drd does not clean up after killed "
        f"runs there: {why}"
    )
    hint = (
        f"allow only the user of drd to write there (`chmod go-w {root}`), or set `work_dir` in "
        "drd.yaml to another directory."
    )
    return Finding("work_dir", "warning", "", detail, hint)


def _below(services: Services, root: Path) -> Iterator[Finding]:
    try:
        entries = sorted(os.scandir(root), key=lambda e: e.name)
    except PermissionError:  # another user's, who may ask for himself
        return
    for entry in entries:
        with suppress(FileNotFoundError):  # its run has just removed it
            finding = _left_over(services, root, entry)
            if finding is not None:
                yield finding


def _left_over(services: Services, root: Path, entry: os.DirEntry[str]) -> Finding | None:
    """Return what to say of a directory that no run sweeps; None for any other. Raises
    FileNotFoundError if it is removed meanwhile."""
    match = _NAME.fullmatch(entry.name)
    if match is None or not entry.is_dir(follow_symlinks=False):
        return None
    path, info = root / entry.name, entry.stat(follow_symlinks=False)
    why = run_stamps.why_foreign(services, path, match[1])
    fresh = services.clock.now().timestamp() - info.st_mtime < _PROBE_S
    if why is None or ("-" in match[1] and fresh):
        return None
    owner = "" if info.st_uid == os.geteuid() else f", belongs to {which_user(info.st_uid)}"
    size = size_of(path)
    path.lstat()  # a directory that is gone by now was no leftover
    return Finding(
        "leftover",
        "warning",
        "",
        f"{path} has the name of a run's work directory and contains {size}{owner}, but {why}",
        "another drd on this host, with another state, may use this directory. If not: rm "
        f"-r {shlex.quote(str(path))}",
    )


def size_of(directory: Path) -> str:
    """Return the size of all files below it; `more than` that if counting takes too long."""
    limit, total = time.monotonic() + _MEASURED_S, 0
    for _, _, files, fd in os.fwalk(directory):
        for name in files:
            try:
                total += os.stat(name, dir_fd=fd, follow_symlinks=False).st_size
            except OSError:
                continue
        if time.monotonic() > limit:
            return f"more than {format_size(total)}"
    return format_size(total)
