"""Capture one component: hooks, probe, one consistent state, stored and described."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from drd.errors import ImplausibleDump, NotSupported
from drd.extension_faults import attributed
from drd.flows.hooks import run_after, run_after_anyway, run_before
from drd.flows.services import Services
from drd.flows.state.run_dirs import component_place
from drd.model.cause import Cause
from drd.model.plan import Component, Plan
from drd.model.snapshot import ComponentSnapshot, Fingerprint, StoredSnapshot
from drd.model.step_results import PreflightStepResult
from drd.ports import Capture, Repository
from drd.registry import CHECKS, KINDS

SHRUNK_TO = 0.1
"""Below this share of the smallest of the last three captures a dump is refused as implausible."""

HISTORY_FLOOR = 4096
"""Components smaller than this may shrink by any factor."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A component's row, and what only the manifest may hold."""

    snapshot: ComponentSnapshot
    private: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CaptureOrder:
    """What to capture, for which run, and where to.

    `confirmed` ends when the repository has been found to be the right one, or with its error:
    before that, nothing is stored and no hook runs."""

    plan: Plan
    component: Component
    run: str
    repository: Repository
    deadline: float  # on the monotonic clock
    accept_size: bool
    confirmed: Future[PreflightStepResult]


def tags(order_run: str, plan: str, *more: str) -> list[str]:
    """Every snapshot of drd carries its plan and run; names hold no commas."""
    return ["drd", f"plan:{plan}", f"run:{order_run}", *more]


def capture(services: Services, order: CaptureOrder) -> Captured:
    """Capture one component as a whole. Raises SourceError, ToolError or RepositoryError."""
    component = order.component
    try:
        if component.before is not None:
            # It may create what the probe looks for.
            order.confirmed.result()
            run_before(component)
        with attributed("", KINDS.extension(component.kind)):
            taken = _capture(services, order)
    except BaseException:
        # Even if `before` itself failed or did not end: it may have had an effect.
        for sentence in run_after_anyway(component):
            services.warn(sentence)
        raise
    run_after(component)
    return taken


def _capture(services: Services, order: CaptureOrder) -> Captured:
    component = order.component
    begun = services.clock.monotonic()
    place = component_place(services, order.run, component)
    source = services.kinds(component.kind).source(component, place)
    probe = source.probe()
    for warning in probe.warnings():
        services.warn(f"{component.name}: {warning}")
    order.confirmed.result()
    with source.open() as taken:
        fingerprint, stored, answers = _store(services, order, taken)
        fingerprint = taken.verify(stored, fingerprint)
        _require_readable(component, fingerprint)
        _plausible(services, order, stored)
        snapshot = ComponentSnapshot(
            component=component.name,
            kind=component.kind,
            state="captured",
            data_time=taken.data_time,
            snapshot=stored.snapshot,
            bytes=stored.bytes,
            added_bytes=stored.added_bytes,
            duration_s=round(services.clock.monotonic() - begun, 3),
            facts={**probe.facts, **taken.facts},
            observations=dict(answers),
            fingerprint=fingerprint,
        )
        return Captured(snapshot, dict(taken.private))


def _store(
    services: Services, order: CaptureOrder, taken: Capture
) -> tuple[Fingerprint | None, StoredSnapshot, Mapping[str, Any]]:
    """Store the payload while another thread describes the same state."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="drd-fingerprint") as pool:
        description = pool.submit(taken.fingerprint)
        stored = order.repository.store(
            taken.payload,
            host=order.plan.name,
            tags=tags(order.run, order.plan.name, f"component:{order.component.name}"),
            time=taken.data_time,
            deadline_s=max(1.0, order.deadline - time.monotonic()),
            on_progress=services.on_progress,
        )
        fingerprint = description.result()
    return fingerprint, stored, taken.observe(baseline_queries(order.plan, order.component.name))


def _require_readable(component: Component, fingerprint: object) -> None:
    """Refuse a fingerprint of a shape that no reader of manifests knows: the point could be stored,
    but never read again."""
    if fingerprint is None or isinstance(fingerprint, Fingerprint):
        return
    raise NotSupported(
        f"kind {component.kind} describes {component.name} by {type(fingerprint).__name__}: "
        "drd could not read this fingerprint from a repository",
        hint="its package must use DatabaseFingerprint or TreeFingerprint: see docs/extending.md.",
    )


def baseline_queries(plan: Plan, component: str) -> dict[str, str]:
    """Queries of checks that compare with the source's own answer (`within 10%`)."""
    wanted = {}
    for check in (c for c in plan.checks if c.component == component):
        query = CHECKS[check.kind].baseline(check.settings)
        if query is not None:
            wanted[check.name] = query
    return wanted


def _plausible(services: Services, order: CaptureOrder, stored: StoredSnapshot) -> None:
    """Refuse a dump that shrank to almost nothing: it is broken, or data was lost; a person
    decides."""
    if order.accept_size:
        return
    history = services.catalogue.points.component_sizes(
        order.plan.name, order.component.name, limit=3
    )
    usual = min(history, default=0)
    if usual >= HISTORY_FLOOR and stored.bytes < usual * SHRUNK_TO:
        raise ImplausibleDump(
            f"component {order.component.name} shrank from {usual:,} to {stored.bytes:,} bytes",
            hint="check whether data is missing in the source. If the data was removed on purpose: "
            f"drd backup {order.plan.name} --accept-size",
        )


def failed(component: Component, why: Cause) -> ComponentSnapshot:
    """Return the row of a component that could not be captured."""
    name, kind = component.name, component.kind
    return ComponentSnapshot(name, kind, "failed", error=why.text, remedy=why.remedy)
