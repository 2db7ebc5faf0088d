"""Attack: a manifest whose values become commands of the script that recovers without drd.

The version of pg_dump was compared as a number, which bash evaluates together with the commands in
it, and named a directory of programs; psql ran the commands in the SQL of the roles; the path of a
SQLite file was the manifest's own.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from drd.kinds.postgres import by_hand as postgres
from drd.kinds.postgres.settings import PostgresSettings
from drd.kinds.sqlite import by_hand as sqlite
from drd.kinds.sqlite.settings import SqliteSettings
from drd.model.plan import Component
from drd.ports.by_hand import ByHand

_TOOLS = {
    "restic": "exit 0",
    "psql": 'echo "psql $*" >> "$RAN"',
    "pg_restore": 'echo "pg_restore (PostgreSQL) 17.2"',
    "createuser": "exit 0",
    "su": "exit 0",
    "sqlite3": "echo ok",
}


def _hand(kind: str) -> ByHand:
    if kind == "postgres":
        settings = PostgresSettings.model_validate({"kind": "postgres", "dsn": "dbname=shop"})
        return postgres.by_hand(
            Component("db", "postgres", settings), None, place="", resolve=lambda _: ""
        )
    file = SqliteSettings.model_validate({"kind": "sqlite", "path": "/srv/shop/shop.db"})
    return sqlite.by_hand(Component("db", "sqlite", file), None, place="", resolve=lambda _: "")


def _run(
    base: Path, kind: str, facts: dict[str, object], **private: object
) -> subprocess.CompletedProcess[str]:
    """Run the commands of the page, with programs that only note that they ran."""
    bin_dir = base / "bin"
    bin_dir.mkdir(exist_ok=True)
    for name, does in _TOOLS.items():
        (bin_dir / name).write_text(f"#!/bin/sh\n{does}\n")
        (bin_dir / name).chmod(0o755)
    manifest = {
        "components": [{"component": "db", "snapshot": "0" * 64, "facts": facts}],
        "private": {"db": private},
    }
    (base / "manifest.json").write_text(json.dumps(manifest))
    begin = (
        "set -euo pipefail\n"
        'fact() { jq -er --arg c "$1" --arg f "$2" '
        "'.components[] | select(.component == $c) | .facts[$f]' manifest.json; }\n"
        "snapshot() { echo 0; }\n"
    )
    text = begin + "\n".join(p.commands for p in _hand(kind).passages)
    return subprocess.run(
        ["bash", "-c", text], cwd=base, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": f"{bin_dir}:/usr/bin:/bin", "RAN": f"{base}/ran", "HOME": str(base)},
    )  # fmt: skip


FACTS = {"pg_dump_major": 9, "filename": "db.dump", "database": "shop"}
SQL = {"globals_sql": 'CREATE ROLE "app";', "database_sql": 'CREATE DATABASE "shop";',
       "database": {"name": "shop"}}  # fmt: skip


def test_a_version_is_a_number_before_the_shell_computes_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = _run(tmp_path, "postgres", {**FACTS, "pg_dump_major": f"PATH[$(touch {mark})]"}, **SQL)
    assert done.returncode != 0
    assert not mark.exists()


def test_a_version_leads_to_no_programs_of_others(tmp_path: Path) -> None:
    evil = tmp_path / "evil/bin/pg_restore"
    evil.parent.mkdir(parents=True)
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/mark\n")
    evil.chmod(0o755)
    major = f"../../../..{tmp_path}/evil"
    assert _run(tmp_path, "postgres", {**FACTS, "pg_dump_major": major}, **SQL).returncode != 0
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("key", ["globals_sql", "database_sql"])
def test_sql_of_a_repository_gives_psql_no_command(key: str, tmp_path: Path) -> None:
    forged = {**SQL, key: f"{SQL[key]}\nselect 1 \\g |touch mark\n"}
    done = _run(tmp_path, "postgres", FACTS, **forged)
    assert done.returncode != 0
    assert "has a backslash, with which psql can run programs" in done.stdout
    ran = (tmp_path / "ran").read_text() if (tmp_path / "ran").exists() else ""
    assert f"-f db.{key.removesuffix('_sql')}" not in ran


def test_a_database_is_a_name_and_no_address_of_a_server(tmp_path: Path) -> None:
    facts = {**FACTS, "database": "host=192.0.2.1 dbname=shop"}
    assert _run(tmp_path, "postgres", facts, **SQL).returncode != 0
    assert "192.0.2.1" not in (tmp_path / "ran").read_text()


def test_a_sqlite_file_gets_the_place_that_the_plan_names() -> None:
    commands = "\n".join(p.commands for p in _hand("sqlite").passages)
    assert "TARGET=/srv/shop/shop.db\n" in commands
    assert "fact db path" not in commands


def test_healthy_twin_the_commands_of_an_honest_manifest_run(tmp_path: Path) -> None:
    done = _run(tmp_path, "postgres", FACTS, **SQL)
    ran = (tmp_path / "ran").read_text()
    assert done.returncode == 0, done
    assert "-f db.roles.sql" in ran
    assert "-f db.database.sql" in ran
