"""Remove the directories of runs that have ended, and directories that a kill left incomplete."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drd import log, process
from drd.errors import DrdError
from drd.extension_faults import attributed
from drd.flows.services import Services
from drd.flows.state.run_dirs import RUN, STARTED, roots
from drd.flows.state.run_stamps import forget, is_made_here, is_own_directory, rights_in, row_of
from drd.model.run import Run, sound_id
from drd.process.background import is_any_running
from drd.process.private import STAMP, discard, identity, why_not_private
from drd.registry import KINDS

_HALF_MADE = re.compile(rf"\.(?:{RUN}|{STARTED})([A-Za-z0-9-]+)\.\d+")
_DAY_S = 86400.0


@contextmanager
def swept_afterwards(services: Services, run: str) -> Iterator[None]:
    """Remove the run's directories at the end, also after an error or a cancel."""
    try:
        yield
    finally:
        with process.shielded():
            remove_run(services, run)


def remove_run(services: Services, run: str) -> list[str]:
    """End processes in a run's directories and remove the directories; return sentences about what
    was found. A directory is kept if nothing proves that it is the run's.
    """
    notes: list[str] = []
    row = row_of(services, run)
    for root in roots(services):
        with rights_in(root):
            notes += _remove(services, root, root / f"{RUN}{sound_id(run)}", row)
    return notes


def _remove(services: Services, root: Path, directory: Path, row: Run | None) -> list[str]:
    notes: list[str] = []
    if not is_own_directory(directory, row):
        return notes
    if why_not_private(root) is None:
        for place in _components(directory):
            kind = place.name.rpartition(".")[2]
            with suppress(DrdError), attributed(str(place), KINDS.extension(kind)):
                notes += services.kinds(kind).sweep(place)
    elif not is_made_here(directory):
        return notes
    # Where others can write nothing that is read there is believed: it goes, and no more.
    discard(directory)
    forget(directory)
    return notes


def _components(directory: Path) -> list[Path]:
    """Return the workplaces in a run's directory: real directories of this user."""
    return [p for p in sorted(directory.iterdir()) if identity(p) is not None]


def sweep_orphans(services: Services) -> list[str]:
    """Remove the directories of runs that have ended. The directories of live or resumable runs
    stay, and so do directories without a known run.
    """
    notes: list[str] = []
    for root in roots(services):
        with rights_in(root):
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
    with rights_in(root):
        if identity(directory) is not None:
            shutil.rmtree(directory, ignore_errors=True)


def _may_sweep(root: Path) -> bool:
    if not root.is_dir():
        return False
    why = why_not_private(root)
    if why is not None:
        log.get().warning("sweep.left_out", place=str(root), why=why)
    return why is None


def sweep_started(services: Services, run: str = "*") -> None:
    """Remove the records of services that have ended, of runs that have ended. Their output stays
    for a day, for whoever wants to know why.
    """
    for root in roots(services):
        with rights_in(root):
            names = list(root.glob(f"{STARTED}{run}")) if _may_sweep(root) else []
        for directory in names:
            row = row_of(services, directory.name.removeprefix(STARTED))
            with rights_in(root):
                _forget_ended(directory, row, services.clock.now().timestamp())


def _forget_ended(directory: Path, row: Run | None, now: float) -> None:
    if row is None or not row.state.final or not is_own_directory(directory, row):
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
    run_row = row_of(services, run)
    if run_row is None or not run_row.state.final:
        return False
    return not services.row_trust.is_carried(run)
