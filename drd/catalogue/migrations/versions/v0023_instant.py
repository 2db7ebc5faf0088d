"""Store what an instant drill has read, and how often a plan restores everything."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("evidence", sa.Column("instant", sa.Text()))
    op.add_column("plans", sa.Column("drill_full_every_s", sa.Float()))
