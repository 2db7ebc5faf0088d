"""Write what people take away into a new file that only they can read."""

from __future__ import annotations

import os

from drd.errors import UsageError
from drd.exhaustion import system_reason


def write_new(name: str, content: bytes) -> None:
    """Write a file that is not there yet. Raises UsageError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(name, flags, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        reason = system_reason(error)
        raise UsageError(f"cannot write {name}: {reason}", hint="name a new file.") from None
