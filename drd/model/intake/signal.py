"""A signal: one alert, finding or message of another system. All of its text was written by
others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from drd.model.text import shortened, storable
from drd.model.units import from_rfc3339

LEAST_TOKEN = 16
"""The shortest token of a sender, in characters."""
LONGEST_ID = 100
LONGEST_TITLE = 160
LONGEST_TEXT = 1000
LONGEST_VERBATIM = 16 << 10
"""How many characters of a signal an entry keeps unchanged."""
_LABELS = 64
_LONGEST_LABEL = 200
_YEARS = range(1971, 9999)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal from another system. `source` is the system, `id` its name for the problem, which
    stays the same for the same problem. `labels` say what the signal is about. `raw` is the part of
    the message from which it was read."""

    source: str
    id: str
    title: str
    text: str = ""
    severity: str = ""
    resolved: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    raw: str = ""

    @property
    def content(self) -> str:
        """Return a digest of the signal's content, which stays the same while the signal is only
        repeated."""
        parts = (self.title, self.text, self.severity, str(self.resolved), str(self.started_at))
        labels = [f"{name}={value}" for name, value in sorted(self.labels.items())]
        return _digest("\0".join((*parts, *labels)))

    def verbatim(self) -> dict[str, Any]:
        """Return the part of the message that an entry keeps: its beginning, its digest, its size
        in bytes, and whether the rest was cut off."""
        kept = self.raw[:LONGEST_VERBATIM]
        return {
            "verbatim": kept,
            "sha256": _digest(self.raw),
            "bytes": len(_bytes(self.raw)),
            "cut": len(kept) < len(self.raw),
        }


def made(
    source: str, *, unique: str, title: str, text: str = "", raw: str = "", **rest: Any
) -> Signal:
    """Return a signal whose texts are limited in length, however long the other system's are."""
    unique = storable(unique)
    if len(unique) > LONGEST_ID:
        unique = f"sha256:{_digest(unique)}"
    title = shortened(_line(title), LONGEST_TITLE) or f"alert of {source}"
    return Signal(source, unique, title, shortened(_line(text), LONGEST_TEXT), raw=raw, **rest)


def labels_of(value: object) -> dict[str, str]:
    """Return the labels in a value, as text; no more than a few dozen."""
    if not isinstance(value, Mapping):
        return {}
    pairs = [(word(k), word(v)) for k, v in value.items() if not isinstance(v, Mapping | list)]
    return dict(pairs[:_LABELS])


def word(value: object) -> str:
    """Return a value as a short text; empty if there is no value."""
    return shortened(whole(value), _LONGEST_LABEL)


def whole(value: object) -> str:
    """Return a value as a text of any length; empty if there is no value. `made` limits the length
    of an id."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    return _line(str(value).lower() if isinstance(value, bool) else str(value))


def time_of(value: object) -> datetime | None:
    """Return a time from RFC 3339, or from seconds or milliseconds since 1970. None for other
    texts, and for implausible years such as the year 1."""
    try:
        if isinstance(value, str) and not value.isdecimal():
            at = from_rfc3339(value)
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            number = float(value)
            at = datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return at.astimezone(UTC) if at.year in _YEARS else None


def _line(text: str) -> str:
    return " ".join(storable(text).split())


def _digest(text: str) -> str:
    return sha256(_bytes(text)).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
