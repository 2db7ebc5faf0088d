"""A component behind the API of tests, its source and its targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drd.kinds.http.kind import HttpKind
from drd.kinds.http.settings import HttpSettings, HttpTarget
from drd.kinds.http.target import HttpDestination
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import RestoreOptions, Stream, Workplace, no_progress
from drd.testing.snapshots import workplace
from tests.servers.rest_api import TOKEN, RestApi, documents

KIND = HttpKind()


class World:
    """One component, and what a repository would have of it: the bytes of its file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.token = directory / "token"
        self.token.write_text(TOKEN)
        self.documents = documents()

    def api(self, api: RestApi) -> dict[str, Any]:
        return {"url": api.url, "token": {"file": str(self.token)}}

    def component(self, api: RestApi) -> Component:
        settings = {"kind": "http", **self.api(api), "documents": self.documents}
        return Component("gateway", "http", HttpSettings.model_validate(settings))

    def place(self, run: str = "run1") -> Workplace:
        return replace(workplace(self.directory / run, run), keep=self.directory / "kept")

    def captured(self, api: RestApi) -> tuple[ComponentSnapshot, bytes]:
        source = KIND.source(self.component(api), self.place("backup"))
        with source.open() as capture:
            assert isinstance(capture.payload, Stream)
            data = Path(capture.payload.command.argv[-1]).read_bytes()
            snapshot = ComponentSnapshot(
                "gateway",
                "http",
                "captured",
                capture.data_time,
                "0" * 64,
                len(data),
                facts=dict(capture.facts),
                fingerprint=capture.fingerprint(),
            )
        KIND.require_written(snapshot, {})
        return snapshot, data

    def target(self, api: RestApi, run: str = "run1") -> HttpDestination:
        settings = HttpTarget.model_validate(self.api(api))
        options = RestoreOptions(keep=True)
        return KIND.target(self.component(api), settings, self.place(run), options)


def restored(target: HttpDestination, snapshot: ComponentSnapshot, data: bytes) -> Sequence[str]:
    """Restore with `overwrite`; returns what could not be restored."""
    target.preflight(snapshot, overwrite=True)
    (target.landing() / "gateway.json").write_bytes(data)
    return target.restore(snapshot, {}, on_progress=no_progress).not_restored
