"""The directories that runs work in, and sweeping what a dead run left there."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drd import process
from drd.errors import DrdError, SandboxUnavailable, UsageError
from drd.flows.services import Services
from drd.model.plan import Component
from drd.ports import Workplace
from drd.process.started import anything_runs

_PREFIX = "run-"
_STARTED = "started-"
_SHELF = "templates"
_DAY_S = 86400.0
_FALLBACK = Path("/var/tmp/drd-sandboxes")  # noqa: S108 - owner and mode are checked
"""Where sandboxes go when the unprivileged user cannot reach `work_dir`."""


def component_place(services: Services, run: str, component: Component) -> Workplace:
    """This component's own directory within the run's, made when it is not there."""
    return _place(services.work_dir, services, run, component)


def sandbox_place(services: Services, run: str, component: Component) -> Workplace:
    """Like `component_place`, but where the user of sandbox servers can get to."""
    root = services.work_dir
    if services.run_as is not None and not _reachable(root, services.run_as):
        root = _own_fallback()
    return _place(root, services, run, component)


def _own_fallback() -> Path:
    """The fallback, which must be a directory of ours: anybody may have put something there."""
    _make(_FALLBACK)
    info = _FALLBACK.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise SandboxUnavailable(
            f"{_FALLBACK} is not a directory of ours",
            hint="remove it, or set work_dir to a directory that the user run_as can reach.",
        )
    return _FALLBACK


def _place(root: Path, services: Services, run: str, component: Component) -> Workplace:
    directory = run_directory(root, run) / f"{component.name}.{component.kind}"
    _make(directory)
    return Workplace(directory, run, services.run_as, services.jobs, shelf=root / _SHELF)


def run_directory(root: Path, run: str) -> Path:
    """Made when it is not there: others may pass through (a sandbox's user must), not look."""
    directory = root / f"{_PREFIX}{run}"
    _make(directory)
    return directory


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711)
    except OSError as error:
        raise SandboxUnavailable(
            f"cannot make {directory}: {error.strerror}",
            hint="work_dir in drd.yaml must be a directory that drd can write to.",
        ) from error


def _reachable(directory: Path, user: str) -> bool:
    """Whether `user` may pass through every directory down to this one."""
    account = pwd.getpwnam(user)
    groups = os.getgrouplist(user, account.pw_gid)
    directory.mkdir(parents=True, exist_ok=True)
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
    """End what still runs in a run's directories and remove them; sentences about what was found."""
    found: list[str] = []
    for root in (services.work_dir, _FALLBACK):
        directory = root / f"{_PREFIX}{run}"
        if not directory.is_dir() or directory.is_symlink():
            continue
        for place in sorted(directory.iterdir()):
            with suppress(DrdError):
                found += services.kinds(place.name.rpartition(".")[2]).sweep(place)
        shutil.rmtree(directory, ignore_errors=True)
    return found


def sweep_orphans(services: Services) -> list[str]:
    """Remove the directories of runs that are over; those of live or resumable runs stay."""
    found: list[str] = []
    for root in (services.work_dir, _FALLBACK):
        if not root.is_dir():
            continue
        for directory in sorted(root.glob(f"{_PREFIX}*")):
            run = directory.name.removeprefix(_PREFIX)
            if _over(services, run, directory):
                found += remove_run(services, run)
    sweep_started(services)
    return found


def started_directory(services: Services, run: str) -> Path:
    """Where a recovery notes down what it has started and leaves running."""
    return services.work_dir / f"{_STARTED}{run}"


def sweep_started(services: Services, run: str = "*") -> None:
    """Remove the notes about services that have ended, of runs that are over. What they printed
    stays for a day, for whoever wants to know why."""
    now = services.clock.now().timestamp()
    for directory in services.work_dir.glob(f"{_STARTED}{run}"):
        of_run = directory.name.removeprefix(_STARTED)
        if not _over(services, of_run, directory) or anything_runs(directory, of_run):
            continue
        last = max((f.stat().st_mtime for f in directory.iterdir()), default=0.0)
        if now - last > _DAY_S:
            shutil.rmtree(directory, ignore_errors=True)


def _over(services: Services, run: str, directory: Path) -> bool:
    try:
        return services.catalogue.run(run).state.final
    except UsageError:
        # Another state directory's run may share the fallback: only what nobody touched for a day.
        return services.clock.now().timestamp() - directory.stat().st_mtime > _DAY_S
