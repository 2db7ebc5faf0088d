"""The places from which data is read."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from drd.errors import DrdError, SourceError
from drd.model.finding import Finding
from drd.model.limits import UNLIMITED, Limits
from drd.model.snapshot import ComponentSnapshot, Fingerprint, StoredSnapshot
from drd.model.units import format_size
from drd.process import Command, Fence, Fences


@dataclass(frozen=True, slots=True)
class Workplace:
    """What an adapter may use while it works for one run.

    `directory` belongs to this run alone, below `work_dir` (mode 0700, exists); it is swept when
    the run is over or its process is dead. `run` marks everything that the adapter leaves anywhere
    else: a working database or directory is called `drd_<run>`. `run_as` is the user for servers
    when drd is root, else None. `jobs` limits parallel work within one component. `shelf` is a
    directory that outlives the run, if there is one, for what takes time to make and is the same
    each time. `keep` is a private directory that outlives runs and restarts of the host, for kept
    copies of places that cannot hold them; it need not exist yet. `sandbox` has the fences of a
    drill, or of a server that a recovery starts; in a workplace without it, no code of the data
    runs. `servers` is the place of this run for a server, where its user cannot reach `directory`.
    `deadline`, on the monotonic clock, is when a backup has to be over: a program that copies data
    before restic stores it has to end by then. `limits` are those of the component of a backup.
    """

    directory: Path
    run: str
    run_as: str | None = None
    jobs: int = 2
    shelf: Path | None = None
    keep: Path | None = None
    sandbox: Fences | None = None
    servers: Path | None = None
    deadline: float | None = None
    limits: Limits = UNLIMITED

    @property
    def left_s(self) -> float | None:
        """The seconds until the deadline, at least one."""
        return None if self.deadline is None else max(1.0, self.deadline - time.monotonic())

    @property
    def for_server(self) -> Workplace:
        """This workplace, at a place that `run_as` can reach."""
        return replace(self, directory=self.servers) if self.servers is not None else self

    def fence(self, by: str, writes: Iterable[Path], *, reads: Iterable[Path] = ()) -> Fence | None:
        """Return the fence for a command that works on restored data in a drill: the command can
        use the directories that are given here, and nothing else of the host. None when nothing is
        fenced.
        """
        return self.sandbox.fence(by, writes, reads=reads) if self.sandbox is not None else None

    @property
    def mark(self) -> str:
        return mark_of(self.run)


def mark_of(run: str) -> str:
    """The prefix of the name of everything that a run leaves outside of its workplace."""
    return f"drd_{run}"


@dataclass(frozen=True, slots=True)
class Stream:
    """The output of `command`, to be stored as one file called `filename`. The stream is complete
    if and only if the command exits with 0. `expected_bytes` is an estimate for the progress
    display."""

    command: Command
    filename: str
    expected_bytes: int | None = None


class TakenOver(NamedTuple):
    """So many `files` of a tree are stored as they are in an earlier `snapshot`, without being
    read: those that have the path, the size and the time of last change of a file there. They need
    no data here."""

    snapshot: str
    files: int


@dataclass(frozen=True, slots=True)
class Tree:
    """Files and directories, to be stored under their absolute paths; with `below`, the paths are
    relative to that directory, and are stored as if it were the root.

    `exclude` are literal absolute paths: the source has already resolved its patterns, so that the
    fingerprint and the repository agree. `earlier` says which files are not read.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    expected_bytes: int | None = None
    below: str = ""
    earlier: TakenOver | None = None


Payload = Stream | Tree


class Entry(NamedTuple):
    """An entry of a snapshot: its absolute path there, its bytes, when it was last changed (in
    nanoseconds since 1970), and its permissions."""

    path: str
    form: Literal["file", "dir", "symlink", "other"]
    size: int
    changed_ns: int
    mode: int


class Earlier(Protocol):
    """The last copy of a component in the repository, on which its next backup may build. All calls
    raise RepositoryError's children."""

    @property
    def point(self) -> str:
        """The restore point that it belongs to."""

    @property
    def repository(self) -> str:
        """The name of the repository."""

    @property
    def snapshot(self) -> ComponentSnapshot: ...

    @property
    def unrestorable(self) -> Collection[str]:
        """The restore points of the plan that a drill could not restore."""

    def entries(self, directory: str, take: Callable[[Entry], None]) -> None:
        """Call `take` for each entry below a directory of the copy, directories before what is in
        them. Nothing is checked: names can be hostile."""

    def save_file(self, path: str, into: Path, *, most: int) -> None:
        """Write a file of the copy into a new file, if it has at most `most` bytes."""


class NoEarlier(NamedTuple):
    """Why a backup cannot build on an earlier copy, as a clause after `because`."""

    why: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known about the source before anything is captured. `facts` may be printed. People
    are warned of `notes` and `findings`.
    """

    size_bytes: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def warnings(self) -> Iterator[str]:
        """Return the sentences of which people are warned."""
        yield from self.notes
        yield from (f"{f.text} (HINT: {f.remedy})" for f in self.findings)


class DatabaseQuery(str):
    """A query to another database of a component that has several (`Ability.DATABASES`)."""

    database = ""

    @classmethod
    def to(cls, database: str, query: str) -> DatabaseQuery:
        made = cls(query)
        made.database = database
        return made


class Capture(Protocol):
    """One consistent state of a component, open for reading."""

    @property
    def data_time(self) -> datetime:
        """The instant at which this state was consistent."""

    @property
    def payload(self) -> Payload: ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return the facts for `ComponentSnapshot.facts`: what a restore needs to know and may be
        printed."""

    @property
    def private(self) -> Mapping[str, Any]:
        """JSON for the manifest only (roles with verifiers)."""

    def fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint of this state, read from the source and never from the copy.

        May be called in another thread while the payload is being stored. It stays within its time
        budget, and names what it did not reach. None when the plan has switched it off.
        """

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        """Answers to scalar queries, by name, from this same state. A query that fails is left out.
        A query that names its database is a `DatabaseQuery`."""

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        """Called after storing: return the fingerprint with everything marked volatile that has
        changed meanwhile. Raises SourceError when the stored data cannot be right (empty, files
        lost).
        """


@dataclass
class PlainCapture:
    """A capture without a fingerprint and without answers to queries. Kinds can derive theirs from
    it."""

    data_time: datetime
    payload: Payload
    facts: Mapping[str, Any] = field(default_factory=dict)
    private: Mapping[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> Fingerprint | None:
        return None

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        return {}

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        if not stored.bytes:
            raise SourceError(
                "nothing was stored", hint="to see the messages of restic: drd run show RUN"
            )
        return fingerprint


class Source(Protocol):
    """A place from which a component's data is read."""

    def probe(self) -> Probe:
        """Check within a few seconds that the source is reachable, the tool present and new enough,
        and the rights sufficient.

        Raises SourceError or ToolError, which name the remedy; nothing has been stored then.
        """
        ...

    def doctor(self) -> list[Finding]:
        """Try everything that a backup needs, and report each. Never raises for a finding."""
        try:
            size = self.probe().size_bytes
        except DrdError as error:
            return [Finding("source", "error", "", error.message, error.hint)]
        said = "can be read" if size is None else f"can be read, {format_size(size)}"
        return [Finding("source", "ok", "", said)]

    def open(self) -> AbstractContextManager[Capture]:
        """Open one consistent state. It is released, and temporary copies are removed, on exit."""
        ...


@runtime_checkable
class ReadsNow(Protocol):
    """A source that can describe the present state without what `open` first does for a backup."""

    def now(self) -> tuple[datetime, Fingerprint | None]:
        """Return the time, and the fingerprint; None if the settings want none."""


@runtime_checkable
class BuildsOnEarlier(Protocol):
    """A source whose backups can store only what has changed since the last one."""

    def build_on(self, earlier: Earlier | NoEarlier) -> None:
        """Called before `open`."""
