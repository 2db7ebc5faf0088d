"""Restore a whole server to a named target: a data directory, which is replaced as a whole.

The parts that are the same for every server are here: who owns the directory, what may not be
replaced, and the order in which files are stored beside it, are prepared, and get the final name.
"""

from __future__ import annotations

import os
import pwd
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from drd.errors import (
    DrdError,
    SandboxUnavailable,
    SourceUnreachable,
    TargetError,
    TargetNotEmpty,
    ToolError,
)
from drd.kinds.file_system import is_root, no_directory, space_finding, unwritable
from drd.kinds.held import Held
from drd.kinds.kept_files import Beside, KeptPlaces
from drd.kinds.open_files import in_the_way, usage
from drd.kinds.publish import JOURNAL, Publication, publication_of
from drd.kinds.servers import require_passage
from drd.kinds.untrusted_dirs import content_name, make_landing, resolved, working
from drd.model.plan import SecretRef
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted
from drd.ports import Finding, NamedDestination, OnProgress, Progress, Restored, Usage, Workplace
from drd.ports.logs import LogReplay
from drd.process.open_files import FileUser
from drd.users import user_name

A = TypeVar("A", bound="Address")
_A_co = TypeVar("_A_co", covariant=True)

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

    def require_stopped_for_exchange(self, data: Path) -> None:
        """The same for an undo, which executes no steps of the runbook."""
        pid = self.running(data)
        if pid is not None:
            user = FileUser.of(pid)
            raise in_the_way(f"a {self.title} server runs in {data}: {user.words}", user)

    def kept(self, component: str, data_dir: str, run: str) -> KeptPlaces:
        """Return the kept copy of what a run has replaced."""
        place = Beside(resolved(data_dir), f"drd_{run}")
        return KeptPlaces(component, [place], guard=self.require_stopped_for_exchange)

    def swept(self, directory: Path) -> list[str]:
        """Undo what a killed recovery has left beside its target."""
        publication = publication_of(directory)
        if publication is None:
            return []
        self.end(content_name(publication.landing) / SERVER)
        return publication.undo()


class TargetSettings(Protocol):
    """The settings of a target, or of a component that is restored in place."""

    @property
    def data_dir(self) -> str | None: ...

    @property
    def dsn(self) -> SecretRef | None: ...

    @property
    def bin_dir(self) -> str | None: ...


class Address(Protocol):
    """How to reach a database."""

    def to_database(self: A, name: str) -> A:
        """Return the address of another database of the same server."""
        ...

    def environment(self) -> dict[str, str]: ...


class AskedServer(Protocol[_A_co]):
    """A server of drd's own that answers questions about a restored directory."""

    def run_on(self, data: Path) -> None:
        """Start the server on a data directory. Raises SandboxUnavailable, TargetError."""

    def address(self, database: str) -> _A_co: ...

    def stop(self) -> None: ...


class DataDirectory(NamedDestination, Generic[A]):
    """A data directory, replaced as a whole. A subclass decides what fits into it, and makes the
    files ready beside it, so that they need no more work after they get the final name. `database`
    is the database for questions without a database, if the restore point names none. `log_bytes`
    is the size of the log that drd will replay."""

    files: ClassVar[ServerFiles]

    def __init__(
        self,
        component: str,
        settings: TargetSettings,
        place: Workplace,
        *,
        keep: bool,
        database: str,
        log_bytes: int = 0,
    ) -> None:
        data_dir = settings.data_dir
        assert data_dir is not None
        self._component = component
        self._settings = settings
        self._place = place
        self._database = database
        self._server = Held(self._asked)
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
    def _address(self, reference: SecretRef) -> A:
        """Return the address that `dsn` names. Raises DrdError."""

    @abstractmethod
    def _own_server(self, place: Workplace) -> AskedServer[A]:
        """Return a server of drd's own for the restored directory; it does not run yet. Raises
        SandboxUnavailable, ToolError, SourceUnreachable."""

    @abstractmethod
    def _require_same(self, address: A, server: int) -> None:
        """Raise SourceUnreachable if the address is not that of the process `server`, which runs in
        the directory: the answers of another server would prove nothing."""

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
        usual = self.files.user
        try:
            pwd.getpwnam(usual)
        except KeyError:
            raise TargetError(
                f"this host has no user {usual}, who should own the data directory",
                hint=f"to create this user: apt-get install {self.files.package}. Or make the "
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
                f"{self.files.option} of the server's configuration."
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
        return usage([self._publication], holder=self.files.running(self._target))

    def landing(self) -> Path:
        publication = self._publication
        publication.announce(overwrite=publication.may_overwrite())
        self.files.end(content_name(publication.landing) / SERVER)
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
        self.files.require_stopped(self._target)
        done = self._make(snapshot, on_progress)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return replace(done, notes=(*done.notes, *publication.appeared()))

    def _publish(self, ready: Path) -> None:
        """Give the prepared directory its final name, unless a server has been started there."""
        os.sync()
        self.files.require_stopped(self._target)
        self._publication.publish(ready)

    def _variables(self, default: str) -> dict[str, str]:
        """Return the environment variables by which a command reaches the restored server."""
        shown = {"DRD_PATH": str(self._target)}
        if self._settings.dsn is not None:
            with suppress(DrdError):
                shown |= self._address(self._settings.dsn).to_database(default).environment()
        return shown

    @contextmanager
    def _asked(self) -> Iterator[Callable[[str], A]]:
        """Ask the server that somebody has started on the directory, else one of drd's own. Raises
        SourceUnreachable."""
        running = self.files.running(self._target)
        if running is not None:
            yield self._running(running).to_database
            return
        place = replace(self._place.for_server, run_as=self._owner(), shelf=None)
        self.files.end(place.directory / SERVER)
        with _unreachable():
            server = self._own_server(place)
        try:
            with _unreachable():
                server.run_on(self._target)
            yield server.address
        finally:
            server.stop()

    def _running(self, server: int) -> A:
        """Return the address of the process that runs in the directory. Raises
        SourceUnreachable."""
        if self._settings.dsn is None:
            raise SourceUnreachable(
                f"a server runs in {self._target}, and the target does not say how to reach it",
                hint="write its address into `dsn` of the target; or let the runbook start the "
                "server after the checks.",
            )
        address = self._address(self._settings.dsn)
        self._require_same(address, server)
        return address


@contextmanager
def _unreachable() -> Iterator[None]:
    """Raise SourceUnreachable if drd cannot start a server of its own."""
    try:
        yield
    except (SandboxUnavailable, TargetError, ToolError) as error:
        raise SourceUnreachable(error.message, hint=error.hint) from error


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
