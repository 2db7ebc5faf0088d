"""What root leaves behind where a service user keeps its state and copies."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path


def hand_over(own: Iterable[Path], repositories: Mapping[Path, bool], state: Path | None) -> None:
    """Leave no file of root's in the directories of the state's owner, nor in local repositories,
    which come with whether they were there before."""
    known = set(own)
    for place in known:
        if place.is_dir():
            _give_to_owner(place, place.stat())
    for place in repositories.keys() - known:
        if place.is_dir():
            # Root's, when a command of root's made it: then it is for whoever has the state.
            made_here = not repositories[place]
            of = state if made_here and state is not None and state.is_dir() else place.parent
            owner = place.stat()
            _give_to_owner(place, owner if owner.st_uid else of.stat())


def _give_to_owner(place: Path, owner: os.stat_result) -> None:
    """What is root's at and below `place` becomes the owner's, unless that is root."""
    if owner.st_uid == 0:
        return
    for directory, _, files in os.walk(place):
        for entry in (directory, *(os.path.join(directory, f) for f in files)):  # noqa: PTH118
            with suppress(OSError):
                if os.lstat(entry).st_uid == 0:
                    os.lchown(entry, owner.st_uid, owner.st_gid)
