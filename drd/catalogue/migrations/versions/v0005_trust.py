"""What drd knows about repositories, who decided what, and what is held back from retention."""

from __future__ import annotations

import json

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
    op.add_column("point_repositories", sa.Column("repository_id", sa.String(80)))
    op.create_index(
        "point_repositories_by_id", "point_repositories", ["repository_id", "repository"]
    )
    op.add_column(
        "points", sa.Column("here", sa.Boolean(), nullable=False, server_default=sa.text("true"))
    )
    op.create_table(
        "plan_repositories",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
    )
    _identities()


def _identities() -> None:
    """What a repository's name meant is known from the schedules of plans that a daemon has loaded; of
    others the next load says it."""
    connection = op.get_bind()
    schedules = connection.execute(
        sa.text("SELECT name, schedule FROM plans WHERE schedule IS NOT NULL ORDER BY name")
    ).fetchall()
    for plan, schedule in schedules:
        jobs = json.loads(schedule).get("jobs", ())
        alone = {
            job["subject"]: job["repositories"][0]
            for job in jobs
            if job.get("subject") and len(job.get("repositories", ())) == 1
        }
        for name, url in alone.items():
            connection.execute(
                sa.text(
                    "UPDATE point_repositories SET repository_id ="
                    " (SELECT r.repository_id FROM repositories r WHERE r.url = :url)"
                    " WHERE repository = :name AND point IN (SELECT id FROM points WHERE plan = :plan)"
                ),
                {"url": url, "name": name, "plan": plan},
            )


def _drills() -> None:
    """What a drill proved, by scenario, repository and component."""


def _holds() -> None:
    """Points that are held, and points that somebody gave up."""


def _plans() -> None:
    """Texts that are in force."""
