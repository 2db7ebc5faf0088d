"""The keys of a repository: each opens the same master key with its own password."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drd.errors import RepositoryError, WrongKey
from drd.ports import RepositoryKey
from drd.process import Completed
from drd.repositories.restic.errors import judge
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.runner import ResticRunner

ADD_S = 120.0


def opens(runner: ResticRunner) -> bool:
    """Return whether the password of this door opens the repository; False for a missing
    repository."""
    try:
        return bool(
            runner.ask(lambda library: library.cat.config(), "--no-lock", "--no-cache")["id"]
        )
    except WrongKey:
        return False


def keys(runner: ResticRunner) -> list[RepositoryKey]:
    """List all keys; the key that the present password has opened is `current`."""

    def work(retry_lock_s: int) -> list[RepositoryKey]:
        told, _ = runner.capture(["key", "list", "--json"], retry_lock_s=retry_lock_s)
        try:
            return [_key(item) for item in json.loads(told)]
        except (ValueError, KeyError, TypeError) as error:
            raise RepositoryError(
                "cannot parse restic's answer",
                hint="install restic 0.17 or 0.18: drd supports these versions.",
            ) from error

    return runner.locking(work)


def _key(item: Mapping[str, Any]) -> RepositoryKey:
    made_by = f"{item.get('userName', '')}@{item.get('hostName', '')}"
    return RepositoryKey(str(item["id"]), bool(item["current"]), made_by, str(item["created"]))


def add(runner: ResticRunner, password: str) -> None:
    """Add another password to the repository. restic gets it on standard input, from anonymous
    memory."""

    def work(retry_lock_s: int) -> Completed:
        words = ["key", "add", "--new-password-file", "/dev/stdin"]
        done = runner.run(
            words,
            Listener(),
            stdin=password.encode(),
            deadline_s=ADD_S,
            retry_lock_s=retry_lock_s,
        )
        judge(done, runner.url)
        return done

    runner.locking(work)


def remove(runner: ResticRunner, key: str) -> None:
    """Remove a key, but never the key that the present password opens: restic refuses that."""
    runner.locking(
        lambda wait: runner.capture(
            ["key", "remove", "--", key], retry_lock_s=wait, deadline_s=ADD_S
        )
    )
