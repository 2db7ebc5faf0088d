"""Choose the component and the restore point for `drd diff` if the person names none."""

from __future__ import annotations

from drd.errors import NoRestorePoint, UsageError
from drd.flows.services import Services
from drd.model.plan import Plan


def component_or_only(plan: Plan, component: str | None) -> str:
    """Return the given component, or the only one of the plan. Raises UsageError."""
    if component is not None:
        return component
    if len(plan.components) == 1:
        return next(iter(plan.components))
    names = ", ".join(plan.components)
    raise UsageError(
        f"plan {plan.name} has {len(plan.components)} components, and drd diff compares only one",
        hint=f"choose one with --component: {names}.",
    )


def point_or_newest(services: Services, plan: Plan, component: str, point: str | None) -> str:
    """Return the given id, or that of the newest restore point with data of the component. Raises
    NoRestorePoint."""
    if point is not None:
        return point
    for each in services.catalogue.points.of_plan(plan.name):
        snapshot = each.component(component)
        if snapshot is not None and snapshot.data_time is not None:
            return each.id
    raise NoRestorePoint(
        f"plan {plan.name} has no restore point with component {component}",
        hint=f"make a restore point: drd backup {plan.name}",
    )
