"""Find where a restore point comes from on a host that was made from a recovery kit: from the kit's
own list, or only from the repository, in which anyone who has its key can store anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drd.errors import UsageError
from drd.flows.components.repository_choice import Holders
from drd.flows.repository.signatures import signatures_of
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.seals import KitBase
from drd.model.snapshot import RestorePoint, made_by
from drd.model.text import called, left_out
from drd.model.units import format_time
from drd.ports.kinds import KeyUse
from drd.registry import KINDS

AFTER_KIT = "made after the kit"

_MOST = 50
"""The number of differences of each sort that are shown."""
_SORTS = {
    "paths": frozenset({"paths", "path", "exclude", "filename"}),
    "programs": frozenset({"command", "commands", "run", "before", "after", "bin_dir"}),
    "SQL": frozenset({"query", "sql", "statements", "expect"}),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """A point that is not in the kit's list. `differs` has, by sort (paths, programs, SQL), the
    differences between its plan and the kit's."""

    base: KitBase
    point: RestorePoint
    differs: Mapping[str, tuple[str, ...]]

    def lines(self) -> Iterator[str]:
        """Lines for the person who decides about it."""
        made = format_time(self.base.made_at)
        if tool := made_by(self.point.id):
            yield (
                f"the kit of {made} does not list restore point {self.point.id}: "
                f"{called(tool)} stored this point, so only its repository confirms it. "
                "Whoever can write to this repository could have forged the point"
            )
        elif not self.base.listed:
            yield (
                f"restore point {self.point.id} counts as {AFTER_KIT} of {made}: an older drd made "
                "the kit, without a list of restore points. So drd cannot tell whether the restore "
                "point is genuine or forged"
            )
        elif self.point.available_at > self.base.made_at:
            yield (
                f"restore point {self.point.id} was {AFTER_KIT} of {made}, so the kit cannot "
                "confirm this point. Whoever has the repository's password could have "
                "forged the point"
            )
        else:
            yield (
                f"restore point {self.point.id} is dated before the kit of {made}, but the kit "
                "does not list it. Do not trust this restore point unless you know where it "
                "comes from"
            )
        for sort in _SORTS:
            for line in self.differs.get(sort, ()):
                yield f"{sort} of this restore point differ from the kit: {line}"
        if any(self.differs.get(sort) for sort in _SORTS):
            return
        if tool:
            yield "the restore point does not contain a plan: drd uses the plan of the kit"
        else:
            yield "the restore point has the same paths, programs and SQL as the kit's plan"


def is_known(services: Services, plan: str, point: RestorePoint) -> bool:
    """Return whether the kit, its key or this host itself confirms the point; True on a host that
    was not made from a kit."""
    catalogue = services.catalogue
    return (
        catalogue.origins.kit_base(plan) is None
        or catalogue.origins.seal(plan, point.id) is not None
        or signatures_of(catalogue, plan).is_signed(point)
    )


def origin_of(
    services: Services, plan: Plan, point: RestorePoint, holders: Holders
) -> Origin | None:
    """Return the origin of a point; None if the kit, its key or this host confirms it. Else reads
    its manifest, and raises what prevents that, including ManifestRefused.
    """
    base = services.catalogue.origins.kit_base(plan.name)
    if base is None or services.catalogue.origins.seal(plan.name, point.id) is not None:
        return None
    manifest = holders.manifest()
    if signatures_of(services.catalogue, plan.name).is_signed(point):
        return None
    here = {"plan": json.loads(json.dumps(dict(plan.resolved))), "what comes back": _named(plan)}
    there = {"plan": manifest.resolved_plan, "what comes back": _stored(manifest.point)}
    if made_by(point.id):  # such a copy carries no plan
        there["plan"] = here["plan"]
    differences: dict[str, list[str]] = {sort: [] for sort in _SORTS}
    for path, one, other in _differences(here, there, ()):
        sort = next((s for s, keys in _SORTS.items() if keys & set(path)), None)
        sort = "programs" if _runs(plan, path) else sort
        if sort is not None:
            where = ".".join(path[1:] if path[0] == "plan" else path)
            differences[sort].append(
                f"{where} is {_shown(other)}, but {_shown(one)} in the kit's plan"
            )
    return Origin(base, point, {sort: _some(lines) for sort, lines in differences.items()})


def _runs(plan: Plan, path: Sequence[str]) -> bool:
    """Return whether this is a key by which the kind of a component decides what it runs."""
    if len(path) < 4 or path[:2] != ("plan", "components") or path[2] not in plan.components:
        return False
    kind = plan.components[path[2]].kind
    return kind in KINDS and KINDS[kind].keys.get(path[3]) is KeyUse.RUNS


def _named(plan: Plan) -> dict[str, Any]:
    """Return the paths to which the components are restored, by the plan."""
    return {
        name: {"paths": sorted(spec.paths(component.settings))}
        for name, component in plan.components.items()
        if (spec := KINDS[component.kind]).brings_back is not None
    }


def _stored(point: RestorePoint) -> dict[str, Any]:
    """Return the same, by the point."""
    return {
        c.component: {"paths": sorted(brings_back(c.facts))}
        for c in point.components
        if c.kind in KINDS and (brings_back := KINDS[c.kind].brings_back) is not None
    }


def require_accepted(
    services: Services, plan: Plan, point: RestorePoint, *, accepted: bool
) -> None:
    """Raise UsageError for a point that only the repository confirms, unless a person has accepted
    it."""
    if accepted or is_known(services, plan.name, point):
        return
    base = services.catalogue.origins.kit_base(plan.name)
    assert base is not None
    raise UsageError(
        f"restore point {point.id} was {AFTER_KIT} of {format_time(base.made_at)}, so its "
        "recovery needs a separate confirmation",
        hint="check this restore point with --dry-run. If you trust this point, add "
        "--accept-after-kit (--yes does not include this option). `drd points "
        f"{plan.name}` marks the points of the kit's own list with `kit`.",
    )


def _differences(
    here: Any, there: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Return where two documents differ: the place, and both values."""
    if here == there:
        return
    one, other = _by_name(here), _by_name(there)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*map(str, one), *map(str, other)}):
            yield from _differences(one.get(key), other.get(key), (*path, key))
    elif isinstance(one, Mapping) or isinstance(other, Mapping):
        # Everything that only one side has.
        mapping = one if isinstance(one, Mapping) else other
        for key in sorted(map(str, mapping)):
            value = mapping.get(key)
            sides = (value, None) if mapping is one else (None, value)
            yield from _differences(sides[0], sides[1], (*path, key))
    else:
        yield path, here, there


def _by_name(value: Any) -> Any:
    """Checks and steps by their names, other lists of mappings by their positions."""
    if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        return {str(v.get("name", n)): v for n, v in enumerate(value)}
    return value


def _shown(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=True, sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _some(lines: list[str]) -> tuple[str, ...]:
    more = left_out(len(lines) - _MOST).strip()
    return (*lines[:_MOST], *([more] if more else []))
