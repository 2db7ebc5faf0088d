"""A live server as a source."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.kinds.file_system import remove, work_finding
from drd.kinds.inside import facts_of, one_container, pinned, runs
from drd.kinds.redis.client import Client, connected, login_of
from drd.kinds.redis.fingerprint import fingerprint_of
from drd.kinds.redis.manifest import (
    ACL,
    AOF_DIRECTORY,
    AOF_NAME,
    DUMP,
    PLAIN,
    filename,
)
from drd.kinds.redis.programs import cli_program
from drd.kinds.redis.questions import answer
from drd.kinds.redis.rdb import MalformedRdb, head_of, read
from drd.kinds.redis.save import Into, SavedFile, receive, require_dump, require_own, save
from drd.kinds.redis.server_facts import (
    PRODUCTS,
    Version,
    acl_users,
    info,
    keys_by_database,
    number,
    require_command,
    settings_of,
    version_of,
)
from drd.kinds.redis.settings import ServerSettings
from drd.model.finding import Finding
from drd.model.snapshot import Fingerprint, StoredSnapshot
from drd.model.units import format_size
from drd.ports import Probe, Source, Stream, Workplace
from drd.process import Command, Container, container_of

COPY = "copy.rdb"
_OBSERVE_S = 60.0
_HEAD = 9
_MOST_TIMES = 2
_MORE = 256 << 20
_OF_THE_ROOM = 0.95
NO_USERS = (
    "drd may not read the users of the server's ACLs (ACL LIST), so restore points do not contain "
    "these users"
)
NO_SETTINGS = (
    "drd may not read the settings of the server (CONFIG GET), so it takes the usual names of the "
    "server's files: dump.rdb, appendonlydir and appendonly.aof"
)


class RedisCapture:
    """One file that the server has written, copied to drd's own directory."""

    def __init__(
        self,
        copy: Path,
        settings: ServerSettings,
        saved: SavedFile,
        facts: dict[str, Any],
        users: list[str] | None,
        *,
        inside: Container | None = None,
    ) -> None:
        self._copy = copy
        self._inside = inside
        self._settings = settings
        self._users = users
        self.data_time: datetime = saved.at
        self.facts: Mapping[str, Any] = facts
        self.private: Mapping[str, Any] = {ACL: users} if users is not None else {}
        self.payload = Stream(
            Command(("cat", "--", os.fspath(copy)), name="cat"),
            filename=facts["filename"],
            expected_bytes=copy.stat().st_size,
        )

    def fingerprint(self) -> Fingerprint | None:
        """Count the keys of the copy. Raises SourceError if the file is damaged."""
        wanted = self._settings.fingerprint
        if wanted.mode == "off":
            return None
        try:
            content = read(self._copy, wanted.budget)
        except MalformedRdb as error:
            raise SourceError(
                f"the file that the server wrote is damaged: {error}",
                hint="check the disk and the log of the server, and redis-check-rdb on its file.",
            ) from error
        return fingerprint_of(content, None if self._users is None else len(self._users))

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        """Ask the live server: it has already gone on since the capture."""
        answers: dict[str, Any] = {}
        try:
            with connected(self._settings, self._inside) as client:
                for name, query in queries.items():
                    with suppress(DrdError):
                        answers[name] = answer(client, query, _OBSERVE_S)
        except DrdError:
            pass
        return answers

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        size = self._copy.stat().st_size
        if stored.bytes != size:
            raise SourceError(
                f"restic stored {format_size(stored.bytes)} of the server's data, but the copy has "
                f"{format_size(size)}",
                hint="run the backup again. If it fails again, check the disk of `work_dir`.",
            )
        return fingerprint


class RedisSource(Source):
    """Reads one server, of the product that the kind is named after."""

    def __init__(
        self, component: str, product: str, settings: ServerSettings, place: Workplace
    ) -> None:
        self._component = component
        self._product = product
        self._settings = settings
        self._place = place
        self._container = container_of(settings)

    def probe(self) -> Probe:
        self._container = pinned(self._container)
        with connected(self._settings, self._container) as client:
            facts = self._ready(client)
            version = version_of(facts)
            notes = [f.text for f in self._about(client, facts, version) if not f.failed]
            self._require_way(client)
        return Probe(size_bytes=_size(facts), facts={"version": version.words}, notes=tuple(notes))

    def doctor(self) -> list[Finding]:
        name = self._component
        container = self._container
        try:
            seen = [] if container is None else [Finding("container", "ok", name, runs(container))]
        except DrdError as error:
            return [Finding("container", "error", name, error.message, error.hint)]
        try:
            with connected(self._settings, container) as client:
                facts = self._ready(client)
                version = version_of(facts)
                about = self._about(client, facts, version)
                self._require_way(client)
        except DrdError as error:
            return [Finding("reachable", "error", name, error.message, error.hint)]
        way = "lets the server save, and copies the file" if self._settings.saves else (
            "receives the data over the connection"
        )  # fmt: skip
        keys = sum(keys_by_database(facts).values())
        text = f"{version.words} answers with {keys:,} keys; for a backup, drd {way}"
        return [*seen, Finding("reachable", "ok", name, text), *about]

    @contextmanager
    def open(self) -> Iterator[RedisCapture]:
        copy = self._place.directory / COPY
        remove(copy)
        self._container = pinned(self._container)
        with one_container(self._container), ExitStack() as stack:
            stack.callback(remove, copy)
            with connected(self._settings, self._container) as client:
                server_facts = self._ready(client)
                ahead_s = _ahead_s(server_facts)
                version = version_of(server_facts)
                self._require_room(server_facts)
                users = acl_users(client)
                names = self._names(client, server_facts)
                saved = self._saved(client, self._into(copy, server_facts), names["dump"], ahead_s)
            facts = self._facts(copy, version, saved, names, users)
            yield RedisCapture(copy, self._settings, saved, facts, users, inside=self._container)

    def _into(self, copy: Path, found: Mapping[str, str]) -> Into:
        """Return the path of the copy, and its largest size: the file is smaller than the memory of
        the data, with a reserve for data that arrives meanwhile; and the copy must not fill the
        disk."""
        free = shutil.disk_usage(self._place.directory).free
        return Into(copy, min(_MOST_TIMES * _size(found) + _MORE, int(free * _OF_THE_ROOM)))

    def _saved(self, client: Client, into: Into, dump: str, ahead_s: float) -> SavedFile:
        settings = self._settings
        if settings.saves:
            assert settings.dir is not None
            return save(client, Path(settings.dir) / dump, into, settings.timeout)
        login, directory = login_of(settings, self._container), self._place.directory
        return receive(login, self._cli(), into, settings.timeout, directory, ahead_s=ahead_s)

    def _cli(self) -> str:
        settings = self._settings
        return cli_program(self._product, settings.bin_dir, self._container)

    def _ready(self, client: Client) -> dict[str, str]:
        """Return what the server says of itself. Raises SourceUnreachable while it loads, and for a
        replica without its primary."""
        facts = info(client, "server", "persistence", "replication", "memory", "keyspace")
        if facts.get("loading") == "1":
            raise SourceUnreachable(
                "the server is still loading its data",
                hint="try again when the server has loaded its data.",
            )
        if facts.get("role") == "slave" and facts.get("master_link_status") != "up":
            raise SourceUnreachable(
                "the server is a replica and has no connection to its primary: its data is old",
                hint="repair the replication, or let `url` lead to the primary.",
            )
        return facts

    def _require_way(self, client: Client) -> None:
        """Raise an error if a backup could not get the data."""
        settings = self._settings
        require_command(client, "BGSAVE" if settings.saves else "REPLCONF")
        if not settings.saves:
            self._cli()
            return
        assert settings.dir is not None
        directory = Path(settings.dir)
        require_own(client, directory)
        require_dump(directory / self._names(client, {})["dump"], missing_ok=True)

    def _names(self, client: Client, found: Mapping[str, str]) -> dict[str, Any]:
        """Return the names of the server's files, and whether it uses append-only files."""
        known = settings_of(client, "dbfilename", "appenddirname", "appendfilename")

        def name(key: str, usual: str) -> str:
            given = known.get(key, "")
            return given if PLAIN.fullmatch(given) else usual

        return {
            "dump": name("dbfilename", DUMP),
            "aof_directory": name("appenddirname", AOF_DIRECTORY),
            "aof_name": name("appendfilename", AOF_NAME),
            "appendonly": found.get("aof_enabled") == "1",
        }

    def _facts(
        self,
        copy: Path,
        version: Version,
        saved: SavedFile,
        names: Mapping[str, Any],
        users: list[str] | None,
    ) -> dict[str, Any]:
        with copy.open("rb") as file:
            head = file.read(_HEAD)
        try:
            form, number_of_form = head_of(head)
        except MalformedRdb as error:
            raise SourceError(
                f"the file that the server wrote is not an RDB file: {error}",
                hint="correct `dir` and `url` of this component.",
            ) from error
        return {
            **facts_of(self._container),
            "filename": filename(self._component),
            "sha256": saved.sha256,
            "product": version.product,
            "version": version.text,
            "format": form,
            "format_version": number_of_form,
            "mode": saved.mode & 0o777,
            **names,
            "users": len(users or ()),
        }

    def _about(self, client: Client, found: Mapping[str, str], version: Version) -> list[Finding]:
        """Return what people have to know of this server."""
        name, findings = self._component, []
        if version.product != self._product:
            text = f"the server is {version.words}, but the plan says `kind: {self._product}`"
            remedy = f"write `kind: {version.product}` ({PRODUCTS[version.product]})."
            findings.append(Finding("version", "warning", name, text, remedy))
        if acl_users(client) is None:
            findings.append(self._lacks(NO_USERS, "+acl|list"))
        if not settings_of(client, "dbfilename"):
            findings.append(self._lacks(NO_SETTINGS, "+config|get"))
        if found.get("redis_mode") == "cluster" or found.get("server_mode") == "cluster":
            text = "this server is one node of a cluster: drd backs up only the slots of this node"
            remedy = "add a component for each primary of the cluster."
            findings.append(Finding("version", "warning", name, text, remedy))
        return findings

    def _lacks(self, text: str, right: str) -> Finding:
        user = shlex.quote(self._settings.user or "default")
        remedy = f"run on the server: ACL SETUSER {user} '{right}' (docs/redis.md has all rights)."
        return Finding("rights", "warning", self._component, text, remedy)

    def _require_room(self, found: Mapping[str, str]) -> None:
        what = "the temporary copy of the server's data"
        room = work_finding(self._place.directory, _size(found), what=what)
        if room.failed:
            raise SourceError(room.text, hint=room.remedy)


def _ahead_s(found: dict[str, str]) -> float:
    """Return by how many seconds the server's clock is ahead of this one, just after it answered; 0
    if the server does not say its time."""
    said = number(found, "server_time_usec")
    return said / 1e6 - time.time() if said else 0.0


def _size(found: Mapping[str, str]) -> int:
    """Return an estimate of the size of the file: it is smaller than the memory that is used."""
    return min(number(found, "used_memory_dataset") or number(found, "used_memory"), 1 << 50)
