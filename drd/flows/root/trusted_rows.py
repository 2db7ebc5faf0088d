"""Which rows of the catalogue a process trusts for a recovery that it resumes.

The owner of the state trusts them: nobody else can write them. Root, on another user's state,
trusts them as far as they agree with its own record (`drd.flows.root.ledger`)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from drd.errors import NotAsNoted, SandboxUnavailable
from drd.flows.root import ledger
from drd.flows.root.ledger import End, Ledger, Warn, point_of, row_of
from drd.model.plan import Plan
from drd.model.run import (
    SET_ASIDE,
    Decision,
    Run,
    RunKind,
    RunState,
    StepRecord,
    StepState,
    about_all,
    taken_back,
)
from drd.model.seals import seal_from_json, seal_of
from drd.model.snapshot import Manifest, RestorePoint
from drd.model.units import to_rfc3339
from drd.ports import Catalogue, RunLease
from drd.process import rights
from drd.process.rights import Owner

_WHOLE_RUN = ("undo", "redo", "rollback")
"""Decisions about a whole run that determine whether it may go on."""


class Witness:
    """The witness of a process that owns the state: it trusts all rows."""

    def believed(self, run: Run, _verb: str) -> Run:
        """Return the run as this process may resume it, by `drd VERB`. Raises NotAsNoted."""
        return run

    def known(self, run: Run) -> Run:
        """Return the run, for code that only searches for things with its mark: from root's record
        if there is one.
        """
        return run

    def has_record(self, _run: Run) -> bool:
        """Whether something else than a row that others can write describes the run."""
        return True

    def require_record(self, run: Run) -> None:
        """Require a record before going to a place that only the run's request names. Raises
        NotAsNoted.
        """

    def sees(self, _run: Run, point: RestorePoint) -> RestorePoint | None:
        """Return the run's point, if more than rows that others can write describes it."""
        return point

    def doubts(self, _run: Run) -> str | None:
        """Say why this process does not resume the run unless a person names it; None if it may."""
        return None

    def broken_by(self, _manifest: Manifest) -> str | None:
        """Say why the manifest is not the one that the recovery began with; None if it is."""
        return None

    def pin(self, _manifest: Manifest) -> None:
        """Record that the recovery uses this manifest from now on."""

    def taken_over(self, _run: Run) -> None:
        """Record that another process has taken over a run of this process."""

    def over(self, _run: Run) -> None:
        """Record that nobody resumes the run."""


class RootsWitness(Witness):
    """The witness of root, on the state of `owner`. Use its `catalogue` instead of the
    given one.
    """

    def __init__(self, catalogue: Catalogue, work_dir: Path, owner: Owner, warn: Warn) -> None:
        self._owner = owner
        self._noted = NotedCatalogue(catalogue, work_dir, warn)

    @property
    def catalogue(self) -> Catalogue:
        return cast("Catalogue", self._noted)

    def believed(self, run: Run, verb: str) -> Run:
        if (ledger := self._noted.hold(run.id)) is None:
            # Its words are not shown as a command: they are the row's.
            raise self._no_record(
                run,
                f"continue as that user: {self._owner.become} drd {verb} {run.id}; or start "
                f"again: drd recover {run.plan} … (--dry-run shows what that would do).",
            )
        try:
            believed = ledger.require_run(run)
            self._noted.steps(run.id)
        except NotAsNoted as error:
            if verb == "rollback":
                error.hint += (
                    "; and roll back by hand what this run did: the plan has the commands."
                )
            raise
        return believed

    def _no_record(self, run: Run, hint: str) -> NotAsNoted:
        return NotAsNoted(
            f"root has no record of run {run.id} of {run.plan}. Possible reasons: another user "
            "or an older drd started the run, the record could not be written, or somebody used "
            f"drd done. {self._owner.name} can change the catalogue's data of this run",
            hint=hint,
        )

    def known(self, run: Run) -> Run:
        self._noted.let_go(run.id)
        ledger = self._noted.ledger(run.id)
        return run if ledger is None else ledger.believed(run)

    def has_record(self, run: Run) -> bool:
        return self._noted.ledger(run.id) is not None

    def require_record(self, run: Run) -> None:
        if not self.has_record(run):
            raise self._no_record(
                run,
                f"give the command as that user: {self._owner.become} drd undo {run.id}, or drd "
                f"done {run.id}; or by hand: its kept copies have the mark drd_{run.id}.",
            )

    def sees(self, run: Run, point: RestorePoint) -> RestorePoint | None:
        ledger = self._noted.ledger(run.id)
        return point if ledger is not None and ledger.point == point_of(point) else None

    def doubts(self, run: Run) -> str | None:
        try:
            believed = self.believed(run, "resume")
        except NotAsNoted as error:
            self._noted.let_go(run.id)
            return error.message
        if not believed.state.final:
            return None
        self._noted.let_go(run.id)
        at = f", {to_rfc3339(believed.finished_at)}" if believed.finished_at else ""
        why = f"root's own record says that the run has ended ({believed.state}{at})"
        over = believed.state is RunState.SUCCEEDED
        return why if over else f"{why}; to resume it: drd resume {run.id}"

    def broken_by(self, manifest: Manifest) -> str | None:
        return self._noted.broken_by(manifest)

    def pin(self, manifest: Manifest) -> None:
        self._noted.pin(manifest)

    def taken_over(self, run: Run) -> None:
        end = End.of(RunState.INTERRUPTED, datetime.now(UTC), "another process took it over")
        with suppress(SandboxUnavailable):  # that it was taken over is what is told
            self._noted.end(run.id, end)

    def over(self, run: Run) -> None:
        if (ledger := self._noted.ledger(run.id)) is not None:
            ledger.remove()
        self._noted.let_go(run.id)


def witnessed(catalogue: Catalogue, work_dir: Path, warn: Warn) -> tuple[Catalogue, Witness]:
    """Return the catalogue for this process to use, and the witness for its rows."""
    owner = rights.acts_for()
    if owner is None:
        return catalogue, Witness()
    roots = RootsWitness(catalogue, work_dir, owner, warn)
    return roots.catalogue, roots


def is_noted(work_dir: Path, run: Run) -> bool:
    """Whether root has a record of the run, and the row equals the record."""
    ledger_read = ledger.load(work_dir, run.id)
    if ledger_read is not None:
        with suppress(NotAsNoted):
            ledger_read.require_run(run)
            return True
    return False


class NotedCatalogue:
    """The catalogue with a ledger beside it, for the recoveries that this process starts or
    resumes: writes are recorded first, and rows that are read must equal the record.
    """

    def __init__(self, of: Catalogue, work_dir: Path, warn: Warn) -> None:
        self._of = of
        self._work_dir = work_dir
        self._warn = warn
        self._held: dict[str, Ledger] = {}
        self._seen: dict[str, RestorePoint] = {}
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def ledger(self, run: str) -> Ledger | None:
        with self._lock:
            return self._held.get(run) or ledger.load(self._work_dir, run, self._warn)

    def hold(self, run: str) -> Ledger | None:
        """Require from now on that rows of this run equal the record."""
        with self._lock:
            if (ledger := self.ledger(run)) is not None:
                self._held[run] = ledger
            return ledger

    def let_go(self, run: str) -> None:
        with self._lock:
            self._held.pop(run, None)

    # runs

    def begin(
        self, plan: Plan, kind: RunKind, *, detail: Mapping[str, Any], **more: Any
    ) -> RunLease:
        if kind is not RunKind.RECOVERY or "point" not in detail:
            return self._of.begin(plan, kind, detail=detail, **more)
        point = self.point(plan.name, str(detail["point"]))
        seal = self._of.origins.seal(plan.name, point.id)

        def note(run: Run) -> None:
            known = seal.to_json() if seal is not None else None
            with self._lock:
                self._held[run.id] = ledger.begin(self._work_dir, run, point, known, self._warn)

        return self._of.begin(plan, kind, detail=detail, before=note, **more)

    def run(self, prefix: str) -> Run:
        run = self._of.run(prefix)
        with self._lock:
            held = self._held.get(run.id)
        return run if held is None else held.require_run(run)

    def reopen(self, run: Run, at: datetime, *, succeeded: bool = False) -> Run:
        """Reopen the row first, and the record last. After a kill in between, the record says that
        the run has ended, and only a person who names the run resumes it.
        """
        with self._lock:
            if self._of.run(run.id).state.final:  # else somebody has reopened it already
                self._of.reopen(run, at, succeeded=succeeded)
            if (ledger := self.ledger(run.id)) is not None:
                ledger.reopen()
            return self.run(run.id)

    def finish(
        self,
        owned: RunLease,
        state: RunState,
        *,
        at: datetime,
        error: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the record first, and the row afterwards. After a kill in between, the record says
        that the run has ended. If the record had an end before, the row gets that one.
        """
        with self._lock:
            noted = self.end(owned.run.id, End.of(state, at, error, detail))
            if noted is not None:
                state, at = RunState(noted.state), noted.when
                error, detail = noted.error, noted.detail
            self._of.finish(owned, state, at=at, error=error, detail=detail)

    def end(self, run: str, end: End) -> End | None:
        """Record the end of the run for root; return the recorded end, None without a record."""
        with self._lock:
            held = self._held.get(run)
            ledger_read = ledger.load(self._work_dir, run, self._warn) or held
            if ledger_read is None:
                return None
            noted = ledger_read.finish(end)
            if held is not None:
                held.end, held.kept = noted, ledger_read.kept
            return noted

    # steps

    def steps(self, run: str) -> list[StepRecord]:
        with self._lock:
            records = self._of.steps(run)
            if (held := self._held.get(run)) is not None:
                held.require_steps({r.name: r for r in records if r.name != SET_ASIDE})
            return records

    def begin_step(self, owned: RunLease, name: str, kind: str, at: datetime) -> StepRecord:
        run = owned.run.id
        with self._lock:
            held = self._held.get(run)
            if held is None or name == SET_ASIDE:
                return self._of.begin_step(owned, name, kind, at)
            known = self._record(run, name)
            if known is not None and known.state is StepState.SUCCEEDED:
                return known
            kind_then, tries = (known.kind, known.attempt) if known is not None else (kind, 0)
            to = StepRecord(run, name, kind_then, StepState.RUNNING, tries + 1, at)
            with held.changing(name, row_of(to)):
                record = self._of.begin_step(owned, name, kind, at)
                held.require_step(record)
            return record

    def finish_step(
        self,
        owned: RunLease,
        name: str,
        state: StepState,
        *,
        at: datetime,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        values = {"state": state, "finished_at": at, "result": result or {}, "error": error}
        with self._changing(owned, name, values):
            self._of.finish_step(owned, name, state, at=at, result=result, error=error)

    def await_step(
        self, owned: RunLease, name: str, waiting_for: str, result: Mapping[str, Any]
    ) -> None:
        with self._changing(owned, name, {"state": StepState.WAITING, "result": result}):
            self._of.await_step(owned, name, waiting_for, result)

    @contextmanager
    def _changing(self, owned: RunLease, name: str, values: Mapping[str, Any]) -> Iterator[None]:
        with self._lock:
            held = self._held.get(owned.run.id)
            known = self._record(owned.run.id, name) if held is not None else None
            if held is None or known is None or name == SET_ASIDE:
                yield
                return
            with held.changing(name, row_of(replace(known, **values))):
                yield

    def _record(self, run: str, name: str) -> StepRecord | None:
        return next((r for r in self.steps(run) if r.name == name), None)

    # the whole of the run

    def decide(self, run: str, decision: Decision) -> None:
        with self._lock:
            held = self.ledger(run) if decision.action in _WHOLE_RUN else None
            if held is not None and not decision.step:
                held.said.append(decision.action)
                held.save()
            self._of.decide(run, decision)

    def decisions(self, run: str) -> list[Decision]:
        """Return the decisions on a run, including two that the rows may lack: root's last one, if
        its row was removed or a kill came first; and root's undo, if somebody else has recorded a
        redo since.
        """
        decisions = self._of.decisions(run)
        if (known := self.ledger(run)) is None:
            return decisions
        rows = about_all(decisions)
        there = Counter(rows)
        lost = [a for a in known.said if known.said.count(a) > there[a]][-1:]
        if not lost and taken_back(known.said) == "undone" != taken_back(rows):
            lost = ["undo"]
        at = decisions[-1].at if decisions else datetime.now(UTC)
        gone = (Decision("", cast("Any", action), "root", "", 0, at) for action in lost)
        return [*decisions, *gone]

    # the restore point

    def point(self, plan: str, prefix: str) -> RestorePoint:
        """Read the point. Raises NotAsNoted if it differs from the first read."""
        point = self._of.point(plan, prefix)
        with self._lock:
            for held in self._of_point(point):
                held.require_point(point)
            self._seen.setdefault(point.id, point)
            if point_of(point) != point_of(self._seen[point.id]):
                raise NotAsNoted(
                    f"restore point {point.id} of {plan} was just changed in the catalogue",
                    hint="somebody is changing the catalogue: find out who.",
                )
        return point

    def broken_by(self, manifest: Manifest) -> str | None:
        with self._lock:
            seals = [h.seal for h in self._of_point(manifest.point) if h.seal is not None]
        broken = (seal_from_json(seal, "the seal").broken_by(manifest) for seal in seals)
        return next(filter(None, broken), None)

    def pin(self, manifest: Manifest) -> None:
        with self._lock:
            for held in self._of_point(manifest.point):
                if held.seal is None or not held.seal["digest"]:
                    held.seal = seal_of(manifest.point, manifest.digest).to_json()
                    held.save()

    def _of_point(self, point: RestorePoint) -> list[Ledger]:
        held = self._held.values()
        return [h for h in held if (h.head["plan"], h.point["id"]) == (point.plan, point.id)]
