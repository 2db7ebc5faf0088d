"""Find out whether drd may make a repository at an SSH server or behind rclone, where none is yet:
restic tells this only when it makes one."""

from __future__ import annotations

import json
import re
import secrets

from drd.errors import DrdError, RepositoryReadOnly
from drd.masking import masked
from drd.model.schemes import parse_rclone, parse_sftp
from drd.repositories.restic.reach import Reach
from drd.repositories.restic.remote_commands import above, quoted, rclone, sftp

_NAME = "drd-write-test-"
_NO_DIRECTORY = 3
"""rclone's exit code for a directory that does not exist."""
_CANNOT_LOG_IN = 255
_FAILED = re.compile(r"Failed to \w+: (.+)")


def require_writable(url: str, reach: Reach) -> bool:
    """Make a directory in the nearest directory that exists, and remove it. Return whether this was
    tried: other services than these have no directories. Raises RepositoryReadOnly."""
    scheme = url.partition(":")[0]
    name = _NAME + secrets.token_hex(4)
    try:
        if scheme == "sftp":
            said = _tried_by_sftp(url, reach, name)
        elif scheme == "rclone":
            said = _tried_by_rclone(url, reach, name)
        else:
            return False
    except DrdError:
        return False  # other findings say why it cannot be reached
    if said:
        raise RepositoryReadOnly(
            f"drd cannot make a repository at {url}: {masked(said)}",
            hint="let the user of this repository write there: for a directory of this host, the "
            "user that drd runs as.",
        )
    return said is not None


def _tried_by_sftp(url: str, reach: Reach, name: str) -> str | None:
    """Return why no directory can be made; empty if it was made, None if nobody can log in."""
    path, directories = parse_sftp(url).path, []
    while path not in ("", "/"):
        directories.append(path)
        path = above(path)
    # A directory that does not exist is left out, so the last one is the nearest.
    batch = [f"-cd {quoted(directory)}" for directory in reversed(directories)]
    done = sftp(url, reach, "\n".join([*batch, f"mkdir {name}", f"rmdir {name}", ""]))
    if done.exit_code in (0, _CANNOT_LOG_IN):
        return "" if done.exit_code == 0 else None
    return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else None


def _tried_by_rclone(url: str, reach: Reach, name: str) -> str | None:
    """Do the same with rclone; None also for a service that has buckets."""
    remote, path = parse_rclone(url)
    features = rclone(reach, "backend", "features", f"{remote}:")
    if features.exit_code or _has_buckets(features.printed):
        return None
    while path and rclone(reach, "lsf", f"{remote}:{path}").exit_code == _NO_DIRECTORY:
        path = above(path)
    tried = f"{remote}:{path.rstrip('/')}/{name}" if path else f"{remote}:{name}"
    made = rclone(reach, "mkdir", tried)
    if made.exit_code:
        return _reason(made.stderr)
    removed = rclone(reach, "rmdir", tried)
    return _reason(removed.stderr) if removed.exit_code else ""


def _has_buckets(answer: bytes) -> bool:
    try:
        return bool(json.loads(answer)["Features"]["BucketBased"])
    except (ValueError, KeyError, TypeError):
        return True


def _reason(said: str) -> str | None:
    """Return rclone's last message, without the time and what it was doing."""
    reasons = _FAILED.findall(said)
    return str(reasons[-1]) if reasons else None
