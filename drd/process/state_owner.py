"""Find who can change a state, and so for whom root acts: decided here, once, before a command
begins.

The directory alone does not answer this. Anyone who can replace a directory on the way to it can
lead root to another state, even to one that looks like root's. So every directory on the way is
held open while it is checked. Only links of root and of the user for whom root would act are
followed. If others could replace a directory because of an administrator's decision, drd only
warns: backups continue.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from drd import acl, log
from drd.errors import DrdError
from drd.process import rights
from drd.process.path_walk import PathEntry, PathWalk, walk
from drd.process.private import HeldDirectory, has_members
from drd.users import user_name

SHARED = 0o2770
"""Directories that an earlier drd left open to others: they are closed before drd trusts anything
in them.
"""


class StateOwner(NamedTuple):
    """The user and the group of a directory."""

    uid: int
    gid: int


ROOT = StateOwner(0, 0)


@contextmanager
def acting_for_owner(state: Path, work_dir: Path) -> Iterator[None]:
    """In the body, let root act as the user who can change the state; does nothing for other users.
    Raises DrdError if no single user can.
    """
    decides = os.geteuid() == 0 and rights.acts_for() is None
    with rights.acting_for(*(owner_of(state, work_dir) if decides else ROOT)):
        yield


def owner_of(state: Path, work_dir: Path) -> StateOwner:
    """Return the user to whom the state belongs: the owner of the directory at the end of the path,
    or of the nearest existing one. Warns when others can change a directory on the path. Raises
    DrdError for a link of anyone but root and that owner.
    """
    owner = _decide_owner(state)
    if owner.uid == 0 and work_dir != state and (other := _decide_owner(work_dir, beside=True)).uid:
        _warn(
            f"the state {state} belongs to root, but user {user_name(other.uid)} can change "
            f"{work_dir}, which drd uses",
            f"chown -R root: {work_dir}, or set `work_dir` in drd.yaml to a directory of root",
        )
    return owner


def _warn(fact: str, remedy: str) -> None:
    log.get().warning("state.way", fact=fact, remedy=remedy)


def _decide_owner(place: Path, *, beside: bool = False) -> StateOwner:
    """`beside` may be a directory like /tmp itself: what root makes there is root's."""
    try:
        with closing(_walked(place)) as way:
            return _first_owner(place, way, beside=beside)
    except OSError as error:
        raise DrdError(
            f"cannot find out who owns {place}: {error.strerror}",
            hint="check `state` and `work_dir` in drd.yaml.",
        ) from error


def _walked(place: Path) -> PathWalk:
    """Walk to the place. In a sticky directory, where everyone could create the missing part, root
    creates it first.
    """
    way = walk(os.fspath(place))
    above = way.steps[-1]
    if not way.missing or not _is_sticky(above.info) or not _others_write(above):
        return way
    with closing(way), suppress(FileExistsError):
        os.mkdir(way.missing[0], 0o700, dir_fd=above.fd)
    return walk(os.fspath(place))


def _first_owner(place: Path, way: PathWalk, *, beside: bool) -> StateOwner:
    end = way.steps[-1].info.st_uid
    for link in way.links:
        # Where root acts as the link's owner, the link leads only to what its owner can reach.
        if link.owner not in ({0} if beside else {0, end}):
            whose = user_name(link.owner)
            raise DrdError(
                f"{link.place} is a link that belongs to user {whose}, but it leads to files of "
                f"user {user_name(end)}, so root does not follow it to {place}",
                hint="write the real path in drd.yaml (`state`, `work_dir`); or, if the link is "
                f"right, make root its owner: chown -h root: {link.place}",
            )
    strangers = [p for p in way.passed if p.info.st_uid != 0]
    if not strangers:
        _warn_if_writable(place, way, beside=beside)
        return ROOT
    owner, last = strangers[0].info.st_uid, way.steps[-1].info
    if last.st_uid != owner:
        user, whose, there = user_name(owner), user_name(last.st_uid), way.reached
        _warn(
            f"{there} belongs to user {whose}, but user {user} can replace it, because "
            f"{strangers[0].place} belongs to user {user}",
            f"make one user own both: chown -R {user} {there}, or chown {whose}: "
            f"{strangers[0].place}. Or set another place in drd.yaml",
        )
    return StateOwner(last.st_uid, last.st_gid)


def _warn_if_writable(place: Path, way: PathWalk, *, beside: bool) -> None:
    for directory in way.passed:
        info, last = directory.info, directory.place == way.reached
        if not _others_write(directory) or (_is_sticky(info) and (beside or not last)):
            continue
        if last and not way.missing and stat.S_IMODE(info.st_mode) == SHARED:
            continue
        remedy = f"chmod go-w {directory.place}"
        if _is_sticky(info):
            remedy = "in drd.yaml, set a directory that only drd uses (`state`, `work_dir`)"
        _warn(
            f"{directory.place} belongs to root, but other users can write to it, and so can "
            f"replace {'what it contains' if directory.place == place else place}",
            remedy,
        )


def _is_sticky(info: os.stat_result) -> bool:
    return bool(info.st_mode & stat.S_ISVTX)


def _others_write(one: PathEntry | HeldDirectory) -> bool:
    """Return whether others than root can write to a directory of root's, by its mode or its access
    control list. A group counts only if it has a member besides root, unlike in
    `private._writable`: the directories above a state often belong to groups without members.
    """
    if one.info.st_mode & stat.S_IWOTH:
        return True
    if not one.info.st_mode & stat.S_IWGRP:
        return False
    if acl.gives_owning_group(one.acl, acl.WRITE) and has_members(one.info.st_gid):
        return True
    named = acl.named(one.acl, acl.WRITE) if one.acl is not None else ()
    return any(has_members(who.id) if who.is_group else who.id != 0 for who in named)
