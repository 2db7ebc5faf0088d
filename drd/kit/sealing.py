"""A kit as one file: a line of text that says how to open it, then an age file in ASCII armour.

Everything is in memory: a kit contains only text, no data."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyrage

from drd import log
from drd.age import error_text, identities, recipient
from drd.errors import KitDamaged, KitUnavailable, TargetUnwritable, UsageError, WrongKey
from drd.exhaustion import system_reason
from drd.kinds.file_system import fsync_path
from drd.model.kit import Key, digest_in, heading, is_heading
from drd.process import rights

LARGEST = 256 << 20
"""The largest kit in bytes that drd reads; a kit with a hundred plans has a few million bytes."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Who can open a kit: the holders of a passphrase, or of the keys for these public keys; never
    both, which age does not allow.
    """

    passphrase: str | None = None
    recipients: tuple[str, ...] = ()


def seal(archive: bytes, lock: Lock, *, made_at: datetime, plans: Sequence[str]) -> bytes:
    """Return the bytes of a kit. Raises UsageError for an invalid recipient."""
    if lock.passphrase is not None:
        body = pyrage.passphrase.encrypt(archive, lock.passphrase, armored=True)
    else:
        keys = [recipient(text) for text in lock.recipients]
        body = pyrage.encrypt(archive, keys, armored=True)
    digest = hashlib.sha256(body).hexdigest()
    first = heading(made_at, plans, digest, passphrase=lock.passphrase is not None)
    return first.encode() + b"\n" + bytes(body)


def encrypted(text: str, key: str) -> str:
    """Return a text for the holder of this public key, in ASCII armour. Raises UsageError."""
    return bytes(pyrage.encrypt(text.encode(), [recipient(key)], armored=True)).decode()


def unseal(kit: bytes, key: Key, *, name: str) -> bytes:
    """Return the archive inside. Raises UsageError for a file that is not a kit, KitDamaged,
    WrongKey, and KitUnavailable if this machine is too slow to try the passphrase."""
    first, _, body = kit.partition(b"\n")
    line = first.decode("utf-8", "replace")
    if not is_heading(line):
        raise UsageError(
            f"{name} is not a recovery kit",
            hint="give the file that drd kit export has written: it begins with `drd "
            "recovery kit of …`.",
        )
    whole = hashlib.sha256(body).hexdigest() == digest_in(line)
    try:
        return _decrypted(body, key)
    except pyrage.DecryptError as error:
        if not whole:
            raise KitDamaged(
                f"the kit {name} is damaged: its content does not match the digest in its first "
                f"line ({error_text(error)})",
                hint="use another copy of the kit.",
            ) from None
        if key.passphrase is None:
            raise WrongKey(
                f"this identity does not open the kit {name}",
                hint="the first line of the kit says what opens it. Give that identity, "
                "or --passphrase-file.",
            ) from None
        if _is_too_slow(error):
            raise KitUnavailable(
                f"this machine is too slow or too busy to open {name}: drd did not try the "
                "passphrase, which may be right",
                hint="try again when the machine has less to do, or open the kit with age, as the "
                "first line of the file says.",
            ) from None
        said = error_text(error)
        why = "" if said == "decryption failed" else f": {said}"
        raise WrongKey(
            f"the passphrase does not open {name}{why}",
            hint="check the passphrase file; if the kit is encrypted for recipients, give "
            "--identity FILE.",
        ) from None


def read_kit(path: Path) -> bytes:
    """Return the file's bytes. Raises UsageError."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the kit {path}: {system_reason(error)}",
            hint="give the file that drd kit export has written.",
        ) from None
    if len(data) > LARGEST:
        raise UsageError(f"{path} is too large for a recovery kit", hint="check the path.")
    return data


def write_kit(path: Path, data: bytes) -> None:
    """Write the whole kit or nothing, with mode 0600. Replaces an existing kit, but no other
    file."""
    try:
        with rights.writing(path.parent) as place:
            refuse_strangers(path, place / path.name)
            _write_whole(place, path.name, data)
    except OSError as error:
        raise unwritable(f"the kit {path}", error) from None


def unwritable(what: str, error: OSError) -> TargetUnwritable:
    if isinstance(error, rights.NotFollowed):
        return TargetUnwritable(f"cannot write {what}: {error.strerror}", hint=error.hint)
    return TargetUnwritable(
        f"cannot write {what}: {system_reason(error)}",
        hint="drd wrote nothing. Give a file in an existing directory that you may write to.",
    )


def _write_whole(directory: Path, name: str, data: bytes) -> None:
    descriptor, made = tempfile.mkstemp(dir=directory, prefix=f".{name}.")
    part = Path(made)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(directory / name)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    fsync_path(directory)


def refuse_strangers(path: Path, held: Path | None = None) -> None:
    """Raise UsageError when the file exists and is not a kit; `held` is another name of the file,
    by which it is opened."""
    there = held or path
    if not os.path.lexists(there):
        return
    if there.is_file():
        with there.open("rb") as file:
            start = file.read(200)
        if is_heading(start.decode("utf-8", "replace")):
            return
    raise UsageError(
        f"drd does not overwrite {path}: it exists and is not a recovery kit",
        hint="give the name of a new file, or move this file away.",
    )


def read_passphrase(path: Path) -> str:
    """Return the only line of the file; from now on masked. Raises UsageError."""
    text = read_secret_file(path, "passphrase").removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise UsageError(
            f"the passphrase file {path} is empty", hint="write the passphrase to this file."
        )
    if "\n" in text:
        raise UsageError(
            f"the passphrase file {path} has several lines",
            hint="write the passphrase on one line: age reads one line from a terminal.",
        )
    log.mask(text)
    return text


def read_secret_file(path: Path, what: str) -> str:
    """Read a secret from a file. Raises UsageError, which names the file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot read the {what} file {path}: {system_reason(error)}",
            hint=f"write the {what} to this file, mode 0600.",
        ) from None
    except UnicodeDecodeError:
        raise UsageError(
            f"the {what} file {path} is not UTF-8 text",
            hint=f"check the path, or write the {what} to this file as UTF-8.",
        ) from None


_TRIES = 20
_PAUSE_S = 0.25
"""Seconds to wait. age measures the speed of the processor for milliseconds, and refuses a
passphrase that would take 16 seconds by this measurement. Other processes can falsify the
measurement, so the next one may be right."""


def _decrypted(body: bytes, key: Key) -> bytes:
    if key.passphrase is None:
        return bytes(pyrage.decrypt(body, identities(key.identity)))
    for _ in range(_TRIES):
        try:
            return bytes(pyrage.passphrase.decrypt(body, key.passphrase))
        except pyrage.DecryptError as error:
            if not _is_too_slow(error):
                raise
            time.sleep(_PAUSE_S)
    return bytes(pyrage.passphrase.decrypt(body, key.passphrase))


def _is_too_slow(error: pyrage.DecryptError) -> bool:
    return "excessive work parameter" in str(error).lower()
