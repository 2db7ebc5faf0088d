"""Find rotated credentials that have their old value again, because a recovery restored the file
with this value."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from drd.errors import NoRestorePoint
from drd.flows.state.kept_notes import last_note
from drd.model.incidents.rotations import Rotation, since
from drd.model.inventory import Credential
from drd.model.plan import Plan
from drd.model.run import Run, RunKind, StepState, about_all, last_turn
from drd.model.run_details import RecoveryDetail
from drd.model.snapshot import RestorePoint, TreeFingerprint
from drd.model.step_record import RESTORE
from drd.ports import Catalogue
from drd.registry import KINDS

_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Returned:
    """A rotated credential that has its old value again: the recovery `run` restored its file, in
    `component`, after the `rotation`, from a `point` that was made before the rotation."""

    credential: str
    rotation: Rotation
    component: str
    run: str
    point: str
    at: datetime


def returned(
    catalogue: Catalogue, plan: Plan, done: Collection[Rotation], sign: datetime
) -> tuple[Returned, ...]:
    """Return the credentials of a plan that were rotated since the first `sign`, if a later
    recovery restored the file from before the rotation. A recovery that was undone does not
    count."""
    rotated = [
        (one, last)
        for one in plan.inventory.credentials
        if (last := since(done, plan.name, one.name, sign)) is not None
    ]
    if not any(_file_of(one) for one, _ in rotated):
        return ()
    decided: dict[str, Returned | None] = {}
    earliest = min(last.at for _, last in rotated)
    for run in catalogue.runs.newest(plan.name, limit=_LOOKED_AT, kind=RunKind.RECOVERY):
        restored = _restored(catalogue, run, earliest)
        point = _point(catalogue, run) if restored else None
        if point is None:
            continue
        for one, last in rotated:
            names = [name for name, at in restored.items() if at > last.at]
            component = component_with(one, point, names) if _is_asked(run, one) else None
            if component is not None and one.name not in decided:  # the newest recovery decides
                at = restored[component]
                told = Returned(one.name, last, component, run.id, point.id, at)
                is_former = _is_of_before(point, component, last.at)
                decided[one.name] = told if is_former else None
    return tuple(told for told in decided.values() if told is not None)


def _restored(catalogue: Catalogue, run: Run, after: datetime) -> dict[str, datetime]:
    """Return the time at which a recovery restored each component, without components that it
    restored before `after`. Empty if the recovery was undone, or restored a copy beside the
    data."""
    asked = run.detail
    if not isinstance(asked, RecoveryDetail) or (asked.part is not None and asked.part.into):
        return {}
    times = {
        record.subject: record.finished_at
        for record in catalogue.steps.of_run(run.id)
        if record.kind == RESTORE
        and record.subject
        and record.state is StepState.SUCCEEDED
        and record.finished_at is not None
        and record.finished_at > after
    }
    if times and _is_undone(catalogue, run):
        return {}
    return times


def _is_asked(run: Run, credential: Credential) -> bool:
    """Return whether a recovery restored the file of a credential: a recovery of single paths
    restores only files in these paths."""
    part, path = getattr(run.detail, "part", None), _file_of(credential)
    return path is not None and (part is None or not part.paths or _within(path, part.paths))


def _is_undone(catalogue: Catalogue, run: Run) -> bool:
    if last_turn(about_all(catalogue.decisions.of_run(run.id))) != "undo":
        return False
    return not any(aside.former for aside in last_note(catalogue, run).aside)


def _point(catalogue: Catalogue, run: Run) -> RestorePoint | None:
    """Return the point that a recovery restored, with its fingerprints; None if retention has
    removed this point."""
    if (point := run.detail.point) is None:
        return None
    try:
        return catalogue.points.get(run.plan, point)
    except NoRestorePoint:
        return None


def _is_of_before(point: RestorePoint, component: str, at: datetime) -> bool:
    row = point.component(component)
    return row is None or row.data_time is None or row.data_time < at


# --- which component has the file -------------------------------------------------------------


def _file_of(credential: Credential) -> str | None:
    source, _, path = credential.reference.partition(" ")
    return path if source == "file" else None


def component_with(
    credential: Credential, point: RestorePoint, names: Collection[str]
) -> str | None:
    """Return the component, one of `names`, whose snapshot in the point contains the file of a
    credential; None if no component contains it."""
    path = _file_of(credential)
    if path is None:
        return None
    for row in point.components:
        brings_back = KINDS[row.kind].brings_back if row.kind in KINDS else None
        if row.component not in names or brings_back is None or row.snapshot is None:
            continue
        tree = row.fingerprint
        if isinstance(tree, TreeFingerprint) and not _is_there(path, tree):
            continue
        if _within(path, brings_back(row.facts)):
            return row.component
    return None


def _is_there(path: str, tree: TreeFingerprint) -> bool:
    above = (path, *map(str, PurePath(path).parents))
    return path in tree.entries or any(one in tree.not_reached for one in above)


def _within(path: str, paths: Iterable[str]) -> bool:
    return any(PurePath(path).is_relative_to(one) for one in paths)
