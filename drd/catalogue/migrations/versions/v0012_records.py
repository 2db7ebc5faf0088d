"""The append-only chain of records, and the bodies of its entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from drd.catalogue.append_only import statements

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "records",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor_kind", sa.String(16), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("came", sa.String(16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("signature", sa.String(100), nullable=False),
    )
    op.create_index("records_by_kind", "records", ["kind", "seq"])
    op.create_index("records_by_subject", "records", ["subject"])
    op.create_table(
        "record_bodies",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    for statement in statements(op.get_bind().dialect.name):
        op.execute(sa.text(statement.replace(":", "\\:")))
