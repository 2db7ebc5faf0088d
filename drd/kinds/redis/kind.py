"""The kinds `redis` and `valkey`: all data of one server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.errors import DrdError, UsageError
from drd.kinds.file_system import beside, remove, work_finding
from drd.kinds.kept_files import Beside, KeptPlaces
from drd.kinds.publish import publication_at
from drd.kinds.redis import SPEC, VALKEY
from drd.kinds.redis.client import connected
from drd.kinds.redis.in_use import require_unused_for_exchange
from drd.kinds.redis.layout import every_place, users_beside
from drd.kinds.redis.manifest import DUMP, require_written
from drd.kinds.redis.programs import server_for
from drd.kinds.redis.sandbox import LANDING, RedisSandbox, program_for
from drd.kinds.redis.server import end_server
from drd.kinds.redis.server_facts import info, version_of
from drd.kinds.redis.settings import RedisTarget, ServerSettings
from drd.kinds.redis.source import COPY, RedisSource
from drd.kinds.redis.target import JOURNALS, RedisTargetDirectory
from drd.kinds.untrusted_dirs import resolved
from drd.model.finding import Finding
from drd.model.plan import Component
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot
from drd.ports import AS_IT_IS, Kind, RestoreOptions, Workplace, mark_of
from drd.process import rights


class RedisKind(Kind):
    """Implements the port `Kind`."""

    spec = SPEC

    @property
    def product(self) -> str:
        """The product that the kind is named after."""
        return self.spec.name

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        require_written(snapshot, private)

    def source(self, component: Component, place: Workplace) -> RedisSource:
        return RedisSource(component.name, self.product, _settings(component), place)

    def sandbox(
        self, component: Component, snapshot: ComponentSnapshot, place: Workplace
    ) -> RedisSandbox:
        bin_dir = _bin_dir_here(component)
        return RedisSandbox(component.name, self.product, bin_dir, snapshot, place)

    def target(
        self,
        component: Component,
        settings: object,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> RedisTargetDirectory:
        path = _path_of(component, settings)
        appendonly = settings.appendonly if isinstance(settings, RedisTarget) else None
        own_file = _own_file(path, options.part)
        return RedisTargetDirectory(
            component.name,
            path,
            place,
            options,
            appendonly=appendonly,
            own_file=own_file,
            server=_server_of(component, settings),
        )

    def kept(
        self,
        component: Component,
        settings: object,
        snapshot: ComponentSnapshot | None,
        run: str,
        *,
        part: Part | None = None,
    ) -> KeptPlaces:
        path = _path_of(component, settings)
        own_file = _own_file(path, part)
        places = every_place(resolved(path), snapshot)
        if own_file is not None:
            places = [users_beside(own_file), own_file]
        ways = [Beside(place, mark_of(run)) for place in places]
        return KeptPlaces(component.name, ways, guard=require_unused_for_exchange)

    def same_place(self, component: Component, settings: object, place: Workplace) -> str | None:  # noqa: ARG002 - paths say it all
        assert isinstance(settings, RedisTarget)
        own = _settings(component).dir
        if own is None:
            return None
        here = os.path.realpath(own)
        return here if here == os.path.realpath(settings.path) else None

    def sweep(self, directory: Path) -> list[str]:
        notes = []
        for name in (COPY, LANDING):
            if (left := directory / name).exists():
                remove(left)
                notes.append(f"removed {left}, which a killed run left")
        base = directory / "server"
        if base.is_dir() and not base.is_symlink():
            pids = end_server(base)
            notes.append(f"ended the abandoned server in {base} (pid {pids[0] if pids else '-'})")
        for journal in reversed(JOURNALS):
            publication = publication_at(directory / journal)
            notes += publication.undo() if publication else []
        return notes

    def tools(self, component: Component, snapshot: ComponentSnapshot) -> Mapping[str, str]:
        version = program_for(self.product, snapshot, _bin_dir_here(component)).version
        return {version.words.partition(" ")[0]: version.text}

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        """Find a server that can read what the source's server writes."""
        settings, name = _settings(component), component.name
        try:
            with rights.owners(), connected(settings) as client:
                facts = info(client, "server", "memory")
                version = version_of(facts)
        except DrdError as error:
            text = f"the version of the source's server is unknown: {error.message}"
            remedy = "see the failed finding of this component, then run drd doctor again."
            return [Finding("sandbox", "warning", name, text, remedy)]
        try:
            bin_dir = _bin_dir_here(component)
            program = server_for(
                self.product, version.words, version.product, version.writes, bin_dir
            )
        except DrdError as error:
            return [Finding("sandbox", "error", name, error.message, error.hint)]
        size = int(facts.get("used_memory_dataset", "0") or 0)
        what = f"a sandbox for {name}"
        text = f"{program.version.words} of this host can read what {version.words} writes"
        return [
            Finding("sandbox", "ok", name, text),
            work_finding(place.directory, 2 * size, what=what),
        ]

    def sandbox_findings_for(
        self,
        component: Component,
        snapshot: ComponentSnapshot,
        place: Workplace,  # noqa: ARG002 - no server starts
    ) -> list[Finding]:
        try:
            program = program_for(self.product, snapshot, _bin_dir_here(component))
        except DrdError as error:
            return [Finding("sandbox", "error", component.name, error.message, error.hint)]
        return [Finding("sandbox", "ok", component.name, f"{program.version.words} starts")]


class ValkeyKind(RedisKind):
    """The same for servers of Valkey."""

    spec = VALKEY


def _settings(component: Component) -> ServerSettings:
    assert isinstance(component.settings, ServerSettings)
    return component.settings


def _bin_dir_here(component: Component) -> str | None:
    """Return the directory of the programs for sandboxes, which run on this host."""
    settings = _settings(component)
    return settings.bin_dir if settings.inside is None else None


def _path_of(component: Component, settings: object) -> str:
    """Return the directory of a target, or of the component's own server."""
    if isinstance(settings, RedisTarget):
        return settings.path
    assert isinstance(settings, ServerSettings)
    if settings.dir is None:
        raise UsageError(
            f"component {component.name} does not name the data directory of its server",
            hint="add `dir` to the component, or recover to a target: --target NAME.",
        )
    return settings.dir


def _server_of(component: Component, settings: object) -> ServerSettings | None:
    """Return how the server of a target is reached after the recovery, if the plan says it."""
    own = _settings(component)
    if not isinstance(settings, RedisTarget):
        return own
    there = {"url": settings.url, "inside": None}
    return own.model_copy(update=there) if settings.url is not None else None


def _own_file(path: str, part: Part | None) -> Path | None:
    """Return the file that `--into` names beside the server's own."""
    if part is None or not part.is_whole or part.into is None:
        return None
    return beside(resolved(path) / DUMP, part.into)
