"""The tables of the daemon: when which job ran, which messages are to be sent, and that the daemon
lives.

They are in the same metadata as `tables`, to which the migrations lead.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

from drd.catalogue.columns import OF_A_PLAN, Json, UtcTime, Words, metadata

jobs = Table(
    "jobs",
    metadata,
    # One row for each plan, kind of run and subject (the repository of a copy, verification or
    # prune, else ""): the history that the next start is worked out from.
    Column("plan", String(40), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("subject", String(40), primary_key=True),
    Column("changed", BigInteger, nullable=False),  # counts up with each change of any row
    Column("last_run", String(8)),
    Column("last_started_at", UtcTime),
    Column("last_finished_at", UtcTime),
    Column("last_success_at", UtcTime),
    Column("last_state", String(16)),
    Column("last_error", Words),
    Column("last_error_code", String(40)),
    Column("withheld", Json),  # of a look ahead: what withholds `ready`; NULL: it failed
    Column("tries", Integer, nullable=False),  # failures since the last success
    Column("permanent", Boolean, nullable=False),  # the last failure is not helped by a retry
    Column("last_duration_s", Float),
    Column("last_bytes", BigInteger),
    Column("p95_s", Float),
    info=OF_A_PLAN,
)
Index("jobs_by_change", jobs.c.changed)

outbox = Table(
    "outbox",
    metadata,
    # Messages that are on their way. A delivered one stays for the history until it is pruned.
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("channel", String(80), nullable=False),
    Column("event", String(32), nullable=False),
    Column("plan", String(40), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("body", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("next_try_at", UtcTime),  # NULL: delivered or given up
    Column("tries", Integer, nullable=False),
    Column("delivered_at", UtcTime),
    Column("given_up_at", UtcTime),
    Column("error", Words),
)
Index(
    "outbox_waiting",
    outbox.c.next_try_at,
    sqlite_where=outbox.c.next_try_at.is_not(None),
)

channels = Table(
    "channels",
    metadata,
    # The state of each channel of drd.yaml.
    Column("name", String(80), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("last_tried_at", UtcTime),
    Column("last_delivered_at", UtcTime),
    Column("failing_since", UtcTime),
    Column("tries", Integer, nullable=False),  # failed tries since the last delivery
    Column("error", Words),
    Column("remedy", Words),
)

copies = Table(
    "copies",
    metadata,
    # The newest complete point that each second repository holds, for its exposure.
    Column("plan", String(40), primary_key=True),
    Column("repository", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("copy_of", String(40), nullable=False),
    Column("point", String(80)),
    Column("data_time", UtcTime),
    Column("available_at", UtcTime),
    Column("pause_s", Float),  # what the plan lets pass between two copies; NULL: they follow
    Column("added_at", UtcTime),  # since when the plan has it; NULL: before drd stored that
    info=OF_A_PLAN,
)

verifications = Table(
    "verifications",
    metadata,
    # How far the rotating reading of a repository's data has come.
    Column("plan", String(40), primary_key=True),
    Column("repository", String(40), primary_key=True),
    Column("parts", Integer, nullable=False),
    Column("next_part", Integer, nullable=False),  # 1 to `parts`
    Column("cycle_started_at", UtcTime, nullable=False),
    Column("last_part_at", UtcTime),
    Column("last_complete_at", UtcTime),  # the end of the last cycle that read everything
    Column("error", Words),  # what the last reading found; NULL: nothing
    info=OF_A_PLAN,
)

daemon_state = Table(
    "daemon_state",
    metadata,
    # Small facts that outlive the process: `heartbeat`, `started`, `jumped` …
    Column("key", String(40), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("value", Json, nullable=False),
)

plan_changes = Table(
    "plan_changes",
    metadata,
    # For which plans the status may have changed, and when: triggers count every change of a row
    # that `status` reads (`changes`). "" stands for drd itself.
    Column("plan", String(40), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
Index("plan_changes_by_seq", plan_changes.c.seq)

sources = Table(
    "plan_sources",
    metadata,
    # The text of each plan as it was last accepted. Runs use it until a changed file is accepted.
    Column("plan", String(40), primary_key=True),
    Column("text", Text, nullable=False),
    info=OF_A_PLAN,
)

plan_versions = Table(
    "plan_versions",
    metadata,
    # The meaning of each former text of a plan, by its hash: for `drd plan history`. That of the
    # text in force is in the table of plans.
    Column("plan", String(40), primary_key=True),
    Column("digest", String(80), primary_key=True),
    Column("loaded_at", UtcTime, nullable=False),
    Column("resolved", Json, nullable=False),
    info=OF_A_PLAN,
)

retention_state = Table(
    "retention_state",
    metadata,
    # How the last retention of each plan went, for `status` and for the next retention.
    Column("plan", String(40), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("run", String(8), nullable=False),
    Column("paused_since", UtcTime),  # NULL: it is not paused
    Column("pauses", Json, nullable=False),
    Column("succeeded_at", UtcTime),  # when the last one that succeeded looked
    Column("waiting", Json, nullable=False),  # points over a run's limit
    Column("missing", Json, nullable=False),  # by repository: points whose snapshots others removed
    Column("leaving", Json, nullable=False),  # points that drd itself is just forgetting
    info=OF_A_PLAN,
)
