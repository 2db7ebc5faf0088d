"""Incidents: a row for each, which follows from its entries in the chain of records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from drd.catalogue.changes import statements_of_incidents

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.String(32)),
        sa.Column("closed_at", sa.String(32)),
        sa.Column("plans", sa.Text(), nullable=False),
        sa.Column("next_at", sa.String(32)),
        sa.Column("rule", sa.Text(), nullable=False),
    )
    op.create_index(
        "incidents_open",
        "incidents",
        ["closed_at"],
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    for statement in statements_of_incidents(op.get_bind().dialect.name):
        op.execute(sa.text(statement.replace(":", "\\:")))
