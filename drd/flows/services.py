"""What every flow needs, handed over by the composition root as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drd.errors import NotSupported
from drd.flows.root.trusted_rows import Witness
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
    """For callers that nobody reads."""


def no_action(kind: str) -> Action:
    """For callers whose runbooks only restore and check."""
    raise NotSupported(f"steps of kind {kind} cannot be carried out here")


def no_kit(_services: Services, plan: Plan, _trigger: str) -> object:
    """For callers that know of no kits."""
    raise NotSupported(f"the recovery kit of {plan.name} cannot be tried here")


def no_host(plan: Plan, _kit: object, _place: Path) -> AbstractContextManager[Any]:
    """For callers that know of no kits."""
    raise NotSupported(f"{plan.name} cannot be recovered from a kit here")


def no_notifications(_: Message) -> list[str]:
    """For callers without channels."""
    return []


def compares_nothing(_: Component, __: str) -> CheckSpec | None:
    """For callers without checks of their own."""
    return None


def nothing_exposed(_: Plan) -> Sequence[Finding]:
    """For callers whose plans lie in no file."""
    return ()


def never_booted() -> Boot | None:
    """For callers whose clock is none of the host's."""
    return None


def nobody_watches(_: Progression) -> None:
    """For callers that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Services:
    """The world as a flow sees it.

    `work_dir` holds a directory a run; `run_as` is the user for sandbox servers when drd is root.
    `private` are drd's own places, which no code of the data is shown. `parallel` bounds how many
    components of a run work at once, `jobs` the parallel jobs within one. `own_files` finds drd's
    configuration and plans, for the built-in component: as many files as there are plans. `claim`
    is the pending run that this process was started to carry out. `warn` gets sentences that a
    person should read, `note` those that are merely good to know. `read_facts` reads what `status`
    knows of a plan, `kit_findings` what is wrong with its recovery kit, `exposed` which of its
    files others can read or write, `try_kit` opens the copy of it that is tried unattended,
    `regain` makes a host from one (see `drd.flows.drill.host_loss`), `roles` has by person of
    drd.yaml what each may decide. `tell` carries a message to people at once, through the channels
    that want it; what it returns names those that took it, and it raises NotifyError when none did.
    `on_steps` is told how far a runbook is. `compares` is a check of this name that compares a
    component with its fingerprint. `witness` says which of the catalogue's words about a recovery
    this process may go on by. `booted` tells this boot and how long ago it was, None where that
    cannot be told. `said` has what is to be said once and was.
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
    regain: Callable[[Plan, Any, Path], AbstractContextManager[Any]] = no_host
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    actions: ActionFactory = no_action
    tell: Callable[[Message], list[str]] = no_notifications
    on_steps: Callable[[Progression], None] = nobody_watches
    compares: Callable[[Component, str], CheckSpec | None] = compares_nothing
    booted: Callable[[], Boot | None] = never_booted
    witness: Witness = field(default_factory=Witness)
    said: set[str] = field(default_factory=set)
