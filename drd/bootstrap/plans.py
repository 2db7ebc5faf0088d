"""The plans of one state: their files, and the texts that are in force."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import drd
from drd import secrets
from drd.bootstrap.state import state_places
from drd.config.daemon import DaemonSettings
from drd.config.exposed_files import (
    Exposed,
    NotTaken,
    exposed_files,
    exposed_plan,
    require_safe,
    secret_files,
    state_owners,
)
from drd.config.plan_file import LoadedPlan, load_plan, plan_of_text
from drd.config.plan_search import file_gone, find_plan, names_a_file, plans_by_name
from drd.config.root_plans import of_roots_file
from drd.config.run_settings import PlanInForce
from drd.config.yaml import dotted
from drd.errors import ConfigError, Problem, UnknownPlan
from drd.flows.state.former_catalogue import came_after_another
from drd.flows.status.daemon_alive import differs_in_force
from drd.flows.status.refused_plans import note_one
from drd.kinds.registry import host_of
from drd.model.plan import NAME as PLAN_NAME
from drd.model.plan import Plan
from drd.model.schedule import Schedule, schedule_of
from drd.ports import Catalogue, Clock
from drd.presence import is_gone
from drd.process import rights
from drd.registry import extensions_used


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of this host. `open_catalogue` opens the catalogue at its first use. `handed` has
    the texts that the daemon has in force, for itself and the processes of its runs. `warn` tells
    the person who runs the command. With `only_reads`, loading a plan does not put its text in
    force: if the text differs from the one in force, `copy` makes a copy of the catalogue, and the
    text is put in force there.
    """

    settings: DaemonSettings
    open_catalogue: Callable[[], Catalogue]
    clock: Clock
    handed: Callable[[str], PlanInForce | None]
    warn: Callable[[str], None]
    only_reads: bool = False
    copy: Callable[[], None] | None = None

    @property
    def catalogue(self) -> Catalogue:
        return self.open_catalogue()

    @property
    def trusted_users(self) -> frozenset[int]:
        """Return the users whose files drd trusts."""
        return state_owners(self.settings.state_dir)

    @property
    def kit_interval_s(self) -> float | None:
        """drd.yaml's part of the schedules of plans: how often their kit is tried."""
        return self.settings.kit_watch.every_s if self.settings.kit_watch else None

    def names(self) -> list[str]:
        """The names of the plans in the plans directory, as written in the plans."""
        return sorted(plans_by_name(self.settings.plans_dir))

    def names_without_file(self) -> list[str]:
        """The names of the plans in force whose files are gone."""
        there = self.names()
        rows = self.catalogue.queue.plan_rows()
        return sorted(r.name for r in rows if r.name not in there and is_gone(r.file))

    def text_in_force(self, name: str) -> tuple[str, str]:
        """Return the file of a plan, and the text that drd loaded from it last. Raises
        UnknownPlan."""
        rows = self.catalogue.queue.plan_rows([name])
        text = self.catalogue.queue.accepted(name)
        if not rows or text is None:
            raise UnknownPlan(
                f"drd has never loaded plan {name}", hint=f"to see why: drd doctor {name}"
            )
        return rows[0].file, text

    def known_name(self, name: str) -> str:
        """The name of a plan that the catalogue or the plans directory knows, without loading it,
        even if its file is broken or gone. Raises UnknownPlan."""
        if name in self.catalogue.plans.names():
            return name
        return load_plan(find_plan(self.settings, name)).plan.name

    def load(self, name: str, *, coming_back: bool = False) -> Plan:
        """Read a plan's file and record it in the catalogue, so that `status` knows it.

        A plan whose file is broken is marked there, and its errors are raised. If a running daemon
        has loaded another text, the catalogue keeps that text, and drd warns. If others can write
        the file, the text in force stays, and drd warns. `coming_back`: the plan was in force by a
        catalogue that is lost."""
        path = self.file_of(name)
        try:
            loaded = load_plan(path, self.settings.known_roles)
        except ConfigError as error:
            known = path.stem if names_a_file(name) else name
            self._mark_broken(known, path, error)
            exposed = exposed_plan(str(path), self.trusted_users)
            if exposed is None or exposed.is_told_only:
                raise
            return self._without_file(known, path, exposed, error)
        try:
            self.refuse_exposed(loaded, coming_back=coming_back)
        except NotTaken as error:
            self._mark_broken(loaded.plan.name, path, error)
            return self._without_file(loaded.plan.name, path, error.exposed, error)
        if not self.only_reads:  # `drd doctor` has findings of its own
            for exposed_file in exposed_files(loaded, self.trusted_users):
                self.warn(f"{exposed_file}. To correct the access rights: {exposed_file.remedy}")
        differs = differs_in_force(self.catalogue, loaded.plan, loaded.text, self.clock.now())
        if differs is not None:
            self.warn(differs)
        if self.only_reads and self.copy is not None:
            if names_a_file(name) or not self.has_in_force(loaded.plan):
                self.copy()
                self.accept(loaded)
        elif differs is None and not self.only_reads:
            self.accept(loaded)
        return loaded.plan

    def has_in_force(self, plan: Plan) -> bool:
        """Return whether this text of the plan is in force."""
        rows = self.catalogue.queue.plan_rows([plan.name])
        return bool(rows) and rows[0].digest == plan.digest

    def load_known(self, name: str) -> Plan:
        """Load a plan by a name from a row, in the same way as `load`; the name is never used as a
        path."""
        return self.load(_no_path(name))

    def in_force(self, name: str) -> Plan:
        """Return the plan as it was last accepted, whatever happened to its file since then. In the
        daemon and in its runs this is the text that the daemon loaded, elsewhere the stored text.
        When root works on another user's state, it uses only root's file: another user could have
        written the stored text. Raises UnknownPlan when no text was accepted, or for an invalid
        name, and ConfigError."""
        if (handed := self.handed(_no_path(name))) is not None:
            return plan_of_text(handed.text, Path(handed.file))
        if rights.acts_for() is not None:
            return self._of_roots_file(name)
        return self._stored(name)

    def accept(self, loaded: LoadedPlan) -> Schedule:
        """Put the plan in force: for `status` and for scheduled runs."""
        plan = loaded.plan
        self.catalogue.plans.load(plan, file_digest=loaded.file_digest, at=self.clock.now())
        watched = plan.kit.watched(self.settings.kit_watch)
        schedule = schedule_of(plan, watched, host_of(secrets.peek))
        compiled = {
            "drd": drd.__version__,
            "kit": self.kit_interval_s,
            "components": list(plan.components),
            "heartbeat": plan.heartbeat is not None,
            "secret_files": secret_files(plan),
            "packages": dict(extensions_used(plan)),
            **schedule.to_json(),
        }
        self.catalogue.queue.accept(plan.name, loaded.text, compiled)
        return schedule

    def refuse_exposed(
        self, loaded: LoadedPlan, in_force: str | None = None, *, coming_back: bool = False
    ) -> None:
        """Raise ConfigError for exposed files: see `require_safe`. And for a new plan, or a new
        component, with a name that commands take for an option."""

        def came_back() -> bool:
            return coming_back or came_after_another(self.catalogue, state_places(self.settings))

        require_safe(loaded, self.catalogue, self.trusted_users, in_force, came_back=came_back)
        if loaded.odd_names and not came_back():
            refused = [p for p in loaded.odd_names if not self._is_in_force(loaded.plan.name, p)]
            if refused:
                raise ConfigError(refused)

    def _is_in_force(self, name: str, odd: Problem) -> bool:
        """Return whether the plan in force has this name already, or nobody knows its names."""
        if name not in self.catalogue.plans.names() and not self.catalogue.points.of_plan(name):
            return False
        components = self._components_in_force(name)
        if components is None:
            return True
        return odd.path in {"plan", *(dotted(("components", one)) for one in components)}

    def _components_in_force(self, name: str) -> Collection[str] | None:
        """Return the names of the components of the plan in force, as they were compiled when it
        was accepted; None if nobody knows them. In a row of an older drd only the text has them,
        which root does not read in another user's state."""
        rows = self.catalogue.queue.plan_rows([name])
        compiled = (rows[0].schedule or {}).get("components") if rows else None
        if isinstance(compiled, list):
            return [str(one) for one in compiled]
        if rights.acts_for() is not None:
            return None
        try:
            return self._stored(name).components
        except (UnknownPlan, ConfigError):
            return None

    def _stored(self, name: str) -> Plan:
        """Return the plan from the text in force. Raises UnknownPlan and ConfigError."""
        file, text = self.text_in_force(name)
        return plan_of_text(text, Path(file))

    def _of_roots_file(self, name: str) -> Plan:
        """Return the plan from root's own file alone. Raises UnknownPlan and ConfigError."""
        loaded = of_roots_file(self.settings, name, self.catalogue.queue.plan_rows([name]))
        self.refuse_exposed(loaded)
        return loaded.plan

    def file_of(self, name: str) -> Path:
        """Find the file of a plan. Raises UnknownPlan, with the former place of the file if the
        plan was loaded before."""
        try:
            return find_plan(self.settings, name)
        except UnknownPlan:
            for row in self.catalogue.queue.plan_rows():
                if row.name == name:
                    raise file_gone(name, row.file) from None
            raise

    def _without_file(self, name: str, path: Path, exposed: Exposed, error: ConfigError) -> Plan:
        """Return the plan from the text in force, and ignore its file, which others can write: what
        they write there cannot stop a command. Root trusts a stored text only in its own state.
        Raises `error` if there is no such text."""
        if rights.acts_for() is not None:
            raise error
        try:
            plan = self._stored(name)
        except (UnknownPlan, ConfigError):
            raise error from None
        if plan.file != os.path.abspath(path):  # noqa: PTH100 (keeps symlinks)
            raise error
        self.warn(
            f"{exposed}, so drd ignores its current text. This command uses the text that drd "
            "loaded before. Find out who wrote the current text. If it is right: "
            f"{exposed.remedy}"
        )
        return plan

    def _mark_broken(self, name: str, path: Path, error: ConfigError) -> None:
        if self.only_reads:
            return
        if name in self.catalogue.plans.names():
            self.catalogue.plans.mark_broken(name, error.line, self.clock.now())
        elif path.parent == self.settings.plans_dir:
            note_one(self.catalogue.queue, name, path, error.line, self.clock.now())


def _no_path(name: str) -> str:
    """Refuse what is no name: it would be used as a path."""
    if not PLAN_NAME.fullmatch(name):
        raise UnknownPlan(
            f"the catalogue contains a plan with the name {name!r}, which is not a valid name",
            hint="somebody changed the catalogue without drd. To see its runs: drd runs",
        )
    return name
