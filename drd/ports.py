"""The contracts between the flows and everything outside.

A flow knows these and the model, never an adapter. Each port has one contract suite in
tests/contracts that the fake and every real adapter pass.

How a component goes out and comes back:

    source = kind.source(component, place)           destination = kind.sandbox(…) or kind.target(…)
    source.probe()                                   destination.preflight(snapshot)
    with source.open(queries) as capture:            destination.prepare()
        repository.store(capture.payload, tags)      repository.restore(snapshot, destination.landing())
        capture.fingerprint()                        destination.restore(snapshot, private)
        capture.verify(stored)                       destination.inspector() → checks
                                                     destination.close()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from drd.model.plan import CheckSpec, Component, Plan
from drd.model.run import CheckResult, Evidence, Run, RunKind, RunState, StepRecord, StepState
from drd.model.snapshot import ComponentSnapshot, Fingerprint, RestorePoint, Stored
from drd.process import Command


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC, for records."""

    def monotonic(self) -> float:
        """Seconds, for durations."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long work is. Unknown totals are None; sizes in bytes."""

    subject: str
    phase: str
    done_bytes: int = 0
    total_bytes: int | None = None


OnProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """For callers that do not watch."""


# --- findings -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried (`doctor`, preflight) and how it went.

    `ok` False is an error; `warning` marks what works but deserves a look. `hint` is the remedy,
    exact enough to paste.
    """

    name: str
    ok: bool
    detail: str
    hint: str = ""
    warning: bool = False


# --- kinds: sources -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workplace:
    """What an adapter may use while it works for one run.

    `directory` is this run's own below `work_dir` (mode 0700, exists), swept when the run is over
    or its process dead. `run` marks everything that the adapter leaves anywhere else: a working
    database or directory is called `drd_<run>`. `run_as` is the user for servers when drd is
    root, else None. `jobs` bounds parallel work within one component.
    """

    directory: Path
    run: str
    run_as: str | None = None
    jobs: int = 2

    @property
    def mark(self) -> str:
        return f"drd_{self.run}"


@dataclass(frozen=True, slots=True)
class Stream:
    """What `command` prints, to be stored as one file called `filename`. It succeeded if and only
    if the command exits with 0. `expected_bytes` is a guess for the progress display."""

    command: Command
    filename: str
    expected_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """Files and directories, to be stored under their absolute paths.

    `exclude` are absolute paths, literally: the source has already decided what its patterns
    mean, so that the fingerprint and the repository agree.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    expected_bytes: int | None = None


Payload = Stream | Tree


@dataclass(frozen=True, slots=True)
class Probe:
    """What a look at the source told before anything was captured. `facts` may be printed."""

    size_bytes: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Capture(Protocol):
    """One consistent state of a component, open for reading."""

    @property
    def data_time(self) -> datetime:
        """The instant at which this state was consistent."""

    @property
    def payload(self) -> Payload: ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """For `ComponentSnapshot.facts`: what a restore needs to know and may be printed."""

    @property
    def private(self) -> Mapping[str, Any]:
        """For the manifest only (roles with verifiers); JSON."""

    def fingerprint(self) -> Fingerprint | None:
        """What the source looks like in this state, read from the source and never from the copy.

        May be called in another thread while the payload is being stored. Stays within its
        budget; what it did not reach is named. None where the plan switched it off.
        """

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        """Answers to scalar queries, by name, from this same state; one that fails is left out."""

    def verify(self, stored: Stored, fingerprint: Fingerprint | None) -> Fingerprint | None:
        """Called after storing: the fingerprint with what changed meanwhile marked volatile.

        Raises SourceError where what was stored cannot be what was promised (empty, files lost).
        """


class Source(Protocol):
    """Where a component's data is read from."""

    def probe(self) -> Probe:
        """Reachable, tool present and new enough, rights sufficient; a few seconds.

        Raises SourceError or ToolError naming the remedy; nothing has been stored then.
        """

    def doctor(self) -> list[Finding]:
        """Everything that a backup will need, tried and named; never raises for a finding."""

    def open(self) -> AbstractContextManager[Capture]:
        """Take hold of one consistent state; released (and temporary copies removed) on exit."""


# --- kinds: destinations --------------------------------------------------------------------


class Inspector(Protocol):
    """Questions to a component that came back."""

    @property
    def location(self) -> str:
        """Where it is: a path, or a connection string without a password."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What a command needs to look at it (PGHOST, PGDATABASE, …, or DRD_PATH)."""

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        """The single value of a query (int, float, Decimal, str, datetime, None).

        Raises NotSupported for kinds without queries, SourceUnreachable when the component cannot
        be asked, DeadlineExceeded after `timeout_s`, and a plain SourceError with the database's
        own words when the query fails or gives more than one value.
        """

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        """The same kind of fingerprint as `like`, of what is there now, for comparison.

        Tables or files that `like` does not name are included as well.
        """


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did beyond the plain data: `notes` are sentences for the operator (roles that
    existed and differ, owners that could not be set), `differences` compare properties of the
    database with those saved (empty: the same), `not_restored` names what could not be."""

    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    not_restored: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Destination(Protocol):
    """Where one component comes back. The restore code does not know whether it is a sandbox.

    Every method can be called again after a crash: work that carries our mark is dropped or
    continued, nothing else is touched.
    """

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        """Whether it fits: reachable, versions, space, empty or `overwrite`. Errors are findings
        with ok=False; `TargetNotEmpty` is raised for a target that holds something.

        A place that this very run has published before is no conflict.
        """

    def prepare(self) -> None:
        """Make the place ready (a sandbox: initdb, start). May run while data is being fetched.

        Raises SandboxUnavailable when this host lacks what a sandbox needs.
        """

    def landing(self) -> Path:
        """The directory (made, empty, ours) that the repository restores the snapshot into."""

    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        """Fill a working place marked by the run from `landing()`, then give it its final name as
        the last act, and remove the landing. Idempotent: if the final place carries this run's
        mark, it is done already."""

    def inspector(self) -> Inspector: ...

    def close(self) -> None:
        """A sandbox: end servers, remove files; a target: remove a working place of this run that
        did not get its final name, let go of connections. Idempotent."""


class Kind(Protocol):
    """One kind of component: `postgres`, `sqlite`, `files`."""

    name: str

    def source(self, component: Component, place: Workplace) -> Source: ...

    def sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> Destination:
        """A throw-away place; needs none of the source's secrets."""

    def target(
        self, component: Component, settings: object, place: Workplace, *, no_owner: bool
    ) -> Destination:
        """The named place of a recovery; `settings` are the target's for this component."""

    def sweep(self, directory: Path) -> list[str]:
        """End and remove what a killed run left in its workplace directory (servers by their
        pidfile); sentences about what was found. The caller removes the directory afterwards."""

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        """For `doctor`: whether a sandbox for this component could be made here."""


# --- repositories ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One snapshot as the repository lists it. `original` is the id that it was copied from."""

    id: str
    time: datetime
    host: str
    tags: tuple[str, ...]
    paths: tuple[str, ...] = ()
    original: str | None = None


class Repository(Protocol):
    """Where copies are kept. All calls have deadlines and raise RepositoryError's children."""

    url: str
    name: str

    def preflight(self) -> None:
        """A few seconds: the endpoint answers, the bucket or directory exists, the key is accepted.

        A missing prefix or an empty directory is fine here (`identity` tells). Raises
        RepositoryUnreachable, RepositoryMissing (bucket) or RepositoryError with the remedy.
        """

    def identity(self) -> str | None:
        """The repository's id, or None when there is no repository at the URL yet.

        Raises WrongKey when the password does not open it.
        """

    def initialise(self, *, chunker_from: Repository | None = None) -> str:
        """Make a new repository, return its id. The caller holds the lock and knows that none was
        ever recorded for this URL."""

    def store(
        self,
        payload: Payload,
        *,
        host: str,
        tags: Sequence[str],
        time: datetime | None = None,
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> Stored:
        """Store as one snapshot. For a Stream through the gate: no snapshot of a failed producer.

        Raises DumpFailed with the producer's last words; SnapshotIncomplete when files could not
        be read (the snapshot exists); ImplausibleDump when a stream was empty.
        """

    def store_bytes(
        self,
        data: bytes,
        filename: str,
        *,
        host: str,
        tags: Sequence[str],
        time: datetime | None = None,
    ) -> Stored:
        """Store a small text as one snapshot, never as plaintext on a disk."""

    def snapshots(
        self, *, host: str | None = None, tags: Sequence[str] = (), fresh: bool = False
    ) -> list[SnapshotInfo]:
        """Oldest first; snapshots that carry all `tags`. `fresh` bypasses the local cache."""

    def restore(
        self,
        snapshot: str,
        into: Path,
        *,
        include: Sequence[str] = (),
        deadline_s: float | None = None,
        on_progress: OnProgress = no_progress,
    ) -> int:
        """Write a snapshot below `into`; returns bytes. On any error nothing may be taken as
        restored, and RepositoryDamaged says what could not be read."""

    def read_file(self, snapshot: str, filename: str) -> bytes:
        """One small file of a snapshot, whole, or RepositoryDamaged."""

    def forget(self, snapshots: Sequence[str]) -> None:
        """Forget by id; the caller re-lists afterwards (an append-only server refuses silently)."""

    def prune(self, *, max_repack_bytes: int | None = None, deadline_s: float | None = None) -> str:
        """Remove unreferenced data; returns restic's summary in one sentence."""

    def check(self, *, read_subset: str | None = None, deadline_s: float | None = None) -> None:
        """Verify; `read_subset` as restic's --read-data-subset. Raises RepositoryDamaged."""

    def remove_stale_locks(self) -> int:
        """Remove locks whose owner is provably dead; returns how many went. Live ones stay."""

    def size_bytes(self) -> int:
        """What the repository takes, as stored (raw data)."""

    def doctor(self) -> list[Finding]:
        """restic, endpoint, bucket, key, locks and claimed protection, tried and named."""


# --- checks ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What checks may know: the plan, the point that came back, and how to ask its components.

    `inspectors` has the restored components by name. `last_observed` are numbers that the newest
    passed drill saw, by check name. `directory` is a scratch place.
    """

    plan: Plan
    point: RestorePoint
    inspectors: Mapping[str, Inspector]
    now: datetime
    is_root: bool
    last_observed: Mapping[str, Any]
    directory: Path
    run_as: str | None = None


class Check(Protocol):
    """One kind of check."""

    kind: str

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        """The check's own row first, then rows for parts that could not be compared.

        Never raises for what it was asked to find out: a check that could not look is `not_run`.
        """


# --- catalogue ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owned:
    """Proof that this process owns a run: every write of a result names the run and the token.

    `release` lets go of the lock file (also done by the kernel when the process dies).
    """

    run: Run
    token: int
    release: Callable[[], None]


class Catalogue(Protocol):
    """What drd remembers. Thread-safe; every method is one transaction; times are aware UTC.

    Raises CatalogueError (locked, full, damaged) with a remedy, and Fenced from every method that
    takes an `Owned` whose run was taken over.
    """

    # plans
    def load_plan(self, plan: Plan, *, file_digest: str, at: datetime) -> None:
        """Remember the compiled plan (objectives, schedule, hash) for `status`; recomputes the
        summary when objectives changed. The first load fixes where the window may begin."""

    def mark_plan_broken(self, name: str, error: str, at: datetime) -> None:
        """The plan's file changed or broke and could not be loaded: old figures stay."""

    def plan_names(self) -> list[str]:
        """Every plan that was ever loaded."""

    # runs and ownership
    def begin(
        self, plan: Plan, kind: RunKind, *, trigger: str, detail: Mapping[str, Any], at: datetime
    ) -> Owned:
        """Record a new running run and own it. Raises AlreadyRunning, naming the live run, when a
        process owns a run of the same plan and kind (recovery and drill do not exclude a backup);
        a dead one's run must have been adopted or interrupted before (`abandoned`)."""

    def abandoned(self, plan: str | None = None) -> list[Run]:
        """Runs that are not final and whose owner is proven dead: nobody holds the lock file."""

    def adopt(self, run: Run, at: datetime) -> Owned | None:
        """Take over an abandoned run with a new token; None when somebody else was faster."""

    def finish(
        self,
        owned: Owned,
        state: RunState,
        *,
        at: datetime,
        error: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the final state (detail is merged), update summaries, release the lock."""

    def run(self, prefix: str) -> Run:
        """The run whose id starts so. Raises UsageError when none or several do."""

    def runs(self, plan: str | None = None, *, limit: int = 50) -> list[Run]:
        """Newest first."""

    # steps
    def begin_step(self, owned: Owned, name: str, kind: str, at: datetime) -> StepRecord:
        """The intent. When the step has succeeded before, that record is returned unchanged;
        else its attempt is counted up and it is `running`."""

    def finish_step(
        self,
        owned: Owned,
        name: str,
        state: StepState,
        *,
        at: datetime,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None: ...

    def steps(self, run: str) -> list[StepRecord]:
        """In the order in which they first began."""

    # restore points
    def record_point(self, point: RestorePoint, *, owned: Owned | None = None) -> None:
        """Insert or replace a point with its component snapshots and fingerprints (also for
        incomplete ones), and update the summary. Without `owned` when rebuilding."""

    def points(
        self, plan: str, *, kept_only: bool = True, fingerprints: bool = False
    ) -> list[RestorePoint]:
        """Newest data time first."""

    def point(self, plan: str, prefix: str) -> RestorePoint:
        """With fingerprints. Raises NoRestorePoint (none) or UsageError (ambiguous)."""

    def forget_points(self, ids: Sequence[str], at: datetime) -> None:
        """Mark as forgotten; rows stay for the history of attainment, fingerprints go."""

    def component_sizes(self, plan: str, component: str, *, limit: int = 10) -> list[int]:
        """Bytes of the newest captured snapshots, newest first."""

    def backup_durations(self, plan: str, *, limit: int = 50) -> list[float]:
        """Seconds of the newest successful backup runs."""

    # evidence
    def record_evidence(self, owned: Owned, evidence: Evidence) -> None:
        """With its checks; a passed drill marks its point as proven."""

    def evidence(self, plan: str, *, limit: int = 20) -> list[Evidence]:
        """Newest first, drills and recoveries."""

    # repositories
    def repository_id(self, url: str) -> str | None:
        """The id that was recorded for this URL, ever."""

    def record_repository(self, url: str, repository_id: str, at: datetime) -> None: ...

    # the built-in component
    def last_self_backup(self, url: str) -> datetime | None: ...

    def record_self_backup(self, url: str, at: datetime) -> None: ...

    def export_to(self, path: Path) -> None:
        """A consistent copy of the whole catalogue as one file of mode 0600."""

    def lock(self, name: str, *, wait_s: float) -> AbstractContextManager[None]:
        """A lock between all drd processes of this state (initialising a repository).

        Raises AlreadyRunning after `wait_s`."""

    def close(self) -> None: ...


RepositoryFactory = Callable[[str], Repository]
KindFactory = Callable[[str], Kind]
CheckFactory = Callable[[str], Check]
