"""Store for each restore point during which unfinished recovery it was made, as its manifest
says."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("points", sa.Column("made_during", sa.Text()))
