"""Everything that drd raises on purpose, as one tree.

DrdError                         1   a run failed
├── UsageError                   2   the command line is wrong
│   ├── ConfigError              2   a plan or drd.yaml is wrong; carries every problem found
│   ├── NotSupported             2   the design has it, this version does not
│   ├── NotInPoint               2   a table or file that the restore point does not hold
│   ├── UnknownPlan              2
│   └── SecretUnavailable        2   a secret reference leads nowhere
│       └── RepositorySecretUnavailable 2   one that a repository needs
├── ToolError                    1   a program that drd needs is missing, too old or hangs
│   ├── ToolMissing              1
│   ├── ToolTooOld               1
│   └── DeadlineExceeded         1   a child did not finish in its time
├── SourceError                  1   what is to be backed up cannot be read as promised
│   ├── SourceUnreachable        1   (a retry can help)
│   ├── SourceMissing            1   a path, database or file is not there
│   ├── DumpFailed               1   (a retry can help)
│   └── ImplausibleDump          1   empty, or far from the component's history
├── RepositoryError              1
│   ├── RepositoryUnreachable    1   (a retry can help)
│   ├── RepositoryRefused        1   its server does not accept drd's login
│   ├── RepositoryDamaged        1   restic could not read what it had stored
│   │   ├── SnapshotsUnreadable  1   snapshots cannot be read, all data can
│   │   └── ManifestRefused      1   a manifest says what drd does not write
│   │       └── ManifestTooNew   1   a newer drd made it
│   ├── ForeignObjects           1   objects that restic did not write keep it from working
│   ├── PointGone               13   a snapshot of a restore point is not there any more
│   ├── RepositoryReadOnly       1   it may only be read: no backup, no retention
│   ├── SnapshotIncomplete       1   restic's 3: some of the source could not be read
│   ├── RepositoryMissing       10
│   ├── RepositoryLocked        11   (a retry can help)
│   └── WrongKey                12
├── TargetError                  1   the place to restore to does not fit
│   ├── TargetNotEmpty           1
│   ├── TargetIsProduction       1   a named target is where a component is backed up from
│   └── TargetUnwritable         1   no room, or no right to write, where data was to land
├── SandboxUnavailable           5   a drill cannot be carried out here: inconclusive
├── ExtensionFailed              1   code of an extension raised what it must not raise
├── StepFailed                   1   a step of a runbook did not do what it should
├── NoRestorePoint              13
├── AlreadyRunning              11   another drd process owns a run of this plan
├── CatalogueError               1   the catalogue cannot be read or written
│   ├── NotAsNoted               2   root has noted something else of this recovery
│   └── NoCatalogue              1   there is none yet: no plan was ever loaded
├── ApiUnserved                  1   the daemon's socket cannot be listened on
├── NotOwner                     1   the state is another user's, and nobody does it instead
├── Refused                      1   whoever asks the daemon has no right to that
├── MetricsError                 1   figures for monitoring do not get out: no address to listen on
│   └── MetricsUnwritable        1   the file cannot be written
├── KitDamaged                   1   a recovery kit is not what it was
├── KitUnavailable               5   the copy that is to be tried is not there, or cannot be opened
├── NotifyError                  1   a channel took no message; says itself whether a retry can help
└── Fenced                       1   the run was taken over; what we did is not ours to record

Cancelled                      130   no DrdError: what handles errors must not take it for one
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drd.masking import masked
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias


class _Code:
    def __get__(self, _error: object, of: type[DrdError]) -> str:
        """Return the code of an error: that of `RepositoryDamaged` is `repository-damaged`."""
        name = of.__name__.removeprefix("Drd")
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


class DrdError(Exception):
    """A fact in lower case, with a remedy.
    `permanent` says that a retry cannot help; an instance may override its class. `line` has the
    message in one line. `untouched`: nothing was changed before. Known secrets are masked here."""

    exit_code = 1
    permanent = True
    hint: str = ""
    untouched = False
    code = _Code()

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        permanent: bool | None = None,
        line: str = "",
    ) -> None:
        message = masked(message)
        super().__init__(message)
        self.message = message
        self._line = masked(line)
        if hint is not None:
            self.hint = masked(hint)
        if permanent is not None:
            self.permanent = permanent

    @property
    def line(self) -> str:
        """The message in one line."""
        return self._line or self.message

    def __str__(self) -> str:
        return self.message


class UsageError(DrdError):
    exit_code = 2


class Problem(NamedTuple):
    """One problem in a file, with the remedy; `code` if it is also a finding. A named tuple:
    `status` imports this module, and has no time for `dataclasses`."""

    file: str
    line: int
    path: str
    message: str
    hint: str = ""
    severity: str = "error"  # error | warning
    code: str = ""

    def __str__(self) -> str:
        mark = "warning: " if self.severity == "warning" else ""
        return f"{self.file}:{self.line}: {mark}{self.path and f'{self.path}: '}{self.message}"


class ConfigError(UsageError):
    """Problems in a plan or in drd.yaml: `problems` has all problems, `line` the first one and
    their number. `needs_restart`: the file is right, but takes effect only at a restart."""

    def __init__(self, problems: Sequence[Problem], *, needs_restart: bool = False) -> None:
        self.problems, self.needs_restart = tuple(problems), needs_restart
        first, *others = self.problems
        more = f" (and {len(others)} more)" if others else ""
        super().__init__(
            "\n".join(str(p) for p in self.problems), hint=first.hint, line=f"{first}{more}"
        )


class NotSupported(UsageError):
    pass


class NotInPoint(UsageError):
    pass


class UnknownPlan(UsageError):
    pass


class SecretUnavailable(UsageError):
    pass


class RepositorySecretUnavailable(SecretUnavailable):
    pass


class ToolError(DrdError):
    pass


class ToolMissing(ToolError):
    pass


class ToolTooOld(ToolError):
    pass


class DeadlineExceeded(ToolError):
    permanent = False


class SourceError(DrdError):
    pass


class SourceUnreachable(SourceError):
    permanent = False


class SourceMissing(SourceError):
    pass


class DumpFailed(SourceError):
    """`output` is what the program printed that should have delivered the data."""

    permanent = False

    def __init__(self, message: str, *, hint: str | None = None, output: str = "") -> None:
        super().__init__(message, hint=hint)
        self.output = output


class ImplausibleDump(SourceError):
    pass


class RepositoryError(DrdError):
    pass


class RepositoryUnreachable(RepositoryError):
    permanent = False


class RepositoryRefused(RepositoryError):
    pass


Repair: TypeAlias = 'Literal["index", "packs", "none"]'
"""The parts of a damaged repository that restic can repair: its index, if files are gone; its
packs; or nothing, if the index does not list the lost files any more."""


class RepositoryDamaged(RepositoryError):
    """`parts` are the damaged files of the repository, `trees` the directories in it that lack
    data: either everything that is damaged, or empty when drd does not know it. `damage` says what
    is damaged, without the repository's name; `repair` is what restic can repair."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        parts: Sequence[str] = (),
        trees: Sequence[str] = (),
        damage: str = "",
        repair: Repair = "packs",
    ) -> None:
        super().__init__(message, hint=hint)
        self.damage = masked(damage) or self.message
        self.repair: Repair = repair
        self.parts, self.trees = tuple(parts), tuple(trees)


class SnapshotsUnreadable(RepositoryDamaged):
    """Objects below `snapshots/` cannot be read; data and indexes are sound."""


class ManifestRefused(RepositoryDamaged):
    """A manifest contains something that drd does not write."""


class ManifestTooNew(ManifestRefused):
    """A newer drd wrote the manifest."""


class ForeignObjects(RepositoryError):
    """Objects in the directory of the repository that do not belong to it, so that restic cannot
    work: they are in its subdirectory `below`. The hint has the commands that remove them."""

    def __init__(self, message: str, *, hint: str, below: str) -> None:
        super().__init__(message, hint=hint)
        self.below = below


class PointGone(RepositoryError):
    """The repository is sound, but a snapshot of the restore point is missing."""

    exit_code = 13


class RepositoryReadOnly(RepositoryError):
    pass


class SnapshotIncomplete(RepositoryError):
    """restic made a snapshot but could not read all of the source (its exit code 3).
    `snapshot` is the id of the stored part, `unread` names the files that were not read."""

    def __init__(
        self, message: str, *, snapshot: str = "", unread: Sequence[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.snapshot, self.unread = snapshot, tuple(unread)


class RepositoryMissing(RepositoryError):
    """`state` is `gone` (no such bucket or directory), `emptied` (a place without a repository) or
    `replaced` (another repository)."""

    exit_code = 10

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        state: Literal["gone", "emptied", "replaced"] = "emptied",
    ) -> None:
        super().__init__(message, hint=hint)
        self.state = state


class RepositoryLocked(RepositoryError):
    exit_code = 11
    permanent = False


class WrongKey(RepositoryError):
    exit_code = 12
    changed: tuple[str, float] | None = None  # the password's file, and when it last changed


class TargetError(DrdError):
    units: tuple[str, ...] = ()  # of systemd: they are in the way, and must be stopped first


class TargetNotEmpty(TargetError):
    pass


class TargetIsProduction(TargetError):
    pass


class TargetUnwritable(TargetError):
    pass


class SandboxUnavailable(DrdError):
    """This host lacks something that a drill needs: the drill is inconclusive, not failed."""

    exit_code = 5


class ExtensionFailed(DrdError):
    """The message names the package, the class of the exception and its text."""


class StepFailed(DrdError):
    """`result` is what the step reported before it failed, as JSON."""

    def __init__(
        self, message: str, *, hint: str = "", result: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.result = dict(result or {})


class ApiUnserved(DrdError):
    """The daemon's socket cannot listen; nothing else is affected."""


class DamagedSummary(Exception):
    """The status summary is not what this version of drd writes; `args` say why."""


class NotOwner(DrdError):
    """This user may not do this, and no daemon runs that could do it."""


class Refused(DrdError):
    """The client of the daemon has no right to do this."""


class NoRestorePoint(DrdError):
    exit_code = 13


class AlreadyRunning(DrdError):
    exit_code = 11
    permanent = False

    def __init__(self, message: str, *, run: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run = run


class CatalogueError(DrdError):
    """`trouble` distinguishes errors of the database and its file, so that each is logged once."""

    def __init__(self, message: str, *, hint: str | None = None, trouble: str = "") -> None:
        super().__init__(message, hint=hint)
        self.trouble = trouble or f"{self.code}: {self.message}"


class NoCatalogue(CatalogueError):
    pass


class NotAsNoted(CatalogueError):
    """A row differs from what root, who does not own the state, has written there."""

    exit_code = 2


class MetricsError(DrdError):
    permanent = False


class MetricsUnwritable(MetricsError):
    """`number` is the error number of the operating system."""

    number: int | None = None


class KitDamaged(DrdError):
    pass


class KitUnavailable(DrdError):
    exit_code = 5


class NotifyError(DrdError):
    """A message was not delivered. `permanent`: every retry will fail until a person acts.
    `retry_after_s`: the other side asks for no retry before that."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        permanent: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class Fenced(DrdError):
    pass


class Cancelled(BaseException):
    """A person asked to end the run. Like KeyboardInterrupt, `except Exception` does not catch it.
    `program` is the program that was ended; empty if the message names it."""

    exit_code = 130
    hint = ""

    def __init__(self, message: str, *, program: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.program = program
