"""Who else stores in a repository: plans that this host does not know, of other hosts that have its password."""

from __future__ import annotations

from drd.flows.services import Services
from drd.model.plan import NAME
from drd.ports import Repository


def unknown_plans(services: Services, repository: Repository) -> list[str]:
    """The names of plans whose restore points lie there and that were never loaded here. A plan of another
    host with the name of one of ours cannot be told from it. Raises RepositoryError."""
    known = set(services.catalogue.plan_names())
    listing = repository.snapshots(tags=["drd", "manifest"], fresh=True)
    return sorted({s.host for s in listing if s.host not in known and NAME.fullmatch(s.host)})
