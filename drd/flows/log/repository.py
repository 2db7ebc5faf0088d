"""The repositories of a plan's logs. Each is beside a repository of the plan, and has the same
keys: the receivers store the log beside the repository of the backups, and drd copies it to the
others."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from drd.errors import DrdError, NotSupported
from drd.flows.services import Services
from drd.log import get
from drd.model.log import LOG_TAG, LogBatch, batch_of
from drd.model.log_place import SUFFIX, place_of_logs
from drd.model.plan import Plan, RepositorySpec
from drd.ports import Repository
from drd.registry import KINDS


def log_spec(plan: Plan, name: str = "") -> RepositorySpec:
    """Return the repository of the logs that is beside the repository `name` of the plan. Without a
    name, it is beside the repository of the backups. Raises NotSupported if its URL has no place
    beside it."""
    beside = plan.repositories[name] if name else plan.primary
    place = place_of_logs(beside.url)
    if place is None:
        url = beside.url.rstrip("/")
        raise NotSupported(
            f"repository {beside.name} is a whole bucket or server ({url}), so there is no place "
            "for the log beside it",
            hint=f"write a path into `url` of repository {beside.name}: {url}/{plan.name}",
        )
    return replace(beside, name=f"{beside.name}{SUFFIX}", url=place)


def with_logs(plan: Plan, only: Collection[str] | None = None) -> list[str]:
    """Return the repositories of the plan beside which a log can be, in the order in which a
    recovery tries them; limited to `only`."""
    with_log = []
    for name in plan.repositories:
        if only is None or name in only:
            with suppress(DrdError):
                log_spec(plan, name)
                with_log.append(name)
    return with_log


def stored_beside(services: Services, plan: Plan, name: str) -> RepositorySpec | None:
    """Return the repository of the logs that is beside the repository `name` of the plan; None if
    nothing was ever stored there."""
    if not with_logs(plan, [name]):
        return None
    spec = log_spec(plan, name)
    return spec if services.catalogue.repositories.id_of(spec.url) is not None else None


def copied_to(plan: Plan) -> list[RepositorySpec]:
    """Return the repositories with `copy_of` to which drd copies the logs."""
    able = with_logs(plan)
    return [c for c in plan.copies if c.name in able and str(c.copy_of) in able]


def batches_in(repository: Repository, plan: str, component: str) -> list[LogBatch]:
    """Return the batches of the log of a component that are in the repository. Snapshots with other
    tags than drd writes are left out."""
    tags = [LOG_TAG, f"component:{component}"]
    batches = []
    for info in repository.snapshots(host=plan, tags=tags, fresh=True):
        try:
            batches.append(replace(batch_of(info.id, info.tags), stored_at=info.time))
        except ValueError as error:
            get().warning("log.batch_ignored", snapshot=info.id, error=str(error))
    return batches


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
