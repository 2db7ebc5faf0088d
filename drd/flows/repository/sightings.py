"""Noting how repositories were found, by whatever meets one: what drd knows, its verdicts know.

A server that says that a repository is not there is believed; one that does not answer says nothing
about what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

from drd.errors import (
    CatalogueError,
    DeadlineExceeded,
    DrdError,
    RepositoryDamaged,
    RepositoryError,
    RepositoryMissing,
    RepositoryUnreachable,
    SecretUnavailable,
    WrongKey,
)
from drd.flows.repository.unexpected import absent, another
from drd.flows.services import Services
from drd.model.repositories import Meeting
from drd.ports import Catalogue, Clock, Repository

_FINE = Meeting("ok")


@contextmanager
def meeting(services: Services, repository: Repository) -> Iterator[None]:
    """Note how the repository was found: what the body raises, or that it is there."""
    try:
        yield
    except DrdError as error:
        note(services, repository, error)
        raise
    _note(services.catalogue, services.clock, repository.url, _FINE)


def note(services: Services, repository: Repository, error: DrdError) -> None:
    """An error in which a repository was met, as far as it says how that was."""
    found = _of_error(error)
    if found is not None:
        _note(services.catalogue, services.clock, repository.url, found)


def note_damage(
    services: Services, plan: str, point: str, damaged: Mapping[str, RepositoryDamaged]
) -> None:
    """What of a restore point could not be read, by repository."""
    for name, error in damaged.items():
        with suppress(CatalogueError):
            now = services.clock.now()
            services.catalogue.health.cost(
                plan, name, error.damage, point, now, repair=error.repair
            )


def remember(services: Services, repository: Repository) -> None:
    """What the repository that was just confirmed is known by from now on, at the cost of one
    request."""
    health = services.catalogue.health
    with suppress(DrdError):
        if health.config_digest(repository.url) is None:
            digest = repository.probe()
            if digest is not None:
                health.record_config_digest(repository.url, digest)


class Probed(Protocol):
    """What `probe` asks of a repository."""

    url: str

    def probe(self) -> str | None: ...

    def identity(self) -> str | None: ...


def probe(catalogue: Catalogue, clock: Clock, repository: Probed) -> bool:
    """Look whether the repository that drd knows is there, by one request, and note how it was
    found; whether that is news. Only one that looks like another is opened. Nothing is asked where
    there never was one."""
    recorded, digest, wrong = catalogue.health.expected(repository.url)
    if recorded is None:
        return False
    found = _probed(catalogue, repository, recorded, digest)
    if found.state == "ok" and wrong is None:
        return False
    if found.state == "ok" and wrong == "shut":
        found = _opened(repository)
    return _note(catalogue, clock, repository.url, found)


def no_answer(catalogue: Catalogue, clock: Clock, url: str, after_s: float) -> bool:
    """Note that a look at a repository got no answer in so many seconds; whether that is news."""
    return _note(catalogue, clock, url, Meeting("unreachable", f"no answer in {after_s:.0f} s"))


def _probed(catalogue: Catalogue, repository: Probed, recorded: str, known: str | None) -> Meeting:
    try:
        digest = repository.probe()
        if digest is None:
            return _as_met(absent(repository.url, recorded))
        if known is None or digest == known:
            return _FINE
        return _compared(catalogue, repository, recorded, digest)
    except (RepositoryError, DeadlineExceeded) as error:
        return _of_error(error) or Meeting("unreachable", error.message)


def _opened(repository: Probed) -> Meeting:
    """How the repository is found when it is opened with the password, which a probe does not
    do."""
    try:
        repository.identity()
    except DrdError as error:
        return _of_error(error) or Meeting("unreachable", error.message)
    return _FINE


def _compared(catalogue: Catalogue, repository: Probed, recorded: str, digest: str) -> Meeting:
    """Its `config` is another one: so is the repository, unless somebody upgraded its format."""
    try:
        actual = repository.identity()
    except WrongKey:
        actual = None
    if actual == recorded:
        catalogue.health.record_config_digest(repository.url, digest)
        return _FINE
    return _as_met(another(repository.url, recorded, actual))


def _as_met(error: RepositoryMissing) -> Meeting:
    return Meeting(error.state, error.message)


def _of_error(error: DrdError) -> Meeting | None:
    """None where it says nothing about whether the repository is there."""
    if isinstance(error, RepositoryMissing):
        return _as_met(error)
    if isinstance(error, WrongKey):
        return Meeting("shut", error.message)
    if isinstance(error, RepositoryUnreachable | DeadlineExceeded | SecretUnavailable):
        return Meeting("unreachable", error.message)
    return None


def _note(catalogue: Catalogue, clock: Clock, url: str, found: Meeting) -> bool:
    """Whether it is news. Who may only read the catalogue notes nothing; neither is a place missed
    that never held a repository."""
    with suppress(CatalogueError):
        if found.state in ("ok", "unreachable") or catalogue.repository_id(url) is not None:
            return catalogue.health.met(url, found, clock.now())
    return False
