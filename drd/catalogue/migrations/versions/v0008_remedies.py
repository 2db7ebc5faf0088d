"""Recorded errors are facts of one line, and their remedies are in a column of their own. Until now
they stood in lines below the facts."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from drd.model.former_rows import cause_of, problems_of

revision = "0008"
down_revision = "0007"

_WITH_REMEDY = {
    "steps": ("error", ("run", "name")),
    "component_snapshots": ("error", ("point", "component")),
    "evidence": ("reason", ("id",)),
    "channels": ("error", ("name",)),
}
"""Tables that get a column for the remedy: where the error is, and their keys."""

_FACTS = {
    "jobs": ("last_error", ("plan", "kind", "subject")),
    "component_summary": ("error", ("plan", "component")),
    "verifications": ("error", ("plan", "repository")),
    "outbox": ("error", ("id",)),
}
"""Tables from which only the fact is shown."""


def upgrade() -> None:
    for table in _WITH_REMEDY:
        op.add_column(table, sa.Column("remedy", sa.Text()))
    for table, (column, key) in _WITH_REMEDY.items():
        _rewrite(table, column, key, remedy=True)
    for table, (column, key) in _FACTS.items():
        _rewrite(table, column, key, remedy=False)
    _runs()
    _plans()


def _all(query: str) -> list[Any]:
    return list(op.get_bind().execute(sa.text(query)).fetchall())


def _do(statement: str, values: dict[str, Any]) -> None:
    op.get_bind().execute(sa.text(statement), values)


def _rewrite(table: str, column: str, key: tuple[str, ...], *, remedy: bool) -> None:
    names = ", ".join(key)
    where = " AND ".join(f"{name} = :{name}" for name in key)
    also = ", remedy = :remedy" if remedy else ""
    # Most facts have one line, and stay as they are.
    query = f"SELECT {column}, {names} FROM {table} WHERE {column} LIKE '%\n%'"  # noqa: S608 - ours
    for error, *values in _all(query):
        fact, said = cause_of(error)
        changed = {"fact": fact, **({"remedy": said or None} if remedy else {})}
        _do(
            f"UPDATE {table} SET {column} = :fact{also} WHERE {where}",  # noqa: S608 - ours
            changed | dict(zip(key, values, strict=True)),
        )


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _runs() -> None:
    """A run has the remedy in its detail, which was empty when several things had failed."""
    for run, error, text in _all("SELECT id, error, detail FROM runs WHERE error LIKE '%\n%'"):
        fact, remedy = cause_of(error)
        detail = _object(text)
        if detail is None:
            continue  # malformed: whoever reads the run is told so
        if remedy:
            detail["remedy"] = remedy
        values = {"id": run, "error": fact, "detail": json.dumps(detail)}
        _do("UPDATE runs SET error = :error, detail = :detail WHERE id = :id", values)


def _plans() -> None:
    """Of a refused plan file, the first problem and the number of the others."""
    query = "SELECT name, load_error FROM plans WHERE load_error LIKE '%\n%'"
    for name, error in _all(query):
        values = {"name": name, "error": problems_of(error)}
        _do("UPDATE plans SET load_error = :error WHERE name = :name", values)
    for key, text in _all("SELECT key, value FROM daemon_state WHERE key = 'refused'"):
        refused = _object(text) or {}
        for why in refused.values():
            if isinstance(why, dict) and isinstance(why.get("error"), str):
                why["error"] = problems_of(why["error"])
        _do(
            "UPDATE daemon_state SET value = :v WHERE key = :k",
            {"v": json.dumps(refused), "k": key},
        )
