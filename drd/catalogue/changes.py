"""The triggers that count which plans' status may have changed. By these counts, drd updates the
summary of the status, whichever process or code wrote the rows. A migration that makes a table anew
drops its triggers, and has to call `statements` again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

WATCHED = {
    "plans": "name",
    "plan_summary": "plan",
    "component_summary": "plan",
    "component_snapshots": "plan",
    "points": "plan",
    "evidence": "plan",
    "runs": "plan",
    "missed_intervals": "plan",
    "alerts": "plan",
    "copies": "plan",
    "repository_health": "plan",
    "outages": "plan",
    "scenario_summary": "plan",
    "holds": "plan",
    "retention_state": "plan",
    "jobs": "plan",
}
"""The tables that `drd status` reads, each with the column for the plan's name."""

_OF_DRD = {"daemon_state": "key IN ('heartbeat', 'refused')"}
"""Tables of which some rows are about drd itself."""

_INCIDENTS = {"incidents": "number > 0"}
"""The same, since version 0013."""

_OPERATIONS = ("INSERT", "UPDATE", "DELETE")
TRIGGERS = (len(WATCHED) + len(_OF_DRD) + len(_INCIDENTS)) * len(_OPERATIONS)
"""How many triggers must exist. If there are fewer, changes were not counted."""
_NEXT = "(SELECT coalesce(max(seq), 0) + 1 FROM plan_changes)"


def statements(dialect: str) -> Iterator[str]:
    """Return the statements that replace the triggers from before version 0013, in `sqlite` or
    `postgresql`."""
    return _statements(dialect, WATCHED, _OF_DRD)


def statements_of_incidents(dialect: str) -> Iterator[str]:
    """The same for the table of incidents."""
    return _statements(dialect, {}, _INCIDENTS)


def _statements(
    dialect: str, watched: Mapping[str, str], of_drd: Mapping[str, str]
) -> Iterator[str]:
    make = _postgresql if dialect == "postgresql" else _sqlite
    return make(watched, of_drd)


def _sqlite(watched: Mapping[str, str], of_drd: Mapping[str, str]) -> Iterator[str]:
    for table, operation, row in _each((*watched, *of_drd)):
        name = f"plan_changed_{table}_{operation.lower()}"
        plan = f"{row}.{watched[table]}" if table in watched else "''"
        when = f" WHEN {row}.{of_drd[table]}" if table in of_drd else ""
        yield f"DROP TRIGGER IF EXISTS {name}"
        note = f"INSERT INTO plan_changes (plan, seq) VALUES ({plan}, {_NEXT})"  # noqa: S608 - names of ours
        note = f"{note} ON CONFLICT (plan) DO UPDATE SET seq = excluded.seq"
        yield f"CREATE TRIGGER {name} AFTER {operation} ON {table}{when} BEGIN {note}; END"


def _postgresql(watched: Mapping[str, str], of_drd: Mapping[str, str]) -> Iterator[str]:
    yield f"""CREATE OR REPLACE FUNCTION drd_plan_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO plan_changes (plan, seq)
    VALUES (coalesce(to_jsonb(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END) ->> TG_ARGV[0], ''),
      {_NEXT})
    ON CONFLICT (plan) DO UPDATE SET seq = excluded.seq;
  RETURN NULL;
END $$"""  # noqa: S608 - no value is pasted in
    for table, operation, row in _each((*watched, *of_drd)):
        name = f"plan_changed_{table}_{operation.lower()}"
        when = f" WHEN ({row}.{of_drd[table]})" if table in of_drd else ""
        yield f"DROP TRIGGER IF EXISTS {name} ON {table}"
        yield (
            f"CREATE TRIGGER {name} AFTER {operation} ON {table} FOR EACH ROW{when} "
            f"EXECUTE FUNCTION drd_plan_changed('{watched.get(table, '')}')"
        )


def _each(tables: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for table in tables:
        for operation in _OPERATIONS:
            yield table, operation, "OLD" if operation == "DELETE" else "NEW"
