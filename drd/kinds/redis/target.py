"""A recovery: the files of a server that is stopped, in its data directory."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drd.errors import TargetError, TargetNotEmpty
from drd.kinds.file_system import (
    fsync_path,
    is_root,
    no_directory,
    remove,
    space_finding,
    unwritable,
)
from drd.kinds.one_file import NOT_EMPTY
from drd.kinds.open_files import usage
from drd.kinds.publish import JOURNAL, Publication, publication_at
from drd.kinds.redis.in_use import holder, require_unused
from drd.kinds.redis.inspector import RdbInspector
from drd.kinds.redis.layout import Layout, holds_data
from drd.kinds.redis.manifest import DUMP, users_in
from drd.kinds.redis.sandbox import proven
from drd.kinds.redis.settings import ServerSettings
from drd.kinds.untrusted_dirs import content, make_landing, pinned, resolved, working
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot
from drd.ports import (
    Finding,
    Inspector,
    NamedDestination,
    OnProgress,
    Progress,
    Restored,
    RestoreOptions,
    Usage,
    Workplace,
)

JOURNALS = ("target-users.json", "target-dump.json", JOURNAL)
"""The journals of a run, in the order in which the files get their final names."""

_FRESH = "new"
_MODE_DIRECTORY = 0o750
_MODE_USERS = 0o600
_WITHOUT_AOF = (
    "make sure that the server starts with `appendonly no`: with `appendonly yes` it would ignore "
    "{dump}, start without data, and later replace {dump} by its empty state. To use append-only "
    "files again: CONFIG SET appendonly yes, while the server runs"
)
_USERS = (
    "the users of the server's ACLs are in {file}: compare them with the users in the server's "
    "configuration. To use the restored users, write `aclfile {file}` into this configuration"
)


class _Way(NamedTuple):
    """One file or directory that a recovery replaces, and the name of the restored data for it."""

    publication: Publication
    name: str


class RedisTargetDirectory(NamedDestination):
    """The data directory of a server. `own_file` restores the RDB file alone, under that name.
    `server` is how the server is reached afterwards, if that is known."""

    def __init__(
        self,
        component: str,
        path: str,
        place: Workplace,
        options: RestoreOptions,
        *,
        appendonly: bool | None = None,
        own_file: Path | None = None,
        server: ServerSettings | None = None,
    ) -> None:
        self._component = component
        self._directory = resolved(path)
        self._place = place
        self._options = options
        self._appendonly = appendonly
        self._own_file = own_file
        self._server = server if own_file is None else None
        self._parent = own_file.parent if own_file is not None else self._directory

    def _layout(self, snapshot: ComponentSnapshot) -> Layout:
        return Layout.of(snapshot, self._directory, self._appendonly, self._own_file)

    def _ways(self, snapshot: ComponentSnapshot) -> list[_Way]:
        """Return what is replaced; the last one gets its name as the last act."""
        layout = self._layout(snapshot)
        ways = [layout.dump]
        if layout.users is not None:
            ways.insert(0, layout.users)
        if layout.aof is not None:
            ways.append(layout.aof)
        last = ways[-1]
        return [
            self._way(place, is_last=place is last, stays=place is layout.aof) for place in ways
        ]

    def _way(self, target: Path, *, is_last: bool, stays: bool) -> _Way:
        """Describe the replacement of one place; `stays`: what was there is kept, even if it is
        nothing."""
        base = f".{self._place.mark}.{self._component}"
        name = base if is_last else f"{base}.{target.name}"
        journal = JOURNALS[2] if is_last else JOURNALS[1 if target.suffix != ".acl" else 0]
        publication = Publication(
            target,
            target.with_name(name),
            self._place.directory / journal,
            self._place.mark,
            (),
            self._options.keep,
            lambda path: not (stays and self._options.keep) and not holds_data(path),
        )
        return _Way(publication, target.name)

    def _last(self, snapshot: ComponentSnapshot) -> Publication:
        return self._ways(snapshot)[-1].publication

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        last = self._last(snapshot)
        if last.published():
            return [Finding("target", "ok", "", f"{last.target} has been restored by this run")]
        directory = last.target.parent
        wrong = no_directory(directory, self._user(snapshot)) or unwritable(directory)
        if wrong is not None:
            return [wrong]
        self._refuse(snapshot, overwrite=overwrite)
        for way in self._ways(snapshot):
            way.publication.announce(overwrite=overwrite)
        return self.check_access(snapshot)

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        directory = self._last(snapshot).target.parent
        wrong = no_directory(directory, self._user(snapshot)) or unwritable(directory)
        if wrong is not None:
            return [wrong]
        what, hint = f"the restored component {self._component}", f"free space in {directory}."
        layout = self._layout(snapshot)
        copies = 1 if layout.aof is None or layout.aof_is_directory else 2
        findings = [
            Finding("target", "ok", "", f"{directory} can be written"),
            space_finding(directory, copies * snapshot.bytes, what=what, hint=hint),
        ]
        if is_root() and not self._options.no_owner and directory.stat().st_uid == 0:
            text = f"{directory} belongs to root, and so will the restored files"
            remedy = "let the directory belong to the user of the server: "
            remedy += f"chown {self._user(snapshot) or 'redis'} {directory}"
            findings.append(Finding("ownership", "warning", "", text, remedy))
        return findings

    def _user(self, snapshot: ComponentSnapshot) -> str | None:
        """Return the user of the server on Debian, which has the product's name; None if the
        recovery restores the file alone, for no server."""
        if self._own_file is not None:
            return None
        return "valkey" if snapshot.facts.get("product") == "valkey" else "redis"

    def _refuse(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> None:
        layout = self._layout(snapshot)
        if (other := layout.contradicted_by()) is not None:
            raise TargetError(
                f"{other} shows that the server there uses append-only files: it would ignore "
                f"{layout.dump.name}",
                hint="add `appendonly: true` to this component of the target; or, if the server "
                f"has `appendonly no`, move {other} away.",
            )
        for way in () if overwrite else self._ways(snapshot):
            if holds_data(way.publication.target):
                target = way.publication.target
                raise TargetNotEmpty(f"target {target} is not empty", hint=NOT_EMPTY)

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        return tuple(os.fspath(way.publication.target) for way in self._ways(snapshot))

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:
        ways = [way.publication for way in reversed(self._ways(snapshot))]
        pid = None if self._own_file or ways[0].published() else holder(self._directory)
        return usage(ways, holder=pid)

    def landing(self) -> Path:
        place = self._parent / f".{self._place.mark}.{self._component}"
        if publication_at(self._place.directory / JOURNAL) is None:
            target = self._own_file or self._directory / DUMP
            journal = self._place.directory / JOURNAL
            Publication(target, place, journal, self._place.mark).announce(overwrite=False)
        return make_landing(place)

    @working
    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        ways = self._ways(snapshot)
        last = ways[-1].publication
        lost: tuple[str, ...] = ()
        if last.published():
            for way in ways:
                way.publication.tidy()
        else:
            if not self._own_file:
                require_unused(self._directory)
            self._refuse(snapshot, overwrite=last.may_overwrite())
            landed = content(last.landing)
            remove(landed / _FRESH)
            file = proven(landed, snapshot)
            lost = self._laid_out(landed, file, snapshot, private)
            self._mark_absence(self._layout(snapshot), last)
            self._publish(ways, landed / _FRESH)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        notes = [note for way in ways for note in way.publication.appeared()]
        return Restored(notes=tuple(notes), not_restored=lost)

    def _mark_absence(self, layout: Layout, last: Publication) -> None:
        """Make an empty directory where there were no append-only files, so that an undo, which
        gives back the former dump, gives back their absence as well."""
        aof = layout.aof
        if aof is None or not self._options.keep or not layout.aof_is_directory:
            return
        nothing = not any(os.path.lexists(pinned(path)) for path in (aof, last.before))
        if nothing and holds_data(layout.dump):
            pinned(aof).mkdir(mode=_MODE_DIRECTORY)
            self._give(pinned(aof), _MODE_DIRECTORY)

    def _publish(self, ways: list[_Way], fresh: Path) -> None:
        last = ways[-1].publication
        for way in ways[:-1]:
            if not way.publication.published():
                way.publication.publish(fresh / way.name)
        last.publish(fresh / ways[-1].name)

    def _laid_out(
        self,
        landed: Path,
        file: Path,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],
    ) -> tuple[str, ...]:
        """Make the files of the server out of the restored one. The data is written once: since
        Redis 7, a server changes none of these files in place, so two names for one file are
        safe."""
        layout, fresh = self._layout(snapshot), landed / _FRESH
        fresh.mkdir(mode=0o700)
        lost = self._give(file, snapshot.facts["mode"] & 0o770 | 0o600)
        fsync_path(file)
        os.link(file, fresh / layout.dump.name)
        if layout.users is not None:
            users = fresh / layout.users.name
            lines = users_in(private, self._component)
            users.write_text("".join(f"{line}\n" for line in lines), "utf-8", "surrogateescape")
            self._give(users, _MODE_USERS)
            fsync_path(users)
        if layout.aof is not None:
            self._make_aof(layout, file, fresh / layout.aof.name)
        return lost

    def _make_aof(self, layout: Layout, file: Path, made: Path) -> None:
        """Make what a server with `appendonly yes` reads: the RDB file is its base."""
        if not layout.aof_is_directory:
            shutil.copyfile(file, made)  # a server appends to this one
            self._give(made, stat.S_IMODE(file.stat().st_mode))
            fsync_path(made)
            return
        made.mkdir(mode=0o700)
        os.link(file, made / layout.base_name)
        index = made / layout.index_name
        index.write_text(layout.index_text, "ascii")
        self._give(index, 0o640)
        fsync_path(index)
        self._give(made, _MODE_DIRECTORY)
        fsync_path(made)

    def _give(self, path: Path, mode: int) -> tuple[str, ...]:
        """Give a file to the owner of the directory, who runs the server."""
        info = self._parent.stat()
        lost: tuple[str, ...] = ()
        if is_root() and not self._options.no_owner:
            os.chown(path, info.st_uid, info.st_gid)
        elif not self._options.no_owner and info.st_uid != os.geteuid():
            lost = (f"owner {info.st_uid}:{info.st_gid} of the files in {self._directory}",)
        path.chmod(mode)
        return lost

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        return tuple(self._tasks(snapshot))

    def _tasks(self, snapshot: ComponentSnapshot) -> Iterator[Task]:
        layout = self._layout(snapshot)
        if layout.users is not None:
            yield Task(code="users", text=_USERS.format(file=layout.users))
        if layout.aof is None and self._own_file is None:
            yield Task(code="appendonly", text=_WITHOUT_AOF.format(dump=layout.dump.name))

    def inspector(self) -> Inspector:
        is_loaded = self._own_file is None
        return RdbInspector(self._dump(), self._server, is_loaded=is_loaded)

    def _dump(self) -> Path:
        """Return the restored file, by the journals of the run if it has another name."""
        if self._own_file is not None:
            return self._own_file
        known = (publication_at(self._place.directory / name) for name in JOURNALS[1:])
        targets = [one.target for one in known if one is not None and not one.target.is_dir()]
        return next(iter(targets), self._directory / DUMP)
