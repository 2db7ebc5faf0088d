"""Restore components: the one code path of drills and recoveries.

Components are restored side by side: prepare the place while the snapshot is fetched, restore,
publish. The checks come after it (`restored_checks`). A drill and a recovery differ in their
destinations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from drd import process
from drd.errors import (
    DrdError,
    Fenced,
    NoRestorePoint,
    RepositoryLocked,
    RepositoryMissing,
    RepositoryUnreachable,
    SandboxUnavailable,
    StepFailed,
    WrongKey,
)
from drd.extension_faults import attributed, noted
from drd.flows.components.fence import for_command
from drd.flows.components.fetch import Fetch, fetched
from drd.flows.components.in_place import ENDS_S, Mounts
from drd.flows.components.prefetch import Prefetch
from drd.flows.components.repository_choice import Holders
from drd.flows.durable_steps import Runner
from drd.flows.log.orders import LogOrder
from drd.flows.log.orders import fetch as fetch_log
from drd.flows.services import Services
from drd.flows.state.run_dirs import believed_directory
from drd.model.plan import Plan
from drd.model.recovery_phases import Span
from drd.model.run import StepState
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Manifest, RestorePoint
from drd.model.step_record import RESTORE, StepRecord, step_about
from drd.model.step_results import RestoreStepResult
from drd.ports import Destination, Restored
from drd.ports.logs import LogReplay, ReplaysLog
from drd.registry import KINDS

ENDS_ALL = (
    Fenced,
    SandboxUnavailable,
    RepositoryUnreachable,
    RepositoryMissing,
    RepositoryLocked,
    WrongKey,
)
"""Errors that affect every component, and not only one of them."""


@dataclass
class Restoration:
    """The restoration of one point into some destinations.

    `landed` are the components whose data was read from the repository; `restored` has the restored
    ones, with their restores' results, `errors` the failed ones.
    With a `part` only that is restored. A drill has `fences`, an instant drill `mounts`. `logs` are
    replayed after the restore of their components. Safe in several threads: each component's worker
    writes its own keys."""

    services: Services
    runner: Runner
    plan: Plan
    point: RestorePoint
    holders: Holders
    destinations: Mapping[str, Destination]
    begun: float
    part: Part | None = None
    prefetch: Prefetch | None = None
    fences: process.Fences | None = None
    logs: Mapping[str, LogOrder] = field(default_factory=dict)
    mounts: Mounts | None = None
    spans: list[Span] = field(default_factory=list)
    landed: set[str] = field(default_factory=set)
    restored: dict[str, Restored] = field(default_factory=dict)
    errors: dict[str, DrdError] = field(default_factory=dict)


def begin(
    runner: Runner,
    holders: Holders,
    destinations: Mapping[str, Destination],
    part: Part | None = None,
    *,
    prefetch: Prefetch | None = None,
    fences: process.Fences | None = None,
    logs: Mapping[str, LogOrder] | None = None,
    mounts: Mounts | None = None,
    before: Sequence[Span] = (),
) -> Restoration:
    """Return a restoration of the point of the `holders`. `prefetch` has the downloads that were
    prefetched; a drill passes its `fences` and `mounts`. The clock starts now, or with the first of
    the spans `before`."""
    return Restoration(
        holders.services,
        runner,
        holders.plan,
        holders.point,
        holders,
        destinations,
        before[0].begin if before else holders.services.clock.monotonic(),
        part,
        prefetch,
        fences,
        logs or {},
        mounts,
        spans=[*before],
    )


def cold_cache(services: Services, run: str) -> Path:
    """Return the cache directory for a drill: it must not use data that would be lost with this
    host.
    """
    return believed_directory(services, run) / "cache.cold"


def restore_components(work: Restoration, names: Sequence[str]) -> RestoreStepResult:
    """Fetch and restore components side by side; the manifest, whose private part a restore needs,
    is fetched at the same time. Skips components that are not part of this restoration.

    Keeps the error of a component in `errors` while the others continue, then raises StepFailed; an
    error that ends all of them is raised unchanged."""
    names = [n for n in names if n in work.destinations]
    if not names:
        return RestoreStepResult(restored=())
    for name in names:
        work.errors.pop(name, None)
    with ThreadPoolExecutor(work.services.parallel + 1, thread_name_prefix="drd-restore") as pool:
        manifest = pool.submit(work.holders.manifest)
        list(pool.map(lambda name: _restore_one(work, name, manifest.result), names))
        manifest.result()
    lost = [f"{n}: {work.errors[n].message}" for n in names if n in work.errors]
    if lost:
        raise StepFailed(f"not restored: {'; '.join(lost)}")
    return RestoreStepResult(restored=tuple(names))


def load_earlier_results(
    work: Restoration, names: Sequence[str], records: Collection[StepRecord]
) -> None:
    """Note the components that an earlier process of this run has restored, or could not
    restore."""
    for name in (n for n in names if n in work.destinations):
        record = step_about(records, RESTORE, name)
        if record is None:
            continue
        if record.state is StepState.SUCCEEDED and isinstance(record.result, RestoreStepResult):
            work.restored[name] = _restored(record.result)
        elif record.error is not None:
            work.errors[name] = DrdError(record.error, hint=record.remedy)


def _restore_one(work: Restoration, name: str, manifest: Callable[[], Manifest]) -> None:
    snapshot = work.point.component(name)
    destination = work.destinations[name]
    try:
        if snapshot is None or snapshot.snapshot is None:
            raise NoRestorePoint(
                f"restore point {work.point.id} does not contain component {name}",
                hint=f"choose another restore point: drd points {work.plan.name}",
            )
        result = work.runner.step(
            f"restore {name}",
            RESTORE,
            lambda: _attributed_effect(work, snapshot, destination, manifest),
            subject=name,
        )
    except DrdError as error:
        if isinstance(error, ENDS_ALL):
            raise
        work.errors[name] = error
        return
    work.restored[name] = _restored(result)


def _restored(result: RestoreStepResult) -> Restored:
    return Restored(
        result.notes,
        result.differences,
        result.not_restored,
        reached=result.reached or "",
        data_time=result.data_time,
        overtaken=result.overtaken,
    )


def _attributed_effect(
    work: Restoration,
    snapshot: ComponentSnapshot,
    destination: Destination,
    manifest: Callable[[], Manifest],
) -> RestoreStepResult:
    doing = noted(f"the restore of {snapshot.component}")
    with attributed("", KINDS.extension(snapshot.kind)), doing:
        return _effect(work, snapshot, destination, manifest)


def _effect(
    work: Restoration,
    snapshot: ComponentSnapshot,
    destination: Destination,
    manifest: Callable[[], Manifest],
) -> RestoreStepResult:
    clock, name = work.services.clock, snapshot.component
    begun = clock.monotonic()
    with ThreadPoolExecutor(1, thread_name_prefix="drd-prepare") as pool:
        preparing = pool.submit(destination.prepare)

        def restore(fetch: Fetch) -> RestoreStepResult:
            preparing.result()
            return _restored_from(work, snapshot, destination, manifest, fetch=fetch, begun=begun)

        if work.mounts is not None and name in work.mounts.places:
            return work.mounts.show(work.holders, snapshot, restore)
        fetch = work.prefetch.take(name) if work.prefetch is not None else None
        if fetch is None:
            fetch = fetched(work.holders, snapshot, destination.landing(), work.part)
        return restore(fetch)


def _restored_from(
    work: Restoration,
    snapshot: ComponentSnapshot,
    destination: Destination,
    manifest: Callable[[], Manifest],
    *,
    fetch: Fetch,
    begun: float,
) -> RestoreStepResult:
    """Restore the component from the fetched files. `begun` is when the work on it began."""
    clock, name = work.services.clock, snapshot.component
    work.spans.append(fetch.span)
    landed = max(begun, fetch.span.end)
    try:
        private = manifest().private.get(name, {})
        process.check_cancelled()
        work.landed.add(name)
        if name in work.logs:
            assert isinstance(destination, ReplaysLog)
            destination.replay(_fetched_log(work, name))
        restored = destination.restore(snapshot, private, on_progress=work.services.on_progress)
    except DrdError:
        if work.mounts is not None:
            work.mounts.require_served(ENDS_S)
        raise
    finally:
        ended = clock.monotonic()
        work.spans.append(Span("restore", landed, ended))
    return RestoreStepResult(
        ahead_s=round(max(0.0, begun - fetch.span.begin), 3),
        fetch_s=round(fetch.span.end - fetch.span.begin, 3),
        restore_s=round(ended - landed, 3),
        bytes=snapshot.bytes,
        notes=(*fetch.notes, *restored.notes),
        differences=tuple(restored.differences),
        not_restored=tuple(restored.not_restored),
        reached=restored.reached or None,
        data_time=restored.data_time,
        overtaken=restored.overtaken or name in work.logs,
    )


def _fetched_log(work: Restoration, name: str) -> LogReplay:
    """Fetch the log that the restore of a component replays."""
    clock = work.services.clock
    begun = clock.monotonic()
    place = believed_directory(work.services, work.runner.run.id) / f"log.{name}"
    try:
        order, cache = work.logs[name], work.holders.cache
        return fetch_log(work.services, work.plan, work.point, order, place, cache=cache)
    finally:
        work.spans.append(Span("fetch", begun, clock.monotonic()))


def fence(work: Restoration, by: str, written: Sequence[str]) -> process.Fence | None:
    """Return the fence for a command of the plan; None in a recovery. The command's scratch
    directory is in a place where only the user who runs the command can create links: root must not
    write to the destination of such a link."""
    if work.fences is None:
        return None
    back = [work.destinations[name].inspector() for name in work.restored]
    directory = believed_directory(work.services, work.runner.run.id)
    return for_command(work.fences, by, written, back, directory)


def close(destination: Destination) -> None:
    """Close a destination as the port says; a cancel does not interrupt it."""
    with process.shielded():
        destination.close()
