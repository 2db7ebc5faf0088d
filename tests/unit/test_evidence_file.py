"""Whether `drd evidence show` gets a file or an id."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.cli.evidence_file import is_named


def test_a_file_in_the_current_directory_needs_no_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("records.txt", "212670ac"):
        Path(name).touch()
    assert is_named("records.txt")
    assert is_named(".")
    assert is_named("./gone"), "the error names the path"
    assert not is_named("212670ac"), "an id"
    assert not is_named("1528-212670ac")
    assert not is_named("gone.txt")
