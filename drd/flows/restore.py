"""Bringing components back: the one code path of drills and recoveries.

For each component, side by side: make the place ready while its snapshot is fetched, restore,
publish. Then the checks. A drill and a recovery differ in the destinations that they hand in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import (
    DrdError,
    Fenced,
    NoRestorePoint,
    RepositoryLocked,
    RepositoryMissing,
    RepositoryUnreachable,
    SandboxUnavailable,
    WrongKey,
)
from drd.flows.holders import Holders
from drd.flows.runner import Runner, describe
from drd.flows.services import Services
from drd.flows.workplace import run_directory
from drd.model.plan import Plan, Step
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import ComponentSnapshot, Manifest, RestorePoint
from drd.ports import CheckContext, Destination, Progress, Restored

_ENDS_ALL = (
    Fenced,
    SandboxUnavailable,
    RepositoryUnreachable,
    RepositoryMissing,
    RepositoryLocked,
    WrongKey,
)
"""What no component can come back from, as opposed to what is wrong with one of them."""


@dataclass
class Measured:
    """When the phases ended, on the monotonic clock; the last of several components counts."""

    begun: float
    fetched: float
    restored: float
    validated: float

    def phases(self) -> dict[str, float]:
        """Seconds, adding up to the whole: what overlaps is counted where it was waited for."""
        fetched = min(self.fetched, self.restored)
        return {
            "fetch_s": round(fetched - self.begun, 3),
            "restore_s": round(max(0.0, self.restored - fetched), 3),
            "validate_s": round(max(0.0, self.validated - self.restored), 3),
        }


@dataclass
class Restoration:
    """One point on its way back into some destinations.

    `restored` has the components that are back, with what their restore said; `errors` the ones
    that are not. Thread-safe by construction: each component's worker writes its own keys.
    """

    services: Services
    runner: Runner
    plan: Plan
    point: RestorePoint
    holders: Holders
    destinations: Mapping[str, Destination]
    measured: Measured
    restored: dict[str, Restored] = field(default_factory=dict)
    errors: dict[str, DrdError] = field(default_factory=dict)
    checks: list[CheckResult] = field(default_factory=list)


def begin(runner: Runner, held: Holders, destinations: Mapping[str, Destination]) -> Restoration:
    """A restoration of the point that is `held`, whose clock starts now."""
    now = held.services.clock.monotonic()
    measured = Measured(now, now, now, now)
    return Restoration(held.services, runner, held.plan, held.point, held, destinations, measured)


def cold(services: Services, run: str) -> Path:
    """Where a drill caches what it reads: it must not live on what only this host still has."""
    return run_directory(services.work_dir, run) / "cache.cold"


def carry_out(work: Restoration) -> None:
    """The plan's runbook: its restore and check steps in order, or everything when it has none.

    An error of one component is kept in `errors` while the others go on, and the checks then tell
    what is not there. Cancelled and the like are raised.
    """
    steps = work.plan.runbook or (
        Step("restore", "restore", tuple(work.destinations)),
        Step("check", "check", tuple(c.name for c in work.plan.checks)),
    )
    for step in steps:
        if step.kind == "restore":
            _restore(work, [n for n in step.subjects if n in work.destinations])
        else:
            _check(work, step.subjects)


def _restore(work: Restoration, names: Sequence[str]) -> None:
    """Fetch and restore side by side; the manifest, whose private part a restore needs, is fetched
    at the same time."""
    with ThreadPoolExecutor(work.services.parallel + 1, thread_name_prefix="drd-restore") as pool:
        manifest = pool.submit(work.holders.manifest)
        list(pool.map(lambda name: _restore_one(work, name, manifest.result), names))
        manifest.result()
    work.measured.restored = work.services.clock.monotonic()
    work.measured.validated = work.measured.restored


def _restore_one(work: Restoration, name: str, manifest: Callable[[], Manifest]) -> None:
    snapshot = work.point.component(name)
    destination = work.destinations[name]
    try:
        if snapshot is None or snapshot.snapshot is None:
            raise NoRestorePoint(f"restore point {work.point.id} does not hold {name}")
        result = work.runner.step(
            f"restore {name}", "restore", lambda: _effect(work, snapshot, destination, manifest)
        )
    except DrdError as error:
        if isinstance(error, _ENDS_ALL):
            raise
        work.errors[name] = error
        return
    work.restored[name] = Restored(
        tuple(result["notes"]), tuple(result["differences"]), tuple(result["not_restored"])
    )


def _effect(
    work: Restoration,
    snapshot: ComponentSnapshot,
    destination: Destination,
    manifest: Callable[[], Manifest],
) -> Mapping[str, Any]:
    clock, name = work.services.clock, snapshot.component
    begun = clock.monotonic()
    with ThreadPoolExecutor(1, thread_name_prefix="drd-prepare") as pool:
        preparing = pool.submit(destination.prepare)
        work.holders.fetch(
            name,
            str(snapshot.snapshot),
            destination.landing(),
            lambda p: work.services.on_progress(
                Progress(name, "fetch", p.done_bytes, p.total_bytes or snapshot.bytes)
            ),
        )
        fetched = clock.monotonic()
        work.measured.fetched = max(work.measured.fetched, fetched)
        preparing.result()
    private = manifest().private.get(name, {})
    process.check_cancelled()
    restored = destination.restore(snapshot, private, on_progress=work.services.on_progress)
    return {
        "fetch_s": round(fetched - begun, 3),
        "restore_s": round(clock.monotonic() - fetched, 3),
        "bytes": snapshot.bytes,
        "notes": list(restored.notes),
        "differences": list(restored.differences),
        "not_restored": list(restored.not_restored),
    }


def _check(work: Restoration, names: Sequence[str]) -> None:
    """Run the checks named; a component that is not back makes its checks fail by themselves."""
    services = work.services
    wanted = [c for c in work.plan.checks if c.name in names]
    context = CheckContext(
        plan=work.plan,
        point=work.point,
        inspectors={n: work.destinations[n].inspector() for n in work.restored},
        now=services.clock.now(),
        is_root=services.is_root,
        last_observed=_last_observed(work),
        directory=run_directory(services.work_dir, work.runner.run.id),
        run_as=services.run_as,
    )
    work.checks += _property_rows(work)
    for spec in wanted:
        process.check_cancelled()
        if spec.component is not None and spec.component not in work.destinations:
            continue
        if spec.component in work.errors:
            work.checks.append(_missing(spec.name, spec.component, work.errors[spec.component]))
            continue
        work.checks += services.checks(spec.kind).run(spec, context)
    work.measured.validated = services.clock.monotonic()


def _property_rows(work: Restoration) -> list[CheckResult]:
    """One row for each restored database that has properties to compare: the same, or what not."""
    rows = []
    for name, restored in work.restored.items():
        kind = work.plan.components[name].kind
        if kind != "postgres" and not restored.differences:
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


def _missing(check: str, component: str, error: DrdError) -> CheckResult:
    return CheckResult(
        check, component, CheckVerdict.NOT_RUN, f"{component} did not come back", describe(error)
    )


def restore_failures(work: Restoration) -> list[CheckResult]:
    """A failed row for each component that could not be restored."""
    return [
        CheckResult(
            f"{name} can be restored",
            name,
            CheckVerdict.FAILED,
            describe(error),
            "restores without an error",
            looked_at_data=False,
        )
        for name, error in work.errors.items()
    ]


def passed_over(work: Restoration) -> list[CheckResult]:
    """A row for each thing that had to come from another repository than the first."""
    return [
        CheckResult(
            f"{what} can be fetched from {repository}",
            what if what in work.destinations else None,
            CheckVerdict.NOT_RUN,
            describe(error),
            "another repository gave it",
            part=True,
            looked_at_data=False,
        )
        for what, repository, error in work.holders.passed_over
    ]


def _last_observed(work: Restoration) -> dict[str, Any]:
    """What the newest passed drill saw, by check name."""
    for evidence in work.services.catalogue.evidence(work.plan.name):
        if evidence.result == "passed":
            return {c.name: c.observed for c in evidence.checks if not c.part}
    return {}
