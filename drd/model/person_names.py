"""Names of people: capital and small letters make no difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def is_same(one: str, other: str) -> bool:
    """Return whether two names mean the same person."""
    return one.casefold() == other.casefold()


def is_among(name: str, names: Iterable[str]) -> bool:
    return any(is_same(name, other) for other in names)


def as_written(name: str, names: Iterable[str]) -> str:
    """Return the name in the spelling that `names` has; unchanged if `names` does not contain
    it."""
    name = name.strip()
    return next((other for other in names if is_same(name, other)), name)


def user_of(name: str, users: Mapping[str, str]) -> str | None:
    """Return the user to whom drd.yaml maps the person; None if it maps nobody. `users` has the
    person of each user."""
    return {person.casefold(): user for user, person in users.items()}.get(name.casefold())
