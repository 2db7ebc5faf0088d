"""Check that the repository is the expected one, and initialise it if it never existed."""

from __future__ import annotations

from drd import log
from drd.errors import DrdError, RepositoryMissing
from drd.flows.repository.observed_state import recording_state, remember
from drd.flows.repository.unexpected import absent_error, another_error
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.text import called
from drd.ports import Repository

INIT_WAIT_S = 120.0


def confirm(services: Services, repository: Repository, *, writing: bool = True) -> str:
    """Return the id of the repository, which must be the one recorded for its URL, if any was.

    Raises RepositoryMissing for a URL without a repository, or with another one than recorded. Also
    removes locks of dead processes."""
    with recording_state(services, repository):
        repository.preflight(writing=writing)
        actual = repository.identity()
        recorded = services.catalogue.repositories.id_of(repository.url)
        if recorded is not None:
            _expect(repository, actual, recorded)
    if recorded is None and actual is None:
        raise _never_seen(repository)
    if recorded is None:
        services.catalogue.repositories.record(repository.url, str(actual), services.clock.now())
    remember(services, repository)
    remove_dead_locks(repository)
    return str(actual)


def same_repository(name: str, other: str, identity: str) -> tuple[str, str]:
    """Return what is wrong with a copy that is the repository which it copies, and the remedy."""
    place = f"repositories {name} and {other} are the same place ({identity[:8]})"
    return (
        f"{place}: one loss destroys both",
        f"give repository {name} in the plan the URL of another place.",
    )


def probe_repository(services: Services, repository: Repository) -> None:
    """Raise RepositoryMissing when the repository recorded for the URL is no longer there; records
    only this state, and changes nothing."""
    recorded = services.catalogue.repositories.id_of(repository.url)
    if recorded is not None:
        with recording_state(services, repository):
            _expect(repository, repository.identity(), recorded)


def recognise(services: Services, plan: Plan) -> None:
    """Find out which repositories the plan's URLs mean if drd has not seen them yet, as after a
    change of a URL: points know their repositories by id. Contacts no others, and ignores
    repositories that do not answer."""
    for spec in plan.repositories.values():
        if services.catalogue.repositories.id_of(spec.url) is not None:
            continue
        try:
            known_id = services.open_repository(spec).identity()
        except DrdError as error:
            log.get().info("repository.not_recognised", repository=spec.url, error=error.message)
            continue
        if known_id is not None:
            services.catalogue.repositories.record(spec.url, known_id, services.clock.now())


def remove_dead_locks(repository: Repository) -> None:
    """Remove locks of dead processes. Most work can be done beside a stale lock, so a failure here
    is ignored."""
    try:
        repository.remove_stale_locks()
    except DrdError as error:
        log.get().warning("repository.lock_left", repository=repository.url, error=error.message)


def confirm_or_initialise(
    services: Services, repository: Repository, *, chunker_from: Repository | None = None
) -> str:
    """Like `confirm`, but initialises the repository when no repository was ever recorded for its
    URL; a copy uses the chunker parameters of `chunker_from`. Only for backup runs, and for the
    copy runs of a copy. Holds a lock between all drd processes of this state: two `restic
    init` at once destroy a local repository."""
    if services.catalogue.repositories.id_of(repository.url) is not None:
        return confirm(services, repository)
    with recording_state(services, repository):
        repository.preflight()
    with services.catalogue.lock(f"init {repository.url}", wait_s=INIT_WAIT_S):
        if services.catalogue.repositories.id_of(repository.url) is None:
            actual = repository.identity()
            if actual is None:
                actual = repository.initialise(chunker_from=chunker_from)
            else:
                remove_dead_locks(repository)
            services.catalogue.repositories.record(repository.url, actual, services.clock.now())
            remember(services, repository)
            return actual
    return confirm(services, repository)


def _never_seen(repository: Repository) -> RepositoryMissing:
    if repository.made_by:
        return RepositoryMissing(
            f"there is no repository at {repository.url}",
            hint=f"{called(repository.made_by)} makes this repository, not drd: check `url` "
            "in the plan, and whether the disk is mounted or the bucket exists.",
        )
    return RepositoryMissing(
        f"there is no repository at {repository.url} yet",
        hint="the first `drd backup` creates the repository (for a copy, the first `drd copy`).",
    )


def _expect(repository: Repository, actual: str | None, recorded: str) -> None:
    if actual is None:
        raise absent_error(repository.url, recorded)
    if recorded != actual:
        raise another_error(repository.url, recorded, actual)
