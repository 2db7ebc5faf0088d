"""Values of documents: texts, times, recorded errors."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from drd import log
from drd.model.cause import with_remedy
from drd.model.consistency import Spread
from drd.model.text import readable
from drd.model.units import to_rfc3339

Document = dict[str, Any]


def text_of(text: str | None) -> str | None:
    """Text for a document: secrets masked, bytes that are not UTF-8 escaped."""
    if text is None:
        return None
    return readable(log.masked(text))


def error_document(error: str | None, remedy: str | None) -> Document:
    """Return a recorded error: `error` has the remedy below the fact, `fact` and `remedy` have them
    apart."""
    return {
        "error": text_of(with_remedy(error, remedy)) if error else None,
        "fact": text_of(error or None),
        "remedy": text_of(remedy or None),
    }


def consistency_document(plan: str, spreads: Iterable[Spread]) -> list[Document]:
    """Return how far apart the data times of groups are, and why that is too much."""
    return [
        {
            **spread.to_json(),
            **error_document(
                spread.words if spread.too_wide else None,
                spread.remedy(plan) if spread.too_wide else None,
            ),
        }
        for spread in spreads
    ]


def time_of(at: datetime | None) -> str | None:
    return to_rfc3339(at) if at is not None else None
