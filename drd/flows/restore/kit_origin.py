"""Where a host that was made from a recovery kit has a restore point from: the kit's own list, or
only the repository, in which whoever holds its key can put what he likes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drd.errors import UsageError
from drd.flows.restore.repository_choice import Holders
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.seals import KitBase
from drd.model.snapshot import RestorePoint
from drd.model.units import to_rfc3339

AFTER_KIT = "made after the kit"

_MOST = 50
"""Differences that are shown of each sort."""
_SORTS = {
    "paths": frozenset({"paths", "path", "exclude", "filename"}),
    "programs": frozenset({"command", "commands", "run", "before", "after", "bin_dir"}),
    "SQL": frozenset({"query", "sql", "statements", "expect"}),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """A point that the kit's list does not hold. `differs` has, by sort (paths, programs, SQL),
    what its own plan says otherwise than the kit's."""

    base: KitBase
    point: RestorePoint
    differs: Mapping[str, tuple[str, ...]]

    def lines(self) -> Iterator[str]:
        """For whoever decides about it."""
        made = f"{self.base.made_at:%Y-%m-%d %H:%M} UTC"
        if not self.base.listed:
            yield (
                f"{AFTER_KIT}: the kit of {made} has no list of its restore points, so that "
                "none can"
            )
            yield "be told from a forged one (drd of before made it)"
        elif self.point.available_at > self.base.made_at:
            yield f"{AFTER_KIT} of {made}: nothing but the repository vouches for restore point"
            yield f"{self.point.id}, and whoever has its password could have forged it"
        else:
            yield f"{AFTER_KIT}, although it is dated before it: the kit of {made} does not list"
            yield f"restore point {self.point.id}. Take it for forged unless you know better"
        for sort in _SORTS:
            for line in self.differs.get(sort, ()):
                yield f"{sort} differ: {line}"
        if not any(self.differs.get(sort) for sort in _SORTS):
            yield "its paths, programs and SQL are those of the kit's plan"


def is_known(services: Services, plan: str, point: str) -> bool:
    """Whether the kit, or this host itself, vouches for the point; on a host that was not made from
    a kit for every one."""
    catalogue = services.catalogue
    return (
        catalogue.origins.kit_base(plan) is None or catalogue.origins.seal(plan, point) is not None
    )


def origin_of(services: Services, plan: Plan, point: RestorePoint, held: Holders) -> Origin | None:
    """None where the kit or this host vouches for the point. Else its manifest is read. Raises what
    keeps it from being read, ManifestRefused among that."""
    base = services.catalogue.origins.kit_base(plan.name)
    if base is None or services.catalogue.origins.seal(plan.name, point.id) is not None:
        return None
    manifest = held.manifest()
    here = {"plan": json.loads(json.dumps(dict(plan.resolved))), "what comes back": _named(plan)}
    there = {"plan": manifest.resolved_plan, "what comes back": _stored(manifest.point)}
    found: dict[str, list[str]] = {sort: [] for sort in _SORTS}
    for path, one, other in _differences(here, there, ()):
        sort = next((s for s, keys in _SORTS.items() if keys & set(path)), None)
        if sort is not None:
            where = ".".join(path[1:] if path[0] == "plan" else path)
            found[sort].append(f"{where} is {_shown(other)}, in the kit's plan {_shown(one)}")
    return Origin(base, point, {sort: _some(lines) for sort, lines in found.items()})


def _named(plan: Plan) -> dict[str, Any]:
    """The paths that the components come back to, by the plan."""
    components: Any = plan.resolved.get("components", {})
    return {
        name: {"paths": sorted(map(str, settings["paths"]))}
        for name, settings in components.items()
        if isinstance(settings, Mapping) and settings.get("paths")
    }


def _stored(point: RestorePoint) -> dict[str, Any]:
    """The same, found by the point."""
    return {
        c.component: {"paths": sorted(c.facts["paths"])}
        for c in point.components
        if c.facts.get("paths")
    }


def require_accepted(
    services: Services, plan: Plan, point: RestorePoint, *, accepted: bool
) -> None:
    """Raise UsageError for a point that nobody but the repository vouches for, unless somebody has
    taken that upon himself."""
    if accepted or is_known(services, plan.name, point.id):
        return
    base = services.catalogue.origins.kit_base(plan.name)
    assert base is not None
    raise UsageError(
        f"restore point {point.id} was {AFTER_KIT} of {to_rfc3339(base.made_at)}, and needs a "
        "confirmation of its own",
        hint="look what it says: --dry-run; then --accept-after-kit (--yes does not cover it). "
        f"Points of the kit's own list are marked `kit`: drd points {plan.name}",
    )


def _differences(
    here: Any, there: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where two documents differ: the place, and what stands there in each."""
    if here == there:
        return
    one, other = _by_name(here), _by_name(there)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*map(str, one), *map(str, other)}):
            yield from _differences(one.get(key), other.get(key), (*path, key))
    elif isinstance(one, Mapping) or isinstance(other, Mapping):
        # All of what stands on one side alone.
        mapping = one if isinstance(one, Mapping) else other
        for key in sorted(map(str, mapping)):
            found = mapping.get(key)
            sides = (found, None) if mapping is one else (None, found)
            yield from _differences(sides[0], sides[1], (*path, key))
    else:
        yield path, here, there


def _by_name(value: Any) -> Any:
    """Checks and steps by their names, other lists of mappings by their places."""
    if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        return {str(v.get("name", n)): v for n, v in enumerate(value)}
    return value


def _shown(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=True, sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _some(lines: list[str]) -> tuple[str, ...]:
    more = [f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return (*lines[:_MOST], *more)
