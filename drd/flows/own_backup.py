"""The built-in component `drd`: catalogue, plans and configuration, beside the restore points.

Stored after the manifest and at most hourly. It is no part of the point: a backup does not fail
because of it, but says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta

from drd import process
from drd.errors import DrdError
from drd.flows.capture import tags
from drd.flows.services import Services
from drd.flows.workplace import run_directory
from drd.model.plan import OWN_COMPONENT, Plan
from drd.ports import Repository, Stream

EVERY = timedelta(hours=1)
FILENAME = "drd.tar"


class NotSealed(DrdError):
    """The backup did not make a restore point, so there is nothing to store beside it."""


def store_if_due(
    services: Services,
    plan: Plan,
    repository: Repository,
    run: str,
    sealed: Callable[[], object],
) -> bool:
    """Store it unless this repository got one within the hour; whether it was stored.

    Called early, so that restic gets ready meanwhile; `sealed` waits until the point is recorded,
    and what is stored is from after that. What it raises calls this off.
    """
    now = services.clock.now()
    last = services.catalogue.last_self_backup(repository.url)
    if last is not None and timedelta(0) <= now - last < EVERY:
        return False
    try:
        _store(services, plan, repository, run, sealed)
        services.catalogue.record_self_backup(repository.url, now)
    except NotSealed:
        return False
    except (DrdError, OSError) as error:
        services.warn(f"drd's own catalogue and plans were not stored: {error}")
        return False
    return True


def _store(
    services: Services,
    plan: Plan,
    repository: Repository,
    run: str,
    sealed: Callable[[], object],
) -> None:
    stage = run_directory(services.work_dir, run) / f"{OWN_COMPONENT}.own"
    stage.mkdir(mode=0o700)

    def collect() -> None:
        sealed()
        services.catalogue.export_to(stage / "drd.db")
        for file in services.own_files():
            below = stage / "etc" / file.name
            below.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, below)

    try:
        command = process.Command(
            ("tar", "-C", str(stage), "--owner=0", "--group=0", "-cf", "-", "."), name="tar"
        )
        repository.store(
            Stream(command, FILENAME, before=collect),
            host=plan.name,
            tags=tags(run, plan.name, f"component:{OWN_COMPONENT}"),
            on_progress=services.on_progress,
        )
    finally:
        shutil.rmtree(stage, ignore_errors=True)
