"""The number that a check observed, and whether its expectation is a comparison. Both were seen in
texts until now."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_NUMBER = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?")


def upgrade() -> None:
    op.add_column(
        "checks", sa.Column("bound", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.add_column("checks", sa.Column("figure", sa.Text()))
    compared = "substr(expected, 1, 1) IN ('<', '>', '=', '!')"
    rows = op.get_bind().execute(
        sa.text(
            "SELECT evidence, position, observed FROM checks "  # noqa: S608 - ours
            f"WHERE {compared} OR expected LIKE 'within %'"
        )
    )
    figures = [
        {"evidence": evidence, "position": position, "figure": observed.replace(",", "")}
        for evidence, position, observed in rows.fetchall()
        if _NUMBER.fullmatch(observed)
    ]
    op.execute(f"UPDATE checks SET bound = TRUE WHERE {compared}")  # noqa: S608 - ours
    if figures:
        op.get_bind().execute(
            sa.text(
                "UPDATE checks SET figure = :figure "
                "WHERE evidence = :evidence AND position = :position"
            ),
            figures,
        )
