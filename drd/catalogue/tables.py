"""The tables after the newest migration.

They are the same on SQLite and PostgreSQL. What only PostgreSQL has (partial indexes) is only in
the migrations: if this module named that dialect, every command would import it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from drd.catalogue import columns
from drd.catalogue.columns import OF_A_PLAN, Json, UtcTime, Words

metadata = columns.metadata

plans = Table(
    "plans",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("owner", Words, nullable=False),
    Column("digest", String(80), nullable=False),
    Column("rpo_s", Float, nullable=False),
    Column("point_rpo_s", Float),  # that points have to keep; null if it is the plan's
    Column("rto_s", Float, nullable=False),
    Column("window_s", Float, nullable=False),
    Column("interval_s", Float),
    Column("cron", Words),
    Column("backup_timeout_s", Float, nullable=False),
    Column("drill_every_s", Float),
    Column("drill_full_every_s", Float),  # of a plan with instant drills
    Column("file", Words, nullable=False),
    Column("file_mtime_ns", BigInteger, nullable=False),
    Column("file_size", BigInteger, nullable=False),
    Column("file_digest", String(80), nullable=False),
    Column("first_loaded_at", UtcTime, nullable=False),
    Column("loaded_at", UtcTime, nullable=False),
    Column("load_error", Words),
    Column("load_error_at", UtcTime),
    Column("schedule", Json),  # the model's, which the daemon works from
    Column("extensions", Json),  # the first numbers of their versions; null without any
    Column("proof", String(80)),  # the hash of what a drill proves; null until the first load
    Column("former", String(80)),  # the hash of the whole plan that older evidence has
    Column("description", Words),  # null until the plan is loaded by a drd that stores it
    Column("resolved", Json),  # what the text means; null until the plan is loaded again
)

FIRST_TOKEN = 1
"""The token of a run that was never taken over."""

runs = Table(
    "runs",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("plan", String(40), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("due_at", UtcTime),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("plan_digest", String(80), nullable=False),
    Column("token", Integer, nullable=False),
    Column("owner_pid", Integer),
    Column("owner_start", BigInteger),  # NULL without owner_pid: a person reopened the run
    Column("owner_host", Text, nullable=False),
    Column("taken_over_at", UtcTime),
    Column("detail", Json, nullable=False),
    Column("error", Words),
    Column("error_code", String(40)),  # why it ended, for code
    Column("subject", String(40), nullable=False, server_default=""),  # a repository's name
    Column("cancel_asked_at", UtcTime),
    Column("actor", Json),  # who asked for it; NULL: an older drd recorded nobody
    Column("cancel_actor", Json),
    Column("stamp", String(32)),  # what the run's directories hold as well
    Column("owner_place", String(64)),  # which state on which machine; NULL: an older drd
    Column("owner_boot", String(64)),
)
Index("runs_by_time", runs.c.started_at)
Index("runs_by_plan", runs.c.plan, runs.c.started_at)
Index("runs_by_outcome", runs.c.plan, runs.c.kind, runs.c.state, runs.c.started_at)
# A run that is over has a finish time, so the others are found at once among a million. The column
# that is always NULL here comes first: else SQLite's planner would walk through `runs_by_…`.
Index(
    "runs_open",
    runs.c.finished_at,
    runs.c.plan,
    sqlite_where=runs.c.finished_at.is_(None),
)

steps = Table(
    "steps",
    metadata,
    Column("run", String(8), ForeignKey("runs.id"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("result", Json, nullable=False),
    Column("error", Words),
    Column("waiting_for", Words),
    Column("subject", String(255), nullable=False, server_default=""),  # what it is about
    Column("remedy", Words),
)

decisions = Table(
    "decisions",
    metadata,
    # No foreign key: what people decided outlives the steps.
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", String(8), nullable=False),
    Column("step", String(255), nullable=False),  # "" is about the whole run
    Column("action", String(16), nullable=False),
    Column("by", Words, nullable=False),
    Column("comment", Words, nullable=False),
    Column("attempt", Integer, nullable=False),  # of the step, that it is about
    Column("at", UtcTime, nullable=False),
    Column("actor", Json),  # who decided, by the kernel; NULL: recorded by an older drd
)
Index("decisions_by_run", decisions.c.run)

points = Table(
    "points",
    metadata,
    # The id of the backup run; no foreign key, since points outlive the loss of the runs.
    Column("id", String(80), primary_key=True),
    Column("plan", String(40), nullable=False),
    Column("data_time", UtcTime, nullable=False),
    Column("available_at", UtcTime, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("plan_digest", String(80), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("proven_by", String(80)),
    Column("forgotten_at", UtcTime),
    # Whether it lies in a repository that its plan has now (`drd.catalogue.places`).
    Column("here", Boolean, nullable=False, server_default="1"),
    Column("vanished_at", UtcTime),  # when no repository had it any more, and nobody had said so
    Column("made_during", Json),  # the unfinished recovery; NULL: none, or made by an older drd
    Column("consistency", Json),  # the spread of each group of the plan; NULL: no group
)
Index("points_by_data_time", points.c.plan, points.c.complete, points.c.data_time)
Index("points_by_availability", points.c.plan, points.c.complete, points.c.available_at)
Index(
    "points_kept",
    points.c.plan,
    points.c.forgotten_at,
    points.c.complete,
    points.c.data_time,
    sqlite_where=points.c.forgotten_at.is_(None),
)

point_repositories = Table(
    "point_repositories",
    metadata,
    Column("point", String(80), ForeignKey("points.id"), primary_key=True),
    Column("repository", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("manifest", String(80), nullable=False),
    Column("available_at", UtcTime),  # there; NULL: the point's, as where it was made
    Column("repository_id", String(80)),  # restic's, which says what the name meant
)
Index(
    "point_repositories_by_id", point_repositories.c.repository_id, point_repositories.c.repository
)

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("digest", String(80), primary_key=True),  # sha256 of the canonical JSON
    Column("content", LargeBinary, nullable=False),  # that JSON, deflated
)

component_snapshots = Table(
    "component_snapshots",
    metadata,
    Column("point", String(80), ForeignKey("points.id"), primary_key=True),
    Column("component", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("plan", String(40), nullable=False),
    Column("available_at", UtcTime, nullable=False),  # the point's, for the index
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("data_time", UtcTime),
    Column("snapshot", String(80)),
    Column("bytes", BigInteger, nullable=False),
    Column("added_bytes", BigInteger, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("error", Words),
    Column("facts", Json, nullable=False),
    Column("observations", Json, nullable=False),
    Column("fingerprint", String(80), ForeignKey("fingerprints.digest")),
    Column("remedy", Words),
)
Index(
    "snapshots_by_component",
    component_snapshots.c.plan,
    component_snapshots.c.component,
    component_snapshots.c.available_at,
)
Index("snapshots_by_fingerprint", component_snapshots.c.fingerprint)

evidence = Table(
    "evidence",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("run", String(8), nullable=False),
    Column("plan", String(40), nullable=False),
    Column("point", String(80)),
    Column("scenario", String(80), nullable=False),
    Column("result", String(16), nullable=False),
    Column("plan_digest", String(80), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("rpa_s", Float),
    Column("rta_s", Float),
    Column("judged", Boolean, nullable=False),
    Column("phases", Json, nullable=False),
    Column("not_rehearsed", Json, nullable=False),
    Column("target", Words),  # of a recovery; a drill has none
    Column("lost_at", UtcTime),
    Column("restored_bytes", BigInteger, nullable=False),
    Column("reason", Words),
    Column("coverage", Json),  # how much of the runbook was rehearsed; NULL: not counted
    Column("data_time", UtcTime),  # the point's, which outlives it
    Column("repository", String(40), nullable=False, server_default=""),  # held to it; "": to none
    Column("given_by", Json),  # the repositories that gave something; NULL: nobody noted it
    Column("unproven", Json),  # components that were not restored or not compared, each with why
    Column("fence", Json),  # what stood around the data's code; NULL: older, or nothing ran
    Column("remedy", Words),
    Column("signature", String(16)),  # how far the point's manifest is drd's; NULL: older
    Column("instant", Json),  # what an instant drill has read; NULL: it restored everything
)
Index("evidence_by_plan", evidence.c.plan, evidence.c.finished_at)
Index("evidence_by_point", evidence.c.point)

checks = Table(
    "checks",
    metadata,
    Column("evidence", String(80), ForeignKey("evidence.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Words, nullable=False),
    Column("component", String(40)),
    Column("verdict", String(16), nullable=False),
    Column("observed", Words, nullable=False),
    Column("expected", Words, nullable=False),
    Column("part", Boolean, nullable=False),
    Column("looked_at_data", Boolean, nullable=False),
    Column("bound", Boolean, nullable=False, server_default="0"),
    Column("figure", Words),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("plan", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", Words, nullable=False),
    Column("state", String(16), nullable=False),  # firing | acknowledged | resolved
    Column("since", UtcTime, nullable=False),
    Column("message", Words, nullable=False),
    Column("acknowledged_by", Words),
    Column("acknowledged_until", UtcTime),
    Column("acknowledged_why", Words),
    Column("acknowledged_actor", Json),
    Column("resolved_at", UtcTime),
    Column("severity", String(16), nullable=False, server_default="warning"),
    Column("seen_at", UtcTime),  # when the condition was last there
    Column("told_at", UtcTime),  # when somebody was last told
    Column("gone_at", UtcTime),  # since when the condition is not there; NULL: it is
    Column("command", Words, nullable=False, server_default=""),  # what to run next
    Column("code", String(40), nullable=False, server_default=""),  # of the finding that made it
)
Index(
    "alerts_open",
    alerts.c.plan,
    sqlite_where=alerts.c.resolved_at.is_(None),
)

repositories = Table(
    "repositories",
    metadata,
    Column("url", Text, primary_key=True),
    Column("repository_id", String(80)),
    Column("recorded_at", UtcTime),
    Column("last_self_backup_at", UtcTime),
    Column("config_digest", String(80)),  # of its `config`, which never changes: a cheap identity
)

plan_repositories = Table(
    "plan_repositories",
    metadata,
    # The repositories of the plan as it was loaded: what their names mean.
    Column("plan", String(40), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("url", Text, nullable=False),
    info=OF_A_PLAN,
)

# What manifests were when they were stored, or what the kit says that this host was made from.
seals = Table(
    "seals",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("point", String(80), primary_key=True),
    Column("digest", String(80), nullable=False),
    Column("manifests", Json, nullable=False),
    Column("snapshots", Json, nullable=False),
    info=OF_A_PLAN,
)

kit_bases = Table(
    "kit_bases",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("made_at", UtcTime, nullable=False),
    Column("listed", Boolean, nullable=False),
    info=OF_A_PLAN,
)

point_signatures = Table(
    "point_signatures",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("point", String(80), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("key", String(16), nullable=False),  # "": the manifest has no signature
    Column("signed", String(88), nullable=False),
    Column("public", String(44), nullable=False),  # the key that accepts it; "": none that is known
    info=OF_A_PLAN,
)

holds = Table(
    "holds",
    metadata,
    # Points that retention must keep. No foreign key to points or plans: a hold outlives a rebuild,
    # and `drd plan forget`.
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("point", String(80), nullable=False),
    Column("plan", String(40), nullable=False),
    Column("reason", Words, nullable=False),
    Column("held_at", UtcTime, nullable=False),
    Column("until", UtcTime),  # NULL: until it is released
    Column("actor", Json),
    Column("released_at", UtcTime),
    Column("released_reason", Words),
    Column("released_actor", Json),
)
Index("holds_by_plan", holds.c.plan, holds.c.released_at)

given_up = Table(
    "points_given_up",
    metadata,
    # Points that somebody gave up by name: damaged ones, and ones that others removed.
    Column("point", String(80), primary_key=True),
    Column("repository", String(40), primary_key=True),  # "": everywhere
    Column("plan", String(40), nullable=False),
    Column("reason", Words, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", Json),
    info=OF_A_PLAN,
)

# What `drd status` reads. Each row is written in the transaction that changes what it sums up.

missed_intervals = Table(
    "missed_intervals",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("started_at", UtcTime, primary_key=True),
    Column("ended_at", UtcTime, nullable=False),
    info=OF_A_PLAN,
)
