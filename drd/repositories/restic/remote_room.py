"""Ask an SSH server or rclone how much room is left; restic itself has no question for that."""

from __future__ import annotations

import json
from itertools import pairwise

from drd import process
from drd.errors import DrdError
from drd.model.schemes import parse_rclone, parse_sftp
from drd.process import Command, find_tool
from drd.repositories.restic.reach import Reach, ssh_options

ANSWER_S = 15.0
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
    place = parse_sftp(url)
    words = ["-q", "-b", "-", "-P", str(place.port), *ssh_options(reach.files)]
    host = f"[{place.host}]" if ":" in place.host else place.host
    program = find_tool("sftp", package="openssh-client")
    # ssh closes what it inherits, so its parent's parent holds the files, as restic does otherwise.
    argv = ["/bin/sh", "-c", '"$@"; exit $?', "sh", program, *words, f"{place.user}@{host}"]
    command = Command(argv, files=reach.files, deadline_s=ANSWER_S, name="sftp")
    asked = "".join(f"-df {_quoted(path)}\n" for path in (place.path, _above(place.path) or "."))
    lines = process.run(command, stdin=asked.encode()).printed.decode("utf-8", "replace")
    rows = [line.split() for line in lines.splitlines()]
    for head, row in pairwise(rows):
        if tuple(head) == _COLUMNS and len(row) == len(_COLUMNS) and row[2].isdecimal():
            return int(row[2]) * 1024
    return None


def _quoted(path: str) -> str:
    """Quote a path for sftp, which also reads patterns."""
    escaped = "".join(f"\\{c}" if c in '\\"*?[' else c for c in path)
    return f'"{escaped}"'


def _of_rclone(url: str, reach: Reach) -> int | None:
    remote, path = parse_rclone(url)
    program = find_tool("rclone", package="rclone")
    for place in dict.fromkeys((path, _above(path))):
        words = ["about", "--json", "--contimeout", "10s", "--retries", "1", f"{remote}:{place}"]
        command = Command([program, *words], env=reach.env, deadline_s=ANSWER_S, name="rclone")
        done = process.run(command)
        if not done.exit_code:
            return _free_in(done.printed)
    return None


def _above(path: str) -> str:
    """Return the directory above, as the repository's own may not exist yet."""
    above = path.rstrip("/").rpartition("/")[0]
    return above or ("/" if path.startswith("/") else "")


def _free_in(answer: bytes) -> int | None:
    try:
        free = json.loads(answer).get("free")
    except (ValueError, AttributeError):
        return None
    return free if isinstance(free, int) and not isinstance(free, bool) and free >= 0 else None
