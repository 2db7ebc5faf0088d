"""Decide which rows of the catalogue a process trusts for a recovery that it resumes.

The owner of the state trusts the rows, because nobody else can write them. Root, working on another
user's state, trusts the rows only if they agree with root's own record (`drd.flows.root.ledger`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from drd.errors import NotAsNoted, SandboxUnavailable
from drd.flows.root import ledger
from drd.flows.root.carriers import carried
from drd.flows.root.ledger import End, Warn
from drd.flows.root.noted import noted
from drd.flows.root.noted_rows import point_of
from drd.flows.root.notes import Notes
from drd.model.run import (
    Run,
    RunState,
)
from drd.model.run_details import RecoveryDetail, RunDetail
from drd.model.snapshot import Manifest, RestorePoint
from drd.model.units import format_time
from drd.ports import Catalogue
from drd.process import rights
from drd.process.rights import Owner


class RowTrust:
    """The witness of a process that owns the state: it trusts all rows."""

    def believed(self, run: Run, _verb: str) -> Run:
        """Return the run as this process may resume it, by `drd VERB`. Raises NotAsNoted."""
        return run

    def known(self, run: Run) -> Run:
        """Return the run, for code that only searches for things with its mark: from root's record
        if there is one.
        """
        return run

    def plan_of(self, run: Run) -> str:
        """Return the plan or playbook of the run: from root's record if there is one."""
        return run.plan

    def ended(self, run: Run) -> tuple[RecoveryDetail, str | None]:
        """Return the request and the result of a recovery. If only rows that others can write
        describe the places and tasks, these are left out, and the second value says why.
        """
        return _recovery(run.detail), None

    def has_record(self, _run: Run) -> bool:
        """Return whether the run is also described by something that others cannot write."""
        return True

    def require_record(self, run: Run) -> None:
        """Require a record before going to a place that only the run's request names. Raises
        NotAsNoted.
        """

    def sees(self, _run: Run, point: RestorePoint) -> RestorePoint | None:
        """Return the run's point, if it is also described by something that others cannot write."""
        return point

    def doubts(self, _run: Run) -> str | None:
        """Say why this process does not resume the run unless a person names it; None if it may."""
        return None

    def broken_by(self, _manifest: Manifest) -> str | None:
        """Return why the manifest is not the manifest with which the recovery began; None if it is
        the same."""
        return None

    def pin(self, _manifest: Manifest) -> None:
        """Record that the recovery uses this manifest from now on."""

    def taken_over(self, _run: Run) -> None:
        """Record that another process has taken over a run of this process."""

    def over(self, _run: Run) -> None:
        """Record that nobody resumes the run."""

    def require_idle(self, _plan: str) -> None:
        """Raise AlreadyRunning if another process of root works on the plan's targets, even if the
        rows do not show it.
        """

    def working(self, _plan: str) -> AbstractContextManager[None]:
        """Work on the plan's targets in the body: root's other processes see it. Raises
        AlreadyRunning.
        """
        return nullcontext()

    def is_carried(self, _run: str) -> bool:
        """Return whether a living process of root carries out the run, even if its row does not
        show it."""
        return False


class RootsRowTrust(RowTrust):
    """The witness of root, on the state of `owner`. Use its `catalogue` instead of the
    given one.
    """

    def __init__(self, catalogue: Catalogue, work_dir: Path, owner: Owner, warn: Warn) -> None:
        self._owner = owner
        self._notes = Notes(work_dir, warn)
        self.catalogue = noted(catalogue, self._notes)

    def believed(self, run: Run, verb: str) -> Run:
        if (ledger := self._notes.hold(run.id)) is None:
            self._require_not_done(run)
            # Its words are not shown as a command: they are the row's.
            raise self._no_record(
                run,
                f"continue as user {self._owner.name}: `{self._owner.become} drd {verb} {run.id}`; "
                f"or start a new recovery: `drd recover {run.plan} …` (with --dry-run it only "
                "shows what it would do).",
            )
        try:
            believed = ledger.require_run(run)
            self.catalogue.steps.of_run(run.id)
        except NotAsNoted as error:
            if verb == "rollback":
                error.hint += (
                    "\nBefore a new recovery, roll back by hand, the last step first: the "
                    "`rollback` commands of the steps are in the plan."
                )
            raise
        return believed

    def _require_not_done(self, run: Run) -> None:
        """Say that a person gave the recovery up, if the catalogue says so: root has then removed
        its record. Raises NotAsNoted."""
        said = self.catalogue.decisions.of_run(run.id)
        done = next((d for d in reversed(said) if d.action == "done" and not d.step), None)
        if done is not None:
            at = format_time(done.at, seconds=True)
            raise NotAsNoted(
                f"`drd done` ended run {run.id} of {run.plan} at {at}, so nobody can continue it",
                hint=f"start a new recovery: `drd recover {run.plan} …` (with --dry-run it only "
                "shows what it would do).",
            )

    def _no_record(self, run: Run, hint: str) -> NotAsNoted:
        return NotAsNoted(
            f"root has no record of run {run.id} of {run.plan}. Possible reasons: another user or "
            "an older drd started the run; root could not write the record; or somebody has run "
            f"drd done. User {self._owner.name} can change the data of this run in the catalogue, "
            "so root does not trust it",
            hint=hint,
        )

    def known(self, run: Run) -> Run:
        self._notes.release(run.id)
        ledger = self._notes.ledger(run.id)
        return run if ledger is None else ledger.believed(run)

    def plan_of(self, run: Run) -> str:
        ledger = self._notes.ledger(run.id)  # a record that is held stays held
        return run.plan if ledger is None else str(ledger.head["plan"])

    def ended(self, run: Run) -> tuple[RecoveryDetail, str | None]:
        detail = _recovery(run.detail)
        ledger = self._notes.ledger(run.id)
        if ledger is not None and ledger.end is not None:
            noted = RecoveryDetail.from_json(ledger.end.detail)
            return _recovery(ledger.request).merged(noted.outcome()), None
        name, become = self._owner.name, self._owner.become
        why = (
            f"root has no record of how this run ended, and user {name} could have changed the "
            f"catalogue; to see what it says: {become} drd run show {run.id}"
        )
        return replace(detail, places=(), usage=(), tasks=()), why

    def has_record(self, run: Run) -> bool:
        return self._notes.ledger(run.id) is not None

    def require_record(self, run: Run) -> None:
        if not self.has_record(run):
            raise self._no_record(
                run,
                f"run the command as user {self._owner.name}, `{self._owner.become} drd undo "
                f"{run.id}` or `{self._owner.become} drd done {run.id}`; or rename or remove the "
                f"kept copies of the run by hand: their names contain drd_{run.id}.",
            )

    def sees(self, run: Run, point: RestorePoint) -> RestorePoint | None:
        ledger = self._notes.ledger(run.id)
        return point if ledger is not None and ledger.point == point_of(point) else None

    def doubts(self, run: Run) -> str | None:
        try:
            believed = self.believed(run, "resume")
        except NotAsNoted as error:
            self._notes.release(run.id)
            return error.message
        if not believed.state.final:
            return None
        self._notes.release(run.id)
        at = (
            f" at {format_time(believed.finished_at, seconds=True)}" if believed.finished_at else ""
        )
        why = f"root's own record says that this run has ended ({believed.state}{at})"
        over = believed.state is RunState.SUCCEEDED
        return why if over else f"{why}. To continue that run instead: drd resume {run.id}"

    def broken_by(self, manifest: Manifest) -> str | None:
        return self._notes.broken_by(manifest)

    def pin(self, manifest: Manifest) -> None:
        self._notes.pin(manifest)

    def taken_over(self, run: Run) -> None:
        end = End.of(RunState.INTERRUPTED, datetime.now(UTC), "another process took it over")
        with suppress(SandboxUnavailable):  # that it was taken over is what is told
            self._notes.end(run.id, end)

    def over(self, run: Run) -> None:
        if (ledger := self._notes.ledger(run.id)) is not None:
            ledger.remove()
        self._notes.release(run.id)

    def require_idle(self, plan: str) -> None:
        if (other := self._notes.carriers.of_plan(plan)) is not None:
            other.refuse()

    def working(self, plan: str) -> AbstractContextManager[None]:
        return carried(self._notes.carriers, plan)

    def is_carried(self, run: str) -> bool:
        return run in self._notes.carriers.runs()


def _recovery(detail: RunDetail) -> RecoveryDetail:
    return detail if isinstance(detail, RecoveryDetail) else RecoveryDetail()


def trust_for(catalogue: Catalogue, work_dir: Path, warn: Warn) -> tuple[Catalogue, RowTrust]:
    """Return the catalogue for this process to use, and the witness for its rows."""
    owner = rights.acts_for()
    if owner is None:
        return catalogue, RowTrust()
    roots = RootsRowTrust(catalogue, work_dir, owner, warn)
    return roots.catalogue, roots


def is_noted(work_dir: Path, run: Run) -> bool:
    """Return whether root has a record of the run, and the row equals the record."""
    ledger_read = ledger.load(work_dir, run.id)
    if ledger_read is not None:
        with suppress(NotAsNoted):
            ledger_read.require_run(run)
            return True
    return False
