"""Find secret files that others can read, and plan files that others can change.

Anyone who can read a secret file has the backups, and anyone who can write a plan chooses what drd
runs. So a new plan with such files is refused; a plan that was in force before continues with its
stored text, and raises an alert."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from drd import acl, secrets
from drd.config.plan_file import LoadedPlan, load_plan
from drd.config.plan_path import PathWalker, PlanPath, using
from drd.errors import ConfigError, DrdError, Problem
from drd.model.plan import Plan
from drd.ports import Catalogue, Finding
from drd.process import rights, user_name
from drd.process.path_walk import PathEntry
from drd.users import group_name

READERS = frozenset({"drd", "drd-operator"})
"""Groups into which people are put; even without a member they must not read others' secrets."""


_READ, _WRITE = 4, 2


@dataclass(frozen=True, slots=True)
class Exposed:
    """A problem with the rights to a file. `why` follows the path in a sentence: `can be read by
    anyone`. With `is_told_only`, a plan is loaded in spite of the problem."""

    path: str
    why: str
    remedy: str
    is_told_only: bool = False

    def __str__(self) -> str:
        return f"{self.path} {self.why}"


def trusted_users(*uids: int) -> frozenset[int]:
    """Root, the current user, and these (the state's owner)."""
    return frozenset({0, os.geteuid(), *uids})


def state_owners(directory: Path | None) -> frozenset[int]:
    """Who may read secrets and write plans: root, the current user, and the owner of the state in
    this directory."""
    if (acting := rights.acts_for()) is not None:
        return trusted_users(acting.uid)
    owner = directory.stat().st_uid if directory is not None and directory.is_dir() else 0
    return trusted_users(owner)


def secret_files(owner: object, credentials: Path = secrets.CREDENTIALS) -> list[str]:
    """Return the files that contain the secrets of a plan or of settings, and the files of which
    systemd gave copies to the service."""
    files = {
        str(ref.value) if ref.source == "file" else str(credentials / str(ref.value))
        for ref in secrets.references(owner)
        if ref.source in ("file", "credential")
    }
    return sorted(files)


def exposed_secret(path: str, trusted: Collection[int]) -> Exposed | None:
    """Return the problem if users other than the trusted ones can read or write the file; None if
    they cannot, if the file is missing, or if this process may not look for it."""
    place, there = _stat(path)
    if there is None:
        return None
    remedy = f"chmod 600 {place}"
    if there.st_uid not in trusted:
        return Exposed(
            path, f"belongs to user {user_name(there.st_uid)}", f"chown root: {place} && {remedy}"
        )
    if there.st_mode & 0o006 and _reachable(place, "other"):
        return Exposed(path, "can be read by anyone", remedy)
    if there.st_mode & 0o060 and _is_shared(there) and _reachable(place, "group"):
        return Exposed(path, f"can be read by group {_group(there.st_gid)}", remedy)
    entries = acl.read(str(place)) if there.st_mode & 0o060 else None
    listed = _on_its_list(entries, _READ | _WRITE, trusted)
    if listed is not None and _reachable(place, "group"):
        return Exposed(path, f"can be read by {listed}", f"setfacl -b {place} && {remedy}")
    return None


def exposed_plan(
    path: str, trusted: Collection[int], ways: PathWalker | None = None
) -> Exposed | None:
    """Return who besides the trusted users can write or replace the file; None if nobody can, or if
    the file is missing. Code that reads the file checks the open file instead
    (`LoadedPlan.reached`)."""
    try:
        with using(ways) as chosen, chosen.opened(path, os.O_PATH) as (_, reached):
            return judged(reached, trusted)
    except OSError:
        return None


def judged(reached: PlanPath, trusted: Collection[int]) -> Exposed | None:
    """Who besides the trusted users can change a file that was opened."""
    for link in reached.links:
        if link.owner not in trusted:
            user = user_name(link.owner)
            why = f"is not safe: {link.place} is a symbolic link that belongs to user {user}"
            remedy = (
                f"if the link is right, make root its owner: chown -h root: {link.place}. "
                "Otherwise replace the link by the file itself"
            )
            return Exposed(reached.path, why, remedy)
    exposed = _changeable(reached.path, reached.file, "", trusted)
    for directory in reversed(reached.directories):
        if exposed is None:
            exposed = _changeable(reached.path, directory, "its directory", trusted)
    return exposed or _beside_others(reached)


def is_exposed(reached: PlanPath, trusted: Collection[int]) -> bool:
    """Return whether users other than the trusted ones may have written the file that was read."""
    exposed = judged(reached, trusted)
    return exposed is not None and not exposed.is_told_only


def _beside_others(reached: PlanPath) -> Exposed | None:
    """Report a file in a directory like /tmp, where others can put files beside it, though only
    trusted users can change the file itself. An administrator may want it so: only a warning."""
    places = [reached.file.place, *(link.place for link in reached.links)]
    for directory in reached.directories:
        info = directory.info
        shared = info.st_mode & 0o002 or (info.st_mode & 0o020 and _is_shared(info))
        if not (info.st_mode & stat.S_ISVTX and shared):
            continue
        if directory.place not in [place.parent for place in places]:
            continue
        remedy = (
            "move the file to a directory where only root can write, or: chmod go-w "
            f"{directory.place}"
        )
        # They may have given it the second name, where the kernel allows that.
        if reached.file.info.st_nlink > 1:
            why = (
                "has a second hard link, and other users can put files into its directory "
                f"{directory.place}: the file may come from another user"
            )
            return Exposed(reached.path, why, remedy)
        why = f"is in {directory.place}, where other users can put files"
        return Exposed(reached.path, why, remedy, is_told_only=True)
    return None


def _changeable(path: str, one: PathEntry, what: str, trusted: Collection[int]) -> Exposed | None:
    """`what` describes a directory, and is empty for the file itself. A group counts unless it is
    root's, or has the owner's name and no other member: unlike in `process.private`, the primary
    groups of users are not read, and drd's own groups (`READERS`) always count.
    """
    place, info = one.place, one.info
    if info.st_uid in trusted and not info.st_mode & 0o022:
        return None
    change, lead = f"chmod go-w {place}", f"is not safe: {what} {place} " if what else ""
    if info.st_uid not in trusted:
        whose = f"{lead}belongs to user {user_name(info.st_uid)}"
        return Exposed(path, whose, f"chown root: {place} && {change}")
    if what and info.st_mode & stat.S_ISVTX:
        return None  # a user who may write there cannot rename another user's file
    if info.st_mode & 0o002:
        return Exposed(path, f"{lead}can be written by anyone", change)
    if info.st_mode & 0o020 and _is_shared(info):
        return Exposed(path, f"{lead}can be written by group {_group(info.st_gid)}", change)
    listed = _on_its_list(one.acl, _WRITE, trusted) if info.st_mode & 0o020 else None
    if listed is not None:
        remedy = f"setfacl -b {place} && {change}"
        return Exposed(path, f"{lead}can be written by {listed}", remedy)
    return None


def in_plan(
    plan: str, held: Iterable[str], trusted: Collection[int], ways: PathWalker | None = None
) -> list[Exposed]:
    """Return all exposed files of a plan: its own file, and the files of its secrets."""
    return _exposed_of(exposed_plan(plan, trusted, ways), held, trusted)


def exposed_files(loaded: LoadedPlan, trusted: Collection[int]) -> list[Exposed]:
    """Return the exposed files of a plan that was loaded: its own file, and the files of its
    secrets."""
    return _exposed_of(judged(loaded.reached, trusted), secret_files(loaded.plan), trusted)


def _exposed_of(
    own: Exposed | None, held: Iterable[str], trusted: Collection[int]
) -> list[Exposed]:
    exposed = [own, *(exposed_secret(secret, trusted) for secret in held)]
    return [one for one in exposed if one is not None]


def refused(file: str, found: Sequence[Exposed]) -> ConfigError:
    """Return the error for a new plan with these exposed files."""
    why = "so drd does not use this new plan"
    return ConfigError([Problem(file, 1, "", f"{e}, {why}", e.remedy) for e in found])


class NotTaken(ConfigError):
    """The file of a plan can be written by others, and its text differs from the text in force."""

    def __init__(self, problems: list[Problem], exposed: Exposed) -> None:
        super().__init__(problems)
        self.exposed = exposed


def require_safe(
    loaded: LoadedPlan,
    known: Catalogue,
    trusted: Collection[int],
    in_force: str | None = None,
    *,
    came_back: Callable[[], bool] = lambda: False,
) -> None:
    """Raise ConfigError for a new plan if others can read one of its secrets or write its file.
    Raise NotTaken if others can write the file, and its text differs from the text in force
    (`in_force`, else the stored text), which then stays in force: nobody knows who wrote the new
    text. A plan is not new if it was in force before or has points. If a catalogue is lost in which
    the plan may have been in force (`came_back`), the plan is not new either, but drd does not know
    the text, so its file must be safe."""
    exposed = [e for e in exposed_files(loaded, trusted) if not e.is_told_only]
    if not exposed:
        return
    name, file = loaded.plan.name, loaded.plan.file
    is_open = is_exposed(loaded.reached, trusted)
    if name not in known.plans.names() and not known.points.of_plan(name):
        if is_open or not came_back():
            raise refused(file, exposed)
        return
    text = in_force or known.queue.accepted(name)
    if not is_open or text in (None, loaded.text):
        return
    why = (
        f"{exposed[0]}, and the file differs from the plan that drd has loaded: drd does not use "
        "the file"
    )
    remedy = f"check whether you or someone else wrote the file, then: {exposed[0].remedy}"
    raise NotTaken([Problem(file, 1, "", why, remedy)], exposed[0])


def findings(plan: Plan, trusted: Collection[int]) -> list[Finding]:
    """Return the findings of `drd doctor` about exposed files: an error if drd would refuse a new
    plan because of the file, else a warning."""
    return [
        Finding("exposed-file", "warning", "", str(e), e.remedy)
        for e in in_plan(plan.file, secret_files(plan), trusted)
    ]


def in_directory(
    plans: Iterable[Path], credentials: Path, trusted: Collection[int]
) -> Iterator[tuple[Path, Exposed]]:
    """Return, for `drd install --dry-run`, which of these plans would be refused, or raise an
    alert. Unreadable plans are left out: they are refused anyway.
    """
    for file in plans:
        try:
            held = secret_files(load_plan(file).plan, credentials)
        except DrdError:
            held = []
        for exposed in in_plan(str(file), held, trusted):
            yield file, exposed


def _stat(path: str) -> tuple[Path, os.stat_result | None]:
    """Return the status of the file that a link leads to."""
    try:
        place = Path(os.path.realpath(path))
        return place, place.stat()
    except OSError:
        return Path(path), None


def _on_its_list(entries: bytes | None, rights: int, trusted: Collection[int]) -> str | None:
    """Return the first user or group to whom the access control list gives one of these rights."""
    for one in acl.named(entries, rights) if entries is not None else ():
        if not one.is_group and one.id not in trusted:
            return f"user {user_name(one.id)} (through the file's access control list)"
        if one.is_group and _may_hold_others(one.id):
            return f"group {_group(one.id)} (through the file's access control list)"
    return None


def _may_hold_others(gid: int) -> bool:
    return gid != 0 or bool(set(_members(gid)) - {"root"})


def _reachable(place: Path, who: str) -> bool:
    """Return whether they can reach it: every directory above lets them pass. For a directory of
    their group, any right to pass counts as enough."""
    mask = 0o001 if who == "other" else 0o011
    try:
        return all(parent.stat().st_mode & mask for parent in place.parents)
    except OSError:
        return False


def _is_shared(there: os.stat_result) -> bool:
    """Return whether its group may have members other than its owner: it is neither root's nor a
    user's private one."""
    name = _group(there.st_gid)
    if name in READERS:
        return True
    members = _members(there.st_gid)
    if there.st_gid == 0:
        return bool(set(members) - {"root"})
    return name != user_name(there.st_uid) or bool(set(members) - {name})


_group = cache(group_name)


@cache
def _members(gid: int) -> tuple[str, ...]:
    try:
        return tuple(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return ()
