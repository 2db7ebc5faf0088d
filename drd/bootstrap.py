"""The composition root: the only module that imports everything.

A command line verb opens an `App`, asks it for the services of a plan, and closes it."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import drd
from drd import secrets
from drd.actions import action_for
from drd.catalogue.changed import Reader, identity, read_changed
from drd.catalogue.summary import read_facts
from drd.checks import check_for, comparison
from drd.config.daemon import (
    DaemonSettings,
    find_plan,
    load_settings,
    own_files,
    plans_by_name,
)
from drd.config.exposed_files import findings, secret_files, state_owners
from drd.config.loading import Loading
from drd.config.location import config_path
from drd.config.plan_file import LoadedPlan, load_plan, plan_of_text
from drd.config.run_settings import PlanInForce
from drd.errors import CatalogueError, NotOwner, UnknownPlan
from drd.flows.alerts.heartbeats import Heartbeats
from drd.flows.alerts.outbox import OutboxSender
from drd.flows.drill.host_loss import HostFromKit, KitAt
from drd.flows.root.adapters import kinds_of, repository_of
from drd.flows.root.trusted_rows import RowTrust, is_noted, trust_for
from drd.flows.runbook.notify import notify_now
from drd.flows.services import Say, Services, nobody_watches, say_nothing
from drd.flows.state.former_catalogue import is_missing, note_former
from drd.flows.state.modes import close_state
from drd.flows.state.run_dirs import sandbox_user
from drd.flows.status.publishing import Place, Publisher, Publishing, Source
from drd.kinds.registry import host_of, kind_for, server_users
from drd.model.facts import PlanFacts
from drd.model.finding import Finding
from drd.model.message import ChannelSpec, Message
from drd.model.plan import NAME as PLAN_NAME
from drd.model.plan import Plan, RepositorySpec
from drd.model.progression import Progression
from drd.model.run import Run
from drd.model.schedule import Schedule, schedule_of
from drd.notifiers import open_notifier, open_watcher
from drd.ports import Catalogue, Clock, OnProgress, Repository, no_progress
from drd.ports.notify import Notifier
from drd.process import booted, rights, user_name
from drd.process.actors import as_root_types_it
from drd.process.clock import SystemClock
from drd.process.state_owner import acting_for_owner
from drd.registry import extensions_used, only_those_in_use
from drd.repositories import open_repository


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
    unless the settings came from the daemon (`service`), which does so itself."""

    def __init__(
        self,
        config: str | None,
        console: Console | None = None,
        settings: DaemonSettings | None = None,
        busy_s: float | None = None,
        *,
        reading: bool = False,
        service: bool = False,
    ) -> None:
        self._config = config
        self._busy_s = busy_s
        self._reading = reading
        self._service = service
        self._publishes = settings is None and not reading
        self._publishing: Publishing | None = None
        self.settings: DaemonSettings = settings or self.read_settings()
        self.console = console or Console()
        self.clock: Clock = SystemClock()
        self._catalogue: Catalogue | None = None
        self._opening = threading.RLock()  # threads of the socket may be the first to ask
        self.handed: Callable[[str], PlanInForce | None] = lambda _: None
        """The texts of plans that the daemon has in force, for itself and the processes of its
        runs."""

    def read_settings(self) -> DaemonSettings:
        """Read the current drd.yaml. Raises ConfigError."""
        path, explicit = config_path(self._config)
        return load_settings(Path(path), explicit=explicit)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, opened at the first use, and made if it is missing."""
        with self._opening:
            if self._catalogue is None:
                return self._open()
            return self._catalogue

    def _open(self) -> Catalogue:
        # SQLAlchemy: a third of the start of what asks no catalogue, like `plan check`.
        from drd.catalogue.renewal import renew
        from drd.catalogue.sql_catalogue import open_catalogue

        settings = self.settings
        state_dir = settings.state_dir or settings.work_dir
        close_state(settings.places, renew)
        begins = is_missing(settings.places)
        try:
            self._catalogue = open_catalogue(
                settings.state_url,
                create=True,
                state_dir=state_dir,
                busy_s=self._busy_s,
                reading=self._reading,
                password=self.settings.state_password,
                roots=lambda run: is_noted(settings.work_dir, run),
            )
        except CatalogueError as error:
            if self.owns_state:
                raise
            raise NotOwner(
                f"this needs root: the state belongs to {self.state_owner}",
                hint=as_root_types_it(),
            ) from error
        if begins:
            note_former(self._catalogue, settings.places, self.clock.now())
        if self._publishes and self.owns_state:
            self._publishing = Publishing(self.publisher(), told=self._service)
            self._publishing.start()
        return self._catalogue

    def publisher(self) -> Publisher:
        """Return the publisher of the status summary, which is all that other users may read of the
        state."""
        settings = self.settings
        reader, secret = Reader(kept=self._service), settings.state_password
        state = settings.state_dir or settings.work_dir
        return Publisher(
            Place(
                settings.public_dir,
                settings.read_group,
                os.geteuid(),
                state / "locks/summary.lock",
            ),
            Source(
                lambda since: read_changed(settings.state_url, since, secret, reader),
                lambda: identity(settings.state_url),
                self.clock.now,
                reader.close,
            ),
            drd.__version__,
        )

    def _stop_publishing(self) -> None:
        if self._publishing is not None:
            self._publishing.stop()
            self._publishing = None

    @property
    def _loading(self) -> Loading:
        return Loading(self.settings, self.catalogue, self.clock, self.accept, self.console.warn)

    def load(self, name: str, *, coming_back: bool = False) -> Plan:
        """Read a plan's file, and put it in force: see `Loading.load`."""
        return self._loading.load(name, coming_back=coming_back)

    def read(self, name: str) -> Plan:
        """Read a plan's file, and change nothing: see `Loading.read`."""
        return self._loading.read(name)

    def refuse_exposed(self, loaded: LoadedPlan, in_force: str | None = None) -> None:
        """Raise ConfigError for exposed files: see `require_safe`."""
        self._loading.refuse_exposed(loaded, in_force)

    @property
    def trusted_users(self) -> frozenset[int]:
        return state_owners(self.settings.state_dir)

    def accept(self, loaded: LoadedPlan) -> Schedule:
        """Put the plan in force: for `status` and for scheduled runs."""
        plan = loaded.plan
        self.catalogue.plans.load(plan, file_digest=loaded.file_digest, at=self.clock.now())
        watched = plan.kit.watched(self.settings.kit_watch)
        schedule = schedule_of(plan, watched, host_of(secrets.peek))
        compiled = {
            "drd": drd.__version__,
            "kit": self.kit_said,
            "heartbeat": plan.heartbeat is not None,
            "secret_files": secret_files(plan),
            **schedule.to_json(),
        }
        self.catalogue.queue.accept(plan.name, loaded.text, compiled)
        return schedule

    @property
    def kit_said(self) -> float | None:
        """drd.yaml's part of the schedules of plans: how often their kit is tried."""
        return self.settings.kit_watch.every_s if self.settings.kit_watch else None

    def load_named(self, name: str) -> Plan:
        """Do the same as `load`, for a name from a row, which is never used as a path."""
        return self.load(self._by_name(name))

    def _by_name(self, name: str) -> str:
        if not PLAN_NAME.fullmatch(name):
            raise UnknownPlan(
                f"the catalogue has {name!r} in place of a plan's name",
                hint="the catalogue was changed by hand: check its runs with drd runs.",
            )
        return name

    def plan_in_force(self, name: str) -> Plan:
        """The plan as it was last accepted, whatever became of its file since. In the daemon and
        its runs it is the text that was loaded, elsewhere the stored one.

        When root works on another user's state, it uses root's file alone: another user could have
        written the stored text. Raises UnknownPlan when none was accepted, or for an invalid name,
        and ConfigError."""
        if (handed := self.handed(self._by_name(name))) is not None:
            return plan_of_text(handed.text, Path(handed.file))
        if self.is_root_for_another:
            return self._loading.of_roots_file(name)
        return self._loading.stored(name)

    @property
    def is_root_for_another(self) -> bool:
        """Whether root works on a state of another user, who can change its content."""
        return rights.acts_for() is not None

    def known_plan(self, name: str) -> str:
        """The name of a plan that the catalogue or the plans directory knows, without loading it,
        even if its file is broken or gone. Raises UnknownPlan."""
        if name in self.catalogue.plans.names():
            return name
        return load_plan(find_plan(self.settings, name)).plan.name

    @property
    def owns_state(self) -> bool:
        """Whether this user owns the runs in the state, or is root, who acts as that user. Others
        ask the daemon."""
        directory = self.settings.state_dir
        if rights.may_be_root() or directory is None or not directory.is_dir():
            return True
        return directory.stat().st_uid == os.geteuid()

    @property
    def state_owner(self) -> str:
        """The name of the user who owns the state, or the number."""
        directory = self.settings.state_dir
        uid = directory.stat().st_uid if directory is not None else os.geteuid()
        return user_name(uid)

    def set_catalogue_aside(self) -> Path:
        """Rename a damaged SQLite catalogue, so that the next use makes a new one."""
        self._stop_publishing()
        if self._catalogue is not None:
            self._catalogue.close()
            self._catalogue = None
        from drd.catalogue.damage import set_aside

        return set_aside(self.settings.state_url, self.clock.now())

    def plan_names(self) -> list[str]:
        """The names of the plans in the plans directory, as written in the plans."""
        return sorted(plans_by_name(self.settings.plans_dir))

    def services(self, plan: Plan, claim: Run | None = None) -> Services:
        """Return what the flows need to work on this plan."""
        is_root = rights.may_be_root()
        catalogue, row_trust = self.row_trust()
        return Services(
            catalogue=catalogue,
            clock=self.clock,
            kinds=kinds_of(kind_for),
            checks=check_for,
            open_repository=self.open_repository,
            work_dir=self.settings.work_dir,
            run_as=sandbox_user(self.settings.run_as, server_users()) if is_root else None,
            is_root=is_root,
            private=self._private(),
            parallel=self.settings.per_repository,
            jobs=min(4, os.cpu_count() or 1),
            versions=_versions(plan),
            own_files=lambda: own_files(self.settings, Path(plan.file)),
            on_progress=self.console.on_progress,
            warn=self.console.warn,
            note=self.console.note,
            claim=claim,
            read_facts=self.read_facts,
            kit_findings=self._kit_findings,
            exposed=lambda plan: findings(plan, self.trusted_users),
            try_kit=self._try_kit,
            host_from_kit=self._host_from_kit,
            roles=self.settings.roles,
            actions=action_for,
            notify_now=self.notify_now,
            on_steps=self.console.on_steps,
            compares=comparison,
            booted=booted,
            row_trust=row_trust,
        )

    def row_trust(self) -> tuple[Catalogue, RowTrust]:
        """The catalogue of what was decided and done in recoveries, and which entries this process
        trusts."""
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
        return host_from_kit(plan, at, place, self.clock.now(), self._host)

    @contextmanager
    def _host(self, config: Path, plan: str) -> Iterator[tuple[Services, Plan]]:
        """Return another host, described by its drd.yaml."""
        with only_those_in_use(), app(str(config), self.console) as there:
            loaded = there.load(plan)
            yield there.services(loaded), loaded

    def notify_now(self, message: Message) -> list[str]:
        """Notify through the channels of drd.yaml, as `flows.runbook.notify.notify_now` does."""
        return notify_now(
            message, self._channels(), self.open_notifier, self.clock, self.console.warn
        )

    def _channels(self) -> Sequence[ChannelSpec]:
        """Return the channels of the current drd.yaml, in a run of the daemon, whose settings have
        no channels."""
        if self.settings.channels or self.settings.file is None:
            return self.settings.channels
        return load_settings(self.settings.file, explicit=True).channels

    def open_repository(self, spec: RepositorySpec) -> Repository:
        opened = open_repository(spec, cache_dir=self.settings.cache_dir, resolve=secrets.resolve)
        return repository_of(opened, spec.url)

    def open_notifier(self, spec: ChannelSpec) -> Notifier:
        return open_notifier(spec, resolve=secrets.resolve)

    def outbox_sender(self) -> OutboxSender:
        """Return the sender of the outbox through the channels of drd.yaml."""
        return OutboxSender(self.catalogue, self.settings.channels, self.open_notifier, self.clock)

    def heartbeats(self) -> Heartbeats:
        """Heartbeats to the addresses of drd.yaml, and to those of plans."""
        return Heartbeats(
            self.catalogue,
            self.settings.channels,
            lambda spec: open_watcher(spec, resolve=secrets.resolve),
            self.clock,
        )

    def read_facts(self, plan: str | None = None) -> Sequence[PlanFacts]:
        """Return the facts for `drd status` of every loaded plan, or of one."""
        return read_facts(self.settings.state_url, plan, self.settings.state_password)

    def close(self) -> None:
        self._stop_publishing()
        if self._catalogue is not None:
            self._catalogue.close()


def _versions(plan: Plan) -> dict[str, str]:
    """Return the versions of the programs that make or restore a point, for manifests and
    evidence.
    """
    return {
        "drd": drd.__version__,
        "python": platform.python_version(),
        **{f"extension {one.name}": one.version for one in extensions_used(plan)},
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
) -> Iterator[App]:
    """An App that is closed at the end. Meanwhile root acts as the user who owns the state."""
    opened = App(config, console, settings, busy_s, reading=reading, service=service)
    state = opened.settings.state_dir or opened.settings.work_dir
    with acting_for_owner(state, opened.settings.work_dir):
        try:
            yield opened
        finally:
            opened.close()
