"""The hash of what a drill proves, beside the one of the whole plan; and the latter as it was when
a drd that distinguishes them loaded the plan first: evidence of before carries it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("plans", sa.Column("proof", sa.String(80)))
    op.add_column("plans", sa.Column("former", sa.String(80)))
