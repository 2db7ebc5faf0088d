"""Report what an upgrade changes, for `drd install --dry-run`: what will change at the next start,
what would be refused, and what needs a person. It only reads.
"""

from __future__ import annotations

import grp
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from drd import secrets
from drd.bootstrap.state import state_places
from drd.catalogue.version import HEAD
from drd.config.daemon import DaemonSettings, load_settings
from drd.config.exposed_files import in_directory, trusted_users
from drd.config.location import config_path
from drd.errors import DrdError
from drd.flows.state.foreign_files import wrong_entries
from drd.flows.state.modes import open_to_others
from drd.model.text import some
from drd.plan_files import plan_files

_DROP_INS = "etc/systemd/system/drd.service.d"
_MODES = ("UMask", "StateDirectoryMode", "CacheDirectoryMode", "ReadWritePaths")
_NAMED = 5


class UpgradeNotice(NamedTuple):
    """`kind` is `changes`, `refused` or `person`; `remedy` is for that person."""

    kind: str
    text: str
    remedy: str = ""


def notices(config: str | None, prefix: Path) -> list[UpgradeNotice]:
    """Return notices about the state and the plans that this host's drd.yaml names; empty for a
    first installation."""
    path, explicit = config_path(config)
    try:
        settings = load_settings(Path(path), explicit=explicit)
    except DrdError as error:
        return [
            UpgradeNotice(
                "refused", f"{path}: {error.message}", "run drd plan check to see what is wrong"
            )
        ]
    return [
        *_closed(settings),
        *_foreign_files(settings),
        *_people(settings),
        *_catalogue(settings),
        *_exposed(settings),
        *_drop_ins(prefix),
    ]


def _closed(settings: DaemonSettings) -> Iterator[UpgradeNotice]:
    paths = open_to_others(state_places(settings))
    if paths:
        named = some(paths, _NAMED)
        yield UpgradeNotice(
            "changes",
            "the next start of drd removes the access rights of the group and of other "
            f"users from {named}",
        )
    state, public = settings.state_dir, settings.public_dir
    if state is not None and state.is_dir() and not public.is_dir():
        yield UpgradeNotice(
            "changes",
            f"the next start of drd creates {public}, which the group {settings.read_group} can "
            "read",
        )


def _foreign_files(settings: DaemonSettings) -> Iterator[UpgradeNotice]:
    """Files in the state that others have put there, or can open by another name."""
    for entry in wrong_entries(state_places(settings)):
        if entry.deed == "made private":
            remedy = (
                f"change the owner of {entry.path} to the owner of the state or to root, and its "
                "mode to 0700."
            )
            yield UpgradeNotice("person", str(entry), remedy)
        elif not entry.is_catalogue:
            yield UpgradeNotice("changes", f"{entry}: it is {entry.deed} at the next start of drd")
        elif entry.deed == "renewed":
            text = f"{entry}: the next start of drd copies its data into a new file"
            yield UpgradeNotice("changes", f"{text}, unless a drd process has it open then")
        else:
            text = (
                f"drd does not trust its catalogue {entry}. At its next start drd renames this "
                "file and begins an empty catalogue"
            )
            yield UpgradeNotice(
                "person",
                text,
                f"choose one of these. Before the start: replace {entry.path} by a copy that "
                "belongs to drd's user. Or after the start: drd catalogue rebuild, which "
                "restores the list of points, but not the list of runs",
            )


def _people(settings: DaemonSettings) -> Iterator[UpgradeNotice]:
    """People who could do everything until now, through a group that was meant for reading."""
    try:
        members = grp.getgrnam(settings.read_group).gr_mem
    except KeyError:
        return
    shared = settings.state_dir is not None and settings.state_dir.is_dir()
    if members and shared:
        yield UpgradeNotice(
            "person",
            f"members of the group {settings.read_group} ({', '.join(members)}) can only read "
            "the status from now on, not the other files of drd's state",
            "add the users who request backups and drills to the group drd-operator: adduser "
            f"{members[0]} drd-operator",
        )


def _catalogue(settings: DaemonSettings) -> Iterator[UpgradeNotice]:
    database = settings.database
    try:
        if database is None or not database.is_file():
            return
    except PermissionError:  # another user's: only root can go on from here
        return
    wrong = [e for e in wrong_entries(state_places(settings)) if e.path.parent == database.parent]
    # Files that others have put beside it are not opened.
    how = "immutable=1" if any(e.deed in ("removed", "set aside") for e in wrong) else "mode=ro"
    try:
        with closing(sqlite3.connect(f"file:{database}?{how}", uri=True)) as connection:
            version = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    except (sqlite3.Error, TypeError) as error:
        yield UpgradeNotice(
            "person", f"{database} cannot be read: {error}", "to find the reason: drd doctor"
        )
        return
    if version < HEAD:
        kept = f"{database}.before-{HEAD}"
        text = f"the next start of drd upgrades the catalogue from version {version} to {HEAD}"
        yield UpgradeNotice("changes", f"{text}, and first copies it to {kept}")
    elif version > HEAD:
        text = (
            f"the catalogue has version {version}, but this drd supports only versions up to "
            f"{HEAD}, so drd will not start"
        )
        yield UpgradeNotice(
            "refused",
            text,
            "install the newer version of drd again, or go back to the older "
            "catalogue (docs/operations.md)",
        )


def _exposed(settings: DaemonSettings) -> Iterator[UpgradeNotice]:
    """Secret files that others can read, and plan files that others can write."""
    state = settings.state_dir
    owner = state.stat().st_uid if state is not None and state.is_dir() else 0
    files = [Path(file.path) for file in plan_files(settings.plans_dir)]
    for plan, exposed in in_directory(files, secrets.CREDENTIALS, trusted_users(owner)):
        text = f"{exposed}: drd raises an alert for plan {plan.name}"
        if not exposed.is_told_only:
            text += " if drd has loaded this plan before. If the plan is new, drd refuses it"
        yield UpgradeNotice("person", text, exposed.remedy)


def _drop_ins(prefix: Path) -> Iterator[UpgradeNotice]:
    directory = prefix / _DROP_INS
    if not directory.is_dir():
        return
    for file in sorted(directory.glob("*.conf")):
        lines = file.read_text(errors="replace").splitlines()
        names = [name for name in _MODES if any(line.startswith(f"{name}=") for line in lines)]
        if names:
            settings = ", ".join(names)
            text = f"{file} overrides {settings}, for which the new unit has other values"
            yield UpgradeNotice(
                "person", text, "check whether you still need these lines: systemctl cat drd"
            )
