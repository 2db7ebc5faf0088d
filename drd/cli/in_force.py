"""Find out whether drd uses the present text of plan files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from drd import secrets
from drd.bootstrap import App
from drd.cli.follow import is_alive
from drd.config.plan_file import load_plan, plan_of_text
from drd.config.plan_search import plans_by_name
from drd.errors import ConfigError, DrdError
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.run import RunKind, RunState
from drd.ports import PlanRow

_HANDED_OVER = Path("/run/credentials/drd.service")
"""The directory of the service's credentials from systemd."""


def in_force_with(
    app: App, plan: Plan, spec: RepositorySpec
) -> Callable[[SecretRef], Sequence[str]]:
    """Return what is missing until everything that uses this repository uses the other password:
    plan files that name the password, a daemon that has loaded these files, and the end of runs
    that began before. The phrases follow `until`.
    """
    since: list[datetime] = []

    def missing(new: SecretRef) -> list[str]:
        files = {n: f[0] for n, f in plans_by_name(app.settings.plans_dir).items()}
        files[plan.name] = Path(plan.file)
        reasons = [why for file in files.values() for why in _names_another(file, spec, new)]
        if not reasons and is_alive(app):
            reasons = [
                why
                for row in app.catalogue.queue.plan_rows()
                if row.name in files
                for why in _works_with_another(app, row, spec, new)
            ] + _lacks_credential(new)
        if reasons:
            return reasons
        since[:] = since or [app.clock.now()]
        dead = {run.id for run in app.catalogue.runs.abandoned()}
        return [
            f"run {run.id} ({run.kind} of plan {run.plan}), which began earlier, has ended"
            for run in app.catalogue.queue.open_runs()
            if run.state is RunState.RUNNING
            and run.id not in dead
            and run.kind is not RunKind.REKEY
            and run.plan in files
            and run.started_at is not None
            and run.started_at < since[0]
        ]

    return missing


def keepers_of(
    app: App, plan: Plan, spec: RepositorySpec
) -> tuple[Sequence[tuple[Plan, RepositorySpec]], Sequence[str]]:
    """Return every plan that stores in this repository, by its file, or else by the text that was
    loaded; this plan comes first. Also return the names of plans for which neither can be read."""
    files = {n: f[0] for n, f in plans_by_name(app.settings.plans_dir).items() if n != plan.name}
    rows = {row.name: row for row in app.catalogue.queue.plan_rows() if row.name != plan.name}
    there = {p.plan for p in app.catalogue.health.places() if p.url == spec.url} - {plan.name}
    keepers, unreadable = [(plan, spec)], []
    for name in sorted(files.keys() | there):
        loaded = _file_or_text(app, files.get(name), rows.get(name))
        mine = [s for s in loaded.repositories.values() if s.url == spec.url] if loaded else []
        if loaded is not None and mine:
            keepers.append((loaded, mine[0]))
        elif name in there:
            unreadable.append(name)
    return keepers, unreadable


def _file_or_text(app: App, file: Path | None, row: PlanRow | None) -> Plan | None:
    with suppress(ConfigError):
        if file is not None:
            return load_plan(file).plan
    with suppress(ConfigError):
        text = app.catalogue.queue.accepted(row.name) if row is not None else None
        if row is not None and text is not None:
            return plan_of_text(text, Path(row.file))
    return None


def _names_another(file: Path, spec: RepositorySpec, new: SecretRef) -> list[str]:
    try:
        plan = load_plan(file).plan
    except ConfigError as error:
        if spec.url not in file.read_text(encoding="utf-8", errors="replace"):
            return []
        return [f"{file} can be loaded (now: {error.message})"]
    return [
        f"{file} names {new.describe()} as repositories.{one.name}.password (now it names "
        f"{one.password.describe()})"
        for one in plan.repositories.values()
        if one.url == spec.url and one.password != new
    ]


def _works_with_another(app: App, row: PlanRow, spec: RepositorySpec, new: SecretRef) -> list[str]:
    """Return whether a daemon uses another password, by the stored text: a daemon stores what it
    has loaded, and reads what a command of root's has stored from root's file.
    """
    text = app.catalogue.queue.accepted(row.name)
    try:
        plan = plan_of_text(text, Path(row.file)) if text is not None else None
    except ConfigError:
        plan = None
    if plan is None:
        return []
    hint = "systemctl restart drd" if new.source == "credential" else "systemctl reload drd"
    return [
        f"the daemon has loaded the file of plan {row.name} again (run `{hint}`)"
        for one in plan.repositories.values()
        if one.url == spec.url and one.password != new
    ]


def _lacks_credential(new: SecretRef) -> list[str]:
    """A service has the credentials that existed when it started."""
    if new.source != "credential" or not _HANDED_OVER.is_dir():
        return []
    wanted = secrets.resolve(new)
    for name in (f"{secrets.UNIT_PREFIX}{new.value}", str(new.value)):
        with suppress(DrdError):
            if secrets.resolve(SecretRef("file", str(_HANDED_OVER / name))) == wanted:
                return []
    return [f"the service has loaded the {new.describe()} (run `systemctl restart drd`)"]
