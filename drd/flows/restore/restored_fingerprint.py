"""Restore a restore point into a sandbox, and read there what it contains, for `drd diff`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from uuid import uuid4

from drd.errors import NotSupported, SandboxUnavailable
from drd.flows.components.fence import drill_fences
from drd.flows.components.fetch import fetched
from drd.flows.components.repository_choice import Holders
from drd.flows.components.restoration import close
from drd.flows.services import Services
from drd.flows.state.run_dirs import sandbox_place
from drd.flows.state.run_removal import swept_afterwards
from drd.model.cause import with_remedy
from drd.model.plan import Component, Plan
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    RestorePoint,
)
from drd.ports import Holds

BUDGET_S = 3600.0
"""The time limit for reading the tables of one side."""

EVERY_ROW = DatabaseFingerprint("digest")
"""A request for a fingerprint with the contents of all rows."""


def require_tables(services: Services, component: Component) -> None:
    """Raise NotSupported for a kind without tables: the fingerprint in its restore point already
    contains everything that drd compares."""
    spec = services.kinds(component.kind).spec
    if spec.holds is not Holds.TABLES:
        raise NotSupported(
            f"--restored compares tables, but component {component.name} of kind {spec.name} has "
            "no tables",
            hint="leave out --restored: drd then compares the fingerprints.",
        )


def restored_fingerprint(
    services: Services, plan: Plan, point: RestorePoint, snapshot: ComponentSnapshot
) -> DatabaseFingerprint:
    """Restore the snapshot into a sandbox as a drill does, behind the fence, and describe every
    table. The sandbox is removed afterwards. Raises the errors of repositories, and
    SandboxUnavailable."""
    component = plan.components[snapshot.component]
    kind, probe = services.kinds(component.kind), f"diff-{uuid4().hex[:8]}"
    with ExitStack() as stack:
        stack.enter_context(swept_afterwards(services, probe))
        fences = stack.enter_context(drill_fences(services, plan))
        place = sandbox_place(services, probe, component, fences)
        sandbox = kind.sandbox(component, snapshot, place)
        stack.callback(close, sandbox)
        for finding in sandbox.preflight(snapshot, overwrite=False):
            if finding.failed:
                raise SandboxUnavailable(
                    f"cannot restore {component.name} into a sandbox: {finding.text}",
                    hint=finding.remedy,
                )
            if finding.severity == "warning":
                services.warn(with_remedy(f"{component.name}: {finding.text}", finding.remedy))
        holders = Holders(services, plan, point)
        sandbox.prepare()
        fetched(holders, snapshot, sandbox.landing(), None)
        private = holders.manifest().private.get(component.name, {})
        sandbox.restore(snapshot, private, on_progress=services.on_progress)
        contents = sandbox.inspector().fingerprint(EVERY_ROW, BUDGET_S)
    assert isinstance(contents, DatabaseFingerprint)
    return _with_properties(contents, snapshot)


def _with_properties(
    found: DatabaseFingerprint, snapshot: ComponentSnapshot
) -> DatabaseFingerprint:
    """Take the properties from the restore point: some properties in the sandbox are those of the
    sandbox itself."""
    known = snapshot.fingerprint
    saved = known.properties if isinstance(known, DatabaseFingerprint) else {}
    return replace(found, properties=saved)
