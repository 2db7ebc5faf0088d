"""The limits of one reading of an API: bytes, values and time of all its answers together."""

from __future__ import annotations

import time
from typing import Any

from drd.errors import SourceError, SourceUnreachable
from drd.kinds.http.canonical import MOST_WEIGHT, canonical_json, weight_of
from drd.kinds.http.client import Api, Reply
from drd.model.units import format_duration, format_size

MOST_DOCUMENTS = 50_000
MOST_BYTES = 64 << 20
"""The most bytes of all documents, as they are saved."""
MOST_RECEIVED = 256 << 20
"""The largest number of bytes of all answers, including every page and the parts that are left out
of the documents."""

_DIVIDE = "divide `documents` among several components."


class Reading:
    """One reading of all documents."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._until = time.monotonic() + api.total_timeout
        self._received = 0
        self._bytes = 0
        self._weight = 0

    def get(self, path: str) -> Reply:
        """Ask as `Api.get` does. Raises SourceError for an answer too many, SourceUnreachable when
        the time for all of them is over."""
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise self._over(path)
        try:
            reply = self._api.get(path, within_s=left_s)
        except SourceUnreachable:
            if time.monotonic() >= self._until:
                raise self._over(path) from None
            raise
        self._received += reply.size
        if self._received > MOST_RECEIVED:
            raise SourceError(
                f"GET {path.partition('?')[0]}: all answers together are larger than "
                f"{format_size(MOST_RECEIVED)}, including the fields that `leave_out` removes",
                hint="request only a part of the data with a parameter in `get`, or divide "
                "`documents` among several components.",
            )
        return reply

    def path_of(self, link: str, of: str) -> str:
        return self._api.path_of(link, of)

    def hold(self, data: Any) -> None:
        """Count data that is kept until the end of the reading. Raises SourceError if it is too
        much."""
        text = canonical_json(data)
        self._bytes += len(text)
        self._weight += weight_of(text)
        if self._bytes > MOST_BYTES:
            raise SourceError(
                f"the documents are larger than {format_size(MOST_BYTES)}", hint=_DIVIDE
            )
        if self._weight > MOST_WEIGHT:
            raise SourceError("the documents have too many values", hint=_DIVIDE)

    def _over(self, path: str) -> SourceUnreachable:
        limit = format_duration(self._api.total_timeout)
        return SourceUnreachable(
            f"GET {path.partition('?')[0]}: reading all documents took longer than {limit}",
            hint="check how fast the server answers, ask for larger pages, or raise "
            "`total_timeout` of the component.",
        )
