"""Keep the meaning of each text of a plan that was in force. That of a plan that is in force now is
kept when the plan is loaded again: at the next start or reload."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("plans", sa.Column("resolved", sa.Text()))
    op.create_table(
        "plan_versions",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("digest", sa.String(80), primary_key=True),
        sa.Column("loaded_at", sa.String(32), nullable=False),
        sa.Column("resolved", sa.Text(), nullable=False),
    )
