"""Refuse a named target that is the production source, unless --in-place is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from drd.errors import TargetIsProduction
from drd.flows.services import Services
from drd.flows.state.run_dirs import component_place
from drd.model.plan import IN_PLACE, Plan, Target
from drd.ports import RestoresInside


class OverProduction(NamedTuple):
    """A component that would be restored over the `source` of the plan that is in `place`."""

    component: str
    source: str
    place: str


def require_elsewhere(
    services: Services,
    plan: Plan,
    target: Target,
    names: Iterable[str],
    run: str,
    *,
    inside: bool = False,
) -> None:
    """Raise TargetIsProduction if one of the named components would overwrite a source
    of the plan. With `inside`, the recovery restores a part of the component into a running
    server."""
    for over in production(services, plan, target, names, run, inside=inside):
        whose = "" if over.source == over.component else f", the source of {over.source}"
        raise TargetIsProduction(
            f"target {target.name} is production itself: {over.component} would be restored over "
            f"{over.place}{whose}",
            hint=f"correct `targets` in {plan.file}; or, to overwrite production on purpose: "
            f"drd recover {plan.name} --target {target.name} --in-place",
        )


def production(
    services: Services,
    plan: Plan,
    target: Target,
    names: Iterable[str],
    run: str,
    *,
    inside: bool = False,
) -> Iterator[OverProduction]:
    """Return the named components that would overwrite a source, or with `inside` a part of it."""
    if target.name == IN_PLACE:
        return
    for name in (n for n in names if n in target.components and n in plan.components):
        wanted = plan.components[name].kind
        # The component's own source first: people mean that one.
        sources = sorted(plan.components.values(), key=lambda c: c.name != name)
        for source in (s for s in sources if s.kind == wanted):
            place = component_place(services, run, source)
            kind, settings = services.kinds(wanted), target.components[name]
            if inside and isinstance(kind, RestoresInside):
                where = kind.same_server(source, settings, place)
            else:
                where = kind.same_place(source, settings, place)
            if where is not None:
                yield OverProduction(name, source.name, where)
                break
