"""Programs that listen on ports of loopback, and what they say."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from drd.masking import beginning

_END_OF_LOG = 64 << 10
_SHOWN = 300


def listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1.0)
        return one.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def last_line(path: Path) -> str:
    """Return the last line of a program's log."""
    try:
        with path.open("rb") as log:
            cut = log.seek(0, os.SEEK_END) > _END_OF_LOG
            log.seek(-_END_OF_LOG if cut else 0, os.SEEK_END if cut else os.SEEK_SET)
            lines = log.read(_END_OF_LOG).decode("utf-8", "replace")
    except OSError:
        return ""
    last = lines.rstrip().rpartition("\n")
    # The first line may be cut, and begin with a part of a secret.
    return beginning(last[2].strip(), _SHOWN) if last[1] or not cut else ""
