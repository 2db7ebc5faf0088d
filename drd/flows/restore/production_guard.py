"""Refuse a named target that is the production source, unless --in-place is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from drd.errors import TargetIsProduction
from drd.flows.services import Services
from drd.flows.state.run_dirs import component_place
from drd.model.plan import IN_PLACE, Plan, Target


def require_elsewhere(
    services: Services, plan: Plan, target: Target, names: Iterable[str], run: str
) -> None:
    """Raise TargetIsProduction if one of the named components would overwrite a source
    of the plan."""
    for name, source, where in production(services, plan, target, names, run):
        over = "" if source == name else f", the source of {source}"
        raise TargetIsProduction(
            f"target {target.name} is production itself: {name} would be restored over "
            f"{where}{over}",
            hint=f"correct `targets` in {plan.file}; or, if production is to be overwritten: "
            f"drd recover {plan.name} --target {target.name} --in-place",
        )


def production(
    services: Services, plan: Plan, target: Target, names: Iterable[str], run: str
) -> Iterator[tuple[str, str, str]]:
    """The named components that would overwrite a source: its name, the source's name,
    the place."""
    if target.name == IN_PLACE:
        return
    for name in (n for n in names if n in target.components and n in plan.components):
        wanted = plan.components[name].kind
        # The component's own source first: people mean that one.
        sources = sorted(plan.components.values(), key=lambda c: c.name != name)
        for source in (s for s in sources if s.kind == wanted):
            place = component_place(services, run, source)
            where = services.kinds(wanted).same_place(source, target.components[name], place)
            if where is not None:
                yield name, source.name, where
                break
