"""The tables that sum up for `drd status`: a row for each plan, repository, scenario and component.
Every writer updates them.

They are in the same metadata as `tables`, to which the migrations lead.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from drd.catalogue.columns import OF_A_PLAN, Json, UtcTime, Words, metadata

plan_summary = Table(
    "plan_summary",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("newest_point", String(80)),
    Column("incomplete_point", String(80)),
    Column("complete_points", Integer),
    Column("backup_p95_s", Float),
    Column("failure_tries", Integer),
    Column("failed_run", String(8)),
    Column("last_drill", String(80)),
    Column("last_passed_drill", String(80)),
    Column("vanished_points", Integer),
    Column("vanished_point", String(80)),  # of those the complete one with the latest data time
    Column("vanished_at", UtcTime),
    Column("unreadable_since", UtcTime),  # as the model has it; NULL: the newest can be read
    Column("outage_from", UtcTime),  # from when on that broke the objective
    info=OF_A_PLAN,
)

# A row for each repository of the plan as loaded, the one with the backups first.
repository_health = Table(
    "repository_health",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("repository", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("copy_of", String(40)),
    Column("url", Text, nullable=False),
    Column("opened_with", String(16)),  # NULL: loaded by a version that did not write it
    Column("newest_point", String(80)),  # the newest complete one that it holds
    Column("sound_point", String(80)),  # … of those that need nothing of what is damaged
    Column("lost", String(16)),  # gone | emptied | replaced | shut; NULL: it is there
    Column("lost_since", UtcTime),
    Column("lost_says", Words),
    Column("unreachable", Words),  # why nobody answers; NULL: somebody does
    Column("unreachable_since", UtcTime),
    Column("damage", Words),  # what the last reading found; NULL: nothing
    Column("repair", String(16)),  # what of it restic mends: index | packs | none
    Column("damaged_since", UtcTime),
    Column("damage_read_at", UtcTime),  # what was stored since may build on it
    Column("damaged_points", Json),  # those that it costs; NULL: nobody can tell, so all
    Column("missing", Json),  # points of which others removed snapshots, with these; NULL: none
    Column("missing_since", UtcTime),
    info=OF_A_PLAN,
)
Index("repository_health_by_url", repository_health.c.url)

# Outages that are over (`outages`). One that lasts is computed by the reader.
outages = Table(
    "outages",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("started_at", UtcTime, primary_key=True),
    Column("ended_at", UtcTime, nullable=False),
    info=OF_A_PLAN,
)

# Which drill of a scenario counts, by `model.scenarios.standing`.
scenario_summary = Table(
    "scenario_summary",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("scenario", String(80), primary_key=True),
    Column("repository", String(40), primary_key=True),  # that drills were held to; "": to none
    Column("position", Integer),  # in the plan; NULL: it does not want it
    Column("last", String(80)),
    Column("passed", String(80)),
    info=OF_A_PLAN,
)

component_summary = Table(
    "component_summary",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("component", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("rpo_s", Float),  # its own; null if it is the plan's
    Column("data_time", UtcTime),
    Column("bytes", BigInteger),
    Column("error", Words),
    info=OF_A_PLAN,
)
