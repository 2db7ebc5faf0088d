"""Implement the port `Repository` for copies that another tool makes: it can be read, and refuses
everything that would change it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from drd import secrets
from drd.errors import NotSupported, PointGone
from drd.model.adopted import Adopted
from drd.model.clock import FAR_AHEAD
from drd.model.copy_names import TO_READ, UNREAD
from drd.model.finding_codes import ADOPTED, CHECK
from drd.model.limits import UNLIMITED, Limits
from drd.model.plan import Component, RepositorySpec
from drd.model.snapshot import MANIFEST_FILE, ComponentSnapshot
from drd.model.text import and_more, called, counted, itself, some
from drd.model.units import format_time
from drd.ports import (
    Fetched,
    Finding,
    Listing,
    LockInfo,
    OnProgress,
    RepositoryKey,
    SnapshotInfo,
    no_progress,
)
from drd.ports.adopted import MOST_COPIES, ForeignCopies, ForeignCopy, ForeignTool, ReadToEnd
from drd.repositories.adopted.cut_off import require_whole
from drd.repositories.adopted.data import require_data
from drd.repositories.adopted.manifest import (
    Described,
    component_id,
    describe,
    manifest,
    manifest_id,
    point_of,
    wanted,
)

_NO_COPY = (
    "compare the paths in the plan, and `only`, with the list of the tool. One copy must "
    "contain all components of the plan; if the tool copies parts separately, write a separate "
    "plan for each part."
)


_NOT_THERE = "let the tool copy this path, or correct the path in the plan."
_MOST_NAMED = 3
"""How many copies that do not count a finding names."""


def _refused(copies: ForeignCopies) -> dict[str, str]:
    """Return what drd does not take for a copy, and why; the last row counts the others."""
    if not copies.untold:
        return dict(copies.refused)
    rest = {f"{copies.untold:,} more": f"only the first {len(copies.refused):,} are named here"}
    return {**copies.refused, **rest}


def _only_a_restore_shows(row: ComponentSnapshot) -> bool:
    return UNREAD in row.facts and TO_READ not in row.facts


def _called(copy: ForeignCopy) -> str:
    """Return the name of a copy for people: an id is shortened."""
    return copy.name[:8] if copy.name == copy.id else copy.name


class _Listed(NamedTuple):
    """What the tool lists, and the copies by the ids that drd gives to their parts."""

    copies: ForeignCopies
    manifests: Mapping[str, ForeignCopy]
    components: Mapping[str, tuple[ForeignCopy, Component]]


class AdoptedRepository:
    """`drd.ports.Repository` on the copies of another tool. Safe in several threads."""

    def __init__(self, spec: RepositorySpec, adopted: Adopted, tool: ForeignTool) -> None:
        self.url = spec.url
        self.name = spec.name
        self.opened_with = secrets.opened_with(spec)
        self.made_by = adopted.made_by
        self._spec = spec
        self._adopted = adopted
        self._tool = tool
        self._lock = threading.Lock()
        self._known: _Listed | None = None
        self._described: dict[tuple[str, str], Described] = {}

    # What reads

    def cold(self, cache: Path) -> AdoptedRepository:
        return AdoptedRepository(self._spec, self._adopted, self._tool.cold(cache))

    def preflight(self, *, writing: bool = True) -> None:  # noqa: ARG002 - nothing is written
        self._tool.preflight()

    def probe(self) -> str | None:
        return self._tool.probe()

    def identity(self) -> str | None:
        return self._tool.identity()

    def opens(self) -> bool:
        return self._tool.identity() is not None

    def list_keys(self) -> list[RepositoryKey]:
        self._refuse("list or change the keys of this repository")

    def clock_ahead_s(self) -> float | None:
        return None

    def free_bytes(self) -> int | None:
        return None  # drd stores nothing there

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        listed = self._listed(fresh=True)
        return [s for s in snapshots if s not in {**listed.manifests, **listed.components}]

    def reaching(self, before: datetime) -> SnapshotInfo | None:
        """See `Repository.reaching`."""
        copies = self._listed(fresh=True).copies
        bases = [c for c in copies.copies if c.server and not c.server.rolled_to]
        base = next((c for c in reversed(bases) if c.data_time < before), None)
        if base is None or base.server is None:
            return None
        backup = base.server.backup
        states = ((c, c.server) for c in (*copies.between, *copies.copies) if c.server)
        rolled = [c for c, state in states if state.backup == backup and state.rolled_to]
        # The last one: a segment may arrive long after its commits, so no earlier one is sure to
        # have all of them.
        last = max(reversed(rolled), key=lambda c: c.data_time, default=None)
        if last is None or last.data_time < before:
            return None
        return self._snapshots_of(last)[-1]

    def read_to_end(self, snapshot: str, seconds: float, on_progress: OnProgress) -> ReadToEnd:
        """See `Repository.read_to_end`."""
        copy, component = self._component(snapshot)
        path = next(iter(wanted(component)), "/")
        read = self._tool.read_to_end(copy, path, seconds, on_progress)
        if read.state == "cut-off":
            return read._replace(why=f"the dump is cut off: {read.why}")
        return read

    def snapshots(
        self, *, host: str | None = None, tags: Sequence[str] = (), fresh: bool = False
    ) -> Listing:
        copies = self._listed(fresh=fresh).copies
        if host not in (None, self._adopted.plan):
            return Listing((), _refused(copies))
        every = (s for copy in copies.copies for s in self._snapshots_of(copy))
        return Listing((s for s in every if set(tags) <= set(s.tags)), _refused(copies))

    def removal(self, snapshot: str) -> str:
        return f"with {called(self._adopted.made_by)}, which stored {snapshot[:8]}"

    def restore(
        self,
        snapshot: str,
        into: Path,
        *,
        include: Sequence[str] = (),
        brief: bool = False,  # noqa: ARG002 - nothing is locked
        sparse: bool = False,  # noqa: ARG002 - drd did not see whether its files have holes
        limits: Limits = UNLIMITED,  # noqa: ARG002 - another tool fetches
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> Fetched:
        copy, component = self._component(snapshot)
        part = self._describe(copy, component).part
        if part is None:
            raise PointGone(f"copy {copy.name[:8]} no longer contains component {component.name}")
        landing = part.landing
        if include and landing.paths:
            landing = landing._replace(paths=tuple(include))
        done = self._tool.fetch(copy, landing, into, deadline_s=deadline_s, on_progress=on_progress)
        if landing.file:
            require_whole(into / landing.called, _called(copy), landing.ends_with)
        if set(landing.paths) == set(part.landing.paths):  # single files may be empty, and links
            require_data(into, landing.paths, f"copy {copy.name[:8]}")
        return Fetched(done)

    def changed(self, snapshot: str, directory: str) -> Mapping[str, datetime]:  # noqa: ARG002
        return {}

    def entries(self, *_: Any, **__: Any) -> None:
        self._refuse("list the files of these copies")

    def serve(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("serve these copies to a mount")

    def mount(self, *_: Any, **__: Any) -> None:
        self._refuse("mount these copies")

    def read_file(self, snapshot: str, filename: str) -> bytes:
        if filename != MANIFEST_FILE:
            self._refuse("read single files of the copies")
        copy = self._listed(fresh=False).manifests.get(snapshot)
        if copy is None:
            raise self._gone(snapshot)
        return manifest(self._adopted, copy, partial(self._describe, copy))

    def save_file(self, *_: Any, **__: Any) -> None:
        self._refuse("read single files of the copies")

    def lock_holders(self) -> list[LockInfo]:
        return []

    def check(self, *, read_subset: str | None = None, deadline_s: float | None = None) -> None:
        self._tool.check(read_subset, deadline_s)

    def snapshots_with(
        self,
        parts: Sequence[str],  # noqa: ARG002 - the tool does not say
        trees: Sequence[str] = (),  # noqa: ARG002
        *,
        deadline_s: float = 120.0,  # noqa: ARG002
    ) -> frozenset[str]:
        return frozenset(s.id for s in self.snapshots())

    def remove_stale_locks(self) -> int:
        return 0

    def size_bytes(self) -> int:
        return self._tool.size_bytes()

    def tools(self) -> Mapping[str, str]:
        return self._tool.versions()

    def doctor(self, *, source: object = None) -> list[Finding]:  # noqa: ARG002 - no copies
        findings = self._tool.doctor()
        if any(f.failed for f in findings if f.code != CHECK):
            return findings
        return [*findings, self._newest()]

    def _newest(self) -> Finding:
        """Return what the newest copy holds, or why there is none."""
        adopted, listed = self._adopted, self._listed(fresh=True).copies
        paths = ", ".join(path for c in adopted.components for path in wanted(c))
        latest = datetime.now(UTC) + FAR_AHEAD
        ahead = [c for c in listed.copies if max(c.data_time, c.ended_at) > latest]
        copies = [c for c in listed.copies if c not in ahead]
        refused = {**listed.refused, **{_called(c): "it is dated in the future" for c in ahead}}
        if not copies and refused:
            label, why = next(iter(refused.items()))
            count = len(refused) + listed.untold
            text = f"drd cannot use any of {counted(count, 'copy', 'copies')}: {label}: {why}"
            return Finding(
                ADOPTED,
                "error",
                self.name,
                text,
                "make a new copy with the tool that makes the copies.",
            )
        if not copies:
            return Finding(
                ADOPTED,
                "error",
                self.name,
                f"no copy contains all of these: {paths}" if paths else "there is no copy",
                _NO_COPY,
            )
        newest = copies[-1]
        rows = [self._describe(newest, component).snapshot for component in adopted.components]
        wrong = [f"{row.component}: {row.error}" for row in rows if row.error]
        of = format_time(newest.ended_at, seconds=True)
        if wrong:
            which = f"{_called(newest)} from {of}"
            text = f"the newest of {counted(len(copies), 'copy', 'copies')}, {which}, lacks "
            remedies = dict.fromkeys(row.remedy for row in rows if row.error and row.remedy)
            hint = next(iter(remedies)) if len(remedies) == 1 else _NOT_THERE
            return Finding(ADOPTED, "error", self.name, text + "; ".join(wrong), hint)
        text = (
            f"{counted(len(copies), 'copy', 'copies')}, the newest from {of}, with all components"
        )
        if unread := [row.component for row in rows if _only_a_restore_shows(row)]:
            text += (
                f"; without a drill drd cannot know whether {some(unread)} is whole there, "
                "because it does not read such a dump to its end"
            )
        if listed.left_out:
            text += (
                f"; {counted(listed.left_out, 'older copy', 'older copies')} left out: drd "
                f"uses only the newest {MOST_COPIES:,}"
            )
        if refused:
            told = [f"{label}: {why}" for label, why in reversed(refused.items())][:_MOST_NAMED]
            count = len(refused) + listed.untold
            text += f"; {counted(count, 'other')} not used: {'; '.join(told)}"
            text += and_more(count - len(told))
            return Finding(
                ADOPTED,
                "warning",
                self.name,
                text,
                "check these copies with the tool that makes the copies.",
            )
        return Finding(ADOPTED, "ok", self.name, text)

    # What would change it

    def initialise(self, **_: Any) -> str:
        self._refuse("create a repository there")

    def store(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("add copies there")

    def store_bytes(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("add copies there")

    def copy_from(self, *_: Any, **__: Any) -> None:
        self._refuse("add copies there")

    def forget(self, snapshots: Sequence[str]) -> None:  # noqa: ARG002
        self._refuse("forget these copies")

    def prune(self, **_: Any) -> NoReturn:
        self._refuse("prune this repository")

    def add_key(self, password: str) -> None:  # noqa: ARG002
        self._refuse("list or change the keys of this repository")

    def remove_key(self, key: str) -> None:  # noqa: ARG002
        self._refuse("list or change the keys of this repository")

    def _refuse(self, what: str) -> NoReturn:
        tool = called(self._adopted.made_by)
        raise NotSupported(
            f"{tool} makes the copies in {self.name}, and drd does not {what}",
            hint=f"use {itself(self._adopted.made_by)}.",
        )

    # What the copies are

    def _listed(self, *, fresh: bool) -> _Listed:
        with self._lock:
            if fresh or self._known is None:
                self._known = self._index(self._tool.copies())
            return self._known

    def _index(self, copies: ForeignCopies) -> _Listed:
        adopted = self._adopted
        every = (*copies.copies, *copies.between)
        return _Listed(
            copies,
            {manifest_id(adopted, copy): copy for copy in every},
            {component_id(c, y): (y, c) for y in every for c in adopted.components},
        )

    def _snapshots_of(self, copy: ForeignCopy) -> list[SnapshotInfo]:
        adopted = self._adopted
        marks = ("drd", f"plan:{adopted.plan}", f"run:{point_of(adopted, copy)}")

        def snapshot(identity: str, *tags: str) -> SnapshotInfo:
            return SnapshotInfo(
                identity, copy.ended_at, adopted.plan, (*marks, *tags), copy.paths, tree=copy.id
            )

        parts = [snapshot(component_id(c, copy), f"component:{c.name}") for c in adopted.components]
        return [*parts, snapshot(manifest_id(adopted, copy), "manifest")]

    def _component(self, snapshot: str) -> tuple[ForeignCopy, Component]:
        listed_copy = self._listed(fresh=False).components.get(snapshot)
        if listed_copy is None:
            raise self._gone(snapshot)
        return listed_copy

    def _gone(self, snapshot: str) -> PointGone:
        return PointGone(
            f"{called(self._adopted.made_by)} no longer has this copy ({snapshot[:8]})",
            hint=f"choose another restore point: drd points {self._adopted.plan}",
        )

    def _describe(self, copy: ForeignCopy, component: Component) -> Described:
        key = (copy.id, component.name)
        with self._lock:
            known = self._described.get(key)
        if known is None:
            known = describe(self._tool, copy, component)
            with self._lock:
                self._described[key] = known
        return known
