"""Signed manifests: what each said of its signature, the keys of kits, and the signature of the
point in evidence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "point_signatures",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("point", sa.String(80), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("signed", sa.String(88), nullable=False),
        sa.Column("public", sa.String(44), nullable=False),
    )
    op.create_table(
        "trusted_keys",
        sa.Column("key", sa.String(16), primary_key=True),
        sa.Column("public", sa.String(44), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
    )
    op.add_column("evidence", sa.Column("signature", sa.String(16)))
