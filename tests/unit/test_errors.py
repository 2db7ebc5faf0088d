"""The page of errors shows what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drd import errors
from drd.errors import DrdError


def drawn() -> set[tuple[str, int]]:
    rows = re.findall(r"^[│├└─ ]*(\w+) +(\d+)(?:   |$)", errors.__doc__ or "", re.MULTILINE)
    return {(name, int(code)) for name, code in rows}


def below(kind: type[DrdError]) -> Iterator[tuple[str, int]]:
    if kind.__module__ == errors.__name__:
        yield kind.__name__, kind.exit_code
    for child in kind.__subclasses__():
        yield from below(child)


def test_tree_of_errors_shows_each_class_with_its_exit_code() -> None:
    assert drawn() == {*below(DrdError), ("Cancelled", 130)}
