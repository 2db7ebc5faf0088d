"""Configuration behind an HTTP API as a source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.kinds.http.client import Api
from drd.kinds.http.limits import Reading
from drd.kinds.http.reading import Document, masked_values, read_all, read_one
from drd.kinds.http.saved import facts_of, filename, fingerprint_of, require_storable, to_bytes
from drd.kinds.http.settings import DocumentSettings, HttpSettings, is_loopback
from drd.model.snapshot import Fingerprint, StoredSnapshot
from drd.model.text import counted, some
from drd.ports import Finding, PlainCapture, Probe, Source, Stream, Workplace
from drd.process import Command


class HttpCapture(PlainCapture):
    """The answers of the API. An API has no snapshots: the documents were read one after the other,
    beginning at the data time."""

    def __init__(
        self,
        component: str,
        settings: HttpSettings,
        stream: Stream,
        at: datetime,
        state: dict[str, Document],
    ) -> None:
        super().__init__(at, stream, facts_of(component, settings, state))
        self._state = state

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of({name: one.data for name, one in self._state.items()})

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        assert isinstance(self.payload, Stream)
        if stored.bytes != self.payload.expected_bytes:
            raise SourceError(
                f"restic stored {stored.bytes:,} bytes, but the documents have "
                f"{self.payload.expected_bytes:,} bytes",
                hint="run the backup again. If it fails again, check the disk of `work_dir`.",
            )
        return fingerprint


class HttpSource(Source):
    """Reads the documents of the plan, by GET alone."""

    def __init__(self, component: str, settings: HttpSettings, place: Workplace) -> None:
        self._component = component
        self._settings = settings
        self._api = Api(settings)
        self._file = place.directory / filename(component)

    def probe(self) -> Probe:
        """Ask for the first document alone: servers limit requests."""
        first = self._settings.documents[0]
        self._api.get(first.get)
        return Probe(facts={"url": self._settings.url})

    def doctor(self) -> list[Finding]:
        """Read every document, as a backup does."""
        findings: list[Finding] = []
        state: dict[str, Document] = {}
        reading = Reading(self._api)
        for document in self._settings.documents:
            try:
                seen = dict(read_one(reading, document))
            except DrdError as error:
                findings.append(
                    Finding("reachable", "error", self._component, error.message, error.hint)
                )
                if isinstance(error, SourceUnreachable):
                    break
                continue
            state |= seen
            findings.append(self._read(document, len(seen)))
        return [*findings, *self._advice(state)]

    @contextmanager
    def open(self) -> Iterator[HttpCapture]:
        at = datetime.now(UTC)
        state = read_all(self._api, self._settings.documents)
        data = to_bytes(state)
        require_storable(data)
        try:
            self._file.touch(mode=0o600)
            self._file.write_bytes(data)
            command = Command(("cat", "--", str(self._file)), name="cat")
            stream = Stream(command, self._file.name, expected_bytes=len(data))
            yield HttpCapture(self._component, self._settings, stream, at, state)
        finally:
            self._file.unlink(missing_ok=True)

    def _read(self, document: DocumentSettings, count: int) -> Finding:
        text = f"GET {document.get}: {counted(count, 'document')}"
        return Finding("reachable", "ok", self._component, text)

    def _advice(self, state: dict[str, Document]) -> Iterator[Finding]:
        hidden = masked_values(state)
        if hidden:
            yield Finding(
                "masked-values",
                "warning",
                self._component,
                f"the server shows asterisks instead of values: {some(hidden)}",
                "drd cannot save these values, and a recovery would put the asterisks back: name "
                "the fields in `leave_out`, and keep the secrets elsewhere",
            )
        kept = [d.save_as for d in self._settings.documents if d.put_back is None]
        if kept:
            yield Finding(
                "no-put-back",
                "warning",
                self._component,
                f"a recovery does not put back {some(kept)}: the plan has no `put_back` for this",
                "add `put_back`, or restore these documents by hand: docs/http.md",
            )
        url = self._settings.url
        has_secret = self._settings.token or any(
            ref.source != "text" for ref in self._settings.headers.values()
        )
        if url.startswith("http://") and has_secret and not is_loopback(url):
            yield Finding(
                "plain-http",
                "warning",
                self._component,
                f"secrets go to {url} without encryption",
                "use https, or a tunnel to the server",
            )
