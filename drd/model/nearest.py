"""The known word that a person probably meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from drd.model.text import escaped, some

_MOST = 20


def closest(word: str, known: Iterable[str], *, alike: float = 0.6) -> str:
    """Return the known word that was probably meant, in capitals or small letters; empty if no word
    is similar. `alike`, from 0 to 1, is how similar it must be."""
    folded = {each.casefold(): each for each in known}
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=alike)
    return folded[close[0]] if close else ""


def meant(word: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown word of a closed list: `did you mean x?`, else the list."""
    words = [str(each) for each in known]
    near = closest(word, words)
    if near:
        return f"did you mean {escaped(near)}?"
    return f"use one of: {escaped(some(words, _MOST))}." if words else ""
