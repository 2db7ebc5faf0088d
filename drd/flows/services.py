"""Everything that a flow needs, passed by the composition root as one value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drd.errors import NotSupported
from drd.flows.root.trusted_rows import RowTrust
from drd.model.controls import BucketEncryption
from drd.model.facts import PlanFacts
from drd.model.finding import Finding
from drd.model.message import Message
from drd.model.plan import CheckSpec, Component, Plan, RepositorySpec, S3Access
from drd.model.playbook import Playbook
from drd.model.progression import Progression
from drd.model.run import Run
from drd.model.training import AwarenessText
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
    """Refuse all steps except restoring and checking: the default for callers that execute no other
    steps."""
    raise NotSupported(f"this command cannot execute steps of kind {kind}")


def no_kit(_services: Services, plan: Plan, _trigger: str) -> object:
    """Refuse to try a kit: the default for callers without kits."""
    raise NotSupported(f"this command cannot try the recovery kit of plan {plan.name}")


def no_host(plan: Plan, _kit: object, _place: Path) -> AbstractContextManager[Any]:
    """Refuse to make a host: the default for callers without kits."""
    raise NotSupported(f"this command cannot recover plan {plan.name} from a kit")


def no_notifications(_: Message) -> list[str]:
    """Send to nobody: the default for callers without channels."""
    return []


def compares_nothing(_: Component, __: str) -> CheckSpec | None:
    """Return no check: the default for callers without checks of their own."""
    return None


def nothing_exposed(_: Plan) -> Sequence[Finding]:
    """Return no files: the default for callers whose plans are in no file."""
    return ()


def asks_no_bucket(url: str, _: S3Access) -> BucketEncryption:
    """Refuse to ask a bucket: the default for callers without repositories."""
    raise NotSupported(f"this command cannot query the bucket {url}")


def seals_nothing(_: Path) -> object:
    """Leave a copy of the catalogue as it is: the default for callers without incidents."""
    return None


def never_booted() -> Boot | None:
    """Return no boot: the default for callers with a clock of their own."""
    return None


def nobody_watches(_: Progression) -> None:
    """Ignore the progress: the default for callers without a screen."""


@dataclass(frozen=True, slots=True)
class KitAccess:
    """What flows do with recovery kits. `findings` are the problems of a plan's kit, `try_copy`
    opens the copy that drd tests by itself, `make_host` makes a host from a kit
    (`drd.flows.drill.host_loss`).
    """

    findings: Callable[[Plan], Sequence[Finding]] | None = None
    try_copy: Callable[[Services, Plan, str], object] = no_kit
    make_host: Callable[[Plan, Any, Path], AbstractContextManager[Any]] = no_host


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The world as a flow sees it."""

    # What is remembered, and what is outside.
    catalogue: Catalogue
    row_trust: RowTrust = field(default_factory=RowTrust)
    """Decides which of the catalogue's rows about a recovery this process trusts."""
    clock: Clock
    open_repository: Callable[[RepositorySpec], Repository]
    bucket_encryption: Callable[[str, S3Access], BucketEncryption] = asks_no_bucket
    """Finds out how the bucket at a URL encrypts what is stored in it."""
    kinds: KindFactory
    checks: CheckFactory
    actions: ActionFactory = no_action
    compares: Callable[[Component, str], CheckSpec | None] = compares_nothing
    """Finds the check of this name that compares a component with its fingerprint."""
    kit: KitAccess = field(default_factory=KitAccess)
    read_facts: Callable[[str], Sequence[PlanFacts]] | None = None
    """Reads the facts of a plan for `status`."""
    exposed: Callable[[Plan], Sequence[Finding]] = nothing_exposed
    """The files of a plan that others can read or write."""
    own_files: Callable[[], Sequence[Path]] = tuple
    seal_copy: Callable[[Path], object] = seals_nothing
    """Seals restricted entries in a copy of the catalogue that goes to a repository."""
    """drd's configuration and plans, for the built-in component."""
    own_texts: Callable[[], Mapping[str, Path]] = dict
    """The installation's own regimes and templates, by their names in copies."""
    playbooks: Callable[[], Mapping[str, Playbook]] = dict
    """The playbooks that can be used, by name."""
    refused_playbooks: Callable[[], Collection[str]] = frozenset
    """The names of playbooks whose files have errors, so that drd refuses them."""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The roles of each person of drd.yaml."""
    users: Mapping[str, str] = field(default_factory=dict)
    """The person of each user that drd.yaml maps to one."""
    addresses: Callable[[], Collection[str]] = frozenset
    """The mail addresses of people and contacts in drd.yaml, in small letters."""
    awareness: Callable[[], Mapping[str, AwarenessText]] = dict
    """The awareness texts that can be used, by name."""

    # This process and its host.
    work_dir: Path
    """Contains a directory for each run."""
    claim: Run | None = None
    """The pending run that this process was started for."""
    is_root: bool
    run_as: str | None
    """The user for sandbox servers when drd is root."""
    private: tuple[Path, ...] = ()
    """drd's own places, which no fence shows."""
    parallel: int = 2
    """How many components of a run are processed at once."""
    jobs: int = 2
    """The parallel jobs within one component."""
    versions: Mapping[str, str] = field(default_factory=dict)
    booted: Callable[[], Boot | None] = never_booted
    """Returns this boot and how long ago it was, None if unknown."""

    # The person who watches.
    warn: Say = say_nothing
    """Gets sentences that a person should read."""
    note: Say = say_nothing
    """Gets sentences that are merely useful."""
    said: set[str] = field(default_factory=set)
    """The messages that are shown only once, and that were already shown."""
    on_progress: OnProgress = no_progress
    on_steps: Callable[[Progression], None] = nobody_watches
    """Gets the progress of a runbook."""
    notify_now: Callable[[Message], list[str]] = no_notifications
    """Sends a message at once, through the channels that want it, and returns the channels that
    accepted it. Raises NotifyError if no channel accepted it."""
