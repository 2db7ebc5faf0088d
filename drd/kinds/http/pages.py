"""The items of a list that an API divides into pages, and the names that their documents get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from drd.errors import SourceError
from drd.kinds.http.canonical import json_digest, saved_form
from drd.kinds.http.client import Reply
from drd.kinds.http.limits import Reading
from drd.kinds.http.links import next_of
from drd.kinds.http.pointers import filled
from drd.kinds.http.settings import DocumentSettings, PagingSettings
from drd.model.json_pointer import MISSING, found, parts_of
from drd.model.malformed import Malformed
from drd.model.text import counted, escaped, shortened

MOST_PAGES = 10_000
LONGEST_NAME = 200

_LONGEST_LINK = 8192
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class Pages:
    """Iterates over the pages, each a list of items. Raises SourceError for pages that repeat or
    never end, and for a list that changed meanwhile."""

    def __init__(self, reading: Reading, document: DocumentSettings) -> None:
        self._reading = reading
        self._document = document
        self._paging = document.paging or PagingSettings()
        self._seen: set[str] = set()
        self._pages = 0
        self._items = 0

    def __iter__(self) -> Iterator[list[Any]]:
        path: str | None = self._first_path()
        first: list[Any] = []
        while path is not None:
            reply = self._reading.get(path)
            items = self._list_of(reply.data)
            self._require_new(path, items)
            self._items += len(items)
            self._pages += 1
            if self._pages == 1:
                first = items
            yield items
            path = self._next_path(path, reply, items)
            if path is None and self._paging.total is not None:
                self._require_total(reply)
        if self._pages > 1:
            self._require_unchanged(first)

    def _first_path(self) -> str:
        get, paging = self._document.get, self._paging
        if paging.page is not None:
            return _with(get, paging.page, str(paging.first))
        if paging.offset is not None:
            return _with(get, paging.offset, "0")
        return get

    def _next_path(self, path: str, reply: Reply, items: list[Any]) -> str | None:
        get, paging = self._document.get, self._paging
        if paging.next is not None:
            if paging.next == "link":
                headers = reply.headers.get_all("Link", [])
                self._require_short(sum(map(len, headers)), "the header Link")
                link = next_of(headers)
            else:
                link = self._text_at(reply.data, paging.next)
            return None if link is None else self._reading.path_of(link, path)
        if paging.cursor is not None:
            cursor = self._text_at(reply.data, paging.cursor_at or "")
            return None if cursor is None else _with(get, paging.cursor, cursor)
        counts = paging.page or paging.offset
        if counts is None or not items or self._is_all(reply):
            return None
        number = self._items if paging.offset is not None else paging.first + self._pages
        return _with(get, counts, str(number))

    def _text_at(self, data: Any, pointer: str) -> str | None:
        """Return the address or cursor of the next page; None if there is none."""
        value = found(data, parts_of(pointer))
        if value is MISSING or value in (None, "", False) or not isinstance(value, str | int):
            return None
        text = str(value)
        self._require_short(len(text), f"the text at {pointer}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self._unusable(f"the text at {pointer} is not Unicode text") from None
        return text

    def _require_short(self, length: int, what: str) -> None:
        if length > _LONGEST_LINK:
            raise self._unusable(f"{what} is longer than {_LONGEST_LINK:,} characters")

    def _unusable(self, why: str) -> SourceError:
        return SourceError(
            f"GET {self._document.get}: {why}, so drd does not ask for the next page",
            hint="check the server, and the proxies in front of the server.",
        )

    def _list_of(self, data: Any) -> list[Any]:
        document = self._document
        items = taken(data, document.items or "", document)
        if items is None:
            return []  # as Go writes an empty list
        if not isinstance(items, list):
            raise SourceError(
                f"GET {document.get}: the answer has no list at {document.items or 'its top'}",
                hint="write the JSON pointer of the list into `items`.",
            )
        return items

    def _require_new(self, path: str, items: list[Any]) -> None:
        # The items as well: a server may ignore the parameter, and give the first page for ever.
        for one in (path, json_digest(items)) if items else (path,):
            if one in self._seen:
                raise SourceError(
                    f"GET {self._document.get}: the server names the same page twice: "
                    f"{shortened(escaped(path), 80)}",
                    hint="correct `paging` of this entry of `documents`.",
                )
            self._seen.add(one)
        if self._pages >= MOST_PAGES:
            raise SourceError(
                f"GET {self._document.get}: the list has more than {MOST_PAGES:,} pages",
                hint="request larger pages with a parameter in `get`.",
            )

    def _is_all(self, reply: Reply) -> bool:
        total = self._paging.total
        return total is not None and found(reply.data, parts_of(total)) == self._items

    def _require_total(self, reply: Reply) -> None:
        place = self._paging.total or ""
        total = found(reply.data, parts_of(place))
        if total != self._items:
            said = shortened(str(total), 40) if isinstance(total, int) else "no number"
            raise SourceError(
                f"GET {self._document.get}: the pages have {counted(self._items, 'item')}, but the "
                f"server says {said} at {place}",
                hint="the list may have changed while drd read it: run the backup again. "
                "If the next backup fails in the same way, correct `paging` in the plan.",
                permanent=False,
            )

    def _require_unchanged(self, first: list[Any]) -> None:
        """Read the first page of several again: an item that was added or removed meanwhile may
        have moved another one past the pages."""
        again = self._list_of(self._reading.get(self._first_path()).data)
        if self._identities(again) != self._identities(first):
            raise SourceError(
                f"GET {self._document.get}: the list changed while its pages were read",
                hint="run the backup again, at a time without changes.",
                permanent=False,
            )

    def _identities(self, items: list[Any]) -> list[str]:
        if self._document.is_list:
            return [name_of(self._document, item) for item in items]
        return [json_digest(saved_form(item, self._document)) for item in items]


def _with(path: str, name: str, value: str) -> str:
    plain, _, query = path.partition("?")
    pairs = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k != name]
    return f"{plain}?{urlencode([*pairs, (name, value)])}"


# --- parts of an answer -------------------------------------------------------------------------


def name_of(document: DocumentSettings, item: Any) -> str:
    """Return the name of an item. Text from the server becomes part of it only as letters, digits,
    `-` and `_`; everything else is escaped as `%2F`."""
    try:
        name = filled(document.save_as, item, _in_name)
    except Malformed as error:
        raise SourceError(
            f"GET {document.get}: an item {error.fact}, so {document.save_as} cannot be filled in",
            hint="name a field that every item has.",
        ) from None
    if len(name) > LONGEST_NAME:
        raise SourceError(
            f"GET {document.get}: the name of a document is longer than {LONGEST_NAME} characters: "
            f"{shortened(name, 60)}",
            hint="write a shorter field into `save_as`.",
        )
    return name


def _in_name(value: str) -> str:
    data = value[: LONGEST_NAME + 1].encode("utf-8", "surrogatepass")  # longer ones are refused
    return "".join(chr(b) if b in _PLAIN else f"%{b:02X}" for b in data)


def taken(data: Any, pointer: str, document: DocumentSettings) -> Any:
    value = found(data, parts_of(pointer))
    if value is MISSING:
        raise SourceError(
            f"GET {document.get}: the answer has no value at {pointer}",
            hint="correct `items` or `take` in this entry of `documents`.",
        )
    return value
