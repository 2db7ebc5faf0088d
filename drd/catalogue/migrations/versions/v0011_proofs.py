"""Adds the hash of what a drill proves, beside the hash of the whole plan. The latter is also kept
as it was when a drd with both hashes first loaded the plan: older evidence carries it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("plans", sa.Column("proof", sa.String(80)))
    op.add_column("plans", sa.Column("former", sa.String(80)))
