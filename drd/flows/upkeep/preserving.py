"""Preserve evidence as snapshots that are not restore points: first volatile data, then files, then
databases. Nothing that drd forgets by itself has their tag, so retention, sweeps, prune, copies and
a rebuild of the catalogue leave them alone until a person releases them.

No hook of the plan runs: it could change what is to be preserved.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

from drd import process
from drd.errors import (
    CatalogueError,
    DrdError,
    Fenced,
    RepositoryDamaged,
    SnapshotIncomplete,
    UsageError,
)
from drd.extension_faults import FOREIGN, attributed, fault
from drd.flows.component_names import require_components
from drd.flows.durable_steps import Runner
from drd.flows.incidents.texts import reason_of
from drd.flows.incidents.writing import Desk, require_opened
from drd.flows.services import Services
from drd.flows.state.run_dirs import component_place
from drd.flows.upkeep.digests import as_list, digest_lines, other_lines, own_line
from drd.flows.upkeep.evidence_sets import (
    DIGESTS,
    OTHERS,
    TAG,
    TREE,
    find,
    record,
    restored,
    running,
    working,
)
from drd.flows.upkeep.volatile import Volatile, volatile
from drd.model.incidents.preservation import Act, Item, Preserved
from drd.model.plan import Component, Plan, RepositorySpec, SecretRef
from drd.model.text import counted, escaped, some
from drd.ports import Repository, Tree
from drd.ports.kinds import Holds
from drd.ports.sources import Payload
from drd.process import rights
from drd.process.rights import Purpose
from drd.registry import KINDS

VOLATILE = "volatile.tar"
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person wants to preserve. No `components`: all of the plan; with `volatile`: none."""

    reason: str
    components: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    volatile: bool = False


@dataclass
class _Taking:
    """A set that is being taken."""

    services: Services
    plan: Plan
    repository: Repository
    runner: Runner
    number: int
    stage: Path
    items: list[Item] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def tags(self, item: str) -> list[str]:
        return [TAG, f"incident:{self.number}", f"run:{self.runner.run.id}", f"item:{item}"]


def preserve(
    services: Services, plan: Plan, desk: Desk, spec: RepositorySpec, wanted: Wanted
) -> Preserved:
    """Take a set, read it back completely, and record it. What cannot be read is in `missing`.
    Raises UsageError, AlreadyRunning and RepositoryError; then an entry says that the set was
    begun."""
    require_opened(desk.catalogue.incidents.get(desk.number))
    reason = reason_of(wanted.reason)
    volatile = _volatile_now(plan, wanted)
    with working(services, plan, desk, spec, Act.TAKEN) as (runner, repository, stage):
        begun = {"plan": plan.name, "repository": spec.name, "reason": reason}
        record(services, desk, Act.BEGIN, runner.run.id, begun)
        taking = _Taking(services, plan, repository, runner, desk.number, stage)
        body = _take_all(taking, wanted, volatile)
        record(services, desk, Act.TAKEN, runner.run.id, body)
    return find(desk, runner.run.id)


def rehearse(services: Services, plan: Plan, wanted: Wanted) -> Mapping[str, Any]:
    """Do all that `preserve` does, in a new repository below the run's directory, which is removed
    afterwards. Belongs to no incident, and keeps nothing. Return what an entry `taken` has."""
    volatile = _volatile_now(plan, wanted)
    with running(services, plan, None, Act.REHEARSED, "rehearsal") as (runner, stage):
        repository = services.open_repository(_sandbox(stage))
        repository.initialise()
        return _take_all(_Taking(services, plan, repository, runner, 0, stage), wanted, volatile)


def _sandbox(stage: Path) -> RepositorySpec:
    password = stage / "password"
    password.touch(mode=0o600)
    password.write_text(token_hex(16))
    return RepositorySpec("rehearsal", str(stage / "repository"), SecretRef("file", str(password)))


def _volatile_now(plan: Plan, wanted: Wanted) -> list[Volatile]:
    """Read what is volatile, before drd waits for a repository: it changes meanwhile."""
    require_components(plan.name, plan.components, wanted.components)
    _require_paths(wanted.paths)
    with rights.root(Purpose.READING):
        return list(volatile())


def _take_all(taking: _Taking, wanted: Wanted, found: Sequence[Volatile]) -> dict[str, Any]:
    """Store everything, and read it back. Return what the entry says."""
    _store_volatile(taking, found)
    for component in _ordered(taking.services, taking.plan, wanted, first=True):
        _take_component(taking, component)
    for number, path in enumerate(wanted.paths, 1):
        _take(taking, f"path-{number}", path, partial(Tree, (path,)))
    for component in _ordered(taking.services, taking.plan, wanted, first=False):
        _take_component(taking, component)
    return _finish(taking)


def _require_paths(paths: Sequence[str]) -> None:
    for path in paths:
        if not path.startswith("/") or not os.path.lexists(path):
            raise UsageError(
                f"{escaped(path)} does not exist, or is not an absolute path",
                hint="give an absolute path of this host: --path /var/log/nginx",
            )


def _ordered(services: Services, plan: Plan, wanted: Wanted, *, first: bool) -> list[Component]:
    """Return the components that are files (`first`), or the others."""
    names = wanted.components
    return [
        one
        for name, one in plan.components.items()
        if not wanted.volatile
        and (not names or name in names)
        and (services.kinds(one.kind).spec.holds is Holds.PATHS) == first
    ]


# --- taking -----------------------------------------------------------------------------------


def _store_volatile(taking: _Taking, found: Sequence[Volatile]) -> None:
    for one in found:
        taking.missing += one.missing
    now = int(taking.services.clock.now().timestamp())
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for one in found:
            data = one.text.encode("utf-8", "backslashreplace")
            about = tarfile.TarInfo(f"{one.name}.txt")
            about.size, about.mtime, about.mode = len(data), now, 0o600
            tar.addfile(about, io.BytesIO(data))
    stored = taking.repository.store_bytes(
        archive.getvalue(), VOLATILE, host=taking.plan.name, tags=taking.tags("volatile")
    )
    _read_back(taking, "volatile", some([one.what for one in found], 10), stored.snapshot)


def _take_component(taking: _Taking, component: Component) -> None:
    """Store a component from its source, without its hooks."""
    services, what = taking.services, f"component {component.name}"
    with _naming(taking, what), attributed("", KINDS.extension(component.kind)):
        place = component_place(services, taking.runner.run.id, component)
        source = services.kinds(component.kind).source(component, place)
        for warning in source.probe().warnings():
            services.warn(f"{component.name}: {warning}")
        with source.open() as taken:
            _take(taking, f"component-{component.name}", what, lambda: taken.payload)


def _take(taking: _Taking, item: str, what: str, payload: Callable[[], Payload]) -> None:
    with _naming(taking, what):
        process.check_cancelled()
        try:
            stored = taking.repository.store(
                payload(),
                host=taking.plan.name,
                tags=taking.tags(item),
                on_progress=taking.services.on_progress,
            ).snapshot
        except SnapshotIncomplete as error:
            unread = [escaped(path) for path in error.unread] or [error.message]
            taking.missing += [f"{what}: {path}" for path in unread[:_NAMED]]
            if len(unread) > _NAMED:
                more = counted(len(unread) - _NAMED, "more file")
                taking.missing.append(f"{what}: drd could not read {more}")
            stored = error.snapshot
        if stored:
            _read_back(taking, item, what, stored)


@contextmanager
def _naming(taking: _Taking, what: str) -> Iterator[None]:
    """Note what cannot be preserved, and continue with the rest."""
    try:
        yield
    except (Fenced, CatalogueError):
        raise
    except FOREIGN as raised:
        error = fault(raised) or raised
        if not isinstance(error, DrdError):
            raise
        taking.missing.append(f"{escaped(what)}: {error.message}")


def _read_back(taking: _Taking, item: str, what: str, snapshot: str) -> None:
    """Read a stored snapshot back. Note the digest of each file as the repository has it, and the
    links, empty directories and special files."""
    with restored(taking.repository, taking.stage, item, snapshot) as into:
        lines = digest_lines(taking.stage, into)
        taking.others += other_lines(taking.stage, into)
    taking.digests += lines
    taking.items.append(Item(item, escaped(what), snapshot, len(lines)))


def _finish(taking: _Taking) -> dict[str, Any]:
    """Store the list of digests, and return what is to be recorded of the set."""
    if not taking.items:
        raise UsageError(
            "drd could not preserve anything: " + some(taking.missing, between="; "),
            hint="run the command as root, and check the repository: drd doctor",
        )
    others = as_list([*taking.others, own_line(TREE)])
    stored = taking.repository.store_bytes(
        others, OTHERS, host=taking.plan.name, tags=taking.tags(TREE)
    )
    _read_back(taking, TREE, "links, empty directories and special files", stored.snapshot)
    data = b"".join(line + b"\n" for line in taking.digests)
    stored = taking.repository.store_bytes(
        data, DIGESTS, host=taking.plan.name, tags=taking.tags(DIGESTS)
    )
    if taking.repository.read_file(stored.snapshot, DIGESTS) != data:
        raise RepositoryDamaged(
            "the list of digests cannot be read back as it was stored",
            hint=f"check the repository: drd verify {taking.plan.name}",
        )
    return {
        "items": [
            {"item": i.name, "what": i.what, "snapshot": i.snapshot, "file_count": i.files}
            for i in taking.items
        ],
        "digests": stored.snapshot,
        "sha256": hashlib.sha256(data).hexdigest(),
        "missing": taking.missing,
    }
