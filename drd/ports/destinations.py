"""Where data comes back, and the kinds that bind both ends.

A kind's classes inherit from these ports, and get what most kinds do alike. What a kind is able to
do beside the least is in its `KindSpec.can`; what it lacks is refused with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from drd.errors import NotSupported
from drd.model import strict
from drd.model.finding import Finding
from drd.model.plan import Component
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot, Fingerprint
from drd.ports.aside import Kept
from drd.ports.common import OnProgress
from drd.ports.kinds import Ability, KindSpec
from drd.ports.sources import Source, Workplace


class Inspector(Protocol):
    """Questions to a component that came back."""

    @property
    def location(self) -> str:
        """Where it is: a path, or a connection string without a password."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What a command needs to look at it (PGHOST, PGDATABASE, …, or DRD_PATH)."""

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        """The single value of a query (int, float, Decimal, str, datetime, None), which can only
        read.

        Raises NotSupported for kinds without queries, SourceUnreachable when the component cannot
        be asked, DeadlineExceeded after `timeout_s`, and a plain SourceError with the database's
        own words when the query fails or gives more than one value.
        """
        raise NotSupported(
            f"{self.location} answers no queries", hint="use a check of another kind, or `command`."
        )

    def execute(self, statements: str, *, timeout_s: float) -> int:
        """Carry out statements in one transaction; how many rows they changed. Raises as `scalar`
        does, and then nothing has changed."""
        raise NotSupported(f"{self.location} knows no SQL", hint="use a step of kind `command`.")

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
        return

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
        return


class NamedDestination(Destination, Protocol):
    """The named place of a recovery."""

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        """The part of `preflight` that changes nothing and does not mind what the place holds."""

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        """Everything that would be written, by its name: paths, or a database and its server."""

    def lands_apart(self, snapshot: ComponentSnapshot) -> bool:
        """Whether `landing()` may be filled before `preflight`: it lies in the workplace, not at
        the target, and has room there."""
        return False


@runtime_checkable
class ChecksPrivate(Protocol):
    """A named place to which the manifest's private part does more than bring its own data back."""

    def check_private(self, private: Mapping[str, Any]) -> list[Finding]:
        """What a person has to know of it before. Raises TargetError."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How a target takes what comes back. A kind is given only what its `KindSpec.can` has.

    With a `part` (as `narrow` gives it) the target is the place of that, beside what is there. With
    `keep`, what is replaced is set aside and stays. `as_owner`: no code of the data runs with more
    rights than its owner has. `no_owner`: what comes back belongs to who restores it.
    """

    no_owner: bool = False
    part: Part | None = None
    keep: bool = False
    as_owner: bool = False


AS_IT_IS = RestoreOptions()
"""The whole, with its owners, and nothing of what is replaced."""


class Kind(Protocol):
    """One kind of component. The smallest has a source, a sandbox and a target; the others have
    what most kinds need."""

    spec: KindSpec

    def source(self, component: Component, place: Workplace) -> Source: ...

    def sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> Destination:
        """A throw-away place; needs none of the source's secrets."""
        ...

    def target(
        self,
        component: Component,
        settings: Any,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> NamedDestination:
        """The named place of a recovery; `settings` are the target's for this component, or the
        component's own (`Ability.IN_PLACE`): then it comes back to where it is backed up from.

        Raises UsageError for a name that cannot be given."""
        ...

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        """Whether a manifest says of a component what this kind writes into one: it comes from a
        repository, and whoever has the key can put there what he likes. Raises ValueError."""
        if private:
            raise strict.Refused(f"private of {snapshot.component} is not empty")

    def outside(self, component: Component, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        """Places that the snapshot would come back to and the plan does not name."""
        return ()

    def same_place(self, component: Component, settings: Any, place: Workplace) -> str | None:
        """Where a target with these settings would overwrite what the component is backed up from;
        None when it would not, or nobody can tell: a source that is gone is in nobody's way."""
        if self.spec.is_source(component.settings, settings):
            return "the place that the plan names as the source"
        return None

    def sweep(self, directory: Path) -> list[str]:
        """End and remove what a killed run left in its workplace directory (servers by their
        pidfile); sentences about what was found. The caller removes the directory afterwards."""
        return []

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:
        """The programs with which this host brings it back in a sandbox: versions by name. Raises
        SandboxUnavailable or ToolError when they are not here."""
        return {}

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        """For `doctor`: whether a sandbox for this component could be made here."""
        return []

    # What not every kind is able to do

    def narrow(self, snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
        """`Ability.PARTS`: the part with the names that its tables or paths have in the snapshot,
        and the snapshot with a fingerprint of these alone. Asks nobody: what the fingerprint does
        not tell is left to the restore. Of a part that is the whole, all stays as it is
        (`Ability.BESIDE`).

        Raises UsageError, with names that may have been meant, for what is not there."""
        if part.whole:
            return part, snapshot
        raise self.spec.lacks(Ability.PARTS)

    def live(
        self,
        component: Component,
        part: Part,
        like: Fingerprint,
        budget_s: float,
    ) -> Fingerprint:
        """`Ability.LIVE`: the same kind of fingerprint as `like`, of what the source now has of the
        part. Raises SourceError and its children."""
        raise self.spec.lacks(Ability.LIVE)

    def kept(
        self,
        component: Component,
        settings: Any,
        snapshot: ComponentSnapshot | None,
        run: str,
        *,
        part: Part | None = None,
    ) -> Kept:
        """`Ability.KEEP`: what that run has set aside there. `snapshot` is what it restored, where
        that is known."""
        raise self.spec.lacks(Ability.KEEP)


KindFactory = Callable[[str], Kind]
