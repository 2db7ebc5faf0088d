"""The repository of a plan's logs. It is beside the repository of the backups, and has the same
keys.
"""

from __future__ import annotations

from dataclasses import replace

from drd.errors import NotSupported
from drd.flows.services import Services
from drd.log import get
from drd.model.log import LOG_TAG, LogBatch, batch_of
from drd.model.log_place import SUFFIX, place_of_logs
from drd.model.plan import Plan, RepositorySpec
from drd.ports import Repository
from drd.registry import KINDS


def log_spec(plan: Plan) -> RepositorySpec:
    """Return the repository of the logs. Raises NotSupported if the URL of the backups' repository
    has no place beside it."""
    primary = plan.primary
    place = place_of_logs(primary.url)
    if place is None:
        url = primary.url.rstrip("/")
        raise NotSupported(
            f"repository {primary.name} is a whole bucket or server ({url}), so there is no place "
            "for the log beside it",
            hint=f"write a path into `url` of repository {primary.name}: {url}/{plan.name}",
        )
    return replace(primary, name=f"{primary.name}{SUFFIX}", url=place)


def batches_in(repository: Repository, plan: str, component: str) -> list[LogBatch]:
    """Return the batches of the log of a component that are in the repository. Snapshots with other
    tags than drd writes are left out."""
    tags = [LOG_TAG, f"component:{component}"]
    found = []
    for info in repository.snapshots(host=plan, tags=tags, fresh=True):
        try:
            found.append(replace(batch_of(info.id, info.tags), stored_at=info.time))
        except ValueError as error:
            get().warning("log.batch_ignored", snapshot=info.id, error=str(error))
    return found


def log_keys() -> tuple[str, ...]:
    """Return the keys of components by which a plan asks for a log."""
    return tuple(spec.log_key for spec in KINDS if spec.log_key)


def logged(services: Services, plan: Plan) -> list[str]:
    """Return the components of the plan whose log drd receives and stores."""
    return [
        name
        for name, component in plan.components.items()
        if not component.adopted
        and services.kinds(component.kind).spec.log(component.settings) is not None
    ]
