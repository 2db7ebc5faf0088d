"""What `drd status` knows about each plan, read from the summary rows and nothing else.

It uses the standard library alone: on SQLite neither SQLAlchemy nor anything heavy is imported, and
the few queries cost the same however many runs there were. PostgreSQL answers the same queries.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from drd.catalogue import summary_queries as queries
from drd.catalogue import summary_rows as rows
from drd.catalogue.reading import STUMBLES, require_file, sqlite_file
from drd.catalogue.version import HEAD
from drd.model.drd_facts import (
    RECORDS_CHECK,
    SIGN_OF_LIFE,
    STORED_ENTRIES,
    daemon_facts,
    records_damage,
)
from drd.model.facts import PlanFacts, StatusFacts
from drd.model.repositories import newest_ever
from drd.model.state_place import CUSTODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any, TypeAlias, TypeVar

    from drd.model.facts import AlertFacts, RunningFacts
    from drd.model.plan import SecretRef

    _T = TypeVar("_T")


Query: TypeAlias = "Callable[[str, str | None], Iterable[Sequence[Any]]]"
"""Runs one of `summary_queries`. `:plan` is bound to a plan's name, or to NULL for all plans."""

_OF = "OF("
"""Marks in the queries the column that must equal the name of the requested plan, if one is
requested. It becomes a part of the statement, for which there is an index."""

_CHANGED = f"{{}} IN ({queries.CHANGED.format(since='CAST(:plan AS INTEGER)')})"
_WORDED: dict[tuple[str, str], str] = {}
"""The statements after these marks were replaced."""


def read_facts(
    url: str, plan: str | None = None, password: SecretRef | None = None
) -> list[PlanFacts]:
    """The facts of every loaded plan, or of one, by name. Otherwise as `read_status`."""
    return list(read_status(url, plan, password).plans)


def read_status(
    url: str, plan: str | None = None, password: SecretRef | None = None
) -> StatusFacts:
    """Return the facts of every loaded plan, or of the named plan, and drd's own alerts. Writes
    nothing. `password` says where the password of the PostgreSQL user is read from. Raises
    CatalogueError when there is no catalogue, it may not be read, or it is damaged.
    """
    if url.startswith("sqlite:"):
        return asking_sqlite(url, lambda query, place: assemble(query, place, plan))
    return read_through_sqlalchemy(url, plan, password)


def read_through_sqlalchemy(
    url: str, plan: str | None = None, password: SecretRef | None = None
) -> StatusFacts:
    """`read_status` for a catalogue in PostgreSQL. It also works on SQLite, so that one test can
    compare the answers of both readers."""
    from drd.catalogue.summary_sql import asking

    with asking(url, password) as (query, place):
        return assemble(query, place, plan)


def assemble(
    ask: Query, place: str, plan: str | None = None, *, since: int | None = None
) -> StatusFacts:
    """Run the queries about one plan or all, or about the plans that changed after `since`, within
    one transaction of the caller, and combine the answers."""
    query = _about(ask, plan, since)
    check_version(ask, place)
    alerts = rows.by_plan(query(queries.ALERTS), rows.alert)
    running = rows.by_plan(ask(queries.RUNNING, plan), rows.running)
    facts = _plans(query, alerts, running)
    own = tuple(alerts.pop("", ()))
    loaded = {f.plan for f in facts}
    others = {plan: tuple(alert_rows) for plan, alert_rows in alerts.items() if plan not in loaded}
    noted = {key: (rows.time(at), rows.json(value)) for key, at, value in query(queries.DAEMON)}
    stored = rows.stored_up_to(noted[STORED_ENTRIES][1]) if STORED_ENTRIES in noted else 0
    return StatusFacts(
        sorted(facts, key=lambda f: f.plan),
        own,
        others=others,
        refused=rows.refused(noted["refused"][1]) if "refused" in noted else {},
        daemon=daemon_facts(*noted[SIGN_OF_LIFE]) if SIGN_OF_LIFE in noted else None,
        incidents=tuple(rows.incident(row) for row in ask(queries.INCIDENTS, str(stored))),
        records_damage=records_damage(noted[RECORDS_CHECK][1]) if RECORDS_CHECK in noted else "",
        owner=rows.owner(noted[CUSTODY][1]) if CUSTODY in noted else None,
    )


def _plans(
    query: Callable[[str], Iterable[Sequence[Any]]],
    alerts: dict[str, list[AlertFacts]],
    running: dict[str, list[RunningFacts]],
) -> list[PlanFacts]:
    """Run the queries about plans, and combine the answers by plan."""
    components = rows.by_plan(query(queries.COMPONENTS), rows.component)
    failed = rows.by_plan(
        query(queries.FAILED_COMPONENTS), lambda row: (row[1], row[2] or "failed")
    )
    missed = rows.by_plan(query(queries.MISSED), rows.span)
    unfinished = rows.unfinished(query(queries.UNFINISHED))
    undone = rows.undone(query(queries.UNDONE))
    unrestorable = {r[0]: rows.unrestorable(r) for r in query(queries.UNRESTORABLE)}
    copies = rows.by_plan(query(queries.COPIES), rows.copy)
    logs = rows.by_plan(query(queries.LOG_COPIES), rows.log_copy)
    repositories = rows.by_plan(query(queries.REPOSITORIES), rows.repository)
    outages = rows.by_plan(query(queries.OUTAGES), rows.span)
    scenarios = rows.by_plan(query(queries.SCENARIOS), rows.scenario)
    failed_checks = rows.by_plan(query(queries.FAILED_CHECKS), rows.failed_check)
    unready = {row[0]: rows.unready(row) for row in query(queries.UNREADY)}
    retention = {r[0]: r for r in query(queries.RETENTION)}
    holds = rows.by_plan(query(queries.HOLDS), rows.hold)
    facts = []
    for row in query(queries.PLANS):
        name = row[0]
        one = rows.plan(row, tuple(failed[name]))
        one = rows.with_open_run(one, running[name][-1] if running[name] else None)
        facts.append(
            one._replace(
                components=tuple(components[name]),
                missed=rows.until(missed[name], newest_ever(one)),
                alerts=tuple(alerts.get(name, ())),
                unfinished=unfinished.get(name),
                undone=undone.get(name),
                unrestorable=unrestorable.get(name),
                copies=rows.with_logs(copies[name], logs[name]),
                unready=unready.get(name),
                repositories=tuple(repositories[name]),
                outages=tuple(outages[name]),
                last_drill=rows.with_checks(one.last_drill, failed_checks),
                scenarios=tuple(
                    s._replace(last=rows.with_checks(s.last, failed_checks))
                    for s in scenarios[name]
                ),
                paused=rows.paused(retention.get(name)),
                waiting=len(rows.json(retention[name][3])) if name in retention else 0,
                holds=tuple(holds[name]),
            )
        )
    return facts


def _about(
    ask: Query, plan: str | None, since: int | None
) -> Callable[[str], Iterable[Sequence[Any]]]:
    """Return what runs a query about these plans."""
    which = "1 = 1" if plan is None else "{} = :plan"
    value = plan
    if since is not None:
        which, value = _CHANGED, str(since)

    def query(sql: str) -> Iterable[Sequence[Any]]:
        asked = _WORDED.get((which, sql))
        if asked is None:
            asked = _WORDED[which, sql] = _worded(which, sql)
        return ask(asked, value)

    return query


def _worded(which: str, sql: str) -> str:
    """Return the statement, with the condition `which` for each marked column."""
    before, *marked = sql.split(_OF)
    parts = (part.partition(")") for part in marked)
    return before + "".join(which.replace("{}", column) + rest for column, _, rest in parts)


def check_version(ask: Query, place: str) -> None:
    """Raise CatalogueError for tables of another version."""
    version = next(iter(ask(queries.VERSION, None)), ("nothing",))[0]
    if version != HEAD:
        from drd.catalogue.trouble import wrong_version

        raise wrong_version(place, version, HEAD)


def connect(path: str, how: str = "mode=ro") -> Connection:
    """Open the file of a SQLite catalogue for reading. Raises CatalogueError when it is not a
    regular file: opening a pipe would wait for ever."""
    import sqlite3

    require_file(path)
    return sqlite3.connect(
        f"file:{_quoted(path)}?{how}",
        uri=True,
        timeout=10,
        isolation_level=None,
        check_same_thread=False,
    )


def asking_sqlite(url: str, answer: Callable[[Query, str], _T]) -> _T:
    """Return what `answer` makes of queries, in one transaction that only reads. Raises
    CatalogueError."""
    import sqlite3

    path = _path(url)

    def ask(how: str) -> _T:
        connection = connect(path, how)
        opened: list[sqlite3.Cursor] = []

        def query(sql: str, plan: str | None) -> sqlite3.Cursor:
            opened.append(connection.execute(sql, {"plan": plan}))
            return opened[-1]

        try:
            connection.execute("BEGIN")
            return answer(query, path)
        finally:
            for cursor in opened:  # the file stays open as long as one of them has rows left
                cursor.close()
            connection.close()

    try:
        return ask("mode=ro")
    except sqlite3.Error as error:
        # A reader shares memory with writers through a file, which a full or read-only disk does
        # not take. While nobody writes, the catalogue's own file has everything.
        before = at_rest(path)
        if before is not None:
            with suppress(sqlite3.Error):
                result = ask("mode=ro&immutable=1")
                if at_rest(path) == before:
                    return result
        from pathlib import Path

        from drd.catalogue.trouble import explain_sqlite

        explained = explain_sqlite(error, Path(path))
        if explained is None:
            raise
        raise explained from error
    except STUMBLES as error:
        from drd.catalogue.diagnosis import explain

        explain(error, url)
        raise


def at_rest(path: str) -> tuple[int, int] | None:
    """Return a value that changes when somebody writes to the file; None while somebody is about to
    write."""
    try:
        if os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal"):  # noqa: PTH110, PTH202 - no pathlib in a cold start
            return None
        state = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def _path(url: str) -> str:
    """Return the file of `sqlite:////absolute` or `sqlite:///relative`, as SQLAlchemy reads it."""
    return os.path.abspath(sqlite_file(url))  # noqa: PTH100 - light


def _quoted(path: str) -> str:
    """Escape the characters that have a meaning in a `file:` URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
