"""Everything that a flow needs, passed by the composition root as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drd.errors import NotSupported
from drd.flows.root.trusted_rows import RowTrust
from drd.model.facts import PlanFacts
from drd.model.finding import Finding
from drd.model.message import Message
from drd.model.plan import CheckSpec, Component, Plan, RepositorySpec
from drd.model.progression import Progression
from drd.model.run import Run
from drd.ports import (
    Catalogue,
    CheckFactory,
    Clock,
    KindFactory,
    OnProgress,
    Repository,
    no_progress,
)
from drd.ports.action import Action, ActionFactory
from drd.process import Boot

Say = Callable[[str], None]


def say_nothing(_: str) -> None:
    """Drop the message: the default for callers without a reader."""


def no_action(kind: str) -> Action:
    """Refuse all steps beside restoring and checking: the default for callers that run none."""
    raise NotSupported(f"steps of kind {kind} cannot be carried out here")


def no_kit(_services: Services, plan: Plan, _trigger: str) -> object:
    """Refuse to try a kit: the default for callers without kits."""
    raise NotSupported(f"the recovery kit of {plan.name} cannot be tried here")


def no_host(plan: Plan, _kit: object, _place: Path) -> AbstractContextManager[Any]:
    """Refuse to make a host: the default for callers without kits."""
    raise NotSupported(f"{plan.name} cannot be recovered from a kit here")


def no_notifications(_: Message) -> list[str]:
    """Send to nobody: the default for callers without channels."""
    return []


def compares_nothing(_: Component, __: str) -> CheckSpec | None:
    """Return no check: the default for callers without checks of their own."""
    return None


def nothing_exposed(_: Plan) -> Sequence[Finding]:
    """Return no files: the default for callers whose plans are in no file."""
    return ()


def never_booted() -> Boot | None:
    """Return no boot: the default for callers with a clock of their own."""
    return None


def nobody_watches(_: Progression) -> None:
    """Ignore the progress: the default for callers without a screen."""


@dataclass(frozen=True, slots=True)
class Services:
    """The world as a flow sees it.

    `work_dir` contains a directory for each run; `run_as` is the user for sandbox servers when drd
    is root. `private` are drd's own places, which no fence shows. `parallel` bounds how many
    components of a run are processed at once, `jobs` the parallel jobs within one. `own_files`
    finds drd's configuration and plans, for the built-in component: as many files as there are
    plans. `claim` is the pending run that this process was started for. `warn` gets sentences that
    a person should read, `note` those that are merely useful.

    `read_facts` reads the facts of a plan for `status`, `kit_findings` the problems of its recovery
    kit, `exposed` its files that others can read or write, `try_kit` opens the kit's copy that drd
    tests by itself, `host_from_kit` makes a host from one (`drd.flows.drill.host_loss`), `roles`
    has the roles of each person of drd.yaml. `notify_now` sends a message at once, through the
    channels that want it, and returns those that accepted it, or raises NotifyError if none did.
    `on_steps` gets the progress of a runbook. `compares` finds the check of this name that compares
    a component with its fingerprint. `row_trust` decides which of the catalogue's rows about a
    recovery this process trusts. `booted` returns this boot and how long ago it was, None if
    unknown. `said` has one-time messages that were already given.
    """

    catalogue: Catalogue
    clock: Clock
    kinds: KindFactory
    checks: CheckFactory
    open_repository: Callable[[RepositorySpec], Repository]
    work_dir: Path
    run_as: str | None
    is_root: bool
    private: tuple[Path, ...] = ()
    parallel: int = 2
    jobs: int = 2
    versions: Mapping[str, str] = field(default_factory=dict)
    own_files: Callable[[], Sequence[Path]] = tuple
    on_progress: OnProgress = no_progress
    warn: Say = say_nothing
    note: Say = say_nothing
    claim: Run | None = None
    read_facts: Callable[[str], Sequence[PlanFacts]] | None = None
    kit_findings: Callable[[Plan], Sequence[Finding]] | None = None
    exposed: Callable[[Plan], Sequence[Finding]] = nothing_exposed
    try_kit: Callable[[Services, Plan, str], object] = no_kit
    host_from_kit: Callable[[Plan, Any, Path], AbstractContextManager[Any]] = no_host
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    actions: ActionFactory = no_action
    notify_now: Callable[[Message], list[str]] = no_notifications
    on_steps: Callable[[Progression], None] = nobody_watches
    compares: Callable[[Component, str], CheckSpec | None] = compares_nothing
    booted: Callable[[], Boot | None] = never_booted
    row_trust: RowTrust = field(default_factory=RowTrust)
    said: set[str] = field(default_factory=set)
