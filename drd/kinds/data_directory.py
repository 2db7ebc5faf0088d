"""Restore a whole server to a named target: a data directory, which is replaced as a whole.

The parts that are the same for every server are here: who owns the directory, what may not be
replaced, and the order in which files are stored beside it, are prepared, and get the final name.
"""

from __future__ import annotations

import os
import pwd
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drd.errors import DrdError, TargetError, TargetNotEmpty
from drd.kinds.file_system import is_root, no_directory, space_finding, unwritable
from drd.kinds.kept_files import Beside, KeptPlaces
from drd.kinds.open_files import usage
from drd.kinds.publish import JOURNAL, Publication, publication_of
from drd.kinds.servers import require_passage
from drd.kinds.untrusted_dirs import content_name, make_landing, resolved, working
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted
from drd.ports import Finding, NamedDestination, OnProgress, Progress, Restored, Usage, Workplace
from drd.ports.logs import LogReplay
from drd.users import user_name

SERVER = "server"
"""The name of the directory beside the restored files in which drd runs a server."""

_NO_SERVER = (
    "stop the server first (in a runbook: by a step `stop` before the restore), then try again."
)


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The program whose data directory it is. `title` is its name in messages, `user` the usual
    user of its servers, `package` the Debian package that makes this user, and `option` the setting
    that names the data directory. `running` returns the process that runs in a data directory, or
    None; `end` ends drd's own server in the directory SERVER."""

    title: str
    user: str
    package: str
    option: str
    running: Callable[[Path], int | None]
    end: Callable[[Path], object]

    def require_stopped(self, data: Path) -> None:
        """Raise TargetError while a server runs in a data directory."""
        pid = self.running(data)
        if pid is not None:
            raise TargetError(
                f"a {self.title} server runs in {data} (process {pid})", hint=_NO_SERVER
            )

    def kept(self, component: str, data_dir: str, run: str) -> KeptPlaces:
        """Return the kept copy of what a run has replaced."""
        place = Beside(resolved(data_dir), f"drd_{run}")
        return KeptPlaces(component, [place], guard=self.require_stopped)

    def swept(self, directory: Path) -> list[str]:
        """Undo what a killed recovery has left beside its target."""
        publication = publication_of(directory)
        if publication is None:
            return []
        self.end(content_name(publication.landing) / SERVER)
        return publication.undo()


class DataDirectory(NamedDestination):
    """A data directory, replaced as a whole. A subclass decides what fits into it, and makes the
    files ready beside it, so that they need no more work after they get the final name.
    `log_bytes` is the size of the log that drd will replay."""

    def __init__(
        self,
        component: str,
        data_dir: str,
        place: Workplace,
        files: ServerFiles,
        *,
        keep: bool,
        log_bytes: int,
    ) -> None:
        self._component = component
        self._place = place
        self._files = files
        target = resolved(data_dir)
        landing = target.with_name(f".{place.mark}.{component}")
        self._publication = Publication(
            target, landing, place.directory / JOURNAL, place.mark, keep=keep
        )
        self._snapshot: ComponentSnapshot | None = None
        self._log: LogReplay | None = None
        self._log_bytes = log_bytes

    def replay(self, log: LogReplay) -> None:
        self._log = log

    @abstractmethod
    def _needs(self, snapshot: ComponentSnapshot) -> tuple[int, str]:
        """Return the bytes of the restored server, and the remedy if they do not fit."""

    @abstractmethod
    def _fits(self, snapshot: ComponentSnapshot) -> str:
        """Say which programs of this host can run the files. Raises DrdError."""

    @abstractmethod
    def _warnings(self, snapshot: ComponentSnapshot) -> list[Finding]:
        """Return what a person has to know before the recovery."""

    @abstractmethod
    def _make(self, snapshot: ComponentSnapshot, on_progress: OnProgress) -> Restored:
        """Make the landed files ready, and publish them."""

    @property
    def _target(self) -> Path:
        return self._publication.target

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        self._snapshot = snapshot
        if self._publication.published():
            return [Finding("target", "ok", "", f"{self._target} has been restored by this run")]
        wrong = self._wrong_place()
        if wrong is not None:
            return [wrong]
        if not overwrite:
            self._refuse_content()
        self._publication.announce(overwrite=overwrite)
        return self.check_access(snapshot)

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        target = self._target
        wrong = self._wrong_place()
        if wrong is not None:
            return [wrong]
        size, hint = self._needs(snapshot)
        return [
            Finding("target", "ok", "", f"{target} can be written"),
            space_finding(
                target.parent, size, what=f"the restored server {self._component}", hint=hint
            ),
            _found("version", lambda: self._fits(snapshot)),
            _found("ownership", self._owner_says),
            *self._warnings(snapshot),
        ]

    def _owner_says(self) -> str:
        return f"the directory will belong to user {self._owner() or user_name(os.geteuid())}"

    def _owner(self) -> str | None:
        """Return the user of the server, if drd is root: who owns the directory now, else the
        usual one. Raises TargetError."""
        if not is_root():
            return None
        for place in (self._target, self._target.parent):
            with suppress(OSError):
                owner = place.stat().st_uid
                if owner != 0 and _account(owner):
                    return user_name(owner)
        usual = self._files.user
        try:
            pwd.getpwnam(usual)
        except KeyError:
            raise TargetError(
                f"this host has no user {usual}, who should own the data directory",
                hint=f"to create this user: apt-get install {self._files.package}. Or make the "
                "data directory, and give it to the user that will run the server (chown).",
            ) from None
        return usual

    def _wrong_place(self) -> Finding | None:
        target = self._target
        if target == Path("/") or target in self._place.directory.resolve().parents:
            text = f"{target} cannot be replaced as a whole: it contains files of drd itself"
            hint = "name another directory in `data_dir` of the target."
            return Finding("target", "error", "", text, hint)
        if target.is_mount():
            text = f"{target} is a mount point, so drd cannot replace it by renaming it"
            hint = (
                "write a directory below the mount point into `data_dir` of the target, and into "
                f"{self._files.option} of the server's configuration."
            )
            return Finding("target", "error", "", text, hint)
        return no_directory(target.parent) or unwritable(target.parent)

    def _refuse_content(self) -> None:
        target = self._target
        if not os.path.lexists(target):
            return
        if not target.is_dir():
            raise TargetError(
                f"{target} is not a directory", hint="`data_dir` must name a directory."
            )
        try:
            held = self._publication.content()
        except PermissionError as error:
            raise TargetError(
                f"cannot read {target}",
                hint="run the recovery as root, or as the owner of this directory.",
            ) from error
        if held:
            raise TargetNotEmpty(
                f"target {target} is not empty ({counted(len(held), 'entry', 'entries')})",
                hint="give an empty --target, or --overwrite if its content may be replaced.",
            )

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one place
        return (str(self._target),)

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002 - one place
        return usage([self._publication], holder=self._files.running(self._target))

    def landing(self) -> Path:
        publication = self._publication
        publication.announce(overwrite=publication.may_overwrite())
        self._files.end(content_name(publication.landing) / SERVER)
        return make_landing(publication.landing)

    @working
    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - the server itself has everything
        *,
        on_progress: OnProgress,
    ) -> Restored:
        self._snapshot = snapshot
        publication = self._publication
        if publication.published():
            publication.tidy()
            return Restored(notes=tuple(publication.appeared()))
        if not publication.may_overwrite():
            self._refuse_content()
        self._files.require_stopped(self._target)
        done = self._make(snapshot, on_progress)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return replace(done, notes=(*done.notes, *publication.appeared()))

    def _publish(self, ready: Path) -> None:
        """Give the prepared directory its final name, unless a server has been started there."""
        os.sync()
        self._files.require_stopped(self._target)
        self._publication.publish(ready)


def open_room(directory: Path, base: Path, user: str | None) -> None:
    """Let the server's user enter its directory `base`, which only root could enter until it was
    prepared: `directory` is the one that a recovery has made beside its target, or in it. Raises
    SandboxUnavailable."""
    for place in (directory, directory.parent):
        if is_root() and _is_room(place):
            place.chmod(0o711)
    if user is not None:
        require_passage(base, user)


def _is_room(place: Path) -> bool:
    real = Path(os.path.realpath(place))
    return any(part.startswith(".drd_") for part in real.parts)


def _found(code: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(code, "ok", "", ask())
    except DrdError as error:
        return Finding(code, "error", "", error.message, error.hint)


def _account(uid: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(uid))
    return False
