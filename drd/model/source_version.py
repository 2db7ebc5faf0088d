"""The version of the server or program that a component was backed up from."""

from __future__ import annotations

from typing import NamedTuple


class SourceVersion(NamedTuple):
    """Both empty where the kind records none. What was drilled with one `series` proves nothing
    about another. `exact` is the whole version, for people."""

    series: str = ""
    exact: str = ""
