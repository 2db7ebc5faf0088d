"""Read the file, or stdin, that a person gives to a command."""

from __future__ import annotations

import sys
from pathlib import Path

from drd.errors import UsageError
from drd.exhaustion import system_reason
from drd.model.units import format_size


def read_given(name: str, largest: int, hint: str) -> bytes:
    """Return the contents of a file; `-` is stdin. Raises UsageError, with the hint if there is
    more than `largest` bytes."""
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(largest + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(largest + 1)
    except OSError as error:
        reason = system_reason(error)
        raise UsageError(f"cannot read {name}: {reason}", hint="check the path.") from None
    if len(raw) > largest:
        raise UsageError(
            f"{'stdin' if name == '-' else name} is larger than {format_size(largest)}", hint=hint
        )
    return raw
