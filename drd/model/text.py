"""Text that people wrote, as it may be shown."""

from __future__ import annotations


def escaped(text: str) -> str:
    """One line that no terminal, mail or log takes for more than text: control characters, what
    turns the direction of writing, and bytes that are no UTF-8 stand there as escapes."""
    if text.isascii() and text.isprintable():
        return text
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in whole)
