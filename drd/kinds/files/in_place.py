"""Restore a tree in place: each path of the component separately, at its original place.

restic restores everything into one directory beside the first path. From there each path moves into
a staging place beside (or, for a mount point, inside) its own place, and is published from there by
the same renames as the directory of a target. A path on another file system is copied into its
staging place.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import TargetError, TargetNotEmpty
from drd.exhaustion import by_name, place_of
from drd.kinds.accounts import account_findings, account_tasks
from drd.kinds.file_system import (
    existing_parent,
    may_own,
    mounts_below,
    owner_finding,
    remove,
    space_finding,
    unwritable,
)
from drd.kinds.files.destination import (
    Way,
    device_findings,
    require_paths,
    way_to,
)
from drd.kinds.files.holes import disk_bytes
from drd.kinds.files.inspect import FilesInspector
from drd.kinds.files.layers import is_in_lower_layer, way_out
from drd.kinds.files.owners import (
    foreign_entries,
    lost_rights,
    set_id_finding,
    settle_owners,
)
from drd.kinds.files.publish_inside import InsidePublication
from drd.kinds.files.walk import to_bytes
from drd.kinds.open_files import usage
from drd.kinds.publish import is_landing, mark_in, place_in, read_journal, write_journal
from drd.kinds.untrusted_dirs import (
    content,
    content_name,
    forget,
    held,
    make_directories,
    make_landing,
    make_room,
    opened,
    pinned,
    remove_landing,
    resolved,
    working,
)
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot, TreeFingerprint
from drd.model.text import counted
from drd.ports import (
    Finding,
    NamedDestination,
    OnProgress,
    Progress,
    Restored,
    RestoredPlace,
    Usage,
    Workplace,
)
from drd.process.landed import entry_below, found_below

JOURNAL = "in-place.json"


@dataclass(frozen=True, slots=True)
class Root:
    """One path of the component. `path` is the path in the snapshot, `place` the same path without
    symlinks in its parents; if its last part is a symlink, the symlink itself is replaced.
    """

    path: str
    place: Path
    way: Way


class FilesInPlace(NamedDestination):
    """Implements the port `NamedDestination`. The content of the point decides what is replaced;
    after a run has begun, its journal decides.
    """

    def __init__(
        self,
        component: str,
        paths: Sequence[str],
        place: Workplace,
        *,
        no_owner: bool,
        keep: bool = False,
    ) -> None:
        """`paths` are the paths of the plan; they are needed for what an earlier process of the run
        restored."""
        self._component = component
        self._paths = paths
        self._no_owner = no_owner
        self._keep = keep
        self._place = place
        self._journal = place.directory / JOURNAL

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        findings = self.check_access(snapshot)
        if any(f.failed for f in findings):
            return findings
        roots = self._roots(snapshot)
        for root in roots if not overwrite else ():
            self._refuse_content(root)
        write_journal(
            self._journal,
            {
                "component": self._component,
                "mark": self._place.mark,
                "paths": [r.path for r in roots],
                "landing": os.fspath(_landing(roots[0])),
                "overwrite": overwrite,
                "keep": self._keep,
            },
        )
        return findings

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        roots = self._roots(snapshot)
        wrong = [f for root in roots for f in self._wrong_place(root)]
        if wrong:
            return wrong
        findings = [
            Finding("target", "ok", "", f"{', '.join(r.path for r in roots)} can be written"),
            *self._room(roots, snapshot),
            *device_findings(snapshot),
            *set_id_finding(snapshot, no_owner=self._no_owner),
        ]
        if snapshot.facts.get("excluded"):
            detail = (
                "the restored data does not contain the files that the plan excludes from backups"
            )
            findings.append(Finding("excluded", "warning", "", detail))
        findings += account_findings(snapshot, no_owner=self._no_owner)
        owner = owner_finding(foreign_entries(snapshot), no_owner=self._no_owner)
        return [*findings, owner] if owner else findings

    def _wrong_place(self, root: Root) -> Iterator[Finding]:
        """Return findings about places that drd cannot or will not replace, or may not write."""
        place, here = root.place, self._place.directory.resolve()
        if place == Path("/") or place in here.parents:
            hint = (
                "restore to a separate directory (a target), and move the files from there "
                "to their places."
            )
            text = f"{place} cannot be replaced as a whole: it contains files of drd itself"
            yield Finding("target", "error", "", text, hint)
            return
        mounts = mounts_below(place)
        if mounts:
            hint = f"umount {mounts[0]}, or restore to a target and move the files from there."
            detail = f"another file system is mounted at {mounts[0]}, within {place}"
            yield Finding("target", "error", "", detail, hint)
        parent = existing_parent(root.way.landing.parent)
        if not parent.is_dir():
            yield Finding("target", "error", "", f"{parent} is not a directory", "move it away.")
        elif (closed := unwritable(parent)) is not None:
            yield closed
        elif is_in_lower_layer(place, self._place.mark):
            text = f"{place} is in a lower layer of an overlay file system, and cannot be renamed"
            yield Finding("target", "error", "", text, way_out(place))

    def _room(self, roots: list[Root], snapshot: ComponentSnapshot) -> Iterator[Finding]:
        """Check the space: for everything on the first file system, and again for what goes to each
        other one.
        """
        first = existing_parent(_landing(roots[0]))
        needs = {first.stat().st_dev: (first, disk_bytes(snapshot))}
        tree = snapshot.fingerprint
        sizes = tree.entries if isinstance(tree, TreeFingerprint) else {}
        for root in roots:
            there = existing_parent(root.way.landing)
            device = there.stat().st_dev
            if device != first.stat().st_dev:
                below = root.path.rstrip("/") + "/"
                size = sum(
                    e.size for p, e in sizes.items() if p == root.path or p.startswith(below)
                )
                needs[device] = (there, needs.get(device, (there, 0))[1] + size)
        for there, size in needs.values():
            yield space_finding(
                there,
                size,
                what=f"the restored component {self._component}",
                hint=f"free space in {there}: drd keeps the present content until the new content "
                "is complete.",
            )

    def _refuse_content(self, root: Root) -> None:
        """Raise TargetNotEmpty unless nothing is there, or only what this run has put there."""
        if not os.path.lexists(root.place) or root.way.published():
            return
        held = "1 file"
        if root.place.is_dir() and not root.place.is_symlink():
            count = 0 if root.way.begun() else len(root.way.content())
            if not count:
                return
            held = counted(count, "entry", "entries")
        raise TargetNotEmpty(
            f"{root.path} is not empty ({held})",
            hint="give --overwrite if its content may be replaced.",
        )

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        return tuple(r.path for r in self._roots(snapshot))

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:
        return usage([root.way for root in self._roots(snapshot)])

    def now_at(self, snapshot: ComponentSnapshot) -> RestoredPlace:
        return RestoredPlace(places=self.writes(snapshot))

    def landing(self) -> Path:
        return make_landing(Path(read_journal(self._journal)["landing"]), parents=True)

    @working
    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a tree is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        roots = self._roots(snapshot)
        landing = Path(read_journal(self._journal)["landing"])
        dropped: tuple[str, ...] = ()
        if not all(r.way.published() for r in roots):
            require_paths(content(landing), snapshot)
            dropped = self._get_ready(content(landing), snapshot, roots)
            for root in roots:
                root.way.publish(pinned(_staged(root)))
        for root in roots:
            root.way.tidy()
        remove_landing(landing)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        appeared = tuple(sentence for r in roots for sentence in r.way.appeared())
        lost = lost_rights(snapshot, dropped, no_owner=self._no_owner)
        return Restored(notes=appeared, not_restored=lost)

    def _get_ready(
        self, landing: Path, snapshot: ComponentSnapshot, roots: list[Root]
    ) -> tuple[str, ...]:
        """Do everything before the first rename: check for completeness, set owners, flush to disk.
        Returns what `settle_owners` does.
        """
        overwrite = bool(read_journal(self._journal)["overwrite"])
        dropped = settle_owners(landing, snapshot, no_owner=self._no_owner)
        for root in roots:
            if root.way.published() or root.way.begun():
                # Part of it stands in the target already: what is fetched anew is not used.
                continue
            if not overwrite:
                self._refuse_content(root)
            root.way.announce(overwrite=overwrite)
            _make_parents(landing, root)
            _stage(landing, root)
        os.sync()
        return dropped

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        return account_tasks(snapshot, no_owner=self._no_owner)

    def inspector(self) -> FilesInspector:
        paths = read_journal(self._journal).get("paths", self._paths)
        return FilesInspector(Path("/"), owners=not self._no_owner, roots=tuple(paths))

    def _roots(self, snapshot: ComponentSnapshot) -> list[Root]:
        paths = read_journal(self._journal).get("paths") or snapshot.facts["paths"]
        mark = self._place.mark
        return roots_of(paths, self._component, self._place.directory, mark, keep=self._keep)


def roots_of(
    paths: Iterable[str], component: str, directory: Path, mark: str, *, keep: bool
) -> list[Root]:
    """Return the places of these paths, with the way to publish each that a run has announced or
    would choose.
    """
    roots = []
    for number, path in enumerate(paths):
        place = real_place(path)
        journal = directory / f"root-{number}.json"
        way = way_to(place, f".{mark}.{component}-{number}", journal, mark, keep=keep)
        roots.append(Root(path, place, way))
    return roots


def real_place(path: str) -> Path:
    """Resolve symlinks in the parents of a path; a symlink at its end is not resolved."""
    return resolved(path, last=False)


def sweep(directory: Path) -> list[str]:
    """Undo what a run in this workplace directory had begun and will not continue."""
    known = read_journal(directory / JOURNAL)
    mark = mark_in(known, directory)
    landing, paths = place_in(known, "landing"), known.get("paths")
    if landing is None or mark is None or not is_landing(landing, mark):
        return []
    if not isinstance(paths, list) or not all(isinstance(p, str) and p[:1] == "/" for p in paths):
        return []
    notes: list[str] = []
    keep, component = bool(known["keep"]), str(known["component"])
    for root in roots_of(paths, component, directory, mark, keep=keep):
        if root.way.journal.exists():
            notes += root.way.undo()
    if os.path.lexists(landing):
        remove_landing(landing)
        notes.append(f"removed {landing}, which an unfinished recovery left")
    return notes


def _landing(first: Root) -> Path:
    """Return the directory that everything is fetched to: on the file system of the first path."""
    landing = first.way.landing
    return landing.with_name(landing.name.removesuffix("-0"))


def _staged(root: Root) -> Path:
    """Return what is published: for a mount point the staging place itself, whose entries move."""
    way = root.way
    if isinstance(way, InsidePublication):
        return content_name(way.landing)
    return way.landing / root.place.name


def _stage(landing: Path, root: Root) -> None:
    """Move a path beside its final place, with everything that it contains."""
    if _staged(root) != root.way.landing:
        make_room(root.way.landing)
    else:
        remove(root.way.landing)
    staged = pinned(_staged(root))
    with entry_below(landing, to_bytes(root.path)) as (above, name):
        if isinstance(root.way, InsidePublication):
            _require_directory(root, os.stat(name, dir_fd=above, follow_symlinks=False))
        try:
            os.rename(name, staged, src_dir_fd=above)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(f"/proc/{os.getpid()}/fd/{above}/{os.fsdecode(name)}", staged)
    if isinstance(root.way, InsidePublication):
        info, place = staged.stat(), opened(root.place)
        if may_own(info.st_uid, info.st_gid):
            os.chown(place, info.st_uid, info.st_gid)
        place.chmod(info.st_mode & 0o7777)


def _require_directory(root: Root, info: os.stat_result) -> None:
    """Raise TargetError if there is something whose entries cannot move into a directory."""
    if not stat.S_ISDIR(info.st_mode):
        raise TargetError(
            f"{root.place} is a directory that cannot be renamed, but {root.path} is not a "
            "directory in the restore point",
            hint="restore to a target, and move the file from there.",
        )


def _copy(landed: str, staged: Path) -> None:
    """Copy onto another file system, with links, owners, times and extended attributes."""
    words = ["cp", "-a", "--", landed, os.fspath(staged)]
    done = process.run(process.Command(words, name="cp"))
    if done.exit_code != 0:
        raise TargetError(
            by_name(f"cannot copy {landed} to {staged}: {done.complaint}"),
            hint=f"check the space and the rights in {place_of(staged.parent)}.",
        )


def _make_parents(landing: Path, root: Root) -> None:
    """Make missing directories above a path, with the attributes of the restored ones."""
    for place in make_directories(root.place.parent):
        with found_below(landing, to_bytes(os.fspath(place))) as like:
            if like is not None:
                made, info = held(place), like.stat()
                shutil.copystat(like, made)
                if may_own(info.st_uid, info.st_gid):
                    os.chown(made, info.st_uid, info.st_gid)
                forget(place)  # root's no more
