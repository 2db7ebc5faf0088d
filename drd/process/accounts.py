"""The owners of saved files by name: on another host, a user may have another number, or may not
exist.

A restored file gets the user and group of the same name, as with tar and restic; if this host has
no such name, the file keeps the number.
"""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, TreeFingerprint

FACT = "owners"
"""The key of the names in the facts of a component."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?")
_SORTS = ("users", "groups")
_ROOT = 0


_OF_THE_SYSTEM = 100
"""Numbers below this one are the same on all hosts of a distribution."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user or group of the source. `name` is empty if the restore point does not contain it. If
    this host lacks the user or group, `taken_by` is who has its number here.
    """

    sort: Literal["user", "group"]
    number: int
    name: str
    taken_by: str = ""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The numbers on this host of the source's users and groups, if they differ, and the users and
    groups that this host lacks.
    """

    users: Mapping[int, int] = field(default_factory=dict)
    groups: Mapping[int, int] = field(default_factory=dict)
    absent: tuple[Account, ...] = ()

    @property
    def differ(self) -> bool:
        return bool(self.users or self.groups)

    def here(self, uid: int, gid: int) -> tuple[int, int]:
        return self.users.get(uid, uid), self.groups.get(gid, gid)


def names_of(uids: Collection[int], gids: Collection[int]) -> dict[str, dict[str, str]]:
    """Return the names of these users and groups, by number, in the form of a component's facts."""
    return {"users": _names(_user_name, uids), "groups": _names(_group_name, gids)}


def facts_of_user(name: str) -> dict[str, Any]:
    """Return a user of this host with the user's group, as the facts of a component name owners;
    empty if this host lacks the user."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return {}
    return {FACT: names_of({account.pw_uid}, {account.pw_gid})}


def _names(name_of: Callable[[int], str], numbers: Collection[int]) -> dict[str, str]:
    named = {str(n): name_of(n) for n in sorted(numbers) if n != _ROOT}
    return {n: name for n, name in named.items() if _NAME.fullmatch(name)}


def require_names(facts: Mapping[str, Any], place: str) -> None:
    """Raise Refused for names that `names_of` does not write."""
    if FACT not in facts:
        return
    for sort in _SORTS:
        where = f"{place}.{FACT}.{sort}"
        named = strict.member(strict.mapping(facts[FACT], f"{place}.{FACT}"), sort, where)
        for number in strict.by_key(_name, named, where):
            if not (number.isascii() and number.isdecimal()):
                raise strict.refuse(where, "has a key that is not a number", number)


def _name(value: Any, place: str) -> str:
    return strict.matching(value, place, _NAME, "name of an account")


def accounts_in(facts: Iterable[Mapping[str, Any]]) -> tuple[Account, ...]:
    """Return the users and groups that own the data of these components, without the users and
    groups that every host has.
    """
    accounts = {
        (sort, int(number), name)
        for named in (one.get(FACT) or {} for one in facts)
        for sort in _SORTS
        for number, name in named.get(sort, {}).items()
    }
    known = sorted(accounts, key=lambda a: (_SORTS.index(a[0]), a[1]))
    return tuple(
        Account("user" if sort == "users" else "group", number, name)
        for sort, number, name in known
        if number >= _OF_THE_SYSTEM
    )


def accounts_of(snapshot: ComponentSnapshot) -> Accounts:
    """Return how the owners of a component are called and numbered here."""
    facts, tree = snapshot.facts, snapshot.fingerprint
    if isinstance(tree, TreeFingerprint):
        known = [e for e in tree.entries.values() if not e.volatile]
        return _accounts(facts, {e.uid for e in known}, {e.gid for e in known})
    return _accounts(facts, {facts["uid"]}, {facts["gid"]}) if "uid" in facts else Accounts()


def as_here(snapshot: ComponentSnapshot) -> TreeFingerprint | None:
    """Return the fingerprint of a tree with the numbers that its owners have here."""
    tree = snapshot.fingerprint
    if not isinstance(tree, TreeFingerprint):
        return None
    accounts = accounts_of(snapshot)
    if not accounts.differ:
        return tree
    entries = {}
    for path, entry in tree.entries.items():
        uid, gid = accounts.here(entry.uid, entry.gid)
        entries[path] = entry if entry.volatile else replace(entry, uid=uid, gid=gid)
    return replace(tree, entries=entries)


def _accounts(facts: Mapping[str, Any], uids: Collection[int], gids: Collection[int]) -> Accounts:
    named = facts.get(FACT)
    absent: list[Account] = []
    users = _numbers(named, "user", uids, absent)
    return Accounts(users, _numbers(named, "group", gids, absent), tuple(absent))


def _numbers(
    named: Any,
    sort: Literal["user", "group"],
    numbers: Collection[int],
    absent: list[Account],
) -> dict[int, int]:
    """Return the numbers that differ here, and add to `absent` what is not here."""
    name_of, number_of = (
        (_user_name, _user_number) if sort == "user" else (_group_name, _group_number)
    )
    names = named[f"{sort}s"] if named is not None else {}
    differ: dict[int, int] = {}
    for number in sorted({*numbers, *map(int, names)} - {_ROOT}):
        name = names.get(str(number), "")
        here = number_of(name) if name else None
        if here is not None and here != number:
            differ[number] = here
        elif number not in numbers:
            continue
        elif name and here is None:
            absent.append(Account(sort, number, name, name_of(number)))
        elif named is None and not name_of(number):
            # An older restore point: only the number is known.
            absent.append(Account(sort, number, ""))
    return differ


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return ""


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except (KeyError, OverflowError):
        return ""


def _user_number(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _group_number(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
