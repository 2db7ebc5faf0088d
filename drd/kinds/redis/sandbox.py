"""A sandbox: a server of drd's own that loads the restored file."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import RepositoryDamaged, SandboxUnavailable
from drd.kinds.file_system import ANOTHER_POINT, fresh, remove, work_finding
from drd.kinds.one_file import landed_file
from drd.kinds.redis.fingerprint import USERS
from drd.kinds.redis.inspector import ServerInspector
from drd.kinds.redis.manifest import DUMP, filename, users_in
from drd.kinds.redis.programs import ServerProgram, server_for
from drd.kinds.redis.rdb import MalformedRdb, RdbContent, read
from drd.kinds.redis.server import FEWEST_DATABASES, LoadFailed, SandboxServer, load_error
from drd.kinds.redis.server_facts import acl_users, info, keys_by_database
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint
from drd.model.text import counted
from drd.ports import Destination, Finding, Inspector, OnProgress, Progress, Restored, Workplace

_LOAD_LEAST_S = 60.0
_LOAD_BYTES_PER_S = 5 << 20
_CHUNK = 1 << 20
LANDING = "landing"
_READABLE = 0o444
"""The mode of the file that the server loads, in a directory that only the server's user enters."""


def program_for(product: str, snapshot: ComponentSnapshot, bin_dir: str | None) -> ServerProgram:
    """Return the server of this host that reads a snapshot. Raises SandboxUnavailable."""
    facts = snapshot.facts
    wrote = f"{facts['product'].capitalize()} {facts['version']}"
    return server_for(product, wrote, facts["format"], facts["format_version"], bin_dir)


def proven(landing: Path, snapshot: ComponentSnapshot) -> Path:
    """Return the restored file if its bytes are those of the backup. Raises RepositoryDamaged."""
    file = landed_file(landing, snapshot, filename(snapshot.component))
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while chunk := data.read(_CHUNK):
            process.check_cancelled()
            digest.update(chunk)
    if digest.hexdigest() != snapshot.facts["sha256"]:
        raise RepositoryDamaged(
            f"{file.name} is not the file that drd has stored: its sha256 differs",
            hint=ANOTHER_POINT,
        )
    return file


def content_of(file: Path) -> RdbContent:
    """Count the keys of a restored file. Raises RepositoryDamaged."""
    try:
        return read(file)
    except MalformedRdb as error:
        raise RepositoryDamaged(
            f"the restored file {file.name} cannot be read: {error}", hint=ANOTHER_POINT
        ) from error


class RedisSandbox(Destination):
    """A server in the workplace, which has loaded the data."""

    def __init__(
        self,
        component: str,
        product: str,
        bin_dir: str | None,
        snapshot: ComponentSnapshot,
        place: Workplace,
    ) -> None:
        self._component = component
        self._product = product
        self._bin_dir = bin_dir
        self._snapshot = snapshot
        self._place = place
        self._server: SandboxServer | None = None
        self._file: RdbContent | None = None

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing to overwrite
        what = f"{self._component} restored"
        room = work_finding(self._place.directory, 2 * snapshot.bytes, what=what)
        try:
            program = self._program()
        except SandboxUnavailable as error:
            return [room, Finding("sandbox", "error", "", error.message, error.hint)]
        return [room, Finding("sandbox", "ok", "", f"{program.version.words} starts")]

    def _program(self) -> ServerProgram:
        return program_for(self._product, self._snapshot, self._bin_dir)

    def prepare(self) -> None:
        if self._server is None:
            self._server = SandboxServer(self._place, self._program())
            self._server.make()

    def landing(self) -> Path:
        return fresh(self._place.directory / LANDING)

    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        self.prepare()
        server = self._server
        assert server is not None
        if not server.running:
            self._load(server, snapshot, private)
        remove(self._place.directory / LANDING)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        here, facts = server.program.version, snapshot.facts
        notes: tuple[str, ...] = ()
        if (here.product, here.text) != (facts["product"], facts["version"]):
            source = f"{facts['product'].capitalize()} {facts['version']}"
            notes = (f"loaded into {here.words}; the source was {source}",)
        notes += self._ended(server)
        return Restored(notes, self._differences(server), facts={"server_version": here.words})

    def _load(
        self, server: SandboxServer, snapshot: ComponentSnapshot, private: Mapping[str, Any]
    ) -> None:
        """Let the server load the file while drd counts the keys in the file. The server may read
        the file, but not change it: while drd counts, the file belongs to drd's user."""
        landing = self._place.directory / LANDING
        file = landed_file(landing, snapshot, filename(snapshot.component))
        with ThreadPoolExecutor(1, thread_name_prefix="drd-count") as pool:
            counted = pool.submit(content_of, file)
            landed = proven(landing, snapshot)
            landed.chmod(_READABLE)
            os.link(landed, server.data / DUMP)  # drd still reads it by its first name
            try:
                self._start(server, snapshot, private, FEWEST_DATABASES, counted)
            except LoadFailed as error:
                raise load_error(server, snapshot, sorted(counted.result().modules)) from error
            self._file = counted.result()

    def _ended(self, server: SandboxServer) -> tuple[str, ...]:
        """Say how many keys the server does not have, because their time is over."""
        assert self._file is not None
        with server.client() as client:
            live = sum(keys_by_database(info(client, "keyspace")).values())
        now_ms = int(time.time() * 1000)
        ends = self._file.expiring.values()
        count = self._file.keys.total() + sum(map(len, ends))
        ended = min(count - live, sum(end <= now_ms for those in ends for end in those))
        if ended <= 0:
            return ()
        text = f"the time to live of {ended:,} of {counted(count, 'key')} is over"
        if live:
            return (f"{text}: the server of the drill does not have them",)
        meaning = "the drill proves only that the file is whole, and that a server accepts it"
        return (f"{text}: the server of the drill has no keys, so {meaning}",)

    def _differences(self, server: SandboxServer) -> tuple[str, ...]:
        """Compare the number of users of the ACLs, without drd's own."""
        saved = self._snapshot.fingerprint
        wanted = saved.properties.get(USERS) if isinstance(saved, DatabaseFingerprint) else None
        if wanted is None:
            return ()
        with server.client() as client:
            users = len(acl_users(client) or ()) - 1
        return () if users == wanted else (f"{USERS}: {users}, but {wanted} at backup",)

    def _start(
        self,
        server: SandboxServer,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],
        databases: int,
        content: Future[RdbContent],
    ) -> None:
        """Start the server with this number of databases. If the file contains more databases,
        start the server again with as many. Raises LoadFailed."""
        users = users_in(private, self._component)
        within_s = _LOAD_LEAST_S + snapshot.bytes / _LOAD_BYTES_PER_S
        try:
            server.start(users, databases, within_s)
        except LoadFailed:
            needed = content.result().databases
            if needed <= databases:
                raise
            self._start(server, snapshot, private, needed, content)

    def inspector(self) -> Inspector:
        assert self._server is not None
        assert self._file is not None
        return ServerInspector(self._server, self._file)

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
        remove(self._place.directory / LANDING)
