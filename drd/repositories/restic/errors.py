"""Translate restic's exit codes and messages into errors of ours with a remedy."""

from __future__ import annotations

import re
from pathlib import Path

from drd.errors import (
    Cancelled,
    DrdError,
    PointGone,
    Repair,
    RepositoryDamaged,
    RepositoryError,
    RepositoryLocked,
    RepositoryMissing,
    RepositoryReadOnly,
    RepositoryUnreachable,
    WrongKey,
)
from drd.exhaustion import NO_MORE_TASKS
from drd.process import MEMORY_HINT, Completed, ended
from drd.repositories.place import NO_SPACE
from drd.repositories.restic.messages import Complaints, complaints
from drd.repositories.restic.remote_errors import explained

_DAMAGE = re.compile(
    r"ciphertext verification failed"
    r"|repository contains errors"
    r"|invalid data returned"
    r"|does not match id|hash mismatch|unexpected pack id"
    r"|(?:pack|blob|tree|index)\b.* (?:does not exist|not found|is damaged)"
    r"|id \S+ not found in (?:repository|index)"
    r"|Load\(<(?:data|index|snapshot)/\S+>.*(?:no such file|does not exist|unexpected EOF)"
    r"|ReadFull\(<data/"
    r"|not found in snapshot|unknown blob",
    re.IGNORECASE,
)
_KEY_FILE = re.compile(r"LoadRaw\(<key/", re.IGNORECASE)
_NO_SNAPSHOT = re.compile(
    r"no matching ID found|failed to find snapshot.*(?:does not exist|no such file|not found)",
    re.IGNORECASE,
)
_NETWORK = re.compile(
    r"connection refused|connection reset|no such host|i/o timeout|no route to host"
    r"|context deadline exceeded|TLS handshake",
    re.IGNORECASE,
)
_READ_ONLY = re.compile(
    r"unable to create lock.*(?:access ?denied|permission denied|read-only file system)",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(
    r"no space left on device|507 Insufficient Storage|disk quota exceeded", re.IGNORECASE
)
_LOCKING = re.compile(r"unable to create lock|Save\(<lock/", re.IGNORECASE)
_HOLDER = re.compile(r"already locked(?: exclusively)? by (PID \d+ on \S+)")

_NO_THREADS = "failed to create new OS thread"
"""The beginning of the Go runtime's last message when it gets no threads."""

_FILE_GONE = "does not exist"
"""restic's words for a file of the repository that no longer exists."""


def repair_of(said: str) -> Repair:
    """Return which part of a repository restic has to repair, by its messages."""
    return "index" if _FILE_GONE in said else "packs"


MORE_TIME = (
    "check the repository's server and the network. If restic needs more time, raise `timeout` in "
    "the section of the plan for this run: backup, copy, verification or prune."
)
"""The remedy for a restic that did not end by its deadline."""
DAMAGED_HINT = (
    "restore from another restore point or repository, and check this repository with `restic "
    "check --read-data`."
)


def is_damage(text: str) -> bool:
    """Return whether the text is about damage of stored data. Anyone with write access can have put
    files among the keys, so errors about keys do not count.
    """
    return _DAMAGE.search(text) is not None and _KEY_FILE.search(text) is None


def is_full(said: Complaints) -> bool:
    """Return whether a disk is full."""
    return _NO_SPACE.search(said.text) is not None


def is_locking(said: Complaints) -> bool:
    """Return whether restic could not write its lock."""
    return _LOCKING.search(said.text) is not None


def no_threads_error(text: str) -> RepositoryError | None:
    """Return the error for a restic that could start no more threads."""
    if _NO_THREADS not in text:
        return None
    return RepositoryError(
        "restic could not start more threads", hint=NO_MORE_TASKS, permanent=False
    )


def judge(done: Completed, url: str) -> Complaints:
    """Return the complaints of a restic that exited with 0; raise an error for any other exit code.

    Exit codes of restic 0.17: 3 incomplete, 10 no repository, 11 locked, 12 wrong password, 130
    interrupted. An unknown exit code is a failure, as restic's documentation says.
    """
    said = complaints(done.stderr)
    if done.exit_code != 0:
        raise failure(done.exit_code, said, url)
    return said


def failure(code: int, said: Complaints, url: str) -> DrdError | Cancelled:
    """Return the error for a restic call that ended with `code`."""
    if code < 0:
        return RepositoryError(f"restic {ended(code)}", hint=MEMORY_HINT, permanent=False)
    if code == 10:
        return RepositoryMissing(
            f"there is no repository at {url}",
            hint="check the disk or bucket, and `url` of the repository in the plan; find out who "
            "moved or deleted the repository.",
            state="gone" if url.startswith("/") and not Path(url).exists() else "emptied",
        )
    if code == 11:
        return locked(said, url)
    if code == 12 or "wrong password" in said.text:
        return WrongKey(
            f"the password does not open the repository at {url}",
            hint="check that `password` of the repository names the right secret in the plan. "
            "Without the right password nobody can read the backups.",
        )
    if code == 130:
        return Cancelled("restic was interrupted")
    return _by_words(said, url) or RepositoryError(
        f"restic failed with exit code {code}: {said.last or 'no output'}",
        hint="run drd doctor, which checks restic and the repository.",
    )


def locked(said: Complaints, url: str) -> RepositoryLocked:
    holder = _HOLDER.search(said.text)
    by = f" by {holder[1]}" if holder else ""
    return RepositoryLocked(
        f"the repository at {url} is locked{by}",
        hint="wait until the other operation ends. drd removes the lock of a dead process "
        "by itself: on the host of that process at once, on other hosts after 30 "
        "minutes.",
    )


def failing(url: str, said: str) -> DrdError:
    """Return the error for an operation that restic repeats in vain. `said` is one of restic's
    messages about it."""
    found = complaints(said)
    return _by_words(found, url) or RepositoryUnreachable(
        f"the repository at {url} answers with an error again and again: {found.last}",
        hint="check the log of the repository's server and its free space, then try again.",
    )


def _by_words(said: Complaints, url: str) -> DrdError | None:
    if (starved := no_threads_error(said.text)) is not None:
        return starved
    if is_full(said):
        # Only reads work without a lock.
        kind = RepositoryReadOnly if is_locking(said) else RepositoryError
        return kind(
            f"no space left for the repository at {url}",
            hint=NO_SPACE,
        )
    if _READ_ONLY.search(said.text):
        return RepositoryReadOnly(
            f"the repository at {url} is read-only: {said.last.rpartition(': ')[2]}",
            hint="let the access key or user of drd write to the repository; drills and recoveries "
            "work without write access.",
        )
    if _NO_SNAPSHOT.search(said.text):
        return PointGone(
            f"the repository at {url} no longer contains the snapshot: {said.last}",
            hint="use another restore point (`drd points PLAN` lists them); `drd catalogue "
            "verify` finds all points that lack snapshots.",
        )
    if is_damage(said.text):
        return RepositoryDamaged(
            f"the repository at {url} is damaged: {said.last}",
            hint=DAMAGED_HINT,
            damage=said.last,
            repair=repair_of(said.last),
        )
    if _KEY_FILE.search(said.text):
        return RepositoryError(
            f"restic cannot read a key file of the repository at {url}: {said.last}",
            hint="check the files in keys/ of the repository: restic names each file after the "
            "sha256 of its content.",
        )
    if "maximum number of keys reached" in said.text:
        return RepositoryError(
            f"restic tried twenty keys of the repository at {url}, and the password does not "
            "open any of these keys",
            hint="run `drd doctor`, which searches all keys for the right one; then remove the "
            "files in keys/ of the repository that nobody uses.",
        )
    if (error := explained(said.text, url)) is not None:
        return error
    if _NETWORK.search(said.text):
        return RepositoryUnreachable(
            f"restic cannot reach {url}: {said.last}",
            hint="check the URL, the network and that the server of the repository runs.",
        )
    return None
