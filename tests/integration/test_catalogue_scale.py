"""Nothing that happens often costs more the longer drd has been running."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from drd.catalogue import summary
from drd.catalogue.sql_catalogue import open_catalogue
from drd.model.run import RunKind, RunState
from tests.catalogue_support import at, captured, evidence, failed, fingerprint, plan, point

HISTORY = re.compile(
    r"SCAN (runs|steps|points|component_snapshots|fingerprints|evidence|checks|c|n|i|f|d|e)\b"
    r"|SEARCH (runs|n) USING INDEX runs_by_plan \(plan=\?\)$"
    r"|SEARCH n USING INDEX runs_by_plan"
)


def test_no_query_of_a_backup_a_drill_or_status_walks_through_the_history(tmp_path: Path) -> None:
    """By SQLite's own account of how it will find the rows."""
    url = f"sqlite:///{tmp_path}/state/drd.db"
    catalogue = open_catalogue(url, create=True)
    asked: list[tuple[str, Any]] = []

    @event.listens_for(catalogue.database.engine, "before_cursor_execute")
    def _asked(_c: Any, _cursor: Any, sql: str, values: Any, _x: Any, many: bool) -> None:
        if not many and sql.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "DELETE"):
            asked.append((sql, values))

    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    backup = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
    catalogue.steps.begin(backup, "capture", "capture", at(0))
    for name in ("p1", "p2", "p2"):
        seen = [captured(seen=fingerprint(a=len(asked))), failed()]
        catalogue.points.record(point(name, at(1), components=seen), owned=backup)
    catalogue.points.component_sizes("orders-api", "orders-db")
    catalogue.runs.finish(backup, RunState.SUCCEEDED, at=at(2))
    drill = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(3))
    catalogue.evidence.record(drill, evidence())
    catalogue.runs.finish(drill, RunState.SUCCEEDED, at=at(4))
    catalogue.runs.abandoned()
    catalogue.runs.abandoned("orders-api")
    catalogue.points.of_plan("orders-api", fingerprints=True)
    catalogue.points.forget(["p1"], at(5))
    catalogue.runs.get(drill.run.id)
    catalogue.evidence.newest("orders-api")
    for name in (None, "orders-api"):
        with catalogue.database.read() as connection:

            def query(sql: str, name: str | None, connection: Any = connection) -> list[Any]:
                asked.append((sql, {"plan": name}))
                return list(connection.execute(text(sql), {"plan": name} if ":plan" in sql else {}))

            assert len(summary.assemble(query, url, name).plans) == 1

    with catalogue.database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        for sql, values in asked:
            how = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert not [step for step in how if HISTORY.match(step)], sql
    catalogue.close()


def test_status_of_many_plans_asks_as_often_as_of_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state/drd.db"
    catalogue = open_catalogue(url, create=True)
    counts = []
    for number in range(4):
        catalogue.plans.load(plan(f"plan-{number}"), file_digest="f", at=at(0))
        asked: list[str] = []

        def query(sql: str, _plan: str | None, seen: list[str] = asked) -> list[Any]:
            seen.append(sql)
            with catalogue.database.read() as connection:
                return list(
                    connection.exec_driver_sql(sql, {"plan": None} if ":plan" in sql else ())
                )

        assert len(summary.assemble(query, url).plans) == number + 1
        counts.append(len(asked))
    catalogue.close()

    assert counts[0] > 0
    assert counts == counts[:1] * 4
