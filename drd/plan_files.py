"""The plan files of a directory, and the names in them, without parsing YAML.

`drd status`, which starts cold, imports this: the standard library is enough for it.
"""

from __future__ import annotations

import os
import re

from drd.named import NamedTuple

_NAME_WITHIN = 65536
"""The bytes of a plan file that are searched for its name."""


class FoundPlanFile(NamedTuple):
    """A plan file on disk, by its directory entry alone."""

    path: str
    mtime_ns: int
    size: int


def plan_files(directory: str | os.PathLike[str]) -> list[FoundPlanFile]:
    """Return the plan files of a directory without opening them; empty if there is no directory."""
    try:
        with os.scandir(directory) as entries:
            names = [e.name for e in entries if _is_plan(e.name)]
    except OSError:
        return []
    base = os.path.join(os.path.abspath(directory), "")  # noqa: PTH100, PTH118
    return [file for name in sorted(names) if (file := stat_file(base + name)) is not None]


# `drd status` needs neither: they are compiled when they are first used.
_NAME = r"""(?m)^plan\s*:\s*(["']?)([a-z0-9-]{1,40})\1\s*(?:#.*)?$"""
_MADE_BY = r"(?m)^[^#\n]*\bmade_by\s*:"


def plan_name(path: str) -> str:
    """Return the name in a plan file; if there is none, the name of the file. YAML is not parsed
    for this."""
    match = re.search(_NAME, _head(path))
    return match[2] if match else os.path.basename(path).rsplit(".", 1)[0]  # noqa: PTH119


def is_adopted(path: str) -> bool:
    """Return whether another tool makes the copies of the plan in a file. YAML is not parsed for
    this."""
    return re.search(_MADE_BY, _head(path)) is not None


def name_line(path: str) -> int:
    """Return the line of the name in a plan file; 1 if the file does not contain it."""
    head = _head(path)
    match = re.search(_NAME, head)
    return head.count("\n", 0, match.start()) + 1 if match else 1


def _head(path: str) -> str:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            return (file.read(_NAME_WITHIN) or b"").decode("utf-8", "replace")
    except OSError:
        return ""


def _without_waiting(path: str, flags: int) -> int:
    """Open a file at once: opening a FIFO would otherwise wait until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _is_plan(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) and not name.startswith(".")


def stat_file(path: str) -> FoundPlanFile | None:
    try:
        info = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return FoundPlanFile(path, info.st_mtime_ns, info.st_size)


def digest_of(path: str) -> str | None:
    """Return the digest of a file; None if it cannot be read."""
    import hashlib

    try:
        with open(path, "rb", opener=_without_waiting) as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None
