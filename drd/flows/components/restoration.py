"""Restore components: the one code path of drills and recoveries.

Components are restored side by side: prepare the place while the snapshot is fetched, restore,
publish. Then run the checks. A drill and a recovery differ in their destinations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import (
    Cancelled,
    DrdError,
    ExtensionFailed,
    Fenced,
    NoRestorePoint,
    RepositoryLocked,
    RepositoryMissing,
    RepositoryUnreachable,
    SandboxUnavailable,
    StepFailed,
    TargetUnwritable,
    ToolError,
    WrongKey,
)
from drd.extension_faults import attributed, fault, noted, require_type
from drd.flows.components.fence import for_command
from drd.flows.components.fetch import fetched
from drd.flows.components.prefetch import Prefetch
from drd.flows.components.repository_choice import Holders
from drd.flows.durable_steps import Runner, describe
from drd.flows.services import Services
from drd.flows.state.run_dirs import believed_directory
from drd.model.check_words import RESTORES
from drd.model.plan import CheckSpec, Plan
from drd.model.recovery_phases import Span
from drd.model.run import CheckResult, CheckVerdict, StepState
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Manifest, RestorePoint, made_by
from drd.model.step_record import RESTORE, StepRecord, step_about
from drd.model.step_results import CheckStepResult, RestoreStepResult
from drd.ports import CheckContext, Destination, Restored
from drd.ports.adopted import CopyDamaged
from drd.process import rights
from drd.process.rights import Purpose
from drd.registry import CHECKS, KINDS, Extension

ENDS_ALL = (
    Fenced,
    SandboxUnavailable,
    RepositoryUnreachable,
    RepositoryMissing,
    RepositoryLocked,
    WrongKey,
)
"""Errors that affect every component, as opposed to one of them."""

_NOT_THE_DATA = (ToolError, TargetUnwritable, ExtensionFailed)
"""Errors of a restore that say nothing about the data, which has landed."""


@dataclass
class Restoration:
    """The restoration of one point into some destinations.

    `landed` are the components whose data was read from the repository; `restored` has the restored
    ones, with their restores' results, `errors` the failed ones.
    With a `part` only that is restored. A drill has `fences`. Safe in several threads: each
    component's worker writes its own keys."""

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
    before: Sequence[Span] = (),
) -> Restoration:
    """Return a restoration of the point of the `holders`. `prefetch` has what was prefetched; a
    drill gives its `fences`. The clock starts now, or with the first of the spans that went
    `before`."""
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
        [*before],
    )


def cold_cache(services: Services, run: str) -> Path:
    """Return the cache directory for a drill: it must not use data that would be lost with this
    host.
    """
    return believed_directory(services, run) / "cache.cold"


def restore_components(work: Restoration, names: Sequence[str]) -> RestoreStepResult:
    """Fetch and restore components side by side; the manifest, whose private part a restore needs,
    is fetched at the same time. Skips components that are not part of this restoration.

    Keeps the error of a component in `errors` while the others go on, then raises StepFailed; an
    error that ends all of them is raised as it is."""
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
    """Note what an earlier process of this run has restored, or could not restore."""
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
        fetch = work.prefetch.take(name) if work.prefetch is not None else None
        if fetch is None:
            fetch = fetched(work.holders, snapshot, destination.landing(), work.part)
        work.spans.append(fetch.span)
        preparing.result()
    landed = max(begun, fetch.span.end)
    try:
        private = manifest().private.get(name, {})
        process.check_cancelled()
        work.landed.add(name)
        restored = destination.restore(snapshot, private, on_progress=work.services.on_progress)
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
    )


def run_checks(work: Restoration, names: Sequence[str]) -> CheckStepResult:
    """Run the checks named; a component that was not restored makes its checks fail.

    Raises StepFailed when a check did not pass. Their rows are the result either way."""
    services = work.services
    wanted = [c for c in work.plan.checks if c.name in names]
    directory = believed_directory(services, work.runner.run.id)
    context = CheckContext(
        plan=work.plan,
        point=work.point,
        inspectors={n: work.destinations[n].inspector() for n in work.restored},
        now=services.clock.now(),
        is_root=services.is_root,
        last_observed=_last_observed(work),
        directory=directory,
        run_as=services.run_as,
        fence=lambda name, words: fence(work, name, words),
        exposed=work.fences is None,
    )
    rows = _property_rows(work)
    for spec in wanted:
        process.check_cancelled()
        if spec.component is not None and spec.component not in work.destinations:
            continue
        if spec.component in work.errors:
            rows.append(_missing(spec.name, spec.component, work.errors[spec.component]))
            continue
        rows += _rows_of_check(work, spec, context)
    result = CheckStepResult(checks=tuple(rows))
    bad = [r for r in rows if r.verdict is not CheckVerdict.PASSED and not r.part]
    if bad:
        text = ", ".join(f"{r.name} ({str(r.verdict).replace('_', ' ')})" for r in bad)
        raise StepFailed(text, result=result.to_json())
    return result


def _rows_of_check(work: Restoration, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
    """Run a check. It is not_run where the code of an extension raised what it must not raise."""
    package = CHECKS.extension(spec.kind)
    try:
        needed = rights.root(Purpose.OWNERS) if CHECKS[spec.kind].reads_as_root else nullcontext()
        with needed, noted(f"check {spec.name}"):
            rows = work.services.checks(spec.kind).run(spec, context)
            return _required_rows(spec, rows, package)
    except (Cancelled, KeyboardInterrupt):
        raise
    except BaseException as error:
        failed = error if isinstance(error, ExtensionFailed) else fault(error, "", package)
        if failed is None:
            raise
        why = describe(failed).line
        return [CheckResult(spec.name, spec.component, CheckVerdict.NOT_RUN, why, "can be checked")]


def _required_rows(
    spec: CheckSpec, rows: Sequence[CheckResult], package: Extension | None
) -> list[CheckResult]:
    """Return the rows of a check. Raises ExtensionFailed for anything else that an extension
    returned, and for no rows, which nobody could tell from a check that passed."""
    member = f"run of check {spec.kind}"
    made = list(require_type(rows, (list, tuple), member, package))
    require_type(made[0] if made else None, CheckResult, f"{member}, in its list,", package)
    for row in made:
        require_type(row, CheckResult, f"{member}, in its list,", package)
    return made


def fence(work: Restoration, by: str, written: Sequence[str]) -> process.Fence | None:
    """Return the fence for a command of the plan; None in a recovery. Its scratch directory lies
    where only the user who runs it can put a link: root must not write where that leads."""
    if work.fences is None:
        return None
    back = [work.destinations[name].inspector() for name in work.restored]
    directory = believed_directory(work.services, work.runner.run.id)
    return for_command(work.fences, by, written, back, directory)


def _property_rows(work: Restoration) -> list[CheckResult]:
    """One row for each restored database that has properties to compare: equal, or the
    differences."""
    rows = [_reached(name, one.reached) for name, one in work.restored.items() if one.reached]
    if (work.part is not None and not work.part.is_whole) or made_by(work.point.id):
        return rows
    for name, restored in work.restored.items():
        spec = work.services.kinds(work.plan.components[name].kind).spec
        if not spec.properties and not restored.differences:
            continue
        rows.append(
            CheckResult(
                f"{name} has its owner, grants and settings",
                name,
                CheckVerdict.FAILED if restored.differences else CheckVerdict.PASSED,
                "; ".join(restored.differences) or "no difference",
                "as at backup",
                looked_at_data=False,
            )
        )
    return rows


def _reached(component: str, reached: str) -> CheckResult:
    return CheckResult(
        f"{component} is rolled forward",
        component,
        CheckVerdict.PASSED,
        reached,
        "to the end of the chosen restore point",
        looked_at_data=False,
    )


def _missing(check: str, component: str, error: DrdError) -> CheckResult:
    return CheckResult(
        check,
        component,
        CheckVerdict.NOT_RUN,
        f"{component} was not restored",
        describe(error).line,
    )


def restore_failures(work: Restoration) -> list[CheckResult]:
    """Return a failed row for each component that could not be restored. It looked at the data
    where that is at fault: all of it was read from a repository that is sound, and neither a
    program nor the code of an extension is to blame."""
    return [
        CheckResult(
            f"{name} can be restored",
            name,
            CheckVerdict.FAILED,
            describe(error).line,
            RESTORES,
            looked_at_data=isinstance(error, CopyDamaged)
            or (name in work.landed and not isinstance(error, _NOT_THE_DATA)),
        )
        for name, error in work.errors.items()
    ]


def rows_of_passed_over(work: Restoration) -> list[CheckResult]:
    """Return a row for each thing that came from another repository than the first."""
    return [
        CheckResult(
            f"{what} can be fetched from {repository}",
            what if what in work.destinations else None,
            CheckVerdict.NOT_RUN,
            describe(error).line,
            "another repository provided it",
            part=True,
            looked_at_data=False,
        )
        for what, repository, error in work.holders.passed_over
    ]


def _last_observed(work: Restoration) -> dict[str, Any]:
    """Return the numbers that the newest passed drill observed, by check name."""
    for evidence in work.services.catalogue.evidence.newest(work.plan.name):
        if evidence.result == "passed":
            return {c.name: c.figure for c in evidence.checks if not c.part}
    return {}


def close(destination: Destination) -> None:
    """Close a destination as the port says; a cancel does not interrupt it."""
    with process.shielded():
        destination.close()
