"""A plan in the form that the rest of drd uses: resolved, checked, frozen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Literal

from drd.model import scenarios
from drd.model.adopted import Adopted
from drd.model.consistency import Group
from drd.model.controls import ControlSpec
from drd.model.inventory import Inventory
from drd.model.limits import UNLIMITED, Limits
from drd.model.location import is_s3
from drd.model.policies import (
    BackupPolicy,
    CopyPolicy,
    PrunePolicy,
    RetentionPolicy,
    Times,
    VerificationPolicy,
)
from drd.model.readiness_finding import ReadinessException
from drd.model.runbook import Step
from drd.model.schemes import CA_CERT
from drd.model.sharing import Sharing
from drd.model.training import ReviewPolicy, TrainingPolicy

NAME = re.compile(r"[a-z0-9-]{1,40}")
# restic splits tags at commas and prints hosts unquoted, so names stay this plain.

SCENARIOS = ("database-loss", "region-loss", "host-loss")
"""What a drill can simulate: the data is lost; the primary repository is lost as well, and only the
copies are left; the whole host is lost.
"""

OPERATOR = scenarios.OPERATOR

DRILL_SCENARIOS = (*SCENARIOS, OPERATOR)
"""The scenarios of drills that a person starts."""

OWN_COMPONENT = "drd"
"""The name of drd's own catalogue, plans and configuration; no plan may use it for a component."""


IN_PLACE = "in-place"
"""The target that every plan has: the places that its components are backed up from."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is stored; never the secret itself, except for `text`, which is not secret.
    `value` is a path, a variable's name, a credential's name, a command's words, or the text.
    """

    source: Literal["file", "env", "credential", "command", "text"]
    value: str | tuple[str, ...]

    def describe(self) -> str:
        """Describe the reference for messages: `credential orders-db-dsn`; never the value of a
        `text`.
        """
        if self.source == "text":
            return "text in the plan"
        value = self.value if isinstance(self.value, str) else " ".join(self.value[:1]) + " …"
        return f"{self.source} {value}"


RECORDS_KEY = SecretRef("credential", "drd-records-key")
"""The place of the key that signs drd's records, unless drd.yaml names another place."""


@dataclass(frozen=True, slots=True)
class Objectives:
    rpo_s: float
    rto_s: float
    window_s: float = 90 * 86400.0


@dataclass(frozen=True, slots=True)
class Hook:
    """A command around the capture of a component. It gets neither restic's keys nor passwords."""

    command: tuple[str, ...]
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Component:
    """One component. `settings` is the frozen settings model of its kind. `may_be_empty`: a drill
    passes even if it finds no table and no file in the component. `adopted`: another tool makes its
    copies, with its file at the path `copied_as`, if that is not its own. `rpo_s` is its own RPO;
    None if the RPO of the plan counts.
    """

    name: str
    kind: str
    settings: object
    before: Hook | None = None
    after: Hook | None = None
    may_be_empty: bool = False
    adopted: bool = False
    copied_as: str = ""
    limits: Limits = UNLIMITED
    rpo_s: float | None = None


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach a bucket; without keys, the instance's role is used."""

    access_key: SecretRef | None = None
    secret_key: SecretRef | None = None
    session_token: SecretRef | None = None
    region: str | None = None
    ca_cert: str | None = None
    bucket_lookup: Literal["auto", "dns", "path"] = "auto"


@dataclass(frozen=True, slots=True)
class RepositorySpec:
    """One repository. `url` is `s3:https://host/bucket/prefix`, an absolute path, or an address of
    one of `SCHEMES`; `access` has the settings of that scheme. `copy_of` names the repository of
    which this one is a copy; None for the repository of the backups. `adopted`: another tool fills
    it, and drd only reads it.
    """

    name: str
    url: str
    password: SecretRef
    s3: S3Access = S3Access()
    protection: str | None = None
    copy_of: str | None = None
    access: tuple[tuple[str, SecretRef | str], ...] = ()
    adopted: Adopted | None = None

    @property
    def ca_cert(self) -> str | None:
        """The path of the certificates that the server's own must come from."""
        given = dict(self.access).get(CA_CERT)
        return given if isinstance(given, str) else self.s3.ca_cert

    def trusting(self, ca_cert: str) -> RepositorySpec:
        """Return the same repository with another file of certificates."""
        if is_s3(self.url):
            return replace(self, s3=replace(self.s3, ca_cert=ca_cert))
        return replace(self, access=tuple({**dict(self.access), CA_CERT: ca_cert}.items()))

    def secrets(self) -> dict[str, SecretRef]:
        """Return the secrets that open the repository, by their purpose: `password`, `sftp.key`."""
        scheme = self.url.partition(":")[0]
        wanted: dict[str, SecretRef | str | None] = {
            "password": self.password,
            "access_key": self.s3.access_key,
            "secret_key": self.s3.secret_key,
            "session_token": self.s3.session_token,
            **{f"{scheme}.{key}": value for key, value in self.access},
        }
        references = {what: ref for what, ref in wanted.items() if isinstance(ref, SecretRef)}
        if not self.has_password:
            del references["password"]
            assert self.adopted is not None
            references |= self.adopted.secrets or {}
        return references

    @property
    def opened_with(self) -> str:
        """A digest of where the secrets that open the repository are: two plans with the same one
        are let in or refused together. It contains no secret."""
        references = sorted((what, r.source, r.value) for what, r in self.secrets().items())
        return blake2b(json.dumps(references).encode(), digest_size=8).hexdigest()

    @property
    def has_password(self) -> bool:
        """Whether the repository is opened with a password; another tool may have other secrets
        instead."""
        return self.adopted is None or self.adopted.secrets is None


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """`settings` is the frozen settings model of the check's kind."""

    name: str
    kind: str
    component: str | None
    settings: object


@dataclass(frozen=True, slots=True)
class Target:
    """A place to restore to: for each component the connection settings of its kind, or the
    component's own if the target is `IN_PLACE`.
    """

    name: str
    components: Mapping[str, object]


FULL_EVERY_S = 30 * 86400.0
"""How often a drill of a plan with instant drills restores everything, if the plan does not say
it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillPolicy(Times):
    """When to drill; each `random_each`-th drill takes a random point within `random_within_s`
    instead of the newest. After `interval_s` a drill is due. `fence` says whether a drill may run
    if a part of the fence is not available. `reach` are the HOST:PORT and `read` the paths that
    fenced commands may use beside their own. Drills are instant if `full_every_s` is given: then
    one restores everything after so long.
    """

    random_within_s: float | None = None
    random_each: int = 4
    scenarios: tuple[str, ...] = ("database-loss",)
    timeout_s: float = 4 * 3600.0
    fence: Literal["best", "required"] = "best"
    reach: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    full_every_s: float | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A watcher elsewhere, which receives heartbeats and reports when they stop. `on` are the kinds
    of run that send one; `every_s` is the interval of the daemon's own.
    """

    url: SecretRef
    on: tuple[str, ...] = ("backup",)
    every_s: float = 60.0
    ca_cert: str | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class KitWatch:
    """A copy of the kit that drd tests by itself every `every_s` seconds, and what opens it: a
    passphrase, or the text of an identity.
    """

    file: str
    every_s: float
    passphrase: SecretRef | None = None
    identity: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class KitPolicy:
    """Whether a recovery kit is required (None: as drd.yaml says), and for whom it is encrypted:
    recipients, or people who hold shares. `watch` is the copy that drd tests by itself.
    """

    required: bool | None = None
    recipients: tuple[str, ...] = ()
    shares: Sharing | None = None
    watch: KitWatch | None = None

    def watched(self, default: KitWatch | None) -> KitWatch | None:
        """Return the plan's own copy, else drd.yaml's `default`, which is another kit if this
        plan's is opened by shares.
        """
        return self.watch or (None if self.shares is not None else default)


@dataclass(frozen=True, slots=True)
class ReadinessPolicy:
    exceptions: tuple[ReadinessException, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One service. `digest` is the plan hash: the hash of the resolved plan without comments and
    secret values, and of the contents of the commands that it names. `proof` is the hash of the
    part that a drill proves.
    """

    name: str
    owner: str
    description: str
    objectives: Objectives
    components: Mapping[str, Component]
    repositories: Mapping[str, RepositorySpec]
    backup: BackupPolicy
    retention: RetentionPolicy
    checks: tuple[CheckSpec, ...]
    runbook: tuple[Step, ...]
    targets: Mapping[str, Target]
    drill: DrillPolicy
    digest: str
    proof: str
    file: str
    resolved: Mapping[str, object] = field(default_factory=dict)
    heartbeat: Heartbeat | None = None
    copying: CopyPolicy = field(default_factory=CopyPolicy)
    prune: PrunePolicy = field(default_factory=PrunePolicy)
    verification: VerificationPolicy = field(default_factory=VerificationPolicy)
    kit: KitPolicy = KitPolicy()
    readiness: ReadinessPolicy = ReadinessPolicy()
    inventory: Inventory = field(default_factory=Inventory)
    controls: tuple[ControlSpec, ...] = ()
    training: TrainingPolicy = field(default_factory=TrainingPolicy)
    review: ReviewPolicy | None = None
    consistency: tuple[Group, ...] = ()

    @property
    def commands(self) -> Mapping[str, str | None]:
        """The sha256 of each file that a command of the plan names; None if nobody can read the
        file.
        """
        commands = self.resolved.get("commands")
        return commands if isinstance(commands, Mapping) else {}

    @property
    def primary(self) -> RepositorySpec:
        """The repository to which backups go: the repository that is not a copy."""
        return next(r for r in self.repositories.values() if r.copy_of is None)

    @property
    def points_within_s(self) -> float:
        """The RPO that restore points have to keep."""
        return self.objectives.rpo_s if self.backup.rpo_s is None else self.backup.rpo_s

    def rpo_of(self, component: str | None) -> float:
        """Return the RPO of a component: its own, or the RPO of the plan."""
        known = self.components.get(component or "")
        own_s = known.rpo_s if known is not None else None
        return self.objectives.rpo_s if own_s is None else own_s

    @property
    def own_objectives(self) -> dict[str, float]:
        """The components that have an RPO of their own, with it in seconds."""
        return {n: c.rpo_s for n, c in self.components.items() if c.rpo_s is not None}

    @property
    def made_by(self) -> str:
        """The tool that makes the copies; empty: drd makes them."""
        adopted = self.primary.adopted
        return adopted.made_by if adopted is not None else ""

    @property
    def copies(self) -> tuple[RepositorySpec, ...]:
        """The other repositories, which receive every complete restore point."""
        return tuple(r for r in self.repositories.values() if r.copy_of is not None)
