"""What the daemon keeps: schedules, histories, alerts with severity, outbox, copies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.String(32)


def upgrade() -> None:
    op.add_column("plans", sa.Column("schedule", sa.Text()))
    op.add_column("runs", sa.Column("subject", sa.String(40), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("cancel_asked_at", TIME))
    op.add_column("point_repositories", sa.Column("available_at", TIME))
    _alerts()
    _jobs()
    _messages()
    _repositories()


def _alerts() -> None:
    op.add_column(
        "alerts", sa.Column("severity", sa.String(16), nullable=False, server_default="warning")
    )
    op.add_column("alerts", sa.Column("seen_at", TIME))
    op.add_column("alerts", sa.Column("told_at", TIME))
    op.add_column("alerts", sa.Column("gone_at", TIME))
    op.add_column("alerts", sa.Column("command", sa.Text(), nullable=False, server_default=""))


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("subject", sa.String(40), primary_key=True),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("last_run", sa.String(8)),
        sa.Column("last_started_at", TIME),
        sa.Column("last_finished_at", TIME),
        sa.Column("last_success_at", TIME),
        sa.Column("last_state", sa.String(16)),
        sa.Column("last_error", sa.Text()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.Column("last_duration_s", sa.Float()),
        sa.Column("last_bytes", sa.BigInteger()),
        sa.Column("p95_s", sa.Float()),
    )
    op.create_index("jobs_by_change", "jobs", ["changed"])
    # The histories of what ran before: the newest run of each kind, and its last success.
    op.execute(
        """
        INSERT INTO jobs (plan, kind, subject, changed, last_run, last_started_at,
            last_finished_at, last_success_at, last_state, last_error, tries, permanent)
        SELECT n.plan, n.kind, '', 1, r.id, r.started_at, r.finished_at,
            (SELECT max(s.finished_at) FROM runs s
              WHERE s.plan = n.plan AND s.kind = n.kind AND s.state = 'succeeded'),
            r.state, r.error, CASE WHEN r.state = 'succeeded' THEN 0 ELSE 1 END, FALSE
        FROM (SELECT plan, kind, max(started_at) AS newest FROM runs
               WHERE finished_at IS NOT NULL GROUP BY plan, kind) n
        JOIN runs r ON r.id = (SELECT min(x.id) FROM runs x WHERE x.plan = n.plan
            AND x.kind = n.kind AND x.started_at = n.newest AND x.finished_at IS NOT NULL)
        """
    )


def _messages() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("channel", sa.String(80), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("next_try_at", TIME),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("delivered_at", TIME),
        sa.Column("given_up_at", TIME),
        sa.Column("error", sa.Text()),
    )
    waiting = sa.text("next_try_at IS NOT NULL")
    op.create_index(
        "outbox_waiting",
        "outbox",
        ["next_try_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_table(
        "channels",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("last_tried_at", TIME),
        sa.Column("last_delivered_at", TIME),
        sa.Column("failing_since", TIME),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text()),
    )
    op.create_table(
        "daemon_state",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "plan_sources",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
    )


def _repositories() -> None:
    op.create_table(
        "copies",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("repository", sa.String(40), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("copy_of", sa.String(40), nullable=False),
        sa.Column("point", sa.String(80)),
        sa.Column("data_time", TIME),
        sa.Column("available_at", TIME),
    )
    op.create_table(
        "verifications",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("repository", sa.String(40), primary_key=True),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("next_part", sa.Integer(), nullable=False),
        sa.Column("cycle_started_at", TIME, nullable=False),
        sa.Column("last_part_at", TIME),
        sa.Column("last_complete_at", TIME),
        sa.Column("error", sa.Text()),
    )
