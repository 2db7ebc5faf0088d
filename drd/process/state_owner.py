"""Who can change a state, and so for whom root acts: decided here, once, before a command begins.

The directory alone does not say it. Whoever can exchange a directory on the way to it leads root to
another state, also to one that looks like root's. So the whole way counts, each directory held
while it is looked at. Links are refused but root's and those of the one for whom root would act; a
layout in which others could exchange a directory, as an administrator may have made it, is only
told: it stops no backup.
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
from drd.process.asking import user_name
from drd.process.private import Step, has_members
from drd.process.way import Passed, Way, walk

SHARED = 0o2770
"""What an earlier drd gave its directories: they are closed before anything in them is believed."""


class Whose(NamedTuple):
    """The user and the group of a directory."""

    uid: int
    gid: int


ROOT = Whose(0, 0)


@contextmanager
def acting_for_owner(state: Path, work_dir: Path) -> Iterator[None]:
    """For the body, let root act as the one who can change the state; nothing for everybody else.
    Raises DrdError where nobody can be named."""
    decides = os.geteuid() == 0 and rights.acts_for() is None
    with rights.acting_for(*(owner_of(state, work_dir) if decides else ROOT)):
        yield


def owner_of(state: Path, work_dir: Path) -> Whose:
    """To whom the state belongs: the owner of the directory at the end of the path, or of the
    nearest one that exists. Warns when somebody else can change a directory on the path. Raises
    DrdError for a link of anybody but root and that owner."""
    owner = _decided(state)
    if owner.uid == 0 and work_dir != state and (other := _decided(work_dir, beside=True)).uid:
        _doubt(
            f"the state {state} is root's, but {user_name(other.uid)} can change {work_dir}, "
            "where drd works",
            f"chown -R root: {work_dir}, or let work_dir: in drd.yaml name a directory of root's",
        )
    return owner


def _doubt(fact: str, remedy: str) -> None:
    log.get().warning("state.way", fact=fact, remedy=remedy)


def _decided(place: Path, *, beside: bool = False) -> Whose:
    """`beside` may be a directory like /tmp itself: what root makes there is root's."""
    try:
        with closing(_walked(place)) as way:
            return _first(place, way, beside=beside)
    except OSError as error:
        raise DrdError(
            f"cannot see whose {place} is: {error.strerror}",
            hint="state: and work_dir: in drd.yaml say where it is.",
        ) from error


def _walked(place: Path) -> Way:
    """Walk to the place. In a sticky directory, where everybody could create the missing part, root
    creates it first."""
    way = walk(os.fspath(place))
    above = way.steps[-1]
    if not way.missing or not _is_sticky(above.info) or not _others_write(above):
        return way
    with closing(way), suppress(FileExistsError):
        os.mkdir(way.missing[0], 0o700, dir_fd=above.fd)
    return walk(os.fspath(place))


def _first(place: Path, way: Way, *, beside: bool) -> Whose:
    end = way.steps[-1].info.st_uid
    for link in way.links:
        # Where root works as whose link it is, that leads to nothing which he could not reach
        # himself.
        if link.owner not in ({0} if beside else {0, end}):
            whose = user_name(link.owner)
            raise DrdError(
                f"{link.place} is a link that belongs to {whose}, but it leads to "
                f"{user_name(end)}'s files: root follows none such to {place}",
                hint="name the place that is meant in drd.yaml (state:, work_dir:); or, if the "
                f"link is right, make it root's: chown -h root: {link.place}",
            )
    strangers = [p for p in way.passed if p.info.st_uid != 0]
    if not strangers:
        _doubt_writable(place, way, beside=beside)
        return ROOT
    owner, last = strangers[0].info.st_uid, way.steps[-1].info
    if last.st_uid != owner:
        user, whose, there = user_name(owner), user_name(last.st_uid), way.reached
        _doubt(
            f"{there} belongs to {whose}, but {user}, to whom {strangers[0].place} belongs, can "
            "put another directory in its place",
            f"let both belong to one user: chown -R {user} {there}, or chown {whose}: "
            f"{strangers[0].place}; or let drd.yaml name another place",
        )
    return Whose(last.st_uid, last.st_gid)


def _doubt_writable(place: Path, way: Way, *, beside: bool) -> None:
    for directory in way.passed:
        info, last = directory.info, directory.place == way.reached
        if not _others_write(directory) or (_is_sticky(info) and (beside or not last)):
            continue
        if last and not way.missing and stat.S_IMODE(info.st_mode) == SHARED:
            continue
        remedy = f"chmod go-w {directory.place}"
        if _is_sticky(info):
            remedy = "let drd.yaml name a directory of drd's own (state:, work_dir:)"
        _doubt(
            f"{directory.place} is root's, but others can write to it, and so exchange {place}",
            remedy,
        )


def _is_sticky(info: os.stat_result) -> bool:
    return bool(info.st_mode & stat.S_ISVTX)


def _others_write(one: Passed | Step) -> bool:
    """Whether somebody besides root can write to a directory of root's, by its mode or its access
    control list."""
    if one.info.st_mode & stat.S_IWOTH:
        return True
    if not one.info.st_mode & stat.S_IWGRP:
        return False
    if acl.gives_owning_group(one.acl, acl.WRITE) and has_members(one.info.st_gid):
        return True
    named = acl.named(one.acl, acl.WRITE) if one.acl is not None else ()
    return any(has_members(who.id) if who.is_group else who.id != 0 for who in named)
