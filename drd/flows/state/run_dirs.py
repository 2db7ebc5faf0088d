"""The directories that runs work in. Whose they are: `run_stamps`; their end: `run_removal`."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from drd import process
from drd.errors import SandboxUnavailable
from drd.flows.services import Services
from drd.flows.state.run_stamps import require_ours, rights_in, row_of, stamped
from drd.model.plan import Component
from drd.model.run import sound_id
from drd.ports import Workplace
from drd.process import rights
from drd.process.private import (
    ROOTS_OWN,
    is_in_root_place,
    make_private,
    root_place,
    why_not_private,
)
from drd.registry import KINDS

RUN = "run-"
STARTED = "started-"
_SHELF = "templates"
_KEEP = "kept"
_PASSABLE = 0o711


def sandbox_user(configured: str, usual: Iterable[str] = ()) -> str:
    """Return the user of sandbox servers when drd is root: the configured user, or the first
    existing one of the `usual` users.
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
    place = _place(believed_root(services), services, run, component)
    servers = None
    has_server = component.adopted or KINDS[component.kind].recovers_in_server
    if has_server and _servers_root(services) != believed_root(services):
        servers = _place(_servers_root(services), services, run, component).directory
    return replace(place, keep=_keep(services), servers=servers)


def keeping_place(services: Services, run: str, component: Component) -> Workplace:
    """Return the place for kept copies of a run that may be over for a long time: no directory is
    made."""
    directory = (
        believed_root(services) / f"{RUN}{sound_id(run)}" / f"{component.name}.{component.kind}"
    )
    return Workplace(directory, run, services.run_as, services.jobs, keep=_keep(services))


def _keep(services: Services) -> Path:
    """Return where kept copies outlive a restart of the host."""
    acts = rights.acts_for() is not None
    return (_durable(services) if acts else services.work_dir) / _KEEP


def believed_root(services: Services) -> Path:
    """Return the directory in which each run has its `believed_directory`."""
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
    with _explained(directory), rights_in(root):
        make_private(directory, _PASSABLE)
    return Workplace(directory, run, services.run_as, services.jobs, shelf=root / _SHELF)


def run_directory(services: Services, run: str) -> Path:
    """Return a run's directory in `work_dir`; it is made if it is missing. Others may pass through
    (a sandbox's user must), not list it. Raises SandboxUnavailable if something else has its name.
    """
    return _directory_in(services.work_dir, services, run)


def believed_directory(services: Services, run: str) -> Path:
    """Return the directory of a run for what drd later trusts: its own notes, and data that it
    restored with root's rights.
    """
    return _directory_in(believed_root(services), services, run)


def _directory_in(root: Path, services: Services, run: str) -> Path:
    directory, row = root / f"{RUN}{sound_id(run)}", row_of(services, run)
    with _explained(root), rights_in(root):
        _make_root(root)
        return stamped(directory, run, row, _PASSABLE)


def _make_root(root: Path) -> None:
    if is_in_root_place(root):
        own = root.parent
        make_private(own, _PASSABLE)
        if why := why_not_private(own):
            raise SandboxUnavailable(
                f"other users can change the files in {own}: {why}",
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


def started_directory(services: Services, run: str) -> Path:
    """Return the directory where a recovery records programs that it has started and leaves
    running; it need not exist yet. Raises SandboxUnavailable if something else has its name.
    """
    root, row = believed_root(services), row_of(services, run)
    name = f"{STARTED}{sound_id(run)}"
    with rights_in(root):
        if rights.acts_for() is not None and os.path.lexists(_durable(services) / name):
            root = _durable(services)  # that was written to when it was begun
        if os.path.lexists(root / name):
            require_ours(root / name, run, row)
    return root / name


def make_started(services: Services, run: str) -> Path:
    """Return the same directory, made if it is missing."""
    directory, row = started_directory(services, run), row_of(services, run)
    with _explained(directory), rights_in(directory.parent):
        _make_root(directory.parent)
        return stamped(directory, run, row, 0o700)
