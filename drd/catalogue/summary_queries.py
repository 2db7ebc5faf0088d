"""The queries of `drd status`: the same on SQLite and PostgreSQL, and few statements whatever the
number of runs. `OF(COLUMN)` marks the column that must equal the name of the requested plan."""

from __future__ import annotations

from drd.model.check_words import RESTORES

_DRILL = "id, {0}.run, {0}.point, {0}.finished_at, {0}.result, {0}.plan_digest, {0}.rta_s, \
{0}.rpa_s, {0}.judged, {0}.restored_bytes, {0}.reason, {0}.coverage, {0}.scenario, \
{0}.data_time, {0}.repository, {0}.unproven"

_OTHER = "d.plan_digest NOT IN (p.digest, COALESCE(p.proof, ''), COALESCE(p.former, ''))"
"""That a drill proved something else than the plan as loaded."""

_COPY = (
    "(SELECT max(c.facts) FROM component_snapshots c WHERE c.point = {0} AND c.state = 'captured')"
)
"""Facts of a component, which name another tool's copy."""

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
  p.extensions, p.proof, p.former, p.load_error_at,
  b.id, b.started_at, b.finished_at,
  (SELECT sum(c.added_bytes) FROM component_snapshots c WHERE c.point = n.id), v.id,
  {_COPY.format("v.id")},
  CASE WHEN s.last_drill IS NULL THEN (SELECT q.proven_by FROM points q
    WHERE q.plan = p.name AND q.proven_by IS NOT NULL AND q.forgotten_at IS NULL
    ORDER BY q.data_time DESC LIMIT 1) END,
  p.description, n.consistency, i.consistency, p.drill_full_every_s, p.point_rpo_s
FROM plans p
  LEFT JOIN plan_summary s ON s.plan = p.name
  LEFT JOIN points n ON n.id = s.newest_point
  LEFT JOIN runs b ON b.id = n.id AND b.plan = p.name
  LEFT JOIN points i ON i.id = s.incomplete_point
  LEFT JOIN runs f ON f.id = s.failed_run
  LEFT JOIN evidence d ON d.id = s.last_drill
  LEFT JOIN evidence e ON e.id = s.last_passed_drill
  LEFT JOIN points v ON v.id = s.vanished_point
WHERE OF(p.name)
"""  # noqa: S608 - no value is pasted in
COMPONENTS = """
SELECT plan, component, kind, data_time, bytes, error,
  (SELECT value FROM daemon_state WHERE key = 'log:' || plan || ':' || component), rpo_s
FROM component_summary
WHERE OF(plan) ORDER BY plan, position
"""
# A CROSS JOIN, whose order SQLite's planner keeps; else it walks through every snapshot.
FAILED_COMPONENTS = """
SELECT c.plan, c.component, c.error
FROM plan_summary s CROSS JOIN component_snapshots c
WHERE c.point = s.incomplete_point AND c.error IS NOT NULL
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
SELECT plan, id, kind, started_at, owner_pid, owner_start, owner_host, owner_boot FROM runs
WHERE finished_at IS NULL AND started_at IS NOT NULL
  AND (state <> 'waiting' OR owner_pid IS NOT NULL)
  AND (CAST(:plan AS TEXT) IS NULL OR plan = :plan) ORDER BY plan, started_at, id
"""
# The plans that changed after `since`. The facts of one with a run change without a change of the
# catalogue, when the process of its run dies.
CHANGED = """
SELECT plan FROM plan_changes WHERE seq > {since}
UNION SELECT plan FROM runs WHERE finished_at IS NULL AND kind IN ('backup', 'recovery')
"""
# The newest recovery over production of each plan that was not taken back, if it stopped before its
# end: an undo of a later one brings back what it left. One with `into` replaces nothing. One
# without a process waits for another one; it has no start of a process if a person reopened it. One
# that failed has evidence if its checks judged it, with its time only if it came to its end: failed
# checks hold back the steps behind them. Without evidence an error ended it, perhaps one of drd
# itself in the middle of the checks. The process of one that has an owner may still work:
# `summary_rows.unfinished` checks that. `_` stands for a colon, which would begin the name of a
# parameter. With COALESCE SQLite takes the index that has the kind, not the one that reads all runs
# of a plan by their start.
UNFINISHED = """
SELECT r.plan, r.id, COALESCE(r.finished_at, r.taken_over_at, r.started_at), r.state, r.detail,
  r.owner_pid, r.owner_start, r.owner_host, r.owner_boot, s.kind, s.subject, s.state, s.result,
  s.name, s.error
FROM plans p CROSS JOIN runs r JOIN steps s ON s.run = r.id
WHERE OF(p.name) AND r.id = (
    SELECT n.id FROM runs n
    WHERE n.plan = p.name AND n.kind = 'recovery' AND COALESCE(n.started_at, '') <> ''
      AND (n.detail LIKE '%"target"_"in-place"%' OR n.detail LIKE '%"in_place"_true%')
      AND n.detail NOT LIKE '%"into"_"%'
      AND COALESCE((SELECT d.action FROM decisions d WHERE d.run = n.id AND d.step = ''
        ORDER BY d.id DESC LIMIT 1), '') NOT IN ('undo', 'rollback')
    ORDER BY COALESCE(n.started_at, '') DESC, n.id LIMIT 1)
  AND (r.state IN ('failed', 'cancelled', 'interrupted')
    OR (r.state IN ('running', 'waiting') AND r.owner_pid IS NOT NULL)
    OR (r.state = 'waiting' AND r.taken_over_at IS NOT NULL))
  AND (s.kind IN ('restore', 'stop', 'start', 'command', 'aside') OR s.state = 'failed')
  AND (r.state <> 'failed'
    OR EXISTS (SELECT 1 FROM steps f
      WHERE f.run = r.id AND f.state = 'failed' AND f.kind <> 'check')
    OR NOT EXISTS (SELECT 1 FROM evidence e
      WHERE e.plan = r.plan AND e.finished_at >= COALESCE(r.taken_over_at, r.started_at)
        AND e.run = r.id AND e.rta_s IS NOT NULL))
  AND COALESCE((SELECT d.action FROM decisions d WHERE d.run = r.id AND d.step = ''
    ORDER BY d.id DESC LIMIT 1), '') <> 'done'
ORDER BY r.plan, s.position
"""
# The components that the newest point has as a recovery over production had restored them, which an
# undo took back later; with the newest point without such data. `flows.state.restored_points` has
# the same rule. CROSS JOINs, whose order SQLite's planner keeps.
_UNDONE = """{0}r.plan = {1}.plan AND {0}r.kind = 'recovery'
  AND ({0}r.detail LIKE '%"target"_"in-place"%' OR {0}r.detail LIKE '%"in_place"_true%')
  AND {0}d.run = {0}r.id AND {0}d.action = 'undo'
  AND {0}d.id = (SELECT max(x.id) FROM decisions x
    WHERE x.run = {0}r.id AND x.step = '' AND x.action IN ('undo', 'redo'))
  AND {0}t.run = {0}r.id AND {0}t.kind = 'restore'
  AND {0}c.point = {1}.id AND {0}c.component = {0}t.subject
  AND {0}c.data_time >= {0}t.started_at AND {0}c.data_time <= {0}d.at
  AND NOT EXISTS (SELECT 1 FROM steps a WHERE a.run = {0}r.id AND a.name = 'set aside'
    AND a.result LIKE '%"former"_true%')"""
_MIXED = "COALESCE({0}.made_during, '') LIKE '%\"whole\"_false%'"
"""That the point was made while a recovery had restored only a part of the service."""

_STANDING = f"""g.id = (SELECT m.id FROM points m
    WHERE m.plan = n.plan AND m.complete AND m.here AND m.forgotten_at IS NULL
      AND m.data_time < n.data_time AND NOT ({_MIXED.format("m")})
      AND NOT EXISTS (SELECT 1 FROM runs ur CROSS JOIN decisions ud CROSS JOIN steps ut
          CROSS JOIN component_snapshots uc
        WHERE {_UNDONE.format("u", "m")})
    ORDER BY m.data_time DESC LIMIT 1)"""  # noqa: S608 - no value is pasted in
# The second part: the newest point was made during a recovery. It has no run, and the JSON of it in
# place of a component.
UNDONE = f"""
SELECT n.plan, r.id, d.at, t.subject, g.id, g.data_time, g.available_at, g.bytes, t.position
FROM plan_summary s CROSS JOIN points n CROSS JOIN runs r CROSS JOIN decisions d
  CROSS JOIN steps t CROSS JOIN component_snapshots c CROSS JOIN points g
WHERE OF(s.plan) AND n.id = s.newest_point AND {_UNDONE.format("", "n")} AND {_STANDING}
UNION ALL
SELECT n.plan, NULL, n.available_at, n.made_during, g.id, g.data_time, g.available_at, g.bytes, 0
FROM plan_summary s CROSS JOIN points n CROSS JOIN points g
WHERE OF(s.plan) AND n.id = s.newest_point AND {_MIXED.format("n")} AND {_STANDING}
ORDER BY 1, 3, 9
"""  # noqa: S608 - no value is pasted in
# The drill that could not restore the newest point; `drd.catalogue.unrestorable` has the same rule.
UNRESTORABLE = f"""
SELECT s.plan, e.point, e.run, e.finished_at, {_COPY.format("e.point")}
FROM plan_summary s CROSS JOIN evidence e
WHERE OF(s.plan) AND e.point = s.newest_point AND e.plan = s.plan
  AND e.target IS NULL AND e.result = 'failed'
  AND EXISTS (SELECT 1 FROM checks c WHERE c.evidence = e.id AND c.verdict = 'failed'
    AND c.expected = '{RESTORES}' AND c.looked_at_data)
  AND NOT EXISTS (SELECT 1 FROM evidence l
    WHERE l.point = e.point AND l.plan = e.plan AND l.target IS NULL
      AND (l.result = 'passed' OR l.rta_s IS NOT NULL) AND l.finished_at > e.finished_at)
ORDER BY s.plan, e.finished_at
"""  # noqa: S608 - a constant is pasted in
COPIES = """
SELECT plan, repository, copy_of, data_time, available_at, pause_s, added_at FROM copies
WHERE OF(plan) ORDER BY plan, position
"""
LOG_COPIES = """
SELECT s.plan, copies.repository, s.component, d.value
FROM copies
  JOIN component_summary s ON s.plan = copies.plan
  JOIN daemon_state d
    ON d.key = 'log-copy:' || s.plan || ':' || copies.repository || ':' || s.component
WHERE OF(copies.plan) ORDER BY copies.plan, s.position
"""
REPOSITORIES = """
SELECT r.plan, r.repository, r.copy_of, n.id, n.data_time, n.available_at, n.bytes,
  g.id, g.data_time, g.available_at, g.bytes, r.lost, r.lost_since, r.lost_says,
  r.unreachable, r.unreachable_since, r.damage, r.damaged_since, r.missing, r.missing_since,
  k.repository_id IS NOT NULL,
  EXISTS (SELECT 1 FROM repository_health o JOIN repositories j ON j.url = o.url
    WHERE o.plan = r.plan AND o.repository = r.copy_of AND j.repository_id = k.repository_id),
  n.consistency, g.consistency
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
  CASE WHEN {_OTHER} THEN p.extensions END,
  CASE WHEN {_OTHER} AND p.extensions IS NOT NULL
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
FAILED_CHECKS = """
SELECT c.evidence, c.name, c.observed, c.expected
FROM (
  SELECT plan, last_drill AS drill FROM plan_summary WHERE OF(plan)
  UNION SELECT plan, last FROM scenario_summary WHERE OF(plan)
) s CROSS JOIN evidence e CROSS JOIN checks c
WHERE e.id = s.drill AND e.result = 'failed' AND c.evidence = e.id AND c.verdict = 'failed'
ORDER BY c.evidence, c.position
"""
UNREADY = """
SELECT j.plan, j.last_finished_at, j.last_error, j.withheld, r.plan_digest
FROM jobs j LEFT JOIN runs r ON r.id = j.last_run
WHERE j.kind = 'readiness' AND j.last_state = 'failed' AND j.last_finished_at IS NOT NULL
  AND OF(j.plan)
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
SELECT key, at, value FROM daemon_state
WHERE key IN ('heartbeat', 'refused', 'incident-entries', 'records-check', 'custody')
"""
# With the time of the first entry after the one that `:plan` names, which a repository has.
# The one that is most overdue comes first. Every member of the group may report
# suspicions: many of them hide no incident, and stay bounded.
INCIDENTS = """
SELECT number, substr(title, 1, 200), state, severity, restricted, opened_at, next_at, plans,
  (SELECT min(at) FROM records
   WHERE subject = 'incident:' || number AND seq > CAST(:plan AS INTEGER))
FROM incidents WHERE closed_at IS NULL
ORDER BY CASE WHEN state = 'reported' THEN 1 ELSE 0 END,
  CASE WHEN next_at IS NULL THEN 1 ELSE 0 END, next_at, number LIMIT 100
"""
VERSION = "SELECT version_num FROM alembic_version"
