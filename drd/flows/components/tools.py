"""The programs with which a plan is restored on this host."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from drd.errors import DrdError
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint


def tool_versions(services: Services, plan: Plan, point: RestorePoint) -> Mapping[str, str]:
    """Return the version of each tool, by its common name; without missing tools, which another
    finding reports."""
    versions = {name: version for name, version in services.versions.items() if name != "python"}
    for spec in plan.repositories.values():
        with suppress(DrdError):
            versions |= services.open_repository(spec).tools()
            break
    for name, component in plan.components.items():
        snapshot = point.component(name)
        if snapshot is None or snapshot.snapshot is None:
            continue
        with suppress(DrdError):
            used = services.kinds(component.kind).tools(component, snapshot)
            versions |= {f"{name}: {tool}": version for tool, version in used.items()}
    return versions
