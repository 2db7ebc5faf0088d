"""Store the RPO that a component has of its own, and the RPO that restore points have to keep."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("component_summary", sa.Column("rpo_s", sa.Float()))
    op.add_column("plans", sa.Column("point_rpo_s", sa.Float()))
