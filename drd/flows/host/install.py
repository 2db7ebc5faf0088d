"""Putting the service's files in place, and taking them away: first a value that says what would
happen, then the doing of it.

Plans, credentials and state are never touched. A file that drd put carries its own digest in its
first line, so that a later version may replace it and `drd uninstall` may remove it; one that was
changed since is somebody's own and stays.
"""

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
from hashlib import sha256
from pathlib import Path
from typing import Literal

import drd
from drd import process
from drd.errors import DrdError, TargetUnwritable, UsageError
from drd.modes import give_away

SHIPPED = Path(drd.__file__).parent / "systemd"
UNIT = "etc/systemd/system/drd.service"
SYSUSERS = "etc/sysusers.d/drd.conf"
TMPFILES = "etc/tmpfiles.d/drd.conf"
CONFIG = "etc/drd/drd.yaml"
FILES = {
    UNIT: "drd.service",
    SYSUSERS: "drd.sysusers.conf",
    TMPFILES: "drd.tmpfiles.conf",
    CONFIG: "drd.yaml",
}
"""Where each shipped file goes, below the prefix."""

DIRECTORIES = {"etc/drd": 0o755, "etc/drd/plans": 0o755, "etc/drd/credentials": 0o700}
STATE = {"var/lib/drd": 0o700, "var/cache/drd": 0o700, "var/lib/drd-public": 0o751}
"""The service's own directories, which drd.tmpfiles.conf makes."""

OLDEST_SYSTEMD = 254
"""Type=notify-reload came with 253, RestartSteps= with 254."""

_SEAL = re.compile(rb"# drd \S+ put this file here, with the digest ([0-9a-f]{16})\.[^\n]*\n")

Action = Literal["write", "update", "unchanged", "keep", "make", "give", "run", "remove"]


@dataclass(frozen=True, slots=True)
class Step:
    """One file, directory or command. `content` is what is written; `words` what is run."""

    action: Action
    subject: str
    note: str = ""
    content: bytes = b""
    mode: int = 0o644
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Installation:
    """Steps in their order. `notes` are what a person should know about the outcome, `obstacles`
    why the service could not start."""

    prefix: Path
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    obstacles: list[UsageError] = field(default_factory=list)

    @property
    def here(self) -> bool:
        """Into the running system; elsewhere nothing but files is touched."""
        return self.prefix == Path("/")

    def does(self, path: str) -> bool:
        """Whether the file at `path` is written or removed."""
        changing = ("write", "update", "remove")
        return any(
            s.subject == str(self.prefix / path) and s.action in changing for s in self.steps
        )


def sealed(body: bytes, *, about: str) -> bytes:
    """The file as it is installed: a first line that proves that nobody changed it since."""
    first = (
        f"# drd {drd.__version__} put this file here, with the digest {_digest(body)}. {about}\n"
    )
    return first.encode() + body


def is_as_put(content: bytes) -> bool:
    """Whether drd, of whatever version, wrote it, and nobody changed it since."""
    seal = _SEAL.match(content)
    return seal is not None and seal[1].decode() == _digest(content[seal.end() :])


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()[:16]


def entry_point() -> list[str]:
    """The words that start drd as this process was: the program beside the interpreter."""
    program = Path(sys.executable).with_name("drd")
    if os.access(program, os.X_OK):
        return [str(program)]
    return [sys.executable, "-m", "drd"]


def shipped(path: str, program: Sequence[str]) -> bytes:
    """What belongs at `path`, for a service that is started by `program`."""
    body = (SHIPPED / FILES[path]).read_bytes()
    if path == UNIT:
        body = body.replace(b"@DRD@", " ".join(_unit_word(w) for w in program).encode())
        return sealed(body, about="Change it with `systemctl edit drd`.")
    if path == CONFIG:
        return sealed(body, about="It is yours: drd never overwrites it.")
    return sealed(body, about="Changed, it is left alone.")


def _unit_word(word: str) -> str:
    """A word of ExecStart=, quoted as systemd.syntax(7) wants it."""
    if re.search(r"[\x00-\x1f'\"\\]", word):
        raise UsageError(
            f"systemd starts no program whose path has quotes or backslashes: {word!r}",
            hint="install drd elsewhere, such as in /opt/drd.",
        )
    return f'"{word}"'.replace("%", "%%") if re.search(r"[\s;]", word) else word.replace("%", "%%")


# --- installing ---------------------------------------------------------------------------------


def plan_install(prefix: Path, program: Sequence[str]) -> Installation:
    """What `drd install` would do. Doing it twice changes nothing the second time."""
    found = Installation(prefix)
    for path, mode in DIRECTORIES.items():
        found.steps.append(_directory(found, prefix / path, mode))
    for path in FILES:
        found.steps.append(_file(prefix, path, shipped(path, program)))
    if found.here:
        found.steps.extend(_set_up(found))
        found.obstacles.extend(_obstacles(program))
    return found


def _directory(found: Installation, place: Path, mode: int) -> Step:
    if not place.is_dir():
        return Step("make", f"{place}/", note=f"mode {mode:04o}", mode=mode)
    if mode == 0o700 and stat.S_IMODE(place.stat().st_mode) & ~mode:
        found.notes.append(f"{place} is open to others than root: chmod 0700 {place}")
    return Step("unchanged", f"{place}/")


def _file(prefix: Path, path: str, wanted: bytes) -> Step:
    place = prefix / path
    if place.is_symlink():
        return Step("keep", str(place), note="a link: drd does not write through it")
    current = _read(place)
    if current is None:
        return Step("write", str(place), content=wanted)
    if current == wanted:
        return Step("unchanged", str(place))
    if path == CONFIG:
        return Step("keep", str(place), note="yours")
    if is_as_put(current):
        return Step("update", str(place), content=wanted)
    note = "changed by somebody; for drd's own, remove it and install again"
    return Step("keep", str(place), note=note)


def _read(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(place, error) from error


def _set_up(found: Installation) -> Iterator[Step]:
    """The service's user and directories, and the manager's knowledge of the unit."""
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
            yield Step("give", f"{place}/", note="what is root's in it becomes drd's")
    if not manager_runs():
        found.notes.append("systemd does not run here: nothing was loaded")
    elif found.does(UNIT):
        yield Step("run", "systemctl daemon-reload", words=("systemctl", "daemon-reload"))


def _is_mode(place: Path, mode: int) -> bool:
    return place.is_dir() and stat.S_IMODE(place.stat().st_mode) == mode


def _tool(found: Installation, words: Sequence[str], by_hand: str) -> Iterator[Step]:
    if shutil.which(words[0]) is None:
        found.notes.append(f"{words[0]} is not installed; by hand: {by_hand}")
    else:
        yield Step("run", " ".join(words), words=tuple(words))


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
    """Whether systemd is this system's manager: sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def _obstacles(program: Sequence[str]) -> Iterator[UsageError]:
    """Why the service could not start. Its user has to come to the program and its interpreter: the
    right to read what is root's helps these, and not systemd to start them."""
    found = _manager_version()
    if found is not None and found < OLDEST_SYSTEMD:
        yield UsageError(
            f"systemd {found} is too old for the service",
            hint=f"it takes {OLDEST_SYSTEMD} (Debian 13, Ubuntu 24.04); until then let cron run "
            "`drd backup` and `drd drill`.",
        )
    hint = (
        "install drd where everybody may look, and run that one:\n"
        "python3 -m venv /opt/drd && /opt/drd/bin/pip install drd && /opt/drd/bin/drd install"
    )
    for place in dict.fromkeys((Path(program[0]), Path(sys.executable).resolve())):
        if place.is_relative_to("/tmp") or place.is_relative_to("/var/tmp"):  # noqa: S108
            fact = f"the service sees files of its own below /tmp and /var/tmp, and not {place}"
            yield UsageError(fact, hint=hint)
        closed = _closed_above(place)
        if closed is not None:
            fact = f"the service's user cannot come to {place}: {closed} is closed to others"
            yield UsageError(fact, hint=hint)


def _manager_version() -> int | None:
    """systemd's, where it is this system's manager."""
    if not manager_runs():
        return None
    done = process.run(process.Command(("systemctl", "--version"), deadline_s=30.0))
    found = re.match(r"systemd (\d+)", done.stdout)
    return int(found[1]) if found else None


def _closed_above(place: Path) -> Path | None:
    """The first directory on the way to `place` that not everybody may pass through."""
    for directory in reversed(place.parents):
        try:
            if not directory.stat().st_mode & stat.S_IXOTH:
                return directory
        except OSError:
            return None
    return None


# --- uninstalling -------------------------------------------------------------------------------


def plan_uninstall(prefix: Path) -> Installation:
    """What `drd uninstall` would do: away with what install put, if nobody changed it."""
    found = Installation(prefix)
    unit = prefix / UNIT
    if found.here and manager_runs() and unit.exists():
        words = ("systemctl", "disable", "--now", "drd.service")
        found.steps.append(Step("run", " ".join(words), words=words))
    for path in FILES:
        found.steps.extend(_removal(prefix / path))
    if found.here and manager_runs() and found.does(UNIT):
        found.steps.append(
            Step("run", "systemctl daemon-reload", words=("systemctl", "daemon-reload"))
        )
    for path in reversed(DIRECTORIES):
        found.steps.extend(_directory_removal(found, prefix / path))
    left = [str(prefix / path) for path in STATE if (prefix / path).exists()]
    if left:
        found.notes.append(f"state stays in {' and '.join(left)}, backups in their repositories")
    if found.here and _user_exists("drd"):
        found.notes.append("the user drd stays, since files are its own")
    return found


def _removal(place: Path) -> Iterator[Step]:
    if place.is_symlink():
        yield Step("keep", str(place), note="a link: drd did not make it")
        return
    content = _read(place)
    if content is None:
        return
    if is_as_put(content):
        yield Step("remove", str(place))
    else:
        yield Step("keep", str(place), note="changed by somebody")


def _directory_removal(found: Installation, place: Path) -> Iterator[Step]:
    """Empty ones go; what will be gone by then does not count."""
    if not place.is_dir():
        return
    going = {s.subject.rstrip("/") for s in found.steps if s.action == "remove"}
    left = sorted(str(p) for p in place.iterdir() if str(p) not in going)
    if left:
        yield Step("keep", f"{place}/", note=f"holds {Path(left[0]).name}" + _more(len(left) - 1))
    else:
        yield Step("remove", f"{place}/")


def _more(count: int) -> str:
    return f" and {count} more" if count else ""


# --- doing it -----------------------------------------------------------------------------------


def execute(found: Installation) -> None:
    """Carry the steps out, in order. Raises UsageError for who is not root and for a service that
    could not start, TargetUnwritable for a place that cannot be written to, DrdError for a command
    that failed."""
    if found.here and os.geteuid() != 0:
        program = " ".join(entry_point())
        raise UsageError(
            "only root can change the system's services",
            hint=f"run it as root (sudo {program} …), or into a directory of yours with --prefix.",
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


def _change(step: Step) -> None:
    place = Path(step.subject)
    if step.action == "make":
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(step.mode)  # whatever the umask took
    elif step.action == "remove":
        with suppress(FileNotFoundError):
            place.rmdir() if step.subject.endswith("/") else place.unlink()
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: systemd may look at any moment.
        beside = place.with_name(f".{place.name}.{os.getpid()}")
        try:
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
    return [
        f"stays root's, since it has a second name or is no file: {left[0]}{_more(len(left) - 1)}"
    ]


def _run(step: Step) -> None:
    done = process.run(process.Command(step.words, deadline_s=120.0))
    if done.exit_code != 0:
        raise DrdError(
            f"{step.subject} {done.failure}",
            hint="the files are in place: run it by hand, then this command again.",
        )


def _unwritable(place: Path, error: OSError) -> TargetUnwritable:
    reason = (error.strerror or str(error)).lower()
    return TargetUnwritable(
        f"cannot change {place}: {reason}", hint="run this as a user that may, or elsewhere."
    )
