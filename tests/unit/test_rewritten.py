"""What is rewritten before the workers begin is what each would have rewritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from tests import rewritten


def _kept(file: Path) -> object:
    return rewrite._read_pyc(file, rewritten._place(file))


def test_new_and_changed_test_modules_are_rewritten(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    first, second = tmp_path / "test_first.py", tmp_path / "below/test_second.py"
    second.parent.mkdir()
    for file in (first, second):
        file.write_text("def test():\n    assert 1 == 1\n")
        os.utime(file, (1_000_000_000, 1_000_000_000))
    broken = tmp_path / "test_broken.py"
    broken.write_text("def test(:\n")
    rewritten.rewrite_missing(pytestconfig, tmp_path)
    assert _kept(first) == rewrite._rewrite_test(first, pytestconfig)[1]
    assert _kept(second) == rewrite._rewrite_test(second, pytestconfig)[1]
    assert _kept(broken) is None

    kept = rewritten._place(first).stat()
    second.write_text("def test():\n    assert 2 == 2\n")
    os.utime(second, (2_000_000_000, 2_000_000_000))
    rewritten.rewrite_missing(pytestconfig, tmp_path)
    assert rewritten._place(first).stat() == kept
    assert _kept(second) == rewrite._rewrite_test(second, pytestconfig)[1]
