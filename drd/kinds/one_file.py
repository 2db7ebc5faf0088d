"""Kinds whose component is one file: its destinations, and the part of a manifest about it.

A kind derives from `OneFileKind`, with a `form`. It overrides the other classes where the format
decides: whether a file is intact, what counts as content, who uses the file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from drd.errors import (
    RepositoryDamaged,
    SourceError,
    SourceMissing,
    TargetError,
    TargetNotEmpty,
)
from drd.kinds.accounts import account_findings, account_tasks
from drd.kinds.file_system import (
    ANOTHER_POINT,
    fresh,
    fsync_path,
    may_own,
    no_directory,
    owner_finding,
    remove,
    space_finding,
    unwritable,
    work_finding,
)
from drd.kinds.open_files import usage
from drd.kinds.publish import JOURNAL, Publication, publication_of
from drd.kinds.untrusted_dirs import content, make_landing, resolved, working
from drd.model import strict
from drd.model.finding import Finding
from drd.model.plan import Component
from drd.model.recovery_command import IF_LOST
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import escaped
from drd.ports import (
    AS_IT_IS,
    Destination,
    Inspector,
    Kind,
    NamedDestination,
    OnProgress,
    Progress,
    Restored,
    RestoreOptions,
    Usage,
    Workplace,
)
from drd.process.accounts import FACT, accounts_of, names_of, require_names

NOT_EMPTY = "give an empty --target, or --overwrite if its content may be replaced."
_MOST_ID = (1 << 32) - 1


# --- the source ---------------------------------------------------------------------------------


def require_file(component: str, path: Path) -> os.stat_result:
    """Return the source's file. Raises SourceError if it is missing or no file."""
    try:
        info = path.stat()
    except FileNotFoundError as error:
        hint = f"{IF_LOST} Otherwise correct `path` of component {component}."
        raise SourceMissing(f"{path} does not exist", hint=hint) from error
    except OSError as error:
        raise SourceError(
            f"cannot read {path}: {error.strerror}",
            hint="give the user that runs drd access to the directories above it.",
        ) from error
    if not stat.S_ISREG(info.st_mode):
        raise SourceError(f"{path} is not a file", hint="`path` must name a regular file.")
    return info


def file_facts(path: str, filename: str, info: os.stat_result) -> dict[str, Any]:
    """Return the facts that give the restored file its name, mode and owner."""
    return {
        "path": path,
        "filename": filename,
        "mode": stat.S_IMODE(info.st_mode),
        "uid": info.st_uid,
        "gid": info.st_gid,
        FACT: names_of({info.st_uid}, {info.st_gid}),
    }


def require_file_facts(snapshot: ComponentSnapshot, filename: str) -> None:
    """Raise Refused for facts that `file_facts` does not write."""
    place, facts = f"facts of {snapshot.component}", snapshot.facts
    if strict.member(facts, "filename", place) != filename:
        raise strict.refuse(f"{place}.filename", f"is not {filename}", facts["filename"])
    strict.count(strict.member(facts, "mode", place), f"{place}.mode", most=0o7777)
    for key in ("uid", "gid"):
        strict.count(strict.member(facts, key, place), f"{place}.{key}", most=_MOST_ID)
    if "path" in facts:
        strict.text(facts["path"], f"{place}.path")
    require_names(facts, place)


# --- what came back -----------------------------------------------------------------------------


def _type(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    return "a directory" if stat.S_ISDIR(mode) else "a special file"


def landed_file(landing: Path, snapshot: ComponentSnapshot, filename: str) -> Path:
    """Return the restored file, without reading it. Raises RepositoryDamaged if it is missing, no
    plain file or of another size, or has a companion, which a database would trust.
    """
    file, hint = landing / filename, ANOTHER_POINT
    try:
        info = file.lstat()
    except FileNotFoundError as error:
        raise RepositoryDamaged(
            f"snapshot {snapshot.snapshot} does not contain {file.name}", hint=hint
        ) from error
    if not stat.S_ISREG(info.st_mode):
        # A link would lead what is done to it (its mode, its owner) to another file.
        raise RepositoryDamaged(
            f"restic restored {file.name} as {_type(info.st_mode)}, not as a regular file",
            hint=hint,
        )
    if info.st_size != snapshot.bytes:
        raise RepositoryDamaged(
            f"restic restored {info.st_size:,} bytes of {file.name}, but drd stored "
            f"{snapshot.bytes:,}",
            hint=hint,
        )
    if others := sorted(set(os.listdir(landing)) - {file.name}):  # noqa: PTH208 - names
        raise RepositoryDamaged(
            f"restic restored {escaped(others[0])} beside {file.name}, but drd stores only "
            f"{file.name}",
            hint=hint,
        )
    return file


class FileForm(NamedTuple):
    """The suffix of the file in a snapshot (`COMPONENT.SUFFIX`), and the inspector for a restored
    one.
    """

    suffix: str
    inspects: Callable[[Path], Inspector]


class FileInspector(Inspector):
    """The place of a restored file; a kind adds its questions."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def location(self) -> str:
        return os.fspath(self._path)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"DRD_PATH": self.location}


class OneFileSandbox(Destination):
    """A file in the run's workplace, for a drill."""

    def __init__(self, component: str, place: Workplace, form: FileForm) -> None:
        self._component = component
        self._inspects = form.inspects
        self._landing = place.directory / "landing"
        self._file = place.directory / "sandbox" / f"{component}.{form.suffix}"

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing to overwrite
        what = f"{self._component} restored"
        return [work_finding(self._landing, snapshot.bytes, what=what)]

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a file is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        if not self._file.exists():
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            landed = landed_file(self._landing, snapshot, self._file.name)
            self.prove(landed)
            landed.rename(self._file)
        remove(self._landing)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(differences=self.differences(snapshot))

    def inspector(self) -> Inspector:
        return self._inspects(self._file)

    def close(self) -> None:
        remove(self._landing)
        remove(self._file.parent)

    def prove(self, landed: Path) -> None:
        """Check that the restored file is intact. Raises RepositoryDamaged."""

    def differences(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - of a file none
        """See `Restored.differences`."""
        return ()


class OneFileTarget(NamedDestination):
    """A named file. If it is a symlink, the link stays and its file is replaced."""

    companions: ClassVar[tuple[str, ...]] = ()
    """Suffixes of files that belong to the file."""

    def __init__(
        self,
        component: str,
        path: str,
        place: Workplace,
        form: FileForm,
        options: RestoreOptions,
    ) -> None:
        self._component = component
        self._filename = f"{component}.{form.suffix}"
        self._inspects = form.inspects
        self._no_owner = options.no_owner
        target = resolved(path)
        self._publication = Publication(
            target,
            target.with_name(f".{place.mark}.{component}"),
            place.directory / JOURNAL,
            place.mark,
            self.companions,
            options.keep,
            self._holds_nothing,
        )

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        target = self._publication.target
        if self._publication.published():
            return [Finding("target", "ok", "", f"{target} has been restored by this run")]
        wrong = no_directory(target.parent) or unwritable(target.parent)
        if wrong is not None:
            return [wrong]
        if not overwrite:
            self.refuse_content(target)
        self._publication.announce(overwrite=overwrite)
        return self.check_access(snapshot)

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        target = self._publication.target
        parent = target.parent
        wrong = no_directory(parent) or unwritable(parent)
        if wrong is not None:
            return [wrong]
        findings = [
            Finding("target", "ok", "", f"{target} can be written"),
            space_finding(
                parent,
                snapshot.bytes,
                what=f"the restored component {self._component}",
                hint=f"free space in {parent}.",
            ),
        ]
        findings += account_findings(snapshot, no_owner=self._no_owner)
        owner = owner_finding(int(not may_own(*owner_of(snapshot))), no_owner=self._no_owner)
        return [*findings, owner] if owner else findings

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one file
        return (os.fspath(self._publication.target),)

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002 - one file
        publication = self._publication
        holder = None if publication.published() else self.holder(publication.target)
        return usage([publication], self.companions, holder=holder)

    def landing(self) -> Path:
        self._publication.announce(overwrite=self._publication.may_overwrite())
        return make_landing(self._publication.landing)

    @working
    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a file is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        publication = self._publication
        lost: tuple[str, ...] = ()
        if publication.published():
            publication.tidy()
        else:
            if not publication.may_overwrite():
                self.refuse_content(publication.target)
            landed = landed_file(content(publication.landing), snapshot, self._filename)
            self.prove(landed)
            lost = self._dress(landed, snapshot)
            fsync_path(landed)
            self.require_unused(publication.target)
            publication.publish(landed)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(
            notes=tuple(publication.appeared()),
            differences=self.differences(snapshot),
            not_restored=lost,
        )

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        return account_tasks(snapshot, no_owner=self._no_owner)

    def inspector(self) -> Inspector:
        return self._inspects(self._publication.target)

    def _dress(self, landed: Path, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        """Set owner and mode as in the source; returns what could not be set."""
        uid, gid = owner_of(snapshot)
        lost: tuple[str, ...] = ()
        if not self._no_owner and may_own(uid, gid):
            os.chown(landed, uid, gid)
        elif (uid, gid) != (os.geteuid(), os.getegid()):
            lost = (f"owner {uid}:{gid} of {self._publication.target}",)
        # Data runs as nobody, under another owner least of all.
        landed.chmod(snapshot.facts["mode"] & 0o1777)
        return lost

    def _holds_nothing(self, path: Path) -> bool:
        """Return whether `refuse_content` accepts the content."""
        with suppress(TargetError):
            self.refuse_content(path)
            return True
        return False

    # What a kind may know better

    def prove(self, landed: Path) -> None:
        """Check that the restored file is intact. Raises RepositoryDamaged."""

    def refuse_content(self, target: Path) -> None:
        """Raise TargetNotEmpty unless there is no file or an empty one, TargetError if it is no
        file.
        """
        if not holds_bytes(target):
            return
        raise TargetNotEmpty(f"target {target} is not empty", hint=NOT_EMPTY)

    def holder(self, target: Path) -> int | None:  # noqa: ARG002 - nobody can tell
        """Return the process that must end before the file may be replaced; 0 if the process is
        unknown, None if there is none."""
        return None

    def require_unused(self, target: Path) -> None:
        """Raise TargetError if somebody uses the file."""

    def differences(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - of a file none
        """See `Restored.differences`."""
        return ()


def owner_of(snapshot: ComponentSnapshot) -> tuple[int, int]:
    """Return user and group of the source's file, by their numbers here."""
    return accounts_of(snapshot).here(snapshot.facts["uid"], snapshot.facts["gid"])


def holds_bytes(target: Path) -> bool:
    """Return whether a target has a file that is not empty. Raises TargetError if it is no file."""
    if not os.path.lexists(target):
        return False
    if not target.is_file():
        hint = "`path` of the target must name a regular file."
        raise TargetError(f"{target} is not a file", hint=hint)
    return target.stat().st_size > 0


class OneFileKind(Kind):
    """The methods that all kinds of one file share."""

    form: ClassVar[FileForm]

    def sandbox(
        self,
        component: Component,
        snapshot: ComponentSnapshot,  # noqa: ARG002 - any file fits into a directory
        place: Workplace,
    ) -> Destination:
        return OneFileSandbox(component.name, place, self.form)

    def target(
        self,
        component: Component,
        settings: Any,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> NamedDestination:
        return OneFileTarget(component.name, settings.path, place, self.form, options)

    def same_place(self, component: Component, settings: Any, place: Workplace) -> str | None:  # noqa: ARG002 - paths say it all
        here = os.path.realpath(component.settings.path)  # type: ignore[attr-defined]
        return here if here == os.path.realpath(settings.path) else None

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        super().require_written(snapshot, private)
        require_file_facts(snapshot, f"{snapshot.component}.{self.form.suffix}")

    def sweep(self, directory: Path) -> list[str]:
        publication = publication_of(directory)
        return publication.undo() if publication else []
