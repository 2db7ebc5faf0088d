"""Secret files that people can read who should not, and plan files that others can change.

Whoever can read a secret file has the backups, and whoever can write a plan chooses what drd runs.
So a new plan with such files is refused; one that was in force before goes on by its text, and is an alert.
"""

from __future__ import annotations

import grp
import os
import stat
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from drd import secrets
from drd.config.plan_file import LoadedPlan, load_plan
from drd.errors import ConfigError, DrdError, Problem
from drd.model.plan import Plan
from drd.ports import Catalogue, Finding
from drd.process import rights, user_name

READERS = frozenset({"drd", "drd-operator"})
"""Groups that people are put into; also without a member nobody else's secret is for them."""


_READ, _WRITE = 4, 2
_ACL_USER, _ACL_GROUP, _ACL_MASK = 0x02, 0x08, 0x10


@dataclass(frozen=True, slots=True)
class Exposed:
    """`why` follows the path in a sentence: `can be read by anybody`."""

    path: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path} {self.why}"


def trusted_users(*uids: int) -> frozenset[int]:
    """Root, whoever runs this, and these (the state's owner)."""
    return frozenset({0, os.geteuid(), *uids})


def state_owners(directory: Path | None) -> frozenset[int]:
    """Who may read secrets and write plans: root, we, and whoever owns the state in this directory."""
    if (acting := rights.acts_for()) is not None:
        return trusted_users(acting.uid)
    owner = directory.stat().st_uid if directory is not None and directory.is_dir() else 0
    return trusted_users(owner)


def secret_files(owner: object, credentials: Path = secrets.CREDENTIALS) -> list[str]:
    """The files that secrets of a plan or of settings are read from, also what a service got copies
    of."""
    found = {
        str(ref.value) if ref.source == "file" else str(credentials / str(ref.value))
        for ref in secrets.references(owner)
        if ref.source in ("file", "credential")
    }
    return sorted(found)


def exposed_secret(path: str, trusted: Collection[int]) -> Exposed | None:
    """Whether anybody but the trusted users can read or write the file; None also for one that is
    not there, or that we may not look at."""
    place, there = _stat(path)
    if there is None:
        return None
    remedy = f"chmod 600 {place}"
    if there.st_uid not in trusted:
        return Exposed(
            path, f"belongs to {user_name(there.st_uid)}", f"chown root: {place} && {remedy}"
        )
    if there.st_mode & 0o006 and _reachable(place, "other"):
        return Exposed(path, "can be read by anybody", remedy)
    if there.st_mode & 0o060 and _is_shared(there) and _reachable(place, "group"):
        return Exposed(path, f"can be read by group {_group(there.st_gid)}", remedy)
    listed = _on_its_list(place, _READ | _WRITE, trusted) if there.st_mode & 0o060 else None
    if listed is not None and _reachable(place, "group"):
        return Exposed(path, f"can be read by {listed}", f"setfacl -b {place} && {remedy}")
    return None


def exposed_plan(path: str, trusted: Collection[int]) -> Exposed | None:
    """Whether anybody but the trusted users can write the file, or put another in its place."""
    place, there = _stat(path)
    if there is None:
        return None
    for one, what in ((place, ""), *((p, f"its directory {p} ") for p in place.parents)):
        try:
            there = one.stat()
        except OSError:
            return None
        change = f"chmod go-w {one}"
        if there.st_uid not in trusted:
            whose = f"{_lead(what)}belongs to {user_name(there.st_uid)}"
            return Exposed(path, whose, f"chown root: {one} && {change}")
        if what and there.st_mode & stat.S_ISVTX:
            continue  # whoever may write there cannot rename what is another's
        if there.st_mode & 0o002:
            return Exposed(path, f"{_lead(what)}can be written by anybody", change)
        if there.st_mode & 0o020 and _is_shared(there):
            by = _group(there.st_gid)
            return Exposed(path, f"{_lead(what)}can be written by group {by}", change)
        listed = _on_its_list(one, _WRITE, trusted) if there.st_mode & 0o020 else None
        if listed is not None:
            remedy = f"setfacl -b {one} && {change}"
            return Exposed(path, f"{_lead(what)}can be written by {listed}", remedy)
    return None


def in_plan(plan: str, held: Iterable[str], trusted: Collection[int]) -> list[Exposed]:
    """All of a plan: its own file, and those of its secrets."""
    found = [exposed_plan(plan, trusted), *(exposed_secret(s, trusted) for s in held)]
    return [one for one in found if one is not None]


def exposed_files(plan: Plan, trusted: Collection[int]) -> list[Exposed]:
    """The same of a plan that was loaded."""
    return in_plan(plan.file, secret_files(plan), trusted)


def refused(file: str, found: Sequence[Exposed]) -> ConfigError:
    """The error for a new plan of which these were found."""
    return ConfigError([Problem(file, 1, "", str(e), e.remedy) for e in found])


def require_safe(
    loaded: LoadedPlan, known: Catalogue, trusted: Collection[int], in_force: str | None = None
) -> None:
    """Raises ConfigError for a new plan of which others can read a secret or write the file, and for
    another text than the one in force while others can write the file: nobody knows who wrote it.
    The text `in_force`, else the stored one, goes on. A plan is not new that was in force before, or
    has points."""
    found = exposed_files(loaded.plan, trusted)
    if not found:
        return
    name, file = loaded.plan.name, loaded.plan.file
    if name not in known.plan_names() and not known.points(name):
        raise refused(file, found)
    writable, text = exposed_plan(file, trusted), in_force or known.queue.accepted(name)
    if writable is None or text in (None, loaded.text):
        return
    why = f"{writable}, so its text is not taken: it is another one than the text in force"
    look = f"look whether you or somebody else has written it, then: {writable.remedy}"
    raise ConfigError([Problem(file, 1, "", why, look)])


def findings(plan: Plan, trusted: Collection[int]) -> list[Finding]:
    """For `doctor`: what a new plan would be refused for."""
    return [
        Finding("exposed file", ok=True, warning=True, detail=str(e), hint=e.remedy)
        for e in exposed_files(plan, trusted)
    ]


def in_directory(
    plans: Iterable[Path], credentials: Path, trusted: Collection[int]
) -> Iterator[tuple[Path, Exposed]]:
    """For `drd install --dry-run`: what of these plans would be refused, or become an alert. A plan
    that cannot be read is left out: it is refused for that."""
    for file in plans:
        try:
            held = secret_files(load_plan(file).plan, credentials)
        except DrdError:
            held = []
        for found in in_plan(str(file), held, trusted):
            yield file, found


def _lead(what: str) -> str:
    return f"is not safe: {what}" if what else ""


def _stat(path: str) -> tuple[Path, os.stat_result | None]:
    """Of what a link leads to."""
    try:
        place = Path(os.path.realpath(path))
        return place, place.stat()
    except OSError:
        return Path(path), None


def _on_its_list(place: Path, rights: int, trusted: Collection[int]) -> str | None:
    """The first user or group whom the file's access control list gives one of these rights. Its mask
    is what the mode shows as the group's."""
    try:
        data = os.getxattr(place, "system.posix_acl_access")
    except OSError:
        return None
    entries = list(struct.iter_unpack("<HHI", data[4:]))
    mask = next((perm for tag, perm, _ in entries if tag == _ACL_MASK), 7)
    for tag, perm, who in entries:
        if not perm & mask & rights:
            continue
        if tag == _ACL_USER and who not in trusted:
            return f"user {user_name(who)} (by its access control list)"
        if tag == _ACL_GROUP and _may_hold_others(who):
            return f"group {_group(who)} (by its access control list)"
    return None


def _may_hold_others(gid: int) -> bool:
    return gid != 0 or bool(set(_members(gid)) - {"root"})


def _reachable(place: Path, who: str) -> bool:
    """Whether they get through to it: every directory above lets them. What a group's own directory
    lets through, others cannot use; for it any right to pass is taken for enough."""
    mask = 0o001 if who == "other" else 0o011
    try:
        return all(parent.stat().st_mode & mask for parent in place.parents)
    except OSError:
        return False


def _is_shared(there: os.stat_result) -> bool:
    """Whether its group may hold others than its owner: not root's, nor a user's private one."""
    name = _group(there.st_gid)
    if name in READERS:
        return True
    members = _members(there.st_gid)
    if there.st_gid == 0:
        return bool(set(members) - {"root"})
    return name != user_name(there.st_uid) or bool(set(members) - {name})


@cache
def _members(gid: int) -> tuple[str, ...]:
    try:
        return tuple(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return ()


@cache
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
