"""Replace the whole text of a user's file. The old text stays until the new text is on the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drd.errors import UsageError
from drd.exhaustion import system_reason
from drd.modes import open_regular

LARGEST = 10 << 20


def renew(name: str, make: Callable[[str], str]) -> None:
    """Replace the text of an existing file by what `make` returns for this text. Mode, owner and
    group stay. Raises UsageError, and the errors of `make`: the file is then unchanged."""
    path = Path(name)
    try:
        how = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(open_regular(path, how), "rb") as file:
            there, before = os.fstat(file.fileno()), file.read(LARGEST + 1)
        if len(before) > LARGEST:
            raise UsageError(f"{name} has more than 10 MiB", hint="name another file.")
        text = make(before.decode())
        _replace(path, there, text.encode())
    except UnicodeDecodeError:
        hint = "save the file as UTF-8, or name a new file."
        raise UsageError(f"{name} is not a text file in UTF-8", hint=hint) from None
    except OSError as error:
        hint = "name a file that you may write, in a directory that you may write to."
        raise UsageError(f"cannot write {name}: {system_reason(error)}", hint=hint) from None


def _replace(path: Path, there: os.stat_result, data: bytes) -> None:
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            mine = os.fstat(file.fileno())
            if (mine.st_uid, mine.st_gid) != (there.st_uid, there.st_gid):
                os.fchown(file.fileno(), there.st_uid, there.st_gid)
            os.fchmod(file.fileno(), there.st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if _stamp(path.lstat()) != _stamp(there):
            raise UsageError(
                f"somebody changed {path} while drd was writing to it",
                hint="drd did not change the file. Run the command again.",
            )
        Path(made).rename(path)
    except BaseException:
        with suppress(OSError):
            Path(made).unlink()
        raise


def _stamp(there: os.stat_result) -> tuple[int, ...]:
    return there.st_dev, there.st_ino, there.st_mtime_ns, there.st_size
