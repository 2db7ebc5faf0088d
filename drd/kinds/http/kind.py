"""The kind `http`: configuration behind an HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.errors import NotInPoint, TargetError
from drd.kinds.file_system import remove, work_finding
from drd.kinds.http import SPEC, saved
from drd.kinds.http.client import Api
from drd.kinds.http.kept import KeptDocuments
from drd.kinds.http.reading import read_all
from drd.kinds.http.sandbox import HttpSandbox
from drd.kinds.http.settings import HttpSettings, HttpTarget, same_address
from drd.kinds.http.source import HttpSource
from drd.kinds.http.target import BEGUN, LANDING, HttpDestination
from drd.model.contents import Contents, Item
from drd.model.plan import Component
from drd.model.single_item import Part, hint_of_names, near
from drd.model.snapshot import ComponentSnapshot, Fingerprint, TreeFingerprint
from drd.ports import AS_IT_IS, Finding, Kind, RestoreOptions, Workplace

_USUAL_BYTES = 1 << 20


class HttpKind(Kind):
    """Implements the port `Kind`."""

    spec = SPEC

    def source(self, component: Component, place: Workplace) -> HttpSource:
        return HttpSource(component.name, _settings(component), place)

    def sandbox(
        self,
        component: Component,
        snapshot: ComponentSnapshot,  # noqa: ARG002 - any documents fit
        place: Workplace,
    ) -> HttpSandbox:
        return HttpSandbox(component.name, _settings(component), place)

    def target(
        self,
        component: Component,
        settings: Any,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> HttpDestination:
        assert isinstance(settings, HttpTarget | HttpSettings)
        documents = _settings(component).documents
        return HttpDestination(component.name, documents, settings, place, options)

    def require_written(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        saved.require_written(snapshot, private)

    def same_place(self, component: Component, settings: Any, place: Workplace) -> str | None:  # noqa: ARG002 - addresses say it all
        own = _settings(component).url
        return own if same_address(own, settings.url) else None

    def contents(self, snapshot: ComponentSnapshot, within: str | None) -> Contents:
        assert isinstance(snapshot.fingerprint, TreeFingerprint)
        entries = snapshot.fingerprint.entries
        names = sorted(saved.digests(snapshot.fingerprint))
        if within is not None:
            wanted = within.strip("/")
            if wanted not in names:
                raise NotInPoint(
                    f"this restore point of component {snapshot.component} does not contain "
                    f"document {within}",
                    hint=hint_of_names(near(wanted, names, separator="/"))
                    or "list all documents: leave out the name.",
                )
            names = [wanted]
        items = tuple(Item(n, "document", entries[f"/{n}"].size) for n in names)
        return Contents("", items)

    def live(
        self,
        component: Component,
        part: Part,  # noqa: ARG002 - the whole
        like: Fingerprint,  # noqa: ARG002 - of one kind
        budget_s: float,  # noqa: ARG002 - requests have their own limit
    ) -> Fingerprint:
        settings = _settings(component)
        state = read_all(Api(settings), settings.documents)
        return saved.fingerprint_of({name: one.data for name, one in state.items()})

    def kept_copies(
        self,
        component: Component,
        settings: Any,
        snapshot: ComponentSnapshot | None,  # noqa: ARG002 - the files say it all
        place: Workplace,
        *,
        part: Part | None = None,  # noqa: ARG002 - the whole
    ) -> KeptDocuments:
        if place.keep is None:
            raise TargetError("drd has no directory for kept copies in this run")
        documents = _settings(component).documents
        return KeptDocuments(component.name, Api(settings), documents, place.keep, place.mark)

    def sweep(self, directory: Any) -> list[str]:
        notes = []
        landing, begun = directory / LANDING, directory / BEGUN
        if landing.is_dir():
            remove(landing)
            notes.append(f"removed {landing}: fetched documents that a killed run left")
        if begun.is_file():
            notes.append(
                f"{begun.read_text()} may have only some of the documents, because a recovery "
                "did not finish: repeat the recovery, or run drd undo"
            )
        return notes

    def sandbox_findings(self, component: Component, place: Workplace) -> list[Finding]:
        return [work_finding(place.directory, _USUAL_BYTES, what=f"a sandbox for {component.name}")]


def _settings(component: Component) -> HttpSettings:
    assert isinstance(component.settings, HttpSettings)
    return component.settings
