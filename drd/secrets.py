"""Resolve secret references, at the moment of use and no earlier."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path

from drd import log, process
from drd.errors import SecretUnavailable
from drd.masking import MASK
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.units import format_time
from drd.modes import open_regular
from drd.presence import is_gone

CREDENTIALS = Path("/etc/drd/credentials")
"""The directory of a credential that systemd has not passed on; root's, mode 0600."""

SERVICE_COPIES = Path("/run/credentials/drd.service")
"""The directory where systemd keeps what it gave to the service, until the service stops; only root
and the service can read it."""

_OF_SERVICES = "/run/credentials/"


def directory_for_new() -> Path:
    """Return where a person writes a credential that commands in this environment then read."""
    given = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return CREDENTIALS if not given or given.startswith(_OF_SERVICES) else Path(given)


UNIT_PREFIX = "drd_"
"""The prefix that `LoadCredential=drd:/etc/drd/credentials` gives to the name of each
file there.
"""

LONGEST = 64 << 10
"""The longest secret, in bytes. An environment variable can hold about twice as much."""

_LARGEST_FILE = 1 << 20
_FILES = ("file", "credential")


def resolve(ref: SecretRef, *, credentials: Path = CREDENTIALS) -> str:
    """Return the exact secret, without a trailing newline; from now on it is masked in texts for
    people. A secret that equals the mask is refused, and one that cannot be given to a program.

    A service has the credentials that systemd gave it when it started ($CREDENTIALS_DIRECTORY), and
    no others: changed credentials are used from the next start on, all at once. Elsewhere a
    credential is a file in `credentials`, so the same plan works in an operator's terminal. Raises
    SecretUnavailable, which names the reference and never a value.
    """
    if ref.source == "text":
        assert isinstance(ref.value, str)
        return ref.value
    value = _without_end(_lines(_read(ref, credentials), ref))
    _refuse_unusable(value, ref)
    if not value:
        raise SecretUnavailable(
            f"secret {ref.describe()} is empty",
            hint="correct the command so that it prints the secret."
            if ref.source == "command"
            else "write the secret to this place.",
        )
    if value == MASK:
        raise SecretUnavailable(
            f"secret {ref.describe()} contains {MASK}, the text that drd writes instead of a "
            "secret",
            hint="write the real secret there. If the real secret contains this text, "
            "replace the secret by another one: for a repository with `drd repository "
            "rekey`.",
        )
    log.mask(value)
    return value


def peek(ref: SecretRef) -> str | None:
    """Read a reference without running a command; None if that is not possible. Does not mask the
    value: use it only for parts that are not secret (a host name), of thousands of plans.
    """
    if ref.source == "command":
        return None
    if ref.source == "text":
        return str(ref.value)
    with suppress(SecretUnavailable):
        return _lines(_read(ref, CREDENTIALS), ref)
    return None


EDGES_HINT = (
    "remove these characters from the password: drd and restic read them differently, and restic "
    "alone could not open the repository."
)


_PLAIN = (str, int, float, type(None))
"""The types of most values in a plan."""


def edges(value: str, ref: SecretRef | None = None) -> str | None:
    """Return why restic reads another password than drd from the same file or command, as words
    that follow the password's name; None if both read the same. Such a repository cannot be opened
    by hand.
    """
    if value != value.strip():
        return "begins or ends with white space"
    if value.startswith("\ufeff"):
        return "begins with a byte order mark"
    if ref is not None and ref.source in _FILES:
        with suppress(SecretUnavailable):
            if "\r" in _read(ref, CREDENTIALS).strip():
                return "contains a carriage return, which drd reads as a line end"
    return None


def references(value: object) -> Iterator[SecretRef]:
    """Return every secret reference in a plan or a channel, including its settings."""
    if isinstance(value, _PLAIN):  # what follows takes ten times as long to see that
        return
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)
    elif is_dataclass(value):
        for each in fields(value):
            yield from references(getattr(value, each.name))
    else:  # the settings of kinds, checks and channels are pydantic models
        for name in getattr(type(value), "model_fields", ()):
            yield from references(getattr(value, name))


def _refuse_unusable(value: str, ref: SecretRef) -> None:
    """Raise SecretUnavailable for a NUL byte and for a secret that is too long: no environment
    variable can hold them.
    """
    if "\0" in value:
        raise SecretUnavailable(
            f"secret {ref.describe()} contains a NUL byte, which drd cannot pass to programs",
            hint="write the secret as text, for instance in base64.",
        )
    if len(value.encode("utf-8", "surrogateescape")) > LONGEST:
        raise SecretUnavailable(
            f"secret {ref.describe()} is longer than {LONGEST >> 10} KiB",
            hint="check that the reference names the secret, not another file or command.",
        )


def same_in_files(one: bytes, other: bytes) -> bool:
    """Return whether two files with these contents contain the same secret."""
    return _without_end(_unix_lines(one.decode("latin-1"))) == _without_end(
        _unix_lines(other.decode("latin-1"))
    )


def _lines(text: str, ref: SecretRef) -> str:
    """Read line ends of files as Python does: existing repositories were made with that."""
    return _unix_lines(text) if ref.source in _FILES else text


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _without_end(text: str) -> str:
    """Return it without its last line end, which is no part of a secret."""
    return text.removesuffix("\n").removesuffix("\r")


def _read(ref: SecretRef, credentials: Path) -> str:
    if ref.source == "command":
        return _from_command(ref)
    assert isinstance(ref.value, str)
    if ref.source == "env":
        value = os.environ.get(ref.value)
        if value is None:
            raise SecretUnavailable(
                f"environment variable {ref.value} is not set", hint=f"export {ref.value}=…"
            )
        return value
    if ref.source == "credential":
        return _from_credential(ref.value, credentials)
    return _from_file(Path(ref.value), f"write the secret to {ref.value}, mode 0600.")


def _from_credential(name: str, credentials: Path) -> str:
    handed_over = os.environ.get("CREDENTIALS_DIRECTORY")
    if not handed_over:
        return _from_directory(name, credentials)
    for file in (Path(handed_over) / f"{UNIT_PREFIX}{name}", Path(handed_over) / name):
        if file.exists():
            return _from_file(file, "run this command as the owner of the file.")
    there = credentials / name
    if _is_there(there):
        raise SecretUnavailable(
            f"the service does not have credential {name}: {there} was added{_written(there)}, "
            "after the service started",
            hint="systemctl restart drd: the service gets its credentials when it starts.",
        )
    gone = f", and {there} does not exist" if is_gone(str(there)) else ""
    raise SecretUnavailable(
        f"the service started without credential {name}{gone}",
        hint=f"write the secret to {there}, mode 0600, then systemctl restart drd: "
        "the service gets its credentials when it starts.",
    )


def _from_directory(name: str, credentials: Path) -> str:
    try:
        there = (credentials / name).exists()
    except PermissionError:
        there = True  # and reading it reports the missing right
    if there:
        return _from_file(
            credentials / name, "run this command as root, or as the owner of the file."
        )
    text, file = (
        f"credential {name} is not in {credentials}{_changed(credentials)}",
        credentials / name,
    )
    copy = copy_of_service(file)
    if copy is not None:
        raise SecretUnavailable(
            f"{text}; the running service still has a copy, until it stops",
            hint=f"cp -n {copy} {file}",
        )
    raise SecretUnavailable(text, hint=f"write the secret to {file}, mode 0600.")


def _is_there(path: Path) -> bool:
    """Return whether it exists; False as well in a directory that we may not read."""
    try:
        return path.exists()
    except PermissionError:
        return False


def changed_at(ref: SecretRef) -> tuple[str, float] | None:
    """Return the file of a secret, and the time of its last change. None if the secret is not in a
    file, and if this process may not look for the file."""
    if ref.source not in _FILES or not isinstance(ref.value, str):
        return None
    file = CREDENTIALS / ref.value if ref.source == "credential" else Path(ref.value)
    try:
        return str(file), file.stat().st_mtime
    except OSError:
        return None


def copy_of_service(file: Path) -> Path | None:
    """Return where systemd keeps a copy of this credential while the service runs. None for other
    files, if there is no copy, and if this process may not look for it."""
    if file.parent != CREDENTIALS:
        return None
    handed = Path(os.environ.get("CREDENTIALS_DIRECTORY") or SERVICE_COPIES)
    copy = handed / f"{UNIT_PREFIX}{file.name}"
    return copy if _is_there(copy) else None


def is_given_copies() -> bool:
    """Return whether this process reads credentials from the copies that systemd gave a service."""
    return bool(os.environ.get("CREDENTIALS_DIRECTORY"))


def former_of_service(file: Path) -> Path | None:
    """Return where the service's copy of this credential is, if the file contains another text now.
    None as for `copy_of_service`."""
    copy = copy_of_service(file)
    try:
        return copy if copy is not None and copy.read_bytes() != file.read_bytes() else None
    except OSError:
        return None


def differs_from_service(value: object) -> bool:
    """Return whether the running service still uses another text of a credential in `value`, a plan
    or a part of one, than this process: the file was changed after the service started."""
    if is_given_copies():
        return False
    files = [CREDENTIALS / str(r.value) for r in references(value) if r.source == "credential"]
    return any(former_of_service(file) is not None for file in files)


LATER = "-later"
"""The end of `opened_with` of a repository that this process opens with other secrets than the
running service: what it finds says nothing about the service."""


def opened_with(spec: RepositorySpec) -> str:
    """Return what identifies the secrets with which this process opens a repository."""
    return spec.opened_with + (LATER if differs_from_service(spec.secrets()) else "")


def gone_since(file: Path) -> datetime | None:
    """Return the last change of the directory of a file that is gone: the file was removed then, or
    earlier. None if drd cannot find out.
    """
    try:
        return datetime.fromtimestamp(file.parent.stat().st_mtime, UTC)
    except OSError:
        return None


def came_at(info: os.stat_result) -> datetime:
    """Return when the file at this path got its present text. If a file was moved here, its text is
    older; then the time of the move counts."""
    return datetime.fromtimestamp(max(info.st_mtime, info.st_ctime), UTC)


def _written(file: Path) -> str:
    with suppress(OSError):
        return f" at {format_time(came_at(file.stat()), seconds=True)}"
    return ""


def _changed(directory: Path) -> str:
    at = gone_since(directory / "file")
    if at is None:
        return ""
    return f" (the directory changed last at {format_time(at, seconds=True)})"


def _from_file(path: Path, hint: str) -> str:
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            raise SecretUnavailable(
                f"secret file {path} is larger than {_LARGEST_FILE >> 20} MiB",
                hint="write only the secret itself into this file: a password, a key or a token.",
            )
        return data.decode("utf-8")
    except OSError as error:
        since = _changed(path.parent) if isinstance(error, FileNotFoundError) else ""
        if error.errno == errno.EINVAL:
            hint = f"remove {path}, and write the secret into a file of this name, mode 0600."
        raise SecretUnavailable(
            f"cannot read secret file {path}: {error.strerror}{since}", hint=hint
        ) from error
    except UnicodeDecodeError as error:
        raise SecretUnavailable(
            f"secret file {path} is not UTF-8 text",
            hint="write the secret into this file as UTF-8 text.",
        ) from error


def _from_command(ref: SecretRef) -> str:
    done = process.run(process.Command(tuple(ref.value), deadline_s=30.0, drop_capabilities=True))
    if done.exit_code != 0:
        # Its output may contain the secret, so the message does not repeat it.
        raise SecretUnavailable(
            f"secret command {ref.value[0]} {process.ended(done.exit_code)}",
            hint="run the secret command by hand as the same user.",
            permanent=not done.killed,
        )
    try:
        return done.printed.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SecretUnavailable(
            f"the output of secret command {ref.value[0]} is not UTF-8 text",
            hint="change the command so that it prints UTF-8. A repository that drd made "
            "with the old output has a different password: the same text, in which "
            "each byte that is not UTF-8 is written as \\xHH. Print that text, then "
            "see `drd repository rekey`.",
        ) from error
