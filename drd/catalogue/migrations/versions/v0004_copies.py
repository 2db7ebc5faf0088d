"""How long a plan lets pass between two copies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("copies", sa.Column("pause_s", sa.Float()))
