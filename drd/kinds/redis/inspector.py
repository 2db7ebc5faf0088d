"""Answers about restored data: of a server of drd's own, or of a file."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.kinds.one_file import FileInspector
from drd.kinds.redis.client import connected
from drd.kinds.redis.fingerprint import after_expiry, fingerprint_of
from drd.kinds.redis.in_use import holder
from drd.kinds.redis.manifest import DUMP
from drd.kinds.redis.questions import answer
from drd.kinds.redis.rdb import MalformedRdb, RdbContent, read
from drd.kinds.redis.save import require_own
from drd.kinds.redis.server import SandboxServer, saved_file
from drd.kinds.redis.server_facts import info, keys_by_database
from drd.kinds.redis.settings import ServerSettings
from drd.model.snapshot import Fingerprint
from drd.ports import Inspector
from drd.process import check_cancelled

_START_S = 30.0
"""Seconds within which a server that a step has started has to answer with its data loaded."""
_POLL_S = 0.2


class ServerInspector(Inspector):
    """Asks the server of a drill. `file` is what it has loaded."""

    def __init__(self, server: SandboxServer, file: RdbContent) -> None:
        self._server = server
        self._file = file

    @property
    def location(self) -> str:
        return f"unix://{self._server.socket}"

    @property
    def environment(self) -> Mapping[str, str]:
        login = self._server.login
        return {
            "DRD_URL": self.location,
            "DRD_PATH": os.fspath(self._server.data / DUMP),
            "DRD_SOCKET": os.fspath(self._server.socket),
            "DRD_USER": login.user,
            "REDISCLI_AUTH": login.password,
        }

    @property
    def sockets(self) -> Sequence[str]:
        return (os.fspath(self._server.socket.parent),)

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        with self._server.client() as client:
            return answer(client, query, timeout_s)

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:  # noqa: ARG002 - all is counted
        """Let the server save its present data, and count it. Raises SourceError."""
        limit = time.monotonic() + budget_s
        with self._server.client() as client:
            client.ask("SAVE", timeout_s=budget_s)
            at_ms = int(time.time() * 1000)
        now = _read(lambda left: read(saved_file(self._server), left), limit)
        return after_expiry(self._file, now, at_ms)


class RdbInspector(FileInspector):
    """Counts the keys of a restored file, without a server. `server` says how to reach the server
    that runs on the restored files."""

    def __init__(
        self, path: Path, server: ServerSettings | None = None, *, is_loaded: bool = False
    ) -> None:
        """`is_loaded`: a server that works in the directory should have this file."""
        super().__init__(path)
        self._server = server
        self._is_loaded = is_loaded

    @property
    def environment(self) -> Mapping[str, str]:
        url = {"DRD_URL": self._server.url} if self._server is not None else {}
        return {**super().environment, **url}

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        """Ask the server that a step of the runbook has started on the restored data."""
        if self._server is None:
            return super().scalar(query, timeout_s=timeout_s)
        with connected(self._server) as client:
            return answer(client, query, timeout_s)

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:  # noqa: ARG002 - all is counted
        limit = time.monotonic() + budget_s
        content = _read(lambda left: read(self._path, left), limit)
        if self._is_loaded and holder(self._path.parent) is not None:
            self._require_loaded(content, min(limit, time.monotonic() + _START_S))
        return fingerprint_of(content)

    def _require_loaded(self, content: RdbContent, limit: float) -> None:
        """Raise SourceError unless the server on the restored files has at least their keys without
        a time to live. Raises SourceUnreachable if the server cannot be asked."""
        about = f"a server works in {self._path.parent}, but drd could not ask it"
        if self._server is None:
            raise SourceUnreachable(
                f"{about}: the target has no `url`",
                hint="add `url` to this target: the address of the server after the recovery.",
            )
        try:
            has = _keys_of(self._server, self._path.parent, limit)
        except DrdError as error:
            raise SourceUnreachable(f"{about}: {error.message}", hint=error.hint) from error
        stay: Counter[int] = Counter()
        for (database, _), count in content.keys.items():
            stay[database] += count
        for database, count in stay.items():
            if has.get(database, 0) < count:
                raise SourceError(
                    f"the server has {has.get(database, 0):,} keys in database {database}, but the "
                    f"restored file has {count:,} without a time to live: the server has not "
                    "loaded this file",
                    hint="compare `dbfilename` and `appendonly` of the server (CONFIG GET) with "
                    f"the restored files in {self._path.parent}.",
                )


def _keys_of(server: ServerSettings, directory: Path, limit: float) -> dict[int, int]:
    """Return the numbers of keys of a server, as soon as it has loaded its data."""
    while True:
        try:
            with connected(server) as client:
                require_own(client, directory)
                facts = info(client, "persistence", "keyspace")
            if facts.get("loading") != "1" or time.monotonic() > limit:
                return keys_by_database(facts)
        except SourceUnreachable:
            if time.monotonic() > limit:
                raise
        check_cancelled()
        time.sleep(_POLL_S)


def _read(work: Callable[[float], RdbContent], limit: float) -> RdbContent:
    try:
        return work(max(0.1, limit - time.monotonic()))
    except MalformedRdb as error:
        raise SourceError(f"the RDB file cannot be read: {error}") from error
    except OSError as error:
        raise SourceError(f"cannot read {error.filename}: {error.strerror}") from error
