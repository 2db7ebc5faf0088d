"""Convert durations back into the text of a plan."""

from __future__ import annotations

_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def duration_text(seconds: float) -> str:
    """Exact, and readable by `parse_duration`: `15m`, `1h30m`, `0.5s`, `7d`."""
    rest = float(seconds)
    text = ""
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            text += f"{int(count)}{unit}"
    if rest or not text:
        text += f"{rest:.6f}".rstrip("0").rstrip(".") + "s"
    return text
