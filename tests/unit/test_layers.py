"""The house keeps its shape: layers, one home for each library, no file that swells."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import drd
from tests.source import SEARCHED, parsed

pytestmark = SEARCHED

PACKAGE = Path(drd.__file__).parent
ROOT = PACKAGE.parent

# Where a reader who knows the library finds it; all libraries that drd imports are here. This is
# not in import-linter's configuration: it would have to list every module but one, and it does not
# see the standard library.
HOMES: dict[str, tuple[str, ...]] = {
    "Crypto": ("kit", "repositories/restic/ciphers", "signing"),
    "alembic": ("catalogue",),
    "apprise": ("notifiers",),
    "apscheduler": ("scheduler",),
    "argcomplete": ("cli/completion",),
    "boto3": ("repositories",),
    "botocore": ("repositories",),
    "cronsim": ("model/cron",),
    "cryptography": ("timestamping",),
    "holidays": ("holiday_calendars",),
    "jinja2": ("rendering",),
    "psycopg": ("kinds/postgres",),
    "pymysql": ("kinds/mariadb",),
    # Settings, each beside what it sets, and the requests of the socket.
    "pydantic": ("fields", "config", "kinds", "checks", "controls", "actions", "notifiers", "api"),
    "pydantic_core": ("fields", "config"),
    "pyrage": ("age", "kit"),
    "pytest": ("testing",),
    "restic": ("repositories",),
    "rfc3161_client": ("timestamping",),
    "rfc8785": ("model/records",),
    "sqlalchemy": ("catalogue",),
    "sqlite3": ("catalogue", "kinds/sqlite", "cli/upgrading"),
    "structlog": ("log",),
    "subprocess": ("process",),
    "urllib3": ("repositories",),
    "yaml": ("config",),
}

LINES = 450

LATE = 100
"""Imports within functions. Each has to be worth it in a cold start, or to spare a heavy library to
whoever does not use it."""


INDENTED_IMPORT = re.compile(r"(^[ \t]+|[;:] *)(import|from)\b", re.MULTILINE)


def modules() -> Iterator[Path]:
    return PACKAGE.rglob("*.py")


@cache
def imported(source: str) -> set[str]:
    """The first names of all that a module imports, wherever in it, from outside of drd."""
    names: set[str] = set()
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def lives_in(module: Path, home: str) -> bool:
    """Whether a module is its home: a package, or a single file of that name."""
    return module.relative_to(PACKAGE).with_suffix("").is_relative_to(home)


@pytest.mark.parametrize(("library", "homes"), HOMES.items())
def test_a_library_is_imported_in_its_home_only(library: str, homes: tuple[str, ...]) -> None:
    strangers = [
        str(module.relative_to(ROOT))
        for module in modules()
        if not any(lives_in(module, home) for home in homes)
        and library in imported(module.read_text())
    ]
    assert strangers == [], f"{library} belongs to drd/{', drd/'.join(homes)}"


def test_every_library_has_a_home() -> None:
    used = {name for module in modules() for name in imported(module.read_text())}
    assert used - sys.stdlib_module_names - {"drd"} - set(HOMES) == set()


def test_every_home_imports_its_library() -> None:
    for library, homes in HOMES.items():
        using = [module for module in modules() if library in imported(module.read_text())]
        empty = [home for home in homes if not any(lives_in(module, home) for module in using)]
        assert empty == [], f"{library} is not imported there"


def late_imports(source: str) -> list[ast.stmt]:
    """The imports within functions."""
    return [
        node
        for function in ast.walk(parsed(source if INDENTED_IMPORT.search(source) else ""))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def test_few_imports_are_late() -> None:
    late = {
        f"{module.relative_to(ROOT)}:{node.lineno}"
        for module in modules()
        for node in late_imports(module.read_text())
    }
    assert len(late) <= LATE, (
        "import at the top, unless a cold start gets slower by it: " + " ".join(sorted(late))
    )


def run_time_imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports that run at some time: not those for the type checker."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from run_time_imports(node)


def imports_of(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which of these modules, by name, each imports at some time, at its top or late."""
    graph: dict[str, set[str]] = {}
    for name, source in sources.items():
        found: set[str] = set()
        for node in run_time_imports(parsed(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif node.module:
                below = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {b if b in sources else node.module for b in below}
        graph[name] = (found & set(sources)) - {name}
    return graph


def in_a_circle(graph: dict[str, set[str]]) -> set[str]:
    """What is left after all have been taken away that import nothing, or nothing that is left,
    and all that nothing imports."""
    left = {name: set(others) for name, others in graph.items()}
    while True:
        used = {other for others in left.values() for other in others}
        gone = {name for name, others in left.items() if not others or name not in used}
        if not gone:
            return set(left)
        left = {n: others - gone for n, others in left.items() if n not in gone}


def test_no_imports_go_in_a_circle_late_ones_included() -> None:
    sources = {
        ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(
            ".__init__"
        ): module.read_text()
        for module in modules()
    }
    assert in_a_circle(imports_of(sources)) == set()


def test_a_circle_over_a_late_import_is_seen() -> None:
    sources = {
        "drd.a": "from drd import b",
        "drd.b": "def f():\n    from drd.c import g",
        "drd.c": "import drd.a",
        "drd.d": "import drd.a\nif TYPE_CHECKING:\n    import drd.e",
        "drd.e": "import drd.d",
    }
    assert in_a_circle(imports_of(sources)) == {"drd.a", "drd.b", "drd.c"}
    assert len(late_imports(sources["drd.b"])) == 1


def test_no_module_is_longer_than_the_limit() -> None:
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
