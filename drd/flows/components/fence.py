"""Decide what code that comes with the data may use in a drill, and report what it tried to use."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from drd.errors import SandboxUnavailable
from drd.flows.services import Services
from drd.model.fencing import FenceReport, RefusedAccess
from drd.model.log_place import SUFFIX
from drd.model.plan import Plan
from drd.ports import Inspector
from drd.process import Fence, FenceLimits, Fences, rights
from drd.process.named_files import named_files
from drd.process.private import root_directories
from drd.process.real_path import real_path_for_fence

_SECRETS = Path("/etc/drd")


@contextmanager
def drill_fences(services: Services, plan: Plan) -> Iterator[Fences]:
    """The fences of one drill, as the plan requires; removed at the end.

    Raises SandboxUnavailable if the plan requires a complete fence and this host has none."""
    fences = _fences(services, plan, FenceLimits.usual(plan.drill.timeout_s))
    try:
        if plan.drill.fence == "required" and fences.missing:
            missing = missing_text(fences.missing.items())
            raise SandboxUnavailable(
                f"this host has no complete fence for a drill: {missing}",
                hint=f"to see why: drd doctor {plan.name}. To drill with the parts of the fence "
                "that this host has, write `fence: best` in the section `drill:` of the plan.",
            )
        yield fences
    finally:
        fences.close()


@contextmanager
def server_fences(services: Services, plan: Plan) -> Iterator[Fences]:
    """Yield the fences of one recovery, for a server that runs on the files of a backup. A server
    may use the same things as in a drill, without a time limit; if a host has no complete fence,
    the recovery runs without a fence.
    """
    fences = _fences(services, plan, FenceLimits.usual())
    try:
        yield fences
    finally:
        fences.close()


def _fences(services: Services, plan: Plan, limits: FenceLimits) -> Fences:
    with rights.root(rights.Purpose.OWNERS):  # links on the way, in directories of others as well
        declared = [real_path_for_fence(p) for p in plan.drill.read]
    return Fences(
        reach=plan.drill.reach,
        closed=tuple(hidden_places(services, plan)),
        limits=limits,
        reads=tuple(p for p in declared if p is not None),
    )


def hidden_places(services: Services, plan: Plan) -> Iterable[Path]:
    """Return the places that every fence hides, even if a plan or a command names them: drd's own
    files, root's own for every state on this host, and the plan's local copies.
    """
    yield services.work_dir
    yield from root_directories()
    yield _SECRETS
    yield from services.private
    if directory := os.environ.get("CREDENTIALS_DIRECTORY"):
        yield Path(directory)
    for repository in plan.repositories.values():
        if repository.url.startswith("/"):
            yield Path(repository.url)
            beside = Path(f"{repository.url.rstrip('/')}{SUFFIX}")
            yield from [beside] if beside.exists() else []


def for_command(
    fences: Fences,
    by: str,
    written: Sequence[str],
    inspectors: Iterable[Inspector],
    directory: Path,
) -> Fence:
    """Return the fence for a command of the plan: it may change the restored data, and a scratch
    directory below `directory`, which becomes its HOME; and it may read the program and the files
    that its words in the plan (`written`) name. A word with a `${…}` gives access to nothing:
    restored data is accessible already, and other values were chosen by others. Raises
    SandboxUnavailable when something else has the name of its scratch directory."""
    home = _scratch(directory, blake2b(by.encode(), digest_size=4).hexdigest())
    writes, sockets = [home], list[Path]()
    for inspector in inspectors:
        writes += (_directory(Path(place)) for place in inspector.places)
        sockets += map(Path, inspector.sockets)
    hidden = [d for place in writes for d in _devices(place)] if rights.may_be_root() else []
    named = list(named_files(written, [os.path.realpath(w) for w in writes]))
    return fences.fence(by, writes, reads=named, sockets=sockets, home=home, hidden=hidden)


def _directory(came_back: Path) -> Path:
    """Return the restored directory, or that of a restored file. A link in its place was put there
    by code that came with the data, and is not followed."""
    with suppress(OSError):
        if stat.S_ISDIR(came_back.lstat().st_mode):
            return came_back
    return came_back.parent


def _scratch(directory: Path, name: str) -> Path:
    """A directory of this process's user, made if it is missing, with no link on the way to it."""
    place = directory
    for part, mode in (("scratch", 0o711), (name, 0o700)):
        place /= part
        with suppress(FileExistsError):
            place.mkdir(mode=mode)
        try:
            fd = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise _foreign_directory(place) from error
        try:
            if os.fstat(fd).st_uid != os.geteuid():
                raise _foreign_directory(place)
        finally:
            os.close(fd)
    return place


def _foreign_directory(place: Path) -> SandboxUnavailable:
    return SandboxUnavailable(
        f"drd does not use {place}, because this drill did not make it",
        hint=f"find out who made this directory: `ls -ld {place}`. If nobody needs it: `rm -r "
        f"{place}`",
    )


def _devices(place: Path) -> Iterator[Path]:
    """Device nodes, which root has restored and could open: the host's disks under another name."""
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _devices(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                    yield Path(entry.path)


def report(fences: Fences, plan: Plan) -> FenceReport:
    """Return the parts of the fence that held, and refused accesses, for the evidence."""
    return FenceReport(
        held=fences.parts,
        missing=dict(fences.missing),
        limits="control group" if fences.grouped else "rlimits",
        fenced=tuple(fences.fenced()),
        reach=plan.drill.reach,
        read=plan.drill.read,
        tried=tuple(RefusedAccess(a.by, a.what, a.to) for a in fences.attempts()),
    )


def missing_text(missing: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{part}: {why}" for part, why in missing)
