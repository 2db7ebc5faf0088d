"""Destinations of a tree: a throw-away directory, or the named directory of a target."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from drd.errors import RepositoryDamaged, TargetError, TargetNotEmpty
from drd.kinds.accounts import account_findings, account_tasks
from drd.kinds.file_system import (
    ANOTHER_POINT,
    fresh,
    is_root,
    may_own,
    no_directory,
    owner_finding,
    remove,
    space_finding,
    unwritable,
    work_finding,
)
from drd.kinds.files.holes import disk_bytes
from drd.kinds.files.inspect import FilesInspector
from drd.kinds.files.owners import (
    foreign_entries,
    lost_owners,
    lost_rights,
    set_id_finding,
    settle_owners,
)
from drd.kinds.files.publish_inside import InsidePublication
from drd.kinds.files.walk import to_bytes
from drd.kinds.open_files import usage
from drd.kinds.publish import (
    JOURNAL,
    Publication,
    is_landing,
    mark_in,
    place_in,
    publication_of,
    read_journal,
)
from drd.kinds.untrusted_dirs import content, make_landing, resolved, working
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot, TreeFingerprint
from drd.model.text import counted
from drd.ports import (
    Destination,
    Finding,
    NamedDestination,
    OnProgress,
    Progress,
    Restored,
    Usage,
    Workplace,
)
from drd.process.landed import entry_below

LANDING = "landing"
SANDBOX = "tree"


def require_paths(
    landing: Path, snapshot: ComponentSnapshot, paths: Iterable[str] | None = None
) -> None:
    """Raise RepositoryDamaged if a path of `paths`, else of the component, is missing from the
    restored data, or is reached through a link that leads out of the data."""
    for path in snapshot.facts["paths"] if paths is None else paths:
        try:
            with entry_below(landing, to_bytes(path)) as (above, name):
                os.stat(name, dir_fd=above, follow_symlinks=False)
        except FileNotFoundError as error:
            raise RepositoryDamaged(
                f"restic restored snapshot {snapshot.snapshot} without {path}",
                hint=ANOTHER_POINT,
            ) from error
        except NotADirectoryError as error:
            raise RepositoryDamaged(
                f"in the restored data, {error.filename} on the way to {path} {error.strerror}",
                hint=ANOTHER_POINT,
            ) from error


def device_findings(snapshot: ComponentSnapshot) -> list[Finding]:
    """Return a finding if there are device nodes: a recovery without root's rights would leave them
    out, because only root can make them."""
    tree = snapshot.fingerprint
    if is_root() or not isinstance(tree, TreeFingerprint):
        return []
    devices = [path for path, entry in tree.entries.items() if entry.kind == "device"]
    if not devices:
        return []
    detail = (
        "the restore point contains device nodes, which only root can make: "
        f"{', '.join(devices[:3])}"
    )
    return [
        Finding(
            "device-nodes",
            "error",
            "",
            detail,
            "run the recovery as root; for later backups, exclude the device nodes in the plan.",
        )
    ]


class FilesSandbox(Destination):
    """A directory in the run's workplace, for a drill."""

    def __init__(self, component: str, place: Workplace) -> None:
        self._component = component
        self._landing = place.directory / LANDING
        self._tree = place.directory / SANDBOX

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing to overwrite
        what = f"{self._component} restored"
        return [work_finding(self._landing, disk_bytes(snapshot), what=what)]

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a tree is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        if not self._tree.exists():
            require_paths(self._landing, snapshot)
            if is_root():
                settle_owners(self._landing, snapshot, no_owner=False)
            self._landing.rename(self._tree)
        remove(self._landing)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(not_restored=lost_owners(snapshot))

    def inspector(self) -> FilesInspector:
        return FilesInspector(self._tree)

    def close(self) -> None:
        remove(self._landing)
        remove(self._tree)


class FilesTargetDestination(NamedDestination):
    """A named directory; the tree is restored below it with its absolute paths. If it is a symlink,
    the link stays and its directory is filled.
    """

    def __init__(
        self,
        component: str,
        path: str,
        place: Workplace,
        *,
        no_owner: bool,
        keep: bool = False,
    ) -> None:
        self._component = component
        self._no_owner = no_owner
        self._place = place
        self._target = resolved(path)
        name = f".{place.mark}.{component}"
        journal = place.directory / JOURNAL
        self._publication = way_to(self._target, name, journal, place.mark, keep=keep)

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        target, publication = self._target, self._publication
        if publication.published():
            return [Finding("target", "ok", "", f"{target} has been restored by this run")]
        wrong = self._wrong_place()
        if wrong is not None:
            return [wrong]
        if not overwrite:
            self._refuse_content()
        publication.announce(overwrite=overwrite)
        return self.check_access(snapshot)

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        target, publication = self._target, self._publication
        wrong = self._wrong_place()
        if wrong is not None:
            return [wrong]
        findings = [
            Finding("target", "ok", "", f"{target} can be written"),
            space_finding(
                publication.landing,
                snapshot.bytes,
                what=f"the restored component {self._component}",
                hint=f"free space in {publication.landing.parent}.",
            ),
            *device_findings(snapshot),
            *set_id_finding(snapshot, no_owner=self._no_owner),
        ]
        findings += account_findings(snapshot, no_owner=self._no_owner)
        owner = owner_finding(foreign_entries(snapshot), no_owner=self._no_owner)
        return [*findings, owner] if owner else findings

    def _wrong_place(self) -> Finding | None:
        """Return findings about places that drd cannot or will not replace, or may not write."""
        target, parent = self._target, self._publication.landing.parent
        if target == Path("/") or target in self._place.directory.resolve().parents:
            hint = "restore to a separate directory, and move the files from there to their places."
            text = f"{target} cannot be replaced as a whole: it contains files of drd itself"
            return Finding("target", "error", "", text, hint)
        return no_directory(parent) or unwritable(parent)

    def _refuse_content(self) -> None:
        """Raise TargetNotEmpty unless the target is missing, empty, or this run has begun to fill
        it; TargetError if it is no directory.
        """
        target, publication = self._target, self._publication
        if not os.path.lexists(target):
            return
        if not target.is_dir():
            raise TargetError(
                f"{target} is not a directory", hint="`path` of the target must name a directory."
            )
        if not publication.begun() and (held := publication.content()):
            raise TargetNotEmpty(
                f"target {target} is not empty ({counted(len(held), 'entry', 'entries')})",
                hint="give an empty --target, or --overwrite if its content may be replaced.",
            )

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        top = os.fspath(self._target).rstrip("/")
        return tuple(f"{top}{path}" for path in snapshot.facts["paths"])

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002 - one directory
        return usage([self._publication])

    def landing(self) -> Path:
        publication = self._publication
        publication.announce(overwrite=publication.may_overwrite())
        if publication.begun():
            # Part of the landing already stands in the target: what is fetched anew is not used.
            return make_landing(self._place.directory / LANDING)
        return make_landing(publication.landing)

    @working
    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a tree is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        publication = self._publication
        dropped: tuple[str, ...] = ()
        if publication.published():
            publication.tidy()
        else:
            if not publication.begun():
                dropped = self._get_ready(snapshot)
            publication.publish(content(publication.landing))
        remove(self._place.directory / LANDING)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        lost = lost_rights(snapshot, dropped, no_owner=self._no_owner)
        return Restored(notes=tuple(publication.appeared()), not_restored=lost)

    def _get_ready(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        """Do everything before the first rename: check for completeness, set owners, flush to disk.
        Returns what `settle_owners` does.
        """
        landing = content(self._publication.landing)
        require_paths(landing, snapshot)
        if not self._publication.may_overwrite():
            self._refuse_content()
        dropped = settle_owners(landing, snapshot, no_owner=self._no_owner)
        if isinstance(self._publication, Publication):
            _dress(landing, self._target)
        os.sync()
        return dropped

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        return account_tasks(snapshot, no_owner=self._no_owner)

    def inspector(self) -> FilesInspector:
        return FilesInspector(self._target, owners=not self._no_owner)


Way = Publication | InsidePublication


def way_to(target: Path, name: str, journal: Path, mark: str, *, keep: bool) -> Way:
    """Return how to publish: by one rename if possible, with a staging directory called `name`. If
    the run has already announced a way, the same way is returned.
    """
    known = read_journal(journal)
    inside = known["inside"] if "inside" in known else _cannot_rename(target)
    if inside:
        return InsidePublication(target, target / name, journal, mark, keep)
    return Publication(target, target.with_name(name), journal, mark, keep=keep)


def _cannot_rename(target: Path) -> bool:
    if not target.is_dir() or target.is_symlink():
        return False
    return target.is_mount() or not os.access(target.parent, os.W_OK | os.X_OK, effective_ids=True)


def announced(directory: Path) -> Way | None:
    """Return what a run in this workplace directory had begun to publish."""
    known = read_journal(directory / JOURNAL)
    mark = mark_in(known, directory)
    if not known.get("inside"):
        return publication_of(directory)
    target, landing = place_in(known, "target"), place_in(known, "landing")
    if target is None or landing is None or mark is None:
        return None
    if landing.parent != target or not is_landing(landing, mark):
        return None
    return InsidePublication(target, landing, directory / JOURNAL, mark, bool(known.get("keep")))


def _dress(landing: Path, target: Path) -> None:
    """Set owner and mode of the top directory: those of the replaced one, or open to pass
    through.
    """
    if not target.is_dir():
        landing.chmod(0o755)
        return
    info = target.stat()
    if may_own(info.st_uid, info.st_gid):
        os.chown(landing, info.st_uid, info.st_gid)
    landing.chmod(info.st_mode & 0o7777)
