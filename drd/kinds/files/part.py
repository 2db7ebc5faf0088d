"""Restore single files and directories: into a directory of their own, or in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drd.errors import (
    SourceError,
    TargetNotEmpty,
    UsageError,
)
from drd.kinds.accounts import account_findings, account_tasks
from drd.kinds.file_system import (
    existing_parent,
    may_own,
    no_directory,
    owner_finding,
    space_finding,
    unwritable,
)
from drd.kinds.files.describe import Describer, describe_all
from drd.kinds.files.destination import device_findings, require_paths
from drd.kinds.files.inspect import FilesInspector
from drd.kinds.files.owners import (
    foreign_entries,
    lost_rights,
    set_id_finding,
    settle_owners,
)
from drd.kinds.files.walk import Selection, select, to_bytes, to_text, walk
from drd.kinds.open_files import usage
from drd.kinds.publish import (
    Publication,
    is_landing,
    mark_in,
    place_in,
    publication_at,
    read_journal,
    write_journal,
)
from drd.kinds.untrusted_dirs import (
    content,
    content_name,
    forget,
    held,
    make_directories,
    make_landing,
    pinned,
    remove_landing,
    resolved,
    working,
)
from drd.model.restored import Task
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, FileEntry, Fingerprint, TreeFingerprint
from drd.model.text import some
from drd.model.units import format_duration
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
from drd.process import check_cancelled
from drd.process.landed import found_below

LANDINGS = "part.json"
# Says in the workplace where the landing is, and whether something may be overwritten.


def live(selection: Selection, budget_s: float) -> TreeFingerprint:
    """Implements `Kind.live`. Raises SourceError if reading so many entries takes too long."""
    seen = walk(selection, limit_s=budget_s)
    if not seen.complete:
        raise SourceError(
            f"drd could not read all live files within {format_duration(budget_s)}",
            hint="compare fewer files: give --path.",
        )
    tree = describe_all(seen.entries.items(), Describer(budget_s=budget_s))
    return TreeFingerprint(tree.entries, {**seen.unread, **tree.not_reached})


class FilesPart(NamedDestination):
    """Some paths of a component, each restored to a place of its own."""

    def __init__(
        self,
        component: str,
        base: Path,
        part: Part,
        place: Workplace,
        *,
        no_owner: bool,
        keep: bool = False,
    ) -> None:
        """Below `base` they keep their whole paths; in the directory `part.into` only their last
        names. Raises UsageError.
        """
        self._component = component
        self._place = place
        self._no_owner = no_owner
        self._into = _directory(part)
        places = finals(part, base)
        if len(set(places.values())) < len(places):
            raise UsageError(
                "two of the paths end with the same name, so one directory cannot contain both",
                hint="restore these paths one after the other, into two directories.",
            )
        first = next(iter(places.values()))
        # In the directory that will hold the first, or above it: never across file systems.
        self._root = existing_parent(self._into or first.parent) / f".{place.mark}.{component}"
        known = read_journal(place.directory / LANDINGS)
        if known:
            self._root = Path(known["landing"])
        self._ways = {
            path: Publication(
                final,
                Path(f"{content_name(self._root)}{path}"),
                place.directory / f"target.{number}.json",
                place.mark,
                keep=keep,
            )
            for number, (path, final) in enumerate(places.items())
        }

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        findings = self.check_access(snapshot)
        if not any(f.failed for f in findings):
            if not overwrite:
                self._refuse_content()
            self._announce(overwrite=overwrite)
        return findings

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        parent = existing_parent(self._root.parent)
        wrong = list(self._wrong_places(parent))
        if wrong:
            return wrong
        tree = snapshot.fingerprint
        known = tree.entries.values() if isinstance(tree, TreeFingerprint) else ()
        need = sum(e.size for e in known) if known else snapshot.bytes
        findings = [
            Finding("target", "ok", "", f"{parent} can be written"),
            space_finding(
                parent,
                need,
                what=f"restored data of {self._component}",
                hint=f"free space in {parent}.",
            ),
            *device_findings(snapshot),
            *set_id_finding(snapshot, no_owner=self._no_owner),
        ]
        findings += account_findings(snapshot, no_owner=self._no_owner)
        owner = owner_finding(foreign_entries(snapshot), no_owner=self._no_owner)
        return [*findings, owner] if owner else findings

    def _wrong_places(self, parent: Path) -> Iterator[Finding]:
        if self._into is not None and self._into.exists() and not self._into.is_dir():
            hint = "give --into a directory; drd creates it if it does not exist."
            yield Finding("target", "error", "", f"{self._into} is not a directory", hint)
        for way in self._ways.values():
            above = existing_parent(way.target.parent)
            if (wrong := no_directory(above) or unwritable(above)) is not None:
                yield wrong
            elif above.stat().st_dev != parent.stat().st_dev:
                hint = f"restore {way.target} by a separate recovery."
                detail = (
                    f"{above} and {parent} are on different file systems, but a recovery of "
                    "single paths can write to only one file system"
                )
                yield Finding("target", "error", "", detail, hint)
            elif way.target.is_mount():
                hint = "give --into DIRECTORY, and move the files from there."
                yield Finding(
                    "target",
                    "error",
                    "",
                    f"{way.target} is a mount point: drd cannot replace it",
                    hint,
                )

    def _refuse_content(self) -> None:
        there = [
            w.target for w in self._ways.values() if os.path.lexists(w.target) and not w.published()
        ]
        if there:
            raise TargetNotEmpty(
                f"{some(there, 1)} exists already",
                hint="give --into DIRECTORY for another place, or --overwrite to "
                "replace the existing file.",
            )

    def _announce(self, *, overwrite: bool) -> None:
        known = {
            "landing": os.fspath(self._root),
            "mark": self._place.mark,
            "overwrite": overwrite,
        }
        write_journal(self._place.directory / LANDINGS, known)
        for way in self._ways.values():
            way.announce(overwrite=overwrite)

    def _may_overwrite(self) -> bool:
        return bool(read_journal(self._place.directory / LANDINGS).get("overwrite"))

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - what was asked for
        return tuple(os.fspath(way.target) for way in self._ways.values())

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002 - what was asked for
        return usage(list(self._ways.values()))

    def now_at(self, snapshot: ComponentSnapshot) -> RestoredPlace:
        into = os.fspath(self._into) if self._into is not None else None
        return RestoredPlace(places=self.writes(snapshot), address=into)

    def landing(self) -> Path:
        self._announce(overwrite=self._may_overwrite())
        return make_landing(self._root)

    @working
    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a tree is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        waiting = {p: w for p, w in self._ways.items() if not w.published()}
        require_paths(content(self._root), snapshot, waiting)
        if not self._may_overwrite():
            self._refuse_content()
        dropped = settle_owners(content(self._root), snapshot, no_owner=self._no_owner)
        os.sync()
        for way in waiting.values():
            check_cancelled()
            self._make_parents(way.target.parent)
            way.publish(pinned(way.landing))
        for way in self._ways.values():
            way.tidy()
        remove_landing(self._root)
        on_progress(Progress(self._component, "restore", 1, 1))
        appeared = tuple(sentence for w in self._ways.values() for sentence in w.appeared())
        lost = lost_rights(snapshot, dropped, no_owner=self._no_owner)
        return Restored(notes=appeared, not_restored=lost)

    def _make_parents(self, directory: Path) -> None:
        """Make missing parents, with the attributes from the point if it contains them."""
        for place in make_directories(directory):
            saved = self._saved(place)
            with found_below(content(self._root), to_bytes(os.fspath(saved or "/"))) as like:
                if saved is None or like is None:
                    continue
                made, info = held(place), like.stat()
                shutil.copystat(like, made)
                if may_own(info.st_uid, info.st_gid) and not self._no_owner:
                    os.chown(made, info.st_uid, info.st_gid)
                    made.chmod(info.st_mode & 0o7777)
                forget(place)  # root's no more

    def _saved(self, directory: Path) -> Path | None:
        """Return the point's path of a directory above the restored paths."""
        for path, way in self._ways.items():
            for above, target in zip(Path(path).parents, way.target.parents, strict=False):
                if target == directory and self._into is None:
                    return above
        return None

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        return account_tasks(snapshot, no_owner=self._no_owner)

    def inspector(self) -> FilesInspector:
        places = {path: way.target for path, way in self._ways.items()}
        return _PartInspector(places, self._into or self._root.parent, owners=not self._no_owner)


def _directory(part: Part) -> Path | None:
    if part.into is None:
        return None
    path = Path(part.into)
    if not path.is_absolute():
        raise UsageError(
            f"--into {part.into} is not an absolute path",
            hint="give the absolute path of a directory.",
        )
    return resolved(part.into)


def finals(part: Part, base: Path) -> dict[str, Path]:
    """Return the final place of each path. Raises UsageError."""
    into = _directory(part)
    return {p: _final(p, base, into) for p in part.paths}


def _final(path: str, base: Path, into: Path | None) -> Path:
    if into is not None:
        return into / path.rpartition("/")[2]
    plain = base / path.lstrip("/")
    # A symlink on the way is followed, the last part is replaced itself.
    return resolved(os.fspath(plain), last=False)


def sweep(directory: Path) -> list[str]:
    """Undo what a run that will not continue has left; return sentences about it."""
    known = read_journal(directory / LANDINGS)
    landing, mark = place_in(known, "landing"), mark_in(known, directory)
    if landing is None or mark is None or not is_landing(landing, mark):
        return []
    notes: list[str] = []
    for journal in sorted(directory.glob("target.*.json")):
        way = publication_at(journal)
        notes += way.undo() if way is not None else []
    if os.path.lexists(landing):
        remove_landing(landing)
        notes.append(f"removed {landing}, which an unfinished recovery left")
    return notes


class _PartInspector(FilesInspector):
    """Inspects only the restored paths, by their names in the source."""

    def __init__(self, finals: Mapping[str, Path], location: Path, *, owners: bool) -> None:
        super().__init__(location, owners=owners)
        self._finals = finals

    def fingerprint(self, like: Fingerprint, budget_s: float) -> TreeFingerprint:  # noqa: ARG002 - all of it
        describer = Describer(budget_s=budget_s, owners=self._owners)
        entries: dict[str, FileEntry] = {}
        unread: dict[str, str] = {}
        for source, final in self._finals.items():
            root = to_bytes(os.fspath(final))
            seen = walk(select([to_text(root)]))
            for place in seen.entries:
                check_cancelled()
                name = source + to_text(to_bytes(place)[len(root) :])
                entry = describer.describe(to_bytes(place), name)
                if entry is not None:
                    entries[name] = entry
            unread |= {source + p[len(to_text(root)) :]: why for p, why in seen.unread.items()}
        return TreeFingerprint(entries, {**unread, **describer.not_reached})
