"""Store how far apart the data times of the groups of a plan are in each restore point."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("points", sa.Column("consistency", sa.Text()))
