"""Install the service's files, and remove them: first a plan of what would happen, then its
execution.

Plans, credentials and state are never touched; only the key of the records is made, once."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import drd
from drd import process
from drd.errors import DrdError, TargetUnwritable, UsageError
from drd.exhaustion import system_reason
from drd.flows.host.shipped_files import (
    CONFIG,
    FILES,
    SYSUSERS,
    TMPFILES,
    UNIT,
    entry_point,
    is_as_put,
    shipped,
)
from drd.model.plan import RECORDS_KEY
from drd.model.text import left_out
from drd.modes import give_away
from drd.process.programs import why_replaceable
from drd.signing import new_key

CREDENTIALS = "etc/drd/credentials"
DIRECTORIES = {"etc/drd": 0o755, "etc/drd/plans": 0o755, CREDENTIALS: 0o700}
STATE = {"var/lib/drd": 0o700, "var/cache/drd": 0o700, "var/lib/drd-public": 0o751}
"""The service's own directories, which drd.tmpfiles.conf makes."""

OLDEST_SYSTEMD = 254
"""Type=notify-reload came with 253, RestartSteps= with 254."""

InstallAction = Literal["write", "update", "unchanged", "keep", "make", "give", "run", "remove"]


@dataclass(frozen=True, slots=True)
class InstallStep:
    """One file, directory or command. `content` is what is written; `words` is the command;
    `directory` marks the removal of a directory.
    """

    action: InstallAction
    subject: str
    note: str = ""
    content: bytes = b""
    mode: int = 0o644
    words: tuple[str, ...] = ()
    directory: bool = False


@dataclass(frozen=True, slots=True)
class Installation:
    """Steps in order. `notes` are for a person, `obstacles` are reasons why the service could not
    start."""

    prefix: Path
    steps: list[InstallStep] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    obstacles: list[UsageError] = field(default_factory=list)

    @property
    def here(self) -> bool:
        """Whether drd is installed into the running system; otherwise files are only written."""
        return self.prefix == Path("/")

    def does(self, path: str) -> bool:
        """Return whether the file at `path` is written or removed."""
        changing = ("write", "update", "remove")
        return any(
            s.subject == str(self.prefix / path) and s.action in changing for s in self.steps
        )


# --- installing ---------------------------------------------------------------------------------


def plan_install(prefix: Path, program: Sequence[str]) -> Installation:
    """Return what `drd install` would do. A second run changes nothing."""
    installation = Installation(prefix)
    for path, mode in DIRECTORIES.items():
        installation.steps.append(_directory(installation, prefix / path, mode))
    for path in FILES:
        installation.steps.append(_file(prefix, path, shipped(path, program)))
    if installation.here:
        # Elsewhere it could become part of a package: each host has a key of its own.
        installation.steps.append(_key(prefix / CREDENTIALS / str(RECORDS_KEY.value)))
        installation.steps.extend(_set_up(installation))
        installation.obstacles.extend(_obstacles(program))
        installation.notes.extend(_replaceable(program))
    return installation


def _directory(found: Installation, place: Path, mode: int) -> InstallStep:
    if not place.is_dir():
        return InstallStep("make", f"{place}/", note=f"mode {mode:04o}", mode=mode)
    if mode == 0o700 and stat.S_IMODE(place.stat().st_mode) & ~mode:
        found.notes.append(f"users other than root can open {place}. Close it: chmod 0700 {place}")
    return InstallStep("unchanged", f"{place}/")


def _file(prefix: Path, path: str, wanted: bytes) -> InstallStep:
    place = prefix / path
    if place.is_symlink():
        return InstallStep("keep", str(place), note="a link: drd does not write through it")
    current = _read(place)
    if current is None:
        return InstallStep("write", str(place), content=wanted)
    if current == wanted:
        return InstallStep("unchanged", str(place))
    if path == CONFIG:
        return InstallStep("keep", str(place), note="yours")
    if is_as_put(current):
        return InstallStep("update", str(place), content=wanted)
    note = "changed by hand; to get drd's version, remove the file, then run this command again"
    return InstallStep("keep", str(place), note=note)


def _key(place: Path) -> InstallStep:
    """The key that signs the records; an existing one is never touched."""
    if os.path.lexists(place):
        return InstallStep("unchanged", str(place))
    note = "mode 0600, the key that signs drd's records"
    return InstallStep("write", str(place), note=note, content=new_key().encode(), mode=0o600)


def _read(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(place, error) from error


def _set_up(found: Installation) -> Iterator[InstallStep]:
    """The service's user and directories, and the reload of the service manager."""
    state = {Path("/") / path: mode for path, mode in STATE.items()}
    new_user = not _user_exists("drd")
    if new_user or found.does(SYSUSERS):
        yield from _tool(found, ["systemd-sysusers", f"/{SYSUSERS}"], "useradd --system drd")
    if new_user or found.does(TMPFILES) or not all(map(_is_mode, state, state.values())):
        by_hand = " && ".join(f"install -d -o drd -g drd -m {m:04o} {p}" for p, m in state.items())
        yield from _tool(found, ["systemd-tmpfiles", "--create", f"/{TMPFILES}"], by_hand)
    for place in state:
        if _has_files_of_root(place):
            # drd was used as root before there was a service.
            yield InstallStep(
                "give",
                f"{place}/",
                note="files of root in this directory become files of the user drd",
            )
    if not manager_runs():
        found.notes.append("systemd does not run on this host, so it does not load the service")
    elif found.does(UNIT):
        yield InstallStep("run", "systemctl daemon-reload", words=("systemctl", "daemon-reload"))


def _is_mode(place: Path, mode: int) -> bool:
    return place.is_dir() and stat.S_IMODE(place.stat().st_mode) == mode


def _tool(found: Installation, words: Sequence[str], by_hand: str) -> Iterator[InstallStep]:
    if shutil.which(words[0]) is None:
        found.notes.append(
            f"{words[0]} is not installed. Run by hand, instead of this program: {by_hand}"
        )
    else:
        yield InstallStep("run", " ".join(words), words=tuple(words))


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _has_files_of_root(place: Path) -> bool:
    for directory, below, files in os.walk(place):
        for name in (*below, *files):
            with suppress(FileNotFoundError):
                if (Path(directory) / name).lstat().st_uid == 0:
                    return True
    return False


def manager_runs() -> bool:
    """Return whether systemd is this system's manager: sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def _obstacles(program: Sequence[str]) -> Iterator[UsageError]:
    """Why the service could not start. Its user must be able to reach the program and its
    interpreter: the right to read root's files does not help systemd to start them."""
    version = _manager_version()
    if version is not None and version < OLDEST_SYSTEMD:
        yield UsageError(
            f"systemd {version} is too old for the service",
            hint=f"the service needs systemd {OLDEST_SYSTEMD} (Debian 13, Ubuntu 24.04); without "
            "it, let cron run `drd backup` and `drd drill`.",
        )
    hint = (
        "install drd where everyone may read it, and run it from there; in drd's checkout:\n"
        "python3 -m venv /opt/drd && /opt/drd/bin/pip install . && /opt/drd/bin/drd install"
    )
    for place in dict.fromkeys((Path(program[0]), Path(sys.executable).resolve())):
        if place.is_relative_to("/tmp") or place.is_relative_to("/var/tmp"):  # noqa: S108
            fact = f"the service has its own /tmp and /var/tmp, so the service does not see {place}"
            yield UsageError(fact, hint=hint)
        closed = _closed_above(place)
        if closed is not None:
            fact = (
                f"the user of the service, drd, cannot reach {place}: {closed} is closed to others"
            )
            yield UsageError(fact, hint=hint)


def _replaceable(program: Sequence[str]) -> Iterator[str]:
    """Say who could replace the code that the service and root's commands run: they would get
    drd's keys, and root's rights."""
    python = Path(sys.executable)
    places = [Path(program[0]), python, python.resolve(), Path(drd.__file__)]
    found = (why_replaceable(place) for place in dict.fromkeys(places))
    why = next((why for why in found if why is not None), None)
    if why is not None:
        yield (
            f"other users can change the program that the service and root's commands run: {why}. "
            "Install drd where only root can write, for example in /opt/drd, and run drd install "
            "from there"
        )


def _manager_version() -> int | None:
    """The version of systemd, if it is this system's manager."""
    if not manager_runs():
        return None
    done = process.run(process.Command(("systemctl", "--version"), deadline_s=30.0))
    match = re.match(r"systemd (\d+)", done.stdout)
    return int(match[1]) if match else None


def _closed_above(place: Path) -> Path | None:
    """Return the first directory on the way to `place` that not everyone may pass through."""
    for directory in reversed(place.parents):
        try:
            if not directory.stat().st_mode & stat.S_IXOTH:
                return directory
        except OSError:
            return None
    return None


# --- uninstalling -------------------------------------------------------------------------------


def plan_uninstall(prefix: Path) -> Installation:
    """Return what `drd uninstall` would do: remove what install wrote, if nobody changed it."""
    installation = Installation(prefix)
    unit = prefix / UNIT
    if installation.here and manager_runs() and unit.exists():
        words = ("systemctl", "disable", "--now", "drd.service")
        installation.steps.append(InstallStep("run", " ".join(words), words=words))
    for path in FILES:
        installation.steps.extend(_removal(prefix / path))
    if installation.here and manager_runs() and installation.does(UNIT):
        installation.steps.append(
            InstallStep("run", "systemctl daemon-reload", words=("systemctl", "daemon-reload"))
        )
    for path in reversed(DIRECTORIES):
        installation.steps.extend(_directory_removal(installation, prefix / path))
    left = [str(prefix / path) for path in STATE if (prefix / path).exists()]
    if left:
        installation.notes.append(
            f"drd's state stays in {' and '.join(left)}, and backups stay in their repositories"
        )
    if installation.here and _user_exists("drd"):
        installation.notes.append("the user drd stays, because files belong to this user")
    return installation


def _removal(place: Path) -> Iterator[InstallStep]:
    if place.is_symlink():
        yield InstallStep("keep", str(place), note="a link: drd did not create it")
        return
    content = _read(place)
    if content is None:
        return
    if is_as_put(content):
        yield InstallStep("remove", str(place))
    else:
        yield InstallStep("keep", str(place), note="changed by hand")


def _directory_removal(found: Installation, place: Path) -> Iterator[InstallStep]:
    """Remove empty directories; files that are to be removed do not count."""
    if not place.is_dir():
        return
    going = {Path(s.subject) for s in found.steps if s.action == "remove"}
    left = sorted(str(p) for p in place.iterdir() if p not in going)
    if left:
        yield InstallStep(
            "keep", f"{place}/", note=f"contains {Path(left[0]).name}" + left_out(len(left) - 1)
        )
    else:
        yield InstallStep("remove", f"{place}/", directory=True)


# --- doing it -----------------------------------------------------------------------------------


def execute(found: Installation) -> None:
    """Execute the steps in order. Raises UsageError if the user is not root or the service could
    not start, TargetUnwritable for a place that cannot be written to, DrdError for a command that
    failed."""
    if found.here and os.geteuid() != 0:
        program = " ".join(entry_point())
        raise UsageError(
            "only root can change the system's services",
            hint=f"run this command as root (sudo {program} …), or write the files into a "
            "directory of yours with --prefix.",
        )
    if found.obstacles:
        raise found.obstacles[0]
    for step in found.steps:
        if step.words:
            _run(step)
        elif step.action == "give":
            found.notes.extend(_give(Path(step.subject)))
        elif step.action in ("write", "update", "make", "remove"):
            try:
                _change(step)
            except OSError as error:
                raise _unwritable(Path(step.subject), error) from error


def _change(step: InstallStep) -> None:
    place = Path(step.subject)
    if step.action == "make":
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(step.mode)  # whatever the umask took
    elif step.action == "remove":
        with suppress(FileNotFoundError):
            place.rmdir() if step.directory else place.unlink()
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Complete or not at all: systemd may read it at any moment.
        beside = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            beside.touch(step.mode)  # before it contains anything
            beside.write_bytes(step.content)
            beside.chmod(step.mode)
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)


def _give(place: Path) -> list[str]:
    """Give the files that root owns in this directory to the service's user. Returns a note when
    some of them stay root's."""
    user = pwd.getpwnam("drd")
    try:
        left = give_away(place, user.pw_uid, user.pw_gid)
    except OSError as error:
        raise _unwritable(place, error) from error
    if not left:
        return []
    more = left_out(len(left) - 1)
    why = "this file has a second name (a hard link) or is not a regular file"
    told = f"still belongs to root: {left[0]}{more}. Reason: {why}."
    return [f"{told} Find out what this file is before you change its owner"]


def _run(step: InstallStep) -> None:
    done = process.run(process.Command(step.words, deadline_s=120.0))
    if done.exit_code != 0:
        raise DrdError(
            f"{step.subject} {done.failure}",
            hint="drd has written the files. Run this command by hand and correct what it reports, "
            "then install again.",
        )


def _unwritable(place: Path, error: OSError) -> TargetUnwritable:
    reason = system_reason(error)
    return TargetUnwritable(
        f"cannot change {place}: {reason}",
        hint="run this command as a user who may change this place, or give another --prefix."
        if isinstance(error, PermissionError)
        else f"check this place and the directories above it (namei -l {place}), or give "
        "another --prefix.",
    )
