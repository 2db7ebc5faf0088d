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

TYPE_CHECKING = False
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
    assert not any("TYPE_CHECKING" in m.diff[-1] for m in found)


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
    assert (first.line, second.line) == (13, 14)
    assert first.function == "older"
    assert b"if now <= LIMIT and not b:" in first.applied(SOURCE.encode())
    assert list(changes.functions(SOURCE.encode())) == ["older"]


# --- what kills -----------------------------------------------------------------------------


A, B = "tests/unit/test_a.py::test_a", "tests/unit/test_b.py::test_b[1]"


class Runs:
    """What pytest says of the tests `fail`, with a mutant and without it."""

    def __init__(self, *fail: tuple[str, bool], once: bool = False, says: str = "") -> None:
        self.fail, self.once, self.says = [*fail], once, says

    def of(self, running: Any, tests: list[str], *, apply: bool) -> Any:
        for test in tests:
            if (test, apply) in self.fail:
                if self.once:
                    self.fail.remove((test, apply))
                return running.Ran(1, self.says or f"FAILED {test} - assert 1 == 2")
        return running.Ran(0, "")


@pytest.fixture
def judged(changes: Any, tmp_path: Path) -> Any:
    """Returns the verdict over a mutant that A and B reach, and the tests left in the end."""
    program = importlib.import_module("mutants.__main__")
    running = importlib.import_module("mutants.running")
    (tmp_path / "m.py").write_text(SOURCE)
    [mutant] = [
        m for m in changes.Mutants("m.py", SOURCE.encode()).found.values() if "<=" in m.text
    ]

    def judge(runs: Runs) -> tuple[str, list[str]]:
        class Judge(program.Judge):  # type: ignore[misc, name-defined]
            def against(self, _: Any, __: Any, tests: list[str], *, apply: bool = True) -> Any:
                return runs.of(running, tests, apply=apply)

        judge = Judge([], {A: (0.1, {"m.py": 1}), B: (0.2, {"m.py": 1})}, {})
        judge.free.put(type("Tree", (), {"tree": tmp_path})())
        verdict: tuple[str, list[str]] = judge.verdict(mutant)
        return verdict

    return judge


def test_a_test_kills_that_fails_with_the_mutant_alone(judged: Any) -> None:
    assert judged(Runs((B, True))) == ("killed", [A, B])
    assert judged(Runs()) == ("survived", [A, B])


def test_a_test_that_fails_without_the_mutant_kills_nothing(judged: Any) -> None:
    assert judged(Runs((B, True), (B, False))) == ("survived", [A])
    assert judged(Runs((A, True), (A, False), (B, True))) == ("killed", [B])


def test_a_test_that_fails_once_kills_nothing(judged: Any) -> None:
    assert judged(Runs((A, True), once=True)) == ("survived", [B])
    assert judged(Runs((A, True), once=True, says="left running: 7")) == ("survived", [A, B])


def test_a_mutant_that_passes_its_deadline_twice_counts_as_timeout(judged: Any) -> None:
    late = f"E   Failed: Timeout (>120.0s) from pytest-timeout.\nFAILED {A} - Failed: Timeout"
    assert judged(Runs((A, True), says=late)) == ("timeout", [A, B])


def test_an_error_of_an_import_kills_only_if_the_mutant_makes_it(judged: Any) -> None:
    error = "ERROR tests/unit/test_a.py - ImportError"
    file = "tests/unit/test_a.py"
    assert judged(Runs((A, True), (file, True), says=error))[0] == "killed"
    assert judged(Runs((A, True), (file, True), (file, False), says=error)) == ("survived", [B])


def test_a_test_whose_parameters_the_mutant_changes_is_run_again_with_all_of_them(
    judged: Any,
) -> None:
    base = B.partition("[")[0]
    new = Runs((B, True), (base, True), says=f"FAILED {base}[9] - assert 1 == 2")
    assert judged(new) == ("killed", [A, B])
    only_there = Runs((B, True), says=f"FAILED {base}[9] - assert 1 == 2")
    assert judged(only_there) == ("survived", [A])


def test_output_of_a_test_that_looks_like_a_failure_names_no_failed_test(judged: Any) -> None:
    prints = f"ERROR something - else\nFAILED {B} - assert 1 == 2"
    assert judged(Runs((B, True), says=prints)) == ("killed", [A, B])


def test_a_failure_without_a_test_name_kills_only_if_the_tests_pass_without_the_mutant(
    judged: Any,
) -> None:
    assert judged(Runs((A, True), says="left running: 7")) == ("killed", [A, B])
    always = Runs((A, True), (A, False), says="left running: 7")
    assert judged(always) == ("survived", [A, B])


def test_a_failed_test_names_what_is_left_out_with_it(judged: Any) -> None:
    concerns = importlib.import_module("mutants.__main__").concerns
    assert concerns(B, B)
    assert concerns(B, "tests/unit/test_b.py::test_b")
    assert concerns("tests/unit/test_b.py::test_b", B)
    assert concerns("tests/unit/test_b.py", B)
    assert not concerns(B, A)
    assert not concerns("tests/unit/test_b.py::test_b[10]", B)
