"""Adds to plans the packages of others that they use, with the first numbers of their versions:
status says which of them had another version in a drill."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("plans", sa.Column("extensions", sa.Text()))
