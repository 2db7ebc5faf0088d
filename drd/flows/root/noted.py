"""The catalogue of a root process that acts on another user's state, with root's ledgers beside it.

For the recoveries that this process starts or resumes, each write is noted in the ledger first, and
what is read must match the ledger. The stores here contain the rows that the resume of a recovery
needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from drd.errors import NotAsNoted
from drd.flows.root.ledger import End
from drd.flows.root.noted_rows import point_of, row_of
from drd.flows.root.notes import Notes
from drd.model import run_details
from drd.model.run import (
    SET_ASIDE,
    Decision,
    Executed,
    Run,
    RunKind,
    RunState,
    StepState,
    about_all,
    taken_back,
)
from drd.model.run_details import RunDetail
from drd.model.snapshot import RestorePoint
from drd.model.step_record import StepRecord
from drd.model.step_results import StepResult
from drd.ports import Catalogue, RunLease
from drd.ports.points import NO_IDS, PointStore, RepositoryIds
from drd.ports.runs import RunStore
from drd.ports.steps import DecisionStore, StepStore
from drd.process import Mark

_WHOLE_RUN = ("undo", "redo", "rollback")
"""Decisions about a whole run by which drd decides whether it may continue."""


def noted(catalogue: Catalogue, notes: Notes) -> Catalogue:
    """Return the same catalogue, whose rows of recoveries must match the notes."""
    points = NotedPoints(catalogue.points, notes)
    return replace(
        catalogue,
        runs=NotedRuns(catalogue, points, notes),
        steps=NotedSteps(catalogue.steps, notes),
        decisions=NotedDecisions(catalogue.decisions, notes),
        points=points,
    )


class NotedRuns:
    """Implements the port `RunStore` with the store of the catalogue. Like every class here it
    defines each method of its port, so that every new method needs a decision about its guard."""

    def __init__(self, catalogue: Catalogue, points: NotedPoints, notes: Notes) -> None:
        self._of: RunStore = catalogue.runs
        self._origins = catalogue.origins
        self._points = points
        self._notes = notes

    def begin(
        self, plan: Executed, kind: RunKind, *, detail: RunDetail | None = None, **more: Any
    ) -> RunLease:
        point, known = None, None
        if kind is RunKind.RECOVERY and detail is not None and detail.point is not None:
            point = self._points.get(plan.name, detail.point)
            seal = self._origins.seal(plan.name, point.id)
            known = seal.to_json() if seal is not None else None
        elif kind is not RunKind.PLAYBOOK:
            return self._of.begin(plan, kind, detail=detail, **more)

        def note(run: Run) -> None:
            releases.callback(self._notes.carriers.take(plan.name, run.id))
            self._notes.begin(run, point, known)

        with ExitStack() as releases:
            lease = self._of.begin(plan, kind, detail=detail, before=note, **more)
            return _releasing(lease, releases.pop_all())

    def get(self, prefix: str) -> Run:
        run = self._of.get(prefix)
        held = self._notes.held(run.id)
        return run if held is None else held.require_run(run)

    def reopen(self, run: Run, at: datetime, *, succeeded: bool = False) -> Run:
        """Reopen the row first, and the record last. After a kill in between, the record says that
        the run has ended, and only a person who names the run resumes it.
        """
        with self._notes.lock:
            if self._of.get(run.id).state.final:  # else somebody has reopened it already
                self._of.reopen(run, at, succeeded=succeeded)
            if (ledger := self._notes.ledger(run.id)) is not None:
                ledger.reopen()
            return self.get(run.id)

    def finish(
        self,
        owned: RunLease,
        state: RunState,
        *,
        at: datetime,
        error: str | None = None,
        detail: RunDetail | None = None,
    ) -> None:
        """Write the record first, and the row afterwards. After a kill in between, the record says
        that the run has ended. If the record already has an end, the row gets that end.
        """
        with self._notes.lock:
            noted = self._notes.end(owned.run.id, End.of(state, at, error, detail))
            if noted is not None:
                state, at = RunState(noted.state), noted.when
                error, detail = noted.error, run_details.read(owned.run.kind, noted.detail)
            self._of.finish(owned, state, at=at, error=error, detail=detail)

    # Locks, and rows that are listed: a run that is resumed is read by `get` or `row_trust`.

    def abandoned(self, plan: str | None = None) -> list[Run]:
        if not (runs := self._of.abandoned(plan)):
            return []
        carried = self._notes.carriers.runs()
        return [run for run in runs if run.id not in carried]

    def process_of(self, run: Run) -> int | None:
        if (carrier := self._notes.carriers.runs().get(run.id)) is not None:
            return carrier.pid
        return self._of.process_of(run)

    def adopt(self, run: Run, at: datetime) -> RunLease | None:
        """Take over the run. Raises AlreadyRunning while another process of root carries out a
        recovery of the plan, even if the rows do not show it.
        """
        if not run.kind.is_peoples:
            return self._of.adopt(run, at)
        with ExitStack() as releases:
            releases.callback(self._notes.carriers.take(run.plan, run.id))
            lease = self._of.adopt(run, at)
            return _releasing(lease, releases.pop_all()) if lease is not None else None

    def leave(self, run: Run, at: datetime) -> bool:
        return run.id not in self._notes.carriers.runs() and self._of.leave(run, at)

    def mark(self, run: str) -> Mark:
        return self._of.mark(run)

    def end_left(self, run: Run) -> None:
        self._of.end_left(run)

    def set_state(self, owned: RunLease, state: RunState) -> None:
        self._of.set_state(owned, state)

    def newest(
        self, plan: str | None = None, *, limit: int = 50, kind: RunKind | None = None
    ) -> list[Run]:
        return self._of.newest(plan, limit=limit, kind=kind)

    def control_reference(self, plan: str, control: str) -> str:
        return self._of.control_reference(plan, control)

    def backup_durations(self, plan: str, *, limit: int = 50) -> list[float]:
        return self._of.backup_durations(plan, limit=limit)


def _releasing(lease: RunLease, more: ExitStack) -> RunLease:
    """Return the lease, whose release also does `more`."""

    def release() -> None:
        with more:
            lease.release()

    return replace(lease, release=release)


class NotedSteps:
    """Implements the port `StepStore` by another one."""

    def __init__(self, of: StepStore, notes: Notes) -> None:
        self._of = of
        self._notes = notes

    def of_run(self, run: str) -> list[StepRecord]:
        with self._notes.lock:
            records = self._of.of_run(run)
            if (held := self._notes.held(run)) is not None:
                held.require_steps({r.name: r for r in records if r.name != SET_ASIDE})
            return records

    def runs_with(self, key: str, kind: RunKind) -> list[str]:
        return self._of.runs_with(key, kind)

    def begin(
        self, owned: RunLease, name: str, kind: str, at: datetime, *, subject: str = ""
    ) -> StepRecord:
        run = owned.run.id
        with self._notes.lock:
            held = self._notes.held(run)
            if held is None or name == SET_ASIDE:
                return self._of.begin(owned, name, kind, at, subject=subject)
            known = self._record(run, name)
            if known is not None and known.state is StepState.SUCCEEDED:
                return known
            to = StepRecord(run, name, kind, StepState.RUNNING, 1, at, subject=subject)
            if known is not None:
                again = known.attempt + 1
                to = replace(to, kind=known.kind, subject=known.subject, attempt=again)
            with held.changing(name, row_of(to)):
                record = self._of.begin(owned, name, kind, at, subject=subject)
                held.require_step(record)
            return record

    def finish(
        self,
        owned: RunLease,
        name: str,
        state: StepState,
        *,
        at: datetime,
        result: StepResult | None = None,
        error: str | None = None,
        remedy: str = "",
    ) -> None:
        values = {
            "state": state,
            "finished_at": at,
            "result": result if result is not None else StepResult(),
            "error": error,
            "remedy": remedy,
        }
        with self._changing(owned, name, values):
            self._of.finish(owned, name, state, at=at, result=result, error=error, remedy=remedy)

    def wait(self, owned: RunLease, name: str, waiting_for: str, result: StepResult) -> None:
        with self._changing(owned, name, {"state": StepState.WAITING, "result": result}):
            self._of.wait(owned, name, waiting_for, result)

    def note(self, run: str, name: str, kind: str, *, at: datetime, result: StepResult) -> None:
        self._of.note(run, name, kind, at=at, result=result)

    @contextmanager
    def _changing(self, owned: RunLease, name: str, values: Mapping[str, Any]) -> Iterator[None]:
        with self._notes.lock:
            held = self._notes.held(owned.run.id)
            known = self._record(owned.run.id, name) if held is not None else None
            if held is None or known is None or name == SET_ASIDE:
                yield
                return
            with held.changing(name, row_of(replace(known, **values))):
                yield

    def _record(self, run: str, name: str) -> StepRecord | None:
        return next((r for r in self.of_run(run) if r.name == name), None)


class NotedDecisions:
    """Implements the port `DecisionStore` by another one."""

    def __init__(self, of: DecisionStore, notes: Notes) -> None:
        self._of = of
        self._notes = notes

    def add(self, run: str, decision: Decision, *, plan: str = "") -> None:
        with self._notes.lock:
            held = self._notes.ledger(run) if decision.action in _WHOLE_RUN else None
            if held is not None and not decision.step:
                held.said.append(decision.action)
                held.save()
            self._of.add(run, decision, plan=plan)

    def of_run(self, run: str) -> list[Decision]:
        """Return the decisions on a run, including two that the rows may lack: root's last one, if
        its row was removed or a kill came first; and root's undo, if somebody else has recorded a
        redo since.
        """
        decisions = self._of.of_run(run)
        if (known := self._notes.ledger(run)) is None:
            return decisions
        rows = about_all(decisions)
        there = Counter(rows)
        lost = [a for a in known.said if known.said.count(a) > there[a]][-1:]
        if not lost and taken_back(known.said) == "undone" != taken_back(rows):
            lost = ["undo"]
        at = decisions[-1].at if decisions else datetime.now(UTC)
        gone = (Decision("", cast("Any", action), "root", "", 0, at) for action in lost)
        return [*decisions, *gone]


class NotedPoints:
    """Implements the port `PointStore` by another one."""

    def __init__(self, of: PointStore, notes: Notes) -> None:
        self._of = of
        self._notes = notes
        self._seen: dict[str, RestorePoint] = {}

    def get(self, plan: str, prefix: str) -> RestorePoint:
        """Read the point. Raises NotAsNoted if it differs from the first read."""
        point = self._of.get(plan, prefix)
        with self._notes.lock:
            for held in self._notes.of_point(point):
                held.require_point(point)
            self._seen.setdefault(point.id, point)
            if point_of(point) != point_of(self._seen[point.id]):
                raise NotAsNoted(
                    f"drd does not continue: since this command began, somebody has changed "
                    f"restore point {point.id} of {plan} in the catalogue without drd",
                    hint="find out who can write the catalogue. To restore meanwhile, choose "
                    f"another restore point: drd points {plan}",
                )
        return point

    # Writes, and rows that are listed: what is restored is read by `get`.

    def record(
        self,
        point: RestorePoint,
        *,
        owned: RunLease | None = None,
        ids: RepositoryIds = NO_IDS,
        at: datetime | None = None,
    ) -> None:
        self._of.record(point, owned=owned, ids=ids, at=at)

    def of_plan(
        self,
        plan: str,
        *,
        kept_only: bool = True,
        fingerprints: bool = False,
        elsewhere: bool = False,
    ) -> list[RestorePoint]:
        return self._of.of_plan(
            plan, kept_only=kept_only, fingerprints=fingerprints, elsewhere=elsewhere
        )

    def forget(self, ids: Sequence[str], at: datetime) -> None:
        self._of.forget(ids, at)

    def forgotten(self, plan: str, ids: Iterable[str]) -> frozenset[str]:
        return self._of.forgotten(plan, ids)

    def copy_name(self, point: str) -> str:
        return self._of.copy_name(point)

    def newest_facts(self, plan: str, component: str, kind: str) -> Mapping[str, Any]:
        return self._of.newest_facts(plan, component, kind)

    def component_sizes(self, plan: str, component: str, *, limit: int = 10) -> list[int]:
        return self._of.component_sizes(plan, component, limit=limit)
