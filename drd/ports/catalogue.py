"""What drd remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from drd.model.figures import CatalogueFigures
from drd.model.kit_findings import KitRecord
from drd.model.plan import Plan
from drd.model.read_progress import Reading
from drd.model.run import Decision, Evidence, Run, RunKind, RunState, StepRecord, StepState
from drd.model.snapshot import RestorePoint
from drd.ports.alerts import AlertBook
from drd.ports.custody import Custodian
from drd.ports.health import Health
from drd.ports.keeping import Keeping
from drd.ports.notify import Outbox
from drd.ports.origins import Origins
from drd.ports.queue import Queue
from drd.process import Mark


@dataclass(frozen=True, slots=True)
class RunLease:
    """Proof that this process owns a run: every write of a result names the run and the token.

    `release` lets go of the lock file (also done by the kernel when the process dies). What works
    for the run carries its `mark`.
    """

    run: Run
    token: int
    release: Callable[[], None]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Records:
    """What is known of a plan: its file as it was loaded, and how many points (forgotten ones
    included), runs and pieces of evidence."""

    file: str
    points: int
    runs: int
    evidence: int


class Catalogue(Protocol):
    """What drd remembers. Thread-safe; every method is one transaction; times are aware UTC.

    Raises CatalogueError (locked, full, damaged) with a remedy, and Fenced from every method that
    takes an `RunLease` whose run was taken over.
    """

    @property
    def queue(self) -> Queue:
        """Pending runs and histories."""

    @property
    def outbox(self) -> Outbox:
        """Messages that are on their way, and how the channels fare."""

    @property
    def alerts(self) -> AlertBook:
        """Lasting bad conditions, and who takes care of them."""

    @property
    def origins(self) -> Origins:
        """How manifests were when they were stored, and the kit that this host was made from."""

    @property
    def health(self) -> Health:
        """What is wrong with repositories, and which points that costs."""

    @property
    def keeping(self) -> Keeping:
        """Holds, points that were given up, how each plan's retention went."""

    @property
    def custody(self) -> Custodian:
        """Whose state this is."""

    def together(self) -> AbstractContextManager[None]:
        """What this thread writes in the body is one transaction: all of it, or nothing when the
        body raises. Reads in the body see the state before. Nobody else writes meanwhile: keep it
        short, and never within another one."""

    # plans
    def load_plan(self, plan: Plan, *, file_digest: str, at: datetime) -> None:
        """Remember the compiled plan (objectives, schedule, hash) for `status`; recomputes the
        summary when objectives changed. The first load fixes where the window may begin."""

    def mark_plan_broken(self, name: str, error: str, at: datetime) -> None:
        """The plan's file changed or broke and could not be loaded: old figures stay."""

    def plan_names(self) -> list[str]:
        """Every plan that was ever loaded."""

    def records(self, plan: str) -> Records:
        """How much is known of a plan. Raises UnknownPlan."""

    def forget_plan(self, plan: str) -> Records:
        """Let go of all that is known of a plan, but for its open alerts. Repositories are not
        touched. Raises UnknownPlan, and AlreadyRunning while one of its runs is not over."""

    def figures(self) -> CatalogueFigures:
        """What monitoring is told about runs, copies, verifications and alerts, in one state; a
        few rows for each plan."""

    # runs and ownership
    def begin(
        self,
        plan: Plan,
        kind: RunKind,
        *,
        trigger: str,
        detail: Mapping[str, Any],
        at: datetime,
        subject: str = "",
        claim: str = "",
        before: Callable[[Run], None] | None = None,
    ) -> RunLease:
        """Record a new running run and own it. Raises AlreadyRunning, naming the live run, when a
        process owns a run of the same plan, kind and subject; retention and prune exclude each
        other too, whatever their subject, other kinds do not. A dead one's run does not: it stays
        for whoever asks `abandoned`.

        `claim` is the id of a pending run of this plan, kind and subject, which becomes the one
        that is owned; Fenced when it is not pending any more. `before` is called with the run
        before anybody else can see its row; what it raises leaves none."""

    def abandoned(self, plan: str | None = None) -> list[Run]:
        """Runs that are not final and whose owner is proven dead: nobody holds the lock file."""

    def process_of(self, run: Run) -> int | None:
        """The process that carries the run out, when it is proven to: on this host, with the run's
        lock open. The pid in the row alone could be anybody's."""

    def adopt(self, run: Run, at: datetime) -> RunLease | None:
        """Take over an abandoned run with a new token; None when somebody else was faster.

        On return what worked for it is ended, as by `end_left`."""

    def mark(self, run: str) -> Mark:
        """The mark in the environment of each process that works for a run of this state."""

    def end_left(self, run: Run) -> None:
        """End every process except this one that carries the run's mark. When root acts for the
        state's owner, it ends a process of root's only if root has a record of the run."""

    def finish(
        self,
        owned: RunLease,
        state: RunState,
        *,
        at: datetime,
        error: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the final state (detail is merged), update summaries, release the lock. A run that
        is already final stays as it is."""

    def run(self, prefix: str) -> Run:
        """The run whose id starts so. Raises UsageError when none or several do."""

    def runs(
        self, plan: str | None = None, *, limit: int = 50, kind: RunKind | None = None
    ) -> list[Run]:
        """Newest first."""

    # steps
    def begin_step(self, owned: RunLease, name: str, kind: str, at: datetime) -> StepRecord:
        """The intent. When the step has succeeded before, that record is returned unchanged;
        else its attempt is counted up and it is `running`."""

    def finish_step(
        self,
        owned: RunLease,
        name: str,
        state: StepState,
        *,
        at: datetime,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None: ...

    def steps(self, run: str) -> list[StepRecord]:
        """In the order in which they first began."""

    def note_step(
        self, run: str, name: str, kind: str, *, at: datetime, result: Mapping[str, Any]
    ) -> None:
        """A step of a run that is over, which somebody has done by hand: made, or its result
        replaced."""

    # what people decide
    def decide(self, run: str, decision: Decision) -> None:
        """Record it; whoever carries the run out looks at it, now or when it goes on."""

    def decisions(self, run: str) -> list[Decision]:
        """In their order."""

    def await_step(
        self, owned: RunLease, name: str, waiting_for: str, result: Mapping[str, Any]
    ) -> None:
        """The step that has begun waits for somebody."""

    def mark_run(self, owned: RunLease, state: RunState) -> None:
        """Running or waiting; no effect on a run that is over."""

    def reopen(self, run: Run, at: datetime, *, succeeded: bool = False) -> Run:
        """A run that failed, was cancelled or interrupted is not over any more, and waits for a
        process that adopts it; one that succeeded only with `succeeded`. Raises UsageError for
        any other."""

    # restore points
    def record_point(
        self,
        point: RestorePoint,
        *,
        owned: RunLease | None = None,
        ids: Mapping[str, str | None] = ...,
    ) -> None:
        """Insert or replace a point with its component snapshots and fingerprints (also for
        incomplete ones), and update the summary. Without `owned` when rebuilding. `ids` are those
        of its repositories, by name: else what the names mean in the plan as it was loaded last,
        which may be others than those of a run that began before."""

    def points(
        self,
        plan: str,
        *,
        kept_only: bool = True,
        fingerprints: bool = False,
        elsewhere: bool = False,
    ) -> list[RestorePoint]:
        """Newest data time first. Those that are kept in a repository which the plan has now; with
        `elsewhere` also those that are only where it kept them before."""

    def point(self, plan: str, prefix: str) -> RestorePoint:
        """With fingerprints. Raises NoRestorePoint (none) or UsageError (ambiguous)."""

    def forget_points(self, ids: Sequence[str], at: datetime) -> None:
        """Mark as forgotten; rows stay for the history of attainment, fingerprints go."""

    def component_sizes(self, plan: str, component: str, *, limit: int = 10) -> list[int]:
        """Bytes of the newest captured snapshots, newest first."""

    def backup_durations(self, plan: str, *, limit: int = 50) -> list[float]:
        """Seconds of the newest successful backup runs, newest first; without those that were
        taken over, whose end says when that was noticed."""

    # copies and readings of repositories
    def record_copies(
        self, owned: RunLease, repository: str, manifests: Mapping[str, str], at: datetime
    ) -> None:
        """`repository` holds copies of these points: by their id, the manifest's snapshot there.
        `at` is since when, for those that were not known to be there."""

    def remove_from(self, plan: str, repository: str, ids: Sequence[str]) -> None:
        """`repository` does not hold these points any more; they are forgotten by `forget_points`
        alone."""

    def forgotten_points(self, plan: str, ids: Iterable[str]) -> frozenset[str]:
        """Those of the points that were forgotten."""

    def reading(self, plan: str, repository: str) -> Reading | None:
        """How far the reading of a repository has come; None before the first."""

    def record_reading(self, owned: RunLease, repository: str, reading: Reading) -> None: ...

    # evidence
    def record_evidence(self, owned: RunLease, evidence: Evidence) -> None:
        """With its checks; a passed drill marks its point as proven."""

    def evidence(self, plan: str, *, limit: int = 20) -> list[Evidence]:
        """Newest first, drills and recoveries."""

    # recovery kits
    def kit_record(self, plan: str) -> KitRecord | None:
        """The last kit that was made of the plan, and how the last look with it ended; None when
        none ever was."""

    # repositories
    def repository_id(self, url: str) -> str | None:
        """The id that was recorded for this URL, ever."""

    def record_repository(self, url: str, repository_id: str, at: datetime) -> None: ...

    def known_repositories(self) -> int:
        """How many have ever been used."""

    # the built-in component
    def last_self_backup(self, url: str) -> datetime | None: ...

    def record_self_backup(self, url: str, at: datetime) -> None: ...

    def export_to(self, path: Path) -> None:
        """A consistent copy of the whole catalogue as one file of mode 0600."""

    def lock(self, name: str, *, wait_s: float) -> AbstractContextManager[None]:
        """A lock between all drd processes of this state (initialising a repository).

        Raises AlreadyRunning after `wait_s`."""

    def close(self) -> None: ...
