"""The source of files: files and directories of this host."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from drd.errors import DrdError, SourceError, SourceMissing
from drd.kinds.files.describe import Describer, describe_all
from drd.kinds.files.holes import HOLES, holes
from drd.kinds.files.settings import FilesSettings
from drd.kinds.files.walk import Selection, Walk, kind_of, select, to_bytes, to_text, walk
from drd.kinds.kept_files import NAMES
from drd.model.recovery_command import IF_LOST
from drd.model.snapshot import FileEntry, Fingerprint, StoredSnapshot, TreeFingerprint
from drd.model.text import counted
from drd.model.units import format_size
from drd.ports import Finding, Probe, Tree
from drd.process.accounts import FACT, names_of

ESTIMATE_S = 0.5
"""How many seconds the computation of a size may take: only displays use the size."""
_LOOK_S = 10.0


def selection_of(settings: FilesSettings) -> Selection:
    """Return what to walk: the plan's paths without kept copies of a recovery."""
    return select(
        settings.paths,
        excludes=[*settings.exclude, *NAMES],
        one_file_system=settings.one_file_system,
    )


class FilesCapture:
    """A tree as it was when the walk began. Files cannot be frozen: entries that differ between the
    walks before and after storing are volatile, because nobody knows which state was stored. For
    the other entries, the repository contains the state from which the digests were computed.
    """

    def __init__(self, selection: Selection) -> None:
        self.data_time = datetime.now(UTC)
        self._selection = selection
        self.before = walk(selection)
        self.facts: Mapping[str, Any] = {
            "paths": [to_text(r) for r in selection.roots],
            "files": self.before.files,
            "excluded": len(self.before.excluded),
            FACT: names_of(self.before.uids, self.before.gids),
        }
        if saved := holes(self.before.sparse):
            self.facts = {**self.facts, HOLES: saved}
        self.private: Mapping[str, Any] = {}
        self.payload = Tree(
            tuple(to_text(r) for r in selection.roots),
            tuple(self.before.excluded),
            expected_bytes=self.before.bytes,
        )

    def fingerprint(self) -> Fingerprint:
        tree = describe_all(self.before.entries.items(), Describer())
        return TreeFingerprint(tree.entries, {**self.before.unread, **tree.not_reached})

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:  # noqa: ARG002 - files answer none
        return {}

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        """Check the capture. Raises SourceError if a path of the plan has vanished, or if there
        were files but none was stored.
        """
        after = walk(self._selection)
        for root in self._selection.roots:
            if to_text(root) in self.before.entries and to_text(root) not in after.entries:
                raise SourceError(
                    f"{to_text(root)} was removed during the backup", hint="run the backup again."
                )
        if stored.files == 0 and _steady_files(self.before, after):
            raise SourceError(
                f"restic did not store any of {counted(self.before.files, 'file')}",
                hint="check restic's output: drd run show RUN",
            )
        if not isinstance(fingerprint, TreeFingerprint):
            return fingerprint
        return mark_volatile(fingerprint, self.before, after)


def _steady_files(before: Walk, after: Walk) -> bool:
    return any(s.kind == "file" and after.entries.get(p) == s for p, s in before.entries.items())


def mark_volatile(fingerprint: TreeFingerprint, before: Walk, after: Walk) -> TreeFingerprint:
    """Return the fingerprint with everything marked that changed, appeared or vanished between the
    walks.
    """
    entries = dict(fingerprint.entries)
    for path, entry in entries.items():
        if before.entries.get(path) != after.entries.get(path) and not entry.volatile:
            entries[path] = dataclasses.replace(entry, volatile=True)
    for path, seen in after.entries.items():
        if path not in before.entries:
            entries[path] = FileEntry(seen.kind, 0, 0, 0, volatile=True)
    return TreeFingerprint(entries, {**fingerprint.not_reached, **after.unread})


class FilesSource:
    """The paths of a plan, with everything below them."""

    def __init__(
        self, component: str, settings: FilesSettings, *, may_be_empty: bool = False
    ) -> None:
        self._component = component
        self._settings = settings
        self._may_be_empty = may_be_empty
        self._selection = selection_of(settings)

    def probe(self) -> Probe:
        self._require_paths()
        self._require_plain_ways()
        seen = walk(self._selection, limit_s=ESTIMATE_S)
        return Probe(
            size_bytes=seen.bytes if seen.complete else None,
            facts={},
            notes=(*self._notes(seen),),
        )

    def doctor(self) -> list[Finding]:
        name = self._component
        try:
            self.probe()
        except DrdError as error:
            return [Finding("files", "error", name, error.message, error.hint)]
        seen = walk(self._selection, limit_s=_LOOK_S)
        findings = [Finding("files", "ok", name, _summary(seen))]
        closed = [*seen.unread, *(p for p, s in seen.entries.items() if not _readable(p, s.kind))]
        if closed:
            first = ", ".join(closed[:3]) + (", …" if len(closed) > 3 else "")
            detail = (
                "drd cannot read "
                f"{counted(len(closed), 'file or directory', 'files and directories')}: {first}"
            )
            hint = (
                "run drd as root, or add AmbientCapabilities=CAP_DAC_READ_SEARCH to the "
                "systemd unit of drd."
            )
            findings.append(Finding("rights", "error", self._component, detail, hint))
        return [*findings, *self._links(seen)]

    def _links(self, seen: Walk) -> Iterator[Finding]:
        """Return the named paths that are links to what no named path contains: a directory that
        was moved to another disk is not backed up any more."""
        only = self._has_only_links(seen)
        for root, leads_to in self._links_outside():
            if not only and not os.path.lexists(leads_to):
                continue
            yield Finding(
                "files",
                "error" if only else "warning",
                self._component,
                f"{to_text(root)} is a symlink to {to_text(leads_to)}, and drd backs up only "
                "the link",
                f"write {to_text(leads_to)} into `paths` of the component as well",
            )

    def _links_among_roots(self) -> list[bytes]:
        return [r for r in self._selection.roots if stat.S_ISLNK(os.lstat(r).st_mode)]

    def _links_outside(self) -> list[tuple[bytes, bytes]]:
        """Return the named paths that lead to what no named path contains, each with that."""
        roots = [root.rstrip(b"/") + b"/" for root in self._selection.roots]
        named = [(link, os.path.realpath(link)) for link in self._links_among_roots()]
        return [
            (link, leads_to)
            for link, leads_to in named
            if not any((leads_to + b"/").startswith(root) for root in roots)
        ]

    def _has_only_links(self, seen: Walk) -> bool:
        """Return whether a backup would have such links instead of files, and the plan does not
        allow that."""
        links = {to_text(link) for link, _ in self._links_outside()}
        stored = {path for path, entry in seen.entries.items() if entry.kind != "directory"}
        return bool(stored) and stored <= links and seen.complete and not self._may_be_empty

    @contextmanager
    def open(self) -> Iterator[FilesCapture]:
        self._require_paths()
        capture = FilesCapture(self._selection)
        if self._has_only_links(capture.before):
            link, leads_to = map(to_text, self._links_outside()[0])
            raise SourceError(
                f"{link} is a symlink to {leads_to}, and component {self._component} has no "
                "other file: drd would store only the link",
                hint=f"write {leads_to} into `paths` of the component as well; if you want "
                "to store only the link, write `may_be_empty: true` in the "
                "component.",
            )
        yield capture

    def _require_paths(self) -> None:
        missing = []
        for raw in sorted({*self._selection.roots, *self._selection.inner}):
            path = to_text(raw)
            try:
                info = os.lstat(raw)
            except (FileNotFoundError, NotADirectoryError):
                missing.append(path)
            except OSError as error:
                raise SourceError(
                    f"cannot read {path}: {error.strerror}",
                    hint="give the user that runs drd access to the directories above it.",
                ) from error
            else:
                if kind_of(info.st_mode) == "socket":
                    raise SourceError(
                        f"{path} is a socket, which has no content",
                        hint=f"remove the socket from `paths` of component {self._component}.",
                    )
        if missing:
            verb = "does" if len(missing) == 1 else "do"
            raise SourceMissing(
                f"{', '.join(missing)} {verb} not exist",
                hint=f"{IF_LOST} Otherwise correct `paths` of component {self._component}, or "
                "create the missing files.",
            )

    def _require_plain_ways(self) -> None:
        """Require that a path below another one is reached without links: restic would store the
        link as a directory and lose its target.
        """
        for inner in self._selection.inner:
            root = next(r for r in self._selection.roots if inner.startswith(r.rstrip(b"/") + b"/"))
            between = inner[len(root.rstrip(b"/")) + 1 :].split(b"/")[:-1]
            for depth in range(len(between) + 1):
                way = b"/".join([root.rstrip(b"/"), *between[:depth]]) or b"/"
                if stat.S_ISLNK(os.lstat(way).st_mode):
                    raise SourceError(
                        f"`paths` names {to_text(inner)}, which leads through the symlink "
                        f"{to_text(way)}, but restic does not follow symlinks",
                        hint=f"in `paths`, replace {to_text(inner)} by "
                        f"{to_text(os.path.realpath(inner))}.",
                    )

    def _notes(self, seen: Walk) -> Iterator[str]:
        for root in self._links_among_roots():
            yield (
                f"{to_text(root)} is a symlink: drd stores the link itself, not the file that it "
                "points to"
            )
        for mount in seen.other_mounts:
            yield f"{mount} is another file system, so it is not backed up"
        if seen.complete and not any(s.kind != "directory" for s in seen.entries.values()):
            yield f"there is no file in {', '.join(self._settings.paths)}"


def _summary(seen: Walk) -> str:
    at_least = "" if seen.complete else "at least "
    files = counted(seen.files, "file")
    return f"{at_least}{files}, {format_size(seen.bytes)}"


def _readable(path: str, kind: str) -> bool:
    return kind != "file" or os.access(to_bytes(path), os.R_OK, effective_ids=True)
