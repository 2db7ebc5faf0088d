"""Whether the repository is the one that it was, and making it when it never was."""

from __future__ import annotations

from drd.errors import RepositoryMissing
from drd.flows.services import Services
from drd.ports import Repository

INIT_WAIT_S = 120.0


def confirm(services: Services, repository: Repository) -> str:
    """The id of the repository, which must be the one recorded for its URL, if any was.

    Raises RepositoryMissing for a URL without a repository, or with another one than recorded.
    """
    repository.preflight()
    actual = repository.identity()
    recorded = services.catalogue.repository_id(repository.url)
    if actual is None:
        if recorded is None:
            raise RepositoryMissing(
                f"there is no repository at {repository.url} yet",
                hint="the first `drd backup` makes it.",
            )
        raise _gone(repository, recorded)
    if recorded is None:
        services.catalogue.record_repository(repository.url, actual, services.clock.now())
    elif recorded != actual:
        raise RepositoryMissing(
            f"the repository at {repository.url} is not the one that drd knows: its id is "
            f"{actual[:8]}, recorded is {recorded[:8]}",
            hint="find out who replaced it; to begin anew on purpose, give the plan another URL "
            "or prefix.",
        )
    return actual


def confirm_or_initialise(services: Services, repository: Repository) -> str:
    """Like `confirm`, but makes the repository when none was ever recorded for its URL.

    Only for backup runs. Under a lock between all drd processes of this state: two `restic init`
    at once destroy a local repository.
    """
    if services.catalogue.repository_id(repository.url) is not None:
        return confirm(services, repository)
    repository.preflight()
    with services.catalogue.lock(f"init {repository.url}", wait_s=INIT_WAIT_S):
        if services.catalogue.repository_id(repository.url) is None:
            actual = repository.identity() or repository.initialise()
            services.catalogue.record_repository(repository.url, actual, services.clock.now())
            return actual
    return confirm(services, repository)


def _gone(repository: Repository, recorded: str) -> RepositoryMissing:
    return RepositoryMissing(
        f"the repository {recorded[:8]} that was at {repository.url} is gone",
        hint="find out who emptied it; drd does not take an emptied place for a fresh one. To "
        "begin anew on purpose, give the plan another URL or prefix.",
    )
