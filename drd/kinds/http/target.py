"""Put documents back into an API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.errors import DrdError, TargetError, TargetNotEmpty
from drd.kinds.file_system import fresh, remove, work_finding
from drd.kinds.http.changes import covered_by, expected_lines
from drd.kinds.http.client import Api
from drd.kinds.http.kept import KeptDocuments
from drd.kinds.http.put_back import put_back
from drd.kinds.http.reading import Document, read_all
from drd.kinds.http.saved import digests, fingerprint_of, landed
from drd.kinds.http.settings import DocumentSettings, HttpSettings, HttpTarget
from drd.kinds.one_file import NOT_EMPTY
from drd.model.finding import Finding
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot, Fingerprint
from drd.model.text import counted, some
from drd.ports import (
    Inspector,
    NamedDestination,
    OnProgress,
    Progress,
    Restored,
    RestoreOptions,
    Workplace,
)

BEGUN = "begun"
"""In the workplace of a run that has sent the first request which changes something; its text is
the address."""
OVERWRITE = "overwrite"
LANDING = "landing"


class HttpDestination(NamedDestination):
    """The API of a target, or the component's own."""

    def __init__(
        self,
        component: str,
        documents: list[DocumentSettings],
        settings: HttpSettings | HttpTarget,
        place: Workplace,
        options: RestoreOptions,
    ) -> None:
        self._component = component
        self._documents = documents
        self._url = settings.url
        self._api = Api(settings)
        self._place = place
        self._landing = place.directory / LANDING
        self._begun = place.directory / BEGUN
        self._overwrite = place.directory / OVERWRITE
        self._kept = None
        if options.keep and place.keep is not None:
            self._kept = KeptDocuments(component, self._api, documents, place.keep, place.mark)
        self._seen: dict[str, Document] | None = None

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        present = self._present()
        if not overwrite and not self._begun.exists():
            self._refuse_content(present, digests(_described(snapshot)))
        if overwrite:
            self._overwrite.touch(mode=0o600)
        return self.check_access(snapshot)

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        present = self._present()
        what = f"the fetched copy of {self._component}"
        text = f"{self._url} answers and has {counted(len(present), 'document')}"
        return [
            Finding("target", "ok", "", text),
            work_finding(self._landing, 2 * snapshot.bytes, what=what),
        ]

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one address
        return (self._url,)

    def would_do(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        known = digests(_described(snapshot))
        covered = covered_by(snapshot, known, self._documents)
        lines = expected_lines(known, self._present(), self._documents, covered)
        return lines or ("nothing: every document is as in the restore point",)

    def lands_apart(self, snapshot: ComponentSnapshot) -> bool:
        return not work_finding(self._landing, 2 * snapshot.bytes, what="").failed

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        saved = landed(self._landing, snapshot)
        self._seen = None
        present = self._present()
        if not self._begun.exists() and not self._overwrite.exists():
            self._refuse_content(present, digests(_described(snapshot)))
        done = put_back(
            self._api,
            saved,
            self._documents,
            present=present,
            covered=covered_by(snapshot, saved, self._documents),
            on_begin=lambda: self._note_begun(present),
        )
        self._seen = None
        remove(self._landing)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(
            notes=(f"{counted(done.sent, 'request')} changed {self._url}",) if done.sent else (),
            not_restored=tuple(f"{name}: {why}" for name, why in done.left.items()),
        )

    def inspector(self) -> ApiInspector:
        return ApiInspector(self._api, self._documents)

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        self._seen = None
        known, present = digests(_described(snapshot)), self._present()
        wrong = sorted(
            n
            for n in known.keys() | present.keys()
            if n not in present or present[n].digest != known.get(n)
        )
        if not wrong:
            return ()
        text = f"{self._url} differs from the restore point in {some(wrong)}"
        return (Task(code="put-back", component=self._component, text=text),)

    def close(self) -> None:
        remove(self._landing)

    def _note_begun(self, present: Mapping[str, Document]) -> None:
        """Keep what is replaced, once: after a kill the server has only a part of it."""
        if self._begun.exists():
            return
        if self._kept is not None and present:
            self._kept.keep(present)
        self._begun.write_text(self._url)

    def _present(self) -> dict[str, Document]:
        if self._seen is None:
            try:
                self._seen = read_all(self._api, self._documents, present=True)
            except DrdError as error:
                raise TargetError(
                    error.message, hint=error.hint, permanent=error.permanent
                ) from error
        return self._seen

    def _refuse_content(self, present: Mapping[str, Document], known: Mapping[str, str]) -> None:
        """Raise TargetNotEmpty unless there is nothing, or what would be restored."""
        others = [n for n, one in present.items() if known.get(n) != one.digest]
        if others:
            raise TargetNotEmpty(
                f"target {self._url} is not empty: it has {some(sorted(others))}", hint=NOT_EMPTY
            )


class ApiInspector(Inspector):
    """The present answers of the API."""

    def __init__(self, api: Api, documents: list[DocumentSettings]) -> None:
        self._api = api
        self._documents = documents

    @property
    def location(self) -> str:
        return self._api.base

    @property
    def environment(self) -> Mapping[str, str]:
        return {"DRD_URL": self._api.base}

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:  # noqa: ARG002 - of one kind
        state = read_all(self._api, self._documents, present=True)
        return fingerprint_of({name: one.data for name, one in state.items()})


def _described(snapshot: ComponentSnapshot) -> Fingerprint:
    assert snapshot.fingerprint is not None
    return snapshot.fingerprint
