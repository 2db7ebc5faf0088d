"""Where data is restored to, and the kinds that have both ends.

The classes of a kind inherit from these ports, which contain what most kinds do in the same way.
`KindSpec.can` says what a kind can do beyond the minimum; for other abilities, drd raises an error
that names the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from drd.errors import RepositoryDamaged, TargetError
from drd.model import strict
from drd.model.contents import Contents
from drd.model.finding import Finding
from drd.model.instant import Reading
from drd.model.log import LogTarget
from drd.model.plan import Component
from drd.model.restored import RestoredPlace, Task, Usage
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Fingerprint
from drd.ports.aside import KeptCopies
from drd.ports.common import OnProgress
from drd.ports.inspector import Inspector
from drd.ports.kinds import Ability, KindSpec
from drd.ports.logs import LogSource, LogStart
from drd.ports.sources import Source, Workplace


class DumpUnusable(TargetError):
    """The stored data itself is at fault, so no target can receive it. Any other `TargetError` says
    in a recovery nothing about the data. In a drill, it does: drd has made the target itself."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did beyond the plain data: `notes` are sentences for the operator (roles that
    existed and differ, owners that could not be set), `differences` are properties of the database
    that differ from the saved ones (empty: none), `not_restored` names what could not be restored.
    `reached` says up to where a log was replayed, empty if there is no log. `data_time` is the time
    of its last transaction, if the log ended before the time at which the replay should stop.
    `overtaken`: a log was replayed beyond the backup, so the data is not that of its fingerprint.
    """

    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    not_restored: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    reached: str = ""
    data_time: datetime | None = None
    overtaken: bool = False


class Destination(Protocol):
    """Where one component is restored to. The restore code does not know whether this is a sandbox.

    Every method can be called again after a crash: it drops or completes work that has the mark of
    the run, and changes nothing else.
    """

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        """Check whether the component fits: server reachable, versions, space, place empty or
        `overwrite`. Errors are findings of severity `error`. Raises TargetNotEmpty for a target
        that contains something.

        A place that this same run has published before is no conflict.
        """

    def prepare(self) -> None:
        """Make the place ready (a sandbox: initdb, start). May run while data is being fetched.

        Raises SandboxUnavailable when this host lacks what a sandbox needs.
        """
        return

    def landing(self) -> Path:
        """Return the directory (made, empty, with the mark of the run) into which the repository
        restores the snapshot."""

    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        """Fill a working place, which has the mark of the run, from `landing()`, then give it its
        final name as the last act, and remove the landing. Idempotent: when the final place has the
        mark of this run, the component is restored already."""

    def inspector(self) -> Inspector: ...

    def close(self) -> None:
        """Sandbox: end the servers, remove the files. Target: close connections, and remove a
        working place of this run that did not get its final name. Idempotent."""
        return


class ReadsInPlace(Destination, Protocol):
    """A sandbox whose server reads the files of a mounted restore point, so that nothing is fetched
    that nobody asks for. Its `landing` stays empty: the mount is shown there."""

    def user(self) -> tuple[int, int]:
        """Return the user and the group to whom the shown files belong: those of its server."""

    def room(self) -> Path:
        """Return the directory for the mounts, which does not exist yet."""

    def own(self, place: Path) -> None:
        """Give a directory for the mounts to the server's user."""

    def below(self, snapshot: ComponentSnapshot) -> str:
        """Return the path of the files to show, in the snapshot: without a slash at its
        beginning."""

    def read(self) -> Reading:
        """Return how much of the files was read, after the checks."""

    def unreadable(self) -> RepositoryDamaged | None:
        """Return an error for a file that the server asked for and that nobody can read from the
        mount; None if the server could read all files that it asked for."""


class NamedDestination(Destination, Protocol):
    """The named place of a recovery."""

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        """Return the findings of the part of `preflight` that changes nothing and ignores what the
        place contains."""

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        """The names of everything that a restore would write: paths, or a database and its
        server."""

    def would_do(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        """Return what a restore would do at the place, a line for each act, for a person who
        decides: for places that accept requests. It changes nothing. Empty by default: then
        `writes` says everything."""
        return ()

    def lands_apart(self, snapshot: ComponentSnapshot) -> bool:
        """Return whether `landing()` may be filled before `preflight`: it is in the workplace, not
        at the target, and there is room for the snapshot."""
        return False

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:
        """Return who else uses data that a restore would replace; after the restore, who uses the
        restored data, or still uses the replaced data. Empty for a new place. It changes nothing.
        """
        return []

    def now_at(self, snapshot: ComponentSnapshot) -> RestoredPlace:
        """Return where the component is, after its restore."""
        places = self.writes(snapshot)
        return RestoredPlace(places=places, address=self.inspector().location)

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        """Return what a person still has to do with the restored component."""
        return ()


@runtime_checkable
class ChecksPrivate(Protocol):
    """A named place where the manifest's private part changes more than the data of the
    component."""

    def check_private(self, private: Mapping[str, Any]) -> list[Finding]:
        """Return what a person has to know about the private part before a restore. Raises
        TargetError."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How a target takes the restored data. A kind is given only options that its `KindSpec.can`
    has.

    With a `part` (as `narrow` returns it), the target is the place of that part, and all other data
    in it stays. With `keep`, the replaced data is set aside and kept. With `as_owner`, no code
    of the data runs with more rights than its owner has. With `no_owner`, the restored data belongs
    to the user who restores it. With `until`, a restore that replays a log stops before that time.
    `log_bytes` is the size of the log that the restore replays: the target needs room for it.
    """

    no_owner: bool = False
    part: Part | None = None
    keep: bool = False
    as_owner: bool = False
    until: datetime | None = None
    log_bytes: int = 0


AS_IT_IS = RestoreOptions()
"""The whole component with its owners. The replaced data is not kept."""


class Kind(Protocol):
    """One kind of component. The minimum is a source, a sandbox and a target; the other methods do
    what most kinds need."""

    spec: KindSpec

    def source(self, component: Component, place: Workplace) -> Source: ...

    def sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> Destination:
        """Return a throw-away place. It does not need the secrets of the source."""
        ...

    def target(
        self,
        component: Component,
        settings: Any,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> NamedDestination:
        """Return the named place of a recovery. `settings` are the target's for this component, or
        the component's own (`Ability.IN_PLACE`): then it is restored to where it is backed up from.

        Raises UsageError for a name that cannot be given.
        """
        ...

    def instant_sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> ReadsInPlace:
        """`Ability.INSTANT`: return a sandbox that reads a mounted snapshot. Raises NotSupported
        for a snapshot that can only be restored as a whole, with the reason."""
        raise self.spec.lacks(Ability.INSTANT, component=component.name)

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        """Check that what a manifest says about a component has the form that this kind writes into
        manifests. The manifest comes from a repository, and everybody who has the repository's key
        can write there. Raises ValueError."""
        if private:
            raise strict.UnexpectedValue(f"private of {snapshot.component} is not empty")

    def outside(self, component: Component, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        """Places to which the snapshot would be restored and that the plan does not name."""
        return ()

    def same_place(self, component: Component, settings: Any, place: Workplace) -> str | None:
        """Return where a target with these settings would overwrite the source of the component.
        None when it would not, or when drd cannot find out: a source that is gone cannot be
        overwritten.
        """
        if self.spec.is_source(component.settings, settings):
            return "the place that the plan names as the source"
        return None

    def sweep(self, directory: Path) -> list[str]:
        """End and remove what a killed run left in its workplace directory (servers by their
        pidfile). Returns sentences about what was found there. The caller removes the directory
        afterwards."""
        return []

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:
        """Return the programs with which this host restores the component in a sandbox: versions by
        name. Raises SandboxUnavailable or ToolError when they are missing."""
        return {}

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        """For `doctor`: whether this host could make a sandbox for this component."""
        return []

    def sandbox_findings_for(
        self,
        component: Component,
        snapshot: ComponentSnapshot,
        place: Workplace,
    ) -> list[Finding]:
        """Return the sandbox findings for one snapshot, if the source cannot be asked what it
        needs."""
        return self.sandbox_findings(component, place)

    # What not every kind is able to do

    def narrow(self, snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
        """`Ability.PARTS`: the part with the names that its tables or paths have in the snapshot,
        and the snapshot with a fingerprint of only these. It asks no source: names that the
        fingerprint does not contain are checked by the restore. If the part is the whole component,
        both stay unchanged (`Ability.BESIDE`).

        Raises UsageError for names that the snapshot does not have, with similar names that it has.
        """
        if part.is_whole:
            return part, snapshot
        raise self.spec.lacks(Ability.PARTS, component=snapshot.component)

    def contents(self, snapshot: ComponentSnapshot, within: str | None) -> Contents:
        """`Ability.LIST`: the items of the snapshot at the top; or the items in `within` (a
        directory, a schema); or the single item of this name. It asks no source and no repository:
        for paths, drd adds the times. Raises UsageError, with similar names, for a name that the
        snapshot does not contain."""
        hint = "to see its stored files, mount the restore point: drd mount PLAN DIRECTORY"
        raise self.spec.lacks(Ability.LIST, hint, component=snapshot.component)

    def live(
        self,
        component: Component,
        part: Part,
        like: Fingerprint,
        budget_s: float,
    ) -> Fingerprint:
        """`Ability.LIVE`: a fingerprint of the present state of the part in the source, of the same
        kind as `like`. Raises SourceError and its children."""
        raise self.spec.lacks(Ability.LIVE, component=component.name)

    def kept(
        self,
        component: Component,
        settings: Any,
        snapshot: ComponentSnapshot | None,
        run: str,
        *,
        part: Part | None = None,
    ) -> KeptCopies:
        """`Ability.KEEP`: the copies that the run has kept there. `snapshot` is what the run
        restored, if that is known."""
        raise self.spec.lacks(Ability.KEEP, component=component.name)

    def kept_copies(
        self,
        component: Component,
        settings: Any,
        snapshot: ComponentSnapshot | None,
        place: Workplace,
        *,
        part: Part | None = None,
    ) -> KeptCopies:
        """The same for the run of this `place`, which is what flows call. A kind whose places
        cannot hold copies of their own overrides this, and keeps them in `place.keep`."""
        return self.kept(component, settings, snapshot, place.run, part=part)

    def log(self, component: Component) -> LogSource:
        """`Ability.LOG`: the log of the component's server."""
        raise self.spec.lacks(Ability.LOG, component=component.name)

    def log_start(self, snapshot: ComponentSnapshot) -> LogStart:
        """`Ability.LOG`: return the place at which the log continues a copy."""
        raise self.spec.lacks(Ability.LOG, component=snapshot.component)

    def log_target(self, text: str) -> LogTarget | None:
        """`Ability.LOG`: read a position in the log or a transaction, as a person writes it; None
        if the text is neither."""
        raise self.spec.lacks(Ability.LOG)

    def log_leads(self, snapshot: ComponentSnapshot, target: LogTarget) -> bool | None:
        """`Ability.LOG`: return whether a position or transaction comes after a copy; None if drd
        would have to read the log to know it."""
        raise self.spec.lacks(Ability.LOG, component=snapshot.component)

    def log_place(self, position: int) -> str:
        """`Ability.LOG`: write a position for a person."""
        raise self.spec.lacks(Ability.LOG)

    def log_left(self, name: str) -> str:
        """`Ability.LOG`: return the command with which a person removes, on the server, the slot
        with the `name` of `LogSource.open`; empty if servers of this kind keep no slot for drd."""
        return ""

    def leave_log(self, component: Component, name: str) -> None:
        """`Ability.LOG`: remove the slot of this name from the server, if the server still has it.
        Raises SourceError."""


@runtime_checkable
class RestoresInside(Protocol):
    """A kind whose components are servers. It can restore a single database of such a component
    into a running server (`KindSpec.inside`)."""

    def same_server(self, component: Component, settings: Any, place: Workplace) -> str | None:
        """Return the running server that a target with these settings names, if it is the server of
        the component. None if it is another server, or if drd cannot find out."""

    def of_database(self, known: Fingerprint, name: str) -> Fingerprint | None:
        """Return the part of a fingerprint for one database; None if it lacks this database."""


KindFactory = Callable[[str], Kind]
