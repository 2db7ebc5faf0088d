"""Adds former keys: when another key replaced a key that a kit, or the keys themselves, name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("trusted_keys", sa.Column("replaced_at", sa.String(32)))
    op.add_column("trusted_keys", sa.Column("replaced_seq", sa.Integer()))
