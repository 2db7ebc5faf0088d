"""The mutants of a module: what is changed, what is left alone, and by what a mutant is known."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
SOURCE = '''
"""A docstring with 1 number."""
from a import b

LIMIT = 5


def older(now: int = 1, *, name: str = "x") -> bool:
    """Whether it is older than 3."""
    assert name != "y"
    log.get().info("looked", n=2)
    if now < LIMIT and not b:
        raise ValueError(f"{now + 1} is too much")
    return max(now, 2) == 2 or name in ("a", "b")
'''


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield importlib.import_module("mutants.changes")
    for name in [n for n in sys.modules if n.partition(".")[0] == "mutants"]:
        del sys.modules[name]


def test_each_decision_is_changed_and_texts_are_not(changes: Any) -> None:
    found = changes.Mutants("m.py", SOURCE.encode()).found.values()
    lines = {m.diff[-1].strip("+ ") for m in found}
    assert {
        "LIMIT = 6",
        "LIMIT = 4",
        'def older(now: int = 2, *, name: str = "x") -> bool:',
        "def older(now: int = 1, *, name: str = 'xXX') -> bool:",
        "if now <= LIMIT and not b:",
        "if now < LIMIT or not b:",
        "if now < LIMIT and b:",
        "if True:",
        "if False:",
        "pass",
        "return None",
        'return min(now, 2) == 2 or name in ("a", "b")',
        'return max(now, 2) != 2 or name in ("a", "b")',
        'return max(now, 2) == 2 or name not in ("a", "b")',
        "return max(now, 2) == 2 or name in ('aXX', \"b\")",
        'return max(now, 2) == 2 and name in ("a", "b")',
        'return False or name in ("a", "b")',
    } <= lines
    assert not any("docstring" in d or "log" in d or "assert" in d for m in found for d in m.diff)
    assert not any("too much" in m.diff[-1] for m in found)


def test_a_mutant_is_known_by_its_content_and_runs_in_its_function(changes: Any) -> None:
    [first] = [m for m in changes.Mutants("m.py", SOURCE.encode()).found.values() if "<=" in m.text]
    moved = "# one line more\n" + SOURCE
    [second] = [m for m in changes.Mutants("m.py", moved.encode()).found.values() if "<=" in m.text]
    assert (
        first.key
        == second.key
        == (
            "m.py older",
            "-if now < LIMIT and not b:",
            "+if now <= LIMIT and not b:",
        )
    )
    assert (first.line, second.line) == (12, 13)
    assert first.function == "older"
    assert b"if now <= LIMIT and not b:" in first.applied(SOURCE.encode())
    assert list(changes.functions(SOURCE.encode())) == ["older"]
