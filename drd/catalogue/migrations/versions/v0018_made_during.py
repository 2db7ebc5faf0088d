"""Restore points that were made during an unfinished recovery: their manifests say so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("points", sa.Column("made_during", sa.Text()))
