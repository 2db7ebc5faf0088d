"""Read the documents of an API: every page of every list, each document under its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from drd.errors import SourceError, SourceMissing
from drd.kinds.http.canonical import is_nothing, json_digest, left_out, saved_form
from drd.kinds.http.client import Api
from drd.kinds.http.limits import MOST_DOCUMENTS, Reading
from drd.kinds.http.pages import Pages, name_of, taken
from drd.kinds.http.pointers import fields_of, filled_path, placed, require_in_path, value_of
from drd.kinds.http.settings import DocumentSettings
from drd.model.malformed import Malformed


@dataclass(frozen=True, slots=True)
class Document:
    """One document: what is saved of it, and the fields that the paths of requests need."""

    of: DocumentSettings
    data: Any
    fields: Any

    @property
    def digest(self) -> str:
        return json_digest(self.data)


def read_all(
    api: Api, documents: Sequence[DocumentSettings], *, present: bool = False
) -> dict[str, Document]:
    """Return every document by its name. With `present`, the server may still be empty: missing and
    empty documents are left out. Raises SourceError, which names the request."""
    state: dict[str, Document] = {}
    reading = Reading(api)
    for document in documents:
        for name, one in read_one(reading, document, present=present):
            if name in state:
                raise SourceError(
                    f"GET {document.get}: two documents would have the name {name}",
                    hint="the list may have changed while drd read it: run the backup "
                    "again. If it fails again, write a field that differs for "
                    f"each document into `save_as: {document.save_as}`.",
                    permanent=False,
                )
            if len(state) >= MOST_DOCUMENTS:
                raise SourceError(
                    f"there are more than {MOST_DOCUMENTS:,} documents",
                    hint="divide `documents` among several components.",
                )
            state[name] = one
    return state


def read_one(
    reading: Reading, document: DocumentSettings, *, present: bool = False
) -> Iterator[tuple[str, Document]]:
    """Return the documents of one entry of the plan, each with its name."""
    try:
        if document.is_list:
            yield from _items(reading, document, present=present)
            return
        raw = _whole(reading, document)
    except SourceMissing:
        if present or document.may_be_empty:
            return
        raise
    if is_nothing(raw) and not document.may_be_empty:
        if present:
            return
        raise _empty(document, "the document")
    yield document.save_as, _document(document, document.save_as, raw, checked=not present)


def _whole(reading: Reading, document: DocumentSettings) -> Any:
    """Return one document; of a list in pages, all of its items."""
    if document.paging is None:
        answer = reading.get(document.get).data
        raw = taken(taken(answer, document.items or "", document), document.take, document)
        reading.hold(left_out(raw, document))
        return raw
    items: list[Any] = []
    for page in Pages(reading, document):
        kept = left_out(page, document)
        reading.hold(kept)
        items += kept
    return items


def _items(
    reading: Reading, document: DocumentSettings, *, present: bool
) -> Iterator[tuple[str, Document]]:
    count = 0
    for page in Pages(reading, document):
        for item in page:
            count += 1
            name = name_of(document, item)
            raw = item if document.each is None else reading.get(_path(document, name, item)).data
            raw = taken(raw, document.take, document)
            one = _document(document, name, raw, checked=not present)
            reading.hold(one.data)
            yield name, one
    if not count and not present and not document.may_be_empty:
        raise _empty(document, "the list")


def _path(document: DocumentSettings, name: str, item: Any) -> str:
    assert document.each is not None
    try:
        return filled_path(document.each, item)
    except Malformed as error:
        raise _unusable(document, name, error, document.each) from None


def _unusable(
    document: DocumentSettings, name: str, error: Malformed, template: str
) -> SourceError:
    return SourceError(
        f"GET {document.get}: document {name} {error.fact}, so {template} cannot be filled in",
        hint=f"{error.remedy or 'name a field that every item has'}.",
    )


def _empty(document: DocumentSettings, what: str) -> SourceError:
    return SourceError(
        f"GET {document.get}: {what} is empty",
        hint="check which documents the token may read. If there really are none, write "
        "`may_be_empty: true` in this entry of `documents`.",
    )


def _document(document: DocumentSettings, name: str, raw: Any, *, checked: bool) -> Document:
    """Return the document. If it is `checked`, raises SourceError for one that no request of
    `put_back` could bring back to its place."""
    requests = document.put_back.requests if document.put_back is not None else ()
    fields: Any = None
    for request in requests:
        if checked:
            try:
                require_in_path(request.path, raw)
            except Malformed as error:
                raise _unusable(document, name, error, request.request) from None
        for field in fields_of(request.path):
            if (value := value_of(raw, field)) is not None:
                fields = placed(fields, tuple(field.split("/")), value)
    return Document(document, saved_form(raw, document), fields)


def masked_values(state: Mapping[str, Document]) -> list[str]:
    """Return the documents in which the server shows asterisks instead of a value."""
    named = []
    for name, document in state.items():
        with suppress(StopIteration):
            next(v for v in _texts(document.data) if len(v) >= 3 and set(v) <= {"*", "•"})
            named.append(name)
    return named


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
