"""The named target of a recovery: a data directory, which a server of this host can then run on."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from drd.errors import (
    DrdError,
    SandboxUnavailable,
    SourceError,
    SourceUnreachable,
    TargetError,
    TargetNotEmpty,
)
from drd.kinds.file_system import is_root, no_directory, space_finding, unwritable
from drd.kinds.open_files import usage
from drd.kinds.postgres.abandoned import end_server
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.physical import SPEC
from drd.kinds.postgres.physical.contents import Reach
from drd.kinds.postgres.physical.directory_server import (
    OFF,
    SPACES_DIRECTORY,
    AskedServer,
    DirectoryServer,
)
from drd.kinds.postgres.physical.inspect import ClusterInspector
from drd.kinds.postgres.physical.landed import programs_of, proven
from drd.kinds.postgres.physical.sandbox import BY_HAND, VERIFY, restored, ticking
from drd.kinds.postgres.physical.settings import ClusterSettings, ClusterTarget
from drd.kinds.postgres.server import sandbox_programs
from drd.kinds.postgres.server_text import shown
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.publish import JOURNAL, Publication, publication_of
from drd.kinds.servers import servers_in
from drd.kinds.untrusted_dirs import content, content_name, make_landing, resolved, working
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted, some
from drd.ports import (
    Finding,
    NamedDestination,
    OnProgress,
    Progress,
    Restored,
    Usage,
    Workplace,
)
from drd.users import user_name

_NO_SERVER = (
    "stop the server first (in a runbook: by a step `stop` before the restore), then try again."
)


class ClusterDirectory(NamedDestination):
    """A data directory, replaced as a whole. The server replays its WAL beside it, behind the
    fence, and is shut down: what gets the final name needs no recovery, and its settings reach
    nobody."""

    def __init__(
        self,
        component: str,
        settings: ClusterTarget | ClusterSettings,
        place: Workplace,
        *,
        keep: bool,
        database: str,
    ) -> None:
        """`database` answers questions that name none, if the restore point does not say which."""
        assert settings.data_dir is not None
        self._database = database
        self._component = component
        self._settings = settings
        self._place = place
        target = resolved(settings.data_dir)
        landing = target.with_name(f".{place.mark}.{component}")
        self._publication = Publication(
            target, landing, place.directory / JOURNAL, place.mark, keep=keep
        )
        self._snapshot: ComponentSnapshot | None = None

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
        findings = [
            Finding("target", "ok", "", f"{target} can be written"),
            space_finding(
                target.parent,
                int(snapshot.facts["cluster_bytes"]),
                what=f"the restored server {self._component}",
                hint=f"free space in {target.parent}. The tablespaces need room there, too.",
            ),
            self._found("version", lambda: self._programs_fit(snapshot)),
            self._found("ownership", self._owner_says),
        ]
        libraries = snapshot.facts["libraries"]
        if libraries:
            text = (
                f"the source loads the libraries {some([shown(n) for n in libraries])}; drd "
                "switches this off in the restored settings"
            )
            remedy = (
                "install these libraries on this host. After the recovery, set "
                "shared_preload_libraries again."
            )
            findings.append(Finding("libraries", "warning", "", text, remedy))
        return findings

    def _found(self, code: str, ask: Any) -> Finding:
        try:
            return Finding(code, "ok", "", ask())
        except DrdError as error:
            return Finding(code, "error", "", error.message, error.hint)

    def _programs_fit(self, snapshot: ComponentSnapshot) -> str:
        programs = programs_of(snapshot, self._settings.bin_dir)
        return (
            f"PostgreSQL {programs.version} can run the files of {snapshot.facts['server_version']}"
        )

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
        usual = SPEC.server_user
        try:
            pwd.getpwnam(usual)
        except KeyError:
            raise TargetError(
                f"this host has no user {usual}, who should own the data directory",
                hint="to create this user: apt-get install postgresql-common. Or make the data "
                "directory, and give it to the user that will run the server (chown).",
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
                "data_directory of the server's configuration."
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
        return usage([self._publication], holder=postmaster(self._target))

    def landing(self) -> Path:
        publication = self._publication
        publication.announce(overwrite=publication.may_overwrite())
        end_server(content_name(publication.landing) / "server")
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
        require_stopped(self._target)
        done = self._replayed(snapshot, on_progress)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return replace(done, notes=(*done.notes, *publication.appeared()))

    def _replayed(self, snapshot: ComponentSnapshot, on_progress: OnProgress) -> Restored:
        publication = self._publication
        room, programs = content(publication.landing), programs_of(snapshot, self._settings.bin_dir)
        place = replace(self._place, directory=room, run_as=self._owner(), shelf=None)
        landed = proven(room, snapshot, programs, place)
        server = DirectoryServer(
            place,
            programs,
            timeline=int(snapshot.facts["timeline"]),
            superuser=snapshot.facts["bootstrap_role"],
            on_tick=ticking(self._component, snapshot, on_progress),
            by_hand=BY_HAND,
            verify=VERIFY,
        )
        try:
            server.take_over(landed.data, landed.spaces)
            done = restored(snapshot, server)
            server.shut(self._target)
            os.sync()
            require_stopped(self._target)
            publication.publish(server.ready)
        finally:
            server.stop()
        return done

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        target = self._target
        off = ", ".join(name for name, value in OFF.items() if value)
        tasks = [
            Task(
                code="archiving",
                text="archiving and replication are off on the restored server: it does not "
                f"archive, follow or feed another server ({off} in postgresql.auto.conf; `grep` "
                "shows this file). When the server is in use, switch on what you need with ALTER "
                "SYSTEM RESET, then make a backup. Archive its WAL to a new place, because it "
                "began a new timeline",
                command=f"grep -n '' {quote(str(target / 'postgresql.auto.conf'))}",
            )
        ]
        if spaces := snapshot.facts["tablespaces"]:
            listed = some([shown(name) for name in spaces.values()])
            tasks.append(
                Task(
                    code="tablespaces",
                    text=f"the tablespaces {listed} are in {target / SPACES_DIRECTORY}. To move a "
                    "tablespace to another disk, stop the server, move the directory of the "
                    "tablespace, and let its link in pg_tblspc lead there. `ls -l` shows where "
                    "these links lead",
                    command=f"ls -l {quote(str(target / 'pg_tblspc'))}",
                )
            )
        return tuple(tasks)

    def inspector(self) -> ClusterInspector:
        default = self._snapshot.facts["database"] if self._snapshot else self._database
        shown_ = {"DRD_PATH": str(self._target)}
        if (reference := self._settings.dsn) is not None:
            with suppress(DrdError):
                shown_ |= address_of(reference).to_database(default).environment()
        return ClusterInspector(self._asked, str(self._target), default, shown_)

    @contextmanager
    def _asked(self) -> Iterator[Reach]:
        """Ask the server that somebody has started on the directory, else one of drd's own."""
        running = postmaster(self._target)
        if running is not None:
            yield self._running(running)
            return
        programs = self._programs()
        place = replace(self._place.for_server, run_as=self._owner(), shelf=None)
        end_server(place.directory / "server")
        known = self._snapshot.facts["bootstrap_role"] if self._snapshot else SPEC.server_user
        server = AskedServer(place, programs, timeline=1, superuser=known)
        try:
            try:
                server.run_on(self._target)
            except (SandboxUnavailable, TargetError) as error:
                raise SourceUnreachable(error.message, hint=error.hint) from error
            yield server.address
        finally:
            server.stop()

    def _programs(self) -> PostgresPrograms:
        """Return the programs for the restored directory. Raises SourceUnreachable."""
        try:
            major = int((self._target / "PG_VERSION").read_text("ascii"))
        except (OSError, ValueError) as error:
            raise SourceUnreachable(
                f"{self._target} is not the data directory of a PostgreSQL server",
                hint="see how the recovery ended: drd run show RUN",
            ) from error
        return sandbox_programs(major, self._settings.bin_dir, or_newer=False)

    def _running(self, server: int) -> Reach:
        """Return how to reach the process that runs in the directory. Raises SourceUnreachable if
        the connection leads to another server: its answers would prove nothing."""
        if self._settings.dsn is None:
            raise SourceUnreachable(
                f"a server runs in {self._target}, and the target does not say how to reach it",
                hint="write its connection string into `dsn` of the target; or let the runbook "
                "start the server after the checks.",
            )
        address = address_of(self._settings.dsn)
        try:
            with closing(connect(address)) as connection:
                asked = connection.info.backend_pid
        except SourceError as error:
            raise SourceUnreachable(error.message, hint=error.hint) from error
        if parent_of(asked) != server:
            raise SourceUnreachable(
                f"{address.named} is not the server that runs in {self._target} (process {server})",
                hint="correct `dsn` of the target: it must lead to the restored server.",
            )
        return address.to_database


def postmaster(data: Path) -> int | None:
    """Return the process of the server that runs in a data directory, or of one that perhaps runs
    there and that drd may not see; None if there is none. The number in postmaster.pid is not used:
    for a server in a container, it is a number of the container, and the file stays after a crash.
    """
    return servers_in(data, _is_postgres).first


def _is_postgres(words: bytes) -> bool:
    program = words.partition(b"\0")[0]
    return program.startswith(b"postgres:") or program.rpartition(b"/")[2] == b"postgres"


def parent_of(pid: int) -> int | None:
    """Return the process that has started this one; None if it is not on this host."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith("PPid:"):
                return int(line.split()[1])
    return None


def require_stopped(data: Path) -> None:
    """Raise TargetError while a server runs in a data directory."""
    pid = postmaster(data)
    if pid is not None:
        raise TargetError(f"a PostgreSQL server runs in {data} (process {pid})", hint=_NO_SERVER)


def swept(directory: Path) -> list[str]:
    """Undo what a killed recovery has left beside its target."""
    publication = publication_of(directory)
    if publication is None:
        return []
    end_server(content_name(publication.landing) / "server")
    return publication.undo()


def _account(uid: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(uid))
    return False
