"""Ask an SSH server or rclone how much room is left; restic itself has no question for that."""

from __future__ import annotations

import json
from itertools import pairwise

from drd.errors import DrdError
from drd.model.schemes import parse_rclone, parse_sftp
from drd.repositories.restic.reach import Reach
from drd.repositories.restic.remote_commands import above, quoted, rclone, sftp

_COLUMNS = ("Size", "Used", "Avail", "(root)", "%Capacity")
"""The head of what OpenSSH's `df` prints, in KiB."""


def free_bytes(url: str, reach: Reach) -> int | None:
    """Return the bytes that are free there; None if the server, or the service behind rclone, does
    not report it. Takes a few seconds at most.
    """
    scheme = url.partition(":")[0]
    try:
        if scheme == "sftp":
            return _of_sftp(url, reach)
        if scheme == "rclone":
            return _of_rclone(url, reach)
    except DrdError:
        return None  # other findings say why it cannot be reached
    return None


def _of_sftp(url: str, reach: Reach) -> int | None:
    """With OpenSSH's extension statvfs."""
    path = parse_sftp(url).path
    asked = "".join(f"-df {quoted(place)}\n" for place in (path, above(path) or "."))
    lines = sftp(url, reach, asked).printed.decode("utf-8", "replace")
    rows = [line.split() for line in lines.splitlines()]
    for head, row in pairwise(rows):
        if tuple(head) == _COLUMNS and len(row) == len(_COLUMNS) and row[2].isdecimal():
            return int(row[2]) * 1024
    return None


def _of_rclone(url: str, reach: Reach) -> int | None:
    remote, path = parse_rclone(url)
    for place in dict.fromkeys((path, above(path))):
        # The repository's own directory may not exist yet.
        done = rclone(reach, "about", "--json", f"{remote}:{place}")
        if not done.exit_code:
            return _free_in(done.printed)
    return None


def _free_in(answer: bytes) -> int | None:
    try:
        free = json.loads(answer).get("free")
    except (ValueError, AttributeError):
        return None
    return free if isinstance(free, int) and not isinstance(free, bool) and free >= 0 else None
