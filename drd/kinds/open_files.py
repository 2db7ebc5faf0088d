"""Say who has files open that a recovery replaces, or has replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from drd.errors import TargetError
from drd.model.down import stop_first
from drd.model.restored import Usage
from drd.process.open_files import REMOVED, FileUser, users_of

_MUST_END = "this program must end before drd replaces the file"
_GOES_ON = "a program that has these files open uses the old files until you restart the program"
_IS_LOST = "what a program writes into a removed file is lost, until you restart the program"


class ReplacedWay(Protocol):
    """A path that a run replaces. `before` is the path at which the run keeps the old content."""

    @property
    def target(self) -> Path: ...

    @property
    def before(self) -> Path: ...


def in_the_way(message: str, user: FileUser) -> TargetError:
    """Return the error that an undo cannot exchange what this program uses: no step of the runbook
    stops the program then."""
    if not user.unit:
        hint = f"stop {user.words} first, and start this program again afterwards."
        return TargetError(message, hint=hint)
    error = TargetError(message, hint=stop_first([user.unit]))
    error.units = (user.unit,)
    return error


def usage(
    ways: Sequence[ReplacedWay], companions: Sequence[str] = (), *, holder: int | None = None
) -> list[Usage]:
    """Return the programs that have the targets open, or that use the data which a run has already
    replaced there. The process `holder` must end before the first target is replaced; 0 if its
    number is unknown."""
    targets = {str(way.target): _names(way.target, companions, ("",)) for way in ways}
    removed = {f"{way.target} (removed)": _names(way.target, (), (REMOVED,)) for way in ways}
    former = {str(way.before): _names(way.before, companions, ("", REMOVED)) for way in ways}
    every = (targets, removed, former)
    users = users_of(name for places in every for names in places.values() for name in names)
    usages = [
        _usage(what, seen, effect=effect, former=places is not targets)
        for places, effect in ((former, None), (removed, _IS_LOST), (targets, _GOES_ON))
        for what, names in places.items()
        if (seen := _of(users, names, holder if places is targets else None))
    ]
    if holder is not None:
        users_now, what = [FileUser.of(holder)], str(ways[0].target)
        usages.insert(0, _usage(what, users_now, effect=_MUST_END, blocks=True))
    return usages


def units_using(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the systemd units of programs that have these files open, or files below them."""
    users_by_path = users_of(map(Path, paths)) if paths else {}
    return tuple(dict.fromkeys(u.unit for users in users_by_path.values() for u in users if u.unit))


def _names(path: Path, companions: Sequence[str], ends: Sequence[str]) -> list[Path]:
    """Return the path with its companions, each with these ends of its name."""
    return [path.with_name(path.name + s + end) for s in ("", *companions) for end in ends]


def _of(
    users: Mapping[Path, list[FileUser]], names: Sequence[Path], apart: int | None
) -> list[FileUser]:
    """Return the processes that use one of these names, each once, without the one `apart`."""
    seen = {u.pid: u for name in names for u in users[name] if u.pid != apart}
    return list(seen.values())


def _usage(
    what: str,
    users: Sequence[FileUser],
    *,
    effect: str | None = None,
    blocks: bool = False,
    former: bool = False,
) -> Usage:
    return Usage(
        what=what,
        by=tuple(u.words for u in users),
        units=tuple(dict.fromkeys(u.unit for u in users if u.unit)),
        pids=tuple(u.pid for u in users),
        effect=effect,
        blocks=blocks,
        former=former,
    )
