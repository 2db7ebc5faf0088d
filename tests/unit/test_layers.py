"""The house keeps its shape: layers, one home for each library, no file that swells."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import drd

PACKAGE = Path(drd.__file__).parent
ROOT = PACKAGE.parent

# Where a reader who knows the library finds it. This is not in import-linter's configuration: it
# would have to list every module but one, and it does not see the standard library.
HOMES = {
    "alembic": "catalogue",
    "apprise": "notifiers",
    "apscheduler": "scheduler",
    "boto3": "repositories",
    "botocore": "repositories",
    "psycopg": "kinds/postgres",
    "pyrage": "kit",
    "restic": "repositories",
    "sqlalchemy": "catalogue",
    "subprocess": "process",
}

LINES = 450


def modules() -> Iterator[Path]:
    return PACKAGE.rglob("*.py")


@cache
def imported(source: str) -> set[str]:
    """The first names of all that a module imports, wherever in it, from outside of drd."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def lives_in(module: Path, home: str) -> bool:
    """Whether a module is its home: a package, or a single file of that name."""
    return module.relative_to(PACKAGE).with_suffix("").is_relative_to(home)


@pytest.mark.parametrize(("library", "home"), HOMES.items())
def test_a_library_is_imported_in_its_home_only(library: str, home: str) -> None:
    strangers = [
        str(module.relative_to(ROOT))
        for module in modules()
        if not lives_in(module, home) and library in imported(module.read_text())
    ]
    assert strangers == [], f"{library} belongs to drd/{home}"


def test_no_module_swells() -> None:
    lengths = {
        str(module.relative_to(ROOT)): len(module.read_text().splitlines()) for module in modules()
    }
    swollen = {name: lines for name, lines in lengths.items() if lines > LINES}
    assert swollen == {}, f"split these by phase or verb: more than {LINES} lines"


def test_imports_point_down_only() -> None:
    lint_imports = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "import sqlalchemy.orm",
        "from sqlalchemy import text",
        "from sqlalchemy.exc import DBAPIError as Error",
        "def f():\n    import os, sqlalchemy",
    ],
)
def test_an_import_is_seen_in_every_form(source: str) -> None:
    assert "sqlalchemy" in imported(source)


def test_a_relative_or_a_longer_name_is_another_one() -> None:
    assert "sqlalchemy" not in imported("from .sqlalchemy import x\nimport sqlalchemy_utils")
    assert not lives_in(PACKAGE / "processes.py", "process")
    assert lives_in(PACKAGE / "process.py", "process")
