"""Store since when a plan has each copy. Unknown for the copies of before: they had their time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("copies", sa.Column("added_at", sa.String(32)))
