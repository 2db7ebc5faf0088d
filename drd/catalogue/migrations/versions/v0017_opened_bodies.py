"""Let the encrypted body of an entry be replaced by the body that was encrypted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from drd.catalogue.append_only import statements_of_opening

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    for statement in statements_of_opening(op.get_bind().dialect.name):
        op.execute(sa.text(statement.replace(":", "\\:")))
