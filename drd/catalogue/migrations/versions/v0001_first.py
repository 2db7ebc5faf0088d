"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.String(32)


def upgrade() -> None:
    _runs()
    _points()
    _evidence()
    _summaries()


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(8), primary_key=True),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("trigger", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_at", TIME),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("plan_digest", sa.String(80), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("owner_pid", sa.Integer()),
        sa.Column("owner_start", sa.BigInteger()),
        sa.Column("owner_host", sa.Text(), nullable=False),
        sa.Column("taken_over_at", TIME),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
    )
    op.create_index("runs_by_outcome", "runs", ["plan", "kind", "state", "started_at"])
    op.create_index("runs_by_plan", "runs", ["plan", "started_at"])
    op.create_index("runs_by_time", "runs", ["started_at"])
    _create_partial_index("runs_open", "runs", ["finished_at", "plan"], "finished_at IS NULL")
    op.create_table(
        "steps",
        sa.Column("run", sa.String(8), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("waiting_for", sa.Text()),
    )


def _points() -> None:
    op.create_table(
        "points",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("data_time", TIME, nullable=False),
        sa.Column("available_at", TIME, nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("plan_digest", sa.String(80), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("proven_by", sa.String(80)),
        sa.Column("forgotten_at", TIME),
    )
    op.create_index("points_by_availability", "points", ["plan", "complete", "available_at"])
    op.create_index("points_by_data_time", "points", ["plan", "complete", "data_time"])
    _create_partial_index(
        "points_kept",
        "points",
        ["plan", "forgotten_at", "complete", "data_time"],
        "forgotten_at IS NULL",
    )
    op.create_table(
        "point_repositories",
        sa.Column("point", sa.String(80), sa.ForeignKey("points.id"), primary_key=True),
        sa.Column("repository", sa.String(40), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.String(80), nullable=False),
    )
    op.create_table(
        "fingerprints",
        sa.Column("digest", sa.String(80), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "component_snapshots",
        sa.Column("point", sa.String(80), sa.ForeignKey("points.id"), primary_key=True),
        sa.Column("component", sa.String(40), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("available_at", TIME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("data_time", TIME),
        sa.Column("snapshot", sa.String(80)),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("added_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("observations", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(80), sa.ForeignKey("fingerprints.digest")),
    )
    op.create_index(
        "snapshots_by_component", "component_snapshots", ["plan", "component", "available_at"]
    )
    op.create_index("snapshots_by_fingerprint", "component_snapshots", ["fingerprint"])


def _evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("run", sa.String(8), nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("point", sa.String(80)),
        sa.Column("scenario", sa.String(80), nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("plan_digest", sa.String(80), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.Column("rpa_s", sa.Float()),
        sa.Column("rta_s", sa.Float()),
        sa.Column("judged", sa.Boolean(), nullable=False),
        sa.Column("phases", sa.Text(), nullable=False),
        sa.Column("not_rehearsed", sa.Text(), nullable=False),
        sa.Column("target", sa.Text()),
        sa.Column("lost_at", TIME),
        sa.Column("restored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text()),
    )
    op.create_index("evidence_by_plan", "evidence", ["plan", "finished_at"])
    op.create_index("evidence_by_point", "evidence", ["point"])
    op.create_table(
        "checks",
        sa.Column("evidence", sa.String(80), sa.ForeignKey("evidence.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("component", sa.String(40)),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("observed", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("part", sa.Boolean(), nullable=False),
        sa.Column("looked_at_data", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(8), primary_key=True),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("acknowledged_by", sa.Text()),
        sa.Column("acknowledged_until", TIME),
        sa.Column("acknowledged_why", sa.Text()),
        sa.Column("resolved_at", TIME),
    )
    _create_partial_index("alerts_open", "alerts", ["plan"], "resolved_at IS NULL")
    op.create_table(
        "repositories",
        sa.Column("url", sa.Text(), primary_key=True),
        sa.Column("repository_id", sa.String(80)),
        sa.Column("recorded_at", TIME),
        sa.Column("last_self_backup_at", TIME),
    )


def _summaries() -> None:
    op.create_table(
        "plans",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("rpo_s", sa.Float(), nullable=False),
        sa.Column("rto_s", sa.Float(), nullable=False),
        sa.Column("window_s", sa.Float(), nullable=False),
        sa.Column("interval_s", sa.Float()),
        sa.Column("cron", sa.Text()),
        sa.Column("backup_timeout_s", sa.Float(), nullable=False),
        sa.Column("drill_every_s", sa.Float()),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("file_mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("file_digest", sa.String(80), nullable=False),
        sa.Column("first_loaded_at", TIME, nullable=False),
        sa.Column("loaded_at", TIME, nullable=False),
        sa.Column("load_error", sa.Text()),
        sa.Column("load_error_at", TIME),
    )
    op.create_table(
        "missed_intervals",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("started_at", TIME, primary_key=True),
        sa.Column("ended_at", TIME, nullable=False),
    )
    op.create_table(
        "plan_summary",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("newest_point", sa.String(80)),
        sa.Column("incomplete_point", sa.String(80)),
        sa.Column("complete_points", sa.Integer()),
        sa.Column("backup_p95_s", sa.Float()),
        sa.Column("failure_tries", sa.Integer()),
        sa.Column("failed_run", sa.String(8)),
        sa.Column("last_drill", sa.String(80)),
        sa.Column("last_passed_drill", sa.String(80)),
    )
    op.create_table(
        "component_summary",
        sa.Column("plan", sa.String(40), primary_key=True),
        sa.Column("component", sa.String(40), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("data_time", TIME),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("error", sa.Text()),
    )


def _create_partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
