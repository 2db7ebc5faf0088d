"""Describe a copy that another tool has made as drd describes its own restore points.

The manifest is made from the listing each time, always with the same bytes for the same copy, so
nothing has to be stored beside the copies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name

from drd.model.adopted import Adopted
from drd.model.copy_names import COPY, TO_READ, TO_READ_NOW, UNREAD
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot, Manifest, RestorePoint, canonical_json
from drd.ports.adopted import (
    AdoptedPart,
    AdoptsOf,
    AdoptsServerOf,
    ForeignCopy,
    ForeignTool,
    FoundFile,
    NotInCopy,
)
from drd.ports.kinds import Holds
from drd.registry import KINDS
from drd.repositories.adopted import cut_off
from drd.repositories.adopted.data import ANOTHER_PATH, why_no_data


def point_of(adopted: Adopted, copy: ForeignCopy) -> str:
    """Return the id of the restore point, after the name of the tool: two plans may adopt the same
    copy."""
    digest = hashlib.sha256(f"{adopted.plan} {copy.id}".encode()).hexdigest()
    return f"{adopted.made_by}-{digest[:8]}"


def manifest_id(adopted: Adopted, copy: ForeignCopy) -> str:
    """Return an id for the manifest. The id changes if the plan now searches something else in the
    copy, or if drd reads more of the copy than before: the number in it stands for what drd reads.
    """
    parts = [[c.name, c.kind, *wanted(c)] for c in adopted.components]
    said = ["drd manifest 6", adopted.made_by, adopted.plan, copy.id, parts]
    return hashlib.sha256(canonical_json(said)).hexdigest()


def component_id(component: Component, copy: ForeignCopy) -> str:
    """Return the id of one component in the copy."""
    return hashlib.sha256(f"{copy.id} {component.name}".encode()).hexdigest()


def wanted(component: Component) -> Sequence[str]:
    """Return the paths of a component in each copy."""
    return KINDS[component.kind].in_copies(component)


@dataclass(frozen=True, slots=True)
class Described:
    """One component in one copy; `part` is None if the copy does not contain it."""

    snapshot: ComponentSnapshot
    part: AdoptedPart | None


def describe(tool: ForeignTool, copy: ForeignCopy, component: Component) -> Described:
    """Describe a component in a copy. Raises RepositoryError when drd cannot find out what the copy
    contains."""
    copied_file: FoundFile | None = None
    single = KINDS[component.kind].holds is not Holds.PATHS
    # A command restores the one component of its copies, wherever the service has it.
    for path in wanted(component) or ("/",):
        try:
            copied_file = tool.find(copy, path)
        except NotInCopy as error:
            return _lacking(component, copy, error.message, error.hint)
        if copied_file is None:
            return _lacking(component, copy, f"the copy does not contain {path}")
        if single and not copied_file.is_file:
            return _lacking(component, copy, f"{path} is not a regular file in the copy")
        if (lacking := _no_whole_dump(component, copy, copied_file)) is not None:
            return lacking
        if (lacks := why_no_data(copied_file, path, wanted(component))) is not None:
            remedy = _NO_DATA if copied_file.leads_to is None else ANOTHER_PATH
            return _lacking(component, copy, f"{path} {lacks}", remedy)
    data_time = copy.data_time
    if component.copied_as and copied_file is not None and copied_file.changed_at is not None:
        # A dump is as old as its file, however often it is copied.
        data_time = min(data_time, copied_file.changed_at)
    try:
        part = _adopted_by_its_kind(component, copy, copied_file if single else None)
    except NotInCopy as error:
        return _lacking(component, copy, error.message, error.hint)
    ends_wrong, unread = _end_of(copied_file, part.landing.ends_with)
    if ends_wrong:
        return _cut_off(component, copy, ends_wrong)
    return Described(
        ComponentSnapshot(
            component=component.name,
            kind=component.kind,
            state="captured",
            data_time=data_time,
            snapshot=component_id(component, copy),
            bytes=part.landing.bytes if single else copy.bytes,
            facts={**part.facts, COPY: copy.name, **unread},
        ),
        part,
    )


def _no_whole_dump(component: Component, copy: ForeignCopy, found: FoundFile) -> Described | None:
    """Return the description of a copy whose file is not a dump, or is cut off; None otherwise."""
    begins = KINDS[component.kind].begins
    if no_dump := cut_off.why_no_dump(found.head, copy.name, begins):
        why = f"{copy.name} is not a dump: {no_dump}"
        return _lacking(component, copy, why, f"{cut_off.REMEDY}.")
    return _cut_off(component, copy, found.cut_off) if found.cut_off else None


def _end_of(found: FoundFile | None, ends_with: str) -> tuple[str, dict[str, bool | str]]:
    """Return by which sign a file does not end as the plan says, and the facts that drd does not
    know whether it is whole, and whether it finds out by reading."""
    if found is not None and found.tail and ends_with:
        return cut_off.why_ends_wrong(found.tail, ends_with), {}
    facts: dict[str, bool | str] = {UNREAD: True} if found is not None and found.unknown else {}
    if found is not None and found.to_read:
        facts[TO_READ] = TO_READ_NOW
    return "", facts


def _cut_off(component: Component, copy: ForeignCopy, why: str) -> Described:
    return _lacking(component, copy, f"the dump is cut off: {why}", f"{cut_off.REMEDY}.")


def _adopted_by_its_kind(
    component: Component, copy: ForeignCopy, found: FoundFile | None
) -> AdoptedPart:
    spec = KINDS[component.kind]
    if copy.server is not None:
        adopts_server: AdoptsServerOf = resolve_name(spec.adopts_server)
        return adopts_server(component, copy)
    adopts: AdoptsOf = resolve_name(spec.adopts)
    return adopts(component, found)


_NO_PATH = "let the tool copy this path, or correct the path in the plan."
_NO_DATA = (
    "find out why the tool copied nothing: check the log of the dump, and that the disk "
    "was mounted."
)


def _lacking(
    component: Component, copy: ForeignCopy, why: str, remedy: str = _NO_PATH
) -> Described:
    snapshot = ComponentSnapshot(
        component=component.name,
        kind=component.kind,
        state="failed",
        error=why,
        remedy=remedy,
        facts={COPY: copy.name},
    )
    return Described(snapshot, None)


def manifest(
    adopted: Adopted, copy: ForeignCopy, described: Callable[[Component], Described]
) -> bytes:
    """Return the manifest of a copy."""
    rows = [described(component) for component in adopted.components]
    snapshots = tuple(row.snapshot for row in rows)
    times = [s.data_time for s in snapshots if s.data_time is not None]
    point = RestorePoint(
        id=point_of(adopted, copy),
        plan=adopted.plan,
        data_time=min(times, default=copy.data_time),
        available_at=copy.ended_at,
        complete=all(row.part is not None for row in rows),
        plan_digest="",
        components=snapshots,
    )
    private = {r.snapshot.component: r.part.private for r in rows if r.part and r.part.private}
    return Manifest(point, {}, {}, private).to_bytes()
