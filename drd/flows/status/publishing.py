"""Keep the summary of the status up to date, for users who may read nothing else.

Each process that gets the lock updates the summary by the changes that the catalogue has counted,
of all processes; so daemon and commands write the same file and need not know about each other.
"""

from __future__ import annotations

import fcntl
import grp
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import drd
from drd import acl, log, modes
from drd.errors import CatalogueError, DamagedSummary
from drd.flows.status.overview import SUMMARY as NAME
from drd.flows.status.summary_file import MODE, Summary, read_summary, write_summary
from drd.model.changes import Changed
from drd.ports import Finding
from drd.process import group_name, user_name
from drd.process.state_owner import acting_for_owner

_log = log.get()

LOOK_S = 1.0
"""Seconds between two checks for changes; a change is public within two seconds."""
REBUILD_S = 3600.0
"""The summary is made anew after this time, in case a change was not counted."""
_WAIT_S = 2.0
"""How many seconds to wait for another process that is writing the summary; that process writes the
same."""


@dataclass(frozen=True, slots=True)
class SummaryPlace:
    """Where the summary is written: a directory that `group` may read; `owner` is the user id of
    the state's owner. `lock` is a file in the state.
    """

    directory: Path
    group: str
    owner: int
    lock: Path


@dataclass(frozen=True, slots=True)
class SummarySource:
    """The source of the facts: `read_changed` returns what has changed in the catalogue
    `identity()` since a count. After `close` no files are open.
    """

    read_changed: Callable[[int | None], Changed]
    identity: Callable[[], str]
    now: Callable[[], datetime]
    close: Callable[[], None] = lambda: None


class Publisher:
    """Brings one summary up to date."""

    def __init__(self, place: SummaryPlace, source: SummarySource, version: str) -> None:
        self._place = place
        self._source = source
        self._version = version
        self._summary: Summary | None = None
        self._written: tuple[int, int, int] | None = None
        self._kept = False

    def refresh(self, *, anew: bool = False) -> bool:
        """Write the summary if the catalogue has changes; return whether it had. `anew` ignores its
        present content. Raises OSError and CatalogueError.
        """
        place = self._place
        modes.make_public_directory(place.directory, place.group, owner=place.owner)
        directory = os.open(
            place.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        )
        try:
            with self._locked() as held:
                return held and self._refresh(directory, anew=anew)
        finally:
            os.close(directory)

    def close(self) -> None:
        """Close the catalogue."""
        self._source.close()

    def _refresh(self, directory: int, *, anew: bool) -> bool:
        state, now = self._source.identity(), self._source.now()
        summary = self._present_file(directory)
        if anew or summary is None or summary.state != state:
            summary = Summary(self._version)
        since = summary.seq if summary.state == state else None
        changed = self._source.read_changed(since)
        if changed.seq == since and not changed.everything:
            return False
        summary.apply(changed, state, now)
        if write_summary(directory, summary.to_bytes(now)):
            self._kept = False
        elif not self._kept:
            self._kept = True
            group = self._place.group
            remedy = _remedy(os.geteuid(), group, self._place.directory)
            _log.warning("summary.not_for_the_group", group=group, remedy=remedy)
        self._summary, self._written = summary, _mark(directory)
        return True

    def _present_file(self, directory: int) -> Summary | None:
        """Return the present file, which another process may have written since."""
        if self._summary is not None and self._written == _mark(directory):
            return self._summary
        try:
            return Summary.of(read_summary(str(self._place.directory)), self._version)
        except (OSError, DamagedSummary):
            return None

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        modes.make_private_directory(self._place.lock.parent)
        fd = modes.open_private_file(self._place.lock)
        try:
            yield _flock(fd)
        finally:
            os.close(fd)


def publish(
    directory: str,
    group: str,
    database: str,
    read_changed: Callable[[int | None], Changed],
    identity: Callable[[], str],
) -> None:
    """Update the summary of a SQLite catalogue once. Raises OSError and CatalogueError."""
    state = Path(database).parent
    source = SummarySource(read_changed, identity, lambda: datetime.now(UTC))
    with acting_for_owner(state, state):
        place = SummaryPlace(Path(directory), group, os.geteuid(), state / "locks/summary.lock")
        Publisher(place, source, drd.__version__).refresh()


def findings(directory: Path, group: str) -> list[Finding]:
    """Return the finding of `drd doctor` that the group cannot read the summary; empty if it
    can."""
    try:
        info = (directory / NAME).stat(follow_symlinks=False)
    except OSError:
        return []
    readers = set(acl.groups(str(directory / NAME), acl.ACCESS, 4))
    if not readers and info.st_mode & 0o040:
        readers = {info.st_gid}
    with suppress(KeyError):
        readers &= {grp.getgrnam(group).gr_gid}
    if readers:
        return []
    owner = user_name(info.st_uid)
    why = f"user {owner} is not in this group"
    if info.st_uid == 0:  # root needs no group
        only = f"only to the group {group_name(info.st_gid)}" if info.st_mode & 0o040 else "to none"
        why = f"root wrote this file and opened it {only}"
    what = f"the group {group} cannot read {directory / NAME}: {why}"
    remedy = _remedy(info.st_uid, group, directory)
    return [Finding("status-for-others", "error", "", what, remedy)]


def _remedy(uid: int, group: str, directory: Path) -> str:
    """Return the command that opens the summary of this user to the group. Root needs to be in no
    group: what it writes later gets the group of the directory."""
    if uid == 0:
        here, file = quote(str(directory)), quote(str(directory / NAME))
        opened = f"chmod {modes.PUBLIC_DIRECTORY:04o} {here} && sudo chmod {MODE:04o} {file}"
        return f"sudo chgrp {group} {here} {file} && sudo {opened}"
    return f"sudo adduser {user_name(uid)} {group} && sudo systemctl restart drd"


def _flock(fd: int) -> bool:
    limit = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                return False
            time.sleep(0.02)
        else:
            return True


def _mark(directory: int) -> tuple[int, int, int] | None:
    """Return what identifies a version of the summary file."""
    with suppress(OSError):
        info = os.stat(NAME, dir_fd=directory, follow_symlinks=False)
        return info.st_ino, info.st_mtime_ns, info.st_size
    return None


class Publishing:
    """A publisher in its own thread, from `start` to `stop`. A failure is logged once (`told`), and
    tried again.
    """

    def __init__(self, publisher: Publisher, *, told: bool) -> None:
        self._publisher = publisher
        self._told = told
        self._trouble = ""
        self._stop = threading.Event()
        self._rebuilt = -REBUILD_S if told else time.monotonic()
        self._thread = threading.Thread(target=self._run, name="drd-summary", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; all changes until now are public when it returns."""
        self._stop.set()
        self._thread.join(3 * _WAIT_S)
        self._refresh()
        if not self._thread.is_alive():
            self._publisher.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._refresh()
            self._stop.wait(LOOK_S)

    def _refresh(self) -> None:
        anew = time.monotonic() - self._rebuilt >= REBUILD_S
        try:
            self._publisher.refresh(anew=anew)
            if anew:
                self._rebuilt = time.monotonic()
            self._trouble = ""
        except (OSError, CatalogueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            if self._told and why != self._trouble:
                remedy = (
                    "create the directory with `drd install`, or name another one: `public_dir` in "
                    "drd.yaml"
                )
                _log.warning("summary.not_written", error=why, remedy=remedy)
            self._trouble = why
        except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
            _log.error("summary.failed", error=f"{type(error).__name__}: {error}")
            self._stop.wait(REBUILD_S / 60)
