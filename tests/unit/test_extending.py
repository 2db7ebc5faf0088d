"""docs/extending.md shows what works: the example package, and a suite of its own that passes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from drd.ports import Ability
from drd.registry import FAMILIES
from tests.extension_support import EXAMPLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text()
PACKAGE = EXAMPLES / "drd-example"
BLOCKS = re.findall(r"^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "file",
    ["drd_example/contains.py", "drd_example/note.py", "drd_example/logbook.py", "pyproject.toml"],
)
def test_the_page_shows_the_example_package_as_it_is(file: str) -> None:
    assert (PACKAGE / file).read_text() in BLOCKS


def test_the_page_shows_the_example_of_a_kind_as_it_is() -> None:
    assert (EXAMPLES / "drd-notes/drd_notes.py").read_text() in BLOCKS


def test_the_page_names_every_ability() -> None:
    assert all(f"| `{ability.name}` |" in PAGE for ability in Ability)


def test_the_page_names_every_family() -> None:
    assert all(f"`drd.{family}`" in PAGE for family in FAMILIES)
    assert all(registry.spec_class.__name__ in PAGE for registry in FAMILIES.values())


def test_the_suite_on_the_page_passes_in_a_package_of_ones_own(tmp_path: Path) -> None:
    (suite,) = [block for block in BLOCKS if "NotifierContract" in block and "class Test" in block]
    (tmp_path / "test_mine.py").write_text(suite)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.fspath(PACKAGE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
