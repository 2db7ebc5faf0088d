"""The `App` of one process: the settings, the state, the plans, and the services for flows."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import drd
from drd import secrets
from drd.actions import action_for
from drd.bootstrap.channels import Channels
from drd.bootstrap.plans import Plans
from drd.bootstrap.state import OpenState
from drd.catalogue.sealed_copy import seal
from drd.catalogue.summary import read_facts
from drd.checks import check_for, comparison
from drd.config.awareness import texts_of
from drd.config.daemon import DaemonSettings, load_settings
from drd.config.exposed_files import findings
from drd.config.location import config_path
from drd.config.own_texts import own_texts
from drd.config.people import addresses
from drd.config.plan_search import own_files
from drd.config.playbooks import playbooks_of
from drd.config.run_settings import PlanInForce
from drd.flows.drill.host_loss import HostFromKit, KitAt
from drd.flows.records.restricted import hiding
from drd.flows.root.adapters import kinds_of, repository_of
from drd.flows.root.trusted_rows import RowTrust, trust_for
from drd.flows.services import KitAccess, Say, Services, nobody_watches, say_nothing
from drd.flows.state.run_dirs import sandbox_user
from drd.kinds.registry import kind_for, server_users
from drd.model.facts import PlanFacts
from drd.model.finding import Finding
from drd.model.package_versions import package_key
from drd.model.plan import Plan, RepositorySpec
from drd.model.playbook import Playbook
from drd.model.playbook_names import playbook_of
from drd.model.progression import Progression
from drd.model.run import Run
from drd.ports import Catalogue, Clock, OnProgress, Repository, no_progress
from drd.process import booted, rights
from drd.process.clock import SystemClock
from drd.process.state_owner import acting_for_owner
from drd.registry import extensions_used, only_those_in_use
from drd.repositories import open_repository
from drd.repositories.probing import bucket_encryption


@dataclass(frozen=True, slots=True)
class Console:
    """The output of a run to the person who watches it."""

    on_progress: OnProgress = no_progress
    warn: Say = say_nothing
    note: Say = say_nothing
    on_steps: Callable[[Progression], None] = nobody_watches


class App:
    """Configuration and catalogue of one process. `settings` replace drd.yaml; `busy_s` is how long
    a write waits for another process's, None for the maximum. A `reading` App works even where
    nobody can write. While the catalogue is open, the App keeps the status summary up to date,
    unless the settings came from the daemon (`service`), which does so itself. An `enduring` App
    leaves out broken parts of drd.yaml, if it does not need them."""

    def __init__(
        self,
        config: str | None,
        console: Console | None = None,
        settings: DaemonSettings | None = None,
        busy_s: float | None = None,
        *,
        reading: bool = False,
        service: bool = False,
        enduring: bool = False,
    ) -> None:
        self._config, self._enduring = config, enduring
        self.settings: DaemonSettings = settings or self.read_settings()
        self.console = console or Console()
        self.clock: Clock = SystemClock()
        self.state = OpenState(
            lambda: self.settings,
            self.clock,
            busy_s=busy_s,
            reading=reading,
            publishes=settings is None and not reading,
            service=service,
        )
        self.only_tries = False
        """Whether the command changes nothing: then loading a plan does not put the plan in
        force."""
        self.handed: Callable[[str], PlanInForce | None] = lambda _: None
        """The texts of plans that the daemon has in force, for itself and the processes of its
        runs."""

    def read_settings(self) -> DaemonSettings:
        """Read the current drd.yaml. Raises ConfigError."""
        path, explicit = config_path(self._config)
        return load_settings(Path(path), explicit=explicit, enduring=self._enduring)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, opened at the first use, and made if it is missing."""
        return self.state.catalogue

    @property
    def plans(self) -> Plans:
        """The plans of this state."""
        return Plans(
            self.settings,
            lambda: self.catalogue,
            self.clock,
            self.handed,
            self.console.warn,
            only_reads=self.only_tries,
            copy=self.state.work_on_a_copy,
        )

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Work on a copy of the catalogue in the body, and leave no trace."""
        self.state.work_on_a_copy()
        try:
            yield
        finally:
            self.state.end_the_copy()

    @property
    def channels(self) -> Channels:
        """The ways to people and to watchers."""
        return Channels(self.settings, lambda: self.catalogue, self.clock, self.console.warn)

    def runbook_of(self, run: Run) -> Plan | Playbook:
        """Return the plan in force, or the playbook, whose steps a run executes. Raises
        UnknownPlan, UsageError, ConfigError."""
        name = playbook_of(run.plan)
        if name is not None:
            return playbooks_of(self.settings).get(name)
        return self.plans.in_force(run.plan)

    def services_without_plan(self) -> Services:
        """Return the services of flows that do not work on a single plan."""
        return self.services(None)

    def services(self, plan: Plan | None, claim: Run | None = None) -> Services:
        """Return the services of flows that work on this plan, or without a plan if it is None."""
        is_root = rights.may_be_root()
        catalogue, row_trust = self.row_trust()
        return Services(
            catalogue=catalogue,
            row_trust=row_trust,
            clock=self.clock,
            open_repository=self.open_repository,
            bucket_encryption=lambda url, keys: bucket_encryption(url, keys, secrets.resolve),
            kinds=kinds_of(kind_for),
            checks=check_for,
            actions=action_for,
            compares=comparison,
            kit=KitAccess(self._kit_findings, self._try_kit, self._host_from_kit),
            read_facts=self.read_facts,
            exposed=lambda plan: findings(plan, self.plans.trusted_users),
            own_files=lambda: own_files(self.settings, Path(plan.file)) if plan else (),
            own_texts=lambda: own_texts(self.settings),
            seal_copy=self._seal_copy,
            playbooks=lambda: playbooks_of(self.settings).known,
            refused_playbooks=lambda: playbooks_of(self.settings).broken,
            roles=self.settings.roles,
            users=self.settings.users,
            addresses=lambda: addresses(self.settings.file),
            awareness=lambda: texts_of(self.settings).known,
            work_dir=self.settings.work_dir,
            claim=claim,
            is_root=is_root,
            run_as=sandbox_user(self.settings.run_as, server_users()) if is_root else None,
            private=self._private(),
            parallel=self.settings.per_repository,
            jobs=min(4, os.cpu_count() or 1),
            versions=_versions(plan) if plan is not None else {},
            booted=booted,
            warn=self.console.warn,
            note=self.console.note,
            on_progress=self.console.on_progress,
            on_steps=self.console.on_steps,
            notify_now=self.channels.notify_now,
        )

    def _seal_copy(self, copy: Path) -> int:
        return seal(copy, hiding(self.catalogue, self.settings.role_keys))

    def row_trust(self) -> tuple[Catalogue, RowTrust]:
        """The catalogue with what people decided and did in recoveries, and the rule by which this
        process trusts its rows."""
        return trust_for(self.catalogue, self.settings.work_dir, self.console.warn)

    def _private(self) -> tuple[Path, ...]:
        """drd's own directories."""
        own = self.settings
        places = (own.state_dir, own.work_dir, own.cache_dir, own.plans_dir, own.file)
        return tuple(p for p in places if p is not None)

    def _kit_findings(self, plan: Plan) -> Sequence[Finding]:
        from drd.kit.state import standing  # kits: few commands need them

        return standing(self.settings, self.catalogue, plan)

    def _try_kit(self, services: Services, plan: Plan, trigger: str) -> object:
        from drd.kit.watched_copy import try_kit

        return try_kit(services, plan, plan.kit.watched(self.settings.kit_watch), trigger=trigger)

    def _host_from_kit(
        self, plan: Plan, given: KitAt | None, place: Path
    ) -> AbstractContextManager[HostFromKit]:
        from drd.kit.host_loss import host_from_kit, kit_at

        at = given or kit_at(plan, plan.kit.watched(self.settings.kit_watch))
        proofs = self.catalogue.plans.proofs(plan)
        return host_from_kit(plan, at, place, self.clock.now(), self._host, proofs=proofs)

    @contextmanager
    def _host(self, config: Path, plan: str) -> Iterator[tuple[Services, Plan]]:
        """Return another host, described by its drd.yaml."""
        with only_those_in_use(), app(str(config), self.console) as there:
            loaded = there.plans.load(plan)
            yield there.services(loaded), loaded

    def open_repository(self, spec: RepositorySpec) -> Repository:
        opened = open_repository(spec, cache_dir=self.settings.cache_dir, resolve=secrets.resolve)
        return repository_of(opened, spec.url)

    def read_facts(self, plan: str | None = None) -> Sequence[PlanFacts]:
        """Return the facts for `drd status` of every loaded plan, or of one."""
        return read_facts(self.settings.state_url, plan, self.settings.state_password)

    def close(self) -> None:
        self.state.close()


def _versions(plan: Plan) -> dict[str, str]:
    """Return the versions of the programs that make or restore a point, for manifests and
    evidence.
    """
    return {
        "drd": drd.__version__,
        "python": platform.python_version(),
        **{package_key(one.name): one.version for one in extensions_used(plan)},
    }


@contextmanager
def app(
    config: str | None,
    console: Console | None = None,
    settings: DaemonSettings | None = None,
    busy_s: float | None = None,
    *,
    reading: bool = False,
    service: bool = False,
    enduring: bool = False,
) -> Iterator[App]:
    """An App that is closed at the end. Meanwhile root acts as the user who owns the state."""
    opened = App(
        config, console, settings, busy_s, reading=reading, service=service, enduring=enduring
    )
    state = opened.settings.state_dir or opened.settings.work_dir
    with acting_for_owner(state, opened.settings.work_dir):
        try:
            yield opened
        finally:
            opened.close()
