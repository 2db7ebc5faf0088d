"""The directories that runs work in, and the removal of what a dead run left there.

Their content is trusted: journals say what to remove and to rename elsewhere, and which processes
to end. So a run's directory counts only if nobody else can have put or exchanged it: it belongs to
this user, nobody else can write around it, and it contains the stamp of a run that the catalogue
knows. Anything else is left alone; `drd doctor` names it.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from drd import log, process
from drd.errors import DrdError, SandboxUnavailable, UsageError
from drd.extension_faults import attributed
from drd.flows.services import Services
from drd.model.plan import Component
from drd.model.run import Run, sound_id
from drd.ports import Workplace
from drd.process import rights
from drd.process.background import is_any_running
from drd.process.private import (
    ROOTS_OWN,
    STAMP,
    Identity,
    discard,
    half_made,
    identity,
    is_in_root_place,
    make_private,
    read_own,
    root_place,
    why_not_private,
)
from drd.process.rights import Purpose
from drd.registry import KINDS

RUN = "run-"
STARTED = "started-"
_SHELF = "templates"
_KEEP = "kept"
_HALF_MADE = re.compile(rf"\.(?:{RUN}|{STARTED})([A-Za-z0-9-]+)\.\d+")
_DAY_S = 86400.0
_PASSABLE = 0o711

_making = threading.Lock()
_made: dict[Path, Identity] = {}
"""Directories that this very process has made, for work without a run's row."""


def sandbox_user(configured: str, usual: Iterable[str] = ()) -> str:
    """Return the user of sandbox servers when drd is root: the configured user, or one of the
    `usual` ones that exists.
    """
    for name in (configured, *usual, "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        if account.pw_uid != 0:
            return name
    return "nobody"


def component_place(services: Services, run: str, component: Component) -> Workplace:
    """Return this component's own directory within the run's; it is made if it is missing."""
    return _place(services.work_dir, services, run, component)


def sandbox_place(
    services: Services, run: str, component: Component, fences: process.Fences | None = None
) -> Workplace:
    """Return a place like `component_place`, but where the user of sandbox servers can reach it,
    and with these `fences`.
    """
    root = _servers_root(services)
    return replace(_place(root, services, run, component), sandbox=fences)


def _servers_root(services: Services) -> Path:
    """Return the directory that the user of sandbox servers can reach."""
    root = services.work_dir
    away = services.run_as is not None and not _reachable(root, services.run_as)
    return outside(services) if rights.acts_for() is not None or away else root


def target_place(services: Services, run: str, component: Component) -> Workplace:
    """Return a place like `component_place`, for code that writes to a target: root trusts its
    notes there, so nobody else can write there.
    """
    place = _place(_believed(services), services, run, component)
    servers = None
    if component.adopted and _servers_root(services) != _believed(services):
        servers = _place(_servers_root(services), services, run, component).directory
    return replace(place, keep=_keep(services), servers=servers)


def keeping_place(services: Services, run: str, component: Component) -> Workplace:
    """Return the same for kept copies of a run that may be long over: no directory is made."""
    directory = _believed(services) / f"{RUN}{sound_id(run)}" / f"{component.name}.{component.kind}"
    return Workplace(directory, run, services.run_as, services.jobs, keep=_keep(services))


def _keep(services: Services) -> Path:
    """Return where kept copies outlive a restart of the host."""
    acts = rights.acts_for() is not None
    return (_durable(services) if acts else services.work_dir) / _KEEP


def _believed(services: Services) -> Path:
    """Return the directory for this process's notes to itself."""
    return services.work_dir if rights.acts_for() is None else outside(services)


def outside(services: Services) -> Path:
    """Return the place in the shared directory of all states on this host: each has its own."""
    return root_place(services.work_dir)


def roots(services: Services) -> list[Path]:
    """Return the directories that may contain directories of runs."""
    if not services.is_root:
        return [services.work_dir]
    return list(dict.fromkeys((services.work_dir, outside(services), _durable(services))))


def _durable(services: Services) -> Path:
    """Return root's own place if it can write there; it outlives a restart of the host."""
    return root_place(services.work_dir, ROOTS_OWN)


def _place(root: Path, services: Services, run: str, component: Component) -> Workplace:
    directory = _directory_in(root, services, run) / f"{component.name}.{component.kind}"
    with _explained(directory), _whose(root):
        make_private(directory, _PASSABLE)
    return Workplace(directory, run, services.run_as, services.jobs, shelf=root / _SHELF)


def run_directory(services: Services, run: str) -> Path:
    """Return a run's directory in `work_dir`; it is made if it is missing. Others may pass through
    (a sandbox's user must), not list it. Raises SandboxUnavailable if something else has its name.
    """
    return _directory_in(services.work_dir, services, run)


def believed_directory(services: Services, run: str) -> Path:
    """Return the run's directory for this process's notes to itself, and for what it restored with
    root's rights.
    """
    return _directory_in(_believed(services), services, run)


def _whose(root: Path) -> AbstractContextManager[None]:
    """Return the user who may change the place: root for root's own."""
    return rights.root(Purpose.OWNERS) if is_in_root_place(root) else nullcontext()


def _directory_in(root: Path, services: Services, run: str) -> Path:
    directory, row = root / f"{RUN}{sound_id(run)}", _row(services, run)
    with _explained(root), _whose(root):
        _make_root(root)
        return _stamped(directory, run, row, _PASSABLE)


def _stamped(directory: Path, run: str, row: Run | None, mode: int) -> Path:
    """Make the directory; it gets its name when it has its stamp, so a kill leaves none without
    one.
    """
    with _making:
        if not os.path.lexists(directory):
            new = half_made(directory)
            shutil.rmtree(new, ignore_errors=True)
            make_private(new, mode)
            _put_stamp(new, row)
            new.rename(directory)
            if (made := identity(directory)) is not None:
                _made[directory] = made
    _require_ours(directory, run, row)
    return directory


def _require_ours(directory: Path, run: str, row: Run | None) -> None:
    if not _is_own_directory(directory, row):
        raise SandboxUnavailable(
            f"drd does not use {directory}, because run {run} did not make it",
            hint=f"find out who made this directory: `ls -ld {directory}`. If nobody needs it: `rm "
            f"-r {directory}`",
        )


def _make_root(root: Path) -> None:
    if is_in_root_place(root):
        own = root.parent
        make_private(own, _PASSABLE)
        if why := why_not_private(own):
            raise SandboxUnavailable(
                f"others can change the files in {own}: {why}",
                hint=f"chown root: {own}; chmod 0711 {own}",
            )
    make_private(root, _PASSABLE)


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # its own words and remedy, as wherever a disk is full
        hint = "work_dir in drd.yaml must be a directory that drd can write to."
        if is_in_root_place(directory):
            hint = f"mount a writable file system at {ROOTS_OWN}, or at /run."
        raise SandboxUnavailable(f"cannot make {directory}: {error.strerror}", hint=hint) from error


def _put_stamp(directory: Path, run: Run | None) -> None:
    if run is None or run.stamp is None:
        return
    fd = os.open(directory / STAMP, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(run.stamp.encode("ascii"))


def _row(services: Services, run: str) -> Run | None:
    """Return the run with exactly this id, read as the owner of the state and so of the
    catalogue.
    """
    try:
        with rights.owners():
            run_row = services.catalogue.runs.get(run)
    except UsageError:
        return None
    return run_row if run_row.id == run else None


def _is_own_directory(directory: Path, run: Run | None) -> bool:
    """Return whether a directory is this user's, and of this run: by the stamp in its row, or
    because this process made it. (A run from before there were stamps has neither a stamp nor a
    directory.)
    """
    now = identity(directory)
    if now is None:
        return False
    if _made.get(directory) == now:
        return True
    if run is None:
        return False
    put = read_own(directory / STAMP, 100)
    return (put.decode("ascii", "replace") if put is not None else None) == run.stamp


def why_foreign(services: Services, directory: Path, run: str) -> str | None:
    """Say why a directory of this name belongs to no known run; None if it is the run's."""
    if directory in _made:
        return None
    row = _row(services, run)
    if row is None:
        return f"the catalogue has no run {run}"
    with _whose(directory.parent):
        return (
            None
            if _is_own_directory(directory, row)
            else f"run {run} of this drd did not create it"
        )


def _reachable(directory: Path, user: str) -> bool:
    """Return whether `user` may pass through every directory down to this one."""
    account = pwd.getpwnam(user)
    groups = os.getgrouplist(user, account.pw_gid)
    with _explained(directory):
        _make_root(directory)
    for place in (directory, *directory.parents):
        info = place.stat()
        if info.st_uid == account.pw_uid:
            bit = stat.S_IXUSR
        elif info.st_gid in groups:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not info.st_mode & bit:
            return False
    return True


@contextmanager
def swept_afterwards(services: Services, run: str) -> Iterator[None]:
    """Remove the run's directories at the end, also after an error or a cancel."""
    try:
        yield
    finally:
        with process.shielded():
            remove_run(services, run)


def remove_run(services: Services, run: str) -> list[str]:
    """End processes in a run's directories and remove these; return sentences about what was found.
    A directory that is not proven to be the run's stays as it is.
    """
    notes: list[str] = []
    row = _row(services, run)
    for root in roots(services):
        with _whose(root):
            notes += _remove(services, root, root / f"{RUN}{sound_id(run)}", row)
    return notes


def _remove(services: Services, root: Path, directory: Path, row: Run | None) -> list[str]:
    notes: list[str] = []
    if not _is_own_directory(directory, row):
        return notes
    if why_not_private(root) is None:
        for place in _components(directory):
            kind = place.name.rpartition(".")[2]
            with suppress(DrdError), attributed(str(place), KINDS.extension(kind)):
                notes += services.kinds(kind).sweep(place)
    elif directory not in _made:
        return notes
    # Where others can write nothing that is read there is believed: it goes, and no more.
    discard(directory)
    _made.pop(directory, None)
    return notes


def _components(directory: Path) -> list[Path]:
    """Return the workplaces in a run's directory: real directories of this user."""
    return [p for p in sorted(directory.iterdir()) if identity(p) is not None]


def sweep_orphans(services: Services) -> list[str]:
    """Remove the directories of runs that have ended; those of live or resumable runs stay, and
    those without a known run.
    """
    notes: list[str] = []
    for root in roots(services):
        with _whose(root):
            safe = _may_sweep(root)
            names = sorted(root.glob(f"{RUN}*")) if safe else []
            half_made = sorted(root.glob(".*")) if safe else []
        for directory in names:
            run = directory.name.removeprefix(RUN)
            if _has_ended(services, run):
                notes += remove_run(services, run)
        for directory in half_made:
            _remove_half_made(services, root, directory)
    sweep_started(services)
    return notes


def _remove_half_made(services: Services, root: Path, directory: Path) -> None:
    """Remove what a kill left half made or half removed."""
    name = _HALF_MADE.fullmatch(directory.name)
    if name is None or not _has_ended(services, name[1]):
        return
    with _whose(root):
        if identity(directory) is not None:
            shutil.rmtree(directory, ignore_errors=True)


def _may_sweep(root: Path) -> bool:
    if not root.is_dir():
        return False
    why = why_not_private(root)
    if why is not None:
        log.get().warning("sweep.left_out", place=str(root), why=why)
    return why is None


def started_directory(services: Services, run: str) -> Path:
    """Return where a recovery records what it has started and leaves running; it need not exist
    yet. Raises SandboxUnavailable if something else has its name.
    """
    root, row = _believed(services), _row(services, run)
    name = f"{STARTED}{sound_id(run)}"
    with _whose(root):
        if rights.acts_for() is not None and os.path.lexists(_durable(services) / name):
            root = _durable(services)  # that was written to when it was begun
        if os.path.lexists(root / name):
            _require_ours(root / name, run, row)
    return root / name


def make_started(services: Services, run: str) -> Path:
    """Return the same directory, made if it is missing."""
    directory, row = started_directory(services, run), _row(services, run)
    with _explained(directory), _whose(directory.parent):
        _make_root(directory.parent)
        return _stamped(directory, run, row, 0o700)


def sweep_started(services: Services, run: str = "*") -> None:
    """Remove the records of services that have ended, of runs that have ended. Their output stays
    for a day, for whoever wants to know why.
    """
    for root in roots(services):
        with _whose(root):
            names = list(root.glob(f"{STARTED}{run}")) if _may_sweep(root) else []
        for directory in names:
            row = _row(services, directory.name.removeprefix(STARTED))
            with _whose(root):
                _forget_ended(directory, row, services.clock.now().timestamp())


def _forget_ended(directory: Path, row: Run | None, now: float) -> None:
    if row is None or not row.state.final or not _is_own_directory(directory, row):
        return
    if is_any_running(directory, row.id):
        return
    said = (f for f in directory.iterdir() if f.name != STAMP)
    last = max((f.lstat().st_mtime for f in said), default=0.0)
    if now - last > _DAY_S:
        discard(directory)


def _has_ended(services: Services, run: str) -> bool:
    """Return whether the run is known and has ended: of runs of another catalogue nobody here can
    tell."""
    run_row = _row(services, run)
    if run_row is None or not run_row.state.final:
        return False
    return not services.row_trust.is_carried(run)
