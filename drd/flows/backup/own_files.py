"""The built-in component `drd`: catalogue, plans and configuration, beside the restore points.

It is stored after the manifest, at most hourly, and to only one repository a minute: the records of
a host with a thousand plans are large, and there may be a thousand repositories. It is not part of
the point: if it fails, the backup does not fail, but drd warns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta

from drd import process
from drd.errors import DrdError
from drd.flows.backup.capture import tags
from drd.flows.services import Services
from drd.flows.state.run_dirs import run_directory
from drd.model.plan import OWN_COMPONENT, Plan
from drd.ports import Repository, Stream

EVERY = timedelta(hours=1)
EACH = timedelta(minutes=1)
"""The shortest time between two copies in a repository."""
FILENAME = "drd.tar"
PLACES = "places.json"
"""The file in the component that says where the files in `etc` were on the host, by their name
there."""


def store_if_due(services: Services, plan: Plan, repository: Repository, run: str) -> bool:
    """Store the component unless this repository got it recently; return whether it was stored."""
    now = services.clock.now()
    last = services.catalogue.repositories.last_self_backup(repository.url)
    if not is_due(last, now, services.catalogue.repositories.count):
        return False
    try:
        _store(services, plan, repository, run)
        services.catalogue.repositories.record_self_backup(repository.url, now)
    except (DrdError, OSError) as error:
        services.warn(
            f"drd stored the data of {plan.name} in repository {repository.name}, but could "
            f"not store drd's own catalogue and plans there: {error}. The next backup tries "
            "this again"
        )
        return False
    return True


def is_due(last: datetime | None, now: datetime, repositories: Callable[[], int]) -> bool:
    """Return whether this repository is due again, given so many repositories. A `last` in the
    future is ignored, because the clock was set."""
    if last is None or not timedelta(0) <= now - last:
        return True
    return now - last >= EVERY and now - last >= EACH * repositories()


def _store(services: Services, plan: Plan, repository: Repository, run: str) -> None:
    stage = run_directory(services, run) / f"{OWN_COMPONENT}.own"
    stage.mkdir(mode=0o700)
    try:
        services.catalogue.export_to(stage / "drd.db")
        services.seal_copy(stage / "drd.db")
        own = services.own_files()
        (stage / PLACES).write_text(json.dumps({file.name: str(file) for file in own}))
        for file in own:
            below = stage / "etc" / file.name
            below.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, below)
        for name, file in services.own_texts().items():
            below = stage / "etc" / name
            below.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, below)
        command = process.Command(
            ("tar", "-C", str(stage), "--owner=0", "--group=0", "-cf", "-", "."), name="tar"
        )
        repository.store(
            Stream(command, FILENAME),
            host=plan.name,
            tags=tags(run, plan.name, f"component:{OWN_COMPONENT}"),
            on_progress=services.on_progress,
        )
    finally:
        shutil.rmtree(stage, ignore_errors=True)
