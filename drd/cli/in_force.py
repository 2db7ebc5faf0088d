"""Whether what a person has written into plan files is what drd works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from drd.bootstrap import App
from drd.config.daemon import plans_by_name
from drd.config.plan_file import load_plan
from drd.errors import ConfigError, UnknownPlan
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.run import RunKind, RunState

_SILENT_S = 180.0
"""A daemon that gave no sign of life for so long does not run."""


def in_force_with(
    app: App, plan: Plan, spec: RepositorySpec
) -> Callable[[SecretRef], Sequence[str]]:
    """What is missing until everything that works with this repository does so with another
    password: plan files that name it, a daemon that has loaded them, and the end of runs that began
    before. Sentences that follow `until`."""
    since: list[datetime] = []

    def missing(new: SecretRef) -> list[str]:
        files = {n: f[0] for n, f in plans_by_name(app.settings.plans_dir).items()}
        files[plan.name] = Path(plan.file)
        found = [why for file in files.values() for why in _names_another(file, spec, new)]
        if not found and _daemon_lives(app):
            found = [
                why
                for row in app.catalogue.queue.plan_rows()
                if row.name in files
                for why in _works_with_another(app, row.name, spec, new)
            ]
        if found:
            return found
        since[:] = since or [app.clock.now()]
        return [
            f"run {run.id} ({run.kind} of {run.plan}) is over, which began before"
            for run in app.catalogue.queue.open_runs()
            if run.state is RunState.RUNNING
            and run.kind is not RunKind.REKEY
            and run.plan in files
            and run.started_at is not None
            and run.started_at < since[0]
        ]

    return missing


def _names_another(file: Path, spec: RepositorySpec, new: SecretRef) -> list[str]:
    try:
        plan = load_plan(file).plan
    except ConfigError as error:
        if spec.url not in file.read_text(encoding="utf-8", errors="replace"):
            return []
        return [f"{file} can be loaded: {error.message}"]
    return [
        f"{file} names {new.describe()} as repositories.{one.name}.password, it names "
        f"{one.password.describe()}"
        for one in plan.repositories.values()
        if one.url == spec.url and one.password != new
    ]


def _works_with_another(app: App, name: str, spec: RepositorySpec, new: SecretRef) -> list[str]:
    try:
        plan = app.plan_in_force(name)
    except (ConfigError, UnknownPlan):
        return []
    hint = "systemctl restart drd" if new.source == "credential" else "systemctl reload drd"
    return [
        f"the daemon has loaded the file of {name}: {hint}"
        for one in plan.repositories.values()
        if one.url == spec.url and one.password != new
    ]


def _daemon_lives(app: App) -> bool:
    """Whether one has shown itself of late, and did not say that it stopped."""
    noted = app.catalogue.queue.noted("heartbeat")
    if noted is None or dict(noted[1]).get("state") == "stopped":
        return False
    return (app.clock.now() - noted[0]).total_seconds() < _SILENT_S
