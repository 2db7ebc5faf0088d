"""docs/extending.md shows what works: the example package, and a suite of its own that passes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drd.catalogue.migrate import OURS
from drd.ports import Ability, Holds
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


@pytest.mark.parametrize(
    ("file", "begins"),
    [
        ("drd-example/drd_example/await_file.py", "    def run("),
        ("drd-cards/drd_cards/kind.py", "class CardsDirectory("),
        ("drd-cards/drd_cards/kind.py", "class CardsKind("),
        ("drd-cards/drd_cards/kind.py", "    def sweep("),
        ("drd-cards/drd_cards/kind.py", "def wishes("),
    ],
)
def test_the_page_shows_parts_of_the_examples_as_they_are(file: str, begins: str) -> None:
    (shown,) = [block for block in BLOCKS if block.startswith(begins)]
    assert shown in (EXAMPLES / file).read_text()


_TABLE = """
import sys
from datetime import UTC, datetime
from pathlib import Path

import drd.catalogue
import drd.ports

directory, url = Path(sys.argv[1]), sys.argv[2]
drd.ports.__path__.append(str(directory / "ports"))
drd.catalogue.__path__.append(str(directory / "catalogue"))

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from drd.catalogue.columns import metadata
from drd.catalogue.engine import Database
from drd.catalogue.migrate import Schema
from drd.catalogue.remarks import SqlRemarks
from drd.catalogue.sql_catalogue import open_catalogue
from drd.ports.remarks import Remark, Remarks

schema = Schema(directory / "migrations", "9999")
open_catalogue(url, create=True, state_dir=directory / "state", schema=schema).close()
database = Database(url)
with database.read() as connection:
    differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert not any("remarks" in str(one) for one in differences), differences
store: Remarks = SqlRemarks(database)
first, then = (Remark("anna", text, datetime.now(UTC)) for text in ("look\\0", "done"))
store.record("shop", first)
assert [one.text for one in store.of("shop")] == ["look\\\\x00"]
store.record("shop", then)
assert store.of("shop") == [then]
assert store.of("blog") == []
"""


def test_the_table_on_the_page_works(tmp_path: Path) -> None:
    port, store, migration = [block for block in BLOCKS if "on plans" in block.split("\n", 1)[0]]
    scripts = tmp_path / "migrations"
    shutil.copytree(OURS.scripts, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    last = re.sub(
        r'revision = "\d+"\ndown_revision = "\d+"',
        f'revision = "9999"\ndown_revision = "{OURS.head}"',
        migration,
    )
    (scripts / "versions/v9999_remarks.py").write_text(last)
    for place, text in (("ports", port), ("catalogue", store)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "remarks.py").write_text(text)
    url = f"sqlite:///{tmp_path}/drd.db"
    done = subprocess.run(
        [sys.executable, "-c", _TABLE, tmp_path, url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_every_value_of_holds() -> None:
    assert all(f"`{holds.name}`" in PAGE for holds in Holds)


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
