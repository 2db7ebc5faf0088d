"""The version of the server or program that a component was backed up from."""

from __future__ import annotations

from typing import NamedTuple


class SourceVersion(NamedTuple):
    """The version of a source. Both are empty if the kind records none. A drill with one `series`
    proves nothing about another series. `exact` is the whole version, for people."""

    series: str = ""
    exact: str = ""
