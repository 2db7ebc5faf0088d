"""Documents and docstrings name modules, classes and functions that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DOTTED = re.compile(r"`(drd(?:\.[A-Za-z_]\w*)+)(?:\(\))?`")
_PATH = re.compile(r"`(drd/[\w/.-]+)`")
_FILES = (".conf", ".db", ".service", ".sock", ".socket", ".tar", ".yaml")
"""Endings of files that are called `drd.…`."""


def sources() -> list[Path]:
    """The pages, and the code of drd and its tests."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return [p for p in pages if p.name != "CHANGELOG.md"] + [
        *ROOT.glob("drd/**/*.py"),
        *ROOT.glob("tests/**/*.py"),
    ]


def missing_names(text: str) -> Iterator[str]:
    for match in _DOTTED.finditer(text):
        if not match[1].endswith(_FILES) and not exists(match[1]):
            yield match[1]
    for match in _PATH.finditer(text):
        placeholder = re.search(r"NAME|NNNN", match[1])
        if placeholder is None and not (ROOT / match[1]).exists():
            yield match[1]


def exists(dotted: str) -> bool:
    """Whether there is a module of this name, or a member of one, also an annotated one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        if place.with_suffix(".py").exists() or place.is_dir():
            break
    else:
        return False
    if count == len(parts):
        return True
    member: object = import_module(".".join(parts[:count]))
    for name in parts[count:]:
        if name in getattr(member, "__annotations__", {}):
            return True
        if not hasattr(member, name):
            return False
        member = getattr(member, name)
    return True


def test_every_name_of_code_in_comments_and_docstrings_exists() -> None:
    missing = {str(p.relative_to(ROOT)): list(missing_names(p.read_text())) for p in sources()}
    assert {path: names for path, names in missing.items() if names} == {}


def test_a_name_that_is_gone_is_noticed() -> None:
    gone = ["drd.model.text.gone", "drd.ports.Kind.gone", "drd/gone.py"]
    text = " ".join(f"`{name}`" for name in ("drd.model.text.and_more", *gone))
    assert list(missing_names(text)) == gone
