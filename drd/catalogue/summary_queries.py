"""The queries of `drd status`: the same on SQLite and PostgreSQL, and few statements whatever the
number of runs. `OF(COLUMN)` marks the column that must equal the name of the requested plan."""

from __future__ import annotations

_DRILL = "id, {0}.run, {0}.point, {0}.finished_at, {0}.result, {0}.plan_digest, {0}.rta_s, \
{0}.rpa_s, {0}.judged, {0}.restored_bytes, {0}.reason, {0}.coverage, {0}.scenario, \
{0}.data_time, {0}.repository, {0}.unproven"

PLANS = f"""
SELECT p.name, p.owner, p.rpo_s, p.rto_s, p.window_s, p.digest, p.first_loaded_at, p.loaded_at,
  p.interval_s, p.cron, p.backup_timeout_s, p.drill_every_s,
  p.file, p.file_mtime_ns, p.file_size, p.file_digest, p.load_error,
  n.id, n.data_time, n.available_at, n.bytes,
  i.id, i.data_time,
  s.complete_points, s.backup_p95_s,
  s.failure_tries, f.id, f.finished_at, f.error, f.state, f.error_code,
  d.{_DRILL.format("d")},
  e.{_DRILL.format("e")},
  s.vanished_points, v.data_time, v.available_at, s.vanished_at,
  p.extensions
FROM plans p
  LEFT JOIN plan_summary s ON s.plan = p.name
  LEFT JOIN points n ON n.id = s.newest_point
  LEFT JOIN points i ON i.id = s.incomplete_point
  LEFT JOIN runs f ON f.id = s.failed_run
  LEFT JOIN evidence d ON d.id = s.last_drill
  LEFT JOIN evidence e ON e.id = s.last_passed_drill
  LEFT JOIN points v ON v.id = s.vanished_point
WHERE OF(p.name)
"""  # noqa: S608 - no value is pasted in
COMPONENTS = """
SELECT plan, component, kind, data_time, bytes, error FROM component_summary
WHERE OF(plan) ORDER BY plan, position
"""
# A CROSS JOIN, whose order SQLite's planner keeps; else it walks through every snapshot.
FAILED_COMPONENTS = """
SELECT c.plan, c.component, c.error
FROM plan_summary s CROSS JOIN component_snapshots c
WHERE c.point = s.incomplete_point AND c.state = 'failed'
  AND OF(s.plan)
ORDER BY c.plan, c.position
"""
MISSED = """
SELECT plan, started_at, ended_at FROM missed_intervals
WHERE OF(plan) ORDER BY plan, started_at
"""
ALERTS = """
SELECT plan, id, kind, state, since, message, severity, command,
  acknowledged_by, acknowledged_until, subject, code
FROM alerts
WHERE resolved_at IS NULL AND gone_at IS NULL AND (OF(plan) OR plan = '')
ORDER BY plan, CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, since, id
"""
# Not by OF: few runs are open, and SQLite's planner would look through all those of the plan.
RUNNING = """
SELECT plan, id, kind, started_at FROM runs
WHERE finished_at IS NULL AND started_at IS NOT NULL
  AND (CAST(:plan AS TEXT) IS NULL OR plan = :plan) ORDER BY plan, started_at, id
"""
COPIES = """
SELECT plan, repository, copy_of, data_time, available_at, pause_s FROM copies
WHERE OF(plan) ORDER BY plan, position
"""
REPOSITORIES = """
SELECT r.plan, r.repository, r.copy_of, n.id, n.data_time, n.available_at, n.bytes,
  g.id, g.data_time, g.available_at, g.bytes, r.lost, r.lost_since, r.lost_says,
  r.unreachable, r.unreachable_since, r.damage, r.damaged_since, r.missing, r.missing_since,
  k.repository_id IS NOT NULL
FROM repository_health r
  LEFT JOIN repositories k ON k.url = r.url
  LEFT JOIN points n ON n.id = r.newest_point
  LEFT JOIN points g ON g.id = r.sound_point
WHERE OF(r.plan) ORDER BY r.plan, r.position, r.repository
"""
OUTAGES = """
SELECT plan, started_at, ended_at FROM outages
WHERE OF(plan) ORDER BY plan, started_at
"""
# Of what the plan does not want only a failure counts.
SCENARIOS = f"""
SELECT s.plan, s.scenario, w.position, s.repository,
  d.{_DRILL.format("d")},
  e.{_DRILL.format("e")},
  CASE WHEN d.plan_digest <> p.digest THEN p.extensions END,
  CASE WHEN d.plan_digest <> p.digest AND p.extensions IS NOT NULL
    THEN (SELECT r.detail FROM runs r WHERE r.id = d.run) END
FROM scenario_summary s
  LEFT JOIN plans p ON p.name = s.plan
  LEFT JOIN scenario_summary w ON w.plan = s.plan AND w.scenario = s.scenario AND w.repository = ''
  LEFT JOIN evidence d ON d.id = s.last
  LEFT JOIN evidence e ON e.id = s.passed
WHERE OF(s.plan) AND (w.position IS NOT NULL OR d.result = 'failed')
  AND (s.repository = '' OR s.repository IN (
    SELECT r.repository FROM repository_health r WHERE r.plan = s.plan))
ORDER BY s.plan, CASE WHEN w.position IS NULL THEN 1 ELSE 0 END, w.position, s.scenario,
  s.repository
"""  # noqa: S608 - no value is pasted in
UNREADY = """
SELECT plan, last_finished_at, last_error, withheld FROM jobs
WHERE kind = 'readiness' AND last_state = 'failed' AND last_finished_at IS NOT NULL
  AND OF(plan)
"""
RETENTION = """
SELECT plan, paused_since, pauses, waiting FROM retention_state
WHERE (paused_since IS NOT NULL OR waiting <> '[]') AND OF(plan)
"""
HOLDS = """
SELECT plan, point, reason, until, actor FROM holds
WHERE released_at IS NULL AND OF(plan) ORDER BY plan, id
"""
DAEMON = """
SELECT key, at, value FROM daemon_state WHERE key IN ('heartbeat', 'refused')
"""
VERSION = "SELECT version_num FROM alembic_version"
