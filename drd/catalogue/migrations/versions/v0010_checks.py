"""The number that a check observed, and whether its expectation is a comparison. Both were seen in
texts until now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from drd.model.former_rows import bound_of, figure_of

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column(
        "checks", sa.Column("bound", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.add_column("checks", sa.Column("figure", sa.Text()))
    rows = op.get_bind().execute(
        sa.text("SELECT evidence, position, observed, expected FROM checks")
    )
    read = [
        {
            "evidence": evidence,
            "position": position,
            "bound": bound_of(expected),
            "figure": figure_of(observed, expected),
        }
        for evidence, position, observed, expected in rows.fetchall()
    ]
    changed = [row for row in read if row["bound"] or row["figure"] is not None]
    if changed:
        op.get_bind().execute(
            sa.text(
                "UPDATE checks SET bound = :bound, figure = :figure "
                "WHERE evidence = :evidence AND position = :position"
            ),
            changed,
        )
