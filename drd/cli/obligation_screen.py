"""All clocks of an incident on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from drd.cli.render import hanging

_WIDEST = 110


def screen(paragraphs: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    """Return the lines of the screen."""
    for head, text in paragraphs:
        yield from hanging(head, text, min(width, _WIDEST))
