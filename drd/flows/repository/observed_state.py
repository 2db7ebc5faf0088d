"""Record the state of repositories whenever drd notices it, so that verdicts use it.

If a server reports that a repository is missing, drd trusts this; if a server does not answer, this
proves nothing about the content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

from drd import secrets
from drd.errors import (
    CatalogueError,
    DeadlineExceeded,
    DrdError,
    RepositoryDamaged,
    RepositoryError,
    RepositoryMissing,
    RepositoryRefused,
    RepositorySecretUnavailable,
    RepositoryUnreachable,
    SecretUnavailable,
    WrongKey,
)
from drd.flows.repository.changed_password import shows_no_loss, tell_of_change
from drd.flows.repository.unexpected import absent_error, another_error
from drd.flows.services import Services
from drd.model.repositories import Meeting
from drd.model.units import format_duration
from drd.ports import Catalogue, Clock, Repository

_FINE = Meeting("ok")
_NOT_SEEN = (RepositoryUnreachable, RepositoryRefused, DeadlineExceeded, SecretUnavailable)
"""Errors that keep drd from looking into the repository."""


@contextmanager
def recording_state(services: Services, repository: Repository) -> Iterator[None]:
    """Record the state of the repository: the body's error, or that it is there."""
    try:
        yield
    except DrdError as error:
        note(services, repository, error)
        if type(error) is SecretUnavailable:
            raise RepositorySecretUnavailable(
                error.message, hint=error.hint, permanent=error.permanent, line=error.line
            ) from error
        raise
    _note(services.catalogue, services.clock, repository, _FINE)


def note(services: Services, repository: Repository, error: DrdError) -> None:
    """Record the state of a repository that an error from it shows; do nothing if the error shows
    no state."""
    if isinstance(error, WrongKey):
        tell_of_change(services.catalogue, repository.url, error)
    state = _of_error(error)
    if state is not None:
        _note(services.catalogue, services.clock, repository, state)


def note_damage(
    services: Services, plan: str, point: str, damaged: Mapping[str, RepositoryDamaged]
) -> None:
    """Record what of a restore point could not be read, by repository."""
    for name, error in damaged.items():
        with suppress(CatalogueError):
            now = services.clock.now()
            services.catalogue.health.record_affected(
                plan, name, error.damage, point, now, repair=error.repair
            )


def remember(services: Services, repository: Repository) -> None:
    """Record how to recognise the repository that was just confirmed, with one request."""
    health = services.catalogue.health
    with suppress(DrdError):
        if health.config_digest(repository.url) is None:
            digest = repository.probe()
            if digest is not None:
                health.record_config_digest(repository.url, digest)


class Place(Protocol):
    """What of a repository a state is recorded for."""

    url: str
    opened_with: str


class Probed(Place, Protocol):
    """What `probe` needs of a repository."""

    def probe(self) -> str | None: ...

    def identity(self) -> str | None: ...


def probe(catalogue: Catalogue, clock: Clock, repository: Probed) -> bool:
    """Check with one request whether the known repository is there, and record the state; return
    whether the state is new. The repository is opened only if it looks different, or if it could
    not be opened the last time: its storage may have answered all the time. Does nothing if no
    repository was ever recorded.
    """
    recorded, digest, wrong = catalogue.health.expected(repository.url, repository.opened_with)
    if recorded is None:
        return False
    state = _probed(catalogue, repository, recorded, digest)
    if state.state == "ok" and wrong is None:
        return False
    if state.state == "ok" and wrong in ("shut", "unreachable"):
        opened = _opened(catalogue, repository)
        if opened is None:
            return False
        state = opened
    return _note(catalogue, clock, repository, state)


def no_answer(catalogue: Catalogue, clock: Clock, url: str, after_s: float) -> bool:
    """Record that a repository did not answer for so many seconds; returns whether that is new."""
    state = Meeting("unreachable", f"no answer within {format_duration(after_s)}")
    with suppress(CatalogueError):
        return catalogue.health.record_state(url, state, clock.now())
    return False


def _probed(catalogue: Catalogue, repository: Probed, recorded: str, known: str | None) -> Meeting:
    try:
        digest = repository.probe()
        if digest is None:
            return _as_met(absent_error(repository.url, recorded))
        if known is None or digest == known:
            return _FINE
        return _compared(catalogue, repository, recorded, digest)
    except (RepositoryError, DeadlineExceeded) as error:
        return _of_error(error) or Meeting("unreachable", error.message)


def _opened(catalogue: Catalogue, repository: Probed) -> Meeting | None:
    """Return the state of the repository when it is opened with the password, which a probe does
    not do; None if that shows nothing."""
    try:
        repository.identity()
    except WrongKey as error:
        tell_of_change(catalogue, repository.url, error)
        return _of_error(error)
    except DrdError as error:
        return _of_error(error) or Meeting("unreachable", error.message)
    return _FINE


def _compared(catalogue: Catalogue, repository: Probed, recorded: str, digest: str) -> Meeting:
    """Return the state of a repository whose `config` differs: another repository, unless someone
    upgraded its format.
    """
    try:
        actual = repository.identity()
    except WrongKey:
        actual = None
    if actual == recorded:
        catalogue.health.record_config_digest(repository.url, digest)
        return _FINE
    return _as_met(another_error(repository.url, recorded, actual))


def _as_met(error: RepositoryMissing) -> Meeting:
    return Meeting(error.state, error.message)


def _of_error(error: DrdError) -> Meeting | None:
    """Return the state that an error shows; None if it does not show whether the repository is
    there.
    """
    if isinstance(error, RepositoryMissing):
        return _as_met(error)
    if isinstance(error, WrongKey):
        return None if shows_no_loss(error) else Meeting("shut", error.message)
    if isinstance(error, _NOT_SEEN):
        return Meeting("unreachable", error.message)
    return None


def _note(catalogue: Catalogue, clock: Clock, place: Place, found: Meeting) -> bool:
    """Record a state; returns whether it is new. Does nothing for a read-only catalogue, for a
    place that never held a repository, and for secrets that the running service does not use yet:
    until it does, they change no verdict."""
    url = place.url
    if place.opened_with.endswith(secrets.LATER):
        return False
    with suppress(CatalogueError):
        if found.state in ("ok", "unreachable") or catalogue.repositories.id_of(url) is not None:
            return catalogue.health.record_state(url, found, clock.now(), place.opened_with)
    return False
