"""Store the description of each plan. Plans that are in force get it when they are loaded again: at
the next start or reload."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("plans", sa.Column("description", sa.Text()))
