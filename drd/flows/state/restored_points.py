"""Restore points that contain data which a recovery over production had just restored: backups
continue while a recovery is unfinished, and until somebody undoes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from drd.flows.state.kept_notes import last_note
from drd.model.plan import IN_PLACE
from drd.model.run import Decision, Run, RunKind, RunState, StepState, last_turn
from drd.model.run_details import RecoveryDetail
from drd.model.snapshot import RestorePoint
from drd.model.step_record import RESTORE
from drd.model.units import format_time
from drd.ports import Catalogue

_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Restored:
    """The components of a point that contain data which the recovery had restored. `undone` says
    that an undo reverted all of it; otherwise the recovery was unfinished at the time of the point.
    `whole`: the recovery had completely restored all components of the point; `sure`: all named
    components.
    """

    run: str
    components: tuple[str, ...]
    undone: bool
    whole: bool = False
    sure: bool = False

    @property
    def part(self) -> str:
        """Return the words to add after the names of the components."""
        return "" if self.whole or self.sure else ", or a part of that"

    @property
    def is_state(self) -> bool:
        """Whether the service was really left in this state: an undo did not revert it, and its
        data is not of two times."""
        return self.whole and not self.undone

    def words(self) -> str:
        """Return the words for the mark of the point."""
        if self.undone:
            return f"data of undone recovery {self.run}"
        return f"made during recovery {self.run}"

    def sentence(self) -> str:
        """Return the sentence for a person who is about to recover the point."""
        names = ", ".join(self.components)
        if self.undone:
            return (
                f"recovery {self.run} had restored {names} when this point was made. "
                "Somebody undid the recovery later: the point does not contain the data "
                "that the undo put back"
            )
        return (
            f"recovery {self.run} was unfinished when this point was made, and had already "
            f"restored {names}{self.part}: this data is older than the time of the point"
        )


def restored_points(
    catalogue: Catalogue, plan: str, points: Iterable[RestorePoint]
) -> dict[str, Restored]:
    """Return by id the points that hold restored data: by the recoveries that this catalogue knows,
    and by the manifests, which outlive it."""
    spans = [
        span
        for run in catalogue.runs.newest(plan, limit=_LOOKED_AT, kind=RunKind.RECOVERY)
        if (span := _span(catalogue, run)) is not None
    ]
    by_point = {}
    for point in points:
        held = next((held for span in spans if (held := span.held(point)) is not None), None)
        if held is None and point.made_during is not None:
            during = point.made_during
            held = Restored(during.run, during.components, False, during.whole)
        if held is not None:
            by_point[point.id] = held
    return by_point


@dataclass(frozen=True, slots=True)
class Replaced:
    """What last replaced the data of a component in production: a recovery, at the time `at`, or
    its undo."""

    run: str
    at: datetime
    undone: bool

    @property
    def words(self) -> str:
        at = format_time(self.at, seconds=True)
        if self.undone:
            return f"drd undo {self.run} put the former data back at {at}"
        return f"recovery {self.run} of drd replaced the data at {at}"


def replaced_since(
    catalogue: Catalogue, plan: str, component: str, since: datetime
) -> Replaced | None:
    """Return what replaced all data of this component in production after that time; None if drd
    did not replace it."""
    found = []
    for run in catalogue.runs.newest(plan, limit=_LOOKED_AT, kind=RunKind.RECOVERY):
        if isinstance(run.detail, RecoveryDetail) and run.detail.part is not None:
            continue
        span = _span(catalogue, run)
        if span is None or component not in span.since:
            continue
        at = span.restored.get(component, span.since[component])
        found.append(Replaced(run.id, at, undone=False))
        if span.taken_back and span.until is not None:
            found.append(Replaced(run.id, span.until, undone=True))
    newest = max(found, key=lambda one: one.at, default=None)
    return newest if newest is not None and newest.at > since else None


@dataclass(frozen=True, slots=True)
class _Span:
    """The time in which components held data that a recovery had restored: `since` is its begin for
    each component, `until` its end (None: it has not ended), and `restored` when each was
    completely restored."""

    run: str
    since: Mapping[str, datetime]
    restored: Mapping[str, datetime]
    until: datetime | None
    undone: bool
    taken_back: bool = False
    """`undone` is also True only if no former data is kept any more; this is True after each
    undo."""

    def held(self, point: RestorePoint) -> Restored | None:
        names = tuple(
            one.component
            for one in point.components
            if one.data_time is not None
            and one.component in self.since
            and self.since[one.component] <= one.data_time
            and (self.until is None or one.data_time <= self.until)
        )
        whole = all(
            one.component in self.restored and self.restored[one.component] <= one.data_time
            for one in point.components
            if one.data_time is not None
        )
        sure = all(name in self.restored for name in names)
        return Restored(self.run, names, self.undone, whole, sure) if names else None


def _span(catalogue: Catalogue, run: Run) -> _Span | None:
    request = run.detail
    if not isinstance(request, RecoveryDetail):
        return None
    if not (request.in_place or request.target == IN_PLACE):
        return None
    since: dict[str, datetime] = {}
    restored: dict[str, datetime] = {}
    note = last_note(catalogue, run)
    replaced = {*(aside.component for aside in note.aside), *note.unseen}
    for record in catalogue.steps.of_run(run.id):
        stopped = record.state not in (StepState.SUCCEEDED, StepState.RUNNING)
        if stopped and not request.no_undo and record.subject not in replaced:
            continue  # it failed, or was cancelled, before it replaced anything
        if record.kind == RESTORE and record.subject:
            since.setdefault(record.subject, record.started_at)
            if record.state is StepState.SUCCEEDED and record.finished_at is not None:
                restored[record.subject] = record.finished_at
    if not since:
        return None
    said = [d for d in catalogue.decisions.of_run(run.id) if not d.step]
    if last_turn([str(d.action) for d in said]) == "undo":
        undone = not any(aside.former for aside in note.aside)
        return _Span(run.id, since, restored, _last(said, "undo"), undone, taken_back=True)
    if run.state is RunState.SUCCEEDED:
        return _Span(run.id, since, restored, run.finished_at, undone=False)
    return _Span(run.id, since, restored, _last(said, "done"), undone=False)


def _last(said: list[Decision], action: str) -> datetime | None:
    return next((d.at for d in reversed(said) if d.action == action), None)
