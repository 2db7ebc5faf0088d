"""Capture one component: hooks, probe, one consistent state, stored and described."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from drd.errors import ExtensionFailed, ImplausibleDump, NotSupported
from drd.extension_faults import attributed, noted, require_json, require_type
from drd.flows.backup.earlier_copy import earlier_copy
from drd.flows.backup.together import Together
from drd.flows.hooks import run_after, run_after_anyway, run_before
from drd.flows.repository.manifests import written_rule
from drd.flows.services import Services
from drd.flows.state.run_dirs import component_place
from drd.model.cause import Cause
from drd.model.plan import Component, Plan
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    Fingerprint,
    StoredSnapshot,
)
from drd.model.step_results import PreflightStepResult
from drd.model.strict import UnexpectedValue
from drd.model.text import counted, escaped
from drd.ports import (
    BuildsOnEarlier,
    Capture,
    EarlierIncomplete,
    NoEarlier,
    Probe,
    Repository,
    Source,
    Stream,
    Tree,
)
from drd.registry import CHECKS, KINDS, Extension

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
    """What to capture, for which run, and where to. `confirmed` ends when drd knows that the
    repository is the right one, or raises the error of this check. Before that, nothing is stored
    and no hook runs. `together` says when the data of a component may be frozen."""

    plan: Plan
    component: Component
    run: str
    repository: Repository
    deadline: float  # on the monotonic clock
    accept_size: bool
    confirmed: Future[PreflightStepResult]
    together: Together


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
        doing = noted(f"the backup of {component.name}")
        with attributed("", KINDS.extension(component.kind)), doing:
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
    place = replace(place, deadline=order.deadline, limits=component.limits)
    package = KINDS.extension(component.kind)
    source = services.kinds(component.kind).source(component, place)
    probe = require_type(source.probe(), Probe, f"probe of kind {component.kind}", package)
    for warning in probe.warnings():
        services.warn(f"{component.name}: {warning}")
    order.confirmed.result()
    stored = partial(_stored, services, order, source, probe, begun)
    if not isinstance(source, BuildsOnEarlier):
        order.together.begin(component.name)
        return stored()
    source.build_on(earlier_copy(services, order.plan, component, order.repository))
    order.together.begin(component.name)
    try:
        return stored()
    except EarlierIncomplete as error:
        services.warn(f"{component.name}: {error.message}. drd now makes a full copy instead")
        source.build_on(NoEarlier(error.message))
        return stored()


def _stored(
    services: Services, order: CaptureOrder, source: Source, probe: Probe, begun: float
) -> Captured:
    component, package = order.component, KINDS.extension(order.component.kind)
    with source.open() as taken:
        order.together.begun(component.name)
        facts = _required_facts(component, probe, taken, package)
        with order.together.storing(component.name, frozen=KINDS[component.kind].freezes):
            fingerprint, stored, answers = _store(services, order, taken)
        fingerprint = taken.verify(stored, fingerprint)
        _require_readable(component, fingerprint)
        _warn_of_damage(services, component, fingerprint)
        if not order.accept_size:
            _plausible(services, order, facts, stored)
            _plausible_lists(services, order, _lists_in(facts))
        snapshot = ComponentSnapshot(
            component=component.name,
            kind=component.kind,
            state="captured",
            data_time=taken.data_time,
            snapshot=stored.snapshot,
            bytes=stored.bytes,
            added_bytes=stored.added_bytes,
            duration_s=round(services.clock.monotonic() - begun, 3),
            facts=facts,
            observations=dict(answers),
            fingerprint=fingerprint,
        )
        private = dict(taken.private)
        _require_written(services, snapshot, private, package)
        return Captured(snapshot, private)


def _required_facts(
    component: Component, probe: Probe, taken: Capture, package: Extension | None
) -> Mapping[str, Any]:
    """Return the facts of a component. Raises ExtensionFailed for a capture of an extension that
    drd could not store."""
    kind = component.kind
    members = (
        ("payload", (Stream, Tree)),
        ("data_time", datetime),
        ("facts", Mapping),
        ("private", Mapping),
    )
    for name, expected in members:
        value = getattr(taken, name, None)
        require_type(value, expected, f"{name} of the capture of kind {kind}", package)
    require_json(dict(taken.private), f"private of the capture of kind {kind}", package)
    facts = {**require_type(probe.facts, Mapping, f"facts of kind {kind}", package), **taken.facts}
    return require_json(facts, f"facts of kind {kind}", package)


def _require_written(
    services: Services,
    snapshot: ComponentSnapshot,
    private: Mapping[str, Any],
    package: Extension | None,
) -> None:
    """Refuse what the kind of an extension would not accept from the manifest again: the point
    could be stored, but never restored."""
    if package is None:
        return
    try:
        written_rule(services.kinds)(snapshot, private)
    except UnexpectedValue as error:
        raise ExtensionFailed(
            f"kind {snapshot.kind} of the package {package.name} {package.version} refuses "
            f"the data of {snapshot.component} that the kind itself stored: {error}",
            hint=f"report this to the author of {package.name}: require_written of the kind "
            "must accept what the source of the kind stores",
        ) from error


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
            limits=order.component.limits,
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
        hint="report this to the author of the kind: the package must use "
        "DatabaseFingerprint or TreeFingerprint (docs/extending.md).",
    )


def _warn_of_damage(services: Services, component: Component, fingerprint: object) -> None:
    """Name the tables of the source that are damaged: a copy of files contains them as they are."""
    if not isinstance(fingerprint, DatabaseFingerprint):
        return
    for name in sorted(fingerprint.damaged):
        services.warn(
            f"{component.name}: {escaped(name)} is damaged in the source and cannot be read: "
            f"{escaped(fingerprint.not_reached[name])} (HINT: read the log of the server, and "
            "restore this table from an older restore point whose drill passed.)"
        )


def baseline_queries(plan: Plan, component: str) -> dict[str, str]:
    """Queries of checks that compare with the source's own answer (`within 10%`)."""
    wanted = {}
    for check in (c for c in plan.checks if c.component == component):
        query = CHECKS[check.kind].baseline(check.settings)
        if query is not None:
            wanted[check.name] = query
    return wanted


def _plausible(
    services: Services, order: CaptureOrder, facts: Mapping[str, Any], stored: StoredSnapshot
) -> None:
    """Refuse a dump that shrank to almost nothing: it is broken, or data was lost; a person
    decides."""
    plan, component = order.plan.name, order.component
    now = KINDS[component.kind].size(facts)
    if now:
        history = _sizes(services, plan, component)
    else:
        now = stored.bytes
        history = services.catalogue.points.component_sizes(plan, component.name, limit=3)
    usual = min(history, default=0)
    if usual >= HISTORY_FLOOR and now < usual * SHRUNK_TO:
        raise ImplausibleDump(
            f"component {component.name} shrank from {usual:,} to {now:,} bytes, so "
            f"drd does not accept this backup of {component.name}",
            hint=_how_to_decide(services, order),
        )


def _sizes(services: Services, plan: str, component: Component) -> list[int]:
    """Return the sizes of the last three captures, for a kind whose snapshots say it in facts."""
    return [
        KINDS[one.kind].size(one.facts)
        for point in services.catalogue.points.of_plan(plan)
        for one in point.components
        if (one.component, one.kind, one.state) == (component.name, component.kind, "captured")
    ][:3]


def _how_to_decide(services: Services, order: CaptureOrder) -> str:
    """Return how a person learns what the source lacks, and the command if that is right."""
    plan, name = order.plan.name, order.component.name
    accept = f"the data was removed on purpose: drd backup {plan} --accept-size"
    fuller = next(
        (
            point.id
            for point in services.catalogue.points.of_plan(plan)
            for one in point.components
            if one.component == name and one.state == "captured"
        ),
        None,
    )
    if fuller is None or services.kinds(order.component.kind).spec.comparison is None:
        return f"check whether data is missing in the source. If {accept}"
    difference = f"drd diff {plan} --component {name} --point {fuller}"
    return f"to see what is missing in the source: {difference}; if {accept}"


def _lists_in(facts: Mapping[str, Any]) -> Mapping[str, int]:
    """Return how much each list of a component has, if its kind says that in the fact `lists`."""
    lists = facts.get("lists")
    if not isinstance(lists, Mapping):
        return {}
    return {name: count for name, count in lists.items() if isinstance(count, int)}


def _plausible_lists(services: Services, order: CaptureOrder, lists: Mapping[str, int]) -> None:
    """Refuse lists that are empty, or shrank to almost nothing: a recovery would remove what they
    lack."""
    if not lists:
        return
    name = order.component.name
    history = [
        past
        for point in services.catalogue.points.of_plan(order.plan.name)
        for one in point.components
        if one.component == name and (past := _lists_in(one.facts))
    ][:3]
    for one, now in lists.items():
        usual = min((past.get(one, 0) for past in history), default=0)
        if usual and now < max(1, usual * SHRUNK_TO):
            raise ImplausibleDump(
                f"list {one} of component {name} shrank from {usual:,} to "
                f"{counted(now, 'entry', 'entries')}, so drd does not accept this backup of {name}",
                hint="check what the account of drd may see at the source. If the data was removed "
                f"on purpose: drd backup {order.plan.name} --accept-size",
            )


def failed(component: Component, why: Cause) -> ComponentSnapshot:
    """Return the row of a component that could not be captured."""
    name, kind = component.name, component.kind
    return ComponentSnapshot(name, kind, "failed", error=why.text, remedy=why.remedy)
