"""Store with which secrets a plan opens each of its repositories, as a digest of where they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("repository_health", sa.Column("opened_with", sa.String(16)))
