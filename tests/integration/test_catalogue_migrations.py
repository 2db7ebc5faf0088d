"""The tables come to the version of the code, with what is in them."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from drd.catalogue.migrate import OURS, Schema
from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.catalogue.tables import metadata
from drd.errors import CatalogueError
from tests.catalogue_support import at, captured, fingerprint, fresh_url, plan, point

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("plans", sa.Column("colour", sa.Text()))
    op.execute("UPDATE plans SET colour = 'of ' || name")
"""
BREAKS = NEXT + '    op.execute("INSERT INTO no_such_table VALUES (1)")\n'


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request, tmp_path)


def of_tomorrow(directory: Path, migration: str) -> Schema:
    """Our migrations and one more."""
    scripts = directory / "migrations of 100% tomorrow"
    shutil.copytree(OURS.scripts, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "v0002_next.py").write_text(migration)
    return Schema(scripts, "0002")


def opened(url: str, tmp_path: Path, schema: Schema = OURS) -> SqlCatalogue:
    return open_catalogue(url, create=True, state_dir=tmp_path / "state", schema=schema)


def filled(url: str, tmp_path: Path) -> None:
    catalogue = opened(url, tmp_path)
    catalogue.load_plan(plan(), file_digest="f", at=at(0))
    catalogue.record_point(point("p1", at(0), components=[captured(seen=fingerprint(a=1))]))
    catalogue.close()


def copies(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state").glob("drd.db.before-*"))


def test_migrations_lead_to_the_tables_of_the_code(url: str, tmp_path: Path) -> None:
    catalogue = opened(url, tmp_path)

    with catalogue._store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == OURS.head
    catalogue.close()

    config = Config()
    config.set_main_option("script_location", str(OURS.scripts))
    assert ScriptDirectory.from_config(config).get_heads() == [OURS.head]


def test_a_migration_keeps_the_data_and_on_sqlite_a_copy_of_before(
    url: str, tmp_path: Path
) -> None:
    filled(url, tmp_path)

    catalogue = opened(url, tmp_path, of_tomorrow(tmp_path, NEXT))

    assert [p.id for p in catalogue.points("orders-api", fingerprints=True)] == ["p1"]
    with catalogue._store.read() as connection:
        assert connection.execute(text("SELECT colour FROM plans")).scalar() == "of orders-api"
    catalogue.close()
    if url.startswith("sqlite"):
        [copy] = copies(tmp_path)
        assert copy.name == "drd.db.before-0002"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o660
        before = open_catalogue(f"sqlite:///{copy}", create=False)
        assert [p.id for p in before.points("orders-api")] == ["p1"]
        before.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(url: str, tmp_path: Path) -> None:
    filled(url, tmp_path)
    broken = of_tomorrow(tmp_path, BREAKS)

    for _ in range(2):
        with pytest.raises(CatalogueError, match="could not be brought to version 0002"):
            opened(url, tmp_path, broken)

    catalogue = opened(url, tmp_path)
    assert [p.id for p in catalogue.points("orders-api")] == ["p1"]
    with catalogue._store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    catalogue.close()
    if url.startswith("sqlite"):
        assert [c.name for c in copies(tmp_path)] == ["drd.db.before-0002", "drd.db.before-0002-2"]


def test_a_catalogue_of_a_newer_drd_is_left_alone(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, of_tomorrow(tmp_path, NEXT)).close()

    with pytest.raises(CatalogueError, match="has version 0002, this drd knows 0001") as raised:
        opened(url, tmp_path)

    assert "upgrade drd" in raised.value.hint
    assert copies(tmp_path) == []


def test_two_processes_do_not_migrate_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state/drd.db"
    filled(url, tmp_path)
    schema = of_tomorrow(tmp_path, NEXT)
    code = (
        "import sys; from pathlib import Path\n"
        "from drd.catalogue.migrate import Schema\n"
        "from drd.catalogue.sql_catalogue import open_catalogue\n"
        "open_catalogue(sys.argv[1], create=True, schema=Schema(Path(sys.argv[2]), '0002')).close()"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(schema.scripts)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(4)
    ]
    assert [child.communicate(timeout=60)[1] for child in children] == [""] * 4

    assert [c.name for c in copies(tmp_path)] == ["drd.db.before-0002"]
    connection = sqlite3.connect(tmp_path / "state" / "drd.db")
    assert connection.execute("SELECT colour FROM plans").fetchall() == [("of orders-api",)]
    connection.close()


def test_alembic_is_imported_only_when_there_is_something_to_migrate(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state/drd.db"
    filled(url, tmp_path)
    code = (
        "import sys; from drd.catalogue.sql_catalogue import open_catalogue\n"
        "open_catalogue(sys.argv[1], create=True).close(); print('alembic' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, url],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("False\n", "")
