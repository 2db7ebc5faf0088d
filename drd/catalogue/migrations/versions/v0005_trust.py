"""What drd knows about repositories, who decided what, and what is held back from retention."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _actors()
    _runs()
    _repositories()
    _drills()
    _holds()
    _plans()


def _actors() -> None:
    """Who asked for a run, and who decided."""
    op.add_column("runs", sa.Column("actor", sa.Text()))
    op.add_column("runs", sa.Column("cancel_actor", sa.Text()))
    op.add_column("decisions", sa.Column("actor", sa.Text()))
    op.add_column("alerts", sa.Column("acknowledged_actor", sa.Text()))


def _runs() -> None:
    """What binds a run's directories and hooks to its row."""
    op.add_column("runs", sa.Column("stamp", sa.String(32)))


def _repositories() -> None:
    """The identity of repositories and points, and what is wrong with them."""


def _drills() -> None:
    """What a drill proved, by scenario, repository and component."""


def _holds() -> None:
    """Points that are held, and points that somebody gave up."""


def _plans() -> None:
    """Texts that are in force."""
