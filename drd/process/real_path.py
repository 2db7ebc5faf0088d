"""Resolve a path of a plan, without trusting users who could put links on the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from drd.process import rights

_MOST_LINKS = 40


def real_path_for_fence(path: Path | str, never: Iterable[str] = ()) -> Path | None:
    """Return the real path of an existing file; None if a fence must not show it, if the path is
    relative, or if the file is missing.

    A fence must not show files in one of the real directories `never`, or files that are reached
    through a link there. It must not show files that are reached through a link of another user
    than root and this process's user (if root acts for another user: than root), unless the owner
    of the link also owns the destination.
    """
    if not Path(path).is_absolute():
        return None
    try:
        return _walk(os.fspath(path), tuple(never))
    except OSError:
        return None


def _walk(path: str, never: tuple[str, ...]) -> Path | None:
    here, left = "/", path.split("/")[::-1]
    links, strangers = 0, set[int]()
    trusted = (0, os.geteuid()) if rights.acts_for() is None else (0,)
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            here = os.path.dirname(here)  # noqa: PTH120 - a string, walked by its parts
            continue
        entry = os.path.join(here, part)  # noqa: PTH118
        if any(entry == n or entry.startswith(f"{n}/") for n in never):
            return None
        owner, target = _link(entry)
        if target is None:
            here = entry
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        if owner not in trusted:
            strangers.add(owner)
        here = "/" if target.startswith("/") else here
        left += target.split("/")[::-1]
    info = os.lstat(here)
    return Path(here) if all(info.st_uid == s for s in strangers) else None


def _link(entry: str) -> tuple[int, str | None]:
    """The owner, and the destination if it is a link, both of the same link."""
    place = os.open(entry, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        seen = os.fstat(place)
        return seen.st_uid, os.readlink("", dir_fd=place) if stat.S_ISLNK(seen.st_mode) else None
    finally:
        os.close(place)
