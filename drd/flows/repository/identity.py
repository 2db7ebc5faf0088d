"""Whether the repository is the one that it was, and making it when it never was."""

from __future__ import annotations

from drd import log
from drd.errors import DrdError, RepositoryMissing
from drd.flows.repository.sightings import meeting, remember
from drd.flows.repository.unexpected import absent, another
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.ports import Repository

INIT_WAIT_S = 120.0


def confirm(services: Services, repository: Repository, *, writing: bool = True) -> str:
    """The id of the repository, which must be the one recorded for its URL, if any was.

    Raises RepositoryMissing for a URL without a repository, or with another one than recorded.
    Locks that dead processes left there are removed on the way.
    """
    with meeting(services, repository):
        repository.preflight(writing=writing)
        actual = repository.identity()
        recorded = services.catalogue.repository_id(repository.url)
        if recorded is not None:
            _expect(repository, actual, recorded)
    if recorded is None and actual is None:
        raise RepositoryMissing(
            f"there is no repository at {repository.url} yet",
            hint="the first `drd backup` makes it; the first `drd copy`, where it is a copy.",
        )
    if recorded is None:
        services.catalogue.record_repository(repository.url, str(actual), services.clock.now())
    remember(services, repository)
    tidy(repository)
    return str(actual)


def probe_repository(services: Services, repository: Repository) -> None:
    """Raise RepositoryMissing when the repository recorded for the URL is not there any more;
    records no more than how it was found, and changes nothing."""
    recorded = services.catalogue.repository_id(repository.url)
    if recorded is not None:
        with meeting(services, repository):
            _expect(repository, repository.identity(), recorded)


def recognise(services: Services, plan: Plan) -> None:
    """Find out which repositories the plan means where nobody has seen them yet, as after its URL
    was changed: points are known by the id of their repository. Asks nobody else; what cannot be
    reached is none of the business of whoever only looks."""
    for spec in plan.repositories.values():
        if services.catalogue.repository_id(spec.url) is not None:
            continue
        try:
            found = services.open_repository(spec).identity()
        except DrdError as error:
            log.get().info("repository.not_recognised", repository=spec.url, error=error.message)
            continue
        if found is not None:
            services.catalogue.record_repository(spec.url, found, services.clock.now())


def tidy(repository: Repository) -> None:
    """Remove what dead processes locked. Most work can be done beside a stale lock, so being unable
    to remove one ends nothing."""
    try:
        repository.remove_stale_locks()
    except DrdError as error:
        log.get().warning("repository.lock_left", repository=repository.url, error=error.message)


def confirm_or_initialise(
    services: Services, repository: Repository, *, chunker_from: Repository | None = None
) -> str:
    """Like `confirm`, but makes the repository when none was ever recorded for its URL; a copy
    cuts data as `chunker_from` does.

    Only for backup runs, and for the copy run of a copy. Under a lock between all drd processes of
    this state: two `restic init` at once destroy a local repository.
    """
    if services.catalogue.repository_id(repository.url) is not None:
        return confirm(services, repository)
    with meeting(services, repository):
        repository.preflight()
    with services.catalogue.lock(f"init {repository.url}", wait_s=INIT_WAIT_S):
        if services.catalogue.repository_id(repository.url) is None:
            actual = repository.identity()
            if actual is None:
                actual = repository.initialise(chunker_from=chunker_from)
            else:
                tidy(repository)
            services.catalogue.record_repository(repository.url, actual, services.clock.now())
            remember(services, repository)
            return actual
    return confirm(services, repository)


def _expect(repository: Repository, actual: str | None, recorded: str) -> None:
    if actual is None:
        raise absent(repository.url, recorded)
    if recorded != actual:
        raise another(repository.url, recorded, actual)
