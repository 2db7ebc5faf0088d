"""What `drd status` knows about each plan, read from the summary rows and nothing else.

The standard library alone: on SQLite neither SQLAlchemy nor anything heavy is imported, and the
few queries cost the same however many runs there were. PostgreSQL is asked the same queries.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from drd.catalogue import summary_queries as queries
from drd.catalogue.reading import HUGE, STUMBLES, require_file, sqlite_file
from drd.catalogue.version import HEAD
from drd.model.facts import (
    HEARTBEAT,
    AlertFacts,
    ComponentFacts,
    CopyFacts,
    DrillFacts,
    FailureFacts,
    HoldFacts,
    IncompleteFacts,
    PausedFacts,
    PlanFacts,
    PointFacts,
    RefusedFacts,
    RepositoryFacts,
    RunningFacts,
    ScenarioFacts,
    StatusFacts,
    Unproven,
    UnreadyFacts,
    VanishedFacts,
    WithheldFacts,
    daemon_facts,
)
from drd.model.repositories import newest_ever

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any, TypeAlias, TypeVar

    from drd.model.plan import SecretRef

    _T = TypeVar("_T")


Query: TypeAlias = "Callable[[str, str | None], Iterable[Sequence[Any]]]"
"""Runs one of `summary_queries`, with `:plan` bound to a plan's name, or NULL for all."""

_OF = re.compile(r"OF\(([\w.]+)\)")
"""Marks in them the column that has to be the plan that was asked for, if one was: as a part of the
statement, for which there is an index."""

_CHANGED = r"\1 IN (SELECT plan FROM plan_changes WHERE seq > CAST(:plan AS INTEGER))"
_WORDED: dict[tuple[str, str], str] = {}
"""The statements in which these marks are replaced."""


def read_facts(
    url: str, plan: str | None = None, password: SecretRef | None = None
) -> list[PlanFacts]:
    """The facts of every loaded plan, or of one, by name. As `read_status`."""
    return list(read_status(url, plan, password).plans)


def read_status(
    url: str, plan: str | None = None, password: SecretRef | None = None
) -> StatusFacts:
    """The facts of every loaded plan, or of one, by name, and drd's own alerts; writes nothing.
    `password` is where that of a PostgreSQL server's user is read from.

    Raises CatalogueError when there is no catalogue, it may not be read, or it is damaged.
    """
    if url.startswith("sqlite:"):
        return asking_sqlite(url, lambda query, place: assemble(query, place, plan))
    return read_through_sqlalchemy(url, plan, password)


def read_through_sqlalchemy(
    url: str, plan: str | None = None, password: SecretRef | None = None
) -> StatusFacts:
    """`read_status` for a catalogue in PostgreSQL. Works on SQLite as well, so that one test holds
    both readers to the same answers."""
    from drd.catalogue.summary_sql import asking

    with asking(url, password) as (query, place):
        return assemble(query, place, plan)


def assemble(
    ask: Query, place: str, plan: str | None = None, *, since: int | None = None
) -> StatusFacts:
    """Ask the queries about one plan or all, or about those that changed after `since`, within one
    transaction of the caller, and put the answers together."""
    which = "1 = 1" if plan is None else r"\1 = :plan"
    value = plan
    if since is not None:
        which, value = _CHANGED, str(since)

    def query(sql: str) -> Iterable[Sequence[Any]]:
        asked = _WORDED.get((which, sql))
        if asked is None:
            asked = _WORDED[which, sql] = _OF.sub(which, sql)
        return ask(asked, value)

    check_version(ask, place)
    components = _by_plan(query(queries.COMPONENTS), _component)
    failed = _by_plan(query(queries.FAILED_COMPONENTS), lambda row: (row[1], row[2] or "failed"))
    missed = _by_plan(query(queries.MISSED), lambda row: (_time(row[1]), _time(row[2])))
    alerts = _by_plan(query(queries.ALERTS), _alert)
    running = _by_plan(ask(queries.RUNNING, plan), lambda r: RunningFacts(r[1], r[2], _time(r[3])))
    copies = _by_plan(query(queries.COPIES), _copy)
    repositories = _by_plan(query(queries.REPOSITORIES), _repository)
    outages = _by_plan(query(queries.OUTAGES), lambda row: (_time(row[1]), _time(row[2])))
    scenarios = _by_plan(query(queries.SCENARIOS), _scenario)
    unready = {row[0]: _unready(row) for row in query(queries.UNREADY)}
    retention = {r[0]: r for r in query(queries.RETENTION)}
    holds = _by_plan(query(queries.HOLDS), _hold)
    facts = []
    for row in query(queries.PLANS):
        name = row[0]
        one = _plan(row, tuple(failed[name]))
        facts.append(
            one._replace(
                components=tuple(components[name]),
                missed=_until(missed[name], newest_ever(one)),
                alerts=tuple(alerts.get(name, ())),
                running=running[name][-1] if running[name] else None,
                copies=tuple(copies[name]),
                unready=unready.get(name),
                repositories=tuple(repositories[name]),
                outages=tuple(outages[name]),
                scenarios=tuple(scenarios[name]),
                paused=_paused(retention.get(name)),
                waiting=len(_json(retention[name][3])) if name in retention else 0,
                holds=tuple(holds[name]),
            )
        )
    own = tuple(alerts.pop("", ()))
    loaded = {f.plan for f in facts}
    others = {plan: tuple(alert_rows) for plan, alert_rows in alerts.items() if plan not in loaded}
    noted = {key: (_time(at), _json(value)) for key, at, value in query(queries.DAEMON)}
    return StatusFacts(
        sorted(facts, key=lambda f: f.plan),
        own,
        others=others,
        refused=_refused(noted["refused"][1]) if "refused" in noted else {},
        daemon=daemon_facts(*noted[HEARTBEAT]) if HEARTBEAT in noted else None,
    )


def check_version(ask: Query, place: str) -> None:
    """Raise CatalogueError for tables of another version."""
    version = next(iter(ask(queries.VERSION, None)), ("nothing",))[0]
    if version != HEAD:
        from drd.catalogue.trouble import wrong_version

        raise wrong_version(place, version, HEAD)


def connect(path: str, how: str = "mode=ro") -> Connection:
    """Open the file of a SQLite catalogue for reading. Raises CatalogueError when it is not a
    regular file: whoever opened a pipe would wait for ever."""
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
    """What `answer` makes of queries, in one transaction that only reads. Raises CatalogueError."""
    import sqlite3

    path = _path(url)

    def ask(how: str) -> _T:
        connection = connect(path, how)
        try:
            connection.execute("BEGIN")
            return answer(lambda sql, plan: connection.execute(sql, {"plan": plan}), path)
        finally:
            connection.close()

    try:
        return ask("mode=ro")
    except sqlite3.Error as error:
        # A reader shares memory with writers by a file that a disk which is full, or may only be
        # read, does not take. While nobody writes, the catalogue's own file is all there is.
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
    """What tells whether somebody has written to the file; None while somebody is about to."""
    try:
        if os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal"):  # noqa: PTH110, PTH202 - no pathlib in a cold start
            return None
        state = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def _plan(row: Sequence[Any], failed: tuple[tuple[str, str], ...]) -> PlanFacts:
    (name, owner, rpo_s, rto_s, window_s, digest, first_loaded_at, loaded_at) = row[:8]
    (interval_s, cron, backup_timeout_s, drill_every_s) = row[8:12]
    (file, file_mtime_ns, file_size, file_digest, load_error) = row[12:17]
    newest, incomplete = row[17:21], row[21:23]
    if not max(rpo_s, rto_s, window_s) < HUGE:  # TypeError for what is no number
        raise ValueError(f"the objectives of {name} are no numbers")
    return PlanFacts(
        plan=name,
        owner=owner,
        rpo_s=rpo_s,
        rto_s=rto_s,
        window_s=window_s,
        digest=digest,
        first_loaded_at=_time(first_loaded_at),
        loaded_at=_time(loaded_at),
        interval_s=interval_s,
        cron=cron,
        backup_timeout_s=backup_timeout_s,
        drill_every_s=drill_every_s,
        file=file,
        file_mtime_ns=file_mtime_ns,
        file_size=file_size,
        file_digest=file_digest,
        load_error=load_error,
        newest=_point(newest),
        incomplete=IncompleteFacts(incomplete[0], _time(incomplete[1]), failed)
        if incomplete[0]
        else None,
        complete_points=row[23] or 0,
        backup_p95_s=row[24],
        failures=_failures(row[25:31]),
        last_drill=_drill(row[31:47]),
        last_passed_drill=_drill(row[47:63]),
        vanished=_vanished(row[63:67]),
    )


def _point(row: Sequence[Any]) -> PointFacts | None:
    return PointFacts(row[0], _time(row[1]), _time(row[2]), row[3]) if row[0] else None


def _failures(row: Sequence[Any]) -> FailureFacts | None:
    tries, run, at, error, state, code = row
    return FailureFacts(tries, run, _time(at), error or state, code or "") if run else None


def _drill(row: Sequence[Any]) -> DrillFacts | None:
    if row[0] is None:
        return None
    (evidence, run, point, at, result, digest, rta_s, rpa_s, judged, restored, reason) = row[:11]
    return DrillFacts(
        evidence, run, point, _time(at), result, digest, rta_s, rpa_s, bool(judged), restored,
        reason,
        _rehearsed(row[11]), row[12], _time(row[13]) if row[13] else None, row[14],
        _unproven(row[15]),
    )  # fmt: skip


def _unproven(noted: str | None) -> tuple[Unproven, ...]:
    if noted is None or noted == "[]":
        return ()
    return tuple(Unproven(*u) for u in _json(noted))


def _vanished(row: Sequence[Any]) -> VanishedFacts | None:
    number, data_time, available_at, at = row
    if not number or data_time is None:
        return None
    return VanishedFacts(number, _time(data_time), _time(available_at), _time(at))


def _scenario(row: Sequence[Any]) -> ScenarioFacts:
    return ScenarioFacts(row[1], row[2] is not None, row[3], _drill(row[4:20]), _drill(row[20:36]))


def _repository(row: Sequence[Any]) -> RepositoryFacts:
    lost, lost_since, lost_says, unreachable, unreachable_since, damage, damaged_since = row[11:18]
    return RepositoryFacts(
        row[1],
        row[2],
        _point(row[3:7]),
        _point(row[7:11]),
        lost,
        _time(lost_since) if lost_since else None,
        lost_says or "",
        unreachable,
        _time(unreachable_since) if unreachable_since else None,
        damage,
        _time(damaged_since) if damaged_since else None,
        len(_json(row[18])) if row[18] else 0,
        _time(row[19]) if row[19] else None,
        bool(row[20]),
    )


def _rehearsed(coverage: str | None) -> tuple[int, int] | None:
    if coverage is None:
        return None
    known = _json(coverage)
    return known["rehearsed"], known["of"]


def _component(row: Sequence[Any]) -> ComponentFacts:
    _, component, kind, data_time, size, error = row
    return ComponentFacts(component, kind, _time(data_time) if data_time else None, size, error)


def _copy(row: Sequence[Any]) -> CopyFacts:
    _, repository, copy_of, data_time, available_at, pause_s = row
    arrived, since = (_time(at) if at else None for at in (data_time, available_at))
    return CopyFacts(repository, copy_of, arrived, since, pause_s or 0.0)


def _alert(row: Sequence[Any]) -> AlertFacts:
    _, alert, kind, state, since, message, severity, command, by, until, subject, code = row
    until = _time(until) if until else None
    return AlertFacts(
        alert, kind, state, _time(since), message, severity, command, by, until, subject, code
    )


def _unready(row: Sequence[Any]) -> UnreadyFacts:
    _, at, error, withheld = row
    known: dict[str, Any] = {"readiness": "", "findings": ()}
    if withheld is not None:
        known = _json(withheld)
    withheld_facts = tuple(WithheldFacts(**f) for f in known["findings"])
    return UnreadyFacts(_time(at), error or "", known["readiness"], withheld_facts)


def _paused(row: Sequence[Any] | None) -> PausedFacts | None:
    if row is None or row[1] is None:
        return None
    pauses = tuple((p["code"], p["text"], p["hint"]) for p in _json(row[2]))
    return PausedFacts(_time(row[1]), pauses)


def _hold(row: Sequence[Any]) -> HoldFacts:
    _, point, reason, until, actor = row
    by = ""
    if actor is not None:
        from drd.model.actor import Actor  # few plans have one

        known_actor = Actor.from_json(_json(actor))
        by = known_actor.words() if known_actor is not None else ""
    return HoldFacts(point, reason, _time(until) if until else None, by)


def _refused(noted: Mapping[str, Any]) -> dict[str, RefusedFacts]:
    return {k: RefusedFacts(v["mtime_ns"], v["size"], v["error"]) for k, v in noted.items()}


def _json(text: str) -> Any:
    from json import loads

    return loads(text)


def _until(
    missed: Sequence[tuple[datetime, datetime]], newest: tuple[datetime, datetime] | None
) -> tuple[tuple[datetime, datetime], ...]:
    """What was missed before the newest point became available: a forgotten one may be younger."""
    if newest is None:
        return ()
    end = newest[1]
    return tuple((start, min(stop, end)) for start, stop in missed if start < end)


def _by_plan(
    rows: Iterable[Sequence[Any]], make: Callable[[Sequence[Any]], _T]
) -> dict[str, list[_T]]:
    """Rows whose first column is a plan, grouped by it."""
    grouped: dict[str, list[_T]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(make(row))
    return grouped


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _path(url: str) -> str:
    """The file of `sqlite:////absolute` or `sqlite:///relative`, as SQLAlchemy reads it."""
    return os.path.abspath(sqlite_file(url))  # noqa: PTH100 - light


def _quoted(path: str) -> str:
    """For a `file:` URI, in which these mean something."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
