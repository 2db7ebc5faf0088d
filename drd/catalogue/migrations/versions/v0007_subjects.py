"""Adds a column for the subject of a step. Before, only the step's name contained it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from drd.model.former_rows import subject_of

revision = "0007"
down_revision = "0006"

_KINDS = "('capture', 'restore', 'rollback', 'forget', 'copy')"


def upgrade() -> None:
    op.add_column(
        "steps", sa.Column("subject", sa.String(255), nullable=False, server_default=sa.text("''"))
    )
    rows = op.get_bind().execute(
        sa.text(f"SELECT run, name, kind FROM steps WHERE kind IN {_KINDS}")  # noqa: S608 - ours
    )
    statement = sa.text("UPDATE steps SET subject = :subject WHERE run = :run AND name = :name")
    values = [
        {"run": run, "name": name, "subject": subject}
        for run, name, kind in rows.fetchall()
        if (subject := subject_of(kind, name))
    ]
    if values:
        op.get_bind().execute(statement, values)
